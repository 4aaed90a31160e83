import { assert, assertEquals, assertMatch } from "@std/assert";
import type { ByteOrder } from "../../../src/layout/byte_order.ts";
import { Writer } from "../../../src/layout/writer.ts";
import type { Dialect, Reading } from "../../../src/pfkey/dialect.ts";
import { SADB_EXT, SADB_MESSAGES } from "../../../src/pfkey/mod.ts";
import { freebsdDialect, linuxDialect, openbsdDialect } from "../../../src/pfkey/mod.ts";
import { AUTH, ENCR } from "../../../src/record/algorithms.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import type { Sa } from "../../../src/record/sa.ts";
import { addr, sampleSa, sampleSelector } from "../../fakes/records.ts";

const NOW = { nowSeconds: 1_800_000_000 };
const ZERO = addr("0.0.0.0");

const SA = sampleSa({
  aead: undefined,
  encryption: { id: ENCR.AES_CBC, keyBits: 128, key: new Uint8Array(16).fill(1) },
  integrity: { id: AUTH.HMAC_SHA1_96, icvBits: 96, keyBits: 160, key: new Uint8Array(20).fill(2) },
  selector: sampleSelector({ src: ZERO, dst: ZERO, srcBits: 0, dstBits: 0 }),
  flags: 0,
});

const dialects: readonly ((order: ByteOrder) => Dialect)[] = [
  (order) => linuxDialect(order, { truncation: 96, noEsn: true }),
  openbsdDialect,
  freebsdDialect,
];

/** The extensions that put the SA. */
function bodyOf(dialect: Dialect, sa: Sa): { readonly satype: number; readonly body: Uint8Array } {
  const planned = dialect.encode({ kind: "put", record: { kind: "sa", sa } }, NOW);
  assert(planned.ok, planned.ok ? "" : planned.reason);
  return planned.plan.requests.at(-1)!;
}

/** What a dump of the SA says when it has one more extension, of one word. */
function readWith(dialect: Dialect, type: number): Reading {
  const { satype, body } = bodyOf(dialect, SA);
  const writer = new Writer(dialect.platform.order).bytes(body).u16(1).u16(type).u32(0x01020304);
  if (dialect.name === "linux") { // an empty selector, as Linux tells it of every SA
    writer.u16(3).u16(SADB_EXT.SADB_EXT_ADDRESS_PROXY).zeros(4).u16(2).zeros(14);
  }
  const message = { type: SADB_MESSAGES.SADB_DUMP, errno: 0, satype, seq: 0, pid: 0, body: writer.finish() };
  const meaning = dialect.decode(message, NOW);
  assert(meaning.kind === "dumped" && meaning.reading !== undefined);
  return meaning.reading;
}

function saWith(dialect: Dialect, type: number): Sa {
  const reading = readWith(dialect, type);
  assert(reading.kind === "record" && reading.record.kind === "sa", Deno.inspect(reading));
  return reading.record.sa;
}

for (const make of dialects) {
  const { name } = make("little");

  Deno.test(`${name}: an extension of a later kernel travels as a critical attribute`, () => {
    for (const type of [60, 0xbff]) {
      const sa = saWith(make("little"), type);
      assertEquals(sa.opaque.map(({ critical, value }) => [critical, [...value]]), [[true, [1, 4, 3, 2, 1]]]);
      encodeContent({ kind: "sa", sa });
    }
  });

  Deno.test(`${name}: an extension that no attribute can name is refused`, () => {
    for (const type of [0x1000, 0xffff]) {
      const reading = readWith(make("little"), type);
      assert(reading.kind === "refused");
      assertMatch(reading.reason, /attribute \d+, which is not known/);
    }
  });

  Deno.test(`${name}: nothing puts an extension of another byte order`, () => {
    const planned = make("little").encode({
      kind: "put",
      record: { kind: "sa", sa: saWith(make("big"), 60) },
    }, NOW);
    assert(!planned.ok);
    assertMatch(planned.reason, /attribute \d+ of \w+ cannot be honoured/);
  });
}

for (const make of [openbsdDialect, freebsdDialect]) {
  const dialect = make("little");

  Deno.test(`${dialect.name} puts what it has read`, () => {
    const { body } = bodyOf(dialect, saWith(dialect, 60));
    assertEquals([...body.slice(-8)], [1, 0, 60, 0, 4, 3, 2, 1]);
  });
}
