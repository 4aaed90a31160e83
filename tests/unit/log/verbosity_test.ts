import { assertEquals } from "@std/assert";
import { StderrHandler } from "../../../src/log/stderr_handler.ts";
import { openLog } from "../../../src/log/verbosity.ts";

const METHODS = ["error", "notice", "state", "detail", "trace"] as const;

/** How many of METHODS appear. */
const ROWS: readonly (readonly [verbosity: number, appear: number])[] = [[0, 2], [1, 3], [2, 4], [3, 5], [
  9,
  5,
]];

for (const [verbosity, appear] of ROWS) {
  Deno.test(`openLog() shows ${METHODS.slice(0, appear).join(", ")} at verbosity ${verbosity}`, () => {
    const lines: string[] = [];
    const made: string[] = [];
    const log = openLog(new StderrHandler((line) => lines.push(line.trimEnd())), verbosity);
    for (const method of METHODS) {
      log[method](method);
      log[method](() => {
        made.push(method);
        return `made ${method}`;
      });
    }
    const shown = METHODS.slice(0, appear);
    assertEquals(lines, shown.flatMap((method) => [method, `made ${method}`]));
    assertEquals(made, shown);
  });
}

Deno.test("openLog() says more and less when it is adjusted", () => {
  const lines: string[] = [];
  const log = openLog(new StderrHandler((line) => lines.push(line.trimEnd())), 0);
  for (const verbosity of [0, 3, 1]) {
    log.adjust(verbosity);
    for (const method of METHODS) log[method](`${method} ${verbosity}`);
  }
  const shown = (verbosity: number, appear: number) =>
    METHODS.slice(0, appear).map((method) => `${method} ${verbosity}`);
  assertEquals(lines, [...shown(0, 2), ...shown(3, 5), ...shown(1, 3)]);
});
