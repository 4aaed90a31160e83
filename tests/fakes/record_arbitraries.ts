/** fast-check arbitraries for records: every value that has a binary form. */

import fc from "fast-check";
import type { Address, Family } from "../../src/record/address.ts";
import type { OpaqueAttribute } from "../../src/record/opaque.ts";
import type { Policy, Template } from "../../src/record/policy.ts";
import type { IpsecRecord } from "../../src/record/record.ts";
import {
  type Cipher,
  type Integrity,
  type Limits,
  type Mark,
  PROTOCOL,
  type Sa,
  SA_FLAG,
  type SaCounters,
  type Selector,
} from "../../src/record/sa.ts";

const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });

function bytes(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length });
}

export const arbitraryAddress: fc.Arbitrary<Address> = fc.oneof(bytes(4), bytes(16));
export const arbitraryMark: fc.Arbitrary<Mark> = fc.record({ value: u32, mask: u32 });
const markOrNone = fc.oneof(fc.constant<Mark>({ value: 0, mask: 0 }), arbitraryMark);
const ifname = fc.string({ unit: fc.constantFrom(..."eth0.lanµ"), maxLength: 15 });
const algorithm = fc.oneof(fc.nat(0xfffe), fc.string({ unit: fc.constantFrom(..."aes(-)x9"), minLength: 1 }));

function selectorOf(family: Family): fc.Arbitrary<Selector> {
  const end = family === 0 ? fc.constant(new Uint8Array(4)) : bytes(family === 4 ? 4 : 16);
  const bits = fc.nat(family === 4 ? 32 : 128);
  return fc.record({
    family: fc.constant(family),
    src: end,
    dst: end,
    srcBits: bits,
    dstBits: bits,
    srcPort: u16,
    srcPortMask: u16,
    dstPort: u16,
    dstPortMask: u16,
    protocol: u8,
    ifname,
    user: u32,
  });
}

export const arbitrarySelector: fc.Arbitrary<Selector> = fc.oneof(
  ...([0, 4, 6] as const).map(selectorOf),
);

const keyBytes = fc.uint8Array({ maxLength: 72 });
export const arbitraryCipher: fc.Arbitrary<Cipher> = fc.tuple(algorithm, keyBytes)
  .map(([id, key]) => ({ id, keyBits: key.length * 8, key }));
export const arbitraryIntegrity: fc.Arbitrary<Integrity> = fc.tuple(arbitraryCipher, u16)
  .map(([cipher, icvBits]) => ({ ...cipher, icvBits }));

export const arbitraryLimits: fc.Arbitrary<Limits> = fc.record(
  { addSeconds: u64, useSeconds: u64, bytes: u64, packets: u64 },
  { requiredKeys: [] },
);

/** Ascending by space and type, each once, as decoders give them. */
export const arbitraryOpaque: fc.Arbitrary<OpaqueAttribute[]> = fc.uniqueArray(
  fc.record({
    space: fc.constantFrom(1 as const, 2 as const, 3 as const),
    type: fc.nat(0xfff),
    critical: fc.boolean(),
    value: fc.uint8Array({ maxLength: 40 }),
  }),
  { maxLength: 4, selector: ({ space, type }) => space * 4096 + type },
).map((list) => list.toSorted((a, b) => a.space - b.space || a.type - b.type));

const usedSeconds = fc.option(u32, { nil: undefined });

export const arbitraryCounters: fc.Arbitrary<SaCounters> = fc.record({
  oseq: u64,
  seq: u64,
  bitmap: fc.array(u32, { maxLength: 128 }),
  bytes: u64,
  packets: u64,
  ageSeconds: u32,
  usedSeconds,
});

const saFlags = fc.nat(Object.values(SA_FLAG).reduce((all, flag) => all | flag, 0));

/** Any SA; what an algorithm and its key have to do with each other is not looked at. */
export const arbitrarySa: fc.Arbitrary<Sa> = fc.record(
  {
    dst: arbitraryAddress,
    protocol: fc.constantFrom(PROTOCOL.ESP, PROTOCOL.AH, PROTOCOL.IPCOMP),
    spi: u32,
    mark: markOrNone,
    rdomain: u32,
    src: arbitraryAddress,
    mode: u8,
    reqid: u32,
    selector: arbitrarySelector,
    encryption: arbitraryCipher,
    integrity: arbitraryIntegrity,
    aead: arbitraryIntegrity,
    compression: fc.record({ id: algorithm }),
    replayWindow: fc.nat(4096),
    flags: saFlags,
    encapsulation: fc.record({ type: u16, srcPort: u16, dstPort: u16, original: bytes(16) }),
    careOf: arbitraryAddress,
    outputMark: arbitraryMark,
    interfaceId: u32,
    tfcPadding: u32,
    direction: fc.nat(2),
    soft: arbitraryLimits,
    hard: arbitraryLimits,
    counters: arbitraryCounters,
    opaque: arbitraryOpaque,
  },
  {
    requiredKeys: [
      "dst",
      "protocol",
      "spi",
      "mark",
      "rdomain",
      "src",
      "mode",
      "reqid",
      "selector",
      "replayWindow",
      "flags",
      "interfaceId",
      "tfcPadding",
      "direction",
      "soft",
      "hard",
      "counters",
      "opaque",
    ],
  },
);

export const arbitraryTemplate: fc.Arbitrary<Template> = fc.record({
  dst: arbitraryAddress,
  src: arbitraryAddress,
  family: fc.constantFrom(0 as const, 4 as const, 6 as const),
  protocol: u8,
  spi: u32,
  reqid: u32,
  mode: u8,
  share: u8,
  optional: fc.boolean(),
  authAlgorithms: u32,
  encryptionAlgorithms: u32,
  compressionAlgorithms: u32,
});

const policyMembers = {
  direction: fc.nat(2),
  selector: arbitrarySelector,
  type: fc.nat(1),
  mark: markOrNone,
  interfaceId: u32,
  action: fc.nat(1),
  priority: u32,
  flags: u32,
  share: u8,
  templates: fc.array(arbitraryTemplate, { maxLength: 6 }),
  soft: arbitraryLimits,
  hard: arbitraryLimits,
  ageSeconds: u32,
  usedSeconds,
  opaque: arbitraryOpaque,
};

export const arbitraryPolicy: fc.Arbitrary<Policy> = fc.oneof(
  fc.record(policyMembers),
  fc.record({ ...policyMembers, securityContext: fc.uint8Array({ maxLength: 64 }) }),
);

export const arbitraryRecord: fc.Arbitrary<IpsecRecord> = fc.oneof(
  arbitrarySa.map((sa) => ({ kind: "sa" as const, sa })),
  arbitraryPolicy.map((policy) => ({ kind: "policy" as const, policy })),
);
