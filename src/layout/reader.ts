/** A cursor over bytes that checks its bounds on every read. Used by every decoder of kernel and wire bytes. */

import { DecodeError } from "../errors.ts";
import { type ByteOrder, HOST_ORDER } from "./byte_order.ts";

/**
 * Reads integers and byte runs from the front of `bytes`. `u16`, `u32`, `u64` are in `order` (host order unless
 * said), the `be` ones in network order. Byte runs are views of the input, not copies.
 *
 * @throws {DecodeError} naming `struct` when a read goes past the end.
 */
export class Reader {
  readonly #view: DataView;
  readonly #little: boolean;
  #offset = 0;

  constructor(readonly source: Uint8Array, readonly struct: string, readonly order: ByteOrder = HOST_ORDER) {
    this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    this.#little = order === "little";
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#view.byteLength - this.#offset;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), this.#little);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), this.#little);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), this.#little);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), this.#little);
  }

  u16be(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32be(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u64be(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  /** The next `length` bytes, a view. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.source.subarray(start, start + length);
  }

  /** All that is left, a view. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** Skips to the next multiple of `alignment`, or to the end when the last padding is missing. */
  align(alignment: number): void {
    const pad = -this.#offset & (alignment - 1);
    this.#offset += Math.min(pad, this.remaining);
  }

  /** @throws {DecodeError} when bytes are left over. */
  end(): void {
    if (this.remaining !== 0) throw new DecodeError(this.struct, `${this.remaining} bytes left over`);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length < 0 || start + length > this.#view.byteLength) {
      throw new DecodeError(
        this.struct,
        `need ${length} bytes at offset ${start}, have ${this.#view.byteLength - start}`,
      );
    }
    this.#offset = start + length;
    return start;
  }
}
