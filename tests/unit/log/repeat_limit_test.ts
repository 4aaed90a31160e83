import { assertEquals } from "@std/assert";
import { RepeatLimit } from "../../../src/log/repeat_limit.ts";

function start(maxKeys?: number) {
  const said: string[] = [];
  return { said, limit: new RepeatLimit({ say: (text) => said.push(text), quietMs: 1000, maxKeys }) };
}

Deno.test("RepeatLimit says the first message of each key", () => {
  const { said, limit } = start();
  for (let packet = 0; packet < 100; packet++) {
    limit.once("a", "bad packet from a", packet);
    limit.once("b", "bad packet from b", packet);
  }
  assertEquals(said, ["bad packet from a", "bad packet from b"]);
});

Deno.test("RepeatLimit tells how often a message came again, when its quiet time is over", () => {
  const { said, limit } = start();
  for (const nowMs of [0, 1, 2]) limit.once("a", "x", nowMs);
  limit.flush(999);
  assertEquals(said, ["x"]);
  limit.flush(1000);
  assertEquals(said, ["x", "x (and 2 times more)"]);
  limit.once("a", "x", 1500);
  limit.flush(2000);
  assertEquals(said, ["x", "x (and 2 times more)", "x (and once more)"]);
});

Deno.test("RepeatLimit tells before the next message when nobody flushed", () => {
  const { said, limit } = start();
  for (const nowMs of [0, 1, 5000]) limit.once("a", "x", nowMs);
  assertEquals(said, ["x", "x (and once more)", "x"]);
});

Deno.test("RepeatLimit forgets a key that was quiet", () => {
  const { said, limit } = start(1);
  limit.once("a", "a", 0);
  limit.flush(1000);
  limit.once("b", "b", 1001);
  limit.once("b", "b", 1002);
  assertEquals(said, ["a", "b"]);
});

Deno.test("RepeatLimit stays quiet when the keys are more than it remembers", () => {
  const { said, limit } = start(2);
  for (let key = 0; key < 100; key++) limit.once(`key ${key}`, `from ${key}`, 0);
  assertEquals(said, ["from 0", "from 1", "from 2"]);
  limit.flush(1000);
  assertEquals(said.slice(3), ["from 99 (and 97 times more)"]);
});
