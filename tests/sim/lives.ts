/** Tests of ranges of seeds. */

import { simulate } from "./life.ts";

/** Seeds of one test. */
const BATCH = 100;

/** One test for every hundred seeds; a failure names its seed. */
export function testLives(from: number, to: number): void {
  for (let first = from; first <= to; first += BATCH) {
    const last = Math.min(to, first + BATCH - 1);
    Deno.test(`World heals with seeds ${first} to ${last}`, () => {
      for (let seed = first; seed <= last; seed++) simulate(seed);
    });
  }
}
