import { assertEquals } from "@std/assert";
import { furthest, isEqualProgress } from "../../../src/record/progress.ts";
import { sampleCounters } from "../../fakes/records.ts";

const rows = [
  ["the greater of each", { oseq: 5n, bytes: 1n }, { oseq: 3n, bytes: 9n }, { oseq: 5n, bytes: 9n }],
  ["the bitmap of the greater seq", { seq: 7n, bitmap: [1] }, { seq: 9n, bitmap: [2] }, {
    seq: 9n,
    bitmap: [2],
  }],
  ["both bitmaps of one seq", { seq: 7n, bitmap: [1, 4] }, { seq: 7n, bitmap: [2] }, {
    seq: 7n,
    bitmap: [3, 4],
  }],
  ["words with their top bit", { bitmap: [0x80000000] }, { bitmap: [1] }, { bitmap: [0x80000001] }],
] as const;

function pick({ oseq, seq, bitmap, bytes, packets }: ReturnType<typeof sampleCounters>) {
  return { oseq, seq, bitmap, bytes, packets };
}

for (const [what, a, b, expected] of rows) {
  Deno.test(`furthest() gives ${what}`, () => {
    const [one, other, result] = [sampleCounters(a), sampleCounters(b), pick(sampleCounters(expected))];
    assertEquals(furthest(one, other), result);
    assertEquals(furthest(other, one), result);
    assertEquals(isEqualProgress(one, result) && isEqualProgress(other, result), false);
    assertEquals(isEqualProgress(result, { ...result }), true);
  });
}
