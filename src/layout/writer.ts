/** A growing buffer that checks the range of every integer. Used by every encoder of kernel and wire bytes. */

import { type ByteOrder, HOST_ORDER } from "./byte_order.ts";

/**
 * Appends integers and byte runs. `u16`, `u32`, `u64` are in `order` (host order unless said), the `be` ones in
 * network order.
 *
 * @throws {RangeError} when a value does not fit (DataView would wrap it in silence).
 */
export class Writer {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;
  readonly #little: boolean;

  constructor(readonly order: ByteOrder = HOST_ORDER, capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
    this.#little = order === "little";
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    checkRange(value, 0, 0xff);
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    checkRange(value, 0, 0xffff);
    const at = this.#grow(2);
    this.#view.setUint16(at, value, this.#little);
    return this;
  }

  u32(value: number): this {
    checkRange(value, 0, 0xffffffff);
    const at = this.#grow(4);
    this.#view.setUint32(at, value, this.#little);
    return this;
  }

  i32(value: number): this {
    checkRange(value, -0x80000000, 0x7fffffff);
    const at = this.#grow(4);
    this.#view.setInt32(at, value, this.#little);
    return this;
  }

  u64(value: bigint): this {
    checkRange64(value);
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value, this.#little);
    return this;
  }

  u16be(value: number): this {
    checkRange(value, 0, 0xffff);
    const at = this.#grow(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32be(value: number): this {
    checkRange(value, 0, 0xffffffff);
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
    return this;
  }

  u64be(value: bigint): this {
    checkRange64(value);
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  zeros(length: number): this {
    this.#grow(length);
    return this;
  }

  /** Zeros up to the next multiple of `alignment` (a power of two). */
  align(alignment: number): this {
    return this.zeros(-this.#length & (alignment - 1));
  }

  /** Overwrites a `u16` (or `u16be`, `u32`, `u32be`) written before, for lengths that are known afterwards. */
  patch(offset: number, kind: "u16" | "u16be" | "u32" | "u32be", value: number): void {
    checkRange(value, 0, kind.startsWith("u16") ? 0xffff : 0xffffffff);
    const little = kind.endsWith("be") ? false : this.#little;
    if (offset < 0 || offset + (kind.startsWith("u16") ? 2 : 4) > this.#length) {
      throw new RangeError(`Cannot patch offset ${offset}: only ${this.#length} bytes written`);
    }
    if (kind.startsWith("u16")) this.#view.setUint16(offset, value, little);
    else this.#view.setUint32(offset, value, little);
  }

  /** Forgets what was written and keeps the room: for a writer that is used again and again. */
  clear(): this {
    this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
    return this;
  }

  /** What was written, a copy that no later write changes. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** Makes room. Replaces buffer and view, so call it before either is looked at. */
  /** What was written from offset `start` on, a view that later writes (but not `patch`) leave as it is. */
  viewFrom(start: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(start, this.#length);
  }

  #grow(length: number): number {
    const start = this.#length;
    const needed = start + length;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, start));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = needed;
    return start;
  }
}

function checkRange(value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`Cannot write ${value}: not an integer from ${min} to ${max}`);
  }
}

function checkRange64(value: bigint): void {
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) {
    throw new RangeError(`Cannot write ${value}: not an unsigned 64-bit integer`);
  }
}
