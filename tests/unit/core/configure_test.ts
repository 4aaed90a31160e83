/** Another configuration while the node runs: what it shares from now on, and whom it knows. */

import { assertEquals } from "@std/assert";
import type { NodeChoices } from "../../../src/core/parts.ts";
import { addr } from "../../fakes/records.ts";
import { connect, Host, nodeId, OWNERSHIP, sa, settle, stateOf, TestClock } from "./support.ts";

const FAR = addr("198.51.100.77");
const FAR_IS_LOCAL = {
  ...OWNERSHIP,
  local: [...OWNERSHIP.local, { address: FAR, bits: 32 }],
};

function choices(host: Host, changed: Partial<NodeChoices>): NodeChoices {
  return { ...host.node.settings, ...changed };
}

function pair(): [Host, Host] {
  const clock = new TestClock();
  const one = new Host("gw0", 1, clock, { peers: ["gw1"] }, [sa(1), sa(2, { dst: FAR })]).start("MASTER");
  const two = new Host("gw1", 2, clock, { peers: ["gw0"] }).start("SLAVE");
  connect(one, two);
  settle(one, two);
  assertEquals(two.holds(), ["sa 1", "sa 2"]);
  return [one, two];
}

function configure(host: Host, changed: Partial<NodeChoices>): void {
  host.node.configure(choices(host, changed), host.clock.nowMs);
}

for (const order of ["slave first", "master first"]) {
  Deno.test(`Node.configure() keeps to itself what is local from now on, and shares it again, ${order}`, () => {
    const [one, two] = pair();
    for (const ownership of [FAR_IS_LOCAL, OWNERSHIP]) {
      for (const host of order === "slave first" ? [two, one] : [one, two]) {
        configure(host, { ownership });
        settle(one, two);
      }
      const isLocal = ownership === FAR_IS_LOCAL;
      assertEquals([one.node.mirror.size, two.node.mirror.size], isLocal ? [1, 1] : [2, 2]);
      assertEquals([one.holds(), two.node.synced], [["sa 1", "sa 2"], true]);
    }
    assertEquals(two.holds(), ["sa 1", "sa 2"]);
  });
}

Deno.test("Node.configure() without other addresses asks nobody for anything", () => {
  const [one, two] = pair();
  const { dumps } = two;
  configure(two, { strictReplay: true });
  configure(one, { peers: ["gw1", "gw2"] });
  two.takeSent();
  settle(one, two);
  assertEquals([two.dumps, two.node.synced], [dumps, true]);
});

Deno.test("Node.configure() with another peer: it gets everything, and what is new is offered to it", () => {
  const [one, two] = pair();
  const three = new Host("gw2", 3, one.clock, { peers: ["gw0", "gw1"] }).start("SLAVE");
  for (const host of [one, two]) {
    configure(host, { peers: ["gw0", "gw1", "gw2"].filter((name) => name !== host.name) });
  }
  connect(one, three);
  connect(two, three);
  settle(one, two, three);
  assertEquals(three.holds(), ["sa 1", "sa 2"]);
});

Deno.test("Node.configure() of a master: a new peer that becomes master without asking is offered all", () => {
  const [one] = pair();
  configure(one, { peers: ["gw1", "gw2"] });
  one.node.setRole("SLAVE", "test", one.clock.nowMs);
  one.node.peerUp("gw2", nodeId(3), false);
  one.takeSent();
  one.node.receive("gw2", stateOf("MASTER", 9, { master: 3, following: true }), one.clock.nowMs);
  assertEquals(one.takeSent().filter(({ type }) => type === "put").length, 2);
});
