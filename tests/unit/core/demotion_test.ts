/** When a node is demoted, moment by moment. */

import { assertEquals } from "@std/assert";
import { Demotion, PATIENCE_MS, type PeerView, type Situation, WAIT_MS } from "../../../src/core/demotion.ts";

const away = (name = "p"): PeerView => ({ name, live: false, role: undefined });
const silent = (name = "p"): PeerView => ({ name, live: true, role: undefined });
const says = (role: NonNullable<PeerView["role"]>, name = "p"): PeerView => ({ name, live: true, role });

const slave = (peers: readonly PeerView[], more: Partial<Situation> = {}): Situation => ({
  role: "SLAVE",
  peers,
  followed: undefined,
  equal: false,
  complete: false,
  refused: 0,
  ...more,
});
const whole = { followed: "p", equal: true, complete: true };
const synced = slave([says("MASTER")], whole);
const joining = slave([says("MASTER")], { followed: "p" });
const leading = (peers: readonly PeerView[]): Situation => slave(peers, { role: "MASTER" });

/** How things stand from which millisecond on, and whether the node is demoted then. */
type Step = readonly [ms: number, situation: Situation, demoted: boolean];

const CASES: readonly (readonly [name: string, ...steps: Step[]])[] = [
  ["is not for a node without peers", [0, slave([]), false]],
  ["is not for a node that starts as master", [0, leading([away()]), false]],
  [
    "ends when no peer has been reachable for 5 s",
    [0, slave([away()]), true],
    [WAIT_MS - 1, slave([away()]), true],
    [WAIT_MS, slave([away()]), false],
  ],
  ["ends when all peers say that they are slaves", [0, slave([away()]), true], [
    9,
    slave([says("SLAVE")]),
    false,
  ]],
  ["ends when the only peer has failed", [9, slave([says("FAIL")]), false]],
  [
    "waits for each of the peers",
    [0, slave([says("SLAVE", "p"), away("q")]), true],
    [WAIT_MS - 1, slave([says("SLAVE", "p"), away("q")]), true],
    [WAIT_MS, slave([says("SLAVE", "p"), away("q")]), false],
  ],
  [
    "goes on until the master's data is in the kernel",
    [0, joining, true],
    [WAIT_MS * 20, joining, true],
    [WAIT_MS * 20 + 1, slave([says("MASTER")], { ...whole, complete: false }), true],
    [WAIT_MS * 20 + 2, synced, false],
  ],
  [
    "waits for a peer that does not say what it is, and for one that starts",
    [0, slave([silent()]), true],
    [100, slave([says("INIT")]), true],
    [200, joining, true],
    [300, synced, false],
  ],
  [
    "does not wait for ever for a peer that does not say what it is",
    [0, slave([away()]), true],
    [1000, slave([silent()]), true],
    [1000 + WAIT_MS, slave([silent()]), false],
  ],
  [
    "starts anew with a peer that has gone before it was done",
    [0, slave([says("INIT")]), true],
    [4000, slave([away()]), true],
    [4000 + WAIT_MS - 1, slave([away()]), true],
    [4000 + WAIT_MS, slave([away()]), false],
  ],
  [
    "goes on when the master goes before it has sent everything",
    [0, joining, true],
    [1000, slave([away()]), true],
    [WAIT_MS * 20, slave([away()]), true],
  ],
  [
    "comes when the master's session has been gone for 10 s",
    [0, synced, false],
    [1000, slave([away()]), false],
    [1000 + PATIENCE_MS - 1, slave([away()]), false],
    [1000 + PATIENCE_MS, slave([away()]), true],
    [20_000, joining, true],
    [20_001, synced, false],
  ],
  [
    "does not come when the master's session is renewed in time",
    [0, synced, false],
    [1000, slave([away()]), false],
    [9000, joining, false],
    [10_000, synced, false],
    [PATIENCE_MS + 5000, joining, false],
    [PATIENCE_MS + 6000, synced, false],
  ],
  [
    "comes when the node has been unequal for 10 s",
    [0, synced, false],
    [1000, joining, false],
    [1000 + PATIENCE_MS, joining, true],
  ],
  [
    "does not come because changes are on their way into the kernel",
    [0, synced, false],
    [1000, slave([says("MASTER")], { ...whole, complete: false }), false],
    [1000 + PATIENCE_MS * 2, slave([says("MASTER")], { ...whole, complete: false }), false],
  ],
  [
    "goes on while a record is refused, also when nobody is master any more",
    [0, slave([says("MASTER")], { ...whole, refused: 1 }), true],
    [PATIENCE_MS, slave([says("SLAVE")], { refused: 1 }), true],
    [PATIENCE_MS * 2, slave([says("SLAVE")]), false],
  ],
  [
    "comes when a record has been refused for 10 s, and not to a master",
    [0, synced, false],
    [1, slave([says("MASTER")], { ...whole, refused: 1 }), false],
    [1 + PATIENCE_MS, slave([says("MASTER")], { ...whole, refused: 1 }), true],
    [2 + PATIENCE_MS, slave([away()], { role: "MASTER", refused: 1 }), false],
  ],
  [
    "does not come when another slave goes",
    [0, slave([says("MASTER"), says("SLAVE", "q")], whole), false],
    [PATIENCE_MS * 9, slave([says("MASTER"), away("q")], whole), false],
  ],
  [
    "does not come when the master has stepped down before it went",
    [0, synced, false],
    [1000, slave([says("SLAVE")]), false],
    [2000, slave([away()]), false],
    [PATIENCE_MS * 9, slave([away()]), false],
  ],
  [
    "ends with a takeover, and does not come to a master",
    [0, synced, false],
    [1000, slave([away()]), false],
    [1000 + PATIENCE_MS, slave([away()]), true],
    [20_000, leading([away()]), false],
    [PATIENCE_MS * 20, leading([away()]), false],
  ],
  [
    "does not come at once to a master that steps down",
    [0, leading([away()]), false],
    [1000, slave([away()]), false],
    [PATIENCE_MS * 20, slave([away()]), false],
    [PATIENCE_MS * 30, joining, false],
    [PATIENCE_MS * 31, joining, true],
  ],
  [
    "waits for data of one of two masters",
    [0, slave([says("MASTER"), says("MASTER", "q")], { followed: "q" }), true],
    [1000, slave([says("MASTER"), says("MASTER", "q")], { ...whole, followed: "q" }), false],
  ],
  [
    "waits for a master of the past, whom nobody follows",
    [0, slave([says("MASTER")]), true],
    [99_000, slave([says("MASTER")]), true],
  ],
];

for (const [name, ...steps] of CASES) {
  Deno.test(`Demotion ${name}`, () => {
    const demotion = new Demotion();
    assertEquals(demotion.demoted, true, "before it knows anything");
    for (const [ms, situation, demoted] of steps) {
      demotion.step(situation, 1_000_000 + ms);
      assertEquals(demotion.demoted, demoted, `at ${ms}: ${demotion.reason}`);
    }
  });
}

Deno.test("Demotion.reason says why", () => {
  const demotion = new Demotion();
  const reason = (situation: Situation, ms: number) => {
    demotion.step(situation, ms);
    return demotion.reason;
  };
  assertEquals(reason(slave([away()]), 0), "no session with p yet");
  assertEquals(reason(slave([silent()]), 1), "p does not say yet whether it is master");
  assertEquals(reason(joining, 2), "not synchronised with p");
  const lacking = slave([says("MASTER")], { ...whole, refused: 2 });
  assertEquals(reason(lacking, 2), "this kernel does not hold all (refused: 2)");
  assertEquals(reason(synced, 3), "synchronised");
  reason(slave([away()]), 4);
  assertEquals(reason(slave([away()]), 4 + PATIENCE_MS), "no session with p, which was master");
  assertEquals(reason(leading([away()]), 99_999), "master");
});

Deno.test("Demotion.force() demotes whatever else is true, also a master, until it is over", () => {
  const demotion = new Demotion();
  demotion.step(leading([]), 0);
  demotion.force("handover");
  demotion.step(leading([]), 1);
  assertEquals([demotion.demoted, demotion.reason], [true, "handover"]);
  demotion.step(synced, 2);
  assertEquals(demotion.demoted, true);
  demotion.force(undefined);
  assertEquals([demotion.demoted, demotion.reason], [false, "handover is over"]);
});

Deno.test("Demotion.force() leaves a demotion of another reason when it is over", () => {
  const demotion = new Demotion();
  demotion.force("handover");
  demotion.step(joining, 0);
  demotion.force(undefined);
  assertEquals([demotion.demoted, demotion.reason], [true, "not synchronised with p"]);
});
