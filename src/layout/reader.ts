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
  #end: number;
  #struct: string;

  constructor(readonly source: Uint8Array, struct: string, readonly order: ByteOrder = HOST_ORDER) {
    this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    this.#little = order === "little";
    this.#end = source.byteLength;
    this.#struct = struct;
  }

  /** What is being read, for errors. */
  get struct(): string {
    return this.#struct;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#end - this.#offset;
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

  /**
   * Reads the next `length` bytes as `struct` with `codec`, which sees no further and has to take them all. Cheaper
   * than a reader of its own.
   */
  within<T>(length: number, struct: string, codec: { read(reader: Reader): T }): T {
    const outer = { end: this.#end, struct: this.#struct };
    this.#end = this.#take(length) + length;
    this.#offset -= length;
    this.#struct = struct;
    const value = codec.read(this);
    this.end();
    this.#end = outer.end;
    this.#struct = outer.struct;
    return value;
  }

  /** @throws {DecodeError} when bytes are left over. */
  end(): void {
    if (this.remaining !== 0) throw new DecodeError(this.struct, `${this.remaining} bytes left over`);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length < 0 || start + length > this.#end) {
      throw new DecodeError(
        this.#struct,
        `need ${length} bytes at offset ${start}, have ${this.#end - start}`,
      );
    }
    this.#offset = start + length;
    return start;
  }
}
