import { assertEquals } from "@std/assert";
import { type IndexedPolicy, PolicyPlaces } from "../../../src/daemon/policy_places.ts";

/** `8@5`: the policy with index 8 and priority 5. */
function policy(text: string): IndexedPolicy {
  const [index = NaN, priority = NaN] = text.split("@").map(Number);
  return { index, priority };
}

function sort(places: PolicyPlaces, dumped: string): string {
  return places.sort(dumped.split(" ").map(policy)).map(({ index, priority }) => `${index}@${priority}`)
    .join(" ");
}

/** What was heard before, what a dump then gives (as last put), and the order of the lookup. */
const rows: readonly [what: string, heard: string, dumped: string, order: string][] = [
  ["as they were made", "", "8@0 16@0 24@0", "8@0 16@0 24@0"],
  ["updated before anybody listened: by index", "", "16@0 24@0 8@0", "8@0 16@0 24@0"],
  ["updated in place", "8@0 16@0 8@0", "16@0 8@0", "8@0 16@0"],
  ["moved: the newest of its new priority", "8@0 16@1 8@1", "16@1 8@1", "16@1 8@1"],
  ["moved, then updated in place", "8@0 16@1 8@1 24@1 8@1", "16@1 24@1 8@1", "16@1 8@1 24@1"],
  ["moved away and back", "8@0 16@0 8@1 8@0", "16@0 8@0", "16@0 8@0"],
  ["two moved", "8@0 16@0 24@1 16@1 8@1", "24@1 16@1 8@1", "24@1 16@1 8@1"],
  ["moved while events were lost", "8@0 16@1", "16@1 8@1 24@1", "16@1 8@1 24@1"],
  ["made with an index that was chosen", "800@0 8@0", "800@0 8@0", "8@0 800@0"],
];

for (const [what, heard, dumped, order] of rows) {
  Deno.test(`PolicyPlaces.sort() of policies ${what}`, () => {
    const places = new PolicyPlaces();
    if (heard !== "") heard.split(" ").forEach((text) => places.put(policy(text)));
    assertEquals(sort(places, dumped), order);
    assertEquals(sort(places, dumped), order); // a dump keeps what is known
  });
}

Deno.test("PolicyPlaces forgets what is gone", () => {
  const places = new PolicyPlaces();
  for (const text of ["8@0", "16@1", "8@1"]) places.put(policy(text));
  places.delete(8);
  assertEquals(sort(places, "16@1 8@1"), "8@1 16@1");
  for (const text of ["8@0", "8@1"]) places.put(policy(text));
  places.clear();
  assertEquals(sort(places, "16@1 8@1"), "8@1 16@1");
  for (const text of ["8@0", "8@1"]) places.put(policy(text));
  assertEquals(sort(places, "16@1"), "16@1");
  assertEquals(sort(places, "16@1 8@1"), "8@1 16@1");
});
