/** The master's side: mirror and outboxes follow the own kernel. */

import { assertEquals } from "@std/assert";
import { covers, FLUSH_ALL, Master } from "../../../src/core/master.ts";
import { Mirror } from "../../../src/core/mirror.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { POLICY_TYPE } from "../../../src/record/policy.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { PROTOCOL } from "../../../src/record/sa.ts";
import { sampleCounters } from "../../fakes/records.ts";
import { policy, sa } from "./support.ts";

/** A master whose slave "s" has been told everything. */
function master({ flushIsSent = true, records = [] as IpsecRecord[] } = {}): Master {
  const one = new Master(new Mirror(), flushIsSent, ["s", "a"]);
  for (const record of records) one.learn(record, encodeContent(record), true, 0);
  one.join("s", 1);
  one.collect("s", 0, 1 << 20);
  return one;
}

/** What the slave is told next, by type; that it knows the counters up to now is said each time. */
function told(one: Master, peer = "s"): string[] {
  return one.collect(peer, 0, 1 << 20).map(({ type }) => type).filter((type) => type !== "counted");
}

const learn = (one: Master, record: IpsecRecord, created: boolean) =>
  one.learn(record, encodeContent(record), created, 5000);

Deno.test("Master.leave() forgets the outbox", () => {
  const one = master();
  for (const peer of ["s", "nobody"]) one.leave(peer);
  learn(one, sa(1), true);
  assertEquals([one.outbox("s"), told(one)], [undefined, []]);
});

Deno.test("Master.retire() forgets all, and later numbers are above earlier ones", () => {
  const one = master({ records: [sa(1), sa(2)] }); // BEGIN, 2 records, END
  one.retire();
  assertEquals(one.outbox("s"), undefined);
  one.join("s", 8);
  assertEquals(one.outbox("s")!.ack(4), true, "of the earlier outbox");
  assertEquals(one.collect("s", 0, 1)[0], { type: "snapshot-begin", change: 5, epoch: 8 });
});

const learning: [
  what: string,
  before: IpsecRecord[],
  record: IpsecRecord,
  created: boolean,
  told: string[],
  rank: number,
][] = [
  ["tells of a new record", [], sa(1), true, ["put"], 1],
  ["tells of a record that was missed when it was new", [], sa(1), false, ["put"], 1],
  ["tells of a changed record, its rank kept", [sa(1)], sa(1, { reqid: 9 }), false, ["put"], 1],
  ["tells of a record made anew, as the newest", [sa(1), sa(2)], sa(1), true, ["put"], 3],
  ["says nothing of what is as it was", [sa(1)], sa(1), false, [], 1],
  [
    "tells counters alone apart",
    [sa(1)],
    sa(1, { counters: sampleCounters({ oseq: 7n }) }),
    false,
    ["counters"],
    1,
  ],
];

for (const [what, records, record, created, expected, rank] of learning) {
  Deno.test(`Master.learn() ${what}`, () => {
    const one = master({ records });
    learn(one, record, created);
    assertEquals(told(one), expected);
    assertEquals(one.mirror.get(recordKey(record))!.rank, rank);
  });
}

Deno.test("Master.learn() keeps the birth of a changed record, not of one made anew", () => {
  const one = master({ records: [sa(1)] });
  learn(one, sa(1, { reqid: 9 }), false);
  assertEquals(one.mirror.get(recordKey(sa(1)))!.bornMs, 0);
  learn(one, sa(1), true);
  assertEquals(one.mirror.get(recordKey(sa(1)))!.bornMs, 5000);
});

Deno.test("Master.recount() takes counters and the first use, and keeps the birth", () => {
  const one = master({ records: [sa(1)] });
  const counters = sampleCounters({ oseq: 7n, ageSeconds: 7200, usedSeconds: 1 });
  one.recount(sa(1, { counters }), 5000);
  const entry = one.mirror.get(recordKey(sa(1)))!;
  assertEquals([entry.counters, entry.bornMs, entry.usedMs], [counters, 0, 4000]);
  one.recount(sa(1, { counters: sampleCounters({ usedSeconds: 3600 }) }), 6000);
  assertEquals(one.mirror.get(recordKey(sa(1)))!.usedMs, 4000, "the first word on it stays");
  one.recount(sa(2), 6000);
  one.recount(policy("10.2.0.0/16"), 6000);
  assertEquals([one.mirror.size, told(one)], [1, ["counters"]]);
});

Deno.test("Master.recount() with what a dump showed before an event moves nothing back", () => {
  const one = master({ records: [sa(1)] });
  const at = (oseq: bigint) => sa(1, { counters: sampleCounters({ oseq }) });
  one.progress(recordKey(sa(1)), sampleCounters({ oseq: 10n }), 0);
  one.recount(at(5n), 0);
  assertEquals(one.mirror.get(recordKey(sa(1)))?.counters?.oseq, 10n);
});

Deno.test("Master.forget() tells once", () => {
  const one = master({ records: [sa(1)] });
  one.forget(recordKey(sa(1)));
  one.forget(recordKey(sa(1)));
  one.forget(recordKey(sa(2)));
  assertEquals([told(one), one.mirror.size], [["delete"], 0]);
});

Deno.test("Master.flushed() tells in one message, and again what is left of what it covers", () => {
  const one = master({ records: [sa(1), sa(2), policy("10.2.0.0/16"), sa(3)] });
  one.flushed("sa", FLUSH_ALL.SA, [recordKey(sa(1)), recordKey(sa(2))]);
  assertEquals(told(one), ["flush", "put"], "sa 3 was never in the own kernel: it was refused there");
  assertEquals(one.mirror.size, 2);
});

Deno.test("Master.flushed() says nothing with `flushmode never`", () => {
  const one = master({ records: [sa(1)], flushIsSent: false });
  one.flushed("sa", FLUSH_ALL.SA, [recordKey(sa(1))]);
  assertEquals([told(one), one.mirror.size], [[], 0]);
});

const esp = identityOf(sa(1));
const ipcomp = identityOf(sa(1, { protocol: PROTOCOL.IPCOMP }));
const main = identityOf(policy("10.2.0.0/16"));
const sub = identityOf(policy("10.2.0.0/16", { type: POLICY_TYPE.SUB }));

const covering: [
  kind: "sa" | "policy",
  selector: number,
  identity: typeof esp,
  what: string,
  covered: boolean,
][] = [
  ["sa", 0, esp, "ESP", true],
  ["sa", 0, ipcomp, "IPCOMP", true],
  ["sa", 255, ipcomp, "IPCOMP", true],
  ["sa", 50, esp, "ESP", true],
  ["sa", 50, ipcomp, "IPCOMP", false],
  ["sa", 0, main, "a policy", false],
  ["policy", 255, main, "a main policy", true],
  ["policy", 255, sub, "a sub policy", true],
  ["policy", 0, main, "a main policy", true],
  ["policy", 0, sub, "a sub policy", false],
  ["policy", 255, esp, "an SA", false],
];

for (const [kind, selector, identity, what, covered] of covering) {
  Deno.test(`covers() is ${covered} for ${what} and a flush of ${kind} ${selector}`, () => {
    assertEquals(covers(kind, selector, identity), covered);
  });
}

Deno.test("Master.progress() moves no counter back", () => {
  const one = master({ records: [sa(1)] });
  const key = recordKey(sa(1));
  one.progress(key, sampleCounters({ oseq: 1000n, seq: 20n }), 0); // where this node was moved on to
  one.progress(key, sampleCounters({ oseq: 10n, seq: 30n }), 0); // the kernel had said this before
  const { oseq, seq } = one.mirror.get(key)!.counters!;
  assertEquals([oseq, seq], [1000n, 30n]);
});
