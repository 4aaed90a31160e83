/** A dump of the kernel's SADB and SPD by sysctl(3), which gives a whole table at once (OpenBSD). */

import { DecodeError } from "../errors.ts";
import type { Dialect, DumpSource, Reading, Surroundings } from "../pfkey/dialect.ts";
import { type PfkeyMessage, splitMessages } from "../pfkey/message.ts";
import type { PfkeyDump } from "./pfkey_dump.ts";

/** Reads the value of a sysctl(3) name. @throws {SyscallError} */
export type ReadSysctl = (name: readonly number[]) => Uint8Array;

/** One table each part. */
export class SysctlDump implements PfkeyDump {
  readonly #tables: Reading[][] = [];

  constructor(
    readonly source: Extract<DumpSource, { kind: "sysctl" }>,
    readonly read: ReadSysctl,
    readonly dialect: Dialect,
    readonly surroundings: Surroundings,
  ) {}

  continue(): readonly (readonly Reading[])[] | undefined {
    const name = this.source.names[this.#tables.length];
    if (name !== undefined) this.#tables.push(this.#readTable(name));
    return this.#tables.length < this.source.names.length ? undefined : this.#tables;
  }

  close(): void {}

  #readTable(name: readonly number[]): Reading[] {
    const messages = splitMessages(this.read(name), this.dialect.platform);
    const readings = messages.flatMap((message) => this.#readMessage(message) ?? []);
    return this.source.newestFirst ? readings.reverse() : readings;
  }

  #readMessage(message: PfkeyMessage): Reading | undefined {
    try {
      const meaning = this.dialect.decode(message, this.surroundings);
      return meaning.kind === "dumped" ? meaning.reading : undefined;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return { kind: "refused", what: "an entry of a dump", reason: error.message };
    }
  }
}
