/** FreeBSD: the extensions of ADD, GET and DUMP ↔ the portable SA. */

import type { ValuesOf } from "../layout/layout.ts";
import { type Address, equalBytes, familyOf, isAnyAddress } from "../record/address.ts";
import { isNoSelector, NO_SELECTOR } from "../record/codecs.ts";
import {
  type Encapsulation,
  type Limits,
  MODE,
  NO_MARK,
  PROTOCOL,
  type Protocol,
  type Sa,
  SA_DIRECTION,
  SA_FLAG,
  type SaIdentity,
  saKey,
} from "../record/sa.ts";
import type { Reading } from "./dialect.ts";
import {
  addAddress,
  addSa,
  readAddress,
  readStruct,
  requireAddress,
  requireStruct,
  SADB_EXT,
  SADB_SASTATE,
  sadbSa,
} from "./extensions.ts";
import { flagNames } from "./flag_names.ts";
import { addKeys, algorithmNumbers, readAlgorithms, realIntegrity } from "./freebsd_algorithms.ts";
import {
  CPI_MAX,
  FREEBSD_EXT,
  PACKETS_PER_UNIT,
  RESERVED_SPI_MAX,
  SA_FLAGS,
  sadbXSaReplay,
  SATYPES,
  UDP_ENCAP_ESPINUDP,
} from "./freebsd_numbers.ts";
import { addOpaques, isOwn, readOpaque } from "./freebsd_opaque.ts";
import { ANY_PROTOCOL, IPSEC_MODE, sadbXNatTPort, sadbXNatTType, sadbXSa2 } from "./kame.ts";
import { addLimits, readCurrent, readLimits } from "./lifetime.ts";
import { type Extensions, ExtensionWriter, type Platform } from "./message.ts";
import { orReason, Refusal } from "./refusal.ts";

type SaValues = ValuesOf<typeof sadbSa>;

const UNIT_MAX = 0xff;
/** Sequence numbers beyond this need the high half of ESN, which always starts at 0. */
const LOW_MAX = 0xffff_ffffn;

/** Flags of an SA that make no difference here: FreeBSD has one way, and SAs have no selectors. */
const NEEDLESS_FLAGS = SA_FLAG.AF_UNSPEC | SA_FLAG.LONG_REPLAY;

/** The synchronised protocol of a type of SA, or undefined. */
export function protocolOf(satype: number): Protocol | undefined {
  return SATYPES.find((row) => row.satype === satype)?.protocol;
}

export function satypeOf(protocol: Protocol): number {
  return SATYPES.find((row) => row.protocol === protocol)!.satype;
}

/** Names the SA of a message. @throws {DecodeError} */
export function readSaIdentity(protocol: Protocol, extensions: Extensions, platform: Platform): SaIdentity {
  const { spi } = requireStruct(extensions, SADB_EXT.SADB_EXT_SA, sadbSa, platform);
  const dst = requireAddress(extensions, SADB_EXT.SADB_EXT_ADDRESS_DST, platform).address;
  return { dst, protocol, spi, mark: NO_MARK, rdomain: 0 };
}

/** The SA in an answer to GET or DUMP. @throws {DecodeError} when the bytes have not the shape that the kernel gives. */
export function readSa(
  satype: number,
  extensions: Extensions,
  nowSeconds: number,
  platform: Platform,
): Reading {
  const protocol = protocolOf(satype);
  if (protocol === undefined) return { kind: "none" };
  const head = requireStruct(extensions, SADB_EXT.SADB_EXT_SA, sadbSa, platform);
  if (head.state === SADB_SASTATE.LARVAL) return { kind: "none" };
  const id = readSaIdentity(protocol, extensions, platform);
  const sa = orReason(() => readRest(id, head, extensions, nowSeconds, platform));
  if (!sa.ok) return { kind: "refused", what: saKey(id), reason: sa.reason };
  return { kind: "record", record: { kind: "sa", sa: sa.value } };
}

function readRest(
  id: SaIdentity,
  head: SaValues,
  extensions: Extensions,
  nowSeconds: number,
  platform: Platform,
): Sa {
  const src = requireAddress(extensions, SADB_EXT.SADB_EXT_ADDRESS_SRC, platform).address;
  if (familyOf(src) !== familyOf(id.dst)) throw new Refusal("addresses of different families");
  const { mode, sequence, reqid } = requireStruct(extensions, FREEBSD_EXT.SADB_X_EXT_SA2, sadbXSa2, platform);
  const hard = limitsOf(extensions, SADB_EXT.SADB_EXT_LIFETIME_HARD, platform);
  const { allocations, ...current } = readCurrent(extensions, hard, nowSeconds, platform);
  const replay = readStruct(extensions, FREEBSD_EXT.SADB_X_EXT_SA_REPLAY, sadbXSaReplay, platform);
  return {
    ...id,
    src,
    mode: readMode(mode),
    reqid,
    selector: NO_SELECTOR,
    ...readAlgorithms(id.protocol, head, extensions, platform),
    replayWindow: replay?.replay ?? head.replay * PACKETS_PER_UNIT,
    flags: readFlags(head.flags),
    encapsulation: readEncapsulation(extensions, platform),
    interfaceId: 0,
    tfcPadding: 0,
    direction: SA_DIRECTION.NONE,
    soft: limitsOf(extensions, SADB_EXT.SADB_EXT_LIFETIME_SOFT, platform),
    hard,
    counters: { oseq: BigInt(sequence), seq: 0n, bitmap: [], packets: BigInt(allocations), ...current },
    opaque: readOpaque(extensions, platform),
  };
}

/** A limit of packets is kept and shown, and never looked at (key_flush_sad of key.c): it is none. */
function limitsOf(extensions: Extensions, type: number, platform: Platform): Limits {
  const { packets: _, ...limits } = readLimits(extensions, type, platform);
  return limits;
}

/** IPSEC_MODE_ANY fits policies of every mode, which nobody else's SAs do. */
function readMode(mode: number): number {
  if (mode === IPSEC_MODE.TRANSPORT) return MODE.TRANSPORT;
  if (mode === IPSEC_MODE.TUNNEL) return MODE.TUNNEL;
  throw new Refusal(mode === IPSEC_MODE.ANY ? "no mode is stated" : `mode ${mode} is not known`);
}

function readFlags(kernel: number): number {
  const known = SA_FLAGS.filter((row) => (kernel & row.kernel) !== 0);
  const rest = known.reduce((bits, row) => bits & ~row.kernel, kernel) >>> 0;
  if (rest !== 0) throw new Refusal(`SA flags 0x${rest.toString(16)} cannot be expressed`);
  return known.reduce((bits, row) => bits | row.ours, 0);
}

function readEncapsulation(extensions: Extensions, platform: Platform): Encapsulation | undefined {
  const nat = readStruct(extensions, FREEBSD_EXT.SADB_X_EXT_NAT_T_TYPE, sadbXNatTType, platform);
  if (nat === undefined) return undefined;
  const port = (type: number) => requireStruct(extensions, type, sadbXNatTPort, platform).port;
  const original = new Uint8Array(16);
  original.set(readAddress(extensions, FREEBSD_EXT.SADB_X_EXT_NAT_T_OAI, platform)?.address ?? []);
  return {
    type: nat.type,
    srcPort: port(FREEBSD_EXT.SADB_X_EXT_NAT_T_SPORT),
    dstPort: port(FREEBSD_EXT.SADB_X_EXT_NAT_T_DPORT),
    original,
  };
}

/** The extensions of an ADD. @throws {Refusal} @throws {RangeError} when the SA cannot be expressed. */
export function writeSa(sa: Sa, platform: Platform): Uint8Array {
  checkExpressible(sa);
  const writer = new ExtensionWriter(platform);
  const units = sa.replayWindow / PACKETS_PER_UNIT;
  addSa(writer, {
    spi: sa.spi,
    replay: Math.min(UNIT_MAX, units),
    state: SADB_SASTATE.MATURE,
    ...algorithmNumbers(sa),
    flags: SA_FLAGS.reduce((bits, { kernel, ours }) => (sa.flags & ours) !== 0 ? bits | kernel : bits, 0),
  });
  writer.add(FREEBSD_EXT.SADB_X_EXT_SA2, (w) => {
    const mode = sa.mode === MODE.TUNNEL ? IPSEC_MODE.TUNNEL : IPSEC_MODE.TRANSPORT;
    sadbXSa2.write(w, { mode, sequence: 0, reqid: sa.reqid });
  });
  if (units > UNIT_MAX) {
    writer.add(
      FREEBSD_EXT.SADB_X_EXT_SA_REPLAY,
      (w) => sadbXSaReplay.write(w, { replay: sa.replayWindow }),
    );
  }
  addBothLimits(writer, sa);
  addEnds(writer, sa.src, sa.dst);
  addKeys(writer, sa);
  if (sa.encapsulation !== undefined) addEncapsulation(writer, sa, sa.encapsulation);
  addOpaques(writer, sa.opaque);
  return writer.finish();
}

/** The extensions of a GET or DELETE. */
export function writeSaName({ spi, dst }: SaIdentity, src: Address, platform: Platform): Uint8Array {
  const writer = new ExtensionWriter(platform);
  addSa(writer, { spi, replay: 0, state: SADB_SASTATE.MATURE, auth: 0, encrypt: 0, flags: 0 });
  addEnds(writer, src, dst);
  return writer.finish();
}

function addEnds(writer: ExtensionWriter, src: Address, dst: Address): void {
  addHost(writer, SADB_EXT.SADB_EXT_ADDRESS_SRC, src);
  addHost(writer, SADB_EXT.SADB_EXT_ADDRESS_DST, dst);
}

function addHost(writer: ExtensionWriter, type: number, address: Address): void {
  addAddress(writer, type, { proto: ANY_PROTOCOL, prefixlen: address.length * 8, address, port: 0 });
}

/** The kernel takes both or neither. */
function addBothLimits(writer: ExtensionWriter, { hard, soft }: Sa): void {
  const isLimited = [hard, soft].some((limits) => Object.values(limits).some((limit) => limit !== undefined));
  if (!isLimited) return;
  addLimits(writer, SADB_EXT.SADB_EXT_LIFETIME_HARD, hard);
  addLimits(writer, SADB_EXT.SADB_EXT_LIFETIME_SOFT, soft);
}

function addEncapsulation(writer: ExtensionWriter, sa: Sa, { type, srcPort, dstPort }: Encapsulation): void {
  writer.add(FREEBSD_EXT.SADB_X_EXT_NAT_T_TYPE, (w) => sadbXNatTType.write(w, { type }));
  writer.add(FREEBSD_EXT.SADB_X_EXT_NAT_T_SPORT, (w) => sadbXNatTPort.write(w, { port: srcPort }));
  writer.add(FREEBSD_EXT.SADB_X_EXT_NAT_T_DPORT, (w) => sadbXNatTPort.write(w, { port: dstPort }));
  const original = originalOf(sa);
  if (original !== undefined) addHost(writer, FREEBSD_EXT.SADB_X_EXT_NAT_T_OAI, original);
}

/**
 * The original address of the initiator, where the kernel has a use for it: for checksums in transport mode, and when
 * it is another one than the source. In other cases the kernel forgets it.
 *
 * @throws {Refusal} for one that the kernel would need and not take.
 */
function originalOf({ encapsulation, mode, src }: Sa): Address | undefined {
  const original = encapsulation?.original;
  if (original === undefined || isAnyAddress(original) || mode === MODE.TUNNEL) return undefined;
  const address = original.slice(0, src.length);
  if (equalBytes(address, src) && isAnyAddress(original.subarray(src.length))) return undefined;
  if (familyOf(src) !== 4) throw new Refusal("FreeBSD has no original addresses of IPv6");
  if (!isAnyAddress(original.subarray(src.length))) {
    throw new Refusal("an original address of another family");
  }
  return address;
}

/** @throws {Refusal} naming what FreeBSD has no place for, or would change in silence. */
function checkExpressible(sa: Sa): void {
  checkName(sa);
  if (familyOf(sa.src) !== familyOf(sa.dst)) throw new Refusal("addresses of different families");
  if (sa.mode !== MODE.TUNNEL && sa.mode !== MODE.TRANSPORT) {
    throw new Refusal(`FreeBSD has no mode ${modeName(sa.mode)}`);
  }
  if (!isSelectorNeedless(sa)) throw new Refusal("FreeBSD's SAs have no selector");
  const flags = SA_FLAGS.reduce((rest, { ours }) => rest & ~ours, sa.flags & ~NEEDLESS_FLAGS);
  if (flags !== 0) throw new Refusal(`FreeBSD has no SA flag ${flagNames(flags)}`);
  if (sa.replayWindow % PACKETS_PER_UNIT !== 0) {
    throw new Refusal(`a replay window of ${sa.replayWindow} packets is no multiple of ${PACKETS_PER_UNIT}`);
  }
  if (sa.counters.oseq > LOW_MAX || sa.counters.seq > LOW_MAX) {
    throw new Refusal("the high half of extended sequence numbers cannot be set");
  }
  if (sa.hard.packets !== undefined || sa.soft.packets !== undefined) {
    throw new Refusal("FreeBSD keeps a limit of packets, and lets more pass");
  }
  checkExtras(sa);
}

function checkName({ protocol, spi, mark, rdomain }: SaIdentity): void {
  if (mark.mask !== 0 || mark.value !== 0) throw new Refusal("FreeBSD has no marks");
  if (rdomain !== 0) throw new Refusal("FreeBSD has no routing domains");
  const isCpi = protocol === PROTOCOL.IPCOMP;
  if (!isCpi && spi <= RESERVED_SPI_MAX) throw new Refusal(`FreeBSD refuses SPIs up to ${RESERVED_SPI_MAX}`);
  if (isCpi && spi > CPI_MAX) throw new Refusal(`a CPI beyond ${CPI_MAX}`);
}

function checkExtras({ protocol, careOf, outputMark, interfaceId, tfcPadding, encapsulation }: Sa): void {
  if (careOf !== undefined) throw new Refusal("FreeBSD has no care-of address");
  if (outputMark !== undefined) throw new Refusal("FreeBSD has no output mark");
  if (interfaceId !== 0) throw new Refusal("FreeBSD has no interface id");
  if (tfcPadding !== 0) throw new Refusal("FreeBSD has no TFC padding");
  if (encapsulation === undefined) return;
  const { type, srcPort, dstPort } = encapsulation;
  if (protocol !== PROTOCOL.ESP) throw new Refusal("encapsulation of other than ESP");
  if (type !== UDP_ENCAP_ESPINUDP) throw new Refusal(`FreeBSD has no encapsulation ${type}`);
  if (srcPort === 0 || dstPort === 0) throw new Refusal("encapsulation without a port");
}

/** An SA of another system that may carry all that its policies let through, or all between its ends. */
function isSelectorNeedless({ selector: s, src, dst, mode }: Sa): boolean {
  const isPlain = s.protocol === 0 && s.srcPortMask === 0 && s.dstPortMask === 0 && s.ifname === "" &&
    s.user === 0;
  const isAny = s.srcBits === 0 && s.dstBits === 0;
  const isEnds = mode === MODE.TRANSPORT && isHost(s.src, s.srcBits, src) && isHost(s.dst, s.dstBits, dst);
  return isPlain && (isAny || isEnds);
}

function isHost(address: Address, bits: number, end: Address): boolean {
  return bits === end.length * 8 && equalBytes(address, end);
}

function modeName(mode: number): string {
  return Object.entries(MODE).find(([, value]) => value === mode)?.[0] ?? String(mode);
}

/** The SA as a dump shows it after `writeSa`; the same object where that shows all. */
export function toldSa(sa: Sa): Sa {
  const integrity = realIntegrity(sa);
  const encapsulation = toldEncapsulation(sa);
  const isWhole = isNoSelector(sa.selector) && (sa.flags & NEEDLESS_FLAGS) === 0 &&
    sa.direction === SA_DIRECTION.NONE && integrity === sa.integrity && encapsulation === sa.encapsulation &&
    sa.opaque.every(isOwn);
  if (isWhole) return sa;
  return {
    ...sa,
    selector: NO_SELECTOR,
    flags: sa.flags & ~NEEDLESS_FLAGS,
    direction: SA_DIRECTION.NONE,
    integrity,
    encapsulation,
    opaque: sa.opaque.filter(isOwn),
  };
}

function toldEncapsulation(sa: Sa): Encapsulation | undefined {
  const { encapsulation } = sa;
  if (encapsulation === undefined || isAnyAddress(encapsulation.original)) return encapsulation;
  return originalOf(sa) !== undefined ? encapsulation : { ...encapsulation, original: new Uint8Array(16) };
}
