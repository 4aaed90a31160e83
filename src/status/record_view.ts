/** SAs and policies as they are shown: everything that tells them apart, and never a key. */

import { formatAddress } from "../record/address.ts";
import { algorithmName, AUTH, ENCR, IPCOMP } from "../record/algorithms.ts";
import { ACTION, DIRECTION, type Policy, POLICY_FLAG, POLICY_TYPE, type Template } from "../record/policy.ts";
import {
  type Cipher,
  type Encapsulation,
  type Integrity,
  type Limits,
  type Mark,
  MODE,
  PROTOCOL,
  type Sa,
  SA_DIRECTION,
  SA_FLAG,
  type Selector,
} from "../record/sa.ts";

/** Limits; what is undefined has none. */
export interface LimitsView {
  readonly addSeconds?: number | undefined;
  readonly useSeconds?: number | undefined;
  readonly bytes?: number | undefined;
  readonly packets?: number | undefined;
}

/** How a record stands on this gateway. */
export interface Standing {
  /** It belongs to this gateway alone. */
  readonly local: boolean;
  readonly inKernel: boolean;
  /** Why the own kernel does not hold it. */
  readonly refused?: string | undefined;
}

/** An algorithm without its key. */
export interface AlgorithmView {
  readonly name: string;
  /** Of the key, its salt left out. */
  readonly keyBits: number;
  /** Of the integrity check value. */
  readonly icvBits?: number | undefined;
}

/** What changes with the traffic; numbers above 2^53 are rounded. */
export interface CountersView {
  readonly oseq: number;
  readonly seq: number;
  readonly bytes: number;
  readonly packets: number;
  readonly ageSeconds: number;
  readonly usedSeconds?: number | undefined;
}

export interface SaView extends Standing {
  readonly protocol: string;
  /** `0xc0ffee01`. */
  readonly spi: string;
  readonly src: string;
  readonly dst: string;
  readonly mode: string;
  readonly reqid: number;
  readonly direction?: string | undefined;
  readonly selector?: string | undefined;
  readonly encryption?: AlgorithmView | undefined;
  readonly integrity?: AlgorithmView | undefined;
  readonly aead?: AlgorithmView | undefined;
  readonly compression?: string | undefined;
  readonly replayWindow: number;
  readonly flags: readonly string[];
  readonly encapsulation?: string | undefined;
  readonly mark?: string | undefined;
  readonly outputMark?: string | undefined;
  readonly interfaceId?: number | undefined;
  readonly rdomain?: number | undefined;
  readonly soft: LimitsView;
  readonly hard: LimitsView;
  /** undefined for local SAs, whose counters nobody asks for. */
  readonly counters?: CountersView | undefined;
}

export interface TemplateView {
  readonly protocol: string;
  readonly mode: string;
  readonly src: string;
  readonly dst: string;
  readonly spi?: string | undefined;
  readonly reqid: number;
  readonly optional: boolean;
}

export interface PolicyView extends Standing {
  readonly direction: string;
  readonly selector: string;
  readonly action: string;
  readonly priority: number;
  readonly type: string;
  readonly flags: readonly string[];
  readonly mark?: string | undefined;
  readonly interfaceId?: number | undefined;
  readonly templates: readonly TemplateView[];
  readonly soft: LimitsView;
  readonly hard: LimitsView;
}

/** Bits of salt at the end of the key of these ciphers. */
const SALT_BITS: Readonly<Record<string, number>> = {
  AES_CTR: 32,
  CAMELLIA_CTR: 32,
  AES_CCM_8: 24,
  AES_CCM_12: 24,
  AES_CCM_16: 24,
  AES_GCM_8: 32,
  AES_GCM_12: 32,
  AES_GCM_16: 32,
  NULL_AUTH_AES_GMAC: 32,
  CHACHA20_POLY1305: 32,
};

const ENCAPSULATIONS: Readonly<Record<string, number>> = { "UDP without marker": 1, UDP: 2, TCP: 7 };

/** An SA. `hasCounters`: those of the record are true. */
export function viewSa(sa: Sa, standing: Standing, hasCounters: boolean): SaView {
  return {
    protocol: nameOf(PROTOCOL, sa.protocol),
    spi: hex(sa.spi),
    src: formatAddress(sa.src),
    dst: formatAddress(sa.dst),
    mode: nameOf(MODE, sa.mode),
    reqid: sa.reqid,
    direction: sa.direction === SA_DIRECTION.NONE ? undefined : nameOf(SA_DIRECTION, sa.direction),
    selector: isAny(sa.selector) ? undefined : viewSelector(sa.selector),
    encryption: viewCipher(ENCR, sa.encryption),
    integrity: viewIntegrity(AUTH, sa.integrity),
    aead: viewIntegrity(ENCR, sa.aead),
    compression: sa.compression && algorithmName(IPCOMP, sa.compression.id),
    replayWindow: sa.replayWindow,
    flags: namesOf(SA_FLAG, sa.flags),
    encapsulation: sa.encapsulation && viewEncapsulation(sa.encapsulation),
    mark: viewMark(sa.mark),
    outputMark: viewMark(sa.outputMark),
    interfaceId: sa.interfaceId || undefined,
    rdomain: sa.rdomain || undefined,
    soft: viewLimits(sa.soft),
    hard: viewLimits(sa.hard),
    counters: hasCounters ? viewCounters(sa) : undefined,
    ...standing,
  };
}

/** A policy. */
export function viewPolicy(policy: Policy, standing: Standing): PolicyView {
  return {
    direction: nameOf(DIRECTION, policy.direction),
    selector: viewSelector(policy.selector),
    action: nameOf(ACTION, policy.action),
    priority: policy.priority,
    type: nameOf(POLICY_TYPE, policy.type),
    flags: namesOf(POLICY_FLAG, policy.flags),
    mark: viewMark(policy.mark),
    interfaceId: policy.interfaceId || undefined,
    templates: policy.templates.map(viewTemplate),
    soft: viewLimits(policy.soft),
    hard: viewLimits(policy.hard),
    ...standing,
  };
}

function viewTemplate({ protocol, mode, src, dst, spi, reqid, optional }: Template): TemplateView {
  return {
    protocol: nameOf(PROTOCOL, protocol),
    mode: nameOf(MODE, mode),
    src: formatAddress(src),
    dst: formatAddress(dst),
    spi: spi === 0 ? undefined : hex(spi),
    reqid,
    optional,
  };
}

function viewCipher(table: Readonly<Record<string, number>>, cipher?: Cipher): AlgorithmView | undefined {
  if (cipher === undefined) return undefined;
  const name = algorithmName(table, cipher.id);
  return { name, keyBits: cipher.keyBits - (SALT_BITS[name] ?? 0) };
}

function viewIntegrity(table: Readonly<Record<string, number>>, one?: Integrity): AlgorithmView | undefined {
  const cipher = viewCipher(table, one);
  return cipher === undefined ? undefined : { ...cipher, icvBits: one?.icvBits };
}

function viewEncapsulation({ type, srcPort, dstPort }: Encapsulation): string {
  return `${nameOf(ENCAPSULATIONS, type)} ${srcPort} to ${dstPort}`;
}

function viewCounters({ counters }: Sa): CountersView {
  const { oseq, seq, bytes, packets, ageSeconds, usedSeconds } = counters;
  return {
    oseq: Number(oseq),
    seq: Number(seq),
    bytes: Number(bytes),
    packets: Number(packets),
    ageSeconds,
    usedSeconds,
  };
}

function viewLimits({ addSeconds, useSeconds, bytes, packets }: Limits): LimitsView {
  const number = (limit: bigint | undefined) => limit === undefined ? undefined : Number(limit);
  return {
    addSeconds: number(addSeconds),
    useSeconds: number(useSeconds),
    bytes: number(bytes),
    packets: number(packets),
  };
}

/** `10.1.0.0/16 to 10.2.0.0/16 protocol 6 port 80 dev eth0`. */
function viewSelector(selector: Selector): string {
  const { src, srcBits, dst, dstBits, srcPort, srcPortMask, dstPort, dstPortMask, protocol, ifname } =
    selector;
  const port = (number: number, mask: number) =>
    mask === 0 ? "" : mask === 0xffff ? ` port ${number}` : ` port ${number}/${hex(mask, 4)}`;
  const from = `${formatAddress(src)}/${srcBits}${port(srcPort, srcPortMask)}`;
  const to = `${formatAddress(dst)}/${dstBits}${port(dstPort, dstPortMask)}`;
  const upper = protocol === 0 ? "" : ` protocol ${protocol}`;
  return `${from} to ${to}${upper}${ifname === "" ? "" : ` dev ${ifname}`}`;
}

function isAny(selector: Selector): boolean {
  const { srcBits, dstBits, srcPortMask, dstPortMask, protocol, ifname } = selector;
  return srcBits + dstBits + srcPortMask + dstPortMask + protocol === 0 && ifname === "";
}

function viewMark(mark: Mark | undefined): string | undefined {
  return mark === undefined || mark.mask === 0 ? undefined : `${hex(mark.value, 1)}/${hex(mark.mask, 1)}`;
}

function hex(value: number, digits = 8): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(table).find((name) => table[name] === value)?.toLowerCase() ?? `unknown(${value})`;
}

function namesOf(table: Readonly<Record<string, number>>, bits: number): string[] {
  return Object.keys(table).filter((name) => (bits & table[name]!) !== 0).map((name) => name.toLowerCase());
}
