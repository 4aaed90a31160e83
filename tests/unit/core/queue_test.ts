/** What waits for the own kernel, and which change numbers that holds up. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ApplyQueue } from "../../../src/core/queue.ts";
import { identityOf, recordKey } from "../../../src/record/record.ts";
import { nameOf, policy, sa } from "./support.ts";

const id = (spi: number) => identityOf(sa(spi));
const key = (spi: number) => recordKey(sa(spi));

/** Takes the first and is done with it. */
function work(queue: ApplyQueue): string | undefined {
  const waiting = queue.shift();
  if (waiting !== undefined) queue.done(waiting.key);
  return waiting && nameOf(waiting.identity);
}

Deno.test("ApplyQueue.shift() gives each identity once, in the order of the first asking", () => {
  const queue = new ApplyQueue();
  for (const spi of [2, 1, 2, 2]) queue.add(id(spi));
  queue.add(identityOf(policy("10.2.0.0/16")));
  assertEquals([queue.size, queue.has(key(2)), queue.has(key(3))], [3, true, false]);
  assertEquals([work(queue), work(queue), work(queue), work(queue)], [
    "sa 2",
    "sa 1",
    "policy 10.2.0.0/16",
    undefined,
  ]);
});

Deno.test("ApplyQueue.shift() gives an identity again that came again", () => {
  const queue = new ApplyQueue();
  queue.add(id(1));
  assertEquals(work(queue), "sa 1");
  assertEquals(work(queue), undefined);
  queue.add(id(2));
  queue.add(id(1));
  assertEquals([work(queue), work(queue), work(queue)], ["sa 2", "sa 1", undefined]);
});

const merged: [what: string, asked: Parameters<ApplyQueue["add"]>[1][], force: boolean, remove: boolean][] = [
  ["nothing special", [{}], false, false],
  ["force, once asked for", [{ force: true }, {}], true, false],
  ["force, asked for later", [{}, { force: true }], true, false],
  ["removal", [{}, { remove: true }], false, true],
  ["no removal after the record has come back", [{ remove: true }, {}], false, false],
];

for (const [what, asked, force, remove] of merged) {
  Deno.test(`ApplyQueue.add() keeps ${what}`, () => {
    const queue = new ApplyQueue();
    for (const how of asked) queue.add(id(1), how);
    const waiting = queue.shift()!;
    assertEquals([waiting.force, waiting.remove], [force, remove]);
  });
}

Deno.test("ApplyQueue.settled() is all that was received when nothing waits", () => {
  const queue = new ApplyQueue();
  assertEquals(queue.settled(17), 17);
  queue.add(id(1)); // a repair: nobody waits for its acknowledgement
  assertEquals(queue.settled(18), 18);
});

Deno.test("ApplyQueue.settled() stops before the first change that is not done", () => {
  const queue = new ApplyQueue();
  for (const change of [3, 4, 5]) queue.add(id(change), { change });
  assertEquals(queue.settled(9), 2);
  const third = queue.shift()!;
  assertEquals(queue.settled(9), 2, "taken is not done");
  queue.done(third.key);
  assertEquals(queue.settled(9), 3);
  work(queue);
  work(queue);
  assertEquals(queue.settled(9), 9);
});

Deno.test("ApplyQueue.settled() holds a record's first change until its latest state is done", () => {
  const queue = new ApplyQueue();
  queue.add(id(1), { change: 1 });
  queue.add(id(2), { change: 2 });
  queue.add(id(1), { change: 3 });
  assertEquals(queue.settled(3), 0);
  work(queue);
  assertEquals(queue.settled(3), 1);
  work(queue);
  assertEquals(queue.settled(3), 3);
});

Deno.test("ApplyQueue.settled() holds a change whose record came again while it was worked on", () => {
  const queue = new ApplyQueue();
  queue.add(id(1), { change: 1 });
  const waiting = queue.shift()!;
  queue.add(id(1), { change: 2 });
  queue.done(waiting.key);
  assertEquals(queue.settled(2), 0);
  work(queue);
  assertEquals(queue.settled(2), 2);
});

Deno.test("ApplyQueue.forgetOwed() leaves what waits, but owes nothing for it", () => {
  const queue = new ApplyQueue();
  queue.add(id(1), { change: 5 });
  assertEquals(queue.settled(5), 4);
  queue.forgetOwed();
  queue.add(id(2), { change: 2 }); // another master counts from the beginning
  queue.add(id(1), { change: 5 });
  assertEquals([queue.settled(9), queue.size], [1, 2]);
  queue.forgetOwed();
  assertEquals([queue.settled(9), queue.size], [9, 2]);
});

Deno.test("ApplyQueue.drain() gives everything and owes nothing", () => {
  const queue = new ApplyQueue();
  queue.add(id(1), { change: 1 });
  queue.add(id(2), { change: 2, remove: true });
  assertEquals(queue.drain().map(({ identity }) => nameOf(identity)), ["sa 1", "sa 2"]);
  assertEquals([queue.size, queue.settled(2), queue.shift()], [0, 2, undefined]);
});

Deno.test("ApplyQueue.settled() never runs ahead of what is done", () => {
  const step = fc.record({ act: fc.constantFrom("add", "work", "forget"), spi: fc.nat(5) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const queue = new ApplyQueue();
    const open = new Map<number, number>(); // spi to the first change that is not done
    let received = 0;
    for (const { act, spi } of steps) {
      if (act === "work") open.delete(Number(work(queue)?.slice(3) ?? -1));
      else if (act === "forget") {
        queue.forgetOwed();
        open.clear();
        received = 0;
      } else {
        queue.add(id(spi), { change: ++received });
        if (!open.has(spi)) open.set(spi, received);
      }
      assertEquals(queue.settled(received), open.size === 0 ? received : Math.min(...open.values()) - 1);
    }
  }));
});

Deno.test("ApplyQueue.shift() empties a queue of 100,000 soon", () => {
  const queue = new ApplyQueue();
  const count = 100_000;
  for (let spi = 1; spi <= count; spi++) queue.add(id(spi), { change: spi });
  const startMs = performance.now();
  for (let done = 1; work(queue) !== undefined; done++) assertEquals(queue.settled(count) >= done, true);
  assert(performance.now() - startMs < 3000);
});
