/** What the core asks for. */

import { assertEquals } from "@std/assert";
import { Effects } from "../../../src/core/effect.ts";

Deno.test("Effects.take() gives everything once, in its order", () => {
  const effects = new Effects();
  effects.send("a", { type: "ack", change: 1 });
  effects.log("state", "first");
  effects.dump();
  effects.close("a", "why");
  effects.log("error", "second", "topic");
  assertEquals(effects.take(), [
    { kind: "send", peer: "a", message: { type: "ack", change: 1 } },
    { kind: "log", level: "state", text: "first" },
    { kind: "dump" },
    { kind: "close", peer: "a", reason: "why" },
    { kind: "log", level: "error", text: "second", once: "topic" },
  ]);
  assertEquals(effects.take(), []);
});
