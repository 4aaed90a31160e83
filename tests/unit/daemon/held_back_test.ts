/** A slave whose kernel could not go on with the master's outbound SAs: demoted for good, and the status says why. */

import { assert, assertEquals } from "@std/assert";
import { NO_TAKEOVER } from "../../../src/core/held_back.ts";
import { statusOf } from "../../../src/daemon/status_view.ts";
import { printStatus } from "../../../src/status/print_status.ts";
import { PLAIN } from "../../../src/status/text.ts";
import { connect, Host, policy, sa, settle, TestClock } from "../core/support.ts";

const outbound = sa(1);
const inbound = sa(2, { src: outbound.sa.dst, dst: outbound.sa.src });
const REASON = "this kernel does not hold all (refused: 1)";

/** The master `a`, and `b`, which has what `takeover` none leaves it; a minute later. */
function pair() {
  const clock = new TestClock();
  const a = new Host("a", 1, clock, { peers: ["b"] }, [outbound, inbound, policy("10.2.0.0/16")]).start(
    "MASTER",
  );
  const b = new Host("b", 2, clock, { peers: ["a"], takeover: () => "none" }).start("SLAVE");
  connect(a, b);
  const wait = (ms: number) => {
    for (const endMs = clock.nowMs + ms; clock.nowMs < endMs; clock.nowMs += 1000) settle(a, b);
  };
  wait(60_000);
  return { a, b, wait };
}

Deno.test("Node stays demoted while it holds SAs back, and its log says so", () => {
  const { a, b, wait } = pair();
  assertEquals(b.holds(), ["sa 2", "policy 10.2.0.0/16"]);
  assertEquals([b.node.demotion.demoted, b.node.demotion.reason], [true, REASON]);
  assertEquals(b.logs.filter((line) => line.includes(NO_TAKEOVER)).length, 1);
  a.kernel.disturb({ kind: "delete-sa", id: outbound.sa });
  wait(2000);
  assertEquals([b.node.demotion.demoted, b.node.demotion.reason], [false, "synchronised"]);
});

Deno.test("Node.handOver() is refused by a peer that holds SAs back", () => {
  const { a } = pair();
  assertEquals(
    a.node.handOver(a.clock.nowMs),
    "no peer can take over: b is demoted: its own status says why",
  );
});

Deno.test("statusOf() says what a node holds back, and that this demotes it", () => {
  const { b } = pair();
  const known = { protocol: "native", isConnected: true, sinceMs: 0, text: "" } as const;
  const informants = { node: b.node, kernel: b.kernel, peers: { acquaintance: () => known } };
  const view = statusOf(informants, b.clock.nowMs);
  assertEquals([view.demoted, view.demotionReason], [true, REASON]);
  assertEquals(view.refused, [{ reason: NO_TAKEOVER, records: 1 }]);
  assert(printStatus(view, PLAIN).includes(`demotion    demoted: ${REASON}`));
});
