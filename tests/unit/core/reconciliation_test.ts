import { assert, assertEquals, assertThrows } from "@std/assert";
import { MOST_BITS } from "../../../src/core/buckets.ts";
import { PeerError } from "../../../src/errors.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import { digestOf } from "../../../src/record/digest.ts";
import { encodeContent, encodeIdentity } from "../../../src/record/encoding.ts";
import { identityOf, recordKey } from "../../../src/record/record.ts";
import type { Message } from "../../../src/wire/native/message.ts";
import {
  connect,
  disconnect,
  Host,
  mark,
  nodeId,
  policy,
  sa,
  settle,
  stateOf,
  TestClock,
} from "./support.ts";

const KNOWN = [sa(1), sa(2), sa(3), policy("10.2.0.0/16"), policy("10.2.3.0/24")];

/** A master with these records and its slave, both settled. */
function pair(records: readonly IpsecRecord[] = KNOWN): { master: Host; slave: Host } {
  const clock = new TestClock();
  const master = new Host("m", 1, clock, { peers: ["s"] }, records);
  const slave = new Host("s", 2, clock, { peers: ["m"] });
  connect(master, slave);
  master.start("MASTER");
  slave.start("SLAVE");
  settle(master, slave);
  assertEquals(slave.node.synced, true);
  slave.done.length = 0;
  return { master, slave };
}

/** Both meet again. @returns the types of what the slave took, but for states and how far counters are told */
function meet(master: Host, slave: Host): string[] {
  const taken: string[] = [];
  const { receive } = slave.node;
  slave.node.receive = (peer, message, nowMs) => {
    taken.push(message.type);
    receive.call(slave.node, peer, message, nowMs);
  };
  connect(master, slave);
  settle(master, slave);
  slave.node.receive = receive;
  return taken.filter((type) => type !== "state" && type !== "counted");
}

/** Whether mirrors and kernels are equal. */
function assertEqualPair(master: Host, slave: Host): void {
  assertEquals(slave.node.mirror.digest, master.node.mirror.digest);
  assertEquals(slave.holds().toSorted(), master.holds().toSorted());
  assertEquals([slave.node.synced, slave.node.demotion.demoted], [true, false]);
}

Deno.test("a slave that comes back to an unchanged master is given nothing", () => {
  const { master, slave } = pair();
  disconnect(master, slave);
  assertEquals(meet(master, slave), ["catch-up", "buckets", "snapshot-end"]);
  assertEqualPair(master, slave);
  assertEquals(slave.done, []);
});

Deno.test("a slave that comes back is given what differs, and what is gone goes", () => {
  const { master, slave } = pair();
  disconnect(master, slave);
  master.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  master.kernel.disturb({ kind: "put", record: sa(2, { reqid: 9 }) });
  master.kernel.disturb({ kind: "put", record: sa(4) });
  master.turn();
  const taken = meet(master, slave);
  assertEquals(taken.filter((type) => type === "put").length, 2);
  assertEquals(taken.includes("delete"), false, "what was not named goes at the end");
  assertEqualPair(master, slave);
  assertEquals(slave.done.toSorted(), ["delete sa 1", "put sa 2", "put sa 4"]);
});

/** The same SA with other content of which a join sees no difference. */
function alike(spi: number): IpsecRecord {
  const upper = (record: IpsecRecord) => digestOf(encodeContent(record), 0).toHex().slice(0, 4);
  const wanted = upper(sa(spi));
  for (let reqid = 0x10000;; reqid++) {
    const other = sa(spi, { reqid });
    if (upper(other) === wanted) return other;
  }
}

Deno.test("a slave that comes back looks again for what narrow digests do not tell", () => {
  const { master, slave } = pair();
  disconnect(master, slave);
  master.kernel.disturb({ kind: "put", record: alike(2) });
  master.turn();
  const comparison = ["catch-up", "buckets"];
  const taken = meet(master, slave);
  assertEquals(taken, [...comparison, "snapshot-end", ...comparison, "put", "snapshot-end"]);
  assertEqualPair(master, slave);
  assertEquals(slave.done, ["put sa 2"]);
});

Deno.test("a slave that comes back is given everything when wide digests do not tell either", () => {
  const { master, slave } = pair();
  const { mirror } = slave.node;
  const { key, ...entry } = mirror.get(recordKey(sa(2)))!;
  const [, digest] = [...mirror.buckets.records(0, 0)].find(([other]) => other === key)!;
  mirror.set({ ...entry, key, content: encodeContent(sa(2, { reqid: 9 })) });
  mirror.buckets.set(key, digest);
  disconnect(master, slave);
  const taken = meet(master, slave);
  assertEquals(taken.filter((type) => type === "catch-up").length, 2);
  assertEquals(taken.filter((type) => type === "snapshot-begin").length, 1);
  assertEqualPair(master, slave);
});

Deno.test("a slave that comes back is given policies in their order", () => {
  const { master, slave } = pair();
  disconnect(master, slave);
  const nets = Array.from({ length: 40 }, (_, i) => `10.9.${i}.0/24`);
  for (const net of nets) master.kernel.disturb({ kind: "put", record: policy(net) });
  master.turn();
  meet(master, slave);
  assertEquals(slave.done, nets.map((net) => `put policy ${net}`));
});

Deno.test("a slave that comes back puts what has gone from its kernel meanwhile", () => {
  const { master, slave } = pair();
  slave.kernel.expire(sa(3).sa); // asked about, but the question is lost
  slave.read();
  slave.takeSent();
  disconnect(master, slave);
  meet(master, slave);
  assertEqualPair(master, slave);
});

Deno.test("a slave with nothing is given everything", () => {
  const { master, slave } = pair([]);
  disconnect(master, slave);
  assertEquals(meet(master, slave).slice(0, 2), ["snapshot-begin", "snapshot-end"]);
});

Deno.test("a slave of a master that does not compare is given everything", () => {
  const { master, slave } = pair();
  disconnect(master, slave);
  master.node.peerUp("s", nodeId(2), false);
  slave.node.peerUp("m", nodeId(1), false, "snapshots");
  settle(master, slave);
  assertEqualPair(master, slave);
  assertEquals(master.node.counters["ignored want-records"], undefined);
});

Deno.test("a slave with too little to compare is given everything", () => {
  const { master, slave } = pair([sa(1)]);
  disconnect(master, slave);
  for (let spi = 0; spi < 15_000; spi++) master.kernel.disturb({ kind: "put", record: sa(0x1000 + spi) });
  master.turn();
  assertEquals(meet(master, slave).includes("snapshot-begin"), true);
  assertEquals(master.node.counters["comparisons given up"], 1);
  assertEqualPair(master, slave);
});

Deno.test("a slave that comes back has its refused records tried again, and told again", () => {
  const { master, slave } = pair();
  slave.refuses.add("put sa 4");
  master.kernel.disturb({ kind: "put", record: sa(4) });
  settle(master, slave);
  assertEquals(slave.node.mirror.refused, 1);
  disconnect(master, slave);
  meet(master, slave);
  assertEquals([slave.node.mirror.refused, master.node.counters["refused by peers"]], [1, 2]);
  slave.refuses.clear();
  disconnect(master, slave);
  meet(master, slave);
  assertEqualPair(master, slave);
});

Deno.test("a slave that comes back to its master is told the counters that have moved meanwhile", () => {
  const { master, slave } = pair();
  master.kernel.traffic(sa(1).sa, 5n, 5n);
  settle(master, slave);
  disconnect(master, slave);
  master.kernel.traffic(sa(2).sa, 7n, 7n);
  master.turn();
  const taken = meet(master, slave);
  assertEquals(taken.filter((type) => type === "counters").length, 1);
  assert(taken.indexOf("counters") < taken.indexOf("snapshot-end"), "or it could take over without them");
  assertEquals(slave.node.mirror.get(recordKey(sa(2)))!.counters!.oseq, 7n);
});

Deno.test("a slave that follows another master is told the counters of every used SA", () => {
  const { master, slave } = pair();
  master.kernel.traffic(sa(1).sa, 5n, 5n);
  settle(master, slave);
  disconnect(master, slave);
  const { clock } = master;
  const next = new Host("m", 7, clock, { peers: ["s"] }, master.kernel.records());
  next.start("MASTER");
  clock.nowMs += 2000; // it waits for its peers
  next.turn();
  const taken = meet(next, slave);
  assertEquals(taken.filter((type) => type === "put").length, 0);
  assert(taken.filter((type) => type === "counters").length >= 3);
  assertEqualPair(next, slave);
});

Deno.test("an SA without a mark comes with one that has a mark, for its rank counts among them", () => {
  const { master, slave } = pair([sa(1), sa(1, { mark: mark(7) })]);
  disconnect(master, slave);
  // made anew, both in the order in which they were
  for (const record of [sa(1), sa(1, { mark: mark(7) })]) {
    master.node.kernelEvent({ kind: "record", record, created: true }, 0);
  }
  assertEquals(meet(master, slave).filter((type) => type === "put").length, 2);
  for (const record of [sa(1), sa(1, { mark: mark(7) })]) {
    const key = recordKey(record);
    assertEquals(slave.node.mirror.get(key)!.rank, master.node.mirror.get(key)!.rank);
  }
});

Deno.test("questions that come before a master has read its kernel are answered then", () => {
  const { master, slave } = pair();
  disconnect(master, slave);
  master.kernel.overrun();
  master.read();
  master.perform();
  connect(master, slave);
  slave.turn();
  for (const { message } of slave.sent.splice(0)) master.node.receive("s", message, master.clock.nowMs);
  const answers = master.takeSent();
  assertEquals(answers.map(({ type }) => type), ["state"]);
  for (const answer of answers) slave.node.receive("m", answer, slave.clock.nowMs);
  slave.turn();
  for (const { message } of slave.sent.splice(0)) master.node.receive("s", message, master.clock.nowMs);
  assertEquals(master.takeSent(), []);
  settle(master, slave);
  assertEqualPair(master, slave);
});

/** Ten minutes and some go by in steps of a second. */
function wait(...hosts: Host[]): void {
  for (let second = 0; second < 620; second++) {
    hosts[0]!.clock.nowMs += 1000;
    settle(...hosts);
  }
}

Deno.test("a slave finds and mends within ten minutes what differs", () => {
  const { master, slave } = pair();
  const stray = slave.node.mirror.get(recordKey(sa(1)))!;
  slave.node.mirror.delete(recordKey(sa(1)));
  slave.node.mirror.delete(recordKey(policy("10.2.3.0/24")));
  slave.node.mirror.set({ ...stray, content: stray.content, key: stray.key, rank: 900 });
  slave.node.mirror.set({ ...slave.node.mirror.get(recordKey(sa(2)))!, content: stray.content });
  wait(master, slave);
  assertEquals(slave.node.mirror.digest, master.node.mirror.digest);
  assert(slave.node.counters["buckets that differed"]! > 0);
});

Deno.test("a slave whose master changes asks nobody but the one that it follows", () => {
  const { master, slave } = pair();
  slave.node.receive("m", stateOf("SLAVE", 1), 0);
  slave.takeSent();
  slave.clock.nowMs += 60_000;
  slave.node.tick(slave.clock.nowMs);
  assertEquals(slave.takeSent(), []);
  assertEquals(master.node.membership.acting, true);
});

const strange: readonly [string, Message][] = [
  [
    "buckets that there are not",
    { type: "digests", purpose: "join", counted: 0, bits: 4, first: 16, digests: [1] },
  ],
  ["too fine a division", {
    type: "digests",
    purpose: "check",
    counted: 0,
    bits: MOST_BITS + 1,
    first: 0,
    digests: [1],
  }],
  ["a list outside of its range", {
    type: "want-records",
    purpose: "join",
    bits: 4,
    first: 0,
    count: 1,
    lists: [{ bucket: 1, digests: [] }],
  }],
  ["a bucket that is listed twice", {
    type: "want-records",
    purpose: "check",
    bits: 0,
    first: 0,
    count: 1,
    lists: [{ bucket: 0, digests: [] }, { bucket: 0, digests: [] }],
  }],
];

for (const [what, message] of strange) {
  Deno.test(`Node.receive() refuses ${what}`, () => {
    const { master } = pair();
    assertThrows(() => master.node.receive("s", message, 0), PeerError, "buckets that there are not");
  });
}

Deno.test("Node.receive() closes the session of a peer that asks for ever more records that never were", () => {
  const { master } = pair();
  const some = encodeIdentity(identityOf(sa(0x01020304)));
  const at = some.toHex().indexOf("01020304") / 2; // of the SPI
  const ask = (first: number) => {
    const identities = Array.from({ length: 64 }, (_, i) => {
      const identity = some.slice();
      identity.set([0, (first + i) >> 16, (first + i) >> 8, first + i], at);
      return { kind: "sa" as const, identity };
    });
    master.node.receive("s", { type: "want", identities }, 0);
  };
  for (let first = 1000; first < 2 ** 17; first += 64) ask(first);
  master.perform();
  assertEquals(master.closed, []);
  for (let first = 2 ** 17; first < 2 ** 17 + 2000; first += 64) ask(first);
  master.perform();
  assertEquals(master.closed[0], "asks for more records than there are");
  assert(master.node.lag("s", 0)!.changes < 2 ** 17 + 100);
});

Deno.test("Node.receive() tells a master that asks again and again how far each SA is only once", () => {
  const { slave } = pair();
  const count = () => {
    for (let i = 0; i < 5; i++) slave.node.receive("m", { type: "want", identities: [] }, 0);
    return slave.node.collect("m", 0, 1 << 20).length;
  };
  assertEquals(count(), 3);
});
