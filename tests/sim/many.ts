/** Runs many seeds of the simulator, says which fail, and goes on: `.ci/deno run tests/sim/many.ts FROM TO`. */

import { simulate } from "./life.ts";

/** A line of progress after so many. */
const STEP = 1000;

const [from, to] = Deno.args.map(Number);
if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || Deno.args.length !== 2) {
  console.error("usage: .ci/deno run tests/sim/many.ts FROM TO");
  Deno.exit(2);
}
const startMs = performance.now();
let failed = 0;
for (let seed = from!; seed <= to!; seed++) {
  try {
    simulate(seed);
  } catch (error) {
    failed++;
    console.log(error instanceof Error ? error.message : error);
  }
  const done = seed - from! + 1;
  if (done % STEP !== 0 && seed !== to) continue;
  console.log(`${done} seeds, ${failed} failed, ${Math.round((performance.now() - startMs) / 1000)} s`);
}
Deno.exit(failed > 0 ? 1 : 0);
