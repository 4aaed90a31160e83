/** The planned switch, moment by moment, and whole nodes that hand over. */

import { assertEquals } from "@std/assert";
import {
  Handover,
  HANDOVER_MS,
  type HandoverSituation,
  type Successor,
  WITHHOLD_MS,
} from "../../../src/core/handover.ts";
import type { NodeSettings } from "../../../src/core/parts.ts";
import { POLICY_TYPE } from "../../../src/record/policy.ts";
import { connect, disconnect, Host, nameOf, policy, sa, settle, stateOf, TestClock } from "./support.ts";
import { identityOf } from "../../../src/record/record.ts";

const fit = (name = "p"): Successor => ({ name, live: true, obstacle: () => undefined });
const unfit = (obstacle: string, name = "p"): Successor => ({ name, live: true, obstacle: () => obstacle });
const gone: Successor = { name: "p", live: false, obstacle: () => "is not connected" };

const master: HandoverSituation = {
  role: "MASTER",
  acting: true,
  peers: [fit()],
  followed: undefined,
  called: false,
  synced: false,
};
const slave: HandoverSituation = { ...master, role: "SLAVE", acting: false };
const following: HandoverSituation = { ...slave, followed: "p" };
const synced: HandoverSituation = { ...following, synced: true };

const REFUSALS: readonly (readonly [situation: Partial<HandoverSituation>, reason: string])[] = [
  [{ role: "SLAVE", acting: false }, "this node is not master but SLAVE"],
  [{ role: "FAIL", acting: false }, "this node is not master but FAIL"],
  [{ acting: false }, "this node is just starting as master"],
  [{ peers: [] }, "there is no peer"],
  [{ peers: [gone] }, "no peer can take over: p is not connected"],
  [
    { peers: [unfit("is INIT"), unfit("has refused what there is (records: 1)", "q")] },
    "no peer can take over: p is INIT, q has refused what there is (records: 1)",
  ],
];

for (const [situation, reason] of REFUSALS) {
  Deno.test(`Handover.start() says: ${reason}`, () => {
    const handover = new Handover();
    assertEquals(handover.start({ ...master, ...situation }, 0), reason);
    assertEquals([handover.result, handover.demotes, handover.withholds(0)], [
      { state: "none" },
      undefined,
      false,
    ]);
  });
}

Deno.test("Handover.start() begins when one of several peers can take over", () => {
  const handover = new Handover();
  assertEquals(handover.start({ ...master, peers: [gone, fit("q")] }, 0), undefined);
  assertEquals([handover.demotes, handover.withholds(0)], ["handover", true]);
  assertEquals(handover.start(master, 0), "a handover is under way");
});

/** Started at 0; then how things stand from which millisecond on, and what has come of it. */
const STEPS: readonly (readonly [
  name: string,
  ...steps: (readonly [ms: number, situation: HandoverSituation, state: string, reason?: string])[],
])[] = [
  [
    "is done when the peer is master and this node has all that it has",
    [1, master, "moving"],
    [2, slave, "moving"],
    [3, following, "moving"],
    [4, synced, "done"],
    [HANDOVER_MS * 2, slave, "done"],
  ],
  [
    "fails when the address has not moved in time",
    [HANDOVER_MS - 1, master, "moving"],
    [HANDOVER_MS, master, "failed", "this node is still master: the address has not moved"],
    [HANDOVER_MS + 1, synced, "failed", "this node is still master: the address has not moved"],
  ],
  [
    "fails when nobody is master",
    [1, slave, "moving"],
    [HANDOVER_MS, slave, "failed", "this node is slave, and no peer says that it is master"],
  ],
  [
    "fails when the snapshot does not end",
    [1, following, "moving"],
    [HANDOVER_MS, following, "failed", "p is master, and this node has not yet all that it has"],
  ],
  ["fails on an interface that is down", [
    HANDOVER_MS,
    { ...slave, role: "FAIL" },
    "failed",
    "this node is FAIL",
  ]],
  [
    "fails at once when the last peer goes while this node is master",
    [1, { ...master, peers: [gone] }, "failed", "no peer is connected any more"],
  ],
  [
    "goes on when the peer goes while this node is slave, and is there again",
    [1, { ...slave, peers: [gone] }, "moving"],
    [2, synced, "done"],
  ],
  ["is done at the last moment", [HANDOVER_MS, synced, "done"]],
];

for (const [name, ...steps] of STEPS) {
  Deno.test(`Handover ${name}`, () => {
    const handover = new Handover();
    handover.start(master, 0);
    for (const [ms, situation, state, reason] of steps) {
      handover.step(situation, ms);
      assertEquals(handover.result, reason === undefined ? { state } : { state, reason }, `at ${ms} ms`);
    }
  });
}

Deno.test("Handover keeps this node demoted until it is master again", () => {
  const handover = new Handover();
  handover.start(master, 0);
  handover.step(synced, 1);
  handover.step(synced, 1_000_000);
  assertEquals(handover.demotes, "handover");
  handover.step(master, 1_000_001);
  assertEquals(handover.demotes, undefined);
});

Deno.test("Handover keeps this node demoted until it is called and has all that the master has", () => {
  const handover = new Handover();
  handover.start(master, 0);
  handover.step(synced, 1);
  handover.step({ ...following, called: true }, 2);
  assertEquals(handover.demotes, "handover");
  handover.step({ ...synced, called: true }, 3);
  assertEquals(handover.demotes, undefined);
  handover.step(synced, 4);
  assertEquals(handover.demotes, undefined);
});

Deno.test("Handover lifts the demotion when it has failed", () => {
  const handover = new Handover();
  handover.start(master, 0);
  handover.step(master, HANDOVER_MS);
  assertEquals([handover.demotes, handover.withholds(HANDOVER_MS)], [undefined, false]);
});

Deno.test("Handover withholds deletions until 30 s after stepping down, however it ends", () => {
  for (const situation of [synced, slave]) {
    const handover = new Handover();
    handover.start(master, 0);
    handover.steppedDown(20_000);
    handover.step(situation, HANDOVER_MS);
    assertEquals(handover.withholds(20_000 + WITHHOLD_MS - 1), true);
    assertEquals(handover.withholds(20_000 + WITHHOLD_MS), false);
  }
});

Deno.test("Handover withholds nothing after a step down that nobody has asked for", () => {
  const handover = new Handover();
  handover.steppedDown(0);
  assertEquals(handover.withholds(1), false);
});

// --- nodes ---

const RECORDS = [sa(1), sa(2), policy("10.2.0.0/16")];
const NAMES = RECORDS.map((record) => nameOf(identityOf(record)));

function pair(settings: Partial<NodeSettings> = {}): { clock: TestClock; a: Host; b: Host } {
  const clock = new TestClock();
  const a = new Host("a", 1, clock, { peers: ["b"] }, RECORDS).start("MASTER");
  const b = new Host("b", 2, clock, { peers: ["a"], ...settings }).start("SLAVE");
  connect(a, b);
  settle(a, b);
  return { clock, a, b };
}

function handOver(a: Host): string | undefined {
  return a.node.handOver(a.clock.nowMs);
}

function setRole(host: Host, role: "MASTER" | "SLAVE"): void {
  host.node.setRole(role, "test", host.clock.nowMs);
}

/** Time goes by for both. */
function wait(ms: number, ...hosts: Host[]): void {
  for (let left = ms; left > 0; left -= 1000) {
    hosts[0]!.clock.nowMs += Math.min(1000, left);
    settle(...hosts);
  }
}

const OBSTACLES: readonly (readonly [obstacle: string, make: (a: Host, b: Host) => void])[] = [
  ["is not connected", disconnect],
  ["is INIT", (a, b) => (b.node.setRole("INIT", "test", 0), settle(a, b))],
  ["is FAIL", (a, b) => (b.node.setRole("FAIL", "test", 0), settle(a, b))],
  [
    "has not taken all changes yet (1 left)",
    (a) => {
      a.kernel.disturb({ kind: "put", record: sa(3) });
      a.read();
    },
  ],
  ["is to be slave only", (a, b) => (disconnect(a, b), a.node.peerUp("b", "0".repeat(31) + "2", true))],
  [
    "speaks the classic protocol",
    (a, b) => (disconnect(a, b), a.node.peerUp("b", "0".repeat(31) + "2", false, "classic")),
  ],
  [
    "does not say its role yet",
    (a, b) => (disconnect(a, b), a.node.peerUp("b", "0".repeat(31) + "2", false)),
  ],
  [
    "is demoted: its own status says why",
    (a) => a.node.receive("b", stateOf("SLAVE", 1, { demotion: "other" }), a.clock.nowMs),
  ],
  [
    "has refused what there is (records: 1)",
    (a, b) => {
      b.refuses.add("put sa 3");
      a.kernel.disturb({ kind: "put", record: sa(3) });
      settle(a, b);
    },
  ],
];

for (const [obstacle, make] of OBSTACLES) {
  Deno.test(`Node.handOver() is refused by a peer that ${obstacle}`, () => {
    const { a, b } = pair();
    make(a, b);
    assertEquals(handOver(a), `no peer can take over: b ${obstacle}`);
    assertEquals(a.node.demotion.demoted, false);
  });
}

Deno.test("Node.handOver() begins again when what was refused is gone", () => {
  const { a, b } = pair();
  b.refuses.add("put sa 3");
  a.kernel.disturb({ kind: "put", record: sa(3) });
  settle(a, b);
  a.kernel.disturb({ kind: "delete-sa", id: sa(3).sa });
  settle(a, b);
  assertEquals(handOver(a), undefined);
});

Deno.test("Node.handOver() demotes a master, and is done when the other one is", () => {
  const { clock, a, b } = pair();
  assertEquals(handOver(a), undefined);
  assertEquals([a.node.demotion.demoted, a.node.demotion.reason], [true, "handover"]);
  wait(1000, a, b);
  setRole(b, "MASTER");
  setRole(a, "SLAVE");
  settle(a, b);
  assertEquals(a.node.handover.result, { state: "done" });
  assertEquals(a.node.demotion.demoted, true);
  assertEquals(a.logs.filter((line) => /handover/.test(line)), [
    "handover begins",
    "handover done: b is master",
  ]);
  clock.nowMs += 60_000;
  setRole(a, "MASTER");
  setRole(b, "SLAVE");
  settle(a, b);
  assertEquals(a.node.demotion.demoted, false);
});

/** `from` hands over to `to`, whose address moves. */
function moveFrom(from: Host, to: Host, ...others: Host[]): void {
  assertEquals(handOver(from), undefined);
  wait(1000, from, to, ...others);
  setRole(to, "MASTER");
  setRole(from, "SLAVE");
  wait(3000, from, to, ...others);
  assertEquals(from.node.handover.result, { state: "done" });
}

Deno.test("Node.handOver() back to a node that rests demoted has that lift its demotion", () => {
  const { a, b } = pair();
  moveFrom(a, b);
  wait(60_000, a, b);
  assertEquals([a.node.demotion.demoted, a.node.demotion.cause], [true, "handover"]);
  assertEquals(handOver(b), undefined);
  wait(1000, a, b);
  assertEquals([a.node.demotion.demoted, b.node.demotion.demoted], [false, true]);
  assertEquals(a.node.demotion.reason, "handover is over");
  setRole(a, "MASTER");
  setRole(b, "SLAVE");
  wait(3000, a, b);
  assertEquals([b.node.handover.result.state, b.node.demotion.cause], ["done", "handover"]);
});

Deno.test("Node.handOver() leaves a node at rest when another one can take over", () => {
  const { clock, a, b } = pair({ peers: ["a", "c"] });
  a.node.configure({ ...a.node.settings, peers: ["b", "c"] }, clock.nowMs);
  const c = new Host("c", 3, clock, { peers: ["a", "b"] }).start("SLAVE");
  connect(a, c);
  connect(b, c);
  wait(6000, a, b, c);
  moveFrom(a, b, c);
  assertEquals(handOver(b), undefined);
  wait(1000, a, b, c);
  assertEquals([a, b, c].map((host) => host.node.demotion.cause), ["handover", "handover", "none"]);
});

/** What an IKE daemon does that ends. */
const ENDS: readonly (readonly [what: string, act: (host: Host) => void])[] = [
  [
    "deletes one by one",
    ({ kernel }) => {
      for (const id of [sa(1).sa, sa(2).sa]) kernel.disturb({ kind: "delete-sa", id });
      kernel.disturb({ kind: "delete-policy", id: policy("10.2.0.0/16").policy });
    },
  ],
  [
    "flushes",
    ({ kernel }) => {
      kernel.flushSas(0);
      kernel.flushPolicies(POLICY_TYPE.MAIN);
    },
  ],
  [
    "flushes while its kernel loses events",
    ({ kernel }) => {
      kernel.flushSas(0);
      kernel.flushPolicies(POLICY_TYPE.MAIN);
      kernel.overrun();
    },
  ],
];

for (const [what, end] of ENDS) {
  Deno.test(`Node.handOver() keeps back what an IKE daemon ${what} on the old master`, () => {
    const { a, b } = pair();
    handOver(a);
    end(a);
    wait(2000, a, b);
    assertEquals([a.holds(), b.holds()], [[], NAMES]);
    setRole(a, "SLAVE");
    settle(a, b);
    assertEquals(a.holds().toSorted(), NAMES.toSorted(), "put back before anybody is master");
    setRole(b, "MASTER");
    settle(a, b);
    end(a);
    wait(2000, a, b);
    assertEquals(a.node.handover.result, { state: "done" });
    assertEquals([a.holds().toSorted(), b.holds()], [NAMES.toSorted(), NAMES]);
  });

  Deno.test(`Node.handOver() tells what an IKE daemon ${what} when it has failed`, () => {
    const { a, b } = pair();
    handOver(a);
    wait(1000, a, b);
    end(a);
    wait(HANDOVER_MS - 2000, a, b);
    assertEquals(b.holds(), NAMES);
    wait(2000, a, b);
    assertEquals(a.node.handover.result.state, "failed");
    assertEquals([a.holds(), b.holds()], [[], []]);
    assertEquals(a.logs.at(-1), "handover failed: this node is still master: the address has not moved");
  });
}

Deno.test("Node.handOver() keeps nothing back that has come again", () => {
  const { a, b } = pair();
  handOver(a);
  a.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  settle(a, b);
  a.kernel.disturb({ kind: "put", record: sa(1) });
  wait(HANDOVER_MS, a, b);
  assertEquals(b.holds().toSorted(), NAMES.toSorted());
});

Deno.test("Node.handOver() tells an expiry at once", () => {
  const { a, b } = pair();
  handOver(a);
  a.kernel.expire(sa(1).sa);
  settle(a, b);
  assertEquals(b.holds(), NAMES.slice(1));
});

Deno.test("Node.handOver() keeps back what is deleted by a master that has the address again", () => {
  const { a, b } = pair();
  handOver(a);
  setRole(a, "SLAVE");
  wait(1000, a, b);
  setRole(a, "MASTER");
  wait(1000, a, b);
  a.kernel.disturb({ kind: "delete-sa", id: sa(1).sa });
  wait(1000, a, b);
  assertEquals(b.holds().toSorted(), NAMES.toSorted());
  wait(HANDOVER_MS, a, b);
  assertEquals([a.node.handover.result.state, b.holds().includes("sa 1")], ["failed", false]);
});
