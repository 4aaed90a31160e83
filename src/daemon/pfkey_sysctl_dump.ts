/** A dump of the kernel's SADB and SPD by sysctl(3), which gives a whole table at once (OpenBSD). */

import { DecodeError } from "../errors.ts";
import type { Dialect, DumpSource, Reading, Surroundings } from "../pfkey/dialect.ts";
import { type PfkeyMessage, splitMessages } from "../pfkey/message.ts";
import type { PfkeyDump } from "./pfkey_dump.ts";

/** Reads the value of a sysctl(3) name. @throws {SyscallError} */
export type ReadSysctl = (name: readonly number[]) => Uint8Array;

/** Messages that one part decodes. */
const MESSAGES_PER_PART = 256;

export class SysctlDump implements PfkeyDump {
  /** All tables as they were at the beginning, so that no event is older than one and newer than another. */
  readonly #messages: readonly (readonly PfkeyMessage[])[];
  readonly #tables: Reading[][];
  #table = 0;

  /** Takes the tables at once. @throws {SyscallError | DecodeError} */
  constructor(
    source: Extract<DumpSource, { kind: "sysctl" }>,
    read: ReadSysctl,
    readonly dialect: Dialect,
    readonly surroundings: Surroundings,
  ) {
    this.#messages = source.names.map((name) => splitMessages(read(name), dialect.platform));
    this.#tables = source.names.map(() => []);
  }

  continue(): readonly (readonly Reading[])[] | undefined {
    for (let left = MESSAGES_PER_PART; left > 0;) {
      const messages = this.#messages[this.#table];
      if (messages === undefined) return this.#tables;
      const done = this.#tables[this.#table]!;
      const part = messages.slice(done.length, done.length + left);
      done.push(...part.map((message) => this.#read(message)));
      left -= part.length;
      if (done.length === messages.length) this.#table++;
    }
    return undefined;
  }

  close(): void {}

  #read(message: PfkeyMessage): Reading {
    try {
      const meaning = this.dialect.decode(message, this.surroundings);
      return meaning.kind === "dumped" && meaning.reading !== undefined ? meaning.reading : { kind: "none" };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return { kind: "refused", what: "an entry of a dump", reason: error.message };
    }
  }
}
