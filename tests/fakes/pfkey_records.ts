/** The records that PF_KEY vectors of Linux and FreeBSD mean. */

import { type Address, anyAddress, familyOf, parsePrefix } from "../../src/record/address.ts";
import { NO_SELECTOR } from "../../src/record/codecs.ts";
import { type OpaqueAttribute, SPACE } from "../../src/record/opaque.ts";
import type { Policy } from "../../src/record/policy.ts";
import type { IpsecRecord } from "../../src/record/record.ts";
import { type Limits, type Protocol, type Sa, SA_FLAG, type Selector } from "../../src/record/sa.ts";
import type { PolicyMeaning, SaMeaning } from "../vectors/pfkey_vector.ts";
import { decodeHex } from "./hex.ts";
import { addr, sampleCounters, samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "./records.ts";

/** What dialects make of what PF_KEY does not tell. */
export interface Habits {
  readonly space: OpaqueAttribute["space"];
  readonly bitmap: readonly number[];
  readonly oseq: (meaning: SaMeaning) => number;
  readonly selector: (dst: Address) => Selector;
}

export const FREEBSD_HABITS: Habits = {
  space: SPACE.FREEBSD,
  bitmap: [],
  oseq: ({ oseq = 0 }) => oseq,
  selector: () => NO_SELECTOR,
};

/** Linux tells packets and no sequence numbers, and gives an SA without a selector the family of its addresses. */
export const LINUX_HABITS: Habits = {
  space: SPACE.LINUX,
  bitmap: [0],
  oseq: ({ packets = 0 }) => packets,
  selector(dst) {
    const family = familyOf(dst);
    return { ...NO_SELECTOR, family, src: anyAddress(family), dst: anyAddress(family) };
  },
};

export function recordOf(meaning: SaMeaning | PolicyMeaning, habits: Habits): IpsecRecord {
  return meaning.kind === "sa"
    ? { kind: "sa", sa: saOf(meaning, habits) }
    : { kind: "policy", policy: policyOf(meaning) };
}

/** The record without members that are undefined: for comparisons. */
export function compact(record: IpsecRecord): unknown {
  const body: object = record.kind === "sa" ? record.sa : record.policy;
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
}

function saOf(m: SaMeaning, { space, bitmap, oseq, selector }: Habits): Sa {
  const { encryption, integrity, aead, compression, encapsulation } = m;
  return sampleSa({
    src: addr(m.src),
    dst: addr(m.dst),
    protocol: m.protocol as Protocol, // the vectors name synchronised ones only
    spi: m.spi,
    mode: m.mode,
    reqid: m.reqid,
    selector: selector(addr(m.dst)),
    encryption: encryption && { id: encryption.id, ...key(encryption.key) },
    integrity: integrity && { id: integrity.id, ...key(integrity.key), icvBits: integrity.icvBits },
    aead: aead && { id: aead.id, ...key(aead.key), icvBits: aead.icvBits },
    compression,
    replayWindow: m.replayWindow ?? 0,
    flags: (m.flags ?? []).reduce((bits, name) => bits | SA_FLAG[name as keyof typeof SA_FLAG], 0),
    encapsulation: encapsulation && { ...encapsulation, original: sixteen(addr(encapsulation.original)) },
    soft: limits(m.soft),
    hard: limits(m.hard),
    counters: sampleCounters({
      oseq: BigInt(oseq(m)),
      bitmap,
      bytes: BigInt(m.bytes ?? 0),
      packets: BigInt(m.packets ?? 0),
      ageSeconds: m.ageSeconds ?? 0,
      usedSeconds: m.usedSeconds,
    }),
    opaque: (m.opaque ?? []).map(({ value, ...rest }) => ({ space, ...rest, value: decodeHex(value) })),
  });
}

function policyOf(m: PolicyMeaning): Policy {
  const [src, dst] = [parsePrefix(m.src)!, parsePrefix(m.dst)!];
  const family = familyOf(src.address);
  const mask = (port: number) => port === 0 ? 0 : 0xffff;
  return samplePolicy({
    direction: m.direction,
    selector: sampleSelector({
      family,
      src: src.address,
      srcBits: src.bits,
      srcPort: m.srcPort,
      srcPortMask: mask(m.srcPort),
      dst: dst.address,
      dstBits: dst.bits,
      dstPort: m.dstPort,
      dstPortMask: mask(m.dstPort),
      protocol: m.protocol,
    }),
    action: m.action,
    priority: m.priority,
    templates: m.templates.map((template) => {
      const ends = template.src === undefined
        ? { src: anyAddress(family), dst: anyAddress(family) }
        : { src: addr(template.src), dst: addr(template.dst!) };
      return sampleTemplate({ ...template, ...ends, family: familyOf(ends.dst) });
    }),
    hard: limits(m.hard),
    ageSeconds: m.ageSeconds ?? 0,
    usedSeconds: m.usedSeconds,
  });
}

function key(text: string) {
  return { key: decodeHex(text), keyBits: text.length * 4 };
}

function sixteen(address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(address);
  return bytes;
}

function limits(given: SaMeaning["hard"]): Limits {
  return Object.fromEntries(Object.entries(given ?? {}).map(([name, value]) => [name, BigInt(value)]));
}
