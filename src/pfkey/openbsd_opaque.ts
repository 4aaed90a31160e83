/**
 * What only OpenBSD has of an SA or a flow ↔ opaque attributes. The values are in network order, not as the kernel
 * has them, so that gateways of different byte order understand each other.
 */

import { DecodeError } from "../errors.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import { type OpaqueAttribute, SPACE } from "../record/opaque.ts";
import { addIdentity, readIdentity, readStruct, SADB_EXT } from "./extensions.ts";
import { type Extensions, type ExtensionWriter, type Platform } from "./message.ts";
import { OPENBSD_EXT, SADB_EXT_MAX, sadbXIface, sadbXTag, sadbXTap } from "./openbsd_constants.ts";
import { Refusal } from "./refusal.ts";
import { addUnknown, unknownAttribute } from "./unknown_extensions.ts";

/** An extension that travels as an opaque attribute of the same number. */
interface Kind {
  /** Whether a system that cannot honour it has to refuse the record. */
  readonly critical: boolean;
  read(extensions: Extensions, type: number, platform: Platform): Uint8Array | undefined;
  /** @throws {DecodeError} for a value that has not this shape. */
  write(writer: ExtensionWriter, type: number, value: Reader): void;
}

const IDENTITY: Kind = {
  critical: false,
  read(extensions, type, platform) {
    const identity = readIdentity(extensions, type, platform);
    if (identity === undefined) return undefined;
    return new Writer("big").u16(identity.type).u64(identity.id).bytes(identity.text).finish();
  },
  write(writer, type, value) {
    addIdentity(writer, type, { type: value.u16(), id: value.u64(), text: textOf(value) });
  },
};

/** The rest of an attribute, text that a zero byte will end. @throws {DecodeError} when there is one within. */
function textOf(value: Reader): Uint8Array {
  const text = value.rest();
  if (text.includes(0)) throw new DecodeError(value.struct, "text with a zero byte");
  return text;
}

const TAG: Kind = {
  critical: false,
  read(extensions, type, { order }) {
    const extension = extensions.get(type);
    if (extension === undefined) return undefined;
    const reader = new Reader(extension, sadbXTag.name, order);
    const { taglen } = sadbXTag.read(reader);
    const name = reader.bytes(taglen);
    if (taglen === 0 || name.indexOf(0) !== taglen - 1) {
      throw new DecodeError(sadbXTag.name, "name has no end");
    }
    return name.slice(0, -1);
  },
  write(writer, type, value) {
    const name = textOf(value);
    writer.add(type, (w) => {
      sadbXTag.write(w, { taglen: name.length + 1 });
      w.bytes(name).u8(0);
    });
  },
};

const TAP: Kind = {
  critical: false,
  read(extensions, type, platform) {
    const tap = readStruct(extensions, type, sadbXTap, platform);
    if (tap === undefined || tap.unit === 0) return undefined; // 0 is none: the kernel does not show it
    return new Writer("big").u32(tap.unit).finish();
  },
  write: (writer, type, value) => void writer.add(type, (w) => sadbXTap.write(w, { unit: value.u32() })),
};

/** The SA belongs to one interface, and only packets routed there use it. */
const IFACE: Kind = {
  critical: true,
  read(extensions, type, platform) {
    const iface = readStruct(extensions, type, sadbXIface, platform);
    return iface && new Writer("big").u32(iface.unit).u8(iface.direction).finish();
  },
  write(writer, type, value) {
    writer.add(type, (w) => sadbXIface.write(w, { unit: value.u32(), direction: value.u8() }));
  },
};

const KINDS: ReadonlyMap<number, Kind> = new Map([
  [SADB_EXT.SADB_EXT_IDENTITY_SRC, IDENTITY],
  [SADB_EXT.SADB_EXT_IDENTITY_DST, IDENTITY],
  [OPENBSD_EXT.SADB_X_EXT_TAG, TAG],
  [OPENBSD_EXT.SADB_X_EXT_TAP, TAP],
  [OPENBSD_EXT.SADB_X_EXT_IFACE, IFACE],
]);

/** An attribute of OpenBSD's space. */
export function opaqueOf(type: number, critical: boolean, value: Uint8Array): OpaqueAttribute {
  return { space: SPACE.OPENBSD, type, critical, value };
}

/** The attributes for the extensions of these kinds, and for those of later kernels, ascending. @throws {DecodeError} @throws {Refusal} */
export function readOpaque(extensions: Extensions, platform: Platform): OpaqueAttribute[] {
  const opaque: OpaqueAttribute[] = [];
  for (const [type, extension] of extensions) {
    const kind = KINDS.get(type);
    const value = kind?.read(extensions, type, platform);
    if (kind !== undefined && value !== undefined) opaque.push(opaqueOf(type, kind.critical, value));
    else if (type > SADB_EXT_MAX) opaque.push(unknownAttribute(SPACE.OPENBSD, type, extension, platform));
  }
  return sortByType(opaque);
}

export function sortByType(opaque: OpaqueAttribute[]): OpaqueAttribute[] {
  return opaque.sort((a, b) => a.type - b.type);
}

/**
 * Appends the extensions for a record's attributes. Those of other systems are left out where they may be.
 *
 * @param handled numbers of attributes that somebody else writes.
 * @throws {Refusal} for what cannot be honoured.
 */
export function addOpaques(
  writer: ExtensionWriter,
  opaque: readonly OpaqueAttribute[],
  handled: readonly number[],
): void {
  for (const { space, type, critical, value } of opaque) {
    if (space !== SPACE.OPENBSD) {
      if (critical) throw new Refusal(`attribute ${type} of another system cannot be honoured`);
    } else if (!handled.includes(type)) addOne(writer, type, value);
  }
}

function addOne(writer: ExtensionWriter, type: number, value: Uint8Array): void {
  const kind = KINDS.get(type);
  if (kind !== undefined) return decoded(type, value, (reader) => kind.write(writer, type, reader));
  if (type <= SADB_EXT_MAX || !addUnknown(writer, type, value)) {
    throw new Refusal(`attribute ${type} of OpenBSD cannot be honoured`);
  }
}

/** What the attribute of that number says; undefined when it is missing. @throws {Refusal} when it is malformed. */
export function openbsdValue<T>(
  opaque: readonly OpaqueAttribute[],
  type: number,
  read: (reader: Reader) => T,
): T | undefined {
  const found = opaque.find((attribute) => attribute.space === SPACE.OPENBSD && attribute.type === type);
  return found && decoded(type, found.value, read);
}

/** Reads an attribute's value, which came from a peer. @throws {Refusal} when it has not the shape it should have. */
function decoded<T>(type: number, value: Uint8Array, read: (reader: Reader) => T): T {
  const reader = new Reader(value, `attribute ${type}`, "big");
  try {
    const result = read(reader);
    reader.end();
    return result;
  } catch (error) {
    if (error instanceof DecodeError) throw new Refusal(error.message);
    throw error;
  }
}
