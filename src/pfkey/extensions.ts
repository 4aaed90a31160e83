/**
 * The extensions of RFC 2367 as layouts, and how each is read and written. Every layout is the whole C struct with
 * its header of four bytes. All dialects use these; what only one has is in its own files.
 */

import { DecodeError } from "../errors.ts";
import { Layout, pad, u16, u32, u32be, u64, u8, type ValuesOf } from "../layout/layout.ts";
import { Reader } from "../layout/reader.ts";
import { Slab } from "../layout/slab.ts";
import { addressBits, familyOf } from "../record/address.ts";
import { type Extensions, type ExtensionWriter, type Platform, WORD_BYTES } from "./message.ts";
import { type Endpoint, readSockaddr, writeSockaddr } from "./sockaddr.ts";

/** Extension numbers that all systems share. */
export const SADB_EXT = {
  SADB_EXT_SA: 1,
  SADB_EXT_LIFETIME_CURRENT: 2,
  SADB_EXT_LIFETIME_HARD: 3,
  SADB_EXT_LIFETIME_SOFT: 4,
  SADB_EXT_ADDRESS_SRC: 5,
  SADB_EXT_ADDRESS_DST: 6,
  SADB_EXT_ADDRESS_PROXY: 7,
  SADB_EXT_KEY_AUTH: 8,
  SADB_EXT_KEY_ENCRYPT: 9,
  SADB_EXT_IDENTITY_SRC: 10,
  SADB_EXT_IDENTITY_DST: 11,
  SADB_EXT_SENSITIVITY: 12,
  SADB_EXT_PROPOSAL: 13,
  SADB_EXT_SUPPORTED_AUTH: 14,
  SADB_EXT_SUPPORTED_ENCRYPT: 15,
  SADB_EXT_SPIRANGE: 16,
} as const;

/** `struct sadb_sa`. `spi` is in network order; what `replay` counts, and `flags`, differ by system. */
export const sadbSa = new Layout("sadb_sa", 16, {
  head: pad(4),
  spi: u32be,
  replay: u8,
  state: u8,
  auth: u8,
  encrypt: u8,
  flags: u32,
});

/** `struct sadb_lifetime`: CURRENT, HARD, SOFT. Times are seconds, in CURRENT since 1970. */
export const sadbLifetime = new Layout("sadb_lifetime", 32, {
  head: pad(4),
  allocations: u32,
  bytes: u64,
  addtime: u64,
  usetime: u64,
});

/** `struct sadb_address`; a socket address follows. OpenBSD has zeros for `proto` and `prefixlen`. */
export const sadbAddress = new Layout("sadb_address", 8, {
  head: pad(4),
  proto: u8,
  prefixlen: u8,
  reserved: pad(2),
});

/** `struct sadb_key`; the key follows. */
export const sadbKey = new Layout("sadb_key", 8, { head: pad(4), bits: u16, reserved: pad(2) });

/** `struct sadb_ident`; text with a zero byte follows. */
export const sadbIdent = new Layout("sadb_ident", 16, { head: pad(4), type: u16, reserved: pad(2), id: u64 });

/** `struct sadb_spirange`; `min` and `max` are in host order, unlike SPIs elsewhere. */
export const sadbSpirange = new Layout("sadb_spirange", 16, {
  head: pad(4),
  min: u32,
  max: u32,
  reserved: pad(4),
});

/** States of an SA; a larval one has an SPI and no keys. */
export const SADB_SASTATE = { LARVAL: 0, MATURE: 1, DYING: 2, DEAD: 3 } as const;

/** One address extension. */
export interface AddressExtension extends Endpoint {
  readonly proto: number;
  readonly prefixlen: number;
}

/** A key; `key` is exactly `bits / 8` bytes, a copy. */
export interface KeyExtension {
  readonly bits: number;
  readonly key: Uint8Array;
}

/** An identity. */
export interface IdentityExtension {
  readonly type: number;
  readonly id: bigint;
  /** Without the zero byte that ends it. */
  readonly text: Uint8Array;
}

/** A layout of a whole extension. */
interface Struct<T> {
  readonly name: string;
  read(reader: Reader): T;
}

/** The struct of extension `type`, which fills it; undefined when it is missing. @throws {DecodeError} */
export function readStruct<T>(
  extensions: Extensions,
  type: number,
  layout: Struct<T>,
  { order }: Platform,
): T | undefined {
  const extension = extensions.get(type);
  if (extension === undefined) return undefined;
  const reader = new Reader(extension, layout.name, order);
  const values = layout.read(reader);
  reader.end();
  return values;
}

/** As `readStruct` of an extension that has to be there. @throws {DecodeError} */
export function requireStruct<T>(
  extensions: Extensions,
  type: number,
  layout: Struct<T>,
  platform: Platform,
): T {
  const values = readStruct(extensions, type, layout, platform);
  if (values === undefined) throw new DecodeError(layout.name, `extension ${type} is missing`);
  return values;
}

/** An address; undefined when the extension is missing or has family 0. @throws {DecodeError} */
export function readAddress(
  extensions: Extensions,
  type: number,
  platform: Platform,
): AddressExtension | undefined {
  const extension = extensions.get(type);
  if (extension === undefined) return undefined;
  const reader = new Reader(extension, sadbAddress.name, platform.order);
  const head = sadbAddress.read(reader);
  const endpoint = readSockaddr(reader, platform);
  endPadded(reader);
  if (endpoint === undefined) return undefined;
  if (head.prefixlen > addressBits(familyOf(endpoint.address))) {
    throw new DecodeError(sadbAddress.name, "prefix is longer than the address");
  }
  return { ...head, ...endpoint };
}

/** As `readAddress` of an extension that has to be there. @throws {DecodeError} */
export function requireAddress(extensions: Extensions, type: number, platform: Platform): AddressExtension {
  const address = readAddress(extensions, type, platform);
  if (address === undefined) throw new DecodeError(sadbAddress.name, `extension ${type} is missing`);
  return address;
}

/** A dump holds as many as there are SAs. */
const keys = new Slab();

/** A key; undefined when the extension is missing. @throws {DecodeError} also for bits that fill no bytes. */
export function readKey(
  extensions: Extensions,
  type: number,
  { order }: Platform,
): KeyExtension | undefined {
  const extension = extensions.get(type);
  if (extension === undefined) return undefined;
  const reader = new Reader(extension, sadbKey.name, order);
  const { bits } = sadbKey.read(reader);
  if (bits % 8 !== 0) throw new DecodeError(sadbKey.name, `key of ${bits} bits`);
  const key = keys.copy(reader.bytes(bits / 8));
  endPadded(reader);
  return { bits, key };
}

/** An identity; undefined when the extension is missing. @throws {DecodeError} */
export function readIdentity(
  extensions: Extensions,
  type: number,
  { order }: Platform,
): IdentityExtension | undefined {
  const extension = extensions.get(type);
  if (extension === undefined) return undefined;
  const reader = new Reader(extension, sadbIdent.name, order);
  const head = sadbIdent.read(reader);
  const rest = reader.rest();
  const end = rest.indexOf(0);
  if (end < 0 && rest.length > 0) throw new DecodeError(sadbIdent.name, "text has no end");
  return { ...head, text: rest.slice(0, Math.max(0, end)) };
}

/** @throws {DecodeError} when more is left than the padding of a last word. */
function endPadded(reader: Reader): void {
  reader.align(WORD_BYTES);
  reader.end();
}

export function addSa(writer: ExtensionWriter, values: ValuesOf<typeof sadbSa>): void {
  writer.add(SADB_EXT.SADB_EXT_SA, (w) => sadbSa.write(w, values));
}

export function addLifetime(
  writer: ExtensionWriter,
  type: number,
  values: ValuesOf<typeof sadbLifetime>,
): void {
  writer.add(type, (w) => sadbLifetime.write(w, values));
}

/** On OpenBSD `proto` and `prefixlen` have to be 0. */
export function addAddress(
  writer: ExtensionWriter,
  type: number,
  { proto, prefixlen, ...endpoint }: AddressExtension,
): void {
  writer.add(type, (w) => {
    sadbAddress.write(w, { proto, prefixlen });
    writeSockaddr(w, endpoint, writer.platform);
  });
}

export function addKey(writer: ExtensionWriter, type: number, key: Uint8Array): void {
  writer.add(type, (w) => {
    sadbKey.write(w, { bits: key.length * 8 });
    w.bytes(key);
  });
}

export function addIdentity(
  writer: ExtensionWriter,
  type: number,
  { text, ...head }: IdentityExtension,
): void {
  writer.add(type, (w) => {
    sadbIdent.write(w, head);
    if (text.length > 0) w.bytes(text).u8(0);
  });
}

/** An extension kept as it came: `value` is all of it but the header. */
export function addOpaque(writer: ExtensionWriter, type: number, value: Uint8Array): void {
  writer.add(type, (w) => w.zeros(4).bytes(value));
}
