import { assertEquals } from "@std/assert";
import { ANSWER_MS, type PeerVerdict, type Verdict } from "../../../src/core/verification.ts";
import { recordKey } from "../../../src/record/record.ts";
import { connect, disconnect, Host, nodeId, policy, sa, settle, TestClock } from "./support.ts";

/** A master and its slave, equal. */
function pair(): { master: Host; slave: Host } {
  const clock = new TestClock();
  const master = new Host("m", 1, clock, { peers: ["s"] }, [sa(1), sa(2), policy("10.2.0.0/16")]);
  const slave = new Host("s", 2, clock, { peers: ["m"] });
  connect(master, slave);
  master.start("MASTER");
  slave.start("SLAVE");
  settle(master, slave);
  return { master, slave };
}

/** Lets some seconds go by. @returns the verdict then */
function verify(host: Host, ...hosts: Host[]): Verdict {
  host.node.verify(host.clock.nowMs);
  for (let tenths = 0; tenths <= ANSWER_MS / 100; tenths++) {
    settle(...hosts);
    host.clock.nowMs += 100;
    if (host.node.verdict!.done) break;
  }
  return host.node.verdict!;
}

const equal = (peer: string): PeerVerdict => ({
  peer,
  state: "equal",
  reason: undefined,
  records: [],
  others: 0,
});

Deno.test("Node.verify() finds a pair equal, from both sides", () => {
  const { master, slave } = pair();
  for (const [host, peer] of [[master, "s"], [slave, "m"]] as const) {
    assertEquals(host.node.verdict, undefined);
    assertEquals(verify(host, master, slave), {
      done: true,
      kernel: [],
      refused: 0,
      peers: [equal(peer)],
    });
  }
});

Deno.test("Node.verify() names what differs, from both sides", () => {
  const { master, slave } = pair();
  const stray = slave.node.mirror.get(recordKey(sa(2)))!;
  slave.node.mirror.delete(recordKey(sa(1)));
  slave.node.mirror.set({ ...stray, content: slave.node.mirror.get(recordKey(sa(2)))!.content.slice(0, -1) });
  const [seen] = verify(master, master, slave).peers;
  assertEquals([seen!.state, seen!.records.length, seen!.others], ["different", 2, 1]);
  const [told] = verify(slave, master, slave).peers;
  assertEquals([told!.state, told!.records.length, told!.others], ["different", 1, 2]);
  slave.node.resync(slave.clock.nowMs);
  settle(master, slave);
  assertEquals(verify(master, master, slave).peers, [equal("s")]);
});

Deno.test("Node.verify() finds nothing different that is only on its way", () => {
  const { master, slave } = pair();
  master.node.verify(master.clock.nowMs);
  master.kernel.disturb({ kind: "put", record: sa(3) });
  slave.node.verify(master.clock.nowMs);
  for (let i = 0; i < 30; i++) {
    master.kernel.disturb({ kind: "put", record: sa(4 + i) });
    settle(master, slave);
    master.clock.nowMs += 200;
  }
  assertEquals(master.node.verdict!.peers.map(({ state }) => state), ["equal"]);
  assertEquals(slave.node.verdict!.peers.map(({ state }) => state), ["equal"]);
});

Deno.test("Node.verify() says why nothing is known of a peer", () => {
  const { master, slave } = pair();
  assertEquals(verify(master, master).peers[0]!.reason, "does not answer");
  disconnect(master, slave);
  assertEquals(verify(master, master).peers[0]!.reason, "is not connected, or does not compare");
  master.node.peerUp("s", nodeId(2), false);
  assertEquals(verify(master, master).peers[0]!.reason, "is not synchronised yet");
  assertEquals(verify(slave, slave).peers, [], "nobody is followed");
});

Deno.test("Node.verify() tells what the kernel has refused", () => {
  const { master, slave } = pair();
  slave.refuses.add("put sa 9");
  master.kernel.disturb({ kind: "put", record: sa(9) });
  settle(master, slave);
  assertEquals(verify(slave, master, slave).refused, 1);
});

Deno.test("Node.verify() names what the kernel had lost, and has it put back", () => {
  const { master, slave } = pair();
  slave.kernel.apply([{ kind: "delete-sa", id: sa(1).sa }]); // no event tells of it
  slave.kernel.apply([{ kind: "put", record: sa(2, { reqid: 9 }) }]);
  const { kernel } = verify(slave, master, slave);
  assertEquals(kernel?.toSorted(), [
    "SA esp 0x00000001 to 198.51.100.1",
    "SA esp 0x00000002 to 198.51.100.1",
  ]);
  assertEquals(slave.holds().toSorted(), master.holds().toSorted());
  assertEquals(slave.node.counters["records put back"], 2);
  assertEquals(verify(slave, master, slave).kernel, []);
});
