/**
 * The engine of the records' binary form: a table of attributes gives encoder, decoder and their checks.
 *
 * An attribute is u16be type word, u16be length of the value, value. Type word: bit 15 critical, bits 14 to 12
 * number space, bits 11 to 0 number. Attributes stand in ascending order of space and number, each at most once,
 * and one that would state its default is left out: equal records have equal bytes.
 */

import { DecodeError } from "../errors.ts";
import { Reader } from "../layout/reader.ts";
import { Slab } from "../layout/slab.ts";
import { Writer } from "../layout/writer.ts";
import { type OpaqueAttribute, SPACE } from "./opaque.ts";

/** How a value is read and written; the fields and layouts of `src/layout` are codecs too. */
export interface Codec<T> {
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
}

/** One member of a record. */
export interface Attribute<T> {
  readonly number: number;
  /** Receivers that do not know the attribute refuse the record. */
  readonly critical: boolean;
  readonly codec: Codec<T>;
  readonly required: boolean;
  /** What a missing attribute means. */
  readonly fallback: T | undefined;
  /** Whether a value is left out. */
  readonly isAbsent: (value: T | undefined) => boolean;
}

/** An attribute that has to be there. */
export function required<T>(number: number, codec: Codec<T>): Attribute<T> {
  return { number, critical: true, codec, required: true, fallback: undefined, isAbsent: () => false };
}

/** An attribute that is there when the member is not undefined. */
export function optional<T>(number: number, codec: Codec<T>): Attribute<T> {
  const isAbsent = (value: T | undefined) => value === undefined;
  return { number, critical: true, codec, required: false, fallback: undefined, isAbsent };
}

/** An attribute that is left out when the member has its default. */
export function defaulting<T>(
  number: number,
  codec: Codec<T>,
  fallback: T,
  isDefault = (value: T) => value === fallback,
): Attribute<T> {
  const isAbsent = (value: T | undefined) => value === undefined || isDefault(value);
  return { number, critical: true, codec, required: false, fallback, isAbsent };
}

/** The same attribute for receivers that may ignore it. */
export function advisory<T>(attribute: Attribute<T>): Attribute<T> {
  return { ...attribute, critical: false };
}

/** An attribute for every member of `T`. */
export type Attributes<T> = { readonly [K in keyof T]-?: Attribute<Exclude<T[K], undefined>> };

/** What attributes decode to. */
export interface Decoded<T> {
  readonly values: T;
  readonly opaque: readonly OpaqueAttribute[];
  /** Critical attributes that this version does not know, by name. */
  readonly unknown: readonly string[];
}

interface Entry {
  readonly key: string;
  readonly struct: string;
  readonly word: number;
  readonly attribute: Attribute<unknown>;
}

/** Records are encoded one after the other: a buffer for each would cost more than the encoding. */
const scratch = new Writer("big", 1024);

const CRITICAL = 0x8000;
const NUMBER_BITS = 12;
const MAX_NUMBER = (1 << NUMBER_BITS) - 1;

/** The attributes that make up a `T`. */
export class AttributeTable<T extends object> {
  readonly #entries: readonly Entry[];
  readonly #byType: ReadonlyMap<number, Entry>;
  readonly #required: readonly Entry[];
  /** What missing attributes mean. Every decoded object begins as a copy, so that all have one shape. */
  readonly #fallbacks: Readonly<Record<string, unknown>>;
  readonly #slab = new Slab();

  /** @throws {RangeError} when two attributes have one number. */
  constructor(readonly name: string, attributes: Attributes<T>) {
    const typed: [string, Attribute<unknown>][] = Object.entries(attributes);
    this.#entries = typed
      .map(([key, attribute]) => ({
        key,
        attribute,
        struct: `${name} ${key}`,
        word: typeWord(SPACE.COMMON, attribute.number, attribute.critical),
      }))
      .sort((a, b) => a.attribute.number - b.attribute.number);
    this.#byType = new Map(this.#entries.map((entry) => [entry.attribute.number, entry]));
    if (this.#byType.size !== this.#entries.length) throw new RangeError(`Table ${name}: number used twice`);
    this.#required = this.#entries.filter(({ attribute }) => attribute.required);
    const given = typed.filter(([, { fallback }]) => fallback !== undefined);
    this.#fallbacks = Object.fromEntries(given.map(([key, { fallback }]) => [key, fallback]));
  }

  /** @throws {RangeError} when a value does not fit its attribute. */
  encode(values: T, opaque: readonly OpaqueAttribute[] = []): Uint8Array {
    const writer = scratch.clear();
    const source = values as Record<string, unknown>; // indexed by the keys of Attributes<T>
    for (const { key, word, attribute } of this.#entries) {
      const value = source[key];
      if (!attribute.isAbsent(value)) writeAttribute(writer, word, attribute.codec, value);
    }
    writeOpaque(writer, opaque);
    return this.#slab.copy(writer.viewFrom(0));
  }

  /** Byte runs are views of the input. @throws {DecodeError} when an attribute is malformed, missing, twice or out of order. */
  decode(bytes: Uint8Array): Decoded<T> {
    const reader = new Reader(bytes, this.name, "big");
    const values: Record<string, unknown> = { ...this.#fallbacks };
    const opaque: OpaqueAttribute[] = [];
    const unknown: string[] = [];
    let last = -1;
    while (reader.remaining > 0) {
      const word = reader.u16be();
      const length = reader.u16be();
      const type = word & ~CRITICAL;
      if (type <= last) throw new DecodeError(this.name, `${typeName(type)} is not in ascending order`);
      last = type;
      const entry = this.#byType.get(type);
      if (entry !== undefined) values[entry.key] = readValue(entry, word, reader, length);
      else if (isOpaque(type)) opaque.push(opaqueAttribute(word, reader.bytes(length)));
      else {
        reader.skip(length);
        if ((word & CRITICAL) !== 0) unknown.push(typeName(type));
      }
    }
    for (const { key, struct } of this.#required) {
      if (!(key in values)) throw new DecodeError(struct, "attribute is missing");
    }
    return { values: values as T, opaque, unknown }; // every member of T has an entry, and a value by now
  }

  /** Like `decode`, for forms that have no room for attributes of others. @throws {DecodeError} */
  decodeClosed(bytes: Uint8Array): T {
    const { values, opaque, unknown } = this.decode(bytes);
    if (opaque.length > 0 || unknown.length > 0) {
      throw new DecodeError(this.name, `unexpected ${unknown[0] ?? "attribute of a system"}`);
    }
    return values;
  }
}

function typeWord(space: number, number: number, critical: boolean): number {
  if (number < 0 || number > MAX_NUMBER) throw new RangeError(`Cannot encode attribute number ${number}`);
  return (critical ? CRITICAL : 0) | (space << NUMBER_BITS) | number;
}

function typeName(type: number): string {
  const space = type >> NUMBER_BITS;
  const name = Object.entries(SPACE).find(([, value]) => value === space)?.[0].toLowerCase();
  return `${name ?? `space ${space}`} attribute ${type & MAX_NUMBER}`;
}

function isOpaque(type: number): boolean {
  const space = type >> NUMBER_BITS;
  return space !== SPACE.COMMON && space <= SPACE.FREEBSD;
}

function opaqueAttribute(word: number, value: Uint8Array): OpaqueAttribute {
  // isOpaque has left only the spaces of systems
  const space = ((word & ~CRITICAL) >> NUMBER_BITS) as OpaqueAttribute["space"];
  return { space, type: word & MAX_NUMBER, critical: (word & CRITICAL) !== 0, value };
}

function readValue(
  { struct, word: expected, attribute }: Entry,
  word: number,
  reader: Reader,
  length: number,
) {
  if (word !== expected) throw new DecodeError(struct, "critical bit is wrong");
  const decoded = reader.within(length, struct, attribute.codec);
  if (attribute.isAbsent(decoded)) throw new DecodeError(struct, "states its default");
  return decoded;
}

function writeAttribute<T>(writer: Writer, word: number, codec: Codec<T>, value: T): void {
  writer.u16be(word).u16be(0);
  const start = writer.length;
  codec.write(writer, value);
  writer.patch(start - 2, "u16be", writer.length - start);
}

function writeOpaque(writer: Writer, opaque: readonly OpaqueAttribute[]): void {
  const sorted = opaque.toSorted((a, b) => a.space - b.space || a.type - b.type);
  for (const [i, { space, type, critical, value }] of sorted.entries()) {
    if (space === sorted[i - 1]?.space && type === sorted[i - 1]?.type) {
      throw new RangeError(`Cannot encode ${typeName(typeWord(space, type, false))} twice`);
    }
    writer.u16be(typeWord(space, type, critical)).u16be(value.length).bytes(value);
  }
}
