/**
 * What only FreeBSD has of an SA or a policy ↔ opaque attributes: the responder's original address of NAT-T, and
 * extensions that later kernels may have.
 */

import { type OpaqueAttribute, SPACE } from "../record/opaque.ts";
import { addAddress, readAddress } from "./extensions.ts";
import { FREEBSD_EXT, FREEBSD_EXT_MAX } from "./freebsd_numbers.ts";
import { ANY_PROTOCOL } from "./kame.ts";
import { type Extensions, type ExtensionWriter, type Platform } from "./message.ts";
import { Refusal } from "./refusal.ts";
import { addUnknown, unknownAttribute } from "./unknown_extensions.ts";

const OAR = FREEBSD_EXT.SADB_X_EXT_NAT_T_OAR;

/** The attributes of a message, ascending. @throws {DecodeError} @throws {Refusal} */
export function readOpaque(extensions: Extensions, platform: Platform): OpaqueAttribute[] {
  const opaque: OpaqueAttribute[] = [];
  const responder = readAddress(extensions, OAR, platform);
  if (responder !== undefined) {
    opaque.push({ space: SPACE.FREEBSD, type: OAR, critical: false, value: responder.address });
  }
  for (const [type, extension] of [...extensions].toSorted(([a], [b]) => a - b)) {
    if (type > FREEBSD_EXT_MAX) opaque.push(unknownAttribute(SPACE.FREEBSD, type, extension, platform));
  }
  return opaque;
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
    } else if (type <= FREEBSD_EXT_MAX || !addUnknown(writer, type, value)) {
      throw new Refusal(`attribute ${type} of FreeBSD cannot be honoured`);
    }
  }
}
