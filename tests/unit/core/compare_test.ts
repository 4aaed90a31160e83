import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Buckets, MOST_BITS } from "../../../src/core/buckets.ts";
import { answerTo, differencesIn, isLast, isRange, keysOf, questionsOf } from "../../../src/core/compare.ts";
import type { Mirror } from "../../../src/core/mirror.ts";
import { recordKey } from "../../../src/record/record.ts";
import { decodeMessages, encodeMessage } from "../../../src/wire/native/catalog.ts";
import type { Message, Purpose } from "../../../src/wire/native/message.ts";
import { mirrorOf, sa } from "./support.ts";

/** What a slave finds when it compares itself with its master, and the bytes that it took. */
function compare(slave: Mirror, master: Mirror, purpose: Purpose = "check") {
  const lacking: string[] = [];
  const alone: string[] = [];
  let bytes = 0;
  const travel = <T extends Message>(message: T): T => {
    const sent = encodeMessage(message);
    bytes += sent.length;
    return decodeMessages(sent)[0] as T; // one message in, the same out
  };
  for (const question of questionsOf(slave, purpose, 0)) {
    const answer = answerTo(travel(question), master.buckets);
    if (answer === undefined) return undefined;
    const found = differencesIn(travel(answer), slave.buckets);
    alone.push(...found.alone);
    const { bits, first, digests: { length: count } } = question;
    const want = travel({ type: "want-records", purpose, bits, first, count, lists: found.lacking });
    lacking.push(...keysOf(want, master.buckets));
  }
  return { lacking: lacking.toSorted(), alone: alone.toSorted(), bytes };
}

Deno.test("differencesIn() and keysOf() find exactly what differs", () => {
  const spis = fc.uniqueArray(fc.nat(300));
  fc.assert(
    fc.property(spis, spis, spis, fc.constantFrom("check", "join-again"), (both, here, changed, purpose) => {
      const others = here.filter((spi) => !both.includes(spi));
      const slave = mirrorOf(...both.map((spi) => sa(spi)));
      const differ = both.filter((spi) => changed.includes(spi));
      const master = mirrorOf(
        ...both.map((spi) => sa(spi, differ.includes(spi) ? { reqid: 9 } : {})),
        ...others.map((spi) => sa(spi)),
      );
      const found = compare(slave, master, purpose)!;
      const keys = (list: number[]) => list.map((spi) => recordKey(sa(spi))).toSorted();
      assertEquals(found.lacking, keys([...differ, ...others]));
      assertEquals(found.alone, keys(differ));
    }),
    { numRuns: 100 },
  );
});

/** Of 256 digests, so that many records of a bucket have the same one. */
function bucketsOf(records: ReadonlyMap<string, number>): Buckets {
  const buckets = new Buckets();
  for (const [key, digest] of records) buckets.set(key, digest << 16);
  return buckets;
}

Deno.test("differencesIn() and keysOf() lose no equal record where digests are alike", () => {
  const records = (name: string) =>
    fc.array(fc.tuple(fc.nat(300).map((n) => `${name} ${n}`), fc.nat(255))).map((list) => new Map(list));
  fc.assert(
    fc.property(records("both"), records("here"), records("there"), (both, here, there) => {
      const [slave, master] = [new Map([...here, ...both]), new Map([...there, ...both])];
      const [own, theirs] = [bucketsOf(slave), bucketsOf(master)];
      const range = { purpose: "join", bits: 0, first: 0 } as const;
      const answer = answerTo({ ...range, type: "digests", counted: 0, digests: [-1] }, theirs)!;
      const { lacking, alone } = differencesIn(answer, own);
      const put = keysOf({ ...range, type: "want-records", count: 1, lists: lacking }, theirs);
      for (const key of both.keys()) assertEquals(alone.includes(key) && !put.includes(key), false, key);
      const after = new Map([...slave].filter(([key]) => !alone.includes(key)));
      for (const key of put) after.set(key, master.get(key)!);
      const count = (of: Iterable<number>) => [...of].toSorted((a, b) => a - b);
      assertEquals(count(after.values()), count(master.values()), "as many of each digest");
    }),
    { numRuns: 300 },
  );
});

const costs: readonly [purpose: Purpose, bytes: number][] = [["join", 5500], ["check", 10_000]];

for (const [purpose, bytes] of costs) {
  Deno.test(`a ${purpose} of 10,000 SAs of which 100 differ takes less than ${bytes} bytes`, () => {
    const records = Array.from({ length: 10_000 }, (_, i) => sa(0x1000 + i));
    const changed = records.map((record, i) => i % 100 === 0 ? sa(0x1000 + i, { reqid: 9 }) : record);
    const found = compare(mirrorOf(...records), mirrorOf(...changed), purpose)!;
    assertEquals([found.lacking.length, found.alone.length], [100, 100]);
    assertEquals(found.bytes < bytes, true, `${found.bytes} bytes`);
  });
}

const digest = 0x12345678;
const widths: readonly [purpose: Purpose, other: number, differs: boolean][] = [
  ["join", 0x12340000, false],
  ["join", 0x12355678, true],
  ["check", 0x12345679, true],
  ["join-again", 0x12345679, true],
];

for (const [purpose, other, differs] of widths) {
  Deno.test(`a ${purpose} ${differs ? "tells" : "does not tell"} ${digest} from ${other}`, () => {
    const [own, theirs] = [new Buckets(), new Buckets()];
    own.set("one", digest);
    theirs.set("one", other);
    const mirror = { buckets: own, size: 1 } as Mirror; // all that is asked for
    const answers = [...questionsOf(mirror, purpose, 0)].map((question) => answerTo(question, theirs)!);
    const found = answers.map((answer) => differencesIn(answer, own));
    assertEquals(found.some(({ alone, lacking }) => alone.length + lacking.length > 0), differs);
  });
}

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
