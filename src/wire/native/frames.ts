/** Frames on the stream: u16be length, then that many bytes. */

import { PeerError } from "../../errors.ts";
import { Reader } from "../../layout/reader.ts";
import { Writer } from "../../layout/writer.ts";

const LENGTH_BYTES = 2;

/** Legal lengths of the next frame. */
export interface FrameBounds {
  readonly min: number;
  readonly max: number;
}

/** A frame around a Noise message. @throws {RangeError} when it is longer than 65535 bytes. */
export function encodeFrame(message: Uint8Array): Uint8Array {
  return new Writer("big", LENGTH_BYTES + message.length).u16be(message.length).bytes(message).finish();
}

/** Cuts a stream into frames. Holds at most one unfinished frame beside what was pushed last. */
export class FrameReader {
  #buffer = new Uint8Array(1024);
  #start = 0;
  #end = 0;

  /** Appends bytes of the stream; they are copied. */
  push(chunk: Uint8Array): void {
    this.#makeRoom(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /**
   * The next frame without its length, valid until the next push; undefined: it has not arrived in full.
   *
   * @throws {PeerError} as soon as a length out of bounds is seen.
   */
  next({ min, max }: FrameBounds): Uint8Array | undefined {
    const available = this.#buffer.subarray(this.#start, this.#end);
    if (available.length < LENGTH_BYTES) return undefined;
    const length = new Reader(available, "frame").u16be();
    if (length < min || length > max) {
      throw new PeerError(`Frame of ${length} bytes: ${min} to ${max} are legal`);
    }
    const end = LENGTH_BYTES + length;
    if (available.length < end) return undefined;
    this.#start += end;
    return available.subarray(LENGTH_BYTES, end);
  }

  #makeRoom(length: number): void {
    const kept = this.#end - this.#start;
    if (this.#end + length > this.#buffer.length) {
      const from = this.#buffer.subarray(this.#start, this.#end);
      if (kept + length > this.#buffer.length) this.#buffer = new Uint8Array(2 * (kept + length));
      this.#buffer.set(from);
      this.#start = 0;
      this.#end = kept;
    }
  }
}
