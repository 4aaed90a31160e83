/** From what the kernel holds to what it should hold. */

import { assertEquals } from "@std/assert";
import { Inventory } from "../../../src/core/inventory.ts";
import { planDelete, planPut, type Step, type Wanted } from "../../../src/core/plan.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { mark, nameOfChange, policy, sa } from "./support.ts";

const marked = (n: number, reqid = 1) => sa(1, { mark: mark(n), reqid });

/** A kernel that holds these, oldest first; `local` ones do not belong to the mirror. */
function kernel(...records: readonly IpsecRecord[]): Inventory {
  const inventory = new Inventory();
  for (const record of records) inventory.set(identityOf(record), encodeContent(record), true, true);
  return inventory;
}

function wants(...records: readonly IpsecRecord[]): (key: string) => Wanted | undefined {
  return (key) => {
    const index = records.findIndex((record) => recordKey(record) === key);
    const record = records[index];
    return record && { identity: identityOf(record), record, rank: index + 1 };
  };
}

function names(steps: readonly Step[]): string[] {
  return steps.map(({ change }) => nameOfChange(change));
}

/** Records that are wanted in their order; the plan is for the one at `at`. */
interface Row {
  readonly holds: IpsecRecord[];
  readonly wanted: IpsecRecord[];
  readonly at: number;
  readonly force?: boolean;
  readonly steps: string[];
}

const puts: Record<string, Row> = {
  "puts what is not there": { holds: [], wanted: [sa(1)], at: 0, steps: ["put sa 1"] },
  "leaves alone what is alike": { holds: [sa(1)], wanted: [sa(1)], at: 0, steps: [] },
  "puts over what differs": { holds: [sa(1, { reqid: 9 })], wanted: [sa(1)], at: 0, steps: ["put sa 1"] },
  "puts what is alike when forced": {
    holds: [sa(1)],
    wanted: [sa(1)],
    at: 0,
    force: true,
    steps: ["put sa 1"],
  },
  "puts a policy": {
    holds: [policy("10.2.0.0/16")],
    wanted: [policy("10.2.0.0/16")],
    at: 0,
    force: true,
    steps: ["put policy 10.2.0.0/16"],
  },
  "puts the newest of siblings beside the others": {
    holds: [marked(1)],
    wanted: [marked(1), marked(2)],
    at: 1,
    steps: ["put sa 1 mark 2/ff"],
  },
  "makes older siblings anew when one comes that is to be older": {
    holds: [marked(2), marked(3)],
    wanted: [marked(1), marked(2), marked(3)],
    at: 0,
    steps: [
      "delete sa 1 mark 3/ff",
      "delete sa 1 mark 2/ff",
      "put sa 1 mark 1/ff",
      "put sa 1 mark 2/ff",
      "put sa 1 mark 3/ff",
    ],
  },
  "makes all siblings anew when one changes": {
    holds: [marked(1, 9), marked(2)],
    wanted: [marked(1), marked(2)],
    at: 0,
    steps: ["delete sa 1 mark 2/ff", "delete sa 1 mark 1/ff", "put sa 1 mark 1/ff", "put sa 1 mark 2/ff"],
  },
  "puts siblings into the master's order, whatever the kernel's was": {
    holds: [marked(2), marked(1)],
    wanted: [marked(1), marked(2)],
    at: 1,
    force: true,
    steps: ["delete sa 1 mark 1/ff", "delete sa 1 mark 2/ff", "put sa 1 mark 1/ff", "put sa 1 mark 2/ff"],
  },
  "does not move a sibling that is not the master's": {
    holds: [marked(7)],
    wanted: [marked(1)],
    at: 0,
    steps: ["put sa 1 mark 1/ff"],
  },
  "leaves siblings alone when nothing changes": {
    holds: [marked(1), marked(2)],
    wanted: [marked(1), marked(2)],
    at: 0,
    steps: [],
  },
};

for (const [what, { holds, wanted, at, force = false, steps }] of Object.entries(puts)) {
  Deno.test(`planPut() ${what}`, () => {
    const lookUp = wants(...wanted);
    assertEquals(names(planPut(lookUp(recordKey(wanted[at]!))!, kernel(...holds), lookUp, force)), steps);
  });
}

Deno.test("planPut() puts over a local record that is alike", () => {
  const inventory = new Inventory();
  inventory.set(identityOf(policy("10.2.0.0/16")), encodeContent(policy("10.2.0.0/16")), false, true);
  const lookUp = wants(policy("10.2.0.0/16"));
  const steps = planPut(lookUp(recordKey(policy("10.2.0.0/16")))!, inventory, lookUp, false);
  assertEquals([names(steps), steps[0]!.shared], [["put policy 10.2.0.0/16"], true]);
});

const deletes: Record<string, Omit<Row, "force">> = {
  "deletes an SA": { holds: [sa(1), sa(2)], wanted: [sa(2)], at: 0, steps: ["delete sa 1"] },
  "deletes a policy": {
    holds: [policy("10.2.0.0/16")],
    wanted: [],
    at: 0,
    steps: ["delete policy 10.2.0.0/16"],
  },
  "makes siblings anew: the kernel deletes what matches first": {
    holds: [marked(1), marked(2), marked(3)],
    wanted: [marked(1), marked(3)],
    at: 1,
    steps: [
      "delete sa 1 mark 3/ff",
      "delete sa 1 mark 2/ff",
      "delete sa 1 mark 1/ff",
      "put sa 1 mark 1/ff",
      "put sa 1 mark 3/ff",
    ],
  },
  "does not touch a sibling that is not the master's": {
    holds: [marked(1), marked(2)],
    wanted: [],
    at: 0,
    steps: ["delete sa 1 mark 1/ff"],
  },
};

for (const [what, { holds, wanted, at, steps }] of Object.entries(deletes)) {
  Deno.test(`planDelete() ${what}`, () => {
    const inventory = kernel(...holds);
    const item = inventory.get(recordKey(holds[at]!))!;
    const planned = planDelete(item, inventory, wants(...wanted));
    assertEquals(names(planned), steps);
    assertEquals(planned.filter(({ content }) => content === undefined).length > 0, true);
  });
}
