import { assertEquals } from "@std/assert";
import rooms from "../../lint/rooms.ts";

const root = new URL("../../../", import.meta.url).pathname;

const rows: readonly { file: string; source: string; complaints: readonly string[] }[] = [
  { file: "src/layout/reader.ts", source: 'import { A } from "../errors.ts"', complaints: [] },
  {
    file: "src/layout/reader.ts",
    source: 'import type { A } from "../record/sa.ts"',
    complaints: ['"src/layout" may not import "src/record/sa.ts"'],
  },
  { file: "src/record/sa.ts", source: 'export * from "../layout/mod.ts"', complaints: [] },
  {
    file: "src/record/sa.ts",
    source: 'export { x } from "../config/config.ts"',
    complaints: ['"src/record" may not import "src/config/config.ts"'],
  },
  {
    file: "src/xfrm/sa.ts",
    source: 'import "../wire/native/frame.ts"',
    complaints: ['"src/xfrm" may not import "src/wire/native/frame.ts"'],
  },
  {
    file: "src/wire/native/frame.ts",
    source: 'await import("../../core/mirror.ts")',
    complaints: ['"src/wire" may not import "src/core/mirror.ts"'],
  },
  { file: "src/core/mirror.ts", source: 'import "../wire/native/message.ts"', complaints: [] },
  {
    file: "src/core/mirror.ts",
    source: 'import "../daemon/loop.ts"',
    complaints: ['"src/core" may not import "src/daemon/loop.ts"'],
  },
  { file: "src/daemon/loop.ts", source: 'import "../config/config.ts"; import "@std/log"', complaints: [] },
  {
    file: "src/daemon/loop.ts",
    source: 'import "../../ffi/libc.ts"',
    complaints: ['"src/daemon" may not import "ffi/libc.ts"'],
  },
  { file: "ffi/libc.ts", source: 'import "../src/ports.ts"; Deno.dlopen("", {})', complaints: [] },
  {
    file: "ffi/libc.ts",
    source: 'import "../src/core/mirror.ts"',
    complaints: ['"ffi" may not import "src/core/mirror.ts"'],
  },
  { file: "main.ts", source: 'import "./src/process/start.ts"; Deno.exit(Deno.args.length)', complaints: [] },
  {
    file: "main.ts",
    source: 'import "./tests/fakes/clock.ts"; Deno.dlopen("", {})',
    complaints: ['"main.ts" may not import "tests/fakes/clock.ts"', 'Deno.dlopen is for "ffi" only'],
  },
  {
    file: "src/daemon/run.ts",
    source: "const a = Deno.args; Deno.exit(1)",
    complaints: ['Deno.args is for "main.ts" only', 'Deno.exit is for "main.ts" only'],
  },
  { file: "src/layout/reader.ts", source: "new DataView(b)", complaints: [] },
  { file: "src/xfrm/sa.ts", source: "new DataView(b)", complaints: ['DataView is for "src/layout" only'] },
  {
    file: "src/pfkey/linux.ts",
    source: "const SPDDUMP = 18; function f(n: number[]) { return n.length * 8 + 2 }",
    complaints: [],
  },
  {
    file: "src/pfkey/linux.ts",
    source: "function f(type: number) { return type === 18 } class A { f() { return 0x2a } }",
    complaints: [18, 42].map((number) => `number ${number} of a kernel has to stand in a table`),
  },
  { file: "src/xfrm/sa.ts", source: "function f(type: number) { return type === 18 }", complaints: [] },
  {
    file: "mod.ts",
    source: 'export * from "./src/record/sa.ts"; export type { A } from "./src/errors.ts"',
    complaints: [],
  },
  {
    file: "src/log/mod.ts",
    source: 'import { a } from "./a.ts"; export const b = a',
    complaints: ["mod.ts holds re-exports only", "mod.ts holds re-exports only"],
  },
  { file: "tests/unit/any_test.ts", source: 'import "../../ffi/libc.ts"; Deno.exit()', complaints: [] },
];

for (const { file, source, complaints } of rows) {
  Deno.test(`rooms ${complaints.length === 0 ? "allows" : "refuses"} in ${file}: ${source}`, () => {
    const found = Deno.lint.runPlugin(rooms, root + file, source);
    assertEquals(found.map(({ message }) => message), complaints);
  });
}
