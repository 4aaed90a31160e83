/** Roles, peers and data of a whole node; two or three of them where it takes more than one. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Node } from "../../../src/core/node.ts";
import type { NodeSettings } from "../../../src/core/parts.ts";
import { slaveRecord } from "../../../src/core/slave_record.ts";
import { PeerError } from "../../../src/errors.ts";
import { formatAddress } from "../../../src/record/address.ts";
import {
  decodeSaCounters,
  encodeContent,
  encodeIdentity,
  encodeSaCounters,
} from "../../../src/record/encoding.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import type { Message } from "../../../src/wire/native/message.ts";
import { sampleCounters, sampleSa } from "../../fakes/records.ts";
import {
  connect,
  disconnect,
  gone,
  Host,
  LOCAL,
  localPolicy,
  mark,
  mirrorOf,
  nameOfChange,
  nodeId,
  policy,
  put,
  sa,
  settle,
  snapshotOf,
  stateOf,
  TestClock,
} from "./support.ts";

const PEER = 9;

/** A host alone with a peer "p" that the test speaks for. */
function lone(
  role: "MASTER" | "SLAVE",
  records: readonly IpsecRecord[] = [],
  peers: readonly string[] = [],
  settings: Partial<NodeSettings> = {},
): Host {
  const host = new Host("gw1", 1, new TestClock(), { peers, ...settings }, records).start(role);
  host.node.peerUp("p", nodeId(PEER), false);
  host.takeSent();
  return host;
}

/** A slave that follows "p" in epoch 5 and has its records. */
function slave(
  records: readonly IpsecRecord[] = [],
  holds: readonly IpsecRecord[] = [],
  settings: Partial<NodeSettings> = {},
): Host {
  const host = lone("SLAVE", holds, [], settings);
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }));
  hear(host, ...snapshotOf(mirrorOf(...records)));
  host.turn();
  host.done.length = 0;
  host.takeSent();
  return host;
}

/** A master whose slave "p" has everything. */
function master(records: readonly IpsecRecord[] = []): Host {
  const host = lone("MASTER", records);
  hear(host, { type: "want", identities: [] });
  collect(host);
  return host;
}

function hear(host: Host, ...messages: readonly Message[]): void {
  for (const message of messages) host.node.receive("p", message, host.clock.nowMs);
}

/** What "p" is told next, by type. */
function collect(host: Host): string[] {
  const messages = host.node.collect("p", host.clock.nowMs, 1 << 20);
  return messages.map(({ type }) => type).filter((type) => type !== "counted");
}

function mirrorOfNode({ mirror }: Node): string[] {
  return [...mirror.values()].map(({ key }) => key);
}

const types = (messages: readonly Message[]) => messages.map(({ type }) => type);
const trap = localPolicy("10.2.0.0/16");

// --- following ---

Deno.test("Node.receive() follows nobody before the own kernel is known", () => {
  const host = new Host("gw1", 1, new TestClock());
  host.node.start();
  host.node.setRole("SLAVE", "test", 0);
  host.perform();
  host.node.peerUp("p", nodeId(PEER), false);
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }));
  assertEquals(types(host.takeSent()).includes("want"), false);
  host.finishDump();
  assertEquals(types(host.takeSent()), ["want"]);
});

Deno.test("Node.receive() asks again when the master, its epoch or its session is another", () => {
  const host = slave();
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }));
  assertEquals(types(host.takeSent()), [], "as before");
  hear(host, stateOf("MASTER", 6, { master: PEER, following: true }));
  assertEquals(types(host.takeSent()), ["state", "want"]);
  host.node.peerDown("p", 0);
  host.node.peerUp("p", nodeId(PEER), false);
  host.takeSent();
  hear(host, stateOf("MASTER", 6, { master: PEER, following: true }));
  assertEquals(types(host.takeSent()), ["state", "want"]);
  host.node.peerUp("p", nodeId(PEER), false); // a session that takes the place of the other
  host.takeSent();
  hear(host, stateOf("MASTER", 6, { master: PEER, following: true }));
  assertEquals(types(host.takeSent()), ["want"]);
});

Deno.test("Node.receive() counts and drops data of a peer that it does not follow", () => {
  const host = lone("SLAVE");
  hear(host, ...snapshotOf(mirrorOf(sa(1))));
  assertEquals([host.node.mirror.size, host.node.counters["changes dropped"]], [0, 3]);
  assertEquals(types(host.takeSent()), ["ack", "ack", "ack"]);
});

Deno.test("Node.peerDown() keeps what it knows, and acknowledges nothing more", () => {
  const host = slave([sa(1)]);
  hear(host, put(sa(2), 9));
  host.takeSent();
  host.node.peerDown("p", 0);
  host.turn();
  assertEquals([host.holds(), host.sent], [["sa 1", "sa 2"], []]);
});

Deno.test("Node.peerDown() tells a slave that comes back nothing before it asks", () => {
  const host = master([sa(1)]);
  host.node.peerDown("p", 0);
  host.node.peerUp("p", nodeId(PEER), false);
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.read();
  assertEquals([host.node.hasData("p"), collect(host)], [false, []]);
});

Deno.test("Node.synced is true when a complete snapshot has arrived in the kernel", () => {
  const host = lone("SLAVE");
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }), ...snapshotOf(mirrorOf(sa(1))));
  assertEquals([host.node.synced, host.node.busy], [false, true]);
  host.apply();
  assertEquals([host.node.synced, host.node.busy], [true, false]);
});

Deno.test("Node.nextChanges() gives about as many changes as asked for", () => {
  const host = lone("SLAVE");
  const records = Array.from({ length: 10 }, (_, i) => sa(i + 1));
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }), ...snapshotOf(mirrorOf(...records)));
  const changes = host.node.nextChanges(4, 0);
  assertEquals([changes.length, host.node.busy], [4, true]);
  host.node.applied(changes.map(() => ({ ok: true })));
  assertEquals(host.node.nextChanges(64, 0).length, 6);
});

Deno.test("Node.nextChanges() looks at no more than four records for each change, and owes nothing for them", () => {
  const records = Array.from({ length: 10 }, (_, i) => sa(i + 1));
  const host = lone("SLAVE", records.map(slaveRecord));
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }), ...snapshotOf(mirrorOf(...records)));
  host.takeSent();
  assertEquals([host.node.nextChanges(2, 0), host.node.busy], [[], true], "eight of ten were alike");
  assertEquals(host.takeSent(), [{ type: "ack", change: 9 }], "BEGIN and eight");
  assertEquals([host.node.nextChanges(2, 0), host.node.busy], [[], false]);
  assertEquals(host.takeSent(), [{ type: "ack", change: 12 }]);
});

Deno.test("Node.applied() logs and counts what the kernel refuses", () => {
  const host = slave([sa(1)]);
  host.refuses.add("put sa 2").add("delete sa 1");
  hear(host, put(sa(2), 9), gone(sa(1), 10));
  host.turn();
  assertEquals(host.node.counters["changes refused"], 2);
  assertEquals(host.logs.filter((line) => line.includes("ENOSYS")), [
    "refused SA esp 0x00000002 to 198.51.100.1: ENOSYS",
    "cannot delete SA esp 0x00000001 to 198.51.100.1: ENOSYS",
  ]);
  assertEquals(host.takeSent().at(-1), { type: "ack", change: 10 });
});

// --- the master's peers ---

Deno.test("Node.applied() has done again what nobody knows the end of", () => {
  const host = slave([sa(1), sa(2)]);
  hear(host, gone(sa(1), 10), put(sa(3), 11));
  host.takeSent();
  for (let tries = 0; tries < 2; tries++) {
    const names = host.node.nextChanges(64, host.clock.nowMs).map(nameOfChange);
    assertEquals(names, ["delete sa 1", "put sa 3"]);
    host.node.applied(undefined);
    assertEquals(types(host.takeSent()), [], "nothing is acknowledged");
  }
  host.node.kernelEvent({ kind: "resync", reason: "changes have failed" }, host.clock.nowMs);
  host.turn();
  assertEquals(host.holds(), ["sa 2", "sa 3"]);
  assertEquals(host.takeSent().filter(({ type }) => type === "ack").at(-1), { type: "ack", change: 11 });
});

Deno.test("Node.applied() has deleted what may have been put, when its master has it no more", () => {
  const host = slave([sa(2)]);
  hear(host, put(sa(1), 9));
  host.kernel.apply(host.node.nextChanges(64, host.clock.nowMs));
  host.node.applied(undefined);
  host.node.kernelEvent({ kind: "resync", reason: "changes have failed" }, host.clock.nowMs);
  hear(host, gone(sa(1), 10));
  host.apply(); // before the dump comes
  assertEquals(host.holds(), ["sa 2"]);
});

for (const takesOver of ["before", "after"]) {
  Deno.test(`Node.applied() has put again what was to be moved, by one that is master ${takesOver} that`, () => {
    const [moved, goes] = [sa(1, { mark: mark(1) }), sa(1, { mark: mark(2) })];
    const host = slave([moved, goes]);
    hear(host, gone(goes, 10));
    if (takesOver === "before") host.node.setRole("MASTER", "test", host.clock.nowMs);
    host.perform();
    host.finishDump();
    assertEquals(host.node.nextChanges(64, host.clock.nowMs).map(nameOfChange), [
      "delete sa 1 mark 2/ff",
      "delete sa 1 mark 1/ff",
      "put sa 1 mark 1/ff",
    ]);
    host.kernel.apply([{ kind: "delete-sa", id: goes.sa }, { kind: "delete-sa", id: moved.sa }]);
    host.node.applied(undefined);
    host.node.kernelEvent({ kind: "resync", reason: "changes have failed" }, host.clock.nowMs);
    host.node.setRole("MASTER", "test", host.clock.nowMs);
    host.turn();
    assertEquals([host.holds(), mirrorOfNode(host.node)], [["sa 1 mark 1/ff"], [recordKey(moved)]]);
  });
}

Deno.test("Node.receive() gives a snapshot to whoever asks, and then changes", () => {
  const host = lone("MASTER", [sa(1), sa(7, { dst: LOCAL })]);
  assertEquals(host.node.hasData("p"), false, "nobody has asked");
  hear(host, { type: "want", identities: [] });
  assertEquals(host.node.hasData("p"), true);
  assertEquals(collect(host), ["snapshot-begin", "put", "snapshot-end"]);
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.kernel.disturb({ kind: "put", record: sa(8, { dst: LOCAL }) });
  host.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  host.read();
  assertEquals(collect(host), ["put", "delete"]);
});

Deno.test("Node.receive() keeps a wish until a starting master may speak and knows its kernel", () => {
  const host = new Host("gw1", 1, new TestClock(), { peers: ["p", "q"] }, [sa(1)]);
  host.node.start();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.perform();
  host.node.peerUp("p", nodeId(PEER), false);
  hear(host, { type: "want", identities: [] });
  host.clock.nowMs += 2000;
  host.node.tick(host.clock.nowMs);
  assertEquals([host.node.membership.acting, collect(host)], [true, []], "its kernel is not known");
  host.finishDump();
  assertEquals(collect(host), ["snapshot-begin", "put", "snapshot-end"]);
});

Deno.test("Node.receive() gives everything to a slave that has asked more than is kept meanwhile", () => {
  const host = master([sa(1)]);
  hear(host, { type: "ack", change: 3 });
  host.node.kernelEvent({ kind: "resync", reason: "test" }, host.clock.nowMs);
  host.perform();
  const identity = encodeIdentity(identityOf(sa(1)));
  for (let i = 0; i <= 256; i++) hear(host, { type: "want", identities: [{ kind: "sa", identity }] });
  host.finishDump();
  assertEquals(collect(host), ["snapshot-begin", "put", "snapshot-end"]);
  assertEquals(host.node.counters["questions given up"], 1);
});

Deno.test("Node.receive() gives a slave no data while the master is starting", () => {
  const host = lone("MASTER", [sa(1)], ["p", "q"]);
  hear(host, { type: "want", identities: [] });
  assertEquals([host.node.membership.acting, host.node.hasData("p"), collect(host)], [false, false, []]);
  host.clock.nowMs += 2000;
  host.node.tick(host.clock.nowMs);
  assertEquals(collect(host), ["snapshot-begin", "put", "snapshot-end"]);
  assertEquals(types(host.takeSent()), ["state"]);
});

Deno.test("Node.receive() answers what is asked about", () => {
  const host = master([sa(1)]);
  const identities = [sa(1), sa(2)].map((record) => ({
    kind: record.kind,
    identity: encodeIdentity(identityOf(record)),
  }));
  hear(host, { type: "want", identities });
  assertEquals(collect(host), ["put", "delete"]);
});

Deno.test("Node.receive() gives its counters to a master that asks a slave, and nothing to another one", () => {
  const host = slave([sa(1), policy("10.2.0.0/16")]);
  hear(host, { type: "want", identities: [] });
  assertEquals([host.node.hasData("p"), collect(host)], [true, ["counters"]]);
  hear(host, stateOf("SLAVE", 5), { type: "want", identities: [] });
  assertEquals([host.node.hasData("p"), collect(host)], [false, []]);
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  assertEquals(collect(host), [], "the wish was for another time");
});

Deno.test("Node.receive() closes a session that acknowledges what was never sent", () => {
  const host = master([sa(1)]);
  hear(host, { type: "ack", change: 3 });
  host.perform();
  assertEquals(host.closed, []);
  hear(host, { type: "ack", change: 4 });
  host.perform();
  assertEquals(host.closed, ["acknowledges change 4, which was never sent"]);
});

Deno.test("Node.receive() takes an acknowledgement of before a peer's short time as master", () => {
  const host = master([sa(1)]);
  hear(host, stateOf("MASTER", 9, { master: PEER, following: true }));
  hear(host, stateOf("SLAVE", 9, { master: PEER }), { type: "want", identities: [] }, {
    type: "ack",
    change: 3,
  });
  host.perform();
  assertEquals([host.closed, collect(host)], [[], ["snapshot-begin", "put", "snapshot-end"]]);
});

Deno.test("Node.receive() tells a peer nothing more that is master too, and logs that once", () => {
  const host = master([sa(1)]);
  hear(host, stateOf("MASTER", 9, { master: PEER, following: true }));
  hear(host, stateOf("MASTER", 9, { master: PEER, following: true }));
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.turn();
  assertEquals(collect(host), []);
  assertEquals(host.logs.filter((line) => line.startsWith("two masters")).length, 1);
});

Deno.test("Node.receive() of a later master's STATE says once that the address may be stale", () => {
  const host = master();
  const { epoch } = host.node.membership;
  for (let i = 0; i < 2; i++) hear(host, stateOf("MASTER", epoch + 1, { master: PEER, following: true }));
  host.perform();
  assertEquals(host.logs.filter((text) => text.startsWith("stale address?")), [
    `stale address? p is master in epoch ${
      epoch + 1
    }, and this node in ${epoch}: it may hold an address that has moved`,
  ]);
});

Deno.test("Node.receive() logs and counts what a peer refuses", () => {
  const host = master([sa(1)]);
  const identity = encodeIdentity(identityOf(sa(1)));
  hear(host, { type: "refused", kind: "sa", identity, reason: "no such cipher" });
  host.perform();
  assertEquals(host.node.counters["refused by peers"], 1);
  assert(host.logs.includes("p refused SA esp 0x00000001 to 198.51.100.1: no such cipher"));
});

/** Packets on SA 1, as the master `p` reports them. */
function report(host: Host, oseq: bigint, seq = 0n): void {
  const volatile = encodeSaCounters(sampleCounters({ oseq, seq }));
  hear(host, { type: "counters", identity: encodeIdentity(identityOf(sa(1))), volatile });
  host.turn();
}

const countersOf = (host: Host) => {
  const [record] = host.kernel.records();
  return record?.kind === "sa" ? record.sa.counters : undefined;
};

Deno.test("Node.receive() of a later epoch: what the other master has sent and received is outdone", () => {
  const host = master([sa(1)]);
  hear(host, stateOf("SLAVE", host.node.membership.epoch + 1, { master: PEER }));
  host.perform();
  assertEquals(types(host.takeSent()).slice(-1), ["want"]);
  report(host, 2n ** 22n, 7n);
  // the other one may have stood two margins higher than it knows, and this node has its own place above that
  assertEquals([countersOf(host)?.oseq, countersOf(host)?.seq], [2n ** 22n + 3n * 2n ** 20n, 7n]);
  report(host, 5n, 3n);
  assertEquals(countersOf(host)?.seq, 7n, "never back");
  assertEquals(collect(host)[0], "counters", "slaves have to follow");
});

Deno.test("Node.receive() of counters that a master did not ask for: it goes on above them, if it is behind", () => {
  const host = master([sa(1)]);
  host.kernel.traffic(sampleSa({ spi: 1 }), 1000n, 9n);
  host.turn();
  report(host, 1000n, 70n);
  assertEquals([countersOf(host)?.oseq, countersOf(host)?.seq], [1000n, 9n]);
  report(host, 1001n, 70n);
  assertEquals([countersOf(host)?.oseq, countersOf(host)?.seq], [5n * 2n ** 20n, 70n]);
});

Deno.test("Node.setRole() to SLAVE of a master that has not spoken yet tells the next one what it has sent", () => {
  const host = lone("MASTER", [sa(1), sa(2)], ["p"]);
  host.kernel.traffic(sampleSa({ spi: 1 }), 1000n, 0n);
  host.turn();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  host.takeSent();
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }));
  host.perform();
  const told = [...host.takeSent(), ...host.node.collect("p", host.clock.nowMs, 32_000)];
  const counters = told.filter((message) => message.type === "counters");
  assertEquals(counters.map(({ volatile }) => decodeSaCounters(volatile).oseq), [1000n, 0n]);
});

Deno.test("Node.setRole() to SLAVE: what the next master has too gets a slave's limits", () => {
  const limited = sa(1, { soft: { addSeconds: 90n }, hard: { addSeconds: 100n } });
  const host = lone("MASTER", [limited], ["p"]);
  host.turn();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }));
  const { size: count, digest } = host.node.mirror;
  hear(host, { type: "catch-up", change: 1, epoch: 5 }, { type: "snapshot-end", change: 2, count, digest });
  for (let i = 0; i < 2; i++) host.turn(); // what has to get limits is looked at, and gets them
  const [record] = host.kernel.records();
  const { soft, hard } = record?.kind === "sa" ? record.sa : {};
  assertEquals([soft, hard?.addSeconds], [{}, 160n]);
});

Deno.test("Node.receive() of an SA that this node has sent on: it is put above that", () => {
  const host = lone("MASTER", [sa(1)], ["p"]);
  host.kernel.traffic(sampleSa({ spi: 1 }), 5_000_000n, 0n);
  host.turn();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }));
  hear(host, { type: "snapshot-begin", change: 1, epoch: 5 }, put(sa(1, { replayWindow: 64 }), 2));
  host.turn();
  assertEquals(countersOf(host)?.oseq, 7n * 2n ** 20n);
});

Deno.test("Node.receive() of an offer: an SA that was flushed in an earlier time as master goes on above that", () => {
  const host = master([sa(1)]);
  host.kernel.traffic(sampleSa({ spi: 1 }), 5_000_000n, 0n);
  host.turn();
  host.kernel.flushSas(0);
  host.turn();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  hear(host, put(sa(1), 0));
  host.turn();
  assertEquals(countersOf(host)?.oseq, 7n * 2n ** 20n);
});

Deno.test("Node.receive() of a later epoch: who has not answered is asked again in its next session", () => {
  const host = master([sa(1)]);
  const later = stateOf("SLAVE", host.node.membership.epoch + 1, { master: PEER });
  const wants = () => types(host.takeSent()).filter((type) => type === "want").length;
  hear(host, later);
  hear(host, later);
  assertEquals(wants(), 1);
  host.node.peerDown("p", host.clock.nowMs);
  host.node.peerUp("p", nodeId(PEER), false);
  hear(host, later);
  assertEquals(wants(), 1);
  report(host, 2n ** 22n);
  assertEquals(countersOf(host)?.oseq, 2n ** 22n + 3n * 2n ** 20n);
  report(host, 2n ** 22n);
  assertEquals(countersOf(host)?.oseq, 2n ** 22n + 3n * 2n ** 20n, "once");
  host.node.peerDown("p", host.clock.nowMs);
  host.node.peerUp("p", nodeId(PEER), false);
  hear(host, later);
  assertEquals(wants(), 0);
});

Deno.test("Node.receive() of an earlier epoch: who was master too is asked when it has stepped down", () => {
  const host = master([sa(1)]);
  const wants = () => types(host.takeSent()).filter((type) => type === "want").length;
  hear(host, stateOf("MASTER", 0, { master: PEER }));
  assertEquals(wants(), 0);
  hear(host, stateOf("SLAVE", 0, { master: PEER }));
  assertEquals(wants(), 1);
  report(host, 2n ** 22n);
  assertEquals(countersOf(host)?.oseq, 2n ** 22n + 3n * 2n ** 20n);
});

Deno.test("Node.receive() of counters: the kernel stands above what was sent, and at what was received", () => {
  const host = slave([sa(1)]);
  assertEquals(countersOf(host)?.oseq, 2n ** 20n);
  report(host, 1000n, 77n);
  assertEquals(
    [countersOf(host)?.oseq, countersOf(host)?.seq],
    [2n ** 20n, 77n],
    "half of the lease is left",
  );
  report(host, 2n ** 19n + 1n, 80n);
  assertEquals([countersOf(host)?.oseq, countersOf(host)?.seq], [3n * 2n ** 20n, 80n]);
  report(host, 5n, 3n);
  assertEquals(
    [countersOf(host)?.oseq, countersOf(host)?.seq],
    [3n * 2n ** 20n, 80n],
    "never back",
  );
});

Deno.test("Node.setRole() of a slave whose master was heard lately moves no counter", () => {
  const host = slave([sa(1)]);
  host.node.heard("p", host.clock.nowMs);
  host.clock.nowMs += 1500;
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  assertEquals([host.node.advancing, host.node.guardChange()], [false, []]);
});

Deno.test("Node.setRole() of a slave whose master is long silent moves counters before the guard is lifted", () => {
  const host = slave([sa(1)]);
  host.node.guardChange();
  report(host, 1000n);
  host.clock.nowMs += 1000;
  report(host, 6000n);
  host.node.heard("p", host.clock.nowMs);
  host.clock.nowMs += 20_000;
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  assertEquals([host.node.advancing, host.node.guardChange()], [true, undefined]);
  host.turn();
  const start = countersOf(host)!.oseq;
  assert(start > 6000n + 20n * 5000n + 2n ** 20n, `starts at ${start}`);
  assertEquals([host.node.advancing, host.node.guardChange()], [false, []]);
});

Deno.test("Node.setRole() moves the counters of an SA on that was reported while an update of it waited", () => {
  const host = slave([sa(1)]);
  host.node.heard("p", host.clock.nowMs);
  const volatile = encodeSaCounters(sampleCounters({ oseq: 2n ** 19n + 1n, seq: 80n }));
  hear(host, put(sa(1, { reqid: 9 }), 9, 1));
  hear(host, { type: "counters", identity: encodeIdentity(identityOf(sa(1))), volatile });
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  assertEquals([countersOf(host)?.oseq, countersOf(host)?.seq], [3n * 2n ** 20n, 80n]);
});

Deno.test("Node.setRole() in the middle of a snapshot starts above all that a kernel of long ago may repeat", () => {
  const old = sa(1, { counters: sampleCounters({ oseq: 10n }) });
  const host = lone("SLAVE", [old], ["p"]);
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }));
  hear(host, { type: "snapshot-begin", change: 1, epoch: 5 });
  hear(host, put(sa(1, { counters: sampleCounters({ oseq: 50_000_000n }) }), 2, 1));
  host.node.heard("p", host.clock.nowMs);
  host.node.peerDown("p", host.clock.nowMs);
  host.node.setRole("MASTER", "test", host.clock.nowMs + 500);
  assertEquals(host.node.guardChange(), undefined, "not before the counters are moved");
  host.turn();
  assert(countersOf(host)!.oseq > 50_000_000n, `starts at ${countersOf(host)!.oseq}`);
});

Deno.test("Node.setRole() with `replay strict` closes windows over what came since the last report", () => {
  const host = slave([sa(1)], [], { strictReplay: true });
  report(host, 1n, 1000n);
  host.clock.nowMs += 1000;
  report(host, 1n, 6000n);
  host.node.heard("p", host.clock.nowMs);
  host.node.peerDown("p", host.clock.nowMs);
  host.node.setRole("MASTER", "test", host.clock.nowMs + 1000);
  host.turn();
  assert(countersOf(host)!.seq >= 6000n + 2n * 5000n, `the window ends at ${countersOf(host)!.seq}`);
});

Deno.test("Node.receive() refuses an epoch too far ahead and stays as it is", () => {
  const host = master();
  hear(host, stateOf("SLAVE", 1, { master: 1 }));
  assertThrows(() => hear(host, stateOf("SLAVE", 2 ** 33)), PeerError);
  assertEquals(host.node.membership.epoch, 1);
});

Deno.test("Node.lag() tells how far a slave is behind", () => {
  const host = master([sa(1)]);
  host.clock.nowMs += 250;
  assertEquals(host.node.lag("p", host.clock.nowMs), { changes: 3, ms: 250 });
  hear(host, { type: "ack", change: 3 });
  assertEquals(host.node.lag("p", host.clock.nowMs), { changes: 0, ms: 0 });
  assertEquals(host.node.lag("q", 0), undefined);
});

// --- takeover ---

Deno.test("Node.setRole() raises the epoch at a takeover and tells the peers", () => {
  const host = slave([sa(1)]);
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  const [last] = host.takeSent().slice(-1);
  assertEquals(last, stateOf("MASTER", 6, { master: 1, following: true }));
  assert(host.logs.includes("SLAVE -> MASTER: test"));
});

Deno.test("Node.setRole() takes from the old master, after a takeover, only what is new", () => {
  const host = slave([sa(1), sa(3)]);
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  host.kernel.disturb({ kind: "delete-sa", id: sa(3).sa });
  host.turn();
  hear(host, put(sa(2), 9), gone(sa(1), 10), put(sa(1, { reqid: 9 }), 11), put(sa(3), 12));
  host.turn();
  assertEquals(host.holds(), ["sa 1", "sa 2"]);
  assertEquals(mirrorOfNode(host.node), [recordKey(sa(1)), recordKey(sa(2))]);
  assertEquals([host.node.counters["offers taken"], host.node.counters["offers refused"]], [1, 2]);
});

Deno.test("Node.setRole() to SLAVE offers the new master what it was not told", () => {
  const host = lone("MASTER", [sa(1)], ["p"]);
  hear(host, stateOf("SLAVE", 0), { type: "want", identities: [] });
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.turn();
  assertEquals(collect(host), ["snapshot-begin", "put", "put", "snapshot-end"]);
  hear(host, { type: "ack", change: 4 });
  host.kernel.disturb({ kind: "put", record: sa(3) });
  host.turn();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  host.takeSent();
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }));
  host.turn();
  const sent = host.takeSent();
  assertEquals(types(sent).filter((type) => type !== "state"), ["put", "digests"]);
});

Deno.test("Node.setRole() to SLAVE offers thousands of records in parts", () => {
  const host = lone("MASTER", [], ["p"]);
  const made = Array.from({ length: 6000 }, (_, i) => sa(i + 1));
  for (const record of made) host.kernel.disturb({ kind: "put", record });
  host.turn();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  host.takeSent();
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }));
  host.perform();
  const atOnce = host.takeSent();
  const bytesOf = (messages: readonly Message[]) =>
    messages.reduce((sum, one) => sum + (one.type === "put" ? one.content.length : 0), 0);
  assert(bytesOf(atOnce) <= 300_000, `${bytesOf(atOnce)} bytes at once`);
  let count = types(atOnce).filter((type) => type === "put").length;
  while (host.node.hasData("p")) {
    const part = host.node.collect("p", host.clock.nowMs, 32_000);
    assert(bytesOf(part) <= 33_000, `${bytesOf(part)} bytes in a part`);
    count += part.filter(({ type }) => type === "put").length;
  }
  assertEquals(count, 6000);
});

Deno.test("Node.receive() of an offer: no SA on which this kernel would repeat nonces", () => {
  const host = lone("MASTER", [], [], { takeover: () => "none" });
  hear(host, put(sa(1), 0), put(policy("10.2.0.0/16"), 0));
  host.turn();
  assertEquals(host.holds(), ["policy 10.2.0.0/16"]);
});

Deno.test("Node.receive() of an offer: what the own kernel turns out to hold is not put over it", () => {
  const limited = sa(1, { soft: { addSeconds: 90n }, hard: { addSeconds: 100n } });
  const host = new Host("gw1", 1, new TestClock(), {}, [limited]);
  host.node.start();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.node.peerUp("p", nodeId(PEER), false);
  hear(host, put(limited, 0), put(sa(2), 0));
  host.turn();
  assertEquals(host.done, ["put sa 2"]);
  assertEquals(host.holds(), ["sa 1", "sa 2"]);
});

Deno.test("Node.receive() of an offer: what was deleted in an earlier time as master may have been made anew", () => {
  const host = master([sa(1)]);
  host.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  host.turn();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  hear(host, put(sa(1), 0));
  host.turn();
  assertEquals(host.holds(), ["sa 1"]);
});

Deno.test("Node.setRole() at a takeover adopts nothing of which it does not know what it is", () => {
  const host = slave([sa(1)]);
  host.refuses.add("put sa 1").add("delete sa 1");
  hear(host, put(sa(1, { reqid: 9 }), 10, 1));
  host.turn();
  hear(host, gone(sa(1), 11));
  host.turn();
  assertEquals(host.holds(), ["sa 1"], "the kernel keeps it");
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  assertEquals(host.node.mirror.get(recordKey(sa(1)))?.content, encodeContent(sa(1)));
});

Deno.test("Node.setRole() still does the old master's new records and deletions, but no updates", () => {
  const host = slave([sa(1), sa(2), policy("10.2.0.0/16")]);
  hear(
    host,
    put(sa(3), 9),
    gone(sa(1), 10),
    put(sa(2, { reqid: 9 }), 11, 2),
    gone(policy("10.2.0.0/16"), 12),
  );
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  assertEquals(host.done.toSorted(), ["delete policy 10.2.0.0/16", "delete sa 1", "put sa 3"]);
  assertEquals(mirrorOfNode(host.node).toSorted(), [recordKey(sa(2)), recordKey(sa(3))].toSorted());
  assertEquals(
    host.node.mirror.get(recordKey(sa(2)))!.content,
    encodeContent(slaveRecord(sa(2))),
    "the kernel is the truth",
  );
});

Deno.test("Node.setRole() ranks a policy as the newest that it repairs after a takeover", () => {
  const host = slave([policy("10.2.0.0/16"), policy("10.2.3.0/24")]);
  host.kernel.disturb({ kind: "delete-policy", id: policy("10.2.0.0/16").policy });
  host.read();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  assertEquals(host.holds(), ["policy 10.2.3.0/24", "policy 10.2.0.0/16"]);
  const [wide, narrow] = ["10.2.0.0/16", "10.2.3.0/24"].map((net) =>
    host.node.mirror.get(recordKey(policy(net)))!.rank
  );
  assert(wide! > narrow!);
});

Deno.test("Node.setRole() adopts at a takeover what is left of a record that was refused", () => {
  for (const isLeft of [true, false]) {
    const host = slave([sa(1)]);
    host.refuses.add("put sa 1").add("delete sa 1");
    hear(host, put(sa(1, { reqid: 9 }), 9, 1));
    for (const change of host.node.nextChanges(1, 0)) {
      if (!isLeft) host.kernel.apply([{ kind: "delete-sa", id: sa(1).sa }]);
      host.node.applied([{ ok: false, reason: change.kind }]);
    }
    host.node.setRole("MASTER", "test", host.clock.nowMs);
    host.turn();
    const entry = host.node.mirror.get(recordKey(sa(1)))!;
    assertEquals(entry.content, encodeContent(slaveRecord(sa(1, { reqid: isLeft ? 1 : 9 }))));
    assertEquals([entry.refused, host.done], [isLeft ? undefined : "put", []]);
  }
});

Deno.test("Node.setRole() touches the kernel at a takeover only when it is known again", () => {
  const host = slave([sa(1)]);
  hear(host, put(sa(3), 9));
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  assertEquals([host.node.busy, host.node.nextChanges(64, 0)], [false, []]);
  host.turn();
  assertEquals(host.done, ["put sa 3"]);
});

Deno.test("Node.setRole() forgets at a takeover what had expired here", () => {
  const host = slave([sa(1), sa(2)]);
  host.kernel.expire(sa(1).sa);
  host.read();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  assertEquals(mirrorOfNode(host.node), [recordKey(sa(2))]);
});

Deno.test("Node.setRole() keeps at a takeover what the own kernel had refused", () => {
  const host = slave([sa(1)]);
  host.refuses.add("put sa 2");
  hear(host, put(sa(2), 9));
  host.turn();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  hear(host, { type: "want", identities: [] });
  assertEquals(collect(host), ["snapshot-begin", "put", "put", "snapshot-end"]);
});

Deno.test("Node.setRole() adopts at a takeover what has come to the place of what the own kernel had refused", () => {
  const host = slave([sa(1)]);
  host.refuses.add("put sa 2");
  hear(host, put(sa(2), 9));
  host.turn();
  host.read(); // what comes now is newer than what this node has done
  host.kernel.disturb({ kind: "put", record: sa(2, { reqid: 9 }) });
  host.read();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  const entry = host.node.mirror.get(recordKey(sa(2)))!;
  assertEquals([entry.content, entry.refused], [encodeContent(sa(2, { reqid: 9 })), undefined]);
});

Deno.test("Node.setRole() adopts at a takeover what the own kernel holds besides", () => {
  const host = new Host("gw1", 1, new TestClock(), { flushMode: "sync" }, [sa(9), sa(8, { dst: LOCAL })])
    .start("SLAVE");
  host.node.peerUp("p", nodeId(PEER), false);
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }), ...snapshotOf(mirrorOf(sa(1))));
  host.turn();
  assertEquals(mirrorOfNode(host.node), [recordKey(sa(1))]);
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  assertEquals(mirrorOfNode(host.node), [recordKey(sa(1)), recordKey(sa(9))]);
});

Deno.test("Node.setRole() repairs after a takeover what somebody had deleted here", () => {
  const host = slave([sa(1)]);
  host.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  host.read();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  assertEquals(host.holds(), ["sa 1"]);
});

Deno.test("Node.setRole() tells nobody anything after stepping down", () => {
  const host = master([sa(1)]);
  host.kernel.disturb({ kind: "put", record: sa(2) });
  host.read();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  assertEquals([host.node.hasData("p"), collect(host)], [false, []]);
  assertEquals(host.takeSent(), [stateOf("SLAVE", 1, { master: 1 })]);
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.turn();
  assertEquals(host.node.hasData("p"), false, "as master again it waits to be asked");
});

Deno.test("Node.setRole() follows the next master at once after stepping down", () => {
  const host = master([sa(1)]);
  hear(host, stateOf("MASTER", 2, { master: PEER, following: true }));
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  assertEquals(types(host.takeSent()), ["state", "digests"]);
  hear(host, ...snapshotOf(mirrorOf(sa(2))));
  host.turn();
  assertEquals(host.holds(), ["sa 2"], "it has become the slave's kernel");
});

Deno.test("Node.setRole() still does an old master's deletion after a short time as master", () => {
  const host = new Host("gw1", 1, new TestClock(), { flushMode: "sync" }).start("SLAVE");
  host.node.peerUp("p", nodeId(PEER), false);
  hear(host, stateOf("MASTER", 5, { master: PEER, following: true }), ...snapshotOf(mirrorOf(sa(1))));
  host.turn();
  hear(host, gone(sa(1), 9));
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  host.turn();
  assertEquals(host.holds(), []);
});

Deno.test("Node.setRole() does nothing when the role is as it was", () => {
  const host = slave([sa(1)]);
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  assertEquals([host.takeSent(), host.dumps], [[], 1]);
});

// --- guard ---

Deno.test("Node.guardChange() guards before a record is applied, not as master, and again afterwards", () => {
  const host = lone("SLAVE");
  const guard = () => host.node.guardChange()?.map(formatAddress);
  assertEquals(guard(), undefined);
  hear(
    host,
    stateOf("MASTER", 5, { master: PEER, following: true }),
    ...snapshotOf(mirrorOf(policy("10.2.0.0/16"))),
  );
  assertEquals([guard(), guard()], [["192.0.2.1"], undefined]);
  host.turn();
  host.node.setRole("MASTER", "test", host.clock.nowMs);
  assertEquals([guard(), guard()], [[], undefined]);
  host.turn();
  host.node.setRole("SLAVE", "test", host.clock.nowMs);
  assertEquals([guard(), guard()], [["192.0.2.1"], undefined]);
});

Deno.test("Node.guardChange() guards what the kernel holds at the start, but nothing local", () => {
  const host = lone("SLAVE", [policy("10.2.0.0/16"), trap]);
  assertEquals(host.node.guardChange(), undefined, "the trap has replaced it");
  const other = lone("SLAVE", [policy("10.2.0.0/16")]);
  assertEquals(other.node.guardChange()?.map(formatAddress), ["192.0.2.1"]);
});

Deno.test("Node.guardChange() ends with the last record, also when it becomes local", () => {
  const host = lone("SLAVE", [policy("10.2.0.0/16")]);
  host.node.guardChange();
  host.kernel.disturb({ kind: "put", record: trap });
  host.read();
  assertEquals(host.node.guardChange(), []);
});

// --- several nodes ---

/** Hosts that are connected with each other, the first of them master. */
function cluster(count: number, records: readonly IpsecRecord[] = [], settings = {}): Host[] {
  const clock = new TestClock();
  const hosts = Array.from({ length: count }, (_, i) => {
    const peers = Array.from({ length: count }, (_, j) => `gw${j}`).filter((name) => name !== `gw${i}`);
    return new Host(`gw${i}`, i + 1, clock, { peers, ...settings }, i === 0 ? records : []);
  });
  for (const [i, host] of hosts.entries()) host.start(i === 0 ? "MASTER" : "SLAVE");
  for (const [i, a] of hosts.entries()) for (const b of hosts.slice(i + 1)) connect(a, b);
  settle(...hosts);
  return hosts;
}

Deno.test("Node.collect() brings a burst on one SA to a slave as one record", () => {
  const [one, two] = cluster(2, [sa(1)]) as [Host, Host];
  two.done.length = 0;
  for (let reqid = 2; reqid < 100; reqid++) one.kernel.disturb({ kind: "put", record: sa(1, { reqid }) });
  settle(one, two);
  assertEquals(two.done, ["put sa 1"]);
  assertEquals(one.node.lag("gw1", one.clock.nowMs), { changes: 0, ms: 0 });
});

Deno.test("Node.kernelEvent() follows a flush without touching a slave's local records", () => {
  const [one, two] = cluster(2, [sa(1), sa(2), policy("10.2.0.0/16")]) as [Host, Host];
  two.kernel.disturb({ kind: "put", record: sa(7, { dst: LOCAL }) });
  one.kernel.flushSas(0);
  settle(one, two);
  assertEquals(two.holds(), ["sa 7", "policy 10.2.0.0/16"]);
  assertEquals(one.node.mirror.digest, two.node.mirror.digest);
});

Deno.test("Node.kernelEvent() keeps a flush to itself with `flushmode never`", () => {
  const [one, two] = cluster(2, [sa(1), sa(2)], { flushMode: "never" }) as [Host, Host];
  one.kernel.flushSas(0);
  settle(one, two);
  assertEquals([one.holds(), two.holds()], [[], ["sa 1", "sa 2"]]);
  disconnect(one, two);
  connect(one, two);
  settle(one, two);
  assertEquals(two.holds(), [], "at the next joining they go");
});

Deno.test("Node.kernelEvent() repairs a slave's kernel that somebody flushed", () => {
  const [one, two] = cluster(2, [sa(1), policy("10.2.0.0/16")]) as [Host, Host];
  two.kernel.flushSas(0);
  two.kernel.flushPolicies(0);
  settle(one, two);
  assertEquals(two.holds(), ["sa 1", "policy 10.2.0.0/16"]);
});

Deno.test("Node.kernelEvent() asks about what expired on a slave, and does as the master says", () => {
  const [one, two] = cluster(2, [sa(1), sa(2)]) as [Host, Host];
  two.kernel.expire(sa(1).sa);
  two.kernel.expire(sa(2).sa);
  one.kernel.expire(sa(2).sa);
  settle(one, two);
  assertEquals(two.holds(), ["sa 1"]);
  assertEquals(one.node.mirror.digest, two.node.mirror.digest);
});

Deno.test("Node.setRole() moves mastership: the others follow, local policies are put back", () => {
  const hosts = cluster(3, [sa(1), policy("10.2.0.0/16")]) as [Host, Host, Host];
  const [one, two, three] = hosts;
  three.kernel.disturb({ kind: "put", record: trap });
  settle(...hosts);
  assertEquals(
    three.done.filter((name) => name.startsWith("put policy")).length,
    2,
    "the shared one goes over it",
  );
  one.node.setRole("SLAVE", "test", one.clock.nowMs);
  two.node.setRole("MASTER", "test", two.clock.nowMs);
  settle(...hosts);
  two.kernel.disturb({ kind: "put", record: sa(2) });
  two.kernel.disturb({ kind: "delete-policy", id: policy("10.2.0.0/16").policy });
  settle(...hosts);
  assertEquals([one.holds(), two.holds()], [["sa 1", "sa 2"], ["sa 1", "sa 2"]]);
  assertEquals(three.holds(), ["sa 1", "sa 2", "policy 10.2.0.0/16"], "the trap is back");
  assertEquals(hosts.map(({ node }) => node.membership.epoch), [2, 2, 2]);
});

Deno.test("Node.setRole() forgets a displaced local policy that its daemon deletes while this node is master", () => {
  const [one, two] = cluster(2, [policy("10.2.0.0/16")]) as [Host, Host];
  two.kernel.disturb({ kind: "put", record: trap });
  settle(one, two);
  one.node.setRole("SLAVE", "test", one.clock.nowMs);
  two.node.setRole("MASTER", "test", two.clock.nowMs);
  settle(one, two);
  two.kernel.disturb({ kind: "delete-policy", id: trap.policy });
  settle(one, two);
  two.node.setRole("SLAVE", "test", two.clock.nowMs);
  one.node.setRole("MASTER", "test", one.clock.nowMs);
  one.kernel.disturb({ kind: "put", record: policy("10.2.0.0/16") });
  settle(one, two);
  one.kernel.disturb({ kind: "delete-policy", id: trap.policy });
  settle(one, two);
  assertEquals([one.holds(), two.holds()], [[], []]);
});

Deno.test("Node.setRole() leaves one master of three that all follow when the others step down at once", () => {
  const hosts = cluster(3) as [Host, Host, Host];
  const [one, two, three] = hosts;
  two.node.setRole("MASTER", "test", two.clock.nowMs);
  three.node.setRole("MASTER", "test", three.clock.nowMs);
  settle(...hosts);
  two.node.setRole("SLAVE", "test", two.clock.nowMs);
  three.node.setRole("SLAVE", "test", three.clock.nowMs);
  settle(...hosts);
  assertEquals(hosts.map(({ node }) => node.membership.followed), [undefined, "gw0", "gw0"]);
  assertEquals(new Set(hosts.map(({ node }) => node.membership.epoch)).size, 1);
  one.kernel.disturb({ kind: "put", record: sa(1) });
  settle(...hosts);
  assertEquals([two.holds(), three.holds()], [["sa 1"], ["sa 1"]]);
});

Deno.test("Node.peerDown() leaves the other slave undisturbed; who comes back gets what it missed", () => {
  const [one, two, three] = cluster(3, [sa(1)]) as [Host, Host, Host];
  disconnect(one, three);
  disconnect(two, three);
  one.kernel.disturb({ kind: "put", record: sa(2) });
  one.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  settle(one, two, three);
  assertEquals([two.holds(), three.holds()], [["sa 2"], ["sa 1"]]);
  connect(one, three);
  connect(two, three);
  three.done.length = 0;
  settle(one, two, three);
  assertEquals([three.holds(), three.done], [["sa 2"], ["put sa 2", "delete sa 1"]]);
});

Deno.test("Node.receive() lets a slave's other peer do nothing, whatever it says", () => {
  const [one, two, three] = cluster(3, [sa(1)]) as [Host, Host, Host];
  two.node.receive("gw2", put(sa(5), 1), 0);
  two.node.receive("gw2", gone(sa(1), 2), 0);
  settle(one, two, three);
  assertEquals(two.holds(), ["sa 1"]);
});
