/** A whole node that takes over: what it inherits, and how slaves hear what becomes of that. */

import { assert, assertEquals } from "@std/assert";
import { INHERITED_GRACE_MS } from "../../../src/core/inherited.ts";
import { type Child, RENEGOTIATE_AFTER_MS } from "../../../src/core/renegotiation.ts";
import { type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { addr, sampleTemplate } from "../../fakes/records.ts";
import { connect, disconnect, Host, policy, put, sa, settle, TestClock } from "./support.ts";

const old = sa(1);
const fresh = sa(2, { reqid: 7 });
const child = (reqid: number) => policy("10.2.0.0/16", { templates: [sampleTemplate({ reqid })] });

/** A slave that has taken over from a master that is gone, and a slave that follows it. */
function heirs(
  records: readonly IpsecRecord[],
  renegotiatePerSecond?: number,
): { readonly heir: Host; readonly slave: Host } {
  const clock = new TestClock();
  const names = ["gw1", "gw2", "gw3"];
  const host = (i: number, held: readonly IpsecRecord[] = []) =>
    new Host(names[i]!, i + 1, clock, { peers: names.filter((_, j) => j !== i), renegotiatePerSecond }, held);
  const master = host(0, records).start("MASTER");
  const heir = host(1).start("SLAVE");
  const slave = host(2).start("SLAVE");
  for (const [a, b] of [[master, heir], [master, slave], [heir, slave]] as const) connect(a, b);
  clock.nowMs += 3000; // a starting master waits for its peers
  settle(master, heir, slave);
  for (const other of [heir, slave]) disconnect(master, other);
  heir.node.setRole("MASTER", "test", clock.nowMs);
  settle(heir, slave);
  return { heir, slave };
}

/** The IKE daemon of a host negotiates. */
function negotiate({ kernel }: Host, ...records: readonly IpsecRecord[]): void {
  for (const record of records) kernel.disturb({ kind: "put", record });
}

function wait(hosts: readonly Host[], ms: number): void {
  const { clock } = hosts[0]!;
  for (const endMs = clock.nowMs + ms; clock.nowMs < endMs; clock.nowMs += 1000) settle(...hosts);
}

Deno.test("Node.tick() removes a replaced SA from the own kernel, and slaves hear of it", () => {
  const { heir, slave } = heirs([old, child(1)]);
  assert(heir.logs.includes("inherited 1 SAs, none of them has a time limit"));
  negotiate(heir, fresh, child(7));
  wait([heir, slave], INHERITED_GRACE_MS);
  for (const host of [heir, slave]) assertEquals(host.holds(), ["sa 1", "sa 2", "policy 10.2.0.0/16"]);
  wait([heir, slave], 5000);
  for (const host of [heir, slave]) assertEquals(host.holds(), ["sa 2", "policy 10.2.0.0/16"]);
  assertEquals(heir.node.mirror.digest, slave.node.mirror.digest);
  assert(heir.logs.includes("removing SA esp 0x00000001 to 198.51.100.1: inherited, replaced and idle"));
  assertEquals(heir.node.inheritance(heir.clock.nowMs), { count: 0, firstEndsInMs: undefined });
});

Deno.test("Node.tick() keeps a replaced SA as long as the peer sends on it", () => {
  const { heir, slave } = heirs([old, child(1)]);
  negotiate(heir, fresh, child(7));
  for (let i = 0; i < 5; i++) {
    wait([heir, slave], INHERITED_GRACE_MS / 2);
    heir.kernel.traffic(old.sa, 0n, 3n);
  }
  assert(heir.holds().includes("sa 1"));
  wait([heir, slave], INHERITED_GRACE_MS + 5000);
  assertEquals(heir.holds().includes("sa 1"), false);
});

Deno.test("Node.tick() keeps what was inherited while a handover keeps deletions back", () => {
  const { heir, slave } = heirs([old, child(1)]);
  negotiate(heir, fresh, child(7));
  wait([heir, slave], INHERITED_GRACE_MS - 5000);
  assertEquals(heir.node.handOver(heir.clock.nowMs), undefined);
  wait([heir, slave], 10_000);
  assert(heir.node.handover.withholds(heir.clock.nowMs));
  assert(heir.holds().includes("sa 1"));
});

Deno.test("Node.inheritance() counts what stood at the takeover and what the old master's tail brings", () => {
  const { heir, slave } = heirs([old, child(1)]);
  negotiate(heir, fresh);
  wait([heir, slave], 2000);
  assertEquals(heir.node.inheritance(heir.clock.nowMs).count, 1);
  heir.node.peerUp("gw1", "1".padStart(32, "0"), false);
  heir.node.receive("gw1", put(sa(3), 9), heir.clock.nowMs);
  wait([heir, slave], 2000);
  assertEquals(heir.node.inheritance(heir.clock.nowMs).count, 2);
  heir.node.setRole("SLAVE", "test", heir.clock.nowMs);
  assertEquals(heir.node.inheritance(heir.clock.nowMs).count, 0);
});

Deno.test("Node.inheritance() is empty on a master that was none's slave", () => {
  const host = new Host("gw1", 1, new TestClock(), {}, [old, child(1)]).start("MASTER");
  wait([host], 3000);
  assertEquals(host.node.inheritance(host.clock.nowMs).count, 0);
  assertEquals(host.node.mirror.get(recordKey(old)) === undefined, false);
});

/** For the tunnel of `old`. */
const configured: Child = {
  ike: "lab",
  child: "net",
  locals: [],
  remotes: [old.sa.dst],
  localNets: [{ address: addr("0.0.0.0"), bits: 0 }],
  remoteNets: [{ address: addr("10.2.0.0"), bits: 16 }],
};

Deno.test("Node.renegotiation has the tunnel negotiated anew, and what it replaces goes", () => {
  const { heir, slave } = heirs([old, child(1)], 1);
  const renegotiation = heir.node.renegotiation!;
  wait([heir, slave], RENEGOTIATE_AFTER_MS);
  assert(renegotiation.look(heir.clock.nowMs));
  renegotiation.take([configured], new Set());
  assertEquals(renegotiation.next(heir.clock.nowMs), configured);
  negotiate(heir, fresh, child(7));
  wait([heir, slave], 3000);
  assertEquals(renegotiation.look(heir.clock.nowMs), false);
  assertEquals(heir.node.counters["tunnels negotiated anew"], 1);
  wait([heir, slave], INHERITED_GRACE_MS + 5000);
  for (const host of [heir, slave]) assertEquals(host.holds(), ["sa 2", "policy 10.2.0.0/16"]);
});

Deno.test("Node.renegotiation keeps still during a handover, and ends with the reign", () => {
  const { heir, slave } = heirs([old, child(1)], 1);
  const renegotiation = heir.node.renegotiation!;
  wait([heir, slave], RENEGOTIATE_AFTER_MS - 2000);
  assertEquals(heir.node.handOver(heir.clock.nowMs), undefined);
  wait([heir, slave], 5000);
  assertEquals(renegotiation.look(heir.clock.nowMs), false);
  heir.node.setRole("SLAVE", "test", heir.clock.nowMs);
  wait([heir, slave], 60_000);
  assertEquals([renegotiation.look(heir.clock.nowMs), renegotiation.waitMs(heir.clock.nowMs)], [
    false,
    Infinity,
  ]);
});

Deno.test("Node.renegotiation is not there when it is off", () => {
  assertEquals(heirs([old, child(1)]).heir.node.renegotiation, undefined);
});
