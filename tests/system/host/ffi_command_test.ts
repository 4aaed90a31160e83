/** Commands as real processes. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { FfiCommandRunner } from "../../../ffi/command.ts";
import { SyscallError } from "../../../src/errors.ts";
import type { RunningCommand } from "../../../src/ports.ts";
import { libc } from "./support.ts";

/** Runs a command to its end. */
class Run {
  readonly lines: string[] = [];
  readonly ended: Promise<void>;
  readonly command: RunningCommand;

  constructor(...command: readonly string[]) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.command = new FfiCommandRunner(libc, resolve).start(command, (line) => this.lines.push(line));
  }

  async until(what: () => boolean): Promise<void> {
    for (const endMs = Date.now() + 10_000; !what();) {
      assert(Date.now() < endMs, `not there after 10 s, output: ${this.lines}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

Deno.test("CommandRunner gives arguments as they are, output by lines, and the exit status", async () => {
  const run = new Run("/bin/sh", "-c", 'echo "$1"; echo "$2" >&2; pwd; cat; exit 3', "sh", "a b; $x", "c");
  assertEquals(run.command.code, undefined);
  await run.ended;
  assertEquals(run.command.code, 3);
  await run.until(() => run.lines.length === 3);
  assertEquals(run.lines.toSorted(), ["/", "a b; $x", "c"]);
});

Deno.test("CommandRunner leaves out what is too much, and keeps no command waiting", async () => {
  const run = new Run("/bin/sh", "-c", "head -c 3000 /dev/zero | tr '\\0' x; echo; seq 200000");
  await run.ended;
  assertEquals(run.command.code, 0);
  await run.until(() => run.lines.length === 101);
  assertEquals(run.lines[0], "x".repeat(1000));
  assertEquals(run.lines.slice(-2), ["99", "(further output is left out)"]);
});

Deno.test("end() ends a command and its children, also when they do not want to", async () => {
  const run = new Run("/bin/sh", "-c", "trap '' TERM; sh -c 'echo $$; exec sleep 60' & wait");
  await run.until(() => run.lines.length === 1);
  const child = Number(run.lines[0]);
  const startMs = performance.now();
  run.command.end();
  await run.ended;
  assertEquals(run.command.code, 137);
  assert(performance.now() - startMs > 1500);
  await run.until(() => !isRunning(child));
});

Deno.test("end() of a command that wants to end does not wait", async () => {
  const run = new Run("/bin/sleep", "60");
  const startMs = performance.now();
  run.command.end();
  await run.ended;
  assertEquals(run.command.code, 143);
  assert(performance.now() - startMs < 1500);
});

for (const [path, errno] of [["/nonexistent/command", "ENOENT"], ["/etc/passwd", "EACCES"]] as const) {
  Deno.test(`CommandRunner tells that ${path} cannot be run`, () => {
    assertThrows(() => new Run(path), SyscallError, `Cannot run "${path}": ${errno}`);
  });
}

/** A zombie, which its parent has not waited for yet, does not run. */
function isRunning(processId: number): boolean {
  try {
    return !/\) Z/.test(Deno.readTextFileSync(`/proc/${processId}/stat`));
  } catch {
    return false;
  }
}
