/** What the own kernel holds, in its creation order. */

import { assert, assertEquals } from "@std/assert";
import { Inventory } from "../../../src/core/inventory.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { addr } from "../../fakes/records.ts";
import { mark, nameOf, policy, sa } from "./support.ts";

function inventoryOf(...records: readonly IpsecRecord[]): Inventory {
  const inventory = new Inventory();
  for (const record of records) note(inventory, record, true);
  return inventory;
}

function note(inventory: Inventory, record: IpsecRecord, created: boolean, shared = true): void {
  inventory.set(identityOf(record), encodeContent(record), shared, created);
}

function names(items: Iterable<{ identity: Parameters<typeof nameOf>[0] }>): string[] {
  return [...items].map(({ identity }) => nameOf(identity));
}

const marked = (n: number) => sa(1, { mark: mark(n) });

Deno.test("Inventory.set() keeps the creation order", () => {
  const inventory = inventoryOf(sa(1), policy("10.2.0.0/16"), sa(2));
  assertEquals(names(inventory.values()), ["sa 1", "policy 10.2.0.0/16", "sa 2"]);
});

Deno.test("Inventory.set() leaves a changed record in its place", () => {
  const inventory = inventoryOf(sa(1), sa(2));
  note(inventory, sa(1, { reqid: 9 }), false, false);
  assertEquals(names(inventory.values()), ["sa 1", "sa 2"]);
  const item = inventory.get(recordKey(sa(1)))!;
  assertEquals([item.content, item.shared], [encodeContent(sa(1, { reqid: 9 })), false]);
});

Deno.test("Inventory.set() makes a record newest that was created anew, or was not there", () => {
  const inventory = inventoryOf(sa(1), sa(2));
  note(inventory, sa(1), true);
  note(inventory, sa(3), false);
  assertEquals(names(inventory.values()), ["sa 2", "sa 1", "sa 3"]);
  const seqs = [...inventory.values()].map(({ seq }) => seq);
  assertEquals(seqs, seqs.toSorted((a, b) => a - b));
});

Deno.test("Inventory.delete() gives what it deletes", () => {
  const inventory = inventoryOf(sa(1));
  assertEquals(inventory.delete(recordKey(sa(1)))?.identity, identityOf(sa(1)));
  assertEquals(inventory.delete(recordKey(sa(1))), undefined);
  assertEquals(inventory.get(recordKey(sa(1))), undefined);
});

Deno.test("Inventory.reorder() takes the order of a dump; what it did not show is newer", () => {
  const inventory = inventoryOf(sa(1), sa(2), sa(3), sa(4));
  inventory.reorder(new Set([recordKey(sa(3)), recordKey(sa(9)), recordKey(sa(1))]));
  assertEquals(names(inventory.values()), ["sa 3", "sa 1", "sa 2", "sa 4"]);
  note(inventory, sa(5), true);
  const seqs = [...inventory.values()].map(({ seq }) => seq);
  assertEquals(seqs, seqs.toSorted((a, b) => a - b));
});

Deno.test("Inventory.reorder() leaves what stands in the dump's order where it is", () => {
  const inventory = inventoryOf(sa(1), sa(2), sa(3), sa(4));
  const before = [...inventory.values()];
  inventory.reorder(new Set([recordKey(sa(1)), recordKey(sa(9)), recordKey(sa(2))]));
  assert([...inventory.values()].every((item, i) => item === before[i]));
  inventory.reorder(new Set([recordKey(sa(1)), recordKey(sa(3))]));
  assertEquals(names(inventory.values()), ["sa 1", "sa 3", "sa 2", "sa 4"]);
});

Deno.test("Inventory.siblings() gives the other SAs of the same destination, protocol and SPI, oldest first", () => {
  const elsewhere = sa(1, { dst: addr("198.51.100.2"), mark: mark(9) });
  const inventory = inventoryOf(marked(1), elsewhere, sa(2), marked(2), policy("10.2.0.0/16"), marked(3));
  assertEquals(names(inventory.siblings(identityOf(marked(2)))), ["sa 1 mark 1/ff", "sa 1 mark 3/ff"]);
  note(inventory, marked(1), true);
  assertEquals(names(inventory.siblings(identityOf(marked(2)))), ["sa 1 mark 3/ff", "sa 1 mark 1/ff"]);
  assertEquals(names(inventory.siblings(identityOf(sa(1)))).length, 3, "of one that is not there");
});

Deno.test("Inventory.siblings() forgets what was deleted", () => {
  const inventory = inventoryOf(marked(1), marked(2));
  inventory.delete(recordKey(marked(1)));
  assertEquals(inventory.siblings(identityOf(marked(2))), []);
  inventory.delete(recordKey(marked(2)));
  assertEquals(inventory.siblings(identityOf(marked(1))), []);
});

Deno.test("Inventory.siblings() gives none for a policy", () => {
  assertEquals(inventoryOf(sa(1)).siblings(identityOf(policy("10.2.0.0/16"))), []);
});
