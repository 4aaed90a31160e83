import { assert, assertEquals } from "@std/assert";
import { LEAST_MARGIN } from "../../../src/core/lease.ts";
import { Leases } from "../../../src/core/leases.ts";
import type { Mirror } from "../../../src/core/mirror.ts";
import { recordKey } from "../../../src/record/record.ts";
import { sampleCounters } from "../../fakes/records.ts";
import { mirrorOf, policy, sa } from "./support.ts";

const PLACE = { index: 0, nodes: 2 };
const ONE = recordKey(sa(1));
const TWO = recordKey(sa(2));

function leasesOf(mirror: Mirror, { canAdvance = true } = {}): Leases {
  return new Leases(mirror, { canAdvance, place: PLACE });
}

/** What the kernel is to be moved to, by SPI. */
function advances(leases: Leases): [spi: number, oseq: bigint, seq: bigint][] {
  return leases.next(100).map(({ id, progress }) => [id.spi, progress.oseq, progress.seq]);
}

Deno.test("Leases.leased() starts an SA above what was reported, and leaves policies alone", () => {
  const leases = leasesOf(mirrorOf());
  const leased = leases.leased(ONE, sa(1, { counters: sampleCounters({ oseq: 7n }) }));
  assert(leased.kind === "sa");
  assertEquals(leased.sa.counters.oseq, 3n * LEAST_MARGIN);
  const flow = policy("10.2.0.0/16");
  assertEquals(leases.leased(recordKey(flow), flow), flow);
});

Deno.test("Leases does nothing for a kernel that takes no counters", () => {
  const leases = leasesOf(mirrorOf(sa(1)), { canAdvance: false });
  const record = sa(1);
  assertEquals(leases.leased(ONE, record), record);
  leases.report(ONE, sampleCounters({ oseq: 9n, seq: 9n }), true, 0);
  leases.standing(ONE, 0);
  leases.heard(0);
  leases.overtake(true, 60_000);
  assertEquals(leases.waiting, false);
});

Deno.test("Leases.report() moves the window at once, the start when half of the lease is used", () => {
  const mirror = mirrorOf(sa(1));
  const leases = leasesOf(mirror);
  leases.report(ONE, sampleCounters({ oseq: 10n, seq: 5n }), true, 1000);
  assertEquals(advances(leases), [[1, LEAST_MARGIN, 5n]]);
  leases.done(1);
  leases.report(ONE, sampleCounters({ oseq: LEAST_MARGIN, seq: 6n }), true, 3_600_000);
  assertEquals(advances(leases), [[1, 3n * LEAST_MARGIN, 6n]]);
  assertEquals(mirror.get(ONE)!.counters!.oseq, LEAST_MARGIN, "the mirror has what was reported");
});

Deno.test("Leases.report() takes it for no rate that a new master begins above the one before it", () => {
  const leases = leasesOf(mirrorOf(sa(1, { counters: sampleCounters({ oseq: 100n }) })));
  leases.followed(false);
  const begin = 5n * LEAST_MARGIN;
  leases.report(ONE, sampleCounters({ oseq: begin }), true, 0);
  leases.report(ONE, sampleCounters({ oseq: begin + 10n }), true, 1000);
  assertEquals(advances(leases), [[1, begin + 2n * LEAST_MARGIN, 0n]]);
});

Deno.test("Leases.report() of an SA that is not in the kernel waits for its put", () => {
  const mirror = mirrorOf(sa(1), policy("10.2.0.0/16"));
  const leases = leasesOf(mirror);
  leases.report(ONE, sampleCounters({ oseq: 10n }), false, 0);
  leases.report(TWO, sampleCounters({ oseq: 10n }), true, 0);
  leases.report(recordKey(policy("10.2.0.0/16")), sampleCounters({ oseq: 10n }), true, 0);
  assertEquals([leases.waiting, mirror.get(ONE)!.counters!.oseq], [false, 10n]);
});

Deno.test("Leases.report() takes nothing back", () => {
  const mirror = mirrorOf(sa(1, { counters: sampleCounters({ oseq: 100n, seq: 50n }) }));
  const leases = leasesOf(mirror);
  leases.report(ONE, sampleCounters({ oseq: 3n, seq: 2n }), true, 0);
  assertEquals(advances(leases), [[1, 3n * LEAST_MARGIN, 50n]]);
});

Deno.test("Leases.overtake() leaves leases alone while they are good", () => {
  const leases = leasesOf(mirrorOf(sa(1)));
  assertEquals(leases.overtake(false, 5000), { stale: 0, ageMs: 0 });
  leases.heard(10_000);
  assertEquals(leases.overtake(false, 12_000), { stale: 0, ageMs: 2000 });
  assertEquals(leases.waiting, false);
});

Deno.test("Leases.overtake() adds what may have been sent since, the busiest first", () => {
  const leases = leasesOf(mirrorOf(sa(1), sa(2)));
  leases.report(TWO, sampleCounters({ oseq: 1n }), true, 0);
  leases.report(TWO, sampleCounters({ oseq: 5001n }), true, 1000);
  leases.done(2);
  leases.heard(1000);
  assertEquals(leases.overtake(false, 21_000), { stale: 2, ageMs: 20_000 });
  assertEquals(advances(leases), [
    [2, 5n * LEAST_MARGIN, 0n],
    [1, 317n * LEAST_MARGIN, 0n],
  ]);
});

Deno.test("Leases.overtake() of a node that has just been master starts above who was it meanwhile", () => {
  const leases = leasesOf(mirrorOf(sa(1, { counters: sampleCounters({ oseq: 1000n }) })));
  leases.steppedDown(0);
  assertEquals(leases.overtake(false, 500).stale, 1);
  assert(advances(leases)[0]![1] > 1000n + 2n * LEAST_MARGIN);
  const followed = leasesOf(mirrorOf(sa(1)));
  followed.steppedDown(0);
  followed.caughtUp();
  followed.heard(400);
  assertEquals(followed.overtake(false, 500).stale, 0);
});

Deno.test("Leases.overtake() with `replay strict` closes the window over what may have come", () => {
  const leases = leasesOf(mirrorOf(sa(1, { counters: sampleCounters({ seq: 1000n, bitmap: [1] }) }), sa(2)));
  leases.heard(0);
  leases.overtake(true, 100);
  const [first] = leases.next(1);
  assertEquals([first!.progress.seq >= 1000n, first!.progress.bitmap], [true, [0xffffffff]]);
  assertEquals(advances(leases)[1]![2], 0n, "nothing has come on it yet");
});

Deno.test("Leases.overtake() starts above all where the kernel has not caught up with a new master", () => {
  const leases = leasesOf(mirrorOf(sa(1, { counters: sampleCounters({ oseq: 1000n }) })));
  leases.followed(false);
  leases.heard(400);
  assertEquals(leases.overtake(false, 500).stale, 1);
  assert(advances(leases)[0]![1] > 1000n + 2n * LEAST_MARGIN);
});

Deno.test("Leases.overtake() holds for SAs that are put only after it", () => {
  const leases = leasesOf(mirrorOf(sa(1, { counters: sampleCounters({ seq: 5n, bitmap: [1] }) })));
  leases.heard(0);
  leases.overtake(true, 60_000);
  const [advance] = leases.next(1);
  leases.done(1); // it was not there yet
  const put = leases.leased(ONE, sa(1, { counters: sampleCounters({ seq: 5n, bitmap: [1] }) }));
  assert(put.kind === "sa");
  const { oseq, seq, bitmap } = put.sa.counters;
  assertEquals({ oseq, seq, bitmap }, {
    oseq: advance!.progress.oseq,
    seq: advance!.progress.seq,
    bitmap: [0xffffffff],
  });
});

Deno.test("Leases.steppedDown() forgets where the node went on as master", () => {
  const mirror = mirrorOf(sa(1));
  const leases = leasesOf(mirror);
  leases.heard(0);
  leases.overtake(false, 60_000);
  const used = sampleCounters({ oseq: 3_900_000_000n });
  mirror.count(ONE, used, { bornMs: 0, usedMs: 0 });
  const before = leases.leased(ONE, sa(1, { counters: used }));
  leases.steppedDown(3_600_000);
  const after = leases.leased(ONE, sa(1, { counters: used }));
  assert(before.kind === "sa" && after.kind === "sa");
  assert(before.sa.counters.oseq > used.oseq);
  assert(after.sa.counters.oseq > used.oseq);
  leases.overtake(false, 3_600_100);
  assert(leases.next(1)[0]!.progress.oseq > used.oseq);
});

Deno.test("Leases.report() takes no number for true that the SA cannot have", () => {
  const mirror = mirrorOf(sa(1));
  const leases = leasesOf(mirror);
  leases.report(ONE, sampleCounters({ oseq: 2n ** 40n, seq: 2n ** 40n }), true, 0);
  const last = 2n ** 32n - 1n;
  assertEquals(advances(leases), [[1, last, last]]);
  assertEquals(mirror.get(ONE)!.counters!.oseq, last);
});

Deno.test("Leases.forget() drops what waits, and so does another master", () => {
  const leases = leasesOf(mirrorOf(sa(1), sa(2)));
  leases.standing(ONE, 0);
  leases.standing(TWO, 0);
  leases.forget(ONE);
  assertEquals(advances(leases).map(([spi]) => spi), [2]);
  leases.followed(false);
  assertEquals(leases.waiting, false);
});

Deno.test("Leases.ended() remembers what was used of an SA that has gone", () => {
  const mirror = mirrorOf(sa(1), sa(2));
  const leases = leasesOf(mirror);
  const used = 5n * LEAST_MARGIN;
  mirror.count(ONE, sampleCounters({ oseq: used }), { bornMs: 0, usedMs: 0 });
  leases.ended(ONE);
  mirror.delete(ONE);
  leases.steppedDown(0);
  leases.forget(ONE);
  const again = leases.leased(ONE, sa(1));
  assert(again.kind === "sa" && again.sa.counters.oseq > used);
  const other = leases.leased(TWO, sa(2));
  assert(other.kind === "sa" && other.sa.counters.oseq < used);
});

Deno.test("Leases.ended() remembers where the kernel was moved to at the takeover", () => {
  const mirror = mirrorOf(sa(1));
  const leases = leasesOf(mirror);
  leases.heard(0);
  leases.overtake(false, 60_000);
  const [, start] = advances(leases)[0]!;
  leases.ended(ONE);
  const again = leases.leased(ONE, sa(1));
  assert(again.kind === "sa" && again.sa.counters.oseq > start);
});
