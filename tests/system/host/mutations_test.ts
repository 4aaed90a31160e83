/** The deliberate faults of the simulation still fit the product: `deno run -A tests/sim/mutate.ts` finds each. */

import { assertEquals } from "@std/assert";
import { MUTATIONS } from "../../sim/mutations.ts";

const ROOT = new URL("../../../", import.meta.url);

for (const { name, edits } of MUTATIONS) {
  Deno.test(`the text of the fault "${name}" is there once`, () => {
    for (const { file, find } of edits) {
      const text = Deno.readTextFileSync(new URL(file, ROOT));
      assertEquals(text.split(find).length - 1, 1, `${file}: ${find}`);
    }
  });
}
