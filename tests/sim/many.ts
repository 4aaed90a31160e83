/**
 * Runs many seeds of the simulator and says which fail: `.ci/deno run tests/sim/many.ts FROM TO [FAILURES]`. After so many
 * failures it ends.
 */

import { simulate } from "./life.ts";

/** A line of progress after so many. */
const STEP = 1000;

const numbers = Deno.args.map(Number);
const [from, to, mostFailures = Infinity] = numbers;
if (from === undefined || to === undefined || numbers.length > 3 || !numbers.every(Number.isSafeInteger)) {
  console.error("usage: .ci/deno run tests/sim/many.ts FROM TO [FAILURES]");
  Deno.exit(2);
}
const startMs = performance.now();
let failures = 0;
for (let seed = from; seed <= to && failures < mostFailures; seed++) {
  try {
    simulate(seed);
  } catch (error) {
    failures++;
    console.log(error instanceof Error ? error.message : error);
  }
  const done = seed - from + 1;
  if (done % STEP !== 0 && seed !== to && failures < mostFailures) continue;
  console.log(`${done} seeds, ${failures} failed, ${Math.round((performance.now() - startMs) / 1000)} s`);
}
Deno.exit(failures > 0 ? 1 : 0);
