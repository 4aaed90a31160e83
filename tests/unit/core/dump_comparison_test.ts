import { assertEquals } from "@std/assert";
import { type ComparisonParts, DumpComparison } from "../../../src/core/dump_comparison.ts";
import { Inventory } from "../../../src/core/inventory.ts";
import { identityOf } from "../../../src/record/record.ts";
import { sa } from "./support.ts";

/** More than a call has room for as its arguments. */
const MANY = 200_000;

Deno.test("DumpComparison.run() gives however many records a slave's kernel lacks", () => {
  const { id } = identityOf(sa(1));
  const missing = Array.from({ length: MANY }, (_, i) => ({ key: `sa ${i}` }))
    .map(({ key }) => ({ key, identity: { kind: "sa", id, key } }));
  const parts = {
    membership: { role: "SLAVE" },
    mirror: { values: () => missing.values() },
    inventory: new Inventory(),
    follower: { putLacking: () => true, doubtOrder() {} },
  } as unknown as ComparisonParts; // what this comparison asks of them
  const comparison = new DumpComparison(parts, { learn: () => false, lose() {} });
  const run = comparison.run([], { touched: new Set(), inDoubt: true }, 0);
  let step = run.next();
  while (!step.done) step = run.next();
  assertEquals(step.value.length, MANY);
});
