/**
 * Extensions that the record has no member for ↔ opaque attributes. NETLINK_XFRM has the same number space, so the
 * security context is kept in its form, which a back end of either kind can take, and all others by a number of
 * their own, by which they are refused.
 */

import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import { type OpaqueAttribute, SPACE } from "../record/opaque.ts";
import { LINUX_EXT, sadbXSecCtx } from "./linux_tables.ts";
import { type Extensions, type ExtensionWriter, type Platform } from "./message.ts";
import { Refusal } from "./refusal.ts";
import { unknownAttribute } from "./unknown_extensions.ts";

const XFRMA_SEC_CTX = 8;
/** Beyond all numbers of XFRM attributes. */
const FIRST_OWN_TYPE = 0x400;

const SPACE_NAMES = {
  [SPACE.LINUX]: "Linux",
  [SPACE.OPENBSD]: "OpenBSD",
  [SPACE.FREEBSD]: "FreeBSD",
} as const;

/** The extensions whose types are not in `known`, ascending. @throws {DecodeError} @throws {Refusal} */
export function readOpaque(
  extensions: Extensions,
  known: ReadonlySet<number>,
  platform: Platform,
): OpaqueAttribute[] {
  const opaque: OpaqueAttribute[] = [];
  for (const [type, extension] of extensions) {
    if (known.has(type)) continue;
    if (type === LINUX_EXT.SADB_X_EXT_SEC_CTX) {
      const value = contextToXfrm(extension, platform);
      opaque.push({ space: SPACE.LINUX, type: XFRMA_SEC_CTX, critical: true, value });
    } else opaque.push(unknownAttribute(SPACE.LINUX, FIRST_OWN_TYPE + type, extension, platform));
  }
  return opaque.sort((a, b) => a.type - b.type);
}

/** The attributes that `addOpaqueAttributes` writes; others are left out. */
export function keepOpaque(opaque: readonly OpaqueAttribute[]): OpaqueAttribute[] {
  return opaque.filter(({ critical }) => critical);
}

/**
 * Extensions of newer kernels are not written: one that has no such extension would pass over it in silence.
 *
 * @throws {Refusal} for a critical attribute that is not a security context.
 */
export function addOpaqueAttributes(writer: ExtensionWriter, opaque: readonly OpaqueAttribute[]): void {
  for (const { space, type, value } of keepOpaque(opaque)) {
    if (space === SPACE.LINUX && type === XFRMA_SEC_CTX) addContext(writer, value);
    else throw new Refusal(`attribute ${type} of ${SPACE_NAMES[space]} cannot be honoured`);
  }
}

/**
 * `struct sadb_x_sec_ctx` → `struct xfrm_user_sec_ctx`: u16 length in bytes, u16 type, then alike. Without zeros at its
 * end: the kernel adds one to whatever context it is given, so that it would grow with each copy.
 */
export function contextToXfrm(extension: Uint8Array, { order }: Platform): Uint8Array {
  const reader = new Reader(extension, sadbXSecCtx.name, order);
  const { alg, doi, ctxLen } = sadbXSecCtx.read(reader);
  const context = reader.bytes(ctxLen);
  const bytes = context.findLastIndex((byte) => byte !== 0) + 1;
  const writer = new Writer(order).u16(sadbXSecCtx.size + bytes).u16(XFRMA_SEC_CTX).u8(alg).u8(doi).u16(
    bytes,
  );
  return writer.bytes(context.subarray(0, bytes)).finish();
}

/** Adds SADB_X_EXT_SEC_CTX. @throws {Refusal} when the value is no `struct xfrm_user_sec_ctx` with its context. */
export function addContext(writer: ExtensionWriter, value: Uint8Array): void {
  const reader = new Reader(value, "xfrm_user_sec_ctx", writer.platform.order);
  if (value.length < sadbXSecCtx.size) throw new Refusal("security context is cut short");
  const lengthBytes = reader.u16();
  const type = reader.u16();
  const head = { alg: reader.u8(), doi: reader.u8(), ctxLen: reader.u16() };
  const context = reader.rest();
  if (lengthBytes !== value.length || type !== XFRMA_SEC_CTX || head.ctxLen !== context.length) {
    throw new Refusal("security context states another length or type than it has");
  }
  writer.add(LINUX_EXT.SADB_X_EXT_SEC_CTX, (w) => {
    sadbXSecCtx.write(w, head);
    w.bytes(context);
  });
}
