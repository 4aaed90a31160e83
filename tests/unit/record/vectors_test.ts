import { assert, assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import type { Policy } from "../../../src/record/policy.ts";
import {
  identityOfPolicy,
  identityOfSa,
  type IpsecRecord,
  type RecordIdentity,
} from "../../../src/record/record.ts";
import { NO_MARK, PROTOCOL, type Sa, SA_FLAG, type SaCounters } from "../../../src/record/sa.ts";
import { digestOf, murmur128 } from "../../../src/record/digest.ts";
import {
  decodeIdentity,
  decodeRecord,
  decodeSaCounters,
  encodeContent,
  encodeIdentity,
  encodePolicyAge,
  encodeSaCounters,
  encodeVolatile,
} from "../../../src/record/encoding.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import {
  addr,
  sampleCounters,
  samplePolicy,
  sampleSa,
  sampleSelector,
  sampleTemplate,
} from "../../fakes/records.ts";
import { DIGEST_VECTORS, RECORD_VECTORS } from "../../vectors/record_vectors.ts";

const NOTHING = new Uint8Array(0);
const A = addr("2001:db8::1");
const B = addr("2001:db8::2");

function count(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i);
}

const smallSa: Sa = sampleSa({
  aead: undefined,
  reqid: 0,
  replayWindow: 0,
  flags: 0,
  counters: sampleCounters({ bitmap: [] }),
});

const fullSa: Sa = sampleSa({
  dst: A,
  protocol: PROTOCOL.AH,
  spi: 0x100,
  mark: { value: 0x10, mask: 0xff },
  rdomain: 3,
  selector: {
    family: 6,
    src: A,
    dst: B,
    srcBits: 64,
    dstBits: 128,
    srcPort: 1,
    srcPortMask: 0xffff,
    dstPort: 2,
    dstPortMask: 0xff00,
    protocol: 17,
    ifname: "eth0",
    user: 1000,
  },
  interfaceId: 42,
  src: B,
  mode: 4,
  reqid: 16385,
  encryption: { id: 12, keyBits: 128, key: count(16) },
  integrity: { id: 12, keyBits: 256, key: count(32), icvBits: 128 },
  aead: { id: "foo", keyBits: 8, key: Uint8Array.of(0xaa), icvBits: 96 },
  compression: { id: 2 },
  replayWindow: 4096,
  flags: SA_FLAG.NO_ECN | SA_FLAG.ESN | SA_FLAG.LONG_REPLAY,
  encapsulation: {
    type: 2,
    srcPort: 4500,
    dstPort: 4501,
    original: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 203, 0, 113, 9),
  },
  careOf: B,
  outputMark: { value: 7, mask: 0xffffffff },
  tfcPadding: 1400,
  direction: 2,
  soft: { addSeconds: 3600n, bytes: 1n << 40n },
  hard: { addSeconds: 7200n, useSeconds: 600n, bytes: 2n ** 64n - 1n, packets: 9n },
  counters: sampleCounters({ bitmap: [] }),
  opaque: [
    { space: 1, type: 0x1c, critical: false, value: Uint8Array.of(1, 2) },
    { space: 3, type: 0xfff, critical: true, value: NOTHING },
  ],
});

const counters: SaCounters = {
  oseq: 0x1_0000_0001n,
  seq: 99n,
  bitmap: [1, 0x80000000],
  bytes: 123456n,
  packets: 789n,
  ageSeconds: 60,
  usedSeconds: 0,
};

const policySelector = sampleSelector({ dst: addr("10.2.3.0"), dstBits: 24 });
const smallPolicy: Policy = samplePolicy({ selector: policySelector, action: 1, priority: 0, templates: [] });
const template = sampleTemplate({
  spi: 5,
  reqid: 6,
  authAlgorithms: 1,
  encryptionAlgorithms: 2,
  share: 2,
  family: 6,
  optional: true,
  dst: A,
  src: B,
});
const fullPolicy: Policy = samplePolicy({
  mark: { value: 1, mask: 1 },
  selector: policySelector,
  type: 1,
  interfaceId: 7,
  flags: 3,
  soft: { useSeconds: 5n },
  hard: { packets: 6n },
  priority: 375423,
  share: 1,
  templates: [template, template],
  opaque: [{ space: 2, type: 1, critical: false, value: new TextEncoder().encode("tag") }],
});

const contents: Readonly<Record<string, readonly [IpsecRecord, string]>> = {
  saSmall: [{ kind: "sa", sa: smallSa }, RECORD_VECTORS.saSmall],
  saFull: [{ kind: "sa", sa: fullSa }, RECORD_VECTORS.saFull],
  policySmall: [{ kind: "policy", policy: smallPolicy }, RECORD_VECTORS.policySmall],
  policyFull: [{ kind: "policy", policy: fullPolicy }, RECORD_VECTORS.policyFull],
};

for (const [name, [record, hex]] of Object.entries(contents)) {
  Deno.test(`encodeContent() gives vector ${name}`, () =>
    assertEquals(encodeHex(encodeContent(record)), hex));

  Deno.test(`decodeRecord() reads vector ${name}`, () => {
    const decoded = decodeRecord(record.kind, decodeHex(hex), NOTHING);
    assertEquals(decoded.refusal, undefined);
    assertEquals(withoutUndefined(decoded.record), withoutUndefined(record));
  });

  Deno.test(`decodeRecord() answers every damage of vector ${name} with a value or DecodeError`, () => {
    checkDamages(
      decodeHex(hex),
      (bytes) => encodeContent(decodeRecord(record.kind, bytes, NOTHING).record),
    );
  });
}

const identities: Readonly<Record<string, readonly [RecordIdentity, string]>> = {
  saIdentity: [identityOfSa(smallSa), RECORD_VECTORS.saIdentity],
  saIdentityFull: [identityOfSa(fullSa), RECORD_VECTORS.saIdentityFull],
  policyIdentity: [identityOfPolicy(smallPolicy), RECORD_VECTORS.policyIdentity],
};

for (const [name, [identity, hex]] of Object.entries(identities)) {
  Deno.test(`encodeIdentity() gives vector ${name}`, () =>
    assertEquals(encodeHex(encodeIdentity(identity)), hex));

  Deno.test(`decodeIdentity() answers every damage of vector ${name} with a value or DecodeError`, () => {
    checkDamages(decodeHex(hex), (bytes) => encodeIdentity(decodeIdentity(identity.kind, bytes)));
  });
}

Deno.test("decodeIdentity() gives the identity's members only", () => {
  const { dst, protocol, spi, rdomain } = smallSa;
  assertEquals(decodeIdentity("sa", decodeHex(RECORD_VECTORS.saIdentity)), {
    kind: "sa",
    id: { dst, protocol, spi, mark: NO_MARK, rdomain },
    key: "sa 198.51.100.1 50 c0000001 0/0 0",
  });
});

Deno.test("encodeSaCounters() and decodeSaCounters() agree with the vector", () => {
  const bytes = decodeHex(RECORD_VECTORS.saCounters);
  assertEquals(encodeSaCounters(counters), bytes);
  assertEquals(decodeSaCounters(bytes), counters);
  checkDamages(bytes, (damaged) => encodeSaCounters(decodeSaCounters(damaged)));
});

Deno.test("encodePolicyAge() and decodeRecord() agree with the vector", () => {
  const bytes = decodeHex(RECORD_VECTORS.policyAge);
  assertEquals(encodePolicyAge(10, 3), bytes);
  const { record } = decodeRecord("policy", decodeHex(RECORD_VECTORS.policySmall), bytes);
  assertEquals(record, { kind: "policy", policy: { ...smallPolicy, ageSeconds: 10, usedSeconds: 3 } });
  assertEquals(encodeVolatile(record), bytes);
});

Deno.test("digestOf() gives the vector, and another digest for another rank", () => {
  const content = decodeHex(RECORD_VECTORS.saSmall);
  assertEquals(encodeHex(digestOf(content, 7)), DIGEST_VECTORS.saSmall7);
  assert(encodeHex(digestOf(content, 8)) !== DIGEST_VECTORS.saSmall7);
});

const small = RECORD_VECTORS.saSmall;
const malformed: readonly [string, string, string][] = [
  ["nothing at all", "", "dst: attribute is missing"],
  ["half an attribute header", `${small}8012`, "need 2 bytes"],
  ["a value past the end", `${small}8012000400`, "need 4 bytes"],
  ["an attribute twice", small + small, "ascending order"],
  ["attributes out of order", `${small}8001000401020304`, "ascending order"],
  ["a default written out", `${small}8012000400000000`, "states its default"],
  ["a value too long", `${small}801200050000000100`, "1 bytes left over"],
  ["a value too short", `${small}80120003000001`, "need 4 bytes"],
  ["a critical bit that is not ours", `${small}0012000400000001`, "critical bit"],
  ["limits of no meaning", `${small}801a000110`, "unknown limits"],
  ["an algorithm without a name", `${small}800d0003ffff00`, "empty name"],
  ["a name with a line feed", `${small}800d0004ffff010a`, "control characters"],
  ["a name that is not UTF-8", `${small}800d0004ffff01ff`, "not UTF-8"],
  ["an address of 5 bytes", `${small}801400050102030405`, "address of 5 bytes"],
  ["the protocol UDP", small.replace("8002000132", "8002000111"), "protocol 17"],
];

for (const [name, hex, message] of malformed) {
  Deno.test(`decodeRecord() refuses ${name}`, () => {
    assertThrows(() => decodeRecord("sa", decodeHex(hex), NOTHING), DecodeError, message);
  });
}

const unknown: readonly [string, string, string | undefined][] = [
  ["skips an unknown attribute that is not critical", "0fff000101", undefined],
  ["names an unknown critical attribute", "8fff000101", "unknown critical common attribute 4095"],
  ["names a critical attribute of an unknown space", "c0050000", "unknown critical space 4 attribute 5"],
  ["names unknown flags", "8012000480000001", "unknown critical SA flags 0x80000000"],
];

for (const [name, hex, refusal] of unknown) {
  Deno.test(`decodeRecord() ${name}`, () => {
    assertEquals(decodeRecord("sa", decodeHex(small + hex), NOTHING).refusal, refusal);
  });
}

Deno.test("decodeIdentity() refuses attributes that identities have not", () => {
  for (const extra of ["8fff000101", "10010000"]) {
    const bytes = decodeHex(RECORD_VECTORS.saIdentity + extra);
    assertThrows(() => decodeIdentity("sa", bytes), DecodeError, "unexpected");
  }
});

const unwritable: readonly [string, Partial<Sa>][] = [
  ["a key that is not of its bits", { encryption: { id: 12, keyBits: 120, key: new Uint8Array(16) } }],
  ["algorithm number 65535", { compression: { id: 0xffff } }],
  ["an address of 5 bytes", { src: new Uint8Array(5) }],
  ["a selector of IPv6 with IPv4 addresses", { selector: sampleSelector({ family: 6 }) }],
  ["a selector of no family with addresses", { selector: sampleSelector({ family: 0 }) }],
  ["an opaque attribute with a number too great", {
    opaque: [{ space: 1, type: 0x1000, critical: false, value: NOTHING }],
  }],
  ["an opaque attribute twice", {
    opaque: [
      { space: 1, type: 1, critical: false, value: NOTHING },
      { space: 1, type: 1, critical: true, value: NOTHING },
    ],
  }],
];

for (const [name, overrides] of unwritable) {
  Deno.test(`encodeContent() refuses ${name}`, () => {
    assertThrows(() => encodeContent({ kind: "sa", sa: sampleSa(overrides) }), RangeError);
  });
}

for (
  const [text, digest] of [
    ["", "00000000000000000000000000000000"],
    ["The quick brown fox jumps over the lazy dog", "2f1583c3ecee2c675d7bf66ce5e91d2c"],
    ["I will not buy this record, it is scratched.", "a0a9683b25ac5e40d9af2895890dddf5"],
  ] as const
) {
  Deno.test(`murmur128() of "${text}" is what other implementations give`, () => {
    assertEquals(encodeHex(murmur128(new TextEncoder().encode(text))), digest);
  });
}

/**
 * What is accepted has one form: encoding gives the same bytes, or fewer where attributes were skipped.
 */
function checkDamages(bytes: Uint8Array, decodeAndEncode: (bytes: Uint8Array) => Uint8Array): void {
  for (const damaged of damages(bytes)) {
    let encoded: Uint8Array;
    try {
      encoded = decodeAndEncode(damaged);
    } catch (error) {
      if (error instanceof DecodeError) continue;
      throw error;
    }
    if (encoded.length < damaged.length) assertEquals(decodeAndEncode(encoded), encoded);
    else assertEquals(encoded, damaged);
  }
}

/** Members that are undefined say the same as members that are not there. */
function withoutUndefined(record: IpsecRecord): object {
  const members = record.kind === "sa" ? record.sa : record.policy;
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
