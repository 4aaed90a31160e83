import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { bitsFor, bucketOf, Buckets, MOST_BITS, shortDigest } from "../../../src/core/buckets.ts";
import { digestOf } from "../../../src/record/digest.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { identityOf, recordKey } from "../../../src/record/record.ts";
import { mark, policy, sa } from "./support.ts";

/** What peers of another version compute too: a change of keys or of the hash needs another capability. */
const known: readonly [string, number][] = [
  [recordKey(sa(0x1000)), 936],
  [recordKey(sa(0x1001)), 968],
  [recordKey(sa(0x1001, { mark: mark(7) })), 676],
  [recordKey(policy("10.2.0.0/16")), 3789],
];

for (const [key, bucket] of known) {
  Deno.test(`bucketOf() puts ${key} into bucket ${bucket}`, () => assertEquals(bucketOf(key), bucket));
}

Deno.test("bucketOf() spreads the SAs of one peer evenly", () => {
  const counts = new Map<number, number>();
  for (let spi = 0; spi < 64 * 64; spi++) {
    const bucket = bucketOf(recordKey(sa(0x1000 + spi))) >> 6;
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  }
  assertEquals(counts.size, 64);
  const [least, most] = [Math.min(...counts.values()), Math.max(...counts.values())];
  assertEquals([least > 30, most < 110], [true, true], `${least} to ${most}, not about 64`);
});

const sizes: readonly [records: number, bits: number][] = [
  [0, 4],
  [1, 4],
  [100, 7],
  [10_000, 10],
  [100_000, 12],
  [10_000_000, 12],
];

for (const [records, bits] of sizes) {
  Deno.test(`bitsFor() divides ${records} records into 2^${bits} buckets`, () =>
    assertEquals(bitsFor(records), bits));
}

Deno.test("Buckets.digest() is the exclusive or of the bucket's records, whatever has happened", () => {
  const change = fc.tuple(fc.nat(40), fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })));
  fc.assert(
    fc.property(fc.array(change), fc.integer({ min: 0, max: MOST_BITS }), (changes, bits) => {
      const buckets = new Buckets();
      const model = new Map<string, number>();
      for (const [n, digest] of changes) {
        const key = `record ${n}`;
        if (digest === null) {
          buckets.delete(key);
          model.delete(key);
        } else {
          buckets.set(key, digest);
          model.set(key, digest);
        }
      }
      for (let bucket = 0; bucket < 2 ** bits; bucket++) {
        const here = [...model].filter(([key]) => bucketOf(key) >> (MOST_BITS - bits) === bucket);
        assertEquals(new Map(buckets.records(bits, bucket)), new Map(here));
        assertEquals(buckets.size(bits, bucket), here.length);
        assertEquals(buckets.digest(bits, bucket), here.reduce((all, [, digest]) => all ^ digest, 0));
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("shortDigest() shows the rank of an SA with a mark only", () => {
  const short = (record: Parameters<typeof identityOf>[0], rank: number) =>
    shortDigest(digestOf(encodeContent(record), 0), identityOf(record), rank);
  assertEquals(short(sa(1), 1), short(sa(1), 2));
  const marked = sa(1, { mark: mark(7) });
  assertEquals(short(marked, 1) === short(marked, 2), false);
});
