/** Runs one seed of the simulator again and prints what happens: `.ci/deno run tests/sim/one.ts SEED [handovers]`. */

import { simulate, simulateHandovers } from "./life.ts";

const [seed, which] = [Number(Deno.args[0]), Deno.args[1]];
if (!Number.isSafeInteger(seed) || ![undefined, "handovers"].includes(which) || Deno.args.length > 2) {
  console.error("usage: .ci/deno run tests/sim/one.ts SEED [handovers]");
  Deno.exit(2);
}
try {
  (which === undefined ? simulate : simulateHandovers)(seed, console.log);
  console.log("the world has healed");
} catch (error) {
  console.log(error instanceof Error ? error.cause ?? error : error);
  Deno.exit(1);
}
