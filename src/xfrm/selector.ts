/** `struct xfrm_selector`, addresses, marks and opaque attributes, as SAs and policies share them. */

import { DecodeError } from "../errors.ts";
import type { ValuesOf } from "../layout/layout.ts";
import { attributeHead, type NetlinkAttributes, writeAttribute } from "../layout/netlink.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import { type Address, addressBits, type Family, familyOf, ipv4Of, isAnyAddress } from "../record/address.ts";
import { type OpaqueAttribute, SPACE } from "../record/opaque.ts";
import { type Mark, NO_MARK, type Selector } from "../record/sa.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  XFRMA_IPTFS_DONT_FRAG,
  XFRMA_IPTFS_DROP_TIME,
  XFRMA_IPTFS_INIT_DELAY,
  XFRMA_IPTFS_MAX_QSIZE,
  XFRMA_IPTFS_PKT_SIZE,
  XFRMA_IPTFS_REORDER_WINDOW,
  XFRMA_MARK,
  XFRMA_MTIMER_THRESH,
  XFRMA_NAT_KEEPALIVE_INTERVAL,
  XFRMA_SEC_CTX,
} from "./constants.ts";
import { Refusal } from "./refusal.ts";
import { xfrmMark, type xfrmSelector, xfrmUserSecCtx } from "./structs.ts";
import type { InterfaceNames } from "./surroundings.ts";

type SelectorValues = ValuesOf<typeof xfrmSelector>;

/** The family of an AF_ number; 0 for AF_UNSPEC. @throws {DecodeError} for another one. */
export function familyFromKernel(af: number, struct: string): Family {
  if (af === AF_INET) return 4;
  if (af === AF_INET6) return 6;
  if (af === AF_UNSPEC) return 0;
  throw new DecodeError(struct, `address family ${af}`);
}

export function familyToKernel(family: Family): number {
  return family === 0 ? AF_UNSPEC : family === 4 ? AF_INET : AF_INET6;
}

/** The address in the 16 bytes of an xfrm_address_t, no view of them; all of them where no family is stated. */
export function addressFromKernel(bytes: Uint8Array, family: Family): Address {
  if (family !== 4) return bytes.slice();
  return ipv4Of((bytes[0]! << 24 | bytes[1]! << 16 | bytes[2]! << 8 | bytes[3]!) >>> 0);
}

/** Interface index 0 is the empty name; one that is not there is named by its index, for the log. */
export function selectorFromKernel(values: SelectorValues, interfaces: InterfaceNames): Selector {
  const family = familyFromKernel(values.family, "xfrm_selector");
  const width = addressBits(family === 4 ? 4 : 6);
  if (values.prefixlenS > width || values.prefixlenD > width) {
    throw new DecodeError("xfrm_selector", "prefix is longer than the address");
  }
  const { ifindex } = values;
  return {
    family,
    src: family === 0 ? ipv4Of(0) : addressFromKernel(values.saddr, family),
    dst: family === 0 ? ipv4Of(0) : addressFromKernel(values.daddr, family),
    srcBits: values.prefixlenS,
    dstBits: values.prefixlenD,
    srcPort: values.sport,
    srcPortMask: values.sportMask,
    dstPort: values.dport,
    dstPortMask: values.dportMask,
    protocol: values.proto,
    ifname: ifindex === 0 ? "" : interfaces.nameOf(ifindex) ?? `if${ifindex}`,
    user: values.user,
  };
}

/** @throws {Refusal} when the portable selector cannot stand for this one. */
export function checkSelector(values: SelectorValues, interfaces: InterfaceNames): void {
  if (values.ifindex !== 0 && interfaces.nameOf(values.ifindex) === undefined) {
    throw new Refusal(`interface ${values.ifindex} of the selector does not exist`);
  }
  if (values.family === AF_UNSPEC && !(isAnyAddress(values.saddr) && isAnyAddress(values.daddr))) {
    throw new Refusal("selector has addresses without a family");
  }
}

/** @throws {Refusal} when the selector names an interface that does not exist here. */
export function selectorToKernel(selector: Selector, interfaces: InterfaceNames): SelectorValues {
  const ifindex = selector.ifname === "" ? 0 : interfaces.indexOf(selector.ifname);
  if (ifindex === undefined) throw new Refusal(`interface ${selector.ifname} of the selector does not exist`);
  return {
    daddr: selector.dst,
    saddr: selector.src,
    dport: selector.dstPort,
    dportMask: selector.dstPortMask,
    sport: selector.srcPort,
    sportMask: selector.srcPortMask,
    family: familyToKernel(selector.family),
    prefixlenD: selector.dstBits,
    prefixlenS: selector.srcBits,
    proto: selector.protocol,
    ifindex,
    user: selector.user,
  };
}

/** XFRMA_MARK; a missing one is no mark. */
export function readMark(attributes: NetlinkAttributes): Mark {
  const value = attributes.get(XFRMA_MARK);
  if (value === undefined) return NO_MARK;
  const { v, m } = xfrmMark.read(new Reader(value, xfrmMark.name));
  return { value: v, mask: m };
}

export function writeMark(writer: Writer, { value, mask }: Mark): void {
  if (value === 0 && mask === 0) return;
  xfrmMark.write(attributeHead(writer, XFRMA_MARK, xfrmMark.size), { v: value, m: mask });
}

/** The u32 of an attribute, 0 when it is missing. */
export function readU32(attributes: NetlinkAttributes, type: number): number {
  const value = attributes.get(type);
  return value === undefined ? 0 : new Reader(value, `attribute ${type}`).u32();
}

/**
 * Attributes that a kernel may ignore without harm: how often it tells or keeps alive, and the tuning of IPTFS,
 * which a kernel that takes that mode knows.
 */
const NOT_CRITICAL: ReadonlySet<number> = new Set([
  XFRMA_MTIMER_THRESH,
  XFRMA_NAT_KEEPALIVE_INTERVAL,
  XFRMA_IPTFS_DROP_TIME,
  XFRMA_IPTFS_REORDER_WINDOW,
  XFRMA_IPTFS_DONT_FRAG,
  XFRMA_IPTFS_INIT_DELAY,
  XFRMA_IPTFS_MAX_QSIZE,
  XFRMA_IPTFS_PKT_SIZE,
]);

/** The attributes whose types are not in `known`, ascending. */
export function readOpaque(attributes: NetlinkAttributes, known: ReadonlySet<number>): OpaqueAttribute[] {
  const opaque: OpaqueAttribute[] = [];
  for (const [type, value] of attributes) {
    if (known.has(type)) continue;
    const kept = type === XFRMA_SEC_CTX ? contextFromKernel(value) : value.slice();
    opaque.push({ space: SPACE.LINUX, type, critical: !NOT_CRITICAL.has(type), value: kept });
  }
  return opaque.sort((a, b) => a.type - b.type);
}

/**
 * XFRMA_SEC_CTX without zeros at its end: the kernel adds one to whatever context it is given, so that it would grow
 * with each copy (security/selinux/xfrm.c, selinux_xfrm_alloc_user).
 */
export function contextFromKernel(value: Uint8Array): Uint8Array {
  const length = Math.max(value.findLastIndex((byte) => byte !== 0) + 1, xfrmUserSecCtx.size);
  if (value.length < length) return value.slice();
  const head = xfrmUserSecCtx.read(new Reader(value.subarray(0, xfrmUserSecCtx.size), xfrmUserSecCtx.name));
  if (head.ctxLen !== value.length - xfrmUserSecCtx.size) return value.slice();
  const writer = new Writer();
  xfrmUserSecCtx.write(writer, { ...head, len: length, ctxLen: length - xfrmUserSecCtx.size });
  return writer.bytes(value.subarray(xfrmUserSecCtx.size, length)).finish();
}

/** @throws {Refusal} when one cannot be honoured, or would stand in for a member of the record. */
export function writeOpaque(
  writer: Writer,
  opaque: readonly OpaqueAttribute[],
  known: ReadonlySet<number>,
): void {
  for (const { space, type, critical, value } of opaque) {
    if (space === SPACE.LINUX && !known.has(type)) writeAttribute(writer, type, value);
    else if (critical || space === SPACE.LINUX) {
      throw new Refusal(`attribute ${type} of ${SPACE_NAMES[space]} cannot be honoured`);
    }
  }
}

const SPACE_NAMES = {
  [SPACE.LINUX]: "Linux",
  [SPACE.OPENBSD]: "OpenBSD",
  [SPACE.FREEBSD]: "FreeBSD",
} as const;

/** @throws {Refusal} when an address is not of the family that the kernel will take it for. */
export function checkFamily(family: Family, addresses: readonly Address[]): void {
  if (family !== 0 && addresses.some((address) => familyOf(address) !== family)) {
    throw new Refusal("addresses of different families");
  }
}
