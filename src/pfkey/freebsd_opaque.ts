/**
 * What only FreeBSD has of an SA or a policy ↔ opaque attributes: the responder's original address of NAT-T, and
 * extensions that later kernels may have.
 */

import { type OpaqueAttribute, SPACE } from "../record/opaque.ts";
import { addAddress, addOpaque, readAddress } from "./extensions.ts";
import { FREEBSD_EXT, FREEBSD_EXT_MAX } from "./freebsd_numbers.ts";
import { ANY_PROTOCOL } from "./kame.ts";
import { type Extensions, type ExtensionWriter, type Platform, sadbExt, WORD_BYTES } from "./message.ts";
import { Refusal } from "./refusal.ts";

const OAR = FREEBSD_EXT.SADB_X_EXT_NAT_T_OAR;

/** First byte of an extension that is not known, which says in which order the others are. */
const ORDER_MARKS = { little: 1, big: 2 } as const;

/** The attributes of a message, ascending. @throws {DecodeError} */
export function readOpaque(extensions: Extensions, platform: Platform): OpaqueAttribute[] {
  const opaque: OpaqueAttribute[] = [];
  const responder = readAddress(extensions, OAR, platform);
  if (responder !== undefined) opaque.push(attribute(OAR, false, responder.address));
  for (const [type, extension] of [...extensions].toSorted(([a], [b]) => a - b)) {
    if (type <= FREEBSD_EXT_MAX) continue;
    const bytes = [ORDER_MARKS[platform.order], ...extension.subarray(sadbExt.size)];
    opaque.push(attribute(type, true, Uint8Array.from(bytes)));
  }
  return opaque;
}

function attribute(type: number, critical: boolean, value: Uint8Array): OpaqueAttribute {
  return { space: SPACE.FREEBSD, type, critical, value };
}

/** Whether a dump shows an attribute again that was written: the others have no place here. */
export function isOwn({ space }: OpaqueAttribute): boolean {
  return space === SPACE.FREEBSD;
}

/** Appends the extensions for a record's attributes. @throws {Refusal} for what cannot be honoured. */
export function addOpaques(writer: ExtensionWriter, opaque: readonly OpaqueAttribute[]): void {
  for (const { space, type, critical, value } of opaque) {
    if (space !== SPACE.FREEBSD) {
      if (critical) throw new Refusal(`attribute ${type} of another system cannot be honoured`);
    } else if (type === OAR && (value.length === 4 || value.length === 16)) {
      const prefixlen = value.length * 8;
      addAddress(writer, OAR, { proto: ANY_PROTOCOL, prefixlen, address: value, port: 0 });
    } else if (type > FREEBSD_EXT_MAX && isOfOrder(value, writer.platform)) {
      addOpaque(writer, type, value.subarray(1));
    } else throw new Refusal(`attribute ${type} of FreeBSD cannot be honoured`);
  }
}

/** Whether the value is of a machine of the same byte order, and of whole words. */
function isOfOrder(value: Uint8Array, { order }: Platform): boolean {
  return value[0] === ORDER_MARKS[order] && (value.length - 1 + sadbExt.size) % WORD_BYTES === 0;
}
