/**
 * SAs as Linux's PF_KEY has them ↔ the portable SA. What a message cannot tell is refused, unless the configuration
 * says how to read it; what the kernel would change is refused.
 */

import { addressBits, anyAddress, familyOf, isAnyAddress } from "../record/address.ts";
import {
  type Encapsulation,
  MODE,
  NO_MARK,
  PROTOCOL,
  type Sa,
  SA_DIRECTION,
  SA_FLAG,
  type SaCounters,
  type SaIdentity,
  saKey,
  type Selector,
} from "../record/sa.ts";
import type { Address } from "../record/address.ts";
import type { Reading, Surroundings } from "./dialect.ts";
import {
  addAddress,
  addSa,
  readAddress,
  readStruct,
  requireAddress,
  requireStruct,
  SADB_SASTATE,
  sadbSa,
} from "./extensions.ts";
import { ANY_PROTOCOL, sadbXNatTPort, sadbXNatTType, sadbXSa2 } from "./kame.ts";
import { addLimits, readCurrent, readLimits } from "./lifetime.ts";
import { addKeys, numbersOf, readAlgorithms } from "./linux_algorithms.ts";
import { addOpaqueAttributes, keepOpaque, readOpaque } from "./linux_opaque.ts";
import type { LinuxOptions } from "./linux_options.ts";
import { LINUX_EXT as EXT, MODES, protocolOf, SA_FLAGS, SADB_SAFLAGS_PFS } from "./linux_tables.ts";
import {
  type Extensions,
  ExtensionWriter,
  type PfkeyMessage,
  type Platform,
  readExtensions,
} from "./message.ts";
import { orReason, Refusal } from "./refusal.ts";

/** Extensions that the record has members for. */
const KNOWN: ReadonlySet<number> = new Set([
  ...[EXT.SADB_EXT_SA, EXT.SADB_EXT_LIFETIME_CURRENT, EXT.SADB_EXT_LIFETIME_HARD, EXT.SADB_EXT_LIFETIME_SOFT],
  ...[EXT.SADB_EXT_ADDRESS_SRC, EXT.SADB_EXT_ADDRESS_DST, EXT.SADB_EXT_ADDRESS_PROXY],
  ...[EXT.SADB_EXT_KEY_AUTH, EXT.SADB_EXT_KEY_ENCRYPT, EXT.SADB_X_EXT_SA2],
  ...[EXT.SADB_X_EXT_NAT_T_TYPE, EXT.SADB_X_EXT_NAT_T_SPORT, EXT.SADB_X_EXT_NAT_T_DPORT],
]);

/** What the kernel can clamp a window to. */
const LONGEST_WINDOW = 32;

/** Flags that say nothing more where there is no selector and the window is short: not told, and not needed. */
const SILENT_FLAGS = SA_FLAG.AF_UNSPEC | SA_FLAG.LONG_REPLAY;
const KNOWN_FLAGS = SA_FLAGS.reduce((bits, [, ours]) => bits | ours, SILENT_FLAGS);

/** An SA's message, taken apart as far as its identity. */
export interface NamedSa {
  readonly id: SaIdentity;
  readonly state: number;
  readonly extensions: Extensions;
}

/** Names the SA of a message; undefined for a protocol that is not synchronised. @throws {DecodeError} */
export function nameSa({ satype, body }: PfkeyMessage, platform: Platform): NamedSa | undefined {
  const protocol = protocolOf(satype);
  if (protocol === undefined) return undefined;
  const extensions = readExtensions(body, platform);
  const { spi, state } = requireStruct(extensions, EXT.SADB_EXT_SA, sadbSa, platform);
  const dst = requireAddress(extensions, EXT.SADB_EXT_ADDRESS_DST, platform).address;
  return { id: { dst, protocol, spi, mark: NO_MARK, rdomain: 0 }, state, extensions };
}

/** The SA of ADD, UPDATE, GET or DUMP. @throws {DecodeError} */
export function readSa(
  { id, state, extensions }: NamedSa,
  options: LinuxOptions,
  now: Surroundings,
): Reading {
  if (state === SADB_SASTATE.LARVAL || state === SADB_SASTATE.DEAD) return { kind: "none" };
  const result = orReason(() => decodeSa(id, extensions, options, now));
  return result.ok
    ? { kind: "record", record: { kind: "sa", sa: result.value } }
    : { kind: "refused", what: saKey(id), reason: result.reason };
}

function decodeSa(id: SaIdentity, extensions: Extensions, options: LinuxOptions, now: Surroundings): Sa {
  const { platform } = options;
  const head = requireStruct(extensions, EXT.SADB_EXT_SA, sadbSa, platform);
  const { mode, reqid } = requireStruct(extensions, EXT.SADB_X_EXT_SA2, sadbXSa2, platform);
  const hard = readLimits(extensions, EXT.SADB_EXT_LIFETIME_HARD, platform);
  const { allocations, ...current } = readCurrent(extensions, hard, now.nowSeconds, platform);
  checkWindow(head.replay, id.protocol, options);
  return {
    ...id,
    src: requireAddress(extensions, EXT.SADB_EXT_ADDRESS_SRC, platform).address,
    mode: modeFromKernel(mode),
    reqid,
    selector: readSelector(extensions, id.dst, platform),
    ...readAlgorithms(head, id.protocol, extensions, options),
    replayWindow: head.replay,
    flags: flagsFromKernel(head.flags),
    encapsulation: readEncapsulation(extensions, platform),
    interfaceId: 0,
    tfcPadding: 0,
    direction: SA_DIRECTION.NONE,
    soft: readLimits(extensions, EXT.SADB_EXT_LIFETIME_SOFT, platform),
    hard,
    counters: { ...countersOf(allocations), ...current },
    opaque: readOpaque(extensions, KNOWN, platform),
  };
}

/**
 * No sequence number is told. Those of an SA that sends are about as many as its packets, so that a slave that can
 * count on from there does; of one that receives nothing is known.
 */
function countersOf(packets: number): Pick<SaCounters, "oseq" | "seq" | "bitmap" | "packets"> {
  return { oseq: BigInt(packets), seq: 0n, bitmap: [0], packets: BigInt(packets) };
}

/** The kernel says 0 of ESN and of every window beyond 32. */
function checkWindow(window: number, protocol: number, { assume }: LinuxOptions): void {
  if (window > 0 || assume.noEsn || protocol === PROTOCOL.IPCOMP) return;
  throw new Refusal(
    "PF_KEY does not tell a replay window of 0 from ESN or a long one (see pfkey assume-no-esn)",
  );
}

function modeFromKernel(mode: number): number {
  const known = MODES.find(([kernel]) => kernel === mode);
  if (known === undefined) throw new Refusal(`mode ${mode} cannot be copied by PF_KEY`);
  return known[1];
}

function flagsFromKernel(flags: number): number {
  const known = SA_FLAGS.reduce((bits, [kernel]) => bits | kernel, SADB_SAFLAGS_PFS);
  const unknown = (flags & ~known) >>> 0;
  if (unknown !== 0) throw new Refusal(`unknown SA flags 0x${unknown.toString(16)}`);
  return SA_FLAGS.reduce((bits, [kernel, ours]) => (flags & kernel) === 0 ? bits : bits | ours, 0);
}

/**
 * ADDRESS_PROXY is the source of the selector; it is left out when that is the SA's own source. Any but an empty one
 * goes with a destination and ports that are not told.
 */
function readSelector(extensions: Extensions, dst: Address, platform: Platform): Selector {
  const proxy = readAddress(extensions, EXT.SADB_EXT_ADDRESS_PROXY, platform);
  const isEmpty = proxy !== undefined && proxy.prefixlen === 0 && proxy.port === 0 &&
    isAnyAddress(proxy.address) &&
    (proxy.proto === ANY_PROTOCOL || proxy.proto === 0);
  if (!isEmpty) throw new Refusal("PF_KEY does not tell the whole of the SA's selector");
  return emptySelector(dst);
}

/** The kernel gives an SA without a selector the family of its addresses. */
function emptySelector(dst: Address): Selector {
  const family = familyOf(dst);
  const any = anyAddress(family);
  return {
    family,
    src: any,
    dst: any,
    srcBits: 0,
    dstBits: 0,
    srcPort: 0,
    srcPortMask: 0,
    dstPort: 0,
    dstPortMask: 0,
    protocol: 0,
    ifname: "",
    user: 0,
  };
}

function readEncapsulation(extensions: Extensions, platform: Platform): Encapsulation | undefined {
  const head = readStruct(extensions, EXT.SADB_X_EXT_NAT_T_TYPE, sadbXNatTType, platform);
  if (head === undefined) return undefined;
  return {
    type: head.type,
    srcPort: requireStruct(extensions, EXT.SADB_X_EXT_NAT_T_SPORT, sadbXNatTPort, platform).port,
    dstPort: requireStruct(extensions, EXT.SADB_X_EXT_NAT_T_DPORT, sadbXNatTPort, platform).port,
    original: new Uint8Array(16),
  };
}

/** The extensions of ADD. @throws {Refusal} */
export function encodeSa(sa: Sa, options: LinuxOptions): Uint8Array {
  checkExpressible(sa);
  checkSelector(sa);
  checkWindow(sa.replayWindow, sa.protocol, options);
  const writer = new ExtensionWriter(options.platform);
  addSa(writer, {
    spi: sa.spi,
    replay: sa.replayWindow,
    state: SADB_SASTATE.MATURE,
    ...numbersOf(sa, options),
    flags: SA_FLAGS.reduce(
      (bits, [kernel, ours]) => (sa.flags & ours) === 0 ? bits : (bits | kernel) >>> 0,
      0,
    ),
  });
  writer.add(
    EXT.SADB_X_EXT_SA2,
    (w) => sadbXSa2.write(w, { mode: modeToKernel(sa), sequence: 0, reqid: sa.reqid }),
  );
  addHost(writer, EXT.SADB_EXT_ADDRESS_SRC, sa.src);
  addHost(writer, EXT.SADB_EXT_ADDRESS_DST, sa.dst);
  addLimits(writer, EXT.SADB_EXT_LIFETIME_HARD, sa.hard);
  addLimits(writer, EXT.SADB_EXT_LIFETIME_SOFT, sa.soft);
  addKeys(writer, sa);
  if (sa.encapsulation !== undefined) addEncapsulation(writer, sa.encapsulation);
  addOpaqueAttributes(writer, sa.opaque);
  return writer.finish();
}

/** The extensions of DELETE and GET. The kernel wants a source and does not look at it. */
export function encodeSaId({ dst, spi }: SaIdentity, platform: Platform): Uint8Array {
  const writer = new ExtensionWriter(platform);
  addSa(writer, { spi, replay: 0, state: SADB_SASTATE.MATURE, auth: 0, encrypt: 0, flags: 0 });
  addHost(writer, EXT.SADB_EXT_ADDRESS_SRC, dst);
  addHost(writer, EXT.SADB_EXT_ADDRESS_DST, dst);
  return writer.finish();
}

/** @throws {Refusal} for an identity that PF_KEY cannot name. */
export function checkSaId({ mark, rdomain }: SaIdentity): void {
  refuseIf(mark.value !== 0 || mark.mask !== 0, "a mark");
  refuseIf(rdomain !== 0, "a routing domain");
}

function checkExpressible(sa: Sa): void {
  checkSaId(sa);
  refuseIf((sa.flags & SA_FLAG.ESN) !== 0, "ESN");
  refuseIf(sa.replayWindow > LONGEST_WINDOW, `a replay window of ${sa.replayWindow}`);
  refuseIf((sa.flags & ~(KNOWN_FLAGS | SA_FLAG.ESN)) !== 0, `SA flags 0x${(sa.flags >>> 0).toString(16)}`);
  refuseIf(sa.interfaceId !== 0, "an interface id");
  refuseIf(sa.outputMark !== undefined, "an output mark");
  refuseIf(sa.tfcPadding !== 0, "TFC padding");
  refuseIf(sa.careOf !== undefined, "a care-of address");
  refuseIf(
    sa.encapsulation?.original.some((byte) => byte !== 0) === true,
    "an original address of encapsulation",
  );
  if (familyOf(sa.src) !== familyOf(sa.dst)) throw new Refusal("addresses of different families");
}

/**
 * An SA without a selector passes. AF_UNSPEC, which strongSwan sets on every tunnel, lets the inner family be another
 * one than the outer; PF_KEY has no word for it, and policies of such tunnels are refused.
 */
function checkSelector({ selector: s, mode, flags, dst }: Sa): void {
  const isEmpty = s.srcBits === 0 && s.dstBits === 0 && s.srcPortMask === 0 && s.dstPortMask === 0 &&
    s.srcPort === 0 && s.dstPort === 0 && s.protocol === 0 && s.ifname === "" && s.user === 0 &&
    isAnyAddress(s.src) && isAnyAddress(s.dst);
  refuseIf(!isEmpty || s.family !== 0 && s.family !== familyOf(dst), "a selector of the SA");
  refuseIf((flags & SA_FLAG.AF_UNSPEC) !== 0 && mode !== MODE.TUNNEL, "SA flag AF_UNSPEC without a tunnel");
}

/** @throws {Refusal} naming what the kernel would leave out or change in silence. */
export function refuseIf(isSo: boolean, what: string): void {
  if (isSo) throw new Refusal(`Linux PF_KEY cannot express ${what}`);
}

function modeToKernel({ mode }: Sa): number {
  const known = MODES.find(([, ours]) => ours === mode);
  if (known === undefined) throw new Refusal(`Linux PF_KEY cannot express mode ${mode}`);
  return known[0];
}

function addHost(writer: ExtensionWriter, type: number, address: Address): void {
  addAddress(writer, type, { proto: 0, prefixlen: addressBits(familyOf(address)), address, port: 0 });
}

function addEncapsulation(writer: ExtensionWriter, { type, srcPort, dstPort }: Encapsulation): void {
  writer.add(EXT.SADB_X_EXT_NAT_T_TYPE, (w) => sadbXNatTType.write(w, { type }));
  writer.add(EXT.SADB_X_EXT_NAT_T_SPORT, (w) => sadbXNatTPort.write(w, { port: srcPort }));
  writer.add(EXT.SADB_X_EXT_NAT_T_DPORT, (w) => sadbXNatTPort.write(w, { port: dstPort }));
}

/** The SA as a dump shows it when `encodeSa` has put it. */
export function toldSa(sa: Sa): Sa {
  const { selector, flags, direction, opaque } = sa;
  const isWhole = selector.family === familyOf(sa.dst) && (flags & SILENT_FLAGS) === 0 &&
    direction === SA_DIRECTION.NONE && opaque.length === 0;
  if (isWhole) return sa;
  return {
    ...sa,
    selector: emptySelector(sa.dst),
    flags: sa.flags & ~SILENT_FLAGS,
    direction: SA_DIRECTION.NONE,
    opaque: keepOpaque(sa.opaque),
  };
}
