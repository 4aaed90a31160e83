/**
 * The network process's side of the helper: passes on what only root may do, and puts the helper's log into its own.
 * Nothing is waited for but the first configuration and, at the end, that all has been given back.
 */

import type { Config } from "../config/config.ts";
import { parseConfig } from "../config/parse_config.ts";
import { ConfigError, SyscallError } from "../errors.ts";
import type { Log } from "../log/verbosity.ts";
import type {
  Clock,
  Demoter,
  Fd,
  IkeCommander,
  IkeOrder,
  Interest,
  LocalDoors,
  Poller,
  Readiness,
} from "../ports.ts";
import type { Address } from "../record/address.ts";
import type { ConfigReading, HelperAnswer, HelperCommand, Sight } from "./helper_messages.ts";
import type { LineStream } from "./line_stream.ts";
import { RelayedVici } from "./relayed_vici.ts";
import { ResolveError } from "./resolve_config.ts";

/** A configuration as the helper has read it, with what only it can look up. */
export interface ReadConfig {
  readonly config: Config;
  /** The addresses of a host name in it. @throws {ResolveError} when it has none. */
  readonly host: (name: string) => readonly Address[];
}

/** The same on all systems. */
const EPIPE = 32;

/** A part of what is asked for comes within this time. */
const LOOK_MS = 1000;

/** Somebody who waits for a configuration. */
interface Reader {
  readonly resolve: (read: ReadConfig) => void;
  readonly reject: (error: Error) => void;
}

export interface HelperClientOptions {
  readonly lines: LineStream;
  readonly clock: Clock;
  readonly log: Log;
  /** Waits for a descriptor alone. @returns whether it is readable within this time. */
  readonly waitReadable: (fd: Fd, limitMs: number) => boolean;
  /** Called once when the helper is gone and was not to be. */
  readonly gone: (reason: string) => void;
}

export class HelperClient implements IkeCommander {
  readonly #readers: Reader[] = [];
  /** Those who wait for the files of `check file`. */
  readonly #checkers: ((lines: readonly string[]) => void)[] = [];
  /** The conversations with charon. */
  readonly #vici = new Map<number, RelayedVici>();
  #conversations = 0;
  #looks = 0;
  /** The last answer to a `look`. */
  #seen: Extract<HelperAnswer, { answer: "seen" | "unseen" }> | undefined;
  #duty: IkeOrder["duty"] | undefined;
  #isLeaving = false;
  #isOver = false;

  constructor(private readonly options: HelperClientOptions) {}

  /** Lowers this node's preference; the helper logs what fails. */
  readonly demoter: Demoter = {
    set: (demoted, isMaster) => this.#send({ command: "demote", demoted, isMaster }),
    leave() {}, // comes with everything else that is given back
  };

  /** Leads to charon and nowhere else, whatever the path: the helper knows it. */
  readonly doors: Pick<LocalDoors, "connect"> = {
    connect: () => {
      const id = ++this.#conversations;
      const vici = new RelayedVici(id, this.options.lines.interest.fd, (command) => {
        if (command.command === "hang up") this.#vici.delete(id);
        this.#send(command);
      });
      this.#vici.set(id, vici);
      return vici;
    },
  };

  /** Has the configuration and its key files read again. @throws {ConfigError} with all that is wrong with them. */
  readConfig(): Promise<ReadConfig> {
    const reading = this.#nextConfig();
    this.#send({ command: "read" });
    return reading;
  }

  /** The files of `check file`, a line each with its digest. */
  checkFiles(): Promise<readonly string[]> {
    const checked = new Promise<readonly string[]>((resolve) => this.#checkers.push(resolve));
    this.#send({ command: "check files" });
    return checked;
  }

  /** The configuration that the helper reads when it starts. @throws {ConfigError} */
  async firstConfig(poller: Poller): Promise<ReadConfig> {
    const first = this.#nextConfig();
    first.catch(() => {}); // it may fail before it is waited for below
    await this.#serve(poller, Infinity, () => this.#readers.length === 0);
    return await first;
  }

  /** What only root can see (OpenBSD). Waits for it, at most a second. @throws {SyscallError} */
  look(at: Sight): Uint8Array {
    const { lines, waitReadable } = this.options;
    const id = ++this.#looks;
    this.#send({ command: "look", id, at });
    while (!this.#isOver && this.#seen?.id !== id && waitReadable(lines.interest.fd, LOOK_MS)) this.#read();
    const seen = this.#seen;
    if (seen?.id !== id) throw new SyscallError(`ask the helper for ${at}`, "ETIMEDOUT", 0);
    if (seen.answer === "unseen") throw new SyscallError(seen.call, seen.errno, 0);
    return Uint8Array.fromHex(seen.bytes);
  }

  give({ duty, epoch }: IkeOrder): void {
    if (duty === this.#duty || duty === "left") return;
    this.#duty = duty;
    this.#send({ command: "ike", duty, epoch });
  }

  get interests(): readonly Interest[] {
    return this.#isOver ? [] : [this.options.lines.interest];
  }

  tick(ready: ReadonlyMap<Fd, Readiness>): number {
    const { lines } = this.options;
    if (!this.#isOver && (lines.isClosed || ready.has(lines.interest.fd))) this.#read();
    return Infinity;
  }

  #read(): void {
    const { lines, gone } = this.options;
    lines.flush();
    // the helper is of the same program, and whoever can put words into its mouth is root
    for (const answer of lines.receive() as HelperAnswer[]) this.#hear(answer);
    if (lines.isClosed) this.#isOver = true;
    if (!this.#isOver) return;
    for (const { reject } of this.#readers.splice(0)) {
      reject(new SyscallError("ask the helper, which has ended", "EPIPE", EPIPE));
    }
    if (!this.#isLeaving) gone("the helper has ended");
  }

  /** Has everything given back that was taken: IKE daemons, demotion, control socket. */
  async leave(poller: Poller, limitMs: number): Promise<void> {
    const { clock, log } = this.options;
    if (this.#isOver) return;
    this.#isLeaving = true;
    this.#send({ command: "leave" });
    await this.#serve(poller, clock.look() + limitMs, () => this.#isOver);
    if (!this.#isOver) log.error("the helper goes on alone: not everything has been given back in time");
  }

  /** Waits for the helper alone. */
  async #serve(poller: Poller, endMs: number, isDone: () => boolean): Promise<void> {
    const { clock } = this.options;
    while (!isDone() && clock.look() < endMs) {
      const waitMs = endMs === Infinity ? -1 : endMs - clock.bootMs();
      const found = await poller.wait(this.interests, waitMs);
      this.tick(new Map(found.map((one) => [one.fd, one])));
    }
  }

  #nextConfig(): Promise<ReadConfig> {
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  #send(command: HelperCommand): void {
    this.options.lines.send(command);
  }

  #hear(answer: HelperAnswer): void {
    switch (answer.answer) {
      case "log":
        return this.options.log[answer.level](answer.text);
      case "configuration":
        return this.#takeConfig(answer.reading);
      case "checked":
        return this.#checkers.shift()?.(answer.lines);
      case "vici":
        return this.#vici.get(answer.id)?.take(Uint8Array.fromHex(answer.bytes));
      case "vici closed":
        this.#vici.get(answer.id)?.end(answer.reason);
        this.#vici.delete(answer.id);
        return;
      case "seen":
      case "unseen":
        this.#seen = answer;
        return;
      case "left":
        this.#isOver = true;
    }
  }

  #takeConfig(reading: ConfigReading): void {
    const reader = this.#readers.shift();
    try {
      reader?.resolve(toConfig(reading));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      reader?.reject(error);
    }
  }
}

function toConfig(reading: ConfigReading): ReadConfig {
  if ("mistakes" in reading) throw new ConfigError(reading.mistakes);
  const { file, contents, hosts } = reading;
  const content = (path: string) => Uint8Array.fromHex(contents[path] ?? "");
  const config = parseConfig(new TextDecoder().decode(content(file)), file, content);
  const host = (name: string) => {
    const found = hosts[name] ?? [];
    if ("error" in found) throw new ResolveError(found.error);
    return found.map((hex) => Uint8Array.fromHex(hex));
  };
  return { config, host };
}
