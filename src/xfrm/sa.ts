/** NEWSA's payload (`xfrm_usersa_info` and attributes) ↔ the portable SA. Used by dump, events and apply. */

import { attributeHead, type NetlinkAttributes, readBody, writeAttributeU32 } from "../layout/netlink.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import type { ValuesOf } from "../layout/layout.ts";
import {
  type Encapsulation,
  type Mark,
  PROTOCOL,
  type Protocol,
  type Sa,
  SA_DIRECTION,
  SA_FLAG,
  type SaCounters,
  type SaIdentity,
  saKey,
} from "../record/sa.ts";
import { familyOf } from "../record/address.ts";
import { agesFromDates, datesFromAges } from "../record/age.ts";
import {
  XFRM_SA_XFLAG_DONT_ENCAP_DSCP,
  XFRM_SA_XFLAG_OSEQ_MAY_WRAP,
  XFRMA_ALG_AEAD,
  XFRMA_ALG_AUTH,
  XFRMA_ALG_AUTH_TRUNC,
  XFRMA_ALG_COMP,
  XFRMA_ALG_CRYPT,
  XFRMA_COADDR,
  XFRMA_ENCAP,
  XFRMA_ETIMER_THRESH,
  XFRMA_IF_ID,
  XFRMA_LASTUSED,
  XFRMA_LTIME_VAL,
  XFRMA_MARK,
  XFRMA_OFFLOAD_DEV,
  XFRMA_PAD,
  XFRMA_REPLAY_ESN_VAL,
  XFRMA_REPLAY_THRESH,
  XFRMA_REPLAY_VAL,
  XFRMA_SA_DIR,
  XFRMA_SA_EXTRA_FLAGS,
  XFRMA_SET_MARK,
  XFRMA_SET_MARK_MASK,
  XFRMA_TFCPAD,
} from "./constants.ts";
import { limitsFromKernel, limitsToKernel, NO_LIFETIME } from "./lifetime.ts";
import { type Encoded, encodeOrRefuse, Refusal } from "./refusal.ts";
import { isLongReplay, readReplay, writeReplay } from "./replay.ts";
import { readAlgorithms, writeAlgorithms } from "./sa_algorithms.ts";
import {
  addressFromKernel,
  checkFamily,
  checkSelector,
  familyFromKernel,
  familyToKernel,
  readMark,
  readOpaque,
  readU32,
  selectorFromKernel,
  selectorToKernel,
  writeMark,
  writeOpaque,
} from "./selector.ts";
import { xfrmAddress, xfrmEncapTmpl, xfrmLifetimeCur, xfrmUsersaInfo } from "./structs.ts";
import type { Surroundings } from "./surroundings.ts";

type UsersaInfo = ValuesOf<typeof xfrmUsersaInfo>;

/** What a message of the kernel about an SA turned out to be. */
export type SaReading =
  /** `offloaded`: a device does the work; that is not part of the record. */
  | { readonly kind: "sa"; readonly sa: Sa; readonly offloaded: boolean }
  /** No keys yet. */
  | { readonly kind: "larval" }
  /** Of a protocol that is not synchronised. */
  | { readonly kind: "other-protocol" }
  /** Cannot be expressed; `what` is its identity as a string. */
  | { readonly kind: "refused"; readonly what: string; readonly reason: string };

/** Attributes that the record has members for, or that are left out of it. */
const KNOWN: ReadonlySet<number> = new Set([
  ...[XFRMA_ALG_AEAD, XFRMA_ALG_AUTH, XFRMA_ALG_AUTH_TRUNC, XFRMA_ALG_COMP, XFRMA_ALG_CRYPT],
  ...[XFRMA_ENCAP, XFRMA_COADDR, XFRMA_MARK, XFRMA_SET_MARK, XFRMA_SET_MARK_MASK, XFRMA_IF_ID, XFRMA_TFCPAD],
  ...[XFRMA_SA_EXTRA_FLAGS, XFRMA_SA_DIR, XFRMA_REPLAY_VAL, XFRMA_REPLAY_ESN_VAL, XFRMA_LTIME_VAL],
  ...[XFRMA_LASTUSED, XFRMA_PAD, XFRMA_OFFLOAD_DEV, XFRMA_REPLAY_THRESH, XFRMA_ETIMER_THRESH],
]);

/** The bits that `xfrm_usersa_info.flags` has; SA_FLAG numbers them alike. */
const STATE_FLAGS = 0xff;
const EXTRA_FLAGS: readonly (readonly [kernel: number, ours: number])[] = [
  [XFRM_SA_XFLAG_DONT_ENCAP_DSCP, SA_FLAG.DONT_ENCAP_DSCP],
  [XFRM_SA_XFLAG_OSEQ_MAY_WRAP, SA_FLAG.OSEQ_MAY_WRAP],
];
const KNOWN_FLAGS = STATE_FLAGS | SA_FLAG.LONG_REPLAY |
  EXTRA_FLAGS.reduce((bits, [, ours]) => bits | ours, 0);

/** The synchronised protocol of that number, or undefined. */
export function protocolFromKernel(proto: number): Protocol | undefined {
  return Object.values(PROTOCOL).find((protocol) => protocol === proto);
}

/**
 * Decodes the payload of NEWSA or UPDSA, as dumps, answers and events have it.
 *
 * @throws {DecodeError} when the bytes have not the shape that the kernel gives them.
 */
export function decodeSa(body: Uint8Array, surroundings: Surroundings): SaReading {
  const { head: info, attributes } = readBody(body, xfrmUsersaInfo);
  const id = saIdentity(info, attributes);
  if (id === undefined) return { kind: "other-protocol" };
  if (isLarval(id, attributes)) return { kind: "larval" };
  try {
    const sa = readSa(info, id, attributes, surroundings);
    return { kind: "sa", sa, offloaded: attributes.has(XFRMA_OFFLOAD_DEV) };
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", what: saKey(id), reason: error.message };
    throw error;
  }
}

/** The mark of the SA in a payload of NEWSA. @throws {DecodeError} */
export function decodeSaMark(body: Uint8Array): Mark {
  return readMark(readBody(body, xfrmUsersaInfo).attributes);
}

/** Names the SA; undefined for a protocol that is not synchronised. @throws {DecodeError} */
export function saIdentity(
  { id, family }: Pick<UsersaInfo, "id" | "family">,
  attributes: NetlinkAttributes,
): SaIdentity | undefined {
  const protocol = protocolFromKernel(id.proto);
  if (protocol === undefined) return undefined;
  const dst = addressFromKernel(id.daddr, familyFromKernel(family, xfrmUsersaInfo.name));
  return { dst, protocol, spi: id.spi, mark: readMark(attributes), rdomain: 0 };
}

/** Messages do not tell the state, but only a larval SA has no algorithm at all: null ones are stated. */
function isLarval({ protocol, spi }: SaIdentity, attributes: NetlinkAttributes): boolean {
  if (spi === 0) return true;
  if (protocol === PROTOCOL.IPCOMP) return !attributes.has(XFRMA_ALG_COMP);
  const kinds = [XFRMA_ALG_AEAD, XFRMA_ALG_AUTH, XFRMA_ALG_AUTH_TRUNC, XFRMA_ALG_CRYPT];
  return !kinds.some((type) => attributes.has(type));
}

function readSa(
  info: UsersaInfo,
  id: SaIdentity,
  attributes: NetlinkAttributes,
  { nowSeconds, interfaces }: Surroundings,
): Sa {
  checkSelector(info.sel, interfaces);
  const family = familyFromKernel(info.family, xfrmUsersaInfo.name);
  const { soft, hard } = limitsFromKernel(info.lft);
  const { window, long, ...replay } = readReplay(attributes, info.replayWindow);
  const { bytes, packets } = info.curlft;
  const counters: SaCounters = {
    ...replay,
    bytes,
    packets,
    ...agesFromDates(info.curlft, hard, nowSeconds),
  };
  const careOf = attributes.get(XFRMA_COADDR);
  return {
    ...id,
    src: addressFromKernel(info.saddr, family),
    mode: info.mode,
    reqid: info.reqid,
    selector: selectorFromKernel(info.sel, interfaces),
    ...readAlgorithms(attributes),
    replayWindow: window,
    flags: info.flags | readExtraFlags(attributes) | (long ? SA_FLAG.LONG_REPLAY : 0),
    encapsulation: readEncapsulation(attributes),
    careOf: careOf && addressFromKernel(xfrmAddress.read(new Reader(careOf, "XFRMA_COADDR")), family),
    outputMark: readOutputMark(attributes),
    interfaceId: readU32(attributes, XFRMA_IF_ID),
    tfcPadding: readU32(attributes, XFRMA_TFCPAD),
    direction: readDirection(attributes),
    soft,
    hard,
    counters,
    opaque: readOpaque(attributes, KNOWN),
  };
}

function readExtraFlags(attributes: NetlinkAttributes): number {
  let rest = readU32(attributes, XFRMA_SA_EXTRA_FLAGS);
  let flags = 0;
  for (const [kernel, ours] of EXTRA_FLAGS) {
    if ((rest & kernel) !== 0) flags |= ours;
    rest &= ~kernel;
  }
  if (rest !== 0) throw new Refusal(`unknown extra flags 0x${(rest >>> 0).toString(16)}`);
  return flags;
}

function readEncapsulation(attributes: NetlinkAttributes): Encapsulation | undefined {
  const value = attributes.get(XFRMA_ENCAP);
  if (value === undefined) return undefined;
  const { type, sport, dport, oa } = xfrmEncapTmpl.read(new Reader(value, "XFRMA_ENCAP"));
  return { type, srcPort: sport, dstPort: dport, original: oa.slice() };
}

/** Without a mask the kernel sets the whole mark. */
function readOutputMark(attributes: NetlinkAttributes): Mark | undefined {
  if (!attributes.has(XFRMA_SET_MARK)) return undefined;
  const mask = attributes.has(XFRMA_SET_MARK_MASK) ? readU32(attributes, XFRMA_SET_MARK_MASK) : 0xffffffff;
  return { value: readU32(attributes, XFRMA_SET_MARK), mask };
}

function readDirection(attributes: NetlinkAttributes): number {
  const value = attributes.get(XFRMA_SA_DIR);
  return value === undefined ? SA_DIRECTION.NONE : new Reader(value, "XFRMA_SA_DIR").u8();
}

/** Encodes the payload of NEWSA, counters and ages included, behind what `writer` has. */
export function encodeSa(sa: Sa, surroundings: Surroundings, writer: Writer = new Writer()): Encoded {
  return encodeOrRefuse(writer, () => {
    checkExpressible(sa);
    writeInfo(writer, sa, surroundings);
    writeAlgorithms(writer, sa);
    writeReplay(writer, sa);
    writeLifetime(writer, sa.counters, surroundings.nowSeconds);
    writeMark(writer, sa.mark);
    writeOptional(writer, sa);
    writeOpaque(writer, sa.opaque, KNOWN);
  });
}

function checkExpressible(sa: Sa): void {
  if (sa.rdomain !== 0) throw new Refusal("Linux has no routing domains");
  if ((sa.flags & ~KNOWN_FLAGS) !== 0) throw new Refusal(`unknown flags 0x${sa.flags.toString(16)}`);
  checkFamily(familyOf(sa.dst), [sa.src, sa.careOf ?? sa.dst]);
}

function writeInfo(writer: Writer, sa: Sa, { interfaces }: Surroundings): void {
  xfrmUsersaInfo.write(writer, {
    sel: selectorToKernel(sa.selector, interfaces),
    id: { daddr: sa.dst, spi: sa.spi, proto: sa.protocol },
    saddr: sa.src,
    lft: limitsToKernel(sa.soft, sa.hard),
    curlft: NO_LIFETIME,
    stats: { replayWindow: 0, replay: 0, integrityFailed: 0 },
    seq: 0,
    reqid: sa.reqid,
    family: familyToKernel(familyOf(sa.dst)),
    mode: sa.mode,
    replayWindow: isLongReplay(sa) ? 0 : sa.replayWindow,
    flags: sa.flags & STATE_FLAGS,
  });
}

function writeLifetime(writer: Writer, counters: SaCounters, nowSeconds: number): void {
  attributeHead(writer, XFRMA_LTIME_VAL, xfrmLifetimeCur.size);
  const { bytes, packets } = counters;
  xfrmLifetimeCur.write(writer, { bytes, packets, ...datesFromAges(counters, nowSeconds) });
}

function writeOptional(writer: Writer, sa: Sa): void {
  const extra = EXTRA_FLAGS.reduce((bits, [kernel, ours]) => (sa.flags & ours) ? bits | kernel : bits, 0);
  if (extra !== 0) writeAttributeU32(writer, XFRMA_SA_EXTRA_FLAGS, extra);
  if (sa.encapsulation !== undefined) writeEncapsulation(writer, sa.encapsulation);
  if (sa.careOf !== undefined) {
    xfrmAddress.write(attributeHead(writer, XFRMA_COADDR, xfrmAddress.size), sa.careOf);
  }
  if (sa.outputMark !== undefined) {
    writeAttributeU32(writer, XFRMA_SET_MARK, sa.outputMark.value);
    writeAttributeU32(writer, XFRMA_SET_MARK_MASK, sa.outputMark.mask);
  }
  if (sa.interfaceId !== 0) writeAttributeU32(writer, XFRMA_IF_ID, sa.interfaceId);
  if (sa.tfcPadding !== 0) writeAttributeU32(writer, XFRMA_TFCPAD, sa.tfcPadding);
  if (sa.direction !== SA_DIRECTION.NONE) attributeHead(writer, XFRMA_SA_DIR, 1).u8(sa.direction).align(4);
}

function writeEncapsulation(writer: Writer, { type, srcPort, dstPort, original }: Encapsulation): void {
  attributeHead(writer, XFRMA_ENCAP, xfrmEncapTmpl.size);
  xfrmEncapTmpl.write(writer, { type, sport: srcPort, dport: dstPort, oa: original });
}
