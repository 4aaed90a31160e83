/** Lives of SEEDS worlds, in CI too. `one.ts` runs one of them again. */

import { simulate, simulateHandovers } from "./life.ts";

const SEEDS = 1000;
const BATCH = 100;
const HANDOVER_SEEDS = 40;

for (let first = 1; first <= SEEDS; first += BATCH) {
  Deno.test(`World heals with seeds ${first} to ${first + BATCH - 1}`, () => {
    for (let seed = first; seed < first + BATCH; seed++) simulate(seed);
  });
}

Deno.test(`World hands over with seeds 1 to ${HANDOVER_SEEDS}`, () => {
  for (let seed = 1; seed <= HANDOVER_SEEDS; seed++) simulateHandovers(seed);
});
