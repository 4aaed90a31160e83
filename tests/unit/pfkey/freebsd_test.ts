import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { DecodeError } from "../../../src/errors.ts";
import type { Dialect, Meaning, Reading } from "../../../src/pfkey/dialect.ts";
import { freebsdDialect } from "../../../src/pfkey/freebsd.ts";
import { decodeMessage, encodeMessage, readExtensions } from "../../../src/pfkey/message.ts";
import type { KernelChange } from "../../../src/ports.ts";
import { AUTH, ENCR, IPCOMP } from "../../../src/record/algorithms.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { SPACE } from "../../../src/record/opaque.ts";
import { ACTION, DIRECTION, type Policy, POLICY_FLAG } from "../../../src/record/policy.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import { MODE, NO_MARK, PROTOCOL, type Sa, SA_DIRECTION, SA_FLAG } from "../../../src/record/sa.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { compact, FREEBSD_HABITS, recordOf } from "../../fakes/pfkey_records.ts";
import { arbitraryPolicy, arbitrarySa } from "../../fakes/record_arbitraries.ts";
import {
  addr,
  sampleCounters,
  samplePolicy,
  sampleSa,
  sampleSelector,
  sampleTemplate,
} from "../../fakes/records.ts";
import { FREEBSD_VECTORS, TAKEN_SECONDS } from "../../vectors/freebsd_vectors.ts";
import type { PfkeyVector } from "../../vectors/pfkey_vector.ts";

const SURROUNDINGS = { nowSeconds: TAKEN_SECONDS };
const GET = 5;
const DUMP = 10;
const SPDDUMP = 18;
const HARD = "3";
/** SA (state, algorithms that the kernel fills in), SA2 (sequence number), POLICY (number, scope). */
const NEVER_ALIKE = new Set([1, 18, 19]);
/** CURRENT, HARD of policies without one, what tells of offload. */
const ONLY_SHOWN = new Set([2, 3, 29, 30, 31]);

function dialectOf({ order }: Pick<PfkeyVector, "order">): Dialect {
  return freebsdDialect(order === "little" ? "little" : "big");
}

function read(bytes: Uint8Array, dialect: Dialect): Meaning {
  return dialect.decode(dialect.unwrap(decodeMessage(bytes, dialect.platform)), SURROUNDINGS);
}

/** The reading of a vector, in a dump or the answer to GET. */
function readingOf(vector: PfkeyVector): Reading {
  const dialect = dialectOf(vector);
  const bytes = decodeHex(vector.hex);
  if (vector.head.type === GET) {
    return dialect.decodeAnswer(decodeMessage(bytes, dialect.platform), SURROUNDINGS);
  }
  const meaning = read(bytes, dialect);
  assert(meaning.kind === "dumped" && meaning.reading !== undefined);
  return meaning.reading;
}

function expectedOf(vector: PfkeyVector): IpsecRecord {
  return recordOf(vector.record!, FREEBSD_HABITS);
}

// --- what the kernel says ---

for (const vector of FREEBSD_VECTORS.filter(({ record, refused, reading }) => record ?? refused ?? reading)) {
  Deno.test(`freebsdDialect().decode() reads ${vector.name} (${vector.order}-endian)`, () => {
    const reading = readingOf(vector);
    if (vector.record !== undefined) {
      assert(reading.kind === "record", reading.kind === "refused" ? reading.reason : reading.kind);
      assertEquals(compact(reading.record), compact(expectedOf(vector)));
    } else if (vector.refused === undefined) assertEquals(reading.kind, vector.reading);
    else {
      assert(reading.kind === "refused", reading.kind);
      assertStringIncludes(reading.reason, vector.refused);
    }
  });
}

const ID = { dst: addr("198.51.100.7"), protocol: PROTOCOL.ESP, spi: 0x2000, mark: NO_MARK, rdomain: 0 };
const SRC = addr("192.0.2.1");

const POLICY_ID = {
  direction: DIRECTION.OUT,
  selector: sampleSelector(),
  type: 0,
  mark: NO_MARK,
  interfaceId: 0,
};
const POLICY = samplePolicy({
  ...POLICY_ID,
  priority: 0,
  templates: [sampleTemplate({ dst: ID.dst, src: SRC, reqid: 7 })],
});
const CHANGED = { kind: "changed", reading: { kind: "record", record: { kind: "policy", policy: POLICY } } };

const meanings: Readonly<Record<string, unknown>> = {
  "reply to ADD": { kind: "read-back", id: ID, src: SRC, created: true },
  "reply to ADD with identities": { kind: "read-back", id: ID, src: SRC, created: true },
  "ADD with sensitivity": { kind: "read-back", id: ID, src: SRC, created: true },
  "reply to UPDATE": { kind: "read-back", id: ID, src: SRC, created: false },
  "reply to UPDATE that moves the SA": { kind: "resync", reason: "an SA was moved to other addresses" },
  "reply to GETSPI": { kind: "ignore" },
  "GETSPI with a range": { kind: "ignore" },
  "DELETE": { kind: "sa-gone", id: ID, expired: false },
  "DELETE of all SAs between two addresses": {
    kind: "resync",
    reason: "all SAs between two addresses were deleted",
  },
  "FLUSH of all": { kind: "sa-flush", protocol: 0 },
  "FLUSH of AH": { kind: "sa-flush", protocol: PROTOCOL.AH },
  "FLUSH of TCP-MD5": { kind: "ignore" },
  "SPDFLUSH": { kind: "policy-flush", type: 255 },
  "EXPIRE soft": { kind: "ignore" },
  "EXPIRE hard": { kind: "sa-gone", id: ID, expired: true },
  "ACQUIRE": { kind: "ignore" },
  "reply to REGISTER": { kind: "ignore" },
  "dump of nothing, errno ENOENT": { kind: "dumped", reading: undefined, last: true },
  "ADD that failed, the whole request with EEXIST": { kind: "error", errno: "EEXIST" },
  "dump that failed": { kind: "error", errno: "ENOBUFS" },
  "PROMISC with a message inside": { kind: "ignore" },
  "SPDADD": { ...CHANGED, created: true },
  "SPDUPDATE": { ...CHANGED, created: true },
  "SPDSETIDX": { ...CHANGED, created: true },
  "SPDDELETE": { kind: "policy-gone", id: POLICY_ID, expired: false },
  "SPDEXPIRE": { kind: "policy-gone", id: POLICY_ID, expired: true },
  "SPDDELETE of a socket's": { kind: "ignore" },
  "SPDDELETE2": { kind: "resync", reason: "a policy was deleted by its number" },
  "SPDACQUIRE": { kind: "ignore" },
};

for (
  const vector of FREEBSD_VECTORS.filter(({ record, refused, reading }) => !(record ?? refused ?? reading))
) {
  Deno.test(`freebsdDialect().decode() takes ${vector.name} for what it means (${vector.order}-endian)`, () => {
    assert(vector.name in meanings, "a vector without a meaning");
    assertEquals(read(decodeHex(vector.hex), dialectOf(vector)) as unknown, meanings[vector.name]);
  });
}

Deno.test("freebsdDialect().decode() knows the last message of a dump by its number", () => {
  const lasts = FREEBSD_VECTORS.filter(({ head }) => head.type === DUMP && head.errno === 0).map((vector) => {
    const meaning = read(decodeHex(vector.hex), dialectOf(vector));
    return [vector.head.seq, meaning.kind === "dumped" && meaning.last];
  });
  assertEquals(lasts.filter(([seq, last]) => (seq === 0) !== last), []);
  assert(lasts.some(([seq]) => seq !== 0));
});

Deno.test("freebsdDialect() reads every damaged vector as something, or says what is wrong with it", () => {
  for (const vector of FREEBSD_VECTORS) {
    const dialect = dialectOf(vector);
    for (const damaged of damages(decodeHex(vector.hex))) {
      try {
        const message = decodeMessage(damaged, dialect.platform);
        if (vector.head.type === GET) dialect.decodeAnswer(message, SURROUNDINGS);
        else dialect.decode(dialect.unwrap(message), SURROUNDINGS);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  }
});

// --- what the kernel is told ---

/** The requests for a change, as whole messages. */
function requestsFor(change: KernelChange, dialect: Dialect, src?: Uint8Array): Uint8Array[] {
  const planned = dialect.encode(change, SURROUNDINGS, src);
  assert(planned.ok, planned.ok ? "" : planned.reason);
  const { requests, onExist } = planned.plan;
  return [...requests, ...onExist].map((request) =>
    encodeMessage({ ...request, seq: 1, pid: 2 }, request.body, dialect.platform)
  );
}

/** Extensions of a message by number, as text. */
function extensionsOf(bytes: Uint8Array, { platform }: Dialect): Record<number, string> {
  const extensions = readExtensions(decodeMessage(bytes, platform).body, platform);
  return Object.fromEntries([...extensions].map(([type, extension]) => [type, encodeHex(extension)]));
}

for (
  const vector of FREEBSD_VECTORS.filter(({ record, name }) =>
    record && !/before 13\.0|not heeded/.test(name)
  )
) {
  Deno.test(`freebsdDialect().encode() puts ${vector.name} as the kernel shows it (${vector.order}-endian)`, () => {
    const dialect = dialectOf(vector);
    const record = expectedOf(vector);
    assertEquals(dialect.refusal(record), undefined);
    assertEquals(compact(dialect.told(record)), compact(record));
    const [put] = requestsFor({ kind: "put", record }, dialect);
    const given = extensionsOf(put!, dialect);
    const shown = extensionsOf(decodeHex(vector.hex), dialect);
    for (const [type, extension] of Object.entries(given)) {
      const isLimit = type === HARD && vector.head.type === SPDDUMP; // the kernel shows garbage beside the time
      if (!isLimit && !NEVER_ALIKE.has(Number(type))) {
        assertEquals(extension, shown[Number(type)], `extension ${type}`);
      }
    }
    const left = Object.keys(shown).filter((type) => !(type in given));
    assertEquals(left.filter((type) => !ONLY_SHOWN.has(Number(type))), []);
  });
}

/** Type, satype and what is fine, of a plan's requests. */
function planOf(change: KernelChange, src?: Uint8Array): unknown {
  const planned = LITTLE.encode(change, SURROUNDINGS, src);
  if (!planned.ok) return planned.reason;
  const { requests, onExist } = planned.plan;
  return [requests, onExist].map((list) =>
    list.map(({ type, satype, fine }) => `${LITTLE.messageName(type)} ${satype} ${fine}`)
  );
}

const LITTLE = freebsdDialect("little");

/** An SA that FreeBSD can take. */
function plainSa(overrides: Partial<Sa> = {}): Sa {
  return sampleSa({ flags: 0, ...overrides });
}

function plainPolicy(overrides: Partial<Policy> = {}): Policy {
  return samplePolicy(overrides);
}

Deno.test("freebsdDialect().encode() adds an SA, and in the place of another one deletes that first", () => {
  assertEquals(planOf({ kind: "put", record: { kind: "sa", sa: plainSa() } }), [
    ["SADB_ADD 3 "],
    ["SADB_DELETE 3 ESRCH", "SADB_ADD 3 "],
  ]);
});

Deno.test("freebsdDialect().encode() deletes an SA by its source too", () => {
  const change = { kind: "delete-sa", id: plainSa({ protocol: PROTOCOL.AH }) } as const;
  assertEquals(planOf(change, SRC), [["SADB_DELETE 2 ESRCH"], []]);
  assertEquals(planOf(change), "the source of the SA is not known");
  const [bytes] = requestsFor(change, LITTLE, SRC);
  assertEquals(
    Object.keys(extensionsOf(bytes!, LITTLE)),
    ["1", "5", "6"],
    "without SA it would delete them all",
  );
});

Deno.test("freebsdDialect().encode() puts and deletes policies by selector", () => {
  const policy = plainPolicy();
  assertEquals(planOf({ kind: "put", record: { kind: "policy", policy } }), [["SADB_X_SPDUPDATE 0 "], []]);
  assertEquals(planOf({ kind: "delete-policy", id: policy }), [["SADB_X_SPDDELETE 0 EINVAL,ENOENT"], []]);
});

Deno.test("freebsdDialect().encode() deletes nothing where there can be nothing", () => {
  const mark = { value: 1, mask: 1 };
  assertEquals(planOf({ kind: "delete-sa", id: plainSa({ mark }) }, SRC), [[], []]);
  assertEquals(planOf({ kind: "delete-sa", id: plainSa({ rdomain: 1 }) }, SRC), [[], []]);
  assertEquals(planOf({ kind: "delete-policy", id: plainPolicy({ mark }) }), [[], []]);
  assertEquals(planOf({ kind: "delete-policy", id: plainPolicy({ direction: DIRECTION.FWD }) }), [[], []]);
});

Deno.test("freebsdDialect().encode() gives HARD and SOFT together or not at all", () => {
  const limits = [{}, { addSeconds: undefined }, { addSeconds: 60n }, { bytes: 1n }];
  const given = limits.map((hard) => {
    const [bytes] = requestsFor({ kind: "put", record: { kind: "sa", sa: plainSa({ hard }) } }, LITTLE);
    return ["3", "4"].filter((type) => type in extensionsOf(bytes!, LITTLE));
  });
  assertEquals(given, [[], [], ["3", "4"], ["3", "4"]]);
});

Deno.test("freebsdDialect().get() asks by SPI and both ends", () => {
  const { type, satype, body } = LITTLE.get(plainSa(), SRC);
  assertEquals([LITTLE.messageName(type), satype], ["SADB_GET", 3]);
  const message = encodeMessage({ type, satype, seq: 0, pid: 0 }, body, LITTLE.platform);
  assertEquals(Object.keys(extensionsOf(message, LITTLE)), ["1", "5", "6"]);
});

Deno.test("freebsdDialect() registers for expiries of all protocols, and dumps SAs before policies", () => {
  assertEquals(LITTLE.subscriptions.map(({ type, satype }) => [type, satype]), [[7, 2], [7, 3], [7, 9]]);
  assert(LITTLE.dump.kind === "requests" && LITTLE.dump.step === -1);
  assertEquals(LITTLE.dump.requests.map(({ type }) => LITTLE.messageName(type)), [
    "SADB_DUMP",
    "SADB_X_SPDDUMP",
  ]);
});

// --- what FreeBSD has no place for ---

const KEY = (bytes: number) => ({ keyBits: bytes * 8, key: new Uint8Array(bytes).fill(7) });
const CBC = { id: ENCR.AES_CBC, ...KEY(16) };
const SHA1 = { id: AUTH.HMAC_SHA1_96, ...KEY(20), icvBits: 96 };
const bare = { aead: undefined, encryption: CBC, integrity: SHA1 };
const attribute = (space: 1 | 2 | 3, type: number, critical = true) => ({
  space,
  type,
  critical,
  value: new Uint8Array([1, 2, 3]),
});

function udp(original: Uint8Array = new Uint8Array(16)) {
  const padded = new Uint8Array(16);
  padded.set(original);
  return { type: 2, srcPort: 4500, dstPort: 40000, original: padded };
}

const saRefusals: readonly (readonly [overrides: Partial<Sa>, reason: string])[] = [
  [{ mark: { value: 1, mask: 1 } }, "FreeBSD has no marks"],
  [{ rdomain: 1 }, "FreeBSD has no routing domains"],
  [{ spi: 255 }, "FreeBSD refuses SPIs up to 255"],
  [
    { protocol: PROTOCOL.IPCOMP, spi: 0x10000, aead: undefined, compression: { id: 2 } },
    "a CPI beyond 65535",
  ],
  [{ src: addr("2001:db8::1") }, "addresses of different families"],
  [{ mode: MODE.BEET }, "FreeBSD has no mode BEET"],
  [{ mode: MODE.IPTFS }, "FreeBSD has no mode IPTFS"],
  [{ selector: sampleSelector() }, "FreeBSD's SAs have no selector"],
  [{ selector: sampleSelector({ srcBits: 0, dstBits: 0, protocol: 17 }) }, "FreeBSD's SAs have no selector"],
  [{ flags: SA_FLAG.DECAP_DSCP | SA_FLAG.NO_ECN }, "FreeBSD has no SA flag NO_ECN, DECAP_DSCP"],
  [{ replayWindow: 33 }, "a replay window of 33 packets is no multiple of 8"],
  [
    { counters: sampleCounters({ seq: 1n << 32n }), flags: SA_FLAG.ESN },
    "the high half of extended sequence numbers cannot be set",
  ],
  [{ careOf: addr("192.0.2.9") }, "FreeBSD has no care-of address"],
  [{ outputMark: { value: 1, mask: 1 } }, "FreeBSD has no output mark"],
  [{ interfaceId: 1 }, "FreeBSD has no interface id"],
  [{ tfcPadding: 1 }, "FreeBSD has no TFC padding"],
  [
    { encapsulation: { type: 7, srcPort: 1, dstPort: 1, original: new Uint8Array(16) } },
    "FreeBSD has no encapsulation 7",
  ],
  [
    { mode: MODE.TRANSPORT, encapsulation: udp(new Uint8Array(16).fill(1)) },
    "an original address of another family",
  ],
  [
    {
      mode: MODE.TRANSPORT,
      src: addr("2001:db8::1"),
      dst: addr("2001:db8::2"),
      encapsulation: udp(addr("2001:db8::3")),
    },
    "FreeBSD has no original addresses of IPv6",
  ],
  [{ encapsulation: { ...udp(), srcPort: 0 } }, "encapsulation without a port"],
  [
    { protocol: PROTOCOL.AH, aead: undefined, integrity: SHA1, encapsulation: udp() },
    "encapsulation of other than ESP",
  ],
  [{ hard: { packets: 1n } }, "FreeBSD keeps a limit of packets, and lets more pass"],
  [{ soft: { packets: 1n } }, "FreeBSD keeps a limit of packets, and lets more pass"],
  [
    { aead: { id: ENCR.AES_GCM_8, ...KEY(20), icvBits: 64 } },
    "AEAD AES_GCM_8 cannot be expressed by PF_KEY here",
  ],
  [
    { aead: { id: ENCR.NULL_AUTH_AES_GMAC, ...KEY(20), icvBits: 128 } },
    "AEAD NULL_AUTH_AES_GMAC cannot be expressed",
  ],
  [{ aead: { id: ENCR.AES_CCM_16, ...KEY(20), icvBits: 128 } }, "AEAD AES_CCM_16 cannot be expressed"],
  [
    { ...bare, encryption: { id: ENCR["3DES"], ...KEY(24) } },
    "SADB_EALG_3DESCBC is not implemented since FreeBSD 13",
  ],
  [
    { ...bare, encryption: { id: ENCR.CAMELLIA_CBC, ...KEY(16) } },
    "SADB_X_EALG_CAMELLIACBC is not implemented",
  ],
  [{ ...bare, encryption: { id: "cbc(sm4)", ...KEY(16) } }, "encryption cbc(sm4) cannot be expressed"],
  [{ ...bare, encryption: { ...CBC, keyBits: 256 } }, "key of 16 bytes for 256 bits"],
  [{ ...bare, encryption: undefined }, "ESP without encryption"],
  [{ encryption: CBC }, "AEAD beside another algorithm"],
  [{ ...bare, compression: { id: IPCOMP.DEFLATE } }, "compression without IPCOMP"],
  [{ protocol: PROTOCOL.AH }, "AH with other than integrity"],
  [{ protocol: PROTOCOL.AH, aead: undefined }, "AH with other than integrity"],
  [{ protocol: PROTOCOL.IPCOMP, spi: 0x1234 }, "IPCOMP with other than compression"],
  [{ ...bare, encryption: { ...CBC, key: new Uint8Array(16) } }, "a key that is all zero"],
  [
    { ...bare, integrity: { ...SHA1, id: AUTH.HMAC_MD5_96 } },
    "SADB_AALG_MD5HMAC is not implemented since FreeBSD 13",
  ],
  [{ ...bare, integrity: { ...SHA1, id: AUTH.AES_XCBC_96 } }, "integrity AES_XCBC_96 cannot be expressed"],
  [
    { ...bare, integrity: { id: AUTH.HMAC_SHA2_256_128, ...KEY(32), icvBits: 96 } },
    "integrity HMAC_SHA2_256_128 cannot have an ICV of 96 bits here",
  ],
  [
    { protocol: PROTOCOL.IPCOMP, spi: 0x1234, aead: undefined, compression: { id: IPCOMP.LZS } },
    "compression LZS cannot be expressed",
  ],
  [{ opaque: [attribute(SPACE.LINUX, 8)] }, "attribute 8 of another system cannot be honoured"],
  [{ opaque: [attribute(SPACE.FREEBSD, 24)] }, "attribute 24 of FreeBSD cannot be honoured"],
  [{ opaque: [{ ...attribute(SPACE.FREEBSD, 40), value: new Uint8Array([2]) }] }, "attribute 40 of FreeBSD"],
];

for (const [overrides, reason] of saRefusals) {
  Deno.test(`freebsdDialect().refusal() of an SA says ${reason}`, () => {
    const record: IpsecRecord = { kind: "sa", sa: plainSa(overrides) };
    assertStringIncludes(LITTLE.refusal(record) ?? "", reason);
    assertEquals(planOf({ kind: "put", record }), LITTLE.refusal(record));
  });
}

const template = (overrides: Parameters<typeof sampleTemplate>[0]) => ({
  templates: [sampleTemplate(overrides)],
});
const policyRefusals: readonly (readonly [overrides: Partial<Policy>, reason: string])[] = [
  [{ direction: DIRECTION.FWD }, "FreeBSD has no policies for what is forwarded"],
  [{ type: 1 }, "FreeBSD has no sub-policies"],
  [{ mark: { value: 0, mask: 1 } }, "FreeBSD has no marks"],
  [{ interfaceId: 1 }, "FreeBSD has no interface id"],
  [{ action: ACTION.BLOCK }, "policy that blocks, with templates"],
  [{ flags: POLICY_FLAG.LOCAL_OK }, "FreeBSD has no policy flags (0x1)"],
  [{ share: 1 }, "FreeBSD has no sharing of SAs"],
  [{ templates: Array.from({ length: 5 }, () => sampleTemplate()) }, "more than 4 templates"],
  [{ soft: { addSeconds: 1n } }, "policy with a soft limit"],
  [{ hard: { useSeconds: 1n } }, "policy with a limit of use"],
  [{ hard: { bytes: 1n } }, "policy with a limit of bytes or packets"],
  [template({ protocol: 60 }), "template of protocol 60"],
  [template({ mode: MODE.BEET }), "template of mode 4"],
  [template({ spi: 1, reqid: 0 }), "template with an SPI"],
  [{ direction: DIRECTION.IN, ...template({ spi: 1 }) }, "template with an SPI"],
  [template({ share: 1 }), "template that shares SAs"],
  [template({ optional: true }), "optional template with a reqid"],
  [template({ reqid: 0x4000 }), "template with reqid 16384, beyond 16383"],
  [template({ authAlgorithms: 1 }), "template that limits algorithms"],
  [template({ src: addr("2001:db8::1") }), "template of two families"],
  [template({ src: addr("0.0.0.0") }), "tunnel without both ends"],
  [template({ mode: MODE.TRANSPORT, family: 6 }), "transport template of another family"],
  [{ selector: sampleSelector({ family: 0 }) }, "selector without a family"],
  [{ selector: sampleSelector({ src: addr("::") }) }, "selector of two families"],
  [{ selector: sampleSelector({ ifname: "em0" }) }, "selector with interface em0"],
  [{ selector: sampleSelector({ user: 1 }) }, "selector with a user"],
  [{ selector: sampleSelector({ protocol: 255 }) }, "selector with protocol 255"],
  [{ selector: sampleSelector({ srcPort: 8, srcPortMask: 0xfff8 }) }, "selector with masks of ports"],
  [{ selector: sampleSelector({ dstPort: 0, dstPortMask: 0xffff }) }, "selector with masks of ports"],
  [{ opaque: [attribute(SPACE.OPENBSD, 10)] }, "attribute 10 of another system cannot be honoured"],
];

for (const [overrides, reason] of policyRefusals) {
  Deno.test(`freebsdDialect().refusal() of a policy says ${reason}`, () => {
    const record: IpsecRecord = { kind: "policy", policy: plainPolicy(overrides) };
    assertStringIncludes(LITTLE.refusal(record) ?? "", reason);
    assertEquals(planOf({ kind: "put", record }), LITTLE.refusal(record));
  });
}

// --- what it has a place for, and what that looks like afterwards ---

/** What a dump shows of a record that was put. */
function shownAfter(record: IpsecRecord, dialect: Dialect): IpsecRecord {
  const [put] = requestsFor({ kind: "put", record }, dialect);
  const { satype, body } = decodeMessage(put!, dialect.platform);
  const type = record.kind === "sa" ? DUMP : SPDDUMP;
  const meaning = read(encodeMessage({ type, satype, seq: 0, pid: 0 }, body, dialect.platform), dialect);
  assert(meaning.kind === "dumped" && meaning.reading?.kind === "record");
  return meaning.reading.record;
}

const hosts = { src: SRC, dst: addr("198.51.100.1"), srcBits: 32, dstBits: 32 };
const taken: readonly (readonly [what: string, sa: Partial<Sa>, told: Partial<Sa>])[] = [
  ["a direction", { direction: SA_DIRECTION.OUT }, { direction: SA_DIRECTION.NONE }],
  ["flags that say how Linux keeps it", { flags: SA_FLAG.AF_UNSPEC | SA_FLAG.LONG_REPLAY }, { flags: 0 }],
  ["a selector for everything", { selector: sampleSelector({ srcBits: 0, dstBits: 0 }) }, {}],
  ["a transport selector for its ends", { mode: MODE.TRANSPORT, selector: sampleSelector(hosts) }, {
    mode: MODE.TRANSPORT,
  }],
  ["an original address that a tunnel does not need", { encapsulation: udp(addr("10.9.8.7")) }, {
    encapsulation: udp(),
  }],
  ["an original address that is the source", { mode: MODE.TRANSPORT, encapsulation: udp(SRC) }, {
    mode: MODE.TRANSPORT,
    encapsulation: udp(),
  }],
  ["integrity that is none", { ...bare, integrity: { id: AUTH.NONE, ...KEY(0), icvBits: 0 } }, {
    ...bare,
    integrity: undefined,
  }],
  ["attributes of other systems that may be left out", { opaque: [attribute(SPACE.LINUX, 32, false)] }, {}],
];

for (const [what, given, told] of taken) {
  Deno.test(`freebsdDialect().told() is without ${what}`, () => {
    const record: IpsecRecord = { kind: "sa", sa: plainSa(given) };
    assertEquals(LITTLE.refusal(record), undefined);
    assertEquals(compact(LITTLE.told(record)), compact({ kind: "sa", sa: plainSa(told) }));
  });
}

const ANY = addr("0.0.0.0");
const takenPolicies: readonly (readonly [what: string, policy: Partial<Policy>, told: Partial<Policy>])[] = [
  ["the SPI that strongSwan writes into outbound templates", template({ spi: 1 }), template({ spi: 0 })],
  [
    "ends of templates without a tunnel",
    template({ mode: MODE.TRANSPORT }),
    template({ mode: MODE.TRANSPORT, src: ANY, dst: ANY }),
  ],
  ["attributes of other systems that may be left out", { opaque: [attribute(SPACE.LINUX, 32, false)] }, {}],
];

for (const [what, given, told] of takenPolicies) {
  Deno.test(`freebsdDialect().told() of a policy is without ${what}`, () => {
    const record: IpsecRecord = { kind: "policy", policy: plainPolicy(given) };
    assertEquals(LITTLE.refusal(record), undefined);
    assertEquals(compact(LITTLE.told(record)), compact({ kind: "policy", policy: plainPolicy(told) }));
  });
}

Deno.test("freebsdDialect().told() is the record itself where all is told", () => {
  const sa: IpsecRecord = { kind: "sa", sa: plainSa() };
  const policy: IpsecRecord = { kind: "policy", policy: plainPolicy() };
  assert(LITTLE.told(sa) === sa && LITTLE.told(policy) === policy);
});

/** Something plain with some members of something arbitrary: more of that FreeBSD would seldom take. */
function mixed<T extends object>(plain: T, any: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.tuple(any, fc.subarray(Object.keys(plain), { maxLength: 4 })).map(([other, keys]) => ({
    ...plain,
    ...Object.fromEntries(Object.entries(other).filter(([key]) => keys.includes(key))),
  }));
}

for (const order of ["little", "big"] as const) {
  Deno.test(`freebsdDialect() shows what was put as told() says (${order}-endian)`, () => {
    const dialect = freebsdDialect(order);
    const records = fc.oneof(
      mixed(plainSa(), arbitrarySa).map((sa): IpsecRecord => ({ kind: "sa", sa })),
      mixed(plainPolicy(), arbitraryPolicy).map((policy): IpsecRecord => ({ kind: "policy", policy })),
    );
    let taken = 0;
    fc.assert(
      fc.property(records, (record) => {
        if (dialect.refusal(record) !== undefined) return;
        taken++;
        const told = encodeHex(encodeContent(dialect.told(record)));
        assertEquals(encodeHex(encodeContent(shownAfter(record, dialect))), told);
      }),
      { numRuns: 2000 },
    );
    assert(taken > 100, `${taken} taken`);
  });
}

// --- takeover ---

const GMAC = { id: AUTH.AES_128_GMAC, ...KEY(20), icvBits: 128 };
const takeovers: readonly (readonly [what: string, sa: Partial<Sa>, takeover: string])[] = [
  ["AES-GCM", {}, "none"],
  ["AES-GMAC", { aead: { id: ENCR.NULL_AUTH_AES_GMAC, ...KEY(20), icvBits: 128 } }, "none"],
  ["ChaCha20", { aead: { id: ENCR.CHACHA20_POLY1305, ...KEY(36), icvBits: 128 } }, "none"],
  ["AES-CTR", { ...bare, encryption: { id: ENCR.AES_CTR, ...KEY(20) } }, "none"],
  ["AH with GMAC", { protocol: PROTOCOL.AH, aead: undefined, integrity: GMAC }, "none"],
  ["AES-CBC", bare, "restart"],
  ["AH", { protocol: PROTOCOL.AH, aead: undefined, integrity: SHA1 }, "restart"],
  ["IPCOMP", { protocol: PROTOCOL.IPCOMP, aead: undefined, compression: { id: IPCOMP.DEFLATE } }, "exact"],
];

for (const [what, sa, takeover] of takeovers) {
  Deno.test(`freebsdDialect().takeover() of ${what} is ${takeover}`, () => {
    assertEquals(LITTLE.takeover(plainSa(sa)), takeover as unknown);
  });
}
