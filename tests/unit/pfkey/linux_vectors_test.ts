/** Linux's dialect on vectors of an encoder that shares nothing with it, in both byte orders; linux_test.ts damages them. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Dialect, Meaning } from "../../../src/pfkey/dialect.ts";
import { linuxDialect } from "../../../src/pfkey/linux.ts";
import { decodeMessage, encodeMessage, readExtensions } from "../../../src/pfkey/message.ts";
import { NO_MARK, PROTOCOL } from "../../../src/record/sa.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { compact, LINUX_HABITS, recordOf } from "../../fakes/pfkey_records.ts";
import { addr, samplePolicy, sampleSelector, sampleTemplate } from "../../fakes/records.ts";
import { LINUX_PFKEY_VECTORS, TAKEN_SECONDS } from "../../vectors/linux_pfkey_vectors.ts";
import type { PfkeyVector } from "../../vectors/pfkey_vector.ts";

const SURROUNDINGS = { nowSeconds: TAKEN_SECONDS };
const CAREFUL = { truncation: undefined, noEsn: false } as const;
const TOLD = { truncation: 96, noEsn: true } as const;

function dialectOf({ order }: PfkeyVector, assume: Parameters<typeof linuxDialect>[1] = CAREFUL): Dialect {
  return linuxDialect(order === "little" ? "little" : "big", assume);
}

function read({ hex }: PfkeyVector, dialect: Dialect): Meaning {
  return dialect.decode(dialect.unwrap(decodeMessage(decodeHex(hex), dialect.platform)), SURROUNDINGS);
}

function readingOf(vector: PfkeyVector, dialect: Dialect) {
  const meaning = read(vector, dialect);
  assert(meaning.kind === "dumped" || meaning.kind === "changed", meaning.kind);
  return meaning.reading!;
}

function assertReads(vector: PfkeyVector, dialect: Dialect, expected: IpsecRecord): void {
  const reading = readingOf(vector, dialect);
  assert(reading.kind === "record", reading.kind === "refused" ? reading.reason : reading.kind);
  assertEquals(compact(reading.record), compact(expected));
}

for (const vector of LINUX_PFKEY_VECTORS) {
  const { name, order, record, assumed, refused, reading } = vector;
  if (record !== undefined) {
    Deno.test(`linuxDialect().decode() reads ${name} (${order}-endian)`, () => {
      assertReads(vector, dialectOf(vector), recordOf(record, LINUX_HABITS));
    });
  }
  if (assumed !== undefined) {
    Deno.test(`linuxDialect().decode() reads ${name}, once it is told how (${order}-endian)`, () => {
      assertReads(vector, dialectOf(vector, TOLD), recordOf(assumed, LINUX_HABITS));
    });
  }
  if (refused !== undefined) {
    Deno.test(`linuxDialect().decode() refuses ${name} (${order}-endian)`, () => {
      const found = readingOf(vector, dialectOf(vector));
      assert(found.kind === "refused", found.kind);
      assertStringIncludes(found.reason, refused);
    });
  }
  if (reading === "answer") {
    Deno.test(`linuxDialect().decodeAnswer() reads ${name} (${order}-endian)`, () => {
      const dialect = dialectOf(vector);
      const answer = dialect.decodeAnswer(
        decodeMessage(decodeHex(vector.hex), dialect.platform),
        SURROUNDINGS,
      );
      const shown = LINUX_PFKEY_VECTORS.find((other) => other.name === "UPDATE of a larval one")!;
      assert(answer.kind === "record");
      assertEquals(compact(answer.record), compact(recordOf(shown.record!, LINUX_HABITS)));
    });
  } else if (reading !== undefined) {
    Deno.test(`linuxDialect().decode() passes over ${name} (${order}-endian)`, () => {
      assertEquals(readingOf(vector, dialectOf(vector)).kind, reading as unknown);
    });
  }
}

const ID = { dst: addr("198.51.100.7"), protocol: PROTOCOL.ESP, spi: 0x2000, mark: NO_MARK, rdomain: 0 };
const DEAD = { ...ID, spi: 0x103a };
const POLICY_ID = { direction: 1, selector: sampleSelector(), type: 0, mark: NO_MARK, interfaceId: 0 };
const POLICY = samplePolicy({
  ...POLICY_ID,
  priority: 2000,
  templates: [sampleTemplate({ src: addr("192.0.2.1"), dst: ID.dst, reqid: 7 })],
  ageSeconds: 100,
});
/** The number that the vectors give their policies. */
const INDEX = 0x21;
const RECORD = { kind: "record", record: { kind: "policy", policy: POLICY }, index: INDEX };

const meanings: Readonly<Record<string, unknown>> = {
  "a dead one, as UPDATE shows what it has thrown away": {
    kind: "read-back",
    id: DEAD,
    src: undefined,
    created: false,
  },
  "reply to GETSPI": { kind: "ignore" },
  "DELETE": { kind: "sa-gone", id: ID, expired: false },
  "FLUSH of all": { kind: "sa-flush", protocol: 0 },
  "FLUSH of AH": { kind: "sa-flush", protocol: PROTOCOL.AH },
  "SPDFLUSH": { kind: "policy-flush", type: 0 },
  "EXPIRE soft": { kind: "ignore" },
  "EXPIRE hard": { kind: "sa-gone", id: ID, expired: true },
  "ACQUIRE": { kind: "ignore" },
  "reply to REGISTER": { kind: "ignore" },
  "NAT-T mapping that has changed": { kind: "ignore" },
  "dump of nothing, errno ENOENT": { kind: "dumped", reading: undefined, last: true },
  "ADD that failed, a header with EEXIST": { kind: "error", errno: "EEXIST" },
  "MIGRATE": { kind: "resync", reason: "endpoints were migrated" },
  "SPDADD": { kind: "changed", reading: RECORD, created: true },
  "SPDUPDATE": { kind: "changed", reading: RECORD, created: false },
  "SPDDELETE": { kind: "policy-gone", id: POLICY_ID, expired: false, index: INDEX },
};

for (
  const vector of LINUX_PFKEY_VECTORS.filter(({ record, refused, reading }) =>
    !(record ?? refused ?? reading)
  )
) {
  if (vector.name === "DUMP with a filter") continue; // a request: kernels do not send it
  Deno.test(`linuxDialect().decode() takes ${vector.name} for what it means (${vector.order}-endian)`, () => {
    assert(vector.name in meanings, "a vector without a meaning");
    assertEquals(read(vector, dialectOf(vector)) as unknown, meanings[vector.name]);
  });
}

/** SA (state), SA2, PROXY, CURRENT, POLICY (number) and SEC_CTX (the kernel adds a zero). */
const NEVER_ALIKE = new Set([1, 2, 7, 18, 19, 24]);
/** A reqid that only NETLINK_XFRM can put, and a key of no bits, which is put as such. */
const NOT_PUT = /out of reach|no extension for its key/;

for (const vector of LINUX_PFKEY_VECTORS.filter(({ record, name }) => record && !NOT_PUT.test(name))) {
  Deno.test(`linuxDialect().encode() puts ${vector.name} as the kernel shows it (${vector.order}-endian)`, () => {
    const dialect = dialectOf(vector);
    const record = recordOf(vector.record!, LINUX_HABITS);
    assertEquals(dialect.refusal(record), undefined);
    assertEquals(compact(dialect.told(record)), compact(record));
    const planned = dialect.encode({ kind: "put", record }, SURROUNDINGS);
    assert(planned.ok);
    const put = planned.plan.requests.at(-1)!;
    const { platform } = dialect;
    const given = readExtensions(
      decodeMessage(encodeMessage({ ...put, seq: 0, pid: 0 }, put.body, platform), platform).body,
      platform,
    );
    const shown = readExtensions(decodeMessage(decodeHex(vector.hex), platform).body, platform);
    for (const [type, extension] of given) {
      if (NEVER_ALIKE.has(type)) continue;
      assertEquals(encodeHex(extension), encodeHex(shown.get(type) ?? new Uint8Array()), `extension ${type}`);
    }
    assertEquals([...shown.keys()].filter((type) => !given.has(type) && !NEVER_ALIKE.has(type)), []);
  });
}
