/** Events and dumps of the own kernel, seen through a node: what wins, and what is told. */

import { assert, assertEquals } from "@std/assert";
import { LEAST_MARGIN } from "../../../src/core/lease.ts";
import type { NodeSettings } from "../../../src/core/parts.ts";
import type { KernelEvent } from "../../../src/ports.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { SA_FLAG } from "../../../src/record/sa.ts";
import { sampleCounters, sampleSelector } from "../../fakes/records.ts";
import type { Message } from "../../../src/wire/native/message.ts";
import {
  gone,
  Host,
  LOCAL,
  localPolicy,
  mark,
  mirrorOf,
  nameOf,
  nodeId,
  policy,
  put,
  sa,
  snapshotOf,
  stateOf,
  TestClock,
} from "./support.ts";

/** A master of these records whose slave "p" has everything. */
function master(...records: readonly IpsecRecord[]): Host {
  const host = new Host("gw1", 1, new TestClock(), {}, records).start("MASTER");
  host.node.peerUp("p", nodeId(9), false);
  host.node.receive("p", { type: "want", identities: [] }, 0);
  host.node.collect("p", 0, 1 << 20);
  host.takeSent();
  return host;
}

/** A slave of "p", which has these records. */
function slave(...records: readonly IpsecRecord[]): Host {
  return slaveWith({}, ...records);
}

function slaveWith(settings: Partial<NodeSettings>, ...records: readonly IpsecRecord[]): Host {
  const host = new Host("gw1", 1, new TestClock(), settings).start("SLAVE");
  host.node.peerUp("p", nodeId(9), false);
  host.node.receive("p", stateOf("MASTER", 5, { master: 9, following: true }), 0);
  for (const message of snapshotOf(mirrorOf(...records))) host.node.receive("p", message, 0);
  host.turn();
  host.takeSent();
  host.done.length = 0;
  return host;
}

function hear(host: Host, ...messages: readonly Message[]): void {
  for (const message of messages) host.node.receive("p", message, host.clock.nowMs);
}

/** What "p" is told next, by type; that it knows the counters up to now is said each time. */
function told(host: Host): string[] {
  const messages = host.node.collect("p", host.clock.nowMs, 1 << 20);
  return messages.map(({ type }) => type).filter((type) => type !== "counted");
}

/** Names of the mirror's records by rank. */
function ranked(host: Host): string[] {
  return [...host.node.mirror.values()].toSorted((a, b) => a.rank - b.rank).map(({ identity }) =>
    nameOf(identity)
  );
}

/** Begins a comparison, as after an overrun. */
function resync(host: Host): void {
  host.node.kernelEvent({ kind: "resync", reason: "test" }, host.clock.nowMs);
  host.perform();
}

const event = (host: Host, ...events: readonly KernelEvent[]) => {
  for (const one of events) host.node.kernelEvent(one, host.clock.nowMs);
};

// --- dumps ---

Deno.test("Node.dumped() makes only the differences changes", () => {
  const host = master(sa(1), sa(2), policy("10.2.0.0/16"));
  host.kernel.apply([
    { kind: "put", record: sa(3) },
    { kind: "put", record: sa(2, { reqid: 9 }) },
    { kind: "delete-sa", id: sa(1).sa },
  ]); // nobody tells
  resync(host);
  host.finishDump();
  assertEquals(told(host).toSorted(), ["delete", "put", "put"]);
  assertEquals(host.node.counters.resyncs, 1);
});

Deno.test("Node.dumped() tells of counters that have moved", () => {
  const host = master(sa(1));
  host.kernel.apply([{ kind: "put", record: sa(1, { counters: sampleCounters({ oseq: 7n }) }) }]);
  resync(host);
  host.finishDump();
  assertEquals([told(host), host.node.mirror.get(recordKey(sa(1)))!.counters!.oseq], [["counters"], 7n]);
});

Deno.test("Node.dumped() brings back nothing whose deletion was seen during the dump", () => {
  const host = master(sa(1), policy("10.2.0.0/16"));
  resync(host);
  host.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  host.kernel.disturb({ kind: "delete-policy", id: policy("10.2.0.0/16").policy });
  host.read();
  host.finishDump();
  assertEquals([told(host), host.node.mirror.size], [["delete", "delete"], 0]);
});

Deno.test("Node.dumped() keeps what came or changed during the dump", () => {
  const host = master(sa(1));
  resync(host);
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.kernel.disturb({ kind: "put", record: sa(1, { reqid: 9 }) });
  host.read();
  host.finishDump();
  assertEquals(told(host), ["put", "put"]);
  assertEquals(host.node.mirror.size, 2);
});

Deno.test("Node.dumped() does not undo what a slave did to its kernel during the dump", () => {
  const host = slave(sa(1), sa(2));
  resync(host);
  host.node.receive("p", put(sa(3), 9), 0);
  host.node.receive("p", { type: "flush", change: 10, kind: "sa", selector: 51 }, 0);
  host.apply();
  host.finishDump();
  host.apply();
  assertEquals([host.done, host.holds()], [["put sa 3"], ["sa 1", "sa 2", "sa 3"]]);
});

/** A dump of four SAs whose comparison has come half way. */
function half(): Host {
  const host = master(sa(1), sa(2), sa(3), sa(4));
  resync(host);
  host.node.dumped(host.kernel.records(), host.clock.nowMs, 2);
  assertEquals(host.node.comparing, true);
  return host;
}

Deno.test("Node.compare() lets events win that come in between", () => {
  const host = half();
  for (const n of [1, 4]) host.kernel.disturb({ kind: "delete-sa", id: sa(n).sa });
  for (const n of [2, 3]) host.kernel.disturb({ kind: "put", record: sa(n, { reqid: 9 }) });
  host.read();
  host.node.compare(100, host.clock.nowMs);
  assertEquals([host.node.comparing, told(host)], [false, ["delete", "delete", "put", "put"]]);
  assertEquals(ranked(host), ["sa 2", "sa 3"]);
});

Deno.test("Node.compare() keeps what was made anew in between the newest", () => {
  const host = half();
  host.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  host.kernel.disturb({ kind: "put", record: sa(1) });
  host.read();
  host.node.compare(100, host.clock.nowMs);
  assertEquals(host.holds(), ["sa 2", "sa 3", "sa 4", "sa 1"]);
  assertEquals([...host.node.inventory.values()].map(({ identity }) => nameOf(identity)), host.holds());
});

Deno.test("Node.compare() begins again after a flush in between", () => {
  const host = half();
  host.kernel.flushSas(0);
  host.read();
  const { dumps } = host;
  host.node.compare(2, host.clock.nowMs);
  host.perform();
  assertEquals([host.dumps, host.node.comparing], [dumps + 1, false]);
  host.finishDump();
  assertEquals([ranked(host), told(host)], [[], ["flush"]]);
});

Deno.test("Node.dumped() does it again after a flush", () => {
  const host = master(sa(1), policy("10.2.0.0/16"));
  resync(host);
  host.kernel.flushSas(0);
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.read();
  const { dumps } = host;
  host.finishDump();
  host.perform();
  assertEquals(host.dumps, dumps + 1);
  host.finishDump();
  assertEquals([ranked(host), told(host)], [["policy 10.2.0.0/16", "sa 2"], ["flush", "put"]]);
});

Deno.test("Node.dumped() does not take the end of an older dump for the one that was asked for", () => {
  const host = master(sa(1), sa(2));
  resync(host);
  host.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  host.read();
  host.kernel.apply([{ kind: "delete-sa", id: sa(2).sa }]); // whose event is lost
  event(host, { kind: "resync", reason: "events were lost" });
  host.finishDump(); // of the dump that was begun before the loss
  assertEquals(host.node.mirror.get(recordKey(sa(1))), undefined);
  host.perform();
  host.finishDump();
  assertEquals([host.node.mirror.size, told(host)], [0, ["delete", "delete"]]);
});

Deno.test("Node.dumped() takes nothing that was not asked for", () => {
  const host = master(sa(1));
  host.node.dumped([], host.clock.nowMs);
  assertEquals(host.node.mirror.size, 1);
});

Deno.test("Node.dumped() repairs on a slave what it shows to be missing or changed", () => {
  const host = slave(sa(1), sa(2), policy("10.2.0.0/16"));
  host.kernel.apply([{ kind: "delete-sa", id: sa(1).sa }, { kind: "put", record: sa(2, { reqid: 9 }) }]);
  resync(host);
  host.finishDump();
  host.apply();
  assertEquals(host.done.toSorted(), ["put sa 1", "put sa 2"]);
});

Deno.test("Node.dumped() restores the order of a slave's policies", () => {
  const host = slave(policy("10.2.0.0/16"), policy("10.2.3.0/24"));
  host.kernel.apply([{ kind: "put", record: policy("10.2.0.0/16") }]); // moved to the end, event lost
  resync(host);
  host.finishDump();
  host.apply();
  assertEquals(host.done, ["put policy 10.2.3.0/24"]);
  assertEquals(host.holds(), ["policy 10.2.0.0/16", "policy 10.2.3.0/24"]);
});

Deno.test("Node.dumped() ranks a master's policies again that were moved", () => {
  const host = master(policy("10.2.0.0/16"), policy("10.2.3.0/24"), policy("10.9.0.0/16"));
  host.kernel.apply([{ kind: "put", record: policy("10.2.0.0/16") }]);
  resync(host);
  host.finishDump();
  assertEquals(ranked(host), ["policy 10.2.3.0/24", "policy 10.9.0.0/16", "policy 10.2.0.0/16"]);
  assertEquals(told(host), ["put"]);
});

Deno.test("Node.dumped() ranks SAs again that differ in their mark only and were moved", () => {
  const [a, b] = [sa(1, { mark: mark(1) }), sa(1, { mark: mark(2) })];
  const host = master(a, sa(2), b);
  host.kernel.apply([{ kind: "delete-sa", id: a.sa }, { kind: "put", record: a }]);
  host.kernel.apply([{ kind: "delete-sa", id: sa(2).sa }, { kind: "put", record: sa(2) }]);
  resync(host);
  host.finishDump();
  assertEquals(ranked(host), ["sa 2", "sa 1 mark 2/ff", "sa 1 mark 1/ff"]);
  assertEquals(told(host), ["put"], "the others have no order");
});

Deno.test("Node.dumped() ranks a policy that came during the dump above all that it shows", () => {
  const host = new Host("gw1", 1, new TestClock(), {}, [policy("10.2.0.0/16"), policy("10.9.0.0/16")]);
  host.node.start();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.perform();
  host.kernel.disturb({ kind: "put", record: policy("10.2.3.0/24") });
  host.read();
  host.finishDump();
  assertEquals(ranked(host), ["policy 10.2.0.0/16", "policy 10.9.0.0/16", "policy 10.2.3.0/24"]);
});

Deno.test("Node.dumped() leaves ranks alone that are as the dump shows them", () => {
  const host = master(policy("10.2.0.0/16"), sa(1), policy("10.2.3.0/24"));
  resync(host);
  host.finishDump();
  assertEquals(told(host), []);
});

// --- events ---

Deno.test("Node.kernelEvent() tells of a policy that was put again as it was: it is the newest now", () => {
  const host = master(policy("10.2.0.0/16"), policy("10.2.3.0/24"));
  host.kernel.disturb({ kind: "put", record: policy("10.2.0.0/16") });
  host.read();
  assertEquals([told(host), ranked(host)], [["put"], ["policy 10.2.3.0/24", "policy 10.2.0.0/16"]]);
});

Deno.test("Node.kernelEvent() keeps the rank of a policy that is updated, unless its priority is another", () => {
  const host = master(policy("10.2.0.0/16"), policy("10.2.3.0/24"));
  event(host, { kind: "record", record: policy("10.2.0.0/16", { flags: 1 }), created: false });
  assertEquals([told(host), ranked(host)], [["put"], ["policy 10.2.0.0/16", "policy 10.2.3.0/24"]]);
  event(host, { kind: "record", record: policy("10.2.0.0/16", { priority: 9 }), created: false });
  assertEquals([told(host), ranked(host)], [["put"], ["policy 10.2.3.0/24", "policy 10.2.0.0/16"]]);
});

Deno.test("Node.kernelEvent() says nothing of an SA that is as it was", () => {
  const host = master(sa(1));
  event(host, { kind: "record", record: sa(1), created: false });
  assertEquals(told(host), []);
});

Deno.test("Node.kernelEvent() takes a record away from the slaves that has become local", () => {
  const host = master(sa(1));
  event(host, { kind: "record", record: sa(1, { src: LOCAL }), created: false });
  assertEquals([told(host), host.node.mirror.size], [["delete"], 0]);
  event(host, { kind: "record", record: sa(1), created: false });
  assertEquals([told(host), host.node.mirror.size], [["put"], 1]);
});

Deno.test("Node.kernelEvent() says nothing of a local record that goes", () => {
  const host = master(sa(1));
  const local = sa(7, { dst: LOCAL });
  host.kernel.disturb({ kind: "put", record: local });
  host.kernel.disturb({ kind: "delete-sa", id: local.sa });
  host.read();
  assertEquals(told(host), []);
});

Deno.test("Node.kernelEvent() does not read a refused record's absence as its deletion", () => {
  const host = slave(sa(1));
  host.refuses.add("put sa 2");
  host.node.receive("p", put(sa(2), 9), 0);
  host.turn();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  event(host, { kind: "sa-gone", id: sa(2).sa, expired: false });
  assertEquals(ranked(host).includes("sa 2"), true);
});

Deno.test("Node.kernelEvent() begins a dump at a resync, also while one is under way", () => {
  const host = master(sa(1));
  const { dumps } = host;
  resync(host);
  resync(host);
  assertEquals(host.dumps, dumps + 2);
  assert(host.logs.includes("comparing with the kernel: test"));
});

Deno.test("Node.kernelEvent() gives no snapshot while a master compares", () => {
  const host = master(sa(1));
  host.node.receive("p", { type: "ack", change: 3 }, 0);
  resync(host);
  host.node.receive("p", { type: "want", identities: [] }, 0);
  assertEquals(told(host), []);
  host.finishDump();
  assertEquals(told(host), ["snapshot-begin", "put", "snapshot-end"]);
});

Deno.test("Node.kernelEvent() learns what stands in the place of a policy whose put has failed", () => {
  const host = slave(policy("10.2.0.0/16"));
  host.node.receive("p", put(policy("10.2.0.0/16", { priority: 9 }), 9, 1), 0);
  const changes = host.node.nextChanges(1, 0);
  host.node.applied(changes.map(() => ({ ok: false, reason: "ENOSYS" })));
  event(host, { kind: "record", record: policy("10.2.0.0/16"), created: false });
  host.apply();
  assertEquals([host.done, host.holds()], [["delete policy 10.2.0.0/16"], []]);
});

// --- looking whether all is well ---

Deno.test("Node.tick() looks every ten minutes whether the kernel is as it is thought to be", () => {
  const host = slave(sa(1), sa(2), policy("10.2.0.0/16"));
  host.turn();
  host.kernel.apply([{ kind: "delete-sa", id: sa(1).sa }]); // no event tells of it
  const { dumps } = host;
  for (let minute = 0; minute < 12; minute++) {
    host.clock.nowMs += 60_000;
    host.turn();
  }
  assertEquals([host.dumps - dumps, host.done], [1, ["put sa 1"]]);
  assertEquals(host.node.counters["records put back"], 1);
  assertEquals(host.node.counters["comparisons with a difference"], 1);
  assert(host.logs.some((line) => line.startsWith("putting back SA esp")));
});

Deno.test("Node.tick() removes what somebody has made in a slave's kernel when it is there still a minute later", () => {
  const host = slave(sa(1));
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.kernel.disturb({ kind: "put", record: localPolicy("10.9.0.0/16") });
  host.turn();
  host.node.verify(host.clock.nowMs);
  host.turn();
  assertEquals(host.node.verdict?.kernel, ["SA esp 0x00000002 to 198.51.100.1"]);
  host.node.verify(host.clock.nowMs); // at once: it may be on its way
  host.turn();
  assertEquals(host.holds(), ["sa 1", "sa 2", "policy 10.9.0.0/16"]);
  host.clock.nowMs += 60_000;
  for (let i = 0; i < 2; i++) host.turn();
  assertEquals(host.holds(), ["sa 1", "policy 10.9.0.0/16"]);
  assertEquals([host.node.counters["records removed"], host.done], [1, ["delete sa 2"]]);
  host.node.verify(host.clock.nowMs);
  host.turn();
  assertEquals(host.node.verdict?.kernel, []);
});

Deno.test("Node.tick() leaves what was made in a slave's kernel when the master then has it too, or when it may stay", () => {
  for (const flushMode of ["startup", "sync"] as const) {
    const host = slaveWith({ flushMode });
    host.kernel.disturb({ kind: "put", record: sa(2) });
    host.node.verify(host.clock.nowMs);
    host.turn();
    if (flushMode === "startup") hear(host, put(sa(2), 9));
    for (let minute = 0; minute < 15; minute++) {
      host.clock.nowMs += 60_000;
      host.turn();
    }
    assertEquals(host.holds(), ["sa 2"], flushMode);
  }
});

Deno.test("Node.kernelDrained() compares again when a policy came before one that this node has put, and is told later", () => {
  const host = master(sa(1));
  host.kernel.disturb({ kind: "put", record: policy("10.2.0.0/16") });
  hear(host, put(policy("10.3.0.0/16"), 0, 5)); // an offer
  host.apply();
  host.turn();
  host.turn();
  assertEquals(host.holds().slice(1), ["policy 10.2.0.0/16", "policy 10.3.0.0/16"]);
  assertEquals(ranked(host).slice(1), ["policy 10.2.0.0/16", "policy 10.3.0.0/16"]);
});

Deno.test("Node.kernelDrained() of a slave removes what it made as master and heard of after the next one's END", () => {
  const host = master(sa(1), policy("10.2.0.0/16"));
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  hear(host, stateOf("MASTER", 5, { master: 9, following: true }));
  hear(host, ...snapshotOf(mirrorOf(sa(1), policy("10.2.0.0/16"))));
  host.apply();
  assertEquals([host.node.synced, host.holds()], [true, ["sa 1", "sa 2", "policy 10.2.0.0/16"]]);
  host.turn();
  assertEquals(host.holds(), ["sa 1", "policy 10.2.0.0/16"]);
});

Deno.test("Node.kernelDrained() of a slave removes what it made as master and only a dump shows after that END", () => {
  const host = master(sa(1));
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.kernel.overrun();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  hear(host, stateOf("MASTER", 5, { master: 9, following: true }));
  hear(host, ...snapshotOf(mirrorOf(sa(1))));
  for (let i = 0; i < 2; i++) host.turn();
  assertEquals(host.holds(), ["sa 1", "sa 2"], "the dump has shown it");
  host.turn();
  assertEquals(host.holds(), ["sa 1"]);
});

Deno.test("Node.resync() of a master tells what no event has told", () => {
  const host = master(sa(1), sa(2));
  host.kernel.apply([{ kind: "delete-sa", id: sa(1).sa }, { kind: "put", record: sa(3) }]);
  host.node.resync(host.clock.nowMs);
  host.turn();
  assertEquals(told(host).toSorted(), ["delete", "put"]);
});

Deno.test("Node.tick() puts policies again whose order in the kernel is another than was thought", () => {
  const [wide, narrow] = [policy("10.2.0.0/16"), policy("10.2.3.0/24")];
  const host = slave(wide, narrow);
  host.kernel.apply([{ kind: "put", record: wide }]); // the newest now
  host.node.resync(host.clock.nowMs);
  host.turn();
  host.turn();
  assertEquals(host.holds(), ["policy 10.2.0.0/16", "policy 10.2.3.0/24"]);
});

// --- what cannot be expressed ---

/** Records that have no binary form. */
const unreadable: [what: string, record: IpsecRecord][] = [
  ["a key of another length", sa(1, { encryption: { id: 12, keyBits: 128, key: new Uint8Array(3) } })],
  [
    "an interface's name with a line break",
    policy("10.2.0.0/16", { selector: sampleSelector({ ifname: "a\nb" }) }),
  ],
  ["an address of five bytes", sa(1, { src: new Uint8Array(5) })],
  ["a selector of another family", sa(1, { selector: sampleSelector({ family: 6 }) })],
];

for (const [what, record] of unreadable) {
  Deno.test(`Node.kernelEvent() says of ${what} that it cannot be synchronised`, () => {
    const host = master();
    event(host, { kind: "record", record, created: true });
    host.perform();
    assertEquals([told(host), host.node.mirror.size, host.node.counters["unreadable records"]], [[], 0, 1]);
    assertEquals(host.logs.filter((line) => line.startsWith("cannot synchronise")).length, 1);
  });

  Deno.test(`Node.dumped() passes over ${what}`, () => {
    const host = master(sa(2));
    resync(host);
    host.node.dumped([record, sa(2), sa(3)], host.clock.nowMs);
    assertEquals([told(host), host.node.counters["unreadable records"]], [["put"], 1]);
  });
}

Deno.test("Node.kernelEvent() takes a record away from the slaves that cannot be expressed any more", () => {
  const host = master(sa(1));
  event(host, { kind: "record", record: unreadable[0]![1], created: false });
  assertEquals([told(host), host.node.inventory.get(recordKey(sa(1)))], [["delete"], undefined]);
});

Deno.test("Node.kernelEvent() repairs on a slave what cannot be expressed any more", () => {
  const host = slave(sa(1));
  event(host, { kind: "record", record: unreadable[0]![1], created: false });
  host.apply();
  assertEquals(host.done, ["put sa 1"]);
});

Deno.test("Node.kernelEvent() logs unreadable records by their reason, so that they can be limited", () => {
  const host = master();
  event(host, { kind: "unreadable", what: "SA esp 0x1", reason: "keys are blanked" });
  const [log] = host.node.takeEffects();
  assertEquals(log, {
    kind: "log",
    level: "error",
    text: "cannot synchronise SA esp 0x1: keys are blanked",
    once: "keys are blanked",
  });
});

Deno.test("Node.kernelEvent() says once that an SA without ESN has few numbers left, and nothing with ESN", () => {
  const host = master(sa(1), sa(2, { flags: SA_FLAG.ESN }), sa(3));
  host.kernel.traffic(sa(1).sa, 2n ** 32n - 2n ** 28n - 2n, 0n);
  for (const { sa: one } of [sa(2), sa(3)]) host.kernel.traffic(one, 2n ** 32n - 100n, 0n);
  for (let i = 0; i < 3; i++) {
    host.kernel.traffic(sa(3).sa, 1n, 0n);
    host.turn();
  }
  const said = () => host.logs.filter((text) => /few|only/.test(text));
  const text =
    "SA esp 0x00000003 to 198.51.100.1 has only 99 sequence numbers left, and no ESN: it needs a rekey";
  assertEquals(said(), [text]);
  assertEquals([...host.node.numberEnd.dueSpis], [3]);
  host.kernel.traffic(sa(1).sa, 10n, 0n);
  host.turn();
  assertEquals(said().length, 2);
  assertEquals([...host.node.numberEnd.dueSpis], [3, 1]);
  host.node.numberEnd.asked(new Set([3]));
  assertEquals([...host.node.numberEnd.dueSpis], [1]);
  host.kernel.traffic(sa(3).sa, 1n, 0n);
  host.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  host.turn();
  assertEquals([...host.node.numberEnd.dueSpis], []);
});

Deno.test("Node.kernelDrained() has a master compare again when events were older than its own change", () => {
  const host = slave(policy("10.2.0.0/16", { priority: 7 })); // and so does the kernel, by this node's own change
  for (const priority of [9, 7]) {
    host.kernel.disturb({ kind: "put", record: policy("10.2.0.0/16", { priority }) });
  }
  const older = host.kernel.readEvents(1);
  host.kernel.readEvents(Infinity);
  host.node.receive("p", put(policy("10.3.0.0/16"), 50), 0);
  host.node.receive("p", put(policy("10.2.0.0/16", { priority: 8 }), 51), 0);
  host.apply();
  host.node.setRole("MASTER", "test", 0);
  for (const event of older) host.node.kernelEvent(event, 0);
  host.node.kernelDrained();
  host.turn();
  const entry = host.node.mirror.get(recordKey(policy("10.2.0.0/16")));
  assertEquals(entry!.content, encodeContent(policy("10.2.0.0/16", { priority: 8 })));
});

Deno.test("Node.dumped() puts what a slave's kernel lacks, as nobody has answered what became of it", () => {
  const host = slave(sa(1), sa(2));
  host.kernel.expire(sa(1).sa);
  host.turn(); // the question is lost
  assertEquals(host.holds(), ["sa 2"]);
  host.node.verify(host.clock.nowMs);
  host.turn();
  assertEquals(host.node.verdict?.kernel, ["SA esp 0x00000001 to 198.51.100.1"]);
  assertEquals(host.holds(), ["sa 2", "sa 1"]);
});

Deno.test("Node.kernelEvent() of a slave does not take for there what it has deleted since", () => {
  const host = slave(sa(1), policy("10.2.0.0/16"));
  const record = policy("10.2.0.0/16");
  host.node.receive("p", gone(record, 5), 0);
  host.apply();
  event(host, { kind: "record", record, created: true }); // it was there when this was said
  host.node.receive("p", put(record, 6), 0);
  host.apply();
  assertEquals(host.holds(), ["sa 1", "policy 10.2.0.0/16"]);
});

Deno.test("Node.kernelEvent() remembers what was used of an SA that another one has replaced", () => {
  const host = master(sa(1));
  const used = 5n * LEAST_MARGIN;
  host.kernel.traffic(sa(1).sa, used, 0n);
  host.kernel.disturb({ kind: "put", record: sa(1, { reqid: 9 }) });
  host.read();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  hear(host, stateOf("MASTER", 5, { master: 9, following: true }), ...snapshotOf(mirrorOf(sa(1))));
  host.turn();
  const [again] = host.kernel.records();
  assert(again?.kind === "sa" && again.sa.reqid === 1 && again.sa.counters.oseq > used);
});

Deno.test("Node.kernelDrained() has a master compare again when an event was older than its own new limits", () => {
  const limited = (seconds: bigint) => sa(1, { hard: { addSeconds: seconds } });
  const host = master(limited(3600n));
  host.kernel.disturb({ kind: "put", record: limited(3700n) });
  const older = host.kernel.readEvents(Infinity);
  host.node.setRole("SLAVE", "test", 0);
  hear(host, stateOf("MASTER", 5, { master: 9, following: true }), ...snapshotOf(mirrorOf(limited(3600n))));
  for (let i = 0; i < 2; i++) host.apply(); // a slave's limits: a minute more
  host.node.setRole("MASTER", "test", 0);
  for (const event of older) host.node.kernelEvent(event, 0);
  host.node.kernelDrained();
  host.turn();
  const entry = host.node.mirror.get(recordKey(sa(1)))!;
  assertEquals(entry.content, encodeContent(host.kernel.records()[0]!));
  assertEquals(entry.content, encodeContent(limited(3660n)));
});

for (const what of ["policy-gone", "policy-flush"] as const) {
  Deno.test(`Node.kernelEvent() of a slave takes for there what it has put since, with an older ${what}`, () => {
    const record = policy("10.2.0.0/16");
    const host = slave(sa(1), record);
    host.read();
    if (what === "policy-gone") host.kernel.disturb({ kind: "delete-policy", id: record.policy });
    else host.kernel.flushPolicies(0);
    const older = host.kernel.readEvents(Infinity);
    event(host, { kind: "record", record: policy("10.2.0.0/16", { priority: 7 }), created: false });
    host.apply(); // puts it back
    for (const one of older) event(host, one);
    hear(host, gone(record, 9));
    host.apply();
    assertEquals(host.holds(), ["sa 1"]);
  });
}

Deno.test("Node.kernelEvent() of a slave has put again what expired just after it was put, when a master has it", () => {
  const host = slave(sa(1), sa(2));
  host.kernel.expire(sa(1).sa);
  event(host, ...host.kernel.readEvents(Infinity)); // the same as an older event: it may be there
  const { size: count, digest } = host.node.mirror;
  hear(host, { type: "catch-up", change: 9, epoch: 5 }, { type: "snapshot-end", change: 10, count, digest });
  host.apply();
  assertEquals(host.holds().toSorted(), ["sa 1", "sa 2"]);
});
