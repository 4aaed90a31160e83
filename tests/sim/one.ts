/** Runs one seed of the simulator again and prints what happens: `.ci/deno run tests/sim/one.ts SEED`. */

import { simulate } from "./life.ts";

const seed = Number(Deno.args[0]);
if (!Number.isSafeInteger(seed) || Deno.args.length !== 1) {
  console.error("usage: .ci/deno run tests/sim/one.ts SEED");
  Deno.exit(2);
}
try {
  simulate(seed, console.log);
  console.log("the world has healed");
} catch (error) {
  console.log(error instanceof Error ? error.cause ?? error : error);
  Deno.exit(1);
}
