/** A whole node that takes over: its kernel gets the true limits, and a slave's when it steps down. */

import { assert, assertEquals } from "@std/assert";
import { slaveRecord } from "../../../src/core/slave_record.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import type { Sa } from "../../../src/record/sa.ts";
import { sampleCounters } from "../../fakes/records.ts";
import { Host, mirrorOf, nodeId, sa, snapshotOf, stateOf, TestClock } from "./support.ts";

const LIMITS: Pick<Sa, "soft" | "hard"> = {
  soft: { addSeconds: 80n, packets: 7n },
  hard: { addSeconds: 100n, bytes: 9n },
};

/** A slave of "p", which has SAs with these limits, `ages` seconds old. */
function slaveOf(limits: readonly Partial<Sa>[], ages: readonly number[] = []): Host {
  const host = new Host("gw1", 1, new TestClock()).start("SLAVE");
  const records = limits.map((one, i) =>
    sa(i + 1, { ...one, counters: sampleCounters({ ageSeconds: ages[i] ?? 0 }) })
  );
  host.node.peerUp("p", nodeId(9), false);
  host.node.receive("p", stateOf("MASTER", 5, { master: 9, following: true }), host.clock.nowMs);
  for (const message of snapshotOf(mirrorOf(...records))) host.node.receive("p", message, host.clock.nowMs);
  host.turn();
  return host;
}

/** Takes over, and is master for so long. */
function reign(host: Host, ms: number): void {
  host.node.peerDown("p", host.clock.nowMs);
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  wait(host, ms);
}

function wait(host: Host, ms: number): void {
  for (const endMs = host.clock.nowMs + ms; host.clock.nowMs < endMs; host.clock.nowMs += 10) host.turn();
}

/** SPIs of the SAs whose limits are the true ones. */
function withTrueLimits({ kernel }: Host): number[] {
  return kernel.records().flatMap((record) =>
    record.kind === "sa" && record.sa.soft.addSeconds !== undefined ? [record.sa.spi] : []
  );
}

function only({ kernel }: Host): Sa {
  const [record, ...others] = kernel.records();
  assert(record?.kind === "sa" && others.length === 0);
  return record.sa;
}

Deno.test("Node.nextLimits() gives back what a slave's SA has not, after a while, and touches nothing else", () => {
  const host = slaveOf([LIMITS], [30]);
  const before = only(host);
  assertEquals([before.soft, before.hard], [{}, { addSeconds: 160n, useSeconds: undefined, bytes: 9n }]);
  reign(host, 500);
  assertEquals(only(host), before);
  wait(host, 1000);
  const { soft, hard, counters } = only(host);
  assertEquals({ soft, hard }, LIMITS);
  assertEquals(counters, { ...before.counters, ageSeconds: 31 });
  assert(host.logs.includes("true limits are set (SAs: 1)"));
  assertEquals(host.node.counters["limits set"], 1);
  assertEquals(host.node.limitsDueMs(host.clock.nowMs), Infinity);
});

Deno.test("Node.nextLimits() begins with what ends first, and gives few at a time", () => {
  const ages = Array.from({ length: 40 }, (_, i) => i);
  const host = slaveOf(ages.map(() => LIMITS), ages);
  reign(host, 1000);
  assertEquals(withTrueLimits(host), []);
  wait(host, 20);
  assertEquals(withTrueLimits(host), ages.slice(-16).map((i) => i + 1));
  wait(host, 100);
  assertEquals(withTrueLimits(host).length, 40);
});

Deno.test("Node.nextLimits() leaves alone what has the same limits on slaves, is gone, or was made anew", () => {
  const host = slaveOf([{ hard: { bytes: 7n } }, LIMITS, LIMITS]);
  reign(host, 500);
  host.kernel.disturb({ kind: "delete-sa", id: sa(2).sa });
  host.kernel.disturb({ kind: "put", record: sa(3, { hard: { addSeconds: 5n } }) });
  wait(host, 1500);
  assertEquals(host.node.counters["limits set"], undefined);
  assertEquals(host.holds(), ["sa 1", "sa 3"]);
});

Deno.test("Node.nextLimits() gives the same again when nobody knows what came of it", () => {
  const host = slaveOf([LIMITS]);
  reign(host, 990);
  host.clock.nowMs += 10;
  const { nowMs } = host.clock;
  assertEquals(host.node.nextLimits(nowMs), []); // they are read
  const given = host.node.nextLimits(nowMs);
  assertEquals(given.map(({ spi }) => spi), [1]);
  assertEquals(host.node.nextLimits(nowMs + 60), given);
  host.node.limited([{ ok: false, reason: "ENOSYS" }]);
  assertEquals(host.node.limitsDueMs(nowMs + 60), Infinity);
  assertEquals(host.node.counters["limits not set"], 1);
  host.perform();
  assert(host.logs.includes("cannot set the limits of SA esp 0x00000001 to 198.51.100.1: ENOSYS"));
});

Deno.test("Node.setRole() to SLAVE puts a slave's limits back, counters kept", () => {
  const host = slaveOf([LIMITS]);
  reign(host, 2000);
  host.kernel.traffic(sa(1).sa, 5n, 3n);
  host.turn();
  const [held] = host.kernel.records();
  host.node.peerUp("q", nodeId(8), false);
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  host.node.receive("q", stateOf("MASTER", 9, { master: 8, following: true }), host.clock.nowMs);
  for (const message of snapshotOf(mirrorOf(held!))) host.node.receive("q", message, host.clock.nowMs);
  host.done.length = 0;
  wait(host, 50);
  assertEquals(host.done, [], "nothing is put");
  const wanted = slaveRecord(held!);
  assert(wanted.kind === "sa" && held!.kind === "sa");
  const { soft, hard, counters } = only(host);
  assertEquals({ soft, hard }, { soft: wanted.sa.soft, hard: wanted.sa.hard });
  assert(counters.oseq > held!.sa.counters.oseq);
  assertEquals(counters.seq, held!.sa.counters.seq);
});

Deno.test("Node.dumped() leaves alone what has got its limits since the dump began", () => {
  const host = slaveOf([LIMITS]);
  reign(host, 900);
  host.node.verify(host.clock.nowMs);
  host.perform();
  const before = host.kernel.records();
  host.clock.nowMs += 200;
  for (let i = 0; i < 3; i++) host.apply();
  assertEquals(withTrueLimits(host), [1]);
  host.node.dumped(before, host.clock.nowMs);
  assertEquals(host.node.verdict?.kernel, []);
  const [entry] = host.node.mirror.values();
  assertEquals(entry?.content, encodeContent(host.kernel.records()[0]!));
});
