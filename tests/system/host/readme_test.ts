/** The example that the README prints is the one that the unit tests run. */

import { assert, assertEquals } from "@std/assert";

const root = new URL("../../../", import.meta.url);

Deno.test("the README's example is the tested one", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const tested = await Deno.readTextFile(new URL("tests/unit/mod_test.ts", root));
  const [, example] = /```ts\nimport [^\n]*\n\n(.*?)```/s.exec(readme) ?? [];
  const [, code] = /\/\/ README: begin\n(.*?) *\/\/ README: end/s.exec(tested) ?? [];
  assert(example !== undefined && code !== undefined);
  assertEquals(example, code.replace(/^ {2}/gm, ""));
});
