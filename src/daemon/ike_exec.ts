/** Tells any IKE daemon by a command of the configuration: it gets ACTIVE or PASSIVE and the epoch as arguments. */

import { IkeError } from "../errors.ts";
import type { Log } from "../log/verbosity.ts";
import type { CommandRunner, IkeControl, IkeOrder, RunningCommand } from "../ports.ts";

export class ExecControl implements IkeControl {
  readonly name: string;
  readonly patienceMs = 30_000;
  readonly owes = false;
  readonly interest = undefined;
  #order: IkeOrder | undefined;
  #running: RunningCommand | undefined;
  /** Was told to end; no other one is started before it has. */
  #ending: RunningCommand | undefined;

  constructor(
    readonly command: readonly string[],
    private readonly runner: CommandRunner,
    private readonly log: Log,
  ) {
    this.name = command[0] ?? "";
  }

  repeatMs(): number {
    return Infinity;
  }

  begin(order: IkeOrder): void {
    this.#order = order;
  }

  proceed(): boolean {
    if (this.#order === undefined || this.#ending !== undefined && this.#ending.code === undefined) {
      return false;
    }
    this.#ending = undefined;
    this.#running ??= this.#start(this.#order);
    const { code } = this.#running;
    if (code === undefined) return false;
    this.#running = undefined;
    if (code !== 0) throw new IkeError(`exit status ${code}`);
    return true;
  }

  cancel(): void {
    this.#order = undefined;
    this.#running?.end();
    this.#ending = this.#running ?? this.#ending;
    this.#running = undefined;
  }

  #start({ duty, epoch }: IkeOrder): RunningCommand {
    const { command, name, log } = this;
    const args = [duty === "active" ? "ACTIVE" : "PASSIVE", `${epoch}`];
    return this.runner.start([...command, ...args], (line) => log.state(`${name}: ${line}`));
  }
}
