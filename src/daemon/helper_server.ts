/**
 * The helper's side: carries out the few commands of `helper_messages.ts` for the network process, which has no
 * rights, and tells the IKE daemons what that orders. It ends when the network process does.
 */

import { DecodeError, SyscallError } from "../errors.ts";
import { RepeatLimit } from "../log/repeat_limit.ts";
import type { Log, LogMessage } from "../log/verbosity.ts";
import type { Clock, Demoter, IkeCommander, Poller } from "../ports.ts";
import {
  type ConfigReading,
  type HelperAnswer,
  type HelperCommand,
  type HelperLogLevel,
  parseHelperCommand,
  type Sight,
} from "./helper_messages.ts";
import type { LineStream } from "./line_stream.ts";
import type { ViciRelay } from "./vici_relay.ts";

/** A line that comes again is only counted for this long. */
const QUIET_MS = 60_000;

export interface HelperServerOptions {
  readonly lines: LineStream;
  readonly poller: Poller;
  readonly clock: Clock;
  /** Where the network process gets it, see `logOver`. */
  readonly log: Log;
  readonly ike: IkeCommander;
  /** undefined: there is nothing to demote. */
  readonly demoter: Demoter | undefined;
  readonly vici: ViciRelay;
  /** @throws {SyscallError} */
  readonly look: (at: Sight) => Uint8Array;
  readonly read: () => Promise<ConfigReading>;
  /** The files of `check file`, a line each with its digest. */
  readonly checkFiles: () => readonly string[];
}

export class HelperServer {
  readonly #failures: RepeatLimit;
  #isOver = false;
  #isOrderly = false;

  constructor(private readonly options: HelperServerOptions) {
    this.#failures = new RepeatLimit({ say: (text) => options.log.error(text), quietMs: QUIET_MS });
  }

  /** Serves until the network process ends. @returns whether it has said that it does. */
  async run(): Promise<boolean> {
    const { lines, poller, clock, ike, vici } = this.options;
    let nextMs = Infinity;
    while (!this.#isOver) {
      const waitMs = nextMs === Infinity ? -1 : Math.max(0, nextMs - clock.bootMs());
      const found = await poller.wait([lines.interest, ...ike.interests, ...vici.interests], waitMs);
      const ready = new Map(found.map((one) => [one.fd, one]));
      clock.look();
      if (ready.has(lines.interest.fd)) this.#serve();
      vici.tick(ready);
      if (lines.isClosed) this.#isOver = true;
      nextMs = ike.tick(ready);
      this.#failures.flush(clock.bootMs());
    }
    return this.#isOrderly;
  }

  #serve(): void {
    const { lines, log } = this.options;
    lines.flush();
    try {
      for (const value of lines.receive()) this.#do(parseHelperCommand(value));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      log.error(`the helper ends: ${error.message}`); // whoever sends that is not what it was
      this.#isOver = true;
    }
  }

  #do(command: HelperCommand): void {
    switch (command.command) {
      case "read":
        return void this.#read();
      case "check files":
        return this.options.lines.send(
          { answer: "checked", lines: this.options.checkFiles() } satisfies HelperAnswer,
        );
      case "demote":
        return this.#demote(command.demoted, command.isMaster);
      case "ike":
        return this.options.ike.give({ duty: command.duty, epoch: command.epoch });
      case "vici":
        return this.options.vici.send(command.id, Uint8Array.fromHex(command.bytes));
      case "hang up":
        return this.options.vici.hangUp(command.id);
      case "look":
        return this.#look(command.id, command.at);
      case "leave":
        [this.#isOver, this.#isOrderly] = [true, true];
    }
  }

  async #read(): Promise<void> {
    const reading = await this.options.read();
    this.options.lines.send({ answer: "configuration", reading } satisfies HelperAnswer);
    this.options.poller.wake(); // for what could not be sent at once
  }

  #look(id: number, at: Sight): void {
    const { lines, look } = this.options;
    try {
      lines.send({ answer: "seen", id, bytes: look(at).toHex() } satisfies HelperAnswer);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      const { call, errno } = error;
      lines.send({ answer: "unseen", id, call, errno } satisfies HelperAnswer);
    }
  }

  /** The network process repeats it from time to time, so a failure needs no more than a line. */
  #demote(demoted: boolean, isMaster: boolean): void {
    try {
      this.options.demoter?.set(demoted, isMaster);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      const text = `cannot demote this node: ${error.message}`;
      this.#failures.once("demote", text, this.options.clock.bootMs());
    }
  }
}

/** Something that is given back at the end; `what` completes "cannot …". */
export interface LastDuty {
  readonly what: string;
  act(): unknown;
}

/** Does them in their order; one that fails is logged and keeps no other from being done. */
export async function giveBack(duties: readonly LastDuty[], log: Log): Promise<void> {
  for (const duty of duties) {
    try {
      await duty.act();
    } catch (error) {
      log.error(`cannot ${duty.what}: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** A log whose messages the network process puts into its own; `alone` has those that it is not there for. */
export function logOver(lines: LineStream, alone: Log): Log {
  const say = (level: HelperLogLevel) => (message: LogMessage) => {
    const text = typeof message === "function" ? message() : message;
    lines.send({ answer: "log", level, text } satisfies HelperAnswer);
    if (lines.isClosed) alone[level](text); // it may have been seen just now
  };
  return {
    error: say("error"),
    notice: say("notice"),
    state: say("state"),
    detail: say("detail"),
    trace: say("trace"),
  };
}
