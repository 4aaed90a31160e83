/** The example that the README prints is the one that the unit tests run. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const root = new URL("../../../", import.meta.url);

Deno.test("the README's example is the tested one", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const tested = await Deno.readTextFile(new URL("tests/unit/mod_test.ts", root));
  const [, example] = /```ts\nimport [^\n]*\n\n(.*?)```/s.exec(readme) ?? [];
  const [, code] = /\/\/ README: begin\n(.*?) *\/\/ README: end/s.exec(tested) ?? [];
  assert(example !== undefined && code !== undefined);
  assertEquals(example, code.replace(/^ {2}/gm, ""));
});

Deno.test("the README has every permission of the executable, and no other", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const flags = `${tasks.compile}`.matchAll(/(--allow-\w+)(?:=(\S+))?/g).toArray();
  assert(flags.length > 3);
  const rows = readme.matchAll(/^\| `(--allow-[^`]*)`/gm).map(([, flag]) => flag!).toArray();
  for (const [, flag = "", values] of flags) {
    const own = rows.filter((row) => row.split("=")[0] === flag);
    if (flag === "--allow-ffi") assertEquals(own.length, 1); // in words: the paths are libcPaths()
    else assertEquals(own.map((row) => row.split("=")[1]).join(","), values ?? "");
  }
  const known = flags.map(([, flag]) => flag);
  assertEquals(rows.filter((row) => !known.includes(row.split("=")[0])), []);
  assertStringIncludes(tasks.compile, " --no-prompt ");
});
