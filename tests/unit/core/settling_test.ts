import { assertEquals } from "@std/assert";
import { SETTLE_MS, Settling } from "../../../src/core/settling.ts";
import type { Role } from "../../../src/ports.ts";

/** What is seen at which millisecond, and what is followed then. */
type Step = readonly [ms: number, seen: Role | undefined, followed: Role | undefined];

const CASES: readonly (readonly [name: string, ...steps: Step[]])[] = [
  ["follows the first state at once", [0, "MASTER", "MASTER"], [1, undefined, undefined]],
  ["follows the first change at once", [0, "SLAVE", "SLAVE"], [1, "MASTER", "MASTER"]],
  ["does not follow what it has", [0, "SLAVE", "SLAVE"], [1, "SLAVE", undefined], [
    9999,
    undefined,
    undefined,
  ]],
  [
    "lets a second change wait",
    [0, "SLAVE", "SLAVE"],
    [1000, "MASTER", "MASTER"],
    [1001, "SLAVE", undefined],
    [999 + SETTLE_MS, undefined, undefined],
    [1000 + SETTLE_MS, undefined, "SLAVE"],
  ],
  [
    "forgets a flap that is over",
    [0, "SLAVE", "SLAVE"],
    [1000, "MASTER", "MASTER"],
    [1001, "SLAVE", undefined],
    [1002, "MASTER", undefined],
    [9999, undefined, undefined],
  ],
  [
    "follows what has become of a flapping state",
    [0, "MASTER", "MASTER"],
    [1000, "SLAVE", "SLAVE"],
    [1100, "MASTER", undefined],
    [1200, "FAIL", undefined],
    [1000 + SETTLE_MS, undefined, "FAIL"],
  ],
  [
    "does not let a takeover wait for a change between others",
    [0, "FAIL", "FAIL"],
    [1000, "SLAVE", "SLAVE"],
    [1001, "MASTER", "MASTER"],
  ],
];

for (const [name, ...steps] of CASES) {
  Deno.test(`Settling ${name}`, () => {
    const settling = new Settling();
    for (const [ms, seen, followed] of steps) {
      if (seen !== undefined) settling.see({ role: seen, reason: "test" });
      assertEquals(settling.take(ms)?.role, followed, `at ${ms}`);
    }
  });
}

Deno.test("Settling.dueMs is when a waiting change is followed", () => {
  const settling = new Settling();
  assertEquals(settling.dueMs, Infinity);
  const see = (role: Role, nowMs: number) => {
    settling.see({ role, reason: "test" });
    settling.take(nowMs);
  };
  see("SLAVE", 0);
  see("MASTER", 1000);
  assertEquals(settling.dueMs, Infinity);
  see("SLAVE", 1001);
  assertEquals(settling.dueMs, 1000 + SETTLE_MS);
});
