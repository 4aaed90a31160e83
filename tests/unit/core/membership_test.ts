/** Roles and epochs: each rule is a test. Node 1 is the one under test, A, B and C are its peers. */

import { assertEquals, assertThrows } from "@std/assert";
import { Membership, STARTING_MS } from "../../../src/core/membership.ts";
import type { State } from "../../../src/wire/native/message.ts";
import { PeerError } from "../../../src/errors.ts";
import { nodeId, stateOf } from "./support.ts";

const SELF = 1;
const A = 0xa;
const B = 0xb;

/** A node whose peers A and B are there, and that nothing demotes. */
function node({ peers = ["A", "B"], slaveOnly = false } = {}): Membership {
  const membership = new Membership(nodeId(SELF), peers);
  membership.join("A", nodeId(A), slaveOnly);
  membership.join("B", nodeId(B), false);
  membership.setDemotion("none");
  return membership;
}

/** A node that acts as master in epoch 1 and has heard of nobody. */
function master(): Membership {
  const membership = node({ peers: [] });
  membership.setRole("MASTER", 0);
  membership.tick(0);
  return membership;
}

/** A slave that follows A in epoch 5. */
function slave(): Membership {
  const membership = node();
  membership.setRole("SLAVE", 0);
  membership.hear("A", stateOf("MASTER", 5, { master: A, following: true }));
  return membership;
}

Deno.test("Membership.setRole() tells whether the role is another", () => {
  const membership = node();
  assertEquals(membership.role, "INIT");
  assertEquals(membership.setRole("SLAVE", 0), true);
  assertEquals(membership.setRole("SLAVE", 0), false);
});

Deno.test("Membership.tick() lets a starting master speak when every peer has spoken", () => {
  const membership = node();
  membership.setRole("MASTER", 0);
  assertEquals(membership.tick(0), false);
  assertEquals(membership.state().role, "INIT", "not MASTER before it may speak");
  membership.hear("A", stateOf("SLAVE", 3));
  assertEquals(membership.tick(10), false);
  membership.hear("B", stateOf("SLAVE", 7));
  assertEquals(membership.tick(20), true);
  assertEquals([membership.acting, membership.epoch, membership.state().role], [true, 8, "MASTER"]);
  assertEquals(membership.tick(30), false, "once only");
});

Deno.test("Membership.tick() lets a starting master speak after two seconds", () => {
  const membership = node();
  membership.setRole("MASTER", 500);
  membership.hear("A", stateOf("SLAVE", 3));
  assertEquals(membership.tick(500 + STARTING_MS - 1), false);
  assertEquals(membership.tick(500 + STARTING_MS), true);
  assertEquals(membership.epoch, 4, "above what it has heard");
});

Deno.test("Membership.tick() waits for a peer whose session has gone", () => {
  const membership = node();
  membership.hear("A", stateOf("SLAVE", 3));
  membership.hear("B", stateOf("SLAVE", 3));
  membership.leave("B");
  membership.setRole("MASTER", 0);
  assertEquals(membership.tick(0), false);
});

Deno.test("Membership.tick() does nothing when the role has gone before the wait was over", () => {
  const membership = node();
  membership.setRole("MASTER", 0);
  membership.setRole("SLAVE", 10);
  assertEquals([membership.tick(STARTING_MS), membership.epoch], [false, 0]);
});

Deno.test("Membership.tick() waits anew when the role comes back", () => {
  const membership = node();
  membership.setRole("MASTER", 0);
  membership.setRole("SLAVE", 10);
  membership.setRole("MASTER", 1000);
  assertEquals(membership.tick(STARTING_MS), false);
});

Deno.test("Membership.hear() raises no epoch while the master is starting", () => {
  const membership = node();
  membership.setRole("MASTER", 0);
  membership.hear("A", stateOf("SLAVE", 9));
  assertEquals([membership.epoch, membership.greatestEpoch], [0, 9]);
});

const raising: [what: string, state: ReturnType<typeof stateOf>, epoch: number][] = [
  ["leaves the epoch for a slave of a smaller one", stateOf("SLAVE", 0), 1],
  ["leaves the epoch for a slave that follows it", stateOf("SLAVE", 1, { master: SELF, following: true }), 1],
  ["leaves the epoch for a slave that was its own", stateOf("SLAVE", 1, { master: SELF }), 1],
  ["leaves the epoch for a fresh slave", stateOf("SLAVE", 1), 1],
  ["raises above a slave's epoch of another master", stateOf("SLAVE", 1, { master: B }), 2],
  ["raises above a greater epoch", stateOf("SLAVE", 7, { master: B }), 8],
  [
    "raises above a greater epoch that was only seen",
    stateOf("SLAVE", 1, { greatestEpoch: 9, master: SELF }),
    10,
  ],
  [
    "raises above one seen by its own slave",
    stateOf("SLAVE", 1, { greatestEpoch: 9, master: SELF, following: true }),
    10,
  ],
  ["raises above a node that is starting", stateOf("INIT", 4, { master: A }), 5],
  ["raises above a node that has failed", stateOf("FAIL", 4, { master: A }), 5],
  [
    "leaves the epoch for a slave of another live master",
    stateOf("SLAVE", 7, { master: B, following: true }),
    1,
  ],
  ["leaves the epoch for a master", stateOf("MASTER", 7, { master: A, following: true }), 1],
];

for (const [what, state, epoch] of raising) {
  Deno.test(`Membership.hear() ${what}`, () => {
    const membership = master();
    assertEquals(membership.hear("A", state), epoch > 1, "says so when it has");
    assertEquals(membership.epoch, epoch);
    assertEquals(membership.greatestEpoch, Math.max(epoch, state.greatestEpoch));
  });
}

Deno.test("Membership.hear() raises once for what it hears again", () => {
  const membership = master();
  const state = stateOf("SLAVE", 7, { master: B });
  assertEquals([membership.hear("A", state), membership.hear("A", state)], [true, false]);
  assertEquals(membership.epoch, 8);
});

Deno.test("Membership.hear() counts two masters once, and raises when one steps down", () => {
  const membership = master();
  const other = { master: A, following: true };
  assertEquals(membership.hear("A", stateOf("MASTER", 4, other)), false);
  assertEquals(membership.hear("A", stateOf("MASTER", 5, other)), false);
  assertEquals([membership.twoMasters, membership.epoch, membership.acting], [1, 1, true]);
  assertEquals(membership.hear("A", stateOf("SLAVE", 5, { master: A })), true);
  assertEquals(membership.epoch, 6);
});

Deno.test("Membership.laterMaster is a master of a later epoch, as long as both are", () => {
  const membership = master();
  membership.hear("A", stateOf("MASTER", 1, { master: A, following: true }));
  assertEquals(membership.laterMaster, undefined);
  membership.hear("A", stateOf("MASTER", 2, { master: A, following: true }));
  assertEquals(membership.laterMaster, "A");
  membership.setRole("SLAVE", 0);
  assertEquals(membership.laterMaster, undefined);
});

Deno.test("Membership.hear() never starts a race between two masters that share a slave", () => {
  const nodes = [
    new Membership(nodeId(A), []),
    new Membership(nodeId(B), []),
    new Membership(nodeId(SELF), []),
  ];
  const [a, b, shared] = nodes as [Membership, Membership, Membership];
  for (const one of nodes) {
    for (const [i, other] of nodes.entries()) if (one !== other) one.join(String(i), other.nodeId, false);
    one.setRole(one === shared ? "SLAVE" : "MASTER", 0);
    one.tick(0);
  }
  // all say their STATE to all, again whenever one is to be said again
  let waiting = [a, b, shared];
  for (let round = 0; waiting.length > 0; round++) {
    if (round > 10) throw new Error(`epochs race: ${nodes.map(({ epoch }) => epoch)}`);
    const speaking = waiting;
    waiting = [];
    for (const speaker of speaking) {
      for (const one of nodes) {
        if (one !== speaker && one.hear(String(nodes.indexOf(speaker)), speaker.state())) waiting.push(one);
      }
    }
  }
  assertEquals(shared.followed, "1", "the one with the greater node id");
  assertEquals([a.acting, b.acting], [true, true]);
});

Deno.test("Membership.hear() refuses an epoch that is more than 2^32 ahead", () => {
  for (const fault of [stateOf("SLAVE", 2 ** 32 + 2), stateOf("SLAVE", 1, { greatestEpoch: 2 ** 32 + 2 })]) {
    const membership = master();
    membership.hear("A", stateOf("SLAVE", 1, { master: SELF }));
    assertThrows(() => membership.hear("A", fault), PeerError, "too far ahead");
    assertEquals([membership.epoch, membership.greatestEpoch], [1, 1]);
  }
  const membership = master();
  membership.hear("A", stateOf("SLAVE", 2 ** 32 + 1, { master: A }));
  assertEquals(membership.epoch, 2 ** 32 + 2);
});

Deno.test("Membership.hear() passes over a peer without a session", () => {
  const membership = master();
  assertEquals(membership.hear("C", stateOf("SLAVE", 9, { master: A })), false);
  assertEquals(membership.greatestEpoch, 1);
});

const following: [
  what: string,
  a: ReturnType<typeof stateOf>,
  b: ReturnType<typeof stateOf>,
  peer: string | undefined,
][] = [
  ["nobody while none is master", stateOf("SLAVE", 3), stateOf("INIT", 4), undefined],
  ["the only master", stateOf("MASTER", 1), stateOf("SLAVE", 4), "A"],
  ["the master of the greater epoch", stateOf("MASTER", 5), stateOf("MASTER", 4), "A"],
  ["the greater node id in the same epoch", stateOf("MASTER", 5), stateOf("MASTER", 5), "B"],
];

for (const [what, a, b, peer] of following) {
  Deno.test(`Membership.followed is ${what}`, () => {
    const membership = node();
    membership.setRole("SLAVE", 0);
    membership.hear("A", a);
    membership.hear("B", b);
    assertEquals(membership.followed, peer);
  });
}

Deno.test("Membership.followed is never a peer that may be slave only", () => {
  const membership = node({ slaveOnly: true });
  membership.setRole("SLAVE", 0);
  membership.hear("A", stateOf("MASTER", 9));
  assertEquals([membership.followed, membership.epoch], [undefined, 0]);
  membership.hear("B", stateOf("MASTER", 2));
  assertEquals([membership.followed, membership.epoch], ["B", 2]);
});

Deno.test("Membership.followed is never a master of the past", () => {
  const membership = slave();
  membership.leave("A");
  membership.refresh();
  membership.hear("B", stateOf("MASTER", 4));
  assertEquals([membership.followed, membership.epoch], [undefined, 5]);
  membership.hear("B", stateOf("MASTER", 6));
  assertEquals([membership.followed, membership.epoch], ["B", 6]);
});

Deno.test("Membership.setRole() follows another master at once, and it is said when that steps down too", () => {
  const membership = master();
  membership.hear("A", stateOf("MASTER", 3, { master: A, following: true }));
  membership.setRole("SLAVE", 0);
  assertEquals(membership.state(), stateOf("SLAVE", 3, { master: A, following: true }));
  assertEquals(membership.hear("A", stateOf("SLAVE", 3, { master: A })), true);
  assertEquals(membership.state(), stateOf("SLAVE", 3, { master: A }));
});

Deno.test("Membership.followed is nobody for a master", () => {
  const membership = slave();
  membership.setRole("MASTER", 0);
  assertEquals(membership.followed, undefined);
});

Deno.test("Membership.followed is a master also for a node that is neither master nor slave", () => {
  const membership = slave();
  membership.setRole("FAIL", 0);
  assertEquals(membership.followed, "A");
});

Deno.test("Membership.hear() adopts the followed master's epoch and says so once", () => {
  const membership = node();
  membership.setRole("SLAVE", 0);
  const state = stateOf("MASTER", 5, { master: A, following: true });
  assertEquals([membership.hear("A", state), membership.hear("A", state)], [true, false]);
  assertEquals(membership.state(), { ...stateOf("SLAVE", 5, { master: A, following: true }) });
});

Deno.test("Membership.refresh() says when the followed master has gone", () => {
  const membership = slave();
  membership.leave("A");
  assertEquals([membership.refresh(), membership.refresh()], [true, false]);
  assertEquals(membership.state(), stateOf("SLAVE", 5, { master: A }), "it stands in that epoch still");
});

Deno.test("Membership.refresh() has nothing to say as master", () => {
  const membership = master();
  membership.leave("A");
  assertEquals(membership.refresh(), false);
});

Deno.test("Membership.join() forgets what an earlier session said", () => {
  const membership = slave();
  membership.join("A", nodeId(0xaa), false);
  assertEquals(membership.followed, undefined);
});

Deno.test("Membership.setDemotion() says once that it is new", () => {
  const membership = node();
  assertEquals([membership.setDemotion("other"), membership.setDemotion("other")], [true, false]);
  assertEquals(membership.state().demotion, "other");
});

const CALLS: readonly (readonly [what: string, called: boolean, a: State, b: State])[] = [
  ["a master hands over and nobody else is there", true, calling(), stateOf("FAIL", 5)],
  ["the other slave rests, too", true, calling(), stateOf("SLAVE", 5, { demotion: "handover" })],
  ["the other slave lacks something", true, calling(), stateOf("SLAVE", 5, { demotion: "other" })],
  ["the other slave can take over", false, calling(), stateOf("SLAVE", 5)],
  ["the master does not hand over", false, stateOf("MASTER", 5), stateOf("FAIL", 5)],
  ["a slave has handed over", false, stateOf("SLAVE", 5, { demotion: "handover" }), stateOf("FAIL", 5)],
];

for (const [what, called, a, b] of CALLS) {
  Deno.test(`Membership.isCalled is ${called} when ${what}`, () => {
    const membership = node();
    membership.setRole("SLAVE", 0);
    membership.hear("A", a);
    membership.hear("B", b);
    assertEquals(membership.isCalled, called);
  });
}

function calling(): State {
  return stateOf("MASTER", 5, { demotion: "handover" });
}

Deno.test("Membership.state() states the own id as master", () => {
  assertEquals(master().state(), stateOf("MASTER", 1, { master: SELF, following: true }));
});

Deno.test("Membership.state() states nobody at the start", () => {
  assertEquals(node().state(), stateOf("INIT", 0));
});

// --- peers without epochs ---

/** A slave with the native peers A and B and the classic ones P and Q. */
function mixed(): Membership {
  const membership = node({ peers: ["A", "B", "P", "Q"] });
  membership.join("P", nodeId(0xc1), false, true);
  membership.join("Q", nodeId(0xc2), false, true);
  membership.setRole("SLAVE", 0);
  return membership;
}

Deno.test("Membership follows a master without epoch, and keeps the epoch that it had", () => {
  const membership = mixed();
  membership.hear("A", stateOf("MASTER", 5, { master: A, following: true }));
  membership.hear("A", stateOf("SLAVE", 5, { master: A }));
  assertEquals(membership.hear("P", stateOf("MASTER", 0)), true);
  assertEquals([membership.followed, membership.epoch], ["P", 5]);
  assertEquals(membership.state().master, Uint8Array.fromHex(nodeId(0xc1)));
  assertEquals(membership.state().following, true);
});

Deno.test("Membership follows of masters without epoch the one that became it last", () => {
  const membership = mixed();
  membership.hear("Q", stateOf("MASTER", 0));
  membership.hear("P", stateOf("MASTER", 0));
  assertEquals(membership.followed, "P");
  membership.hear("Q", stateOf("MASTER", 0));
  assertEquals(membership.followed, "P", "Q has only said it again");
  membership.hear("Q", stateOf("SLAVE", 0));
  membership.hear("Q", stateOf("MASTER", 0));
  assertEquals(membership.followed, "Q");
  membership.leave("Q");
  assertEquals(membership.followed, "P");
});

Deno.test("Membership follows a native master rather than one without epoch", () => {
  const membership = mixed();
  membership.hear("P", stateOf("MASTER", 0));
  membership.hear("A", stateOf("MASTER", 1, { master: A, following: true }));
  assertEquals([membership.followed, membership.epoch], ["A", 1]);
  membership.leave("A");
  assertEquals([membership.followed, membership.epoch], ["P", 1]);
});

Deno.test("Membership as master keeps its epoch when a classic peer speaks", () => {
  const membership = master();
  membership.join("P", nodeId(0xc1), false, true);
  assertEquals(membership.hear("P", stateOf("SLAVE", 0)), false);
  assertEquals(membership.epoch, 1);
  assertEquals(membership.hear("P", stateOf("MASTER", 0)), false);
  assertEquals([membership.twoMasters, membership.epoch], [1, 1]);
});

Deno.test("Membership.hear() leaves epochs for all times to come", () => {
  const membership = master();
  membership.greatestEpoch = 2 ** 52;
  assertThrows(() => membership.hear("A", stateOf("SLAVE", 2 ** 52 + 2 ** 20)), PeerError, "too far ahead");
  membership.hear("A", stateOf("SLAVE", 2 ** 52 + 1, { master: A }));
  assertEquals(membership.epoch, 2 ** 52 + 2);
});

Deno.test("Membership.hear() of a node that knows no epoch takes what the others have leaped to", () => {
  const late = 2 ** 32 + 2;
  const fresh = node();
  fresh.setRole("SLAVE", 0);
  fresh.hear("B", stateOf("SLAVE", 0));
  fresh.hear("A", stateOf("MASTER", late, { master: A, following: true }));
  assertEquals([fresh.followed, fresh.epoch], ["A", late]);
  assertThrows(() => fresh.hear("B", stateOf("SLAVE", late + 2 ** 32 + 1)), PeerError, "too far ahead");

  const alone = master();
  alone.hear("A", stateOf("SLAVE", late, { master: B }));
  assertEquals([alone.epoch, alone.acting], [late + 1, true]);
});

Deno.test("Membership.hear() of a node that knows no epoch believes neither a slave only nor the last ones", () => {
  const membership = node({ slaveOnly: true });
  assertThrows(() => membership.hear("A", stateOf("SLAVE", 2 ** 32 + 2)), PeerError, "too far ahead");
  membership.hear("A", stateOf("SLAVE", 1));
  assertThrows(() => membership.hear("B", stateOf("MASTER", 2 ** 52 + 1)), PeerError, "too far ahead");
  membership.hear("B", stateOf("MASTER", 2 ** 32 + 2, { master: B, following: true }));
  assertEquals(membership.greatestEpoch, 2 ** 32 + 2, "what the slave only has said is no measure");
});
