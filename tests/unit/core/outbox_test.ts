/** What one peer has still to be told. */

import { assert, assertEquals } from "@std/assert";
import { Outbox, WINDOW_BYTES } from "../../../src/core/outbox.ts";
import { entryOf, Mirror } from "../../../src/core/mirror.ts";
import {
  decodeIdentity,
  decodeRecord,
  encodeContent,
  encodeSaCounters,
} from "../../../src/record/encoding.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import type { Change } from "../../../src/wire/native/message.ts";
import { sampleCounters } from "../../fakes/records.ts";
import { mirrorOf, nameOf, policy, sa } from "./support.ts";

const LOTS = 1 << 30;

/** Everything that waits, acknowledged at once. */
function drain(outbox: Outbox, mirror: Mirror, budgetBytes = LOTS): Change[] {
  const all: Change[] = [];
  while (outbox.ready) {
    const some = outbox.next(mirror, 0, budgetBytes);
    outbox.ack(some.at(-1)!.change);
    all.push(...some);
  }
  return all;
}

/** `3 put sa 7`, without the number when `numbered` is false. */
function names(changes: readonly Change[], numbered = false): string[] {
  return changes.map((change) => `${numbered ? `${change.change} ` : ""}${nameOfChange(change)}`);
}

function nameOfChange(change: Change): string {
  if (change.type === "put") return `put ${nameOf(identityOf(recordOfPut(change)))}`;
  if (change.type === "delete") return `delete ${nameOf(decodeIdentity(change.kind, change.identity))}`;
  return change.type === "flush" ? `flush ${change.kind} ${change.selector}` : change.type;
}

function recordOfPut(change: Change & { type: "put" }): IpsecRecord {
  return decodeRecord(change.kind, change.content, change.volatile).record;
}

function touch(outbox: Outbox, ...records: readonly IpsecRecord[]): void {
  for (const record of records) outbox.touch(identityOf(record));
}

function change(mirror: Mirror, record: IpsecRecord): void {
  mirror.set(entryOf(record, encodeContent(record), mirror.nextRank(), 0));
}

Deno.test("Outbox.next() gives nothing at first", () => {
  const outbox = new Outbox();
  assertEquals([outbox.ready, outbox.next(new Mirror(), 0, LOTS)], [false, []]);
});

Deno.test("Outbox.next() gives the latest state of each identity once, in the order of the first touch", () => {
  const mirror = mirrorOf(sa(1), sa(2));
  const outbox = new Outbox();
  touch(outbox, sa(2), sa(1));
  for (let reqid = 2; reqid <= 100; reqid++) {
    change(mirror, sa(2, { reqid }));
    touch(outbox, sa(2));
  }
  assertEquals(outbox.lagChanges, 2);
  const [first, second, ...more] = drain(outbox, mirror);
  assertEquals([nameOfChange(first!), nameOfChange(second!), more.length], ["put sa 2", "put sa 1", 0]);
  assertEquals((recordOfPut(first as Change & { type: "put" }) as ReturnType<typeof sa>).sa.reqid, 100);
});

Deno.test("Outbox.next() tells of a record that has gone by its identity, once", () => {
  const mirror = mirrorOf(sa(1), policy("10.2.0.0/16"));
  const outbox = new Outbox();
  touch(outbox, sa(1), policy("10.2.0.0/16"));
  mirror.delete(recordKey(sa(1)));
  mirror.delete(recordKey(policy("10.2.0.0/16")));
  touch(outbox, sa(1));
  assertEquals(names(drain(outbox, mirror)), ["delete sa 1", "delete policy 10.2.0.0/16"]);
});

Deno.test("Outbox.next() sends a record again that changes after it was sent", () => {
  const mirror = mirrorOf(sa(1));
  const outbox = new Outbox();
  touch(outbox, sa(1));
  outbox.next(mirror, 0, LOTS);
  touch(outbox, sa(1));
  assertEquals(names(outbox.next(mirror, 0, LOTS), true), ["2 put sa 1"]);
});

Deno.test("Outbox.next() states ages as they are when it is called", () => {
  const record = sa(1, { counters: sampleCounters({ ageSeconds: 10, packets: 7n }) });
  const mirror = mirrorOf(record);
  const outbox = new Outbox();
  touch(outbox, record);
  const [message] = outbox.next(mirror, 5500, LOTS) as (Change & { type: "put" })[];
  assertEquals(message!.volatile, encodeSaCounters(sampleCounters({ ageSeconds: 15, packets: 7n })));
});

Deno.test("Outbox.snapshot() gives BEGIN, the mirror in its order, and END with count and digest", () => {
  const mirror = mirrorOf(sa(2), policy("10.2.0.0/16"), sa(1));
  const outbox = new Outbox();
  outbox.snapshot(mirror, 9);
  const all = drain(outbox, mirror, 1);
  assertEquals(names(all, true), [
    "1 snapshot-begin",
    "2 put sa 2",
    "3 put policy 10.2.0.0/16",
    "4 put sa 1",
    "5 snapshot-end",
  ]);
  assertEquals(all[0], { type: "snapshot-begin", change: 1, epoch: 9 });
  assertEquals(all.at(-1), { type: "snapshot-end", change: 5, count: 3, digest: mirror.digest });
});

Deno.test("Outbox.snapshot() ends after all that happens meanwhile, with the digest of then", () => {
  const mirror = mirrorOf(sa(1), sa(2));
  const outbox = new Outbox();
  outbox.snapshot(mirror, 1);
  const first = outbox.next(mirror, 0, 1);
  change(mirror, sa(3));
  touch(outbox, sa(3));
  mirror.delete(recordKey(sa(2)));
  touch(outbox, sa(2));
  const all = [...first, ...drain(outbox, mirror)];
  assertEquals(names(all), ["snapshot-begin", "put sa 1", "delete sa 2", "put sa 3", "snapshot-end"]);
  assertEquals(all.at(-1), { type: "snapshot-end", change: 5, count: 2, digest: mirror.digest });
});

Deno.test("Outbox.snapshot() begins anew, numbers go on", () => {
  const mirror = mirrorOf(sa(1));
  const outbox = new Outbox();
  outbox.snapshot(mirror, 1);
  outbox.next(mirror, 0, 1);
  touch(outbox, sa(7));
  outbox.snapshot(mirror, 2);
  assertEquals(names(drain(outbox, mirror), true), ["2 snapshot-begin", "3 put sa 1", "4 snapshot-end"]);
});

Deno.test("Outbox.flush() drops what it covers and keeps the rest", () => {
  const mirror = mirrorOf(policy("10.2.0.0/16"));
  const outbox = new Outbox();
  touch(outbox, sa(1), policy("10.2.0.0/16"), sa(2));
  outbox.flush("sa", 0, ({ kind }) => kind === "sa");
  assertEquals(names(drain(outbox, mirror)), ["put policy 10.2.0.0/16", "flush sa 0"]);
});

Deno.test("Outbox.flush() goes before what is made after it", () => {
  const mirror = mirrorOf(sa(2));
  const outbox = new Outbox();
  outbox.flush("sa", 0, () => true);
  touch(outbox, sa(2));
  outbox.flush("sa", 50, () => true);
  touch(outbox, sa(2));
  outbox.flush("sa", 0, ({ kind }) => kind === "policy");
  assertEquals(names(drain(outbox, mirror)), ["flush sa 0", "flush sa 50", "put sa 2"]);
});

Deno.test("Outbox.flush() leaves BEGIN and END in their places", () => {
  const mirror = mirrorOf(sa(1));
  const outbox = new Outbox();
  outbox.snapshot(mirror, 1);
  outbox.flush("sa", 0, () => true);
  assertEquals(names(drain(outbox, new Mirror())), ["snapshot-begin", "flush sa 0", "snapshot-end"]);
});

Deno.test("Outbox.next() hands out no more than its budget, one change at least", () => {
  const mirror = mirrorOf(sa(1), sa(2), sa(3));
  const outbox = new Outbox();
  touch(outbox, sa(1), sa(2), sa(3));
  assertEquals(outbox.next(mirror, 0, 1).length, 1);
  assertEquals(outbox.next(mirror, 0, 0).length, 0);
  assertEquals(outbox.next(mirror, 0, LOTS).length, 2);
});

Deno.test("Outbox.next() stops at 256 KiB that are not acknowledged", () => {
  const mirror = mirrorOf(...Array.from({ length: 3000 }, (_, i) => sa(i)));
  const outbox = new Outbox();
  outbox.snapshot(mirror, 1);
  const parts = Array.from({ length: 100 }, () => outbox.next(mirror, 0, WINDOW_BYTES / 10));
  const sent = parts.flat();
  const bytes = sent.reduce(
    (sum, one) => sum + (one.type === "put" ? one.content.length + one.volatile.length : 0),
    0,
  );
  assert(sent.length < 3000 && bytes <= WINDOW_BYTES && bytes > WINDOW_BYTES / 2);
  assertEquals([outbox.ready, outbox.next(mirror, 0, LOTS)], [false, []]);
  assertEquals(outbox.ack(parts[0]!.at(-1)!.change), true);
  assertEquals(outbox.ready, true);
  const more = outbox.next(mirror, 0, LOTS).length;
  assert(Math.abs(more - parts[0]!.length) < 3, `as many as were acknowledged: ${more}`);
});

Deno.test("Outbox.ack() refuses a number that was never sent and takes an old one again", () => {
  const mirror = mirrorOf(sa(1));
  const outbox = new Outbox();
  assertEquals(outbox.ack(1), false);
  touch(outbox, sa(1));
  assertEquals(outbox.ack(1), false, "it waits still");
  outbox.next(mirror, 0, LOTS);
  assertEquals([outbox.ack(2), outbox.lagChanges], [false, 1]);
  assertEquals([outbox.ack(0), outbox.lagChanges], [true, 1]);
  assertEquals([outbox.ack(1), outbox.ack(1), outbox.lagChanges], [true, true, 0]);
});

Deno.test("Outbox.catchUp() takes no more room for one who asks again and again, and acknowledges nothing", () => {
  const mirror = mirrorOf(sa(1));
  const outbox = new Outbox();
  for (let i = 1; i <= 10_000; i++) assertEquals(outbox.catchUp(mirror, 1, 0, 5).change, i);
  assertEquals([outbox.lagChanges, outbox.lagMs(7)], [10_001, 2]);
  outbox.snapshot(mirror, 1);
  assertEquals(names(outbox.next(mirror, 6, LOTS)), ["snapshot-begin", "put sa 1", "snapshot-end"]);
  assertEquals([outbox.ack(10_003), outbox.lagChanges, outbox.lagMs(7)], [true, 0, 0]);
});

Deno.test("Outbox() numbers from where an earlier one stopped", () => {
  const mirror = mirrorOf(sa(1));
  const outbox = new Outbox(500);
  assertEquals(outbox.ack(500), true, "of the earlier one");
  touch(outbox, sa(1));
  assertEquals(names(outbox.next(mirror, 0, LOTS), true), ["501 put sa 1"]);
  assertEquals([outbox.ack(499), outbox.lagChanges, outbox.lastChange], [true, 1, 501]);
});

Deno.test("Outbox.lagMs() is the time that the oldest change has been on its way", () => {
  const mirror = mirrorOf(sa(1), sa(2));
  const outbox = new Outbox();
  assertEquals(outbox.lagMs(1000), 0);
  touch(outbox, sa(1));
  outbox.next(mirror, 1000, LOTS);
  touch(outbox, sa(2));
  outbox.next(mirror, 1500, LOTS);
  assertEquals([outbox.lagMs(1700), outbox.lagChanges], [700, 2]);
  outbox.ack(1);
  assertEquals([outbox.lagMs(1700), outbox.lagChanges], [200, 1]);
});

Deno.test("Outbox.nextCounters() gives the latest once, without a number and whatever the window", () => {
  const mirror = mirrorOf(...Array.from({ length: 3000 }, (_, i) => sa(i)));
  const outbox = new Outbox();
  outbox.snapshot(mirror, 1);
  while (outbox.next(mirror, 0, LOTS).length > 0);
  assertEquals(outbox.ready, false, "the window is full");
  outbox.count(identityOf(sa(1)), 1);
  outbox.count(identityOf(sa(1)), 1);
  assertEquals(outbox.ready, true);
  const lag = outbox.lagChanges;
  assertEquals(outbox.nextCounters(mirror, 0, LOTS).map(({ type }) => type), ["counters"]);
  assertEquals([outbox.nextCounters(mirror, 0, LOTS), outbox.lagChanges], [[], lag]);
});

Deno.test("Outbox.nextCounters() leaves out what goes with its record, and what is gone", () => {
  const mirror = mirrorOf(sa(1), sa(2));
  const outbox = new Outbox();
  touch(outbox, sa(1));
  outbox.count(identityOf(sa(1)), 1);
  outbox.count(identityOf(sa(2)), 1);
  mirror.delete(recordKey(sa(2)));
  assertEquals(outbox.nextCounters(mirror, 0, LOTS), []);
  outbox.count(identityOf(sa(1)), 1);
  outbox.snapshot(mirror, 1);
  assertEquals(outbox.nextCounters(mirror, 0, LOTS), []);
});

Deno.test("Outbox.nextCounters() stops at the budget and goes on", () => {
  const records = Array.from({ length: 10 }, (_, i) => sa(i));
  const [mirror, outbox] = [mirrorOf(...records), new Outbox()];
  for (const record of records) outbox.count(identityOf(record), 1);
  const first = outbox.nextCounters(mirror, 0, 1).length;
  assertEquals([first, outbox.nextCounters(mirror, 0, LOTS).length], [1, 9]);
});
