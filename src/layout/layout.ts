/** C structs as tables: one declaration gives size check, decoder, encoder and type. */

import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** One member of a struct: its size and natural alignment in bytes, and how it is read and written. */
export interface Field<T> {
  readonly size: number;
  readonly align: number;
  readonly padding: boolean;
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
}

type Fields = Readonly<Record<string, Field<unknown>>>;
declare const nothing: unique symbol;
/** The value of padding: a member that exists in no object. */
type Nothing = { readonly [nothing]: true };

/** The object that a layout decodes to and encodes from: every field but the padding. */
export type ValuesOf<L> = L extends Layout<infer F> ? {
    -readonly [K in keyof F as F[K] extends Field<Nothing> ? never : K]: F[K] extends Field<infer T> ? T
      : never;
  }
  : never;

/**
 * The layout of the C struct `name`. The stated size and the natural alignment of every field are checked when
 * the module loads, so that a forgotten pad cannot ship.
 */
export class Layout<const F extends Fields> {
  constructor(readonly name: string, readonly size: number, readonly fields: F) {
    let offset = 0;
    for (const [key, field] of Object.entries(fields)) {
      if (!field.padding && offset % field.align !== 0) {
        throw new RangeError(
          `Layout ${name}: field "${key}" at offset ${offset} is not aligned to ${field.align}`,
        );
      }
      offset += field.size;
    }
    if (offset !== size) throw new RangeError(`Layout ${name}: fields take ${offset} bytes, not ${size}`);
  }

  /** The offset of a field in bytes, for tests and for structs that are looked into without a decode. */
  offsetOf(key: keyof F & string): number {
    let offset = 0;
    for (const [name, field] of Object.entries(this.fields)) {
      if (name === key) return offset;
      offset += field.size;
    }
    throw new RangeError(`Layout ${this.name}: no field "${key}"`);
  }

  /** @throws {DecodeError} when fewer than `size` bytes are left. */
  read(reader: Reader): ValuesOf<Layout<F>> {
    const values: Record<string, unknown> = {};
    for (const key in this.fields) {
      const field = this.fields[key]!;
      const value = field.read(reader);
      if (!field.padding) values[key] = value;
    }
    return values as ValuesOf<Layout<F>>; // the loop has filled exactly the keys of the mapped type
  }

  /** @throws {RangeError} when a value does not fit its field. */
  write(writer: Writer, values: ValuesOf<Layout<F>>): void {
    const source = values as Record<string, unknown>; // indexed by the keys of the mapped type
    for (const key in this.fields) this.fields[key]!.write(writer, source[key]);
  }

  /** This struct as a member of another one. `align` is that of its widest field. */
  nested(): Field<ValuesOf<Layout<F>>> {
    const align = Math.max(...Object.values(this.fields).map((field) => field.padding ? 1 : field.align));
    return {
      size: this.size,
      align,
      padding: false,
      read: (reader) => this.read(reader),
      write: (writer, value) => this.write(writer, value),
    };
  }
}

function field<T>(
  size: number,
  align: number,
  read: (reader: Reader) => T,
  write: (writer: Writer, value: T) => void,
): Field<T> {
  return { size, align, padding: false, read, write };
}

/** Unsigned and signed integers in host order. */
export const u8: Field<number> = field(1, 1, (r) => r.u8(), (w, v) => w.u8(v));
export const u16: Field<number> = field(2, 2, (r) => r.u16(), (w, v) => w.u16(v));
export const u32: Field<number> = field(4, 4, (r) => r.u32(), (w, v) => w.u32(v));
export const i32: Field<number> = field(4, 4, (r) => r.i32(), (w, v) => w.i32(v));
export const u64: Field<bigint> = field(8, 8, (r) => r.u64(), (w, v) => w.u64(v));
/** Unsigned integers in network order. */
export const u16be: Field<number> = field(2, 2, (r) => r.u16be(), (w, v) => w.u16be(v));
export const u32be: Field<number> = field(4, 4, (r) => r.u32be(), (w, v) => w.u32be(v));

/** `length` bytes, aligned to `align`; a copy when read. */
export function bytes(length: number, align = 1): Field<Uint8Array> {
  return field(length, align, (r) => r.bytes(length).slice(), (w, v) => {
    if (v.length !== length) throw new RangeError(`Cannot write ${v.length} bytes: the field has ${length}`);
    w.bytes(v);
  });
}

/** `length` bytes that are skipped when read and zero when written. */
export function pad(length: number): Field<Nothing> {
  return {
    size: length,
    align: 1,
    padding: true,
    read: (reader) => reader.skip(length) as unknown as Nothing, // never looked at: padding has no value
    write: (writer) => void writer.zeros(length),
  };
}
