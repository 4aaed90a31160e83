/**
 * Fuzzes for a while: `deno run -A tests/fuzz/run.ts MINUTES [SEED [TARGET...]]`, every target side by side in a
 * process of its own. Prints how much was tried and reached; exits 1 when something was found.
 */

import { V8Coverage } from "./coverage.ts";
import { Fuzzer } from "./fuzzer.ts";
import { TARGETS } from "./targets.ts";

const [minutes = "1", seed = `${Date.now() % 1_000_000}`, ...names] = Deno.args;
const wanted = names.length > 0 ? names : Object.keys(TARGETS);
Deno.exit(wanted.length === 1 ? await fuzz(wanted[0]!) : await fuzzAll(wanted));

async function fuzzAll(names: readonly string[]): Promise<number> {
  const codes = await Promise.all(names.map(async (name) => {
    const args = ["run", "-A", new URL(import.meta.url).pathname, minutes, seed, name];
    return (await new Deno.Command(Deno.execPath(), { args }).spawn().status).code;
  }));
  return Math.max(...codes);
}

async function fuzz(name: string): Promise<number> {
  const coverage = await V8Coverage.start();
  const fuzzer = new Fuzzer(TARGETS[name]!, Number(seed));
  await coverage.look(true);
  const before = coverage.counts;
  for (const endMs = performance.now() + Number(minutes) * 60_000; performance.now() < endMs;) {
    await fuzzer.guided(coverage);
  }
  const { functions, missed } = coverage.counts;
  const reached =
    `functions ${before.functions} -> ${functions}, blocks missed ${before.missed} -> ${missed}`;
  console.log(
    `${name} (seed ${seed}): ${fuzzer.runs} inputs, ${reached}, corpus ${fuzzer.corpus.length}, ` +
      `${fuzzer.findings.length} findings`,
  );
  for (const { input, error } of fuzzer.findings) {
    console.log(`${name}: ${input.toHex()}\n${error instanceof Error ? error.stack : error}`);
  }
  return fuzzer.findings.length > 0 ? 1 : 0;
}
