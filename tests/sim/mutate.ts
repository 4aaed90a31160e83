/**
 * Shows that the simulation can fail: puts each fault of `mutations.ts` into a copy of the tree, and says after how many
 * seeds it was found, and by what: `.ci/deno run -A tests/sim/mutate.ts [SEEDS]`. Exit 1 when one was not found.
 */

import { type Mutation, MUTATIONS } from "./mutations.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** What the simulation needs of the tree. */
const PARTS = ["src", "tests/sim", "tests/fakes", "deno.json", "deno.lock"];

const seeds = Number(Deno.args[0] ?? 2000);
if (!Number.isSafeInteger(seeds) || Deno.args.length > 1) {
  console.error("usage: .ci/deno run -A tests/sim/mutate.ts [SEEDS]");
  Deno.exit(2);
}
console.log("| fault | found by | seeds |\n|---|---|---:|");
let isAnyLeft = false;
for (const mutation of MUTATIONS) {
  const { seed, reason } = tryOut(mutation);
  isAnyLeft ||= seed === undefined;
  console.log(`| ${mutation.name} | ${reason} | ${seed ?? `more than ${seeds}`} |`);
}
Deno.exit(isAnyLeft ? 1 : 0);

function tryOut(mutation: Mutation): { readonly seed: number | undefined; readonly reason: string } {
  const tree = Deno.makeTempDirSync({ prefix: "sim-" });
  try {
    for (const part of PARTS) copy(`${ROOT}${part}`, `${tree}/${part}`);
    for (const { file, find, replace } of mutation.edits) {
      edit(mutation.name, `${tree}/${file}`, find, replace);
    }
    const { stdout, stderr } = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", "tests/sim/many.ts", "1", String(seeds), "1"],
      cwd: tree,
      env: { NO_COLOR: "1" },
    }).outputSync();
    const text = new TextDecoder().decode(stdout);
    const found = /^seed (\d+) \(.*?\): (.*)$/m.exec(text);
    if (found !== null) return { seed: Number(found[1]), reason: shorten(found[2]!) };
    if (/^\d+ seeds, 0 failed/m.test(text)) return { seed: undefined, reason: "nothing" };
    throw new Error(`${mutation.name}: ${new TextDecoder().decode(stderr)}`);
  } finally {
    Deno.removeSync(tree, { recursive: true });
  }
}

/** @throws {Error} naming the fault, when its text is not there exactly once. */
function edit(name: string, file: string, find: string, replace: string): void {
  const text = Deno.readTextFileSync(file);
  const count = text.split(find).length - 1;
  if (count !== 1) throw new Error(`${name}: ${file} has ${count} times "${find}"`);
  Deno.writeTextFileSync(file, text.replace(find, () => replace));
}

function copy(from: string, to: string): void {
  if (Deno.statSync(from).isFile) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to, { recursive: true });
  for (const { name } of Deno.readDirSync(from)) copy(`${from}/${name}`, `${to}/${name}`);
}

/** What was wrong, without the numbers of one world. */
function shorten(reason: string): string {
  return reason.replace(/^\w+: /, "").replace("Values are not equal: ", "not equal: ").replaceAll("|", "/")
    .slice(0, 100);
}
