import { assertEquals } from "@std/assert";
import { KnownOrder } from "../../../src/daemon/known_order.ts";

function sorted(order: KnownOrder, ...dumped: readonly string[]): string {
  return order.sort(dumped, (key) => key).join(" ");
}

Deno.test("KnownOrder gives the first dump as it is, and every later one like it", () => {
  const order = new KnownOrder();
  assertEquals(sorted(order, "b", "c", "a"), "b c a");
  assertEquals(sorted(order, "a", "b", "c"), "b c a");
});

Deno.test("KnownOrder puts what is new behind what was known, in the dump's order", () => {
  const order = new KnownOrder();
  sorted(order, "b", "c");
  assertEquals(sorted(order, "z", "a", "b", "c"), "b c z a");
});

Deno.test("KnownOrder moves what is put to the end, and nothing that is only learnt", () => {
  const order = new KnownOrder();
  sorted(order, "a", "b", "c");
  order.learn("a");
  order.put("b");
  order.learn("d");
  assertEquals(sorted(order, "d", "c", "b", "a"), "a c b d");
});

Deno.test("KnownOrder forgets what is deleted, and what a dump does not show", () => {
  const order = new KnownOrder();
  sorted(order, "a", "b", "c");
  order.delete("a");
  assertEquals(sorted(order, "a", "c"), "c a");
  assertEquals(sorted(order, "a", "b", "c"), "c a b");
});
