import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  firstLease,
  LEAST_MARGIN,
  LINE_RATE,
  reported,
  staleStart,
  startAbove,
  strictWindow,
} from "../../../src/core/lease.ts";
import { SA_FLAG } from "../../../src/record/sa.ts";
import { sampleCounters } from "../../fakes/records.ts";

const LAST = 2n ** 32n - 1n;
const FIRST = { index: 0, nodes: 2 };
const SECOND = { index: 1, nodes: 2 };

const starts: [what: string, actual: bigint, expected: bigint][] = [
  ["an SA that nobody uses", startAbove(0n, 0, 0, FIRST), LEAST_MARGIN],
  ["the second node", startAbove(100n, 0, 0, SECOND), 4n * LEAST_MARGIN],
  ["a slow SA", startAbove(100n, 65_000, 0, FIRST), 3n * LEAST_MARGIN],
  ["a fast SA", startAbove(100n, 1_000_000, 0, FIRST), 17n * LEAST_MARGIN],
  ["20 s of silence", startAbove(0n, 5000, 0, FIRST, 20_000), 5n * LEAST_MARGIN],
  ["few numbers left", startAbove(LAST - 1000n, 0, 0, FIRST), LAST - 500n],
  ["none left", startAbove(LAST, 0, 0, FIRST), LAST],
  ["ESN above 2^32", startAbove(LAST, 0, SA_FLAG.ESN, FIRST), 2n ** 32n + LEAST_MARGIN],
  ["what no SA without ESN can have sent", startAbove(2n ** 40n, 0, 0, FIRST), 2n ** 40n],
  ["ESN near its end", startAbove(2n ** 64n - 10n, LINE_RATE, SA_FLAG.ESN, FIRST), 2n ** 64n - 6n],
  [
    "ESN and a silence of an hour",
    startAbove(0n, LINE_RATE, SA_FLAG.ESN, FIRST, 3_600_000),
    2n ** 31n - LEAST_MARGIN,
  ],
];

for (const [what, actual, expected] of starts) {
  Deno.test(`startAbove() of ${what}`, () => assertEquals(actual, expected));
}

Deno.test("startAbove() begins in a block of its own, whatever the nodes know", () => {
  const nodes = 4;
  const known = fc.tuple(
    fc.bigInt({ min: 0n, max: 2n ** 31n }),
    fc.integer({ min: 0, max: LINE_RATE }),
    fc.integer({ min: 0, max: 60_000 }),
  );
  const flags = fc.constantFrom(0, SA_FLAG.ESN);
  fc.assert(fc.property(known, known, flags, fc.nat(2), (ours, theirs, flags, index) => {
    const [a, b] = [[ours, index], [theirs, 3]] as const;
    const [first, second] = [a, b].map(([[oseq, rate, ageMs], index]) =>
      startAbove(oseq, rate, flags, { index, nodes }, ageMs)
    );
    assertEquals([first! % LEAST_MARGIN, second! % LEAST_MARGIN], [0n, 0n]);
    assert(first !== second, `both start at ${first}`);
  }));
});

Deno.test("reported() renews the lease when half of it is used, and not before", () => {
  const first = firstLease(sampleCounters(), 0, FIRST, 0);
  const half = LEAST_MARGIN / 2n;
  const before = reported(first, sampleCounters({ oseq: half }), 0, FIRST, 3_600_000);
  assertEquals(before.start, first.start);
  const after = reported(first, sampleCounters({ oseq: half + 1n }), 0, FIRST, 3_600_000);
  assertEquals(after.start, 3n * LEAST_MARGIN);
});

Deno.test("reported() learns the greatest rate, and none from reports that follow at once", () => {
  const first = firstLease(sampleCounters(), 0, FIRST, 0);
  const busy = reported(first, sampleCounters({ oseq: 5000n, seq: 800n }), 0, FIRST, 1000);
  assertEquals([busy.sendRate, busy.receiveRate], [5000, 800]);
  const idle = reported(busy, sampleCounters({ oseq: 5001n, seq: 800n }), 0, FIRST, 2000);
  assertEquals([idle.sendRate, idle.oseq], [5000, 5001n]);
  const hasty = reported(idle, sampleCounters({ oseq: 6000n, seq: 800n }), 0, FIRST, 2001);
  assertEquals([hasty.sendRate, hasty.atMs], [5000, 2000]);
});

Deno.test("reported() keeps the start above what may go out until the next report", () => {
  const steps = fc.array(fc.integer({ min: 0, max: 2_000_000 }), { maxLength: 30 });
  fc.assert(fc.property(steps, fc.constantFrom(FIRST, SECOND), (packets, place) => {
    let lease = firstLease(sampleCounters(), 0, place, 0);
    let oseq = 0n;
    for (const [i, more] of packets.entries()) {
      oseq += BigInt(more);
      lease = reported(lease, sampleCounters({ oseq }), 0, place, (i + 1) * 1000);
      assert(lease.start > oseq + BigInt(Math.ceil(lease.sendRate)), `${lease.start} is not above ${oseq}`);
    }
  }));
});

Deno.test("staleStart() is never below the lease, and takes the line rate for an SA without one", () => {
  const lease = { ...firstLease(sampleCounters(), 0, FIRST, 0), start: 2n ** 31n };
  assertEquals(staleStart(lease, 0n, 0, FIRST, 1), 2n ** 31n);
  const unknown = firstLease(sampleCounters(), 0, FIRST, 0);
  assertEquals(staleStart(unknown, 0n, 0, FIRST, 1000), 47n * LEAST_MARGIN);
});

Deno.test("strictWindow() lets nothing through that may have come before", () => {
  const counters = sampleCounters({ seq: 1000n, bitmap: [5, 0] });
  const lease = { ...firstLease(counters, 0, FIRST, 0), receiveRate: 100 };
  const { seq, bitmap } = strictWindow(lease, counters, 0, 2000);
  assertEquals([seq, bitmap], [1300n, [0xffffffff, 0xffffffff]]);
});

Deno.test("strictWindow() stays within the numbers that an SA has", () => {
  const lease = { ...firstLease(sampleCounters(), 0, FIRST, 0), receiveRate: LINE_RATE };
  const topOf = (seq: bigint, flags: number) =>
    strictWindow(lease, sampleCounters({ seq, bitmap: [0] }), flags, 3_600_000).seq;
  assertEquals(topOf(5n, 0), LAST);
  assertEquals(topOf(2n ** 64n - 1n, SA_FLAG.ESN), 2n ** 64n - 1n);
  assert(topOf(5n, SA_FLAG.ESN) > LAST);
});
