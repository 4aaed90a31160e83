/** ADD's extensions, and those of dumps and copies ↔ the portable SA. */

import type { ValuesOf } from "../layout/layout.ts";
import { anyAddress, equalBytes, familyOf } from "../record/address.ts";
import { NO_SELECTOR } from "../record/codecs.ts";
import type { OpaqueAttribute } from "../record/opaque.ts";
import {
  type Encapsulation,
  type Limits,
  MODE,
  PROTOCOL,
  type Sa,
  SA_DIRECTION,
  SA_FLAG,
  type SaCounters,
  type SaIdentity,
  saKey,
  type Selector,
} from "../record/sa.ts";
import type { Reading } from "./dialect.ts";
import {
  addLifetime,
  addSa,
  readAddress,
  readStruct,
  requireStruct,
  SADB_EXT,
  SADB_SASTATE,
  sadbSa,
} from "./extensions.ts";
import { flagNames } from "./flag_names.ts";
import { addLimits, currentOf, readCurrent, readLimits } from "./lifetime.ts";
import {
  type Extensions,
  ExtensionWriter,
  type PfkeyMessage,
  type Platform,
  readExtensions,
} from "./message.ts";
import { addKeys, algorithmNumbers, readAlgorithms } from "./openbsd_algorithms.ts";
import {
  FLOW_DIRECTION,
  FLOW_TYPE,
  OPENBSD_EXT,
  OPENBSD_SAFLAGS,
  sadbXCounter,
  sadbXReplay,
  sadbXUdpencap,
} from "./openbsd_constants.ts";
import { addHost, addRdomain, readRdomain, readSaIdentity } from "./openbsd_identity.ts";
import { refuseIf } from "./openbsd_lacks.ts";
import { addOpaques, opaqueOf, openbsdValue, readOpaque, sortByType } from "./openbsd_opaque.ts";
import { addFlowSet, type FlowSet, hasFlowSet, isEverything, readFlowSet } from "./openbsd_selector.ts";
import { Refusal } from "./refusal.ts";

type SadbSa = ValuesOf<typeof sadbSa>;

const { SADB_SAFLAGS_PFS, SADB_X_SAFLAGS_TUNNEL, SADB_X_SAFLAGS_UDPENCAP, SADB_X_SAFLAGS_ESN } =
  OPENBSD_SAFLAGS;
const KNOWN_SAFLAGS = SADB_SAFLAGS_PFS | SADB_X_SAFLAGS_TUNNEL | SADB_X_SAFLAGS_UDPENCAP | SADB_X_SAFLAGS_ESN;

const { SADB_X_EXT_RDOMAIN } = OPENBSD_EXT;

/** Flags of a record that OpenBSD honours, or that only say how Linux keeps the SA. */
const KNOWN_FLAGS = SA_FLAG.ESN | SA_FLAG.AF_UNSPEC | SA_FLAG.LONG_REPLAY;

/** The port of NAT traversal (RFC 3948): OpenBSD names the other side's only. */
const NAT_T_PORT = 4500;
/** Encapsulation type of Linux and the record: ESP in UDP. */
const ESP_IN_UDP = 2;
const LONGEST_WINDOW = 64;
const ALL_SEEN = 0xffffffff;

/** The SA that a message shows whole: in a dump, an answer to GET, or a copy of ADD. @throws {DecodeError} */
export function readSa(message: PfkeyMessage, nowSeconds: number, platform: Platform): Reading {
  const extensions = readExtensions(message.body, platform);
  const id = readSaIdentity(message, extensions, platform);
  if (id === undefined) return { kind: "none" };
  const head = requireStruct(extensions, SADB_EXT.SADB_EXT_SA, sadbSa, platform);
  if (head.state === SADB_SASTATE.LARVAL) return { kind: "none" };
  try {
    return { kind: "record", record: { kind: "sa", sa: saOf(id, head, extensions, nowSeconds, platform) } };
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", what: saKey(id), reason: error.message };
    throw error;
  }
}

function saOf(
  id: SaIdentity,
  head: SadbSa,
  extensions: Extensions,
  nowSeconds: number,
  platform: Platform,
): Sa {
  if (extensions.has(OPENBSD_EXT.SADB_X_EXT_SA2)) throw new Refusal("grouped with another SA (X_GRPSPIS)");
  const unknown = head.flags & ~KNOWN_SAFLAGS;
  if (unknown !== 0) throw new Refusal(`unknown flags 0x${(unknown >>> 0).toString(16)}`);
  const flow = hasFlowSet(extensions) ? readFlowSet(extensions, platform) : undefined;
  const isTunnel = (head.flags & SADB_X_SAFLAGS_TUNNEL) !== 0;
  const soft = limitsOf(extensions, SADB_EXT.SADB_EXT_LIFETIME_SOFT, platform);
  const hard = limitsOf(extensions, SADB_EXT.SADB_EXT_LIFETIME_HARD, platform);
  const src = readAddress(extensions, SADB_EXT.SADB_EXT_ADDRESS_SRC, platform);
  return {
    ...id,
    src: src?.address ?? anyAddress(familyOf(id.dst)),
    mode: isTunnel ? MODE.TUNNEL : MODE.TRANSPORT,
    reqid: 0,
    selector: flow?.selector ?? NO_SELECTOR,
    ...readAlgorithms(id.protocol, head, extensions, platform),
    replayWindow: head.replay,
    flags: ((head.flags & SADB_X_SAFLAGS_ESN) !== 0 ? SA_FLAG.ESN : 0) |
      (isTunnel && flow === undefined ? SA_FLAG.AF_UNSPEC : 0),
    encapsulation: readEncapsulation(head, extensions, flow, platform),
    interfaceId: 0,
    tfcPadding: 0,
    direction: flow === undefined ? SA_DIRECTION.NONE : saDirection(flow),
    soft,
    hard,
    counters: readCounters(head.replay, extensions, hard, nowSeconds, platform),
    opaque: sortByType([
      ...ownAttributes(id, head, extensions, platform),
      ...readOpaque(extensions, platform),
    ]),
  };
}

function saDirection({ direction }: FlowSet): number {
  return direction === FLOW_DIRECTION.IPSP_DIRECTION_IN ? SA_DIRECTION.IN : SA_DIRECTION.OUT;
}

/** Allocations are not packets here, and nothing else counts them. */
function limitsOf(extensions: Extensions, type: number, platform: Platform): Limits {
  const limits = readLimits(extensions, type, platform);
  if (limits.packets !== undefined) throw new Refusal("limit of allocations");
  return limits;
}

/** What the kernel tells of the other side's port belongs to the destination, unless the SA says that it is inbound. */
function readEncapsulation(
  { flags }: SadbSa,
  extensions: Extensions,
  flow: FlowSet | undefined,
  platform: Platform,
): Encapsulation | undefined {
  const udp = readStruct(extensions, OPENBSD_EXT.SADB_X_EXT_UDPENCAP, sadbXUdpencap, platform);
  if (udp === undefined && (flags & SADB_X_SAFLAGS_UDPENCAP) === 0) return undefined;
  const port = udp?.port ?? 0;
  const isIn = flow !== undefined && saDirection(flow) === SA_DIRECTION.IN;
  return {
    type: ESP_IN_UDP,
    srcPort: isIn ? port : NAT_T_PORT,
    dstPort: isIn ? NAT_T_PORT : port,
    original: new Uint8Array(16),
  };
}

/**
 * X_REPLAY counts what is sent next or what was received, whichever way the SA goes, and shows no bitmap: all that
 * is in the window counts as received.
 */
function readCounters(
  window: number,
  extensions: Extensions,
  hard: Limits,
  nowSeconds: number,
  platform: Platform,
): SaCounters {
  const { bytes, ageSeconds, usedSeconds } = readCurrent(extensions, hard, nowSeconds, platform);
  const { SADB_X_EXT_REPLAY, SADB_X_EXT_COUNTER } = OPENBSD_EXT;
  const count = readStruct(extensions, SADB_X_EXT_REPLAY, sadbXReplay, platform)?.count ?? 0n;
  const packets = readStruct(extensions, SADB_X_EXT_COUNTER, sadbXCounter, platform);
  const isUsed = count > 1n; // the kernel starts at 1
  return {
    oseq: isUsed ? count - 1n : 0n,
    seq: isUsed ? count : 0n,
    bitmap: new Array<number>(Math.max(1, Math.ceil(window / 32))).fill(isUsed ? ALL_SEEN : 0),
    bytes,
    packets: packets === undefined ? 0n : BigInt.asUintN(64, packets.ipackets + packets.opackets),
    ageSeconds,
    usedSeconds,
  };
}

/** Flags and the inner routing domain, where they are not what a record without them says. */
function ownAttributes(
  { rdomain }: SaIdentity,
  { flags }: SadbSa,
  extensions: Extensions,
  platform: Platform,
): OpaqueAttribute[] {
  const inner = readRdomain(extensions, platform)?.dom2 ?? rdomain;
  return [
    ...((flags & SADB_SAFLAGS_PFS) !== 0
      ? [opaqueOf(SADB_EXT.SADB_EXT_SA, false, Uint8Array.of(0, 0, 0, SADB_SAFLAGS_PFS))]
      : []),
    ...(inner !== rdomain
      ? [opaqueOf(SADB_X_EXT_RDOMAIN, true, Uint8Array.of(inner >> 8, inner & 0xff))]
      : []),
  ];
}

/** The extensions of ADD. Counters of sequence numbers cannot be imported. @throws {Refusal} @throws {RangeError} */
export function writeSa(sa: Sa, nowSeconds: number, platform: Platform): Uint8Array<ArrayBuffer> {
  checkExpressible(sa);
  const writer = new ExtensionWriter(platform);
  const { auth, encrypt } = algorithmNumbers(sa);
  const flags = safFlags(sa);
  const { MATURE: state } = SADB_SASTATE;
  addSa(writer, { spi: sa.spi, replay: sa.replayWindow, state, auth, encrypt, flags });
  const { bytes, ageSeconds, usedSeconds } = sa.counters;
  const current = currentOf({ bytes, allocations: 0, ageSeconds, usedSeconds }, nowSeconds);
  addLifetime(writer, SADB_EXT.SADB_EXT_LIFETIME_CURRENT, current);
  addGivenLimits(writer, SADB_EXT.SADB_EXT_LIFETIME_HARD, sa.hard);
  addGivenLimits(writer, SADB_EXT.SADB_EXT_LIFETIME_SOFT, sa.soft);
  addHost(writer, SADB_EXT.SADB_EXT_ADDRESS_SRC, sa.src);
  addHost(writer, SADB_EXT.SADB_EXT_ADDRESS_DST, sa.dst);
  addKeys(writer, sa);
  const flow = flowSetOf(sa);
  if (flow !== undefined) addFlowSet(writer, flow, 0);
  if (sa.encapsulation !== undefined) {
    const port = peerPort(sa, sa.encapsulation);
    writer.add(OPENBSD_EXT.SADB_X_EXT_UDPENCAP, (w) => sadbXUdpencap.write(w, { port }));
  }
  addRdomain(writer, sa.rdomain, openbsdValue(sa.opaque, SADB_X_EXT_RDOMAIN, (r) => r.u16be()) ?? sa.rdomain);
  addOpaques(writer, sa.opaque, [SADB_EXT.SADB_EXT_SA, SADB_X_EXT_RDOMAIN]);
  return writer.finish();
}

function checkExpressible(sa: Sa): void {
  const unknown = sa.flags & ~KNOWN_FLAGS;
  refuseIf(sa.mode !== MODE.TUNNEL && sa.mode !== MODE.TRANSPORT, `mode ${sa.mode}`);
  refuseIf(familyOf(sa.src) !== familyOf(sa.dst), "SAs between two families");
  refuseIf(sa.mark.mask !== 0 || sa.mark.value !== 0, "marks");
  refuseIf(sa.outputMark !== undefined, "output marks");
  refuseIf(sa.interfaceId !== 0, "interface ids");
  refuseIf(sa.careOf !== undefined, "care-of addresses");
  refuseIf(sa.tfcPadding !== 0, "TFC padding");
  refuseIf(unknown !== 0, `flags ${flagNames(unknown)}`);
  refuseIf(sa.replayWindow > LONGEST_WINDOW, `replay window of ${sa.replayWindow} packets`);
  refuseIf(sa.hard.packets !== undefined || sa.soft.packets !== undefined, "limit of packets");
}

function safFlags({ mode, flags, encapsulation, opaque }: Sa): number {
  const kept = openbsdValue(opaque, SADB_EXT.SADB_EXT_SA, (reader) => reader.u32()) ?? 0;
  if ((kept & ~SADB_SAFLAGS_PFS) !== 0) throw new Refusal(`unknown flags 0x${(kept >>> 0).toString(16)}`);
  return kept |
    (mode === MODE.TUNNEL ? SADB_X_SAFLAGS_TUNNEL : 0) |
    (encapsulation !== undefined ? SADB_X_SAFLAGS_UDPENCAP : 0) |
    ((flags & SA_FLAG.ESN) !== 0 ? SADB_X_SAFLAGS_ESN : 0);
}

function addGivenLimits(writer: ExtensionWriter, type: number, limits: Limits): void {
  if (Object.values(limits).some((limit) => limit !== undefined)) addLimits(writer, type, limits);
}

/**
 * The flow set of an SA, which decides which flows use it: they have to be alike to the bit. So a selector that says
 * no more than the endpoints do is left out.
 *
 * @throws {Refusal} when nothing says which way the packets go.
 */
function flowSetOf({ selector, direction, mode, src, dst }: Sa): FlowSet | undefined {
  if (isEverything(selector) || (mode === MODE.TRANSPORT && isBetween(selector, src, dst))) return undefined;
  if (direction === SA_DIRECTION.NONE) throw new Refusal("a selector without a direction");
  const { IPSP_DIRECTION_IN, IPSP_DIRECTION_OUT } = FLOW_DIRECTION;
  return {
    selector,
    direction: direction === SA_DIRECTION.IN ? IPSP_DIRECTION_IN : IPSP_DIRECTION_OUT,
    type: FLOW_TYPE.SADB_X_FLOW_TYPE_USE, // what the kernel shows of every SA
  };
}

function isBetween(selector: Selector, src: Uint8Array, dst: Uint8Array): boolean {
  return equalBytes(selector.src, src) && equalBytes(selector.dst, dst) &&
    isEverything({ ...selector, srcBits: 0, dstBits: 0 }) &&
    selector.srcBits === src.length * 8 && selector.dstBits === dst.length * 8;
}

/** The other side's port: that which is not our own, 4500. @throws {Refusal} when neither is. */
function peerPort({ protocol, direction }: Sa, { type, srcPort, dstPort, original }: Encapsulation): number {
  refuseIf(protocol !== PROTOCOL.ESP || type !== ESP_IN_UDP, `encapsulation of type ${type}`);
  refuseIf(original.some((byte) => byte !== 0), "original addresses in encapsulation");
  const own = direction === SA_DIRECTION.IN ? dstPort : direction === SA_DIRECTION.OUT ? srcPort : undefined;
  if (own !== undefined ? own !== NAT_T_PORT : srcPort !== NAT_T_PORT && dstPort !== NAT_T_PORT) {
    throw new Refusal(`encapsulation from port ${srcPort} to port ${dstPort}: neither is ${NAT_T_PORT}`);
  }
  if (own !== undefined) return direction === SA_DIRECTION.IN ? srcPort : dstPort;
  return srcPort === NAT_T_PORT ? dstPort : srcPort;
}
