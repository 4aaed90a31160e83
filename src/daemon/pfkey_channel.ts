/**
 * Requests, their answers and everybody's events on one PF_KEY socket: no kernel can be told to send only some of it.
 * The kernel has answered by the time that a send returns, so an exchange never waits; what else it finds is kept.
 */

import { DecodeError, SyscallError } from "../errors.ts";
import type { Dialect, Request } from "../pfkey/dialect.ts";
import { decodeMessage, encodeMessage, type PfkeyMessage } from "../pfkey/message.ts";
import type { KernelSocket } from "../ports.ts";

/** A PF_KEY socket. */
export interface PfkeySocket extends KernelSocket {
  /** How much may wait in it, as the kernel counts. */
  readonly receiveBufferBytes: number;
}

/** What came back. */
export type PfkeyAnswer =
  | { readonly kind: "message"; readonly message: PfkeyMessage }
  /** `errno` is the error's name. */
  | { readonly kind: "refused"; readonly errno: string }
  /** The kernel had no room for an answer: unknown what it did. */
  | { readonly kind: "lost" };

/** A message of somebody else, or what is wrong with it. */
export type Heard = PfkeyMessage | DecodeError;

/** Messages that are kept; beyond that all are forgotten, and a comparison has to follow. */
const MOST_KEPT = 65536;
/** Messages that are read for each one asked for: own ones are passed over. */
const READS_PER_MESSAGE = 8;
const HIGHEST_SEQ = 0xffff_0000;

export class PfkeyChannel {
  #seq = 0;
  #kept: Heard[] = [];
  /** What has been read since the socket was last seen empty, as the kernel counts: no more than that waited in it. */
  #burstBytes = 0;
  #doubt: string | undefined;
  #loss: string | undefined;

  constructor(readonly socket: PfkeySocket, readonly dialect: Dialect, readonly pid: number) {}

  /** Sends a request. @returns its answer. @throws {SyscallError} when the socket is broken. */
  exchange({ type, satype, body }: Request): PfkeyAnswer {
    this.#seq = this.#seq >= HIGHEST_SEQ ? 1 : this.#seq + 1;
    const seq = this.#seq;
    try {
      this.socket.send(encodeMessage({ type, satype, seq, pid: this.pid }, body, this.dialect.platform));
    } catch (error) {
      if (error instanceof SyscallError) return { kind: "refused", errno: error.errno };
      throw error;
    }
    return this.#awaitAnswer(type, seq);
  }

  /** Messages of others, at most about `limit`. @throws {SyscallError} when the socket is broken. */
  take(limit: number): Heard[] {
    for (let reads = 0; this.#kept.length < limit && reads < limit * READS_PER_MESSAGE; reads++) {
      const read = this.#read();
      if (read === undefined) break;
      this.#keep(read.heard);
    }
    return this.#kept.splice(0, limit);
  }

  /** Messages of others wait here and no more in the socket. */
  get hasKept(): boolean {
    return this.#kept.length > 0;
  }

  /** Reads until the socket is empty, so that a long row of exchanges does not look like a burst. */
  drain(): void {
    for (let reads = 0; reads < MOST_KEPT; reads++) {
      const read = this.#read();
      if (read === undefined) return;
      this.#keep(read.heard);
    }
  }

  /** Why messages may have been lost since the last time, once the socket has been empty again. */
  takeLoss(): string | undefined {
    const loss = this.#loss;
    this.#loss = undefined;
    return loss;
  }

  #awaitAnswer(type: number, seq: number): PfkeyAnswer {
    for (;;) {
      const read = this.#read();
      if (read === undefined) return { kind: "lost" };
      const { raw, heard } = read;
      if (raw === undefined || raw.pid !== this.pid || raw.seq !== seq || raw.type !== type) {
        this.#keep(heard);
      } else if (raw.errno === 0) return { kind: "message", message: raw };
      else return { kind: "refused", errno: this.dialect.errnoName(raw.errno) };
    }
  }

  /** One message, as it came and unwrapped; undefined when none waits. */
  #read(): { readonly raw?: PfkeyMessage; readonly heard: Heard } | undefined {
    for (;;) {
      const received = this.socket.receive();
      if (received.kind === "empty") return this.#settle();
      if (received.kind === "closed") throw new SyscallError("read a PF_KEY socket", received.reason, 0);
      if (received.kind === "overrun") this.#doubt = "events were lost";
      else {
        this.#burstBytes += kernelCost(received.bytes.length);
        return this.#decode(received.bytes.slice());
      }
    }
  }

  #decode(bytes: Uint8Array): { readonly raw?: PfkeyMessage; readonly heard: Heard } {
    try {
      const raw = decodeMessage(bytes, this.dialect.platform);
      return { raw, heard: this.dialect.unwrap(raw) };
    } catch (error) {
      if (error instanceof DecodeError) return { heard: error };
      throw error;
    }
  }

  /** Kernels drop what does not fit, in silence; but only when the socket was full, and then it was a burst. */
  #settle(): undefined {
    const mayHaveBeenFull = this.#burstBytes >= this.socket.receiveBufferBytes;
    this.#burstBytes = 0;
    this.#loss ??= this.#doubt ??
      (mayHaveBeenFull ? "more events came at once than are sure to fit" : undefined);
    this.#doubt = undefined;
    return undefined;
  }

  /** Own messages are told as results only. */
  #keep(heard: Heard): void {
    if (!(heard instanceof DecodeError) && heard.pid === this.pid) return;
    this.#kept.push(heard);
    if (this.#kept.length < MOST_KEPT) return;
    this.#kept = [];
    this.#doubt = "more events came than can be kept";
  }
}

/**
 * What a message of that length can take up of a receive buffer, at most: Linux rounds it and its own 320 bytes up to
 * a power of two and adds 256 (1,280 for 296 bytes); the BSDs count buffers of 2 KiB.
 */
function kernelCost(length: number): number {
  return 2 * length + 2048;
}
