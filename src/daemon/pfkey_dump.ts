/** A dump of the kernel's SADB and SPD over PF_KEY, a bounded part at a time, on a socket of its own. */

import { DecodeError, KernelReplyError, SyscallError } from "../errors.ts";
import type { Dialect, DumpSource, Reading, Request, Surroundings } from "../pfkey/dialect.ts";
import { decodeMessage, encodeMessage, type PfkeyMessage } from "../pfkey/message.ts";
import type { KernelSocket } from "../ports.ts";

/** Messages that one part reads. */
const MESSAGES_PER_PART = 256;
/** A dump in which messages are missing is begun again this often; then what it gave has to do. */
const MOST_RESTARTS = 5;
/** How many parts may find nothing before the end of the dump counts as lost. */
const MOST_EMPTY_PARTS = 1000;

/** A dump under way. */
export interface PfkeyDump {
  /**
   * Reads a part.
   *
   * @returns when it was the last, what SADB and SPD hold, each oldest first.
   * @throws {KernelReplyError | SyscallError} when the kernel refuses, or the end of the dump is lost.
   */
  continue(): readonly (readonly Reading[])[] | undefined;
  close(): void;
}

/** Asked for with requests: an entry each message, numbered. */
export class RequestedDump implements PfkeyDump {
  readonly #tables: Reading[][] = [];
  #table: Reading[] = [];
  #previousSeq: number | undefined;
  #incomplete = false;
  #restarts = 0;
  #emptyParts = 0;

  /** Starts at once. The socket is closed when the dump is complete, closed, or cannot start. @throws {SyscallError} */
  constructor(
    readonly source: Extract<DumpSource, { kind: "requests" }>,
    readonly socket: KernelSocket,
    readonly dialect: Dialect,
    readonly pid: number,
    readonly surroundings: Surroundings,
  ) {
    try {
      this.#ask();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  continue(): readonly (readonly Reading[])[] | undefined {
    for (let count = 0; count < MESSAGES_PER_PART && this.#request !== undefined; count++) {
      const received = this.socket.receive();
      if (received.kind === "empty") return this.#found(count);
      if (received.kind === "closed") throw new SyscallError("read a dump", received.reason, 0);
      if (received.kind === "overrun") this.#incomplete = true;
      else this.#take(received.bytes);
    }
    if (this.#request !== undefined) return this.#found(MESSAGES_PER_PART);
    this.close();
    return this.#tables;
  }

  close(): void {
    this.socket.close();
  }

  /** What is being answered; undefined when all is. */
  get #request(): Request | undefined {
    return this.source.requests[this.#tables.length];
  }

  #found(messages: number): undefined {
    this.#emptyParts = messages === 0 ? this.#emptyParts + 1 : 0;
    if (this.#emptyParts < MOST_EMPTY_PARTS) return undefined;
    throw new SyscallError("read a dump to its end", "ETIMEDOUT", 0);
  }

  #ask(): void {
    const { type, satype, body } = this.#request!; // asked only where there is one
    this.#table = [];
    this.#previousSeq = undefined;
    this.#incomplete = false;
    this.socket.send(encodeMessage({ type, satype, seq: 1, pid: this.pid }, body, this.dialect.platform));
  }

  /** Everybody's events come between; a broken message counts as missing. */
  #take(bytes: Uint8Array): void {
    try {
      const message = decodeMessage(bytes, this.dialect.platform);
      if (message.pid === this.pid && message.type === this.#request!.type) this.#entry(message);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#table.push({ kind: "refused", what: "an entry of a dump", reason: error.message });
    }
  }

  #entry(message: PfkeyMessage): void {
    this.#checkSeq(message.seq);
    const isLast = message.seq === 0;
    try {
      const meaning = this.dialect.decode(message, this.surroundings);
      if (meaning.kind === "error") {
        throw new KernelReplyError(this.dialect.messageName(message.type), meaning.errno);
      }
      if (meaning.kind === "dumped" && meaning.reading !== undefined) this.#table.push(meaning.reading);
      if (meaning.kind === "dumped" && meaning.last) this.#finish();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#table.push({ kind: "refused", what: "an entry of a dump", reason: error.message });
      if (isLast) this.#finish();
    }
  }

  /** Entries are numbered without a gap; counting up, the last has 0. */
  #checkSeq(seq: number): void {
    const { step } = this.source;
    const previous = this.#previousSeq ?? (step === 1 ? 0 : undefined);
    this.#previousSeq = seq;
    const isNext = previous === undefined || seq === previous + step || step === 1 && seq === 0;
    this.#incomplete ||= !isNext;
  }

  #finish(): void {
    if (!this.#incomplete || this.#restarts++ >= MOST_RESTARTS) {
      this.#tables.push(this.source.newestFirst ? this.#table.reverse() : this.#table);
    }
    if (this.#request !== undefined) this.#ask();
  }
}
