import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DecodeError } from "../../../src/errors.ts";
import type { Dialect, Meaning, Planned } from "../../../src/pfkey/dialect.ts";
import { SADB_EXT } from "../../../src/pfkey/extensions.ts";
import {
  decodeMessage,
  encodeMessage,
  type PfkeyMessage,
  readExtensions,
} from "../../../src/pfkey/message.ts";
import { openbsdDialect } from "../../../src/pfkey/openbsd.ts";
import { OPENBSD_EXT, OPENBSD_MESSAGES } from "../../../src/pfkey/openbsd_constants.ts";
import { type Address, familyOf, parsePrefix } from "../../../src/record/address.ts";
import { AUTH, ENCR } from "../../../src/record/algorithms.ts";
import { NO_SELECTOR } from "../../../src/record/codecs.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { SPACE } from "../../../src/record/opaque.ts";
import { ACTION, DIRECTION, type Policy, policyKey } from "../../../src/record/policy.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import {
  MODE,
  NO_MARK,
  type Protocol,
  type Sa,
  SA_DIRECTION,
  SA_FLAG,
  saKey,
} from "../../../src/record/sa.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { arbitraryPolicy, arbitrarySa } from "../../fakes/record_arbitraries.ts";
import { addr, samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../../fakes/records.ts";
import type { OpenbsdPolicyMeaning, OpenbsdSaMeaning, OpenbsdVector } from "../../vectors/openbsd_vector.ts";
import { CAPTURED, OPENBSD_VECTORS, TAKEN_SECONDS } from "../../vectors/openbsd_vectors.ts";

const SURROUNDINGS = { nowSeconds: TAKEN_SECONDS };

function dialectOf({ order }: Pick<OpenbsdVector, "order">): Dialect {
  return openbsdDialect(order === "little" ? "little" : "big");
}

function read(bytes: Uint8Array, dialect: Dialect): Meaning {
  return dialect.decode(dialect.unwrap(decodeMessage(bytes, dialect.platform)), SURROUNDINGS);
}

/** The record that a vector shows, whatever message it is in. */
function recordOf(meaning: Meaning): IpsecRecord {
  const reading = meaning.kind === "dumped" || meaning.kind === "changed" ? meaning.reading : undefined;
  assert(reading?.kind === "record", JSON.stringify(meaning, (_, v) => typeof v === "bigint" ? `${v}` : v));
  return reading.record;
}

function limits(given: OpenbsdSaMeaning["hard"]): Sa["hard"] {
  return Object.fromEntries(Object.entries(given ?? {}).map(([key, value]) => [key, BigInt(value)]));
}

function key(text: string) {
  return { key: decodeHex(text), keyBits: text.length * 4 };
}

function opaqueOf(given: OpenbsdSaMeaning["opaque"] = []): Sa["opaque"] {
  return given.map(({ value, ...rest }) => ({ space: SPACE.OPENBSD, ...rest, value: decodeHex(value) }));
}

function ends(src: string, dst: string) {
  const [from, to] = [parsePrefix(src)!, parsePrefix(dst)!];
  return {
    src: from.address,
    srcBits: from.bits,
    dst: to.address,
    dstBits: to.bits,
    family: familyOf(from.address),
  };
}

function ports(srcPort: number, dstPort: number) {
  const mask = (port: number) => port === 0 ? 0 : 0xffff;
  return { srcPort, srcPortMask: mask(srcPort), dstPort, dstPortMask: mask(dstPort) };
}

/** The selector that every vector that states none has. */
function selectorOf({ selector }: OpenbsdSaMeaning): Sa["selector"] {
  if (selector === undefined) return NO_SELECTOR;
  const { src, dst, srcPort, dstPort, protocol } = selector;
  return sampleSelector({ ...ends(src, dst), ...ports(srcPort, dstPort), protocol });
}

function saOf(m: OpenbsdSaMeaning): Sa {
  const { encryption, integrity, aead, compression, encapsulation } = m;
  const sequence = BigInt(m.sequence ?? 0);
  const words = Math.max(1, Math.ceil((m.replayWindow ?? 0) / 32));
  return {
    src: addr(m.src),
    dst: addr(m.dst),
    protocol: m.protocol as Protocol, // the vectors state synchronised ones
    spi: m.spi,
    mark: NO_MARK,
    rdomain: m.rdomain ?? 0,
    mode: m.mode,
    reqid: m.reqid,
    selector: selectorOf(m),
    encryption: encryption && { id: encryption.id, ...key(encryption.key) },
    integrity: integrity && { id: integrity.id, ...key(integrity.key), icvBits: integrity.icvBits },
    aead: aead && { id: aead.id, ...key(aead.key), icvBits: aead.icvBits },
    compression,
    replayWindow: m.replayWindow ?? 0,
    flags: (m.flags ?? []).reduce((bits, name) => bits | SA_FLAG[name as keyof typeof SA_FLAG], 0),
    encapsulation: encapsulation && { ...encapsulation, original: decodeHex(encapsulation.original) },
    interfaceId: 0,
    tfcPadding: 0,
    direction: m.direction ?? SA_DIRECTION.NONE,
    soft: limits(m.soft),
    hard: limits(m.hard),
    counters: {
      oseq: sequence > 1n ? sequence - 1n : 0n,
      seq: sequence,
      bitmap: new Array<number>(words).fill(sequence > 1n ? 0xffffffff : 0),
      bytes: BigInt(m.bytes ?? 0),
      packets: BigInt(m.packets ?? 0),
      ageSeconds: m.ageSeconds ?? 0,
      usedSeconds: m.usedSeconds,
    },
    opaque: opaqueOf(m.opaque),
  };
}

function policyOf(m: OpenbsdPolicyMeaning): Policy {
  const any = (selector: Address) => new Uint8Array(selector.length);
  const selector = sampleSelector({
    ...ends(m.src, m.dst),
    ...ports(m.srcPort, m.dstPort),
    protocol: m.protocol,
  });
  return samplePolicy({
    direction: m.direction,
    selector,
    action: m.action,
    priority: m.priority,
    templates: m.templates.map(({ src, dst, ...rest }) => {
      const from = src === undefined ? any(selector.src) : addr(src);
      const to = dst === undefined ? any(selector.src) : addr(dst);
      return sampleTemplate({ ...rest, src: from, dst: to, family: familyOf(to) });
    }),
    opaque: opaqueOf(m.opaque),
  });
}

function expectedOf(meaning: OpenbsdSaMeaning | OpenbsdPolicyMeaning): IpsecRecord {
  return meaning.kind === "sa"
    ? { kind: "sa", sa: saOf(meaning) }
    : { kind: "policy", policy: policyOf(meaning) };
}

/** Members that are undefined are as good as missing ones. */
function assertSameRecord(actual: IpsecRecord, expected: IpsecRecord): void {
  const membersOf = (record: IpsecRecord) =>
    Object.entries(record.kind === "sa" ? record.sa : record.policy).filter(([, value]) =>
      value !== undefined
    );
  assertEquals(Object.fromEntries(membersOf(actual)), Object.fromEntries(membersOf(expected)));
}

/** What a meaning is called in the vectors. */
function nameOf(meaning: Meaning): string {
  if (meaning.kind === "changed") return "changed";
  if (meaning.kind === "dumped") return meaning.reading?.kind === "none" ? "none" : "dump";
  return meaning.kind;
}

for (const vector of OPENBSD_VECTORS) {
  const { name, order, head, hex, record, refused, reading } = vector;
  Deno.test(`openbsd decode() of ${name}, ${order}-endian`, () => {
    const dialect = dialectOf(vector);
    const { type, errno, satype, seq, pid } = decodeMessage(decodeHex(hex), dialect.platform);
    assertEquals({ type, errno, satype, seq, pid, reserved: 0 }, head);
    const meaning = read(decodeHex(hex), dialect);
    if (record !== undefined) assertSameRecord(recordOf(meaning), expectedOf(record));
    else if (refused !== undefined) {
      assert(meaning.kind === "dumped" && meaning.reading?.kind === "refused");
      assert(meaning.reading.reason.includes(refused), meaning.reading.reason);
    } else assertEquals(nameOf(meaning), reading === "flush" ? "resync" : reading);
  });
}

Deno.test("openbsd decode() of every damaged vector gives a meaning or a DecodeError", () => {
  for (const vector of OPENBSD_VECTORS) {
    const dialect = dialectOf(vector);
    for (const bytes of damages(decodeHex(vector.hex))) {
      try {
        const meaning = read(bytes, dialect);
        if (meaning.kind === "changed" || meaning.kind === "dumped") checkReading(meaning.reading);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  }
});

/** A record of a damaged message is one that can travel. */
function checkReading(reading: Extract<Meaning, { kind: "dumped" }>["reading"]): void {
  if (reading?.kind !== "record") return;
  encodeContent(reading.record);
}

Deno.test("openbsd decode() of what a sasyncd of 2008 sent", () => {
  const dialect = openbsdDialect("little");
  const { kind } = read(decodeHex(CAPTURED.flush), dialect);
  assertEquals(kind, "resync");
  const record = recordOf(read(decodeHex(CAPTURED.sa), dialect));
  assert(record.kind === "sa");
  const { spi, replayWindow, encryption, integrity, hard, soft, mode, src, dst } = record.sa;
  assertEquals({ spi, replayWindow, mode, src, dst, hard, soft }, {
    spi: 0x1000,
    replayWindow: 16,
    mode: MODE.TUNNEL,
    src: addr("192.0.2.1"),
    dst: addr("198.51.100.1"),
    hard: { addSeconds: 1200n },
    soft: { addSeconds: 1080n },
  });
  assertEquals([encryption?.id, integrity?.id], [ENCR.AES_CBC, AUTH.HMAC_SHA1_96]);
});

// --- records to requests ---

function planned(result: Planned) {
  assert(result.ok, result.ok ? "" : result.reason);
  return result.plan;
}

function putOf(record: IpsecRecord, dialect: Dialect) {
  return planned(dialect.encode({ kind: "put", record }, SURROUNDINGS));
}

/** Extensions of a dump that a request must not or need not have, or states in other words. */
const NOT_ADDED: readonly number[] = [
  OPENBSD_EXT.SADB_X_EXT_LIFETIME_LASTUSE,
  OPENBSD_EXT.SADB_X_EXT_COUNTER,
  OPENBSD_EXT.SADB_X_EXT_MTU,
  OPENBSD_EXT.SADB_X_EXT_REPLAY,
];

/** The kernel's own messages that show a record; those that a request has made show that request. */
const DUMPED = OPENBSD_VECTORS.filter(({ record, head }) =>
  record !== undefined && head.type !== OPENBSD_MESSAGES.SADB_X_ADDFLOW
);

for (const vector of DUMPED) {
  Deno.test(`openbsd encode() of ${vector.name}, ${vector.order}-endian, is what was dumped`, () => {
    const dialect = dialectOf(vector);
    const record = expectedOf(vector.record!);
    const { requests: [request] } = putOf(record, dialect);
    const dumped = readExtensions(
      decodeMessage(decodeHex(vector.hex), dialect.platform).body,
      dialect.platform,
    );
    const added = readExtensions(request!.body, dialect.platform);
    const isAead = record.kind === "sa" && record.sa.aead !== undefined;
    const left = (type: number) =>
      NOT_ADDED.includes(type) || isAead && type === SADB_EXT.SADB_EXT_KEY_AUTH ||
      vector.name.includes("not used") ||
      vector.name.includes("integrity only") || vector.name.includes("port that is left out") ||
      vector.name.includes("routing domain inside") || vector.name.startsWith("used before it was made");
    for (const [type, extension] of dumped) {
      if (left(type)) continue;
      const mine = added.get(type);
      const differs = isAead && type === SADB_EXT.SADB_EXT_SA;
      if (!differs) assertEquals(mine && encodeHex(mine), encodeHex(extension), `extension ${type}`);
    }
    for (const type of added.keys()) assert(dumped.has(type) || left(type), `extension ${type}`);
  });
}

/** Why a record is refused. */
function refusalOf(record: IpsecRecord): string {
  const refusal = openbsdDialect().refusal(record);
  assert(refusal !== undefined, "is not refused");
  return refusal;
}

/** An SA as strongSwan makes it on Linux, but for what OpenBSD cannot take. */
function linuxSa(overrides: Partial<Sa> = {}): IpsecRecord {
  return { kind: "sa", sa: sampleSa(overrides) };
}

function linuxPolicy(overrides: Partial<Policy> = {}): IpsecRecord {
  return { kind: "policy", policy: samplePolicy(overrides) };
}

const hosts = sampleSelector({
  src: addr("192.0.2.1"),
  dst: addr("198.51.100.1"),
  srcBits: 32,
  dstBits: 32,
});
const nat = (srcPort: number, dstPort: number, type = 2) => ({
  encapsulation: { type, srcPort, dstPort, original: new Uint8Array(16) },
});
const sha256 = (icvBits: number) => ({
  id: AUTH.HMAC_SHA2_256_128,
  keyBits: 256,
  key: sampleKey(32),
  icvBits,
});

function sampleKey(length: number): Uint8Array {
  return new Uint8Array(length).fill(7);
}

const cbc = { id: ENCR.AES_CBC, keyBits: 128, key: sampleKey(16) };

const REFUSED: readonly [what: string, record: IpsecRecord, reason: RegExp][] = [
  ["a mark", linuxSa({ mark: { value: 1, mask: 1 } }), /^OpenBSD has no marks/],
  ["an output mark", linuxSa({ outputMark: { value: 1, mask: 1 } }), /output marks/],
  ["an interface id", linuxSa({ interfaceId: 7 }), /interface ids/],
  ["a care-of address", linuxSa({ careOf: addr("192.0.2.9") }), /care-of/],
  ["TFC padding", linuxSa({ tfcPadding: 9 }), /TFC padding/],
  ["addresses of two families", linuxSa({ src: addr("2001:db8::1") }), /two families/],
  ["BEET", linuxSa({ mode: MODE.BEET }), /mode 4/],
  ["flags of Linux", linuxSa({ flags: SA_FLAG.NO_ECN | SA_FLAG.ALIGN4 }), /flags NO_ECN, ALIGN4/],
  ["a long window", linuxSa({ replayWindow: 65 }), /replay window of 65/],
  ["a limit of packets", linuxSa({ hard: { packets: 5n } }), /limit of packets/],
  [
    "AES-GCM with 8 bytes of ICV",
    linuxSa({ aead: { ...sampleSa().aead!, id: ENCR.AES_GCM_8, icvBits: 64 } }),
    /AES_GCM_8/,
  ],
  [
    "a truncation that is not the kernel's",
    linuxSa({ aead: undefined, encryption: cbc, integrity: sha256(96) }),
    /96 bits/,
  ],
  ["AEAD and integrity", linuxSa({ integrity: sha256(128) }), /AEAD beside/],
  ["an AH that encrypts", linuxSa({ protocol: 51 }), /encryption without ESP/],
  [
    "an ESP that does not say its encryption",
    linuxSa({ aead: undefined, integrity: sha256(128) }),
    /ESP without/,
  ],
  [
    "a key that is too short",
    linuxSa({ aead: { ...sampleSa().aead!, key: sampleKey(3) } }),
    /key of 3 bytes/,
  ],
  ["a blanked key", linuxSa({ aead: { ...sampleSa().aead!, key: new Uint8Array(20) } }), /all zero/],
  ["a selector without a direction", linuxSa({ selector: sampleSelector() }), /without a direction/],
  ["NAT-T between two other ports", linuxSa(nat(4501, 4502)), /neither is 4500/],
  ["ESP in TCP", linuxSa(nat(4500, 4500, 7)), /encapsulation of type 7/],
  [
    "an attribute of Linux that is critical",
    linuxSa({
      opaque: [{ space: SPACE.LINUX, type: 35, critical: true, value: new Uint8Array(4) }],
    }),
    /attribute 35 of another system/,
  ],
  [
    "an attribute of OpenBSD that is cut",
    linuxSa({
      opaque: [{ space: SPACE.OPENBSD, type: 34, critical: false, value: new Uint8Array(3) }],
    }),
    /need 4 bytes/,
  ],
  [
    "a tag with a zero byte",
    linuxSa({
      opaque: [{ space: SPACE.OPENBSD, type: 33, critical: false, value: Uint8Array.of(65, 0, 66) }],
    }),
    /text with a zero byte/,
  ],
  [
    "an identity with a zero byte",
    linuxSa({
      opaque: [{ space: SPACE.OPENBSD, type: 10, critical: false, value: new Uint8Array(11) }],
    }),
    /text with a zero byte/,
  ],
  [
    "an extension from a machine of the other byte order",
    linuxSa({
      opaque: [{ space: SPACE.OPENBSD, type: 41, critical: true, value: Uint8Array.of(3, 0, 0, 0, 0) }],
    }),
    /attribute 41 of OpenBSD/,
  ],
  ["a forward policy", linuxPolicy({ direction: DIRECTION.FWD }), /forward policies/],
  ["a sub policy", linuxPolicy({ type: 1 }), /policy type 1/],
  ["a policy with a mark", linuxPolicy({ mark: { value: 0, mask: 1 } }), /no marks/],
  ["a policy of an interface id", linuxPolicy({ interfaceId: 1 }), /interface ids/],
  [
    "a policy of an interface",
    linuxPolicy({ selector: sampleSelector({ ifname: "eth0" }) }),
    /interface eth0/,
  ],
  ["a policy of a user", linuxPolicy({ selector: sampleSelector({ user: 7 }) }), /a user/],
  ["a policy without a family", linuxPolicy({ selector: NO_SELECTOR }), /without a family/],
  ["a policy with host bits", linuxPolicy({ selector: sampleSelector({ srcBits: 8 }) }), /host bits/],
  [
    "a part of a port",
    linuxPolicy({ selector: sampleSelector({ dstPort: 256, dstPortMask: 0xff00 }) }),
    /0xff00/,
  ],
  ["a port without a mask", linuxPolicy({ selector: sampleSelector({ dstPort: 5 }) }), /port mask 0x0/],
  [
    "a type of ICMP",
    linuxPolicy({
      selector: sampleSelector({ protocol: 1, srcPort: 8, srcPortMask: 0xffff }),
    }),
    /ports of protocol 1/,
  ],
  [
    "two templates",
    linuxPolicy({ templates: [sampleTemplate(), sampleTemplate()] }),
    /policy of 2 templates/,
  ],
  [
    "a tunnel to nowhere",
    linuxPolicy({ templates: [sampleTemplate({ dst: addr("0.0.0.0") })] }),
    /remote endpoint/,
  ],
  ["a template of an SPI", linuxPolicy({ templates: [sampleTemplate({ spi: 5, reqid: 0 })] }), /an SPI/],
  ["a template of BEET", linuxPolicy({ templates: [sampleTemplate({ mode: MODE.BEET })] }), /mode 4/],
  [
    "a template of one algorithm",
    linuxPolicy({ templates: [sampleTemplate({ authAlgorithms: 1 })] }),
    /algorithms/,
  ],
  [
    "a template of another protocol",
    linuxPolicy({ templates: [sampleTemplate({ protocol: 43 })] }),
    /protocol 43/,
  ],
  ["a policy with a limit", linuxPolicy({ hard: { addSeconds: 5n } }), /limits of a policy/],
  ["flags of a policy", linuxPolicy({ flags: 1 }), /policy flags/],
];

for (const [what, record, reason] of REFUSED) {
  Deno.test(`openbsd refusal() of ${what}`, () => {
    const found = refusalOf(record);
    assert(reason.test(found), found);
    const plan = openbsdDialect().encode({ kind: "put", record }, SURROUNDINGS);
    assert(!plan.ok && plan.reason === found);
  });
}

/** What an SA is after it has been put, and what of it is another than before. */
const TOLD: readonly [what: string, record: IpsecRecord, told: Partial<Sa>][] = [
  ["a tunnel of strongSwan's", linuxSa(), { reqid: 0 }],
  ["a transport SA between two hosts", linuxSa({ mode: MODE.TRANSPORT, selector: hosts, flags: 0 }), {
    reqid: 0,
    selector: NO_SELECTOR,
  }],
  ["a selector with a direction", linuxSa({ selector: hosts, direction: SA_DIRECTION.OUT }), {
    reqid: 0,
    flags: 0,
  }],
  [
    "a selector of all IPv4",
    linuxSa({
      selector: sampleSelector({ srcBits: 0, dstBits: 0, src: addr("0.0.0.0"), dst: addr("0.0.0.0") }),
    }),
    {
      reqid: 0,
      selector: NO_SELECTOR,
    },
  ],
  ["NAT-T out", linuxSa(nat(4500, 40000)), { reqid: 0 }],
  ["NAT-T in", linuxSa(nat(40000, 4500)), { reqid: 0, ...nat(4500, 40000) }],
  [
    "NAT-T in, with a direction",
    linuxSa({ ...nat(40000, 4500), direction: SA_DIRECTION.IN, selector: hosts, flags: 0 }),
    {
      reqid: 0,
    },
  ],
  [
    "an attribute of Linux",
    linuxSa({
      opaque: [{ space: SPACE.LINUX, type: 32, critical: false, value: new Uint8Array(4) }],
    }),
    { reqid: 0, opaque: [] },
  ],
  [
    "integrity that is none",
    linuxSa({
      aead: undefined,
      encryption: cbc,
      integrity: { id: AUTH.NONE, keyBits: 0, key: new Uint8Array(), icvBits: 0 },
    }),
    { reqid: 0, integrity: undefined },
  ],
];

for (const [what, record, told] of TOLD) {
  Deno.test(`openbsd told() of ${what}`, () => {
    const dialect = openbsdDialect();
    assertEquals(dialect.refusal(record), undefined);
    assert(record.kind === "sa");
    assertSameRecord(dialect.told(record), { kind: "sa", sa: { ...record.sa, ...told } });
  });
}

Deno.test("openbsd told() of a policy of strongSwan's keeps who is protected, not the reqid and the priority", () => {
  const told = openbsdDialect().told(linuxPolicy());
  assert(told.kind === "policy");
  assertEquals(policyKey(told.policy), policyKey(samplePolicy()));
  assertEquals(told.policy, samplePolicy({ priority: 36, templates: [sampleTemplate({ reqid: 0 })] }));
});

for (const action of [ACTION.ALLOW, ACTION.BLOCK]) {
  Deno.test(`openbsd told() of a policy without templates and action ${action}`, () => {
    const told = openbsdDialect().told(linuxPolicy({ templates: [], action }));
    assert(told.kind === "policy");
    assertEquals([told.policy.action, told.policy.templates], [action, []]);
  });
}

/** Algorithms of the vectors. */
const algorithms = fc.constantFrom(
  ...OPENBSD_VECTORS.flatMap(({ record }) =>
    record?.kind === "sa" && record.protocol === 50 ? [saOf(record)] : []
  ),
).map(({ encryption, integrity, aead }) => ({ encryption, integrity, aead, compression: undefined }));

/** What is left of any SA when all is taken from it that OpenBSD never takes. */
function toOpenbsd(
  sa: Sa,
  algorithms: Pick<Sa, "encryption" | "integrity" | "aead" | "compression">,
): IpsecRecord {
  const without = {
    outputMark: undefined,
    careOf: undefined,
    interfaceId: 0,
    tfcPadding: 0,
    encapsulation: undefined,
  };
  return linuxSa({
    ...sa,
    ...without,
    ...algorithms,
    protocol: 50,
    mark: NO_MARK,
    mode: sa.mode & 1,
    flags: sa.flags & (SA_FLAG.ESN | SA_FLAG.AF_UNSPEC),
    replayWindow: sa.replayWindow & 63,
    soft: { addSeconds: sa.soft.addSeconds },
    hard: { bytes: sa.hard.bytes },
    selector: sa.direction === 0 ? NO_SELECTOR : hosts,
    rdomain: sa.rdomain & 0xff,
    opaque: [],
  });
}

Deno.test("openbsd told() of any record that is not refused keeps its identity, and tells no more of what it tells", () => {
  const dialects = [openbsdDialect("little"), openbsdDialect("big")] as const;
  const expressible = (record: IpsecRecord) => {
    for (const dialect of dialects) {
      if (dialect.refusal(record) !== undefined) continue;
      const told = dialect.told(record);
      assertEquals(identityOf(told), identityOf(record));
      assertEquals(encodeHex(encodeContent(dialect.told(told))), encodeHex(encodeContent(told)));
    }
  };
  fc.assert(fc.property(arbitrarySa, algorithms, (sa, some) => expressible(toOpenbsd(sa, some))));
  fc.assert(fc.property(arbitraryPolicy, (policy) => expressible({ kind: "policy", policy })));
  for (const { record } of OPENBSD_VECTORS) if (record !== undefined) expressible(expectedOf(record));
});

function identityOf(record: IpsecRecord): string {
  return record.kind === "sa" ? saKey(record.sa) : policyKey(record.policy);
}

Deno.test("openbsd told() of a record is the same in both byte orders", () => {
  for (const { record, name } of OPENBSD_VECTORS) {
    if (record === undefined || name.includes("future")) continue;
    const [little, big] = (["little", "big"] as const).map((order) =>
      openbsdDialect(order).told(expectedOf(record))
    );
    assertSameRecord(little!, big!);
  }
});

Deno.test("openbsd encode() of a put deletes and adds when the SA is there, and overwrites flows twice", () => {
  const dialect = openbsdDialect();
  const sa = putOf(linuxSa(), dialect);
  assertEquals(sa.requests.map(({ type }) => dialect.messageName(type)), ["SADB_ADD"]);
  assertEquals(sa.onExist.map(({ type, fine }) => [dialect.messageName(type), fine]), [
    ["SADB_DELETE", ["ESRCH"]],
    ["SADB_ADD", []],
  ]);
  const policy = putOf(linuxPolicy(), dialect);
  assertEquals(policy.requests.map(({ type }) => dialect.messageName(type)), [
    "SADB_X_ADDFLOW",
    "SADB_X_ADDFLOW",
  ]);
  const flagsOf = (body: Uint8Array) => readExtensions(body, dialect.platform).get(20)![6];
  assertEquals(policy.requests.map(({ body }) => flagsOf(body)), [0, 1]);
});

Deno.test("openbsd encode() of deletes names what is to go", () => {
  const dialect = openbsdDialect();
  const [gone] =
    planned(dialect.encode({ kind: "delete-sa", id: sampleSa({ rdomain: 0 }) }, SURROUNDINGS)).requests;
  const answered = dialect.decode(messageOf(gone!), SURROUNDINGS);
  assert(answered.kind === "sa-gone");
  assertEquals(saKey(answered.id), saKey(sampleSa()));
  const [flow] =
    planned(dialect.encode({ kind: "delete-policy", id: samplePolicy() }, SURROUNDINGS)).requests;
  const flowGone = dialect.decode(messageOf(flow!), SURROUNDINGS);
  assert(flowGone.kind === "policy-gone");
  assertEquals(policyKey(flowGone.id), policyKey(samplePolicy()));
});

Deno.test("openbsd encode() deletes no other SA in the place of one with a mark", () => {
  const id = sampleSa({ mark: { value: 1, mask: 1 } });
  const plan = openbsdDialect().encode({ kind: "delete-sa", id }, SURROUNDINGS);
  assertEquals(plan, { ok: false, reason: "OpenBSD has no marks" });
});

// --- copies of requests ---

/** A message of process 4711 with these extensions. */
function messageOf({ type, satype, body }: { type: number; satype: number; body: Uint8Array }): PfkeyMessage {
  return { type, satype, body, errno: 0, seq: 5, pid: 4711 };
}

/** The vector of that name, as bytes. */
function vectorOf(name: string, order = "little"): Uint8Array {
  const found = OPENBSD_VECTORS.find((vector) => vector.name === name && vector.order === order);
  return decodeHex(found!.hex);
}

function hear(dialect: Dialect, ...messages: readonly Uint8Array[]): Meaning[] {
  return messages.map((bytes) => {
    const buffer = bytes.slice();
    const meaning = read(buffer, dialect);
    buffer.fill(0xee); // the next receive takes the same buffer
    return meaning;
  });
}

Deno.test("openbsd unwrap() joins the answer to ADD with the copy of its request", () => {
  const dialect = openbsdDialect("little");
  const [copy, answer] = hear(
    dialect,
    vectorOf("copy of ADD, with keys"),
    vectorOf("reply to ADD, without keys"),
  );
  assertEquals(copy, { kind: "ignore" });
  const record = recordOf(answer!);
  assert(record.kind === "sa" && answer!.kind === "changed" && answer!.created);
  assertEquals([record.sa.spi, record.sa.encryption!.key.length], [0x2000, 16]);
});

Deno.test("openbsd unwrap() forgets the copy of an ADD that has failed", () => {
  const dialect = openbsdDialect("little");
  const meanings = hear(
    dialect,
    vectorOf("copy of ADD, with keys"),
    vectorOf("EEXIST of ADD"),
    vectorOf("reply to ADD, without keys"),
  );
  assertEquals(meanings.map(({ kind }) => kind), ["ignore", "error", "resync"]);
});

Deno.test("openbsd unwrap() keeps a bounded number of copies that nobody answers", () => {
  const dialect = openbsdDialect("little");
  const copy = vectorOf("copy of ADD, with keys");
  const [, seq] = [copy.slice(), 16 + 8];
  hear(dialect, copy);
  for (let i = 0; i < 64; i++) {
    const other = copy.slice();
    other[seq] = 100 + i;
    hear(dialect, other);
  }
  assertEquals(hear(dialect, vectorOf("reply to ADD, without keys")).map(({ kind }) => kind), ["resync"]);
});

Deno.test("openbsd unwrap() of an UPDATE that makes an SA of a larval one swaps its identities", () => {
  const dialect = openbsdDialect("little");
  const { platform } = dialect;
  const sa = OPENBSD_VECTORS.find(({ name }) => name === "SA with every extension")!;
  const { requests: [add] } = putOf(expectedOf(sa.record!), dialect);
  const body = withoutRdomain(add!.body, platform);
  const update = encodeMessage({ type: 2, satype: 2, seq: 9, pid: 3 }, body, platform);
  const copy = encodeMessage({ type: 11, satype: 0, seq: 3, pid: 0 }, update, platform);
  const [, answer] = hear(
    dialect,
    copy,
    encodeMessage({ type: 2, satype: 2, seq: 9, pid: 3 }, new Uint8Array(), platform),
  );
  const record = recordOf(answer!);
  const text = (type: number) => {
    assert(record.kind === "sa");
    return new TextDecoder().decode(record.sa.opaque.find((one) => one.type === type)!.value.subarray(10));
  };
  assertEquals([text(10), text(11)], ["me@example.org", "gw.example.org"]);
});

function withoutRdomain(body: Uint8Array, platform: Dialect["platform"]): Uint8Array {
  const kept = [...readExtensions(body, platform)].filter(([type]) =>
    type !== OPENBSD_EXT.SADB_X_EXT_RDOMAIN
  );
  return Uint8Array.from(kept.flatMap(([, extension]) => [...extension]));
}

Deno.test("openbsd decode() of a copy with bytes behind its message throws", () => {
  const copy = vectorOf("copy of FLUSH");
  const longer = Uint8Array.from([...copy, ...new Uint8Array(8)]);
  longer[4]!++;
  assertThrows(() => hear(openbsdDialect("little"), longer), DecodeError);
});

Deno.test("openbsd get() asks for the SA by its identity", () => {
  const dialect = openbsdDialect();
  const { type, body } = dialect.get(sampleSa(), undefined);
  assertEquals(dialect.messageName(type), "SADB_GET");
  assertEquals([...readExtensions(body, dialect.platform).keys()], [1, 6]);
});

Deno.test("openbsd takeover() is pfsync's, for every SA", () => {
  assertEquals(openbsdDialect().takeover(sampleSa()), "pfsync");
});
