/** What the bodies of messages are made of: codecs that know how short and how long they can be. */

import { DecodeError } from "../../errors.ts";
import { type Field, u16be, u32be, u8 } from "../../layout/layout.ts";
import type { Reader } from "../../layout/reader.ts";
import { Slab } from "../../layout/slab.ts";
import type { Writer } from "../../layout/writer.ts";
import { decodeText, encodeText } from "../../record/text.ts";

/** Reads and writes a member of a message that takes `minBytes` to `maxBytes` bytes. */
export interface WireField<T> {
  readonly minBytes: number;
  readonly maxBytes: number;
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
}

/** A field of the layout engine. */
export function fixed<T>(field: Field<T>): WireField<T> {
  return {
    minBytes: field.size,
    maxBytes: field.size,
    read: (reader) => field.read(reader),
    write: (writer, value) => field.write(writer, value),
  };
}

/** u8. */
export const byte: WireField<number> = fixed(u8);
/** u16be. */
export const short: WireField<number> = fixed(u16be);
/** u32be. */
export const word: WireField<number> = fixed(u32be);

/** u32be as a signed number. */
export const digest32: WireField<number> = {
  ...word,
  read: (reader) => word.read(reader) | 0,
  write: (writer, value) => word.write(writer, value >>> 0),
};

/** u64be that is a whole number of at most 2^53 - 1: epochs, change numbers, counts. */
export const counter: WireField<number> = {
  minBytes: 8,
  maxBytes: 8,
  read(reader) {
    const value = reader.u32be() * 2 ** 32 + reader.u32be(); // a bigint for each record would be dear
    if (value > Number.MAX_SAFE_INTEGER) throw new DecodeError(reader.struct, `number ${value}`);
    return value;
  },
  write(writer, value) {
    if (!Number.isSafeInteger(value)) throw new RangeError(`Cannot write ${value}: not a safe integer`);
    writer.u32be(Math.floor(value / 2 ** 32)).u32be(value % 2 ** 32);
  },
};

/** u8, 0 or 1. */
export const flag: WireField<boolean> = choice([false, true]);

/** u8, the position in `values`. */
export function choice<const T extends string | boolean>(values: readonly T[]): WireField<T> {
  return {
    minBytes: 1,
    maxBytes: 1,
    read(reader) {
      const index = reader.u8();
      const value = values[index];
      if (value === undefined) throw new DecodeError(reader.struct, `no meaning for ${index}`);
      return value;
    },
    write(writer, value) {
      writer.u8(values.indexOf(value));
    },
  };
}

/** u16be length, then at most `limit` bytes; a copy when read. */
export function block(limit: number, least = 0): WireField<Uint8Array> {
  const slab = new Slab();
  return {
    minBytes: 2 + least,
    maxBytes: 2 + limit,
    read(reader) {
      const length = reader.u16be();
      if (length < least || length > limit) throw new DecodeError(reader.struct, `block of ${length} bytes`);
      return slab.copy(reader.bytes(length));
    },
    write(writer, value) {
      if (value.length < least || value.length > limit) {
        throw new RangeError(`Cannot write a block of ${value.length} bytes: ${least} to ${limit} fit`);
      }
      writer.u16be(value.length).bytes(value);
    },
  };
}

/**
 * u16be length, then at most `limit` bytes of printable UTF-8. Text is for people: when written, control
 * characters become spaces and what is too long is cut.
 */
export function text(limit: number): WireField<string> {
  const bytes = block(limit);
  return {
    ...bytes,
    read: (reader) => decodeText(bytes.read(reader), reader.struct),
    write: (writer, value) => bytes.write(writer, encodeShortened(value, limit)),
  };
}

/** u16be count, then at most `limit` of `item`. */
export function list<T>(item: WireField<T>, limit: number): WireField<readonly T[]> {
  return {
    minBytes: 2,
    maxBytes: 2 + limit * item.maxBytes,
    read(reader) {
      const count = reader.u16be();
      if (count > limit) throw new DecodeError(reader.struct, `list of ${count}`);
      return Array.from({ length: count }, () => item.read(reader));
    },
    write(writer, value) {
      if (value.length > limit) throw new RangeError(`Cannot write a list of ${value.length}: ${limit} fit`);
      writer.u16be(value.length);
      for (const each of value) item.write(writer, each);
    },
  };
}

/** A field for every member of `T`, in the order of the wire. */
export type WireFields<T> = { readonly [K in keyof T]-?: WireField<T[K]> };

/** The members of an object one after the other. */
export function struct<T extends object>(fields: WireFields<T>): WireField<T> {
  const members: readonly [string, WireField<unknown>][] = Object.entries(fields);
  return {
    minBytes: members.reduce((sum, [, field]) => sum + field.minBytes, 0),
    maxBytes: members.reduce((sum, [, field]) => sum + field.maxBytes, 0),
    read(reader) {
      const values: Record<string, unknown> = {};
      for (const [key, field] of members) values[key] = field.read(reader);
      return values as T; // the loop has filled exactly the keys of T
    },
    write(writer, value) {
      const source = value as Record<string, unknown>; // indexed by the keys of T
      for (const [key, field] of members) field.write(writer, source[key]);
    },
  };
}

function encodeShortened(value: string, limit: number): Uint8Array {
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  const clean = value.toWellFormed().replaceAll(/[\x00-\x1f\x7f]/g, " ");
  const bytes = encodeText(clean);
  if (bytes.length <= limit) return bytes;
  let end = limit;
  while ((bytes[end]! & 0xc0) === 0x80) end--; // not within a character
  return bytes.subarray(0, end);
}
