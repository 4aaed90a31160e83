import { assert, assertEquals, assertMatch } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import type { Dialect, Meaning, Reading } from "../../../src/pfkey/dialect.ts";
import { linuxDialect } from "../../../src/pfkey/linux.ts";
import { encodePolicy, encodePolicyId, namePolicy } from "../../../src/pfkey/linux_policy.ts";
import { decodeMessage } from "../../../src/pfkey/message.ts";
import { AUTH, ENCR, IPCOMP } from "../../../src/record/algorithms.ts";
import { formatAddress } from "../../../src/record/address.ts";
import { ACTION, DIRECTION, type Policy } from "../../../src/record/policy.ts";
import { MODE, PROTOCOL, type Sa, SA_FLAG } from "../../../src/record/sa.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex } from "../../fakes/hex.ts";
import { addr, samplePolicy } from "../../fakes/records.ts";
import { LINUX_KERNEL_VECTORS } from "../../vectors/linux_kernel_pfkey_vectors.ts";
import { LINUX_PFKEY_VECTORS } from "../../vectors/linux_pfkey_vectors.ts";

/** Some seconds after the vectors were taken. */
const NOW = { nowSeconds: 1795437710 };
const strict = linuxDialect("little", { truncation: undefined, noEsn: false });
const told = linuxDialect("little", { truncation: 128, noEsn: true });

function vector(cause: string): Uint8Array {
  const found = LINUX_KERNEL_VECTORS.find(([name]) => name === cause);
  assert(found !== undefined, cause);
  return decodeHex(found[1]);
}

function meaningOf(cause: string, dialect: Dialect = told): Meaning {
  return dialect.decode(decodeMessage(vector(cause), dialect.platform), NOW);
}

function readingOf(cause: string, dialect: Dialect = told): Reading {
  const meaning = meaningOf(cause, dialect);
  assert(meaning.kind === "changed" || meaning.kind === "dumped", meaning.kind);
  return meaning.reading!;
}

function saOf(cause: string): Sa {
  const reading = readingOf(cause);
  assert(reading.kind === "record" && reading.record.kind === "sa", Deno.inspect(reading));
  return reading.record.sa;
}

function policyOf(cause: string): Policy {
  const reading = readingOf(cause);
  assert(reading.kind === "record" && reading.record.kind === "policy", Deno.inspect(reading));
  return reading.record.policy;
}

function repeated(byte: number, length: number) {
  return { keyBits: length * 8, key: new Uint8Array(length).fill(byte) };
}

const AES = { id: ENCR.AES_CBC, keyBits: 128, key: decodeHex("0123456789abcdef0011223344556677") };
const SHA1 = { id: AUTH.HMAC_SHA1_96, icvBits: 96, ...repeated(0xa1, 20) };

Deno.test("decode() reads an SA whole", () => {
  const { selector, counters, ...rest } = saOf("ip xfrm state add, cbc(aes) hmac(sha1)");
  assertEquals(rest, {
    dst: addr("198.51.100.1"),
    protocol: PROTOCOL.ESP,
    spi: 0x1001,
    mark: { value: 0, mask: 0 },
    rdomain: 0,
    src: addr("192.0.2.1"),
    mode: MODE.TUNNEL,
    reqid: 7,
    integrity: SHA1,
    encryption: AES,
    replayWindow: 32,
    flags: 0,
    encapsulation: undefined,
    interfaceId: 0,
    tfcPadding: 0,
    direction: 0,
    soft: {},
    hard: {},
    opaque: [],
  });
  assertEquals([selector.family, selector.srcBits, selector.src.length], [4, 0, 4]);
  assertEquals([counters.ageSeconds, counters.usedSeconds, counters.oseq], [13, undefined, 0n]);
});

Deno.test("decode() reads flags, limits and UDP encapsulation", () => {
  const sa = saOf("ip xfrm state add, flags, limits, UDP encapsulation");
  assertEquals(sa.flags, SA_FLAG.NO_PMTU_DISC | SA_FLAG.DECAP_DSCP | SA_FLAG.NO_ECN);
  assertEquals(sa.hard, { addSeconds: 3600n, bytes: 1000000n, packets: 5000n });
  assertEquals(sa.soft, { addSeconds: 3000n, bytes: 900000n, packets: 4000n });
  const { type, srcPort, dstPort } = sa.encapsulation!;
  assertEquals([type, srcPort, dstPort, sa.reqid], [2, 4500, 4501, 70000]);
});

const algorithms: readonly (readonly [cause: string, expected: Partial<Sa>])[] = [
  ["ip xfrm state add, ecb(cipher_null)", {
    encryption: { id: ENCR.NULL, ...repeated(0, 0) },
    integrity: SHA1,
    replayWindow: 32,
  }],
  ["ip xfrm state add, digest_null", {
    encryption: AES,
    integrity: { id: AUTH.NONE, icvBits: 0, ...repeated(0, 0) },
  }],
  ["ip xfrm state add, no integrity", { encryption: AES, integrity: undefined }],
  ["ip xfrm state add, AH", { protocol: PROTOCOL.AH, integrity: SHA1, encryption: undefined }],
  ["ip xfrm state add, deflate", { protocol: PROTOCOL.IPCOMP, compression: { id: IPCOMP.DEFLATE } }],
  ["ip xfrm state add, rfc3686(ctr(aes)) hmac(sha512)", {
    encryption: { id: ENCR.AES_CTR, ...repeated(0xe5, 20) },
    integrity: { id: AUTH.HMAC_SHA2_512_256, icvBits: 256, ...repeated(0xf6, 64) },
  }],
  ["ip xfrm state add, transport mode, IPv6", { mode: MODE.TRANSPORT, src: addr("2001:db8::1"), reqid: 9 }],
  ["ip xfrm state add, hmac(sha256) of 128 bits", {
    integrity: { id: AUTH.HMAC_SHA2_256_128, icvBits: 128, ...repeated(0xb2, 32) },
  }],
  ["ip xfrm state add, flag esn", { replayWindow: 0, flags: 0 }],
  ["SADB_DUMP, the last message", { hard: { addSeconds: 9000n }, encryption: AES }],
];

for (const [cause, expected] of algorithms) {
  Deno.test(`decode() reads what "${cause}" shows`, () => {
    const sa: Readonly<Record<string, unknown>> = { ...saOf(cause) };
    for (const [key, value] of Object.entries(expected)) assertEquals(sa[key], value, key);
  });
}

const refusals: readonly (readonly [cause: string, dialect: Dialect, reason: RegExp])[] = [
  ["ip xfrm state add, rfc4106(gcm(aes))", told, /does not tell its encryption algorithm: AEAD/],
  ["ip xfrm state add, cmac(aes)", told, /does not tell its integrity algorithm/],
  [
    "ip xfrm state add, hmac(sha256) of 128 bits",
    strict,
    /truncation of HMAC-SHA-256 .see pfkey assume-truncation/,
  ],
  ["ip xfrm state add, flag esn", strict, /window of 0 from ESN or a long one .see pfkey assume-no-esn/],
  ["ip xfrm state add, replay-window 128", strict, /window of 0 from ESN or a long one/],
  ["ip xfrm state add, selector", told, /the whole of the SA's selector/],
  ["ip xfrm state add, selector from its own source", told, /the whole of the SA's selector/],
  ["ip xfrm state add, mode beet", told, /mode 3 cannot be copied/],
  ["ip xfrm policy add, IPv4 in IPv6", told, /inner packets are of another family/],
];

for (const [cause, dialect, reason] of refusals) {
  Deno.test(`decode() refuses what "${cause}" shows, ${dialect === strict ? "unless told" : "always"}`, () => {
    const reading = readingOf(cause, dialect);
    assert(reading.kind === "refused", reading.kind);
    assertMatch(reading.reason, reason);
    assertMatch(reading.what, /^(sa|policy) /);
  });
}

Deno.test("decode() reads policies", () => {
  const out = policyOf("ip xfrm policy add, out, tunnel");
  const [template] = out.templates;
  assertEquals([out.direction, out.priority, out.action, out.templates.length], [
    DIRECTION.OUT,
    1000,
    ACTION.ALLOW,
    1,
  ]);
  assertEquals([template!.reqid, template!.mode, template!.optional], [7, MODE.TUNNEL, false]);
  assertEquals([formatAddress(template!.src), formatAddress(template!.dst)], ["192.0.2.1", "198.51.100.1"]);
  const { selector, templates } = policyOf("ip xfrm policy add, in, ports, level use");
  assertEquals([selector.protocol, selector.srcPort, selector.srcPortMask, selector.dstPort], [
    6,
    80,
    0xffff,
    443,
  ]);
  assertEquals([templates[0]!.optional, templates[0]!.reqid], [true, 7]);
  assertEquals(policyOf("ip xfrm policy add, fwd, IPv6, reqid 70000").templates[0]!.reqid, 70000);
  assertEquals(policyOf("ip xfrm policy add, transport").templates[0]!.dst, addr("0.0.0.0"));
  assertEquals(policyOf("ip xfrm policy add, block").action, ACTION.BLOCK);
  assertEquals(policyOf("ip xfrm policy add, allow, time-hard").hard, { addSeconds: 100n });
  const protocols = policyOf("ip xfrm policy add, IPCOMP and ESP").templates.map(({ protocol }) => protocol);
  assertEquals(protocols, [PROTOCOL.IPCOMP, PROTOCOL.ESP]);
});

const meanings: readonly (readonly [cause: string, expected: Partial<Meaning> | Record<string, unknown>])[] =
  [
    ["ip xfrm state add, AH", { kind: "changed", created: true }],
    ["ip xfrm state update of an SA with keys", { kind: "read-back", created: false }],
    ["ip xfrm state delete", { kind: "sa-gone", expired: false }],
    ["hard expiry", { kind: "sa-gone", expired: true }],
    ["soft expiry", { kind: "ignore" }],
    ["ip xfrm policy add, block", { kind: "changed", created: true }],
    ["ip xfrm policy update", { kind: "changed", created: false }],
    ["ip xfrm policy delete", { kind: "policy-gone", expired: false }],
    ["ip xfrm state flush", { kind: "sa-flush", protocol: 0 }],
    ["ip xfrm state flush proto ah", { kind: "sa-flush", protocol: PROTOCOL.AH }],
    ["ip xfrm policy flush", { kind: "policy-flush", type: 0 }],
    ["SADB_X_PROMISC", { kind: "ignore" }],
    ["SADB_REGISTER", { kind: "ignore" }],
    ["SADB_DUMP, a larval SA", { kind: "dumped", reading: { kind: "none" }, last: false }],
    ["SADB_DUMP, the last message", { kind: "dumped", last: true }],
    ["SADB_X_SPDDUMP", { kind: "dumped", last: false }],
    ["SADB_X_SPDDUMP, the last message", { kind: "dumped", last: true }],
    ["SADB_DUMP of nothing", { kind: "dumped", reading: undefined, last: true }],
    ["SADB_X_SPDDUMP of nothing", { kind: "dumped", reading: undefined, last: true }],
    ["SADB_ADD of an SA that is there", { kind: "error", errno: "EEXIST" }],
    ["SADB_GET of an SA that is not there", { kind: "error", errno: "ESRCH" }],
  ];

for (const [cause, expected] of meanings) {
  Deno.test(`decode() knows what "${cause}" means`, () => {
    const meaning: Readonly<Record<string, unknown>> = { ...meaningOf(cause) };
    for (const [key, value] of Object.entries(expected)) assertEquals(meaning[key], value, key);
  });
}

Deno.test("encodePolicy() and encodePolicyId() carry a security context", () => {
  const securityContext = Uint8Array.of(9, 0, 8, 0, 1, 1, 1, 0, 120);
  const policy = samplePolicy({ securityContext });
  for (const body of [encodePolicy(policy, told.platform), encodePolicyId(policy, told.platform)]) {
    const message = { ...decodeMessage(vector("ip xfrm policy delete"), told.platform), body };
    assertEquals(namePolicy(message, told.platform)?.id.securityContext, securityContext);
  }
});

const all = [
  ...LINUX_KERNEL_VECTORS.map(([name, hex]) => ({ name, hex, order: "little" })),
  ...LINUX_PFKEY_VECTORS,
];

Deno.test("decode() answers every damage of every vector with a meaning or a DecodeError", () => {
  for (const { hex, order } of all) {
    const dialect = linuxDialect(order === "big" ? "big" : "little", { truncation: 128, noEsn: true });
    for (const damaged of damages(decodeHex(hex))) {
      try {
        const meaning = dialect.decode(decodeMessage(damaged, dialect.platform), NOW);
        if (meaning.kind === "changed" && meaning.reading.kind === "record") {
          dialect.refusal(meaning.reading.record);
        }
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  }
});
