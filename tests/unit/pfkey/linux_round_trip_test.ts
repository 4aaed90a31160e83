import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Reading } from "../../../src/pfkey/dialect.ts";
import { linuxDialect } from "../../../src/pfkey/linux.ts";
import { LINUX_MESSAGES as MSG } from "../../../src/pfkey/linux_tables.ts";
import { decodeMessage } from "../../../src/pfkey/message.ts";
import { AUTH, ENCR, IPCOMP } from "../../../src/record/algorithms.ts";
import { type Address, anyAddress, familyOf, maskAddress } from "../../../src/record/address.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { SPACE } from "../../../src/record/opaque.ts";
import { ACTION, type Policy, type Template } from "../../../src/record/policy.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import { type Cipher, MODE, PROTOCOL, type Sa, SA_FLAG, type Selector } from "../../../src/record/sa.ts";
import { FakeLinuxPfkey } from "../../fakes/linux_pfkey.ts";
import { arbitraryPolicy, arbitrarySa } from "../../fakes/record_arbitraries.ts";
import { samplePolicy, sampleSa, sampleTemplate } from "../../fakes/records.ts";

const NOW = { nowSeconds: 1_800_000_000 };
const dialect = linuxDialect("little", { truncation: 96, noEsn: true });

/** What a dump shows of a record after it was put; undefined when it was refused, by the kernel at the latest. */
function putAndDump(record: IpsecRecord): Reading | undefined {
  const planned = dialect.encode({ kind: "put", record }, NOW);
  if (!planned.ok) return undefined;
  const kernel = new FakeLinuxPfkey(NOW.nowSeconds);
  const { type, satype, body } = planned.plan.requests.at(-1)!;
  kernel.disturb(type, satype, body);
  const socket = kernel.open(0);
  const [dump] = record.kind === "sa" ? [MSG.SADB_DUMP] : [MSG.SADB_X_SPDDUMP];
  socket.send(Uint8Array.from([2, dump, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]));
  const received = socket.receive();
  assert(received.kind === "data");
  const meaning = dialect.decode(decodeMessage(received.bytes, dialect.platform), NOW);
  assert(meaning.kind === "dumped", meaning.kind);
  return meaning.reading;
}

function checkRoundTrip(record: IpsecRecord): boolean {
  const reading = putAndDump(record);
  if (reading === undefined) return false;
  assert(reading.kind === "record", Deno.inspect(reading));
  assertEquals(encodeContent(reading.record), encodeContent(dialect.told(record)));
  return true;
}

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const ends = fc.oneof(fc.tuple(bytes(4), bytes(4)), fc.tuple(bytes(16), bytes(16)));

function keyed<T extends { readonly id: number | string }>(row: T, length: number): fc.Arbitrary<T & Cipher> {
  const key = bytes(length).filter((value) => length === 0 || value.some((byte) => byte !== 0));
  return key.map((value) => ({ ...row, keyBits: length * 8, key: value }));
}

const integrity = fc.oneof(
  keyed({ id: AUTH.HMAC_MD5_96, icvBits: 96 }, 16),
  keyed({ id: AUTH.HMAC_SHA1_96, icvBits: 96 }, 20),
  keyed({ id: AUTH.HMAC_SHA2_256_128, icvBits: 96 }, 32),
  keyed({ id: AUTH.HMAC_SHA2_384_192, icvBits: 192 }, 48),
  keyed({ id: AUTH.HMAC_SHA2_512_256, icvBits: 256 }, 64),
  keyed({ id: AUTH.AES_XCBC_96, icvBits: 96 }, 16),
  keyed({ id: "hmac(rmd160)", icvBits: 96 }, 20),
  keyed({ id: AUTH.NONE, icvBits: 0 }, 0),
);

const encryption = fc.oneof(
  keyed({ id: ENCR.AES_CBC }, 16),
  keyed({ id: ENCR.AES_CBC }, 32),
  keyed({ id: ENCR.AES_CTR }, 36),
  keyed({ id: ENCR["3DES"] }, 24),
  keyed({ id: ENCR.NULL }, 0),
);

const algorithms = fc.oneof(
  fc.record({
    protocol: fc.constant(PROTOCOL.ESP),
    encryption,
    integrity: fc.option(integrity, { nil: undefined }),
  }),
  fc.record({
    protocol: fc.constant(PROTOCOL.AH),
    integrity: integrity.filter(({ id }) => id !== AUTH.NONE),
    encryption: fc.constant(undefined),
  }),
  fc.record({
    protocol: fc.constant(PROTOCOL.IPCOMP),
    compression: fc.constant({ id: IPCOMP.DEFLATE }),
    integrity: fc.constant(undefined),
    encryption: fc.constant(undefined),
  }),
);

const u16 = fc.nat(0xffff);
const limit = fc.option(fc.bigInt({ min: 1n, max: 0xffff_ffffn }), { nil: undefined });
const limits = fc.record({ addSeconds: limit, useSeconds: limit, bytes: limit, packets: limit });
const flags = fc.constantFrom(
  0,
  SA_FLAG.NO_ECN,
  SA_FLAG.DECAP_DSCP | SA_FLAG.NO_PMTU_DISC,
  SA_FLAG.LONG_REPLAY,
);
const context = {
  space: SPACE.LINUX,
  type: 8,
  critical: true,
  value: Uint8Array.of(11, 0, 8, 0, 1, 1, 3, 0, 97, 98, 99),
};

/** SAs that Linux's PF_KEY can carry. */
const expressibleSa: fc.Arbitrary<Sa> = fc.record({
  algorithms,
  ends,
  flags,
  soft: limits,
  hard: limits,
  mode: fc.constantFrom(MODE.TRANSPORT, MODE.TUNNEL),
  reqid: fc.nat(0xffffffff),
  spi: fc.nat(0xffffffff),
  replayWindow: fc.nat(32),
  direction: fc.nat(2),
  isUnspec: fc.boolean(),
  ports: fc.option(fc.tuple(u16, u16), { nil: undefined }),
  opaque: fc.constantFrom([], [context]),
}).map(({ algorithms, ends: [src, dst], isUnspec, ports, flags, ...rest }) =>
  sampleSa({
    aead: undefined,
    ...algorithms,
    ...rest,
    src,
    dst,
    flags: isUnspec && rest.mode === MODE.TUNNEL ? flags | SA_FLAG.AF_UNSPEC : flags,
    selector: noSelector(isUnspec ? undefined : dst),
    encapsulation: ports && { type: 2, srcPort: ports[0], dstPort: ports[1], original: new Uint8Array(16) },
  })
);

/** `dst` undefined: of no family. */
function noSelector(dst: Address | undefined): Selector {
  const family = dst === undefined ? 0 : familyOf(dst);
  const zero = anyAddress(family === 6 ? 6 : 4);
  const none = { srcPort: 0, srcPortMask: 0, dstPort: 0, dstPortMask: 0, protocol: 0, ifname: "", user: 0 };
  return { family, src: zero, dst: zero, srcBits: 0, dstBits: 0, ...none };
}

const template = (family: 4 | 6, direction: number): fc.Arbitrary<Template> =>
  fc.record({
    ends: fc.tuple(bytes(family === 4 ? 4 : 16), bytes(family === 4 ? 4 : 16)),
    isTunnel: fc.boolean(),
    protocol: fc.constantFrom(50, 51, 108),
    reqid: fc.nat(0x3fff),
    optional: fc.boolean(),
    spi: fc.nat(0xffffffff),
  }).map(({ ends: [src, dst], isTunnel, reqid, optional, spi, ...rest }) => {
    const mayBeOptional = optional && !(isTunnel && direction === 1);
    return sampleTemplate({
      ...rest,
      spi: direction === 1 && reqid !== 0 && !mayBeOptional ? spi : 0,
      family,
      mode: isTunnel ? MODE.TUNNEL : MODE.TRANSPORT,
      src: isTunnel ? src : anyAddress(family),
      dst: isTunnel ? dst : anyAddress(family),
      optional: mayBeOptional,
      reqid: mayBeOptional ? 0 : reqid,
    });
  });

/** Policies that Linux's PF_KEY can carry. */
const expressiblePolicy: fc.Arbitrary<Policy> = fc.tuple(ends, fc.nat(2)).chain(([[src, dst], direction]) => {
  const family = familyOf(dst);
  const bits = fc.nat(family === 4 ? 32 : 128);
  return fc.record({
    srcBits: bits,
    dstBits: bits,
    srcPort: u16,
    dstPort: u16,
    protocol: fc.nat(254),
    priority: fc.nat(0xffffffff),
    isBlock: fc.boolean(),
    templates: fc.array(template(family, direction), { maxLength: 6 }),
    soft: limits,
    hard: limits,
  }).map(({ srcBits, dstBits, srcPort, dstPort, protocol, isBlock, templates, ...rest }) =>
    samplePolicy({
      ...rest,
      direction,
      action: isBlock ? ACTION.BLOCK : ACTION.ALLOW,
      templates: isBlock ? [] : templates,
      selector: {
        ...noSelector(dst),
        src: maskAddress(src, srcBits),
        dst: maskAddress(dst, dstBits),
        srcBits,
        dstBits,
        srcPort,
        dstPort,
        srcPortMask: srcPort === 0 ? 0 : 0xffff,
        dstPortMask: dstPort === 0 ? 0 : 0xffff,
        protocol,
      },
    })
  );
});

Deno.test("An SA that is taken is told as told() says", () => {
  fc.assert(fc.property(expressibleSa, (sa) => {
    assert(checkRoundTrip({ kind: "sa", sa }), dialect.refusal({ kind: "sa", sa }));
  }));
});

Deno.test("A policy that is taken is told as told() says", () => {
  fc.assert(fc.property(expressiblePolicy, (policy) => {
    assert(checkRoundTrip({ kind: "policy", policy }), dialect.refusal({ kind: "policy", policy }));
  }));
});

/** Every member for itself, on top of what can be expressed: it is refused, or told back. */
Deno.test("Any member of an SA is either refused or told back", () => {
  fc.assert(
    fc.property(expressibleSa, arbitrarySa, fc.nat(30), (plain, other, at) => {
      const members = Object.keys(other) as (keyof Sa)[]; // of a record without further members
      const member = members[at % members.length]!;
      const family = familyOf(plain.dst) === familyOf(other.dst);
      if (member === "opaque" || member === "counters" || member === "dst" && !family) return;
      checkRoundTrip({ kind: "sa", sa: { ...plain, [member]: other[member] } });
    }),
    { numRuns: 500 },
  );
});

Deno.test("Any member of a policy is either refused or told back", () => {
  fc.assert(
    fc.property(expressiblePolicy, arbitraryPolicy, fc.nat(30), (plain, other, at) => {
      const members = Object.keys(other) as (keyof Policy)[]; // of a record without further members
      const member = members[at % members.length]!;
      if (member === "opaque") return;
      checkRoundTrip({ kind: "policy", policy: { ...plain, [member]: other[member] } });
    }),
    { numRuns: 500 },
  );
});
