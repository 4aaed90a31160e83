import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { MOST_BITS } from "../../../src/core/buckets.ts";
import { answerTo, differencesIn, isLast, isRange, keysOf, questionsOf } from "../../../src/core/compare.ts";
import type { Mirror } from "../../../src/core/mirror.ts";
import { recordKey } from "../../../src/record/record.ts";
import { decodeMessages, encodeMessage } from "../../../src/wire/native/catalog.ts";
import type { Message } from "../../../src/wire/native/message.ts";
import { mirrorOf, sa } from "./support.ts";

/** What a slave finds when it compares itself with its master, and the bytes that it took. */
function compare(slave: Mirror, master: Mirror) {
  const lacking: string[] = [];
  const alone: string[] = [];
  let bytes = 0;
  const travel = <T extends Message>(message: T): T => {
    const sent = encodeMessage(message);
    bytes += sent.length;
    return decodeMessages(sent)[0] as T; // one message in, the same out
  };
  for (const question of questionsOf(slave, "check", 0)) {
    const answer = answerTo(travel(question), master.buckets);
    if (answer === undefined) return undefined;
    const found = differencesIn(travel(answer), slave.buckets);
    alone.push(...found.alone);
    lacking.push(...keysOf(found.lacking, question.bits, master.buckets));
  }
  return { lacking: lacking.toSorted(), alone: alone.toSorted(), bytes };
}

Deno.test("differencesIn() and keysOf() find exactly what differs", () => {
  const spis = fc.uniqueArray(fc.nat(300));
  fc.assert(
    fc.property(spis, spis, spis, (both, here, changed) => {
      const others = here.filter((spi) => !both.includes(spi));
      const slave = mirrorOf(...both.map((spi) => sa(spi)));
      const differ = both.filter((spi) => changed.includes(spi));
      const master = mirrorOf(
        ...both.map((spi) => sa(spi, differ.includes(spi) ? { reqid: 9 } : {})),
        ...others.map((spi) => sa(spi)),
      );
      const found = compare(slave, master)!;
      const keys = (list: number[]) => list.map((spi) => recordKey(sa(spi))).toSorted();
      assertEquals(found.lacking, keys([...differ, ...others]));
      assertEquals(found.alone, keys(differ));
    }),
    { numRuns: 100 },
  );
});

Deno.test("a comparison of 10,000 SAs of which 100 differ takes less than 10 kB", () => {
  const records = Array.from({ length: 10_000 }, (_, i) => sa(0x1000 + i));
  const changed = records.map((record, i) => i % 100 === 0 ? sa(0x1000 + i, { reqid: 9 }) : record);
  const found = compare(mirrorOf(...records), mirrorOf(...changed))!;
  assertEquals([found.lacking.length, found.alone.length], [100, 100]);
  assertEquals(found.bytes < 10_000, true, `${found.bytes} bytes`);
});

Deno.test("answerTo() gives up when so much differs that no message holds it", () => {
  const many = mirrorOf(...Array.from({ length: 15_000 }, (_, i) => sa(0x1000 + i)));
  assertEquals(compare(mirrorOf(sa(1)), many), undefined);
});

Deno.test("questionsOf() covers every bucket once, in at least so many parts", () => {
  const mirror = mirrorOf(...Array.from({ length: 100 }, (_, i) => sa(0x1000 + i)));
  for (const parts of [1, 3, 64, 1000]) {
    const questions = [...questionsOf(mirror, "check", 0, parts)];
    assertEquals(questions.length >= Math.min(parts, 2 ** 7), true);
    const buckets = questions.flatMap(({ first, digests }) => digests.map((_, i) => first + i));
    assertEquals(buckets, Array.from({ length: 2 ** 7 }, (_, i) => i));
    const last = questions.map((question) => isLast(question, question.digests.length));
    assertEquals(last.indexOf(true), questions.length - 1);
  }
});

Deno.test("questionsOf() asks about few records at once", () => {
  const mirror = mirrorOf(...Array.from({ length: 15_000 }, (_, i) => sa(0x1000 + i)));
  const questions = [...questionsOf(mirror, "join", 7)];
  assertEquals(questions.length, 2);
  assertEquals(questions.every(({ counted }) => counted === 7), true);
});

const ranges: readonly [bits: number, first: number, count: number, bucket: number, isWell: boolean][] = [
  [4, 0, 16, 15, true],
  [4, 8, 8, 8, true],
  [4, 8, 9, 8, false],
  [4, 8, 4, 7, false],
  [4, 8, 4, 12, false],
  [MOST_BITS, 0, 4096, 0, true],
  [MOST_BITS + 1, 0, 1, 0, false],
  [255, 0, 1, 0, false],
];

for (const [bits, first, count, bucket, isWell] of ranges) {
  Deno.test(`isRange() ${isWell ? "takes" : "refuses"} ${count} of 2^${bits} from ${first}, list ${bucket}`, () =>
    assertEquals(isRange({ bits, first }, count, [{ bucket, digests: [] }]), isWell));
}
