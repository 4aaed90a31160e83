/** The commands that the operator gives to a daemon that runs. */

import type { Config } from "../config/config.ts";
import { type ControlOrder, runControl } from "../daemon/control_program.ts";
import { COLOUR, PLAIN } from "../status/text.ts";
import type { Libc } from "../../ffi/libc.ts";
import { FfiLocalDoors } from "../../ffi/local.ts";
import { FfiPoller } from "../../ffi/poll.ts";

/** Has the running daemon do something, and says what comes of it. @returns the exit status. */
export async function control(libc: Libc, config: Config, order: ControlOrder): Promise<number> {
  const connect = () => new FfiLocalDoors(libc).connect(controlPath(libc, config));
  try {
    const { code, problem } = await runControl(connect, new FfiPoller(libc), order, {
      print,
      progress: Deno.stderr.isTerminal() ? replaceLine : () => {},
      paint: Deno.stdout.isTerminal() && !Deno.noColor ? COLOUR : PLAIN,
    });
    if (problem !== undefined) console.error(`sasyncd: ${problem}`);
    return code;
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    return 1; // nobody reads any more
  }
}

/** console.log would pass over it that nobody reads. @throws {Deno.errors.BrokenPipe} */
function print(line: string): void {
  let bytes = new TextEncoder().encode(`${line}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

/** Writes a line over the one before (ECMA-48: to its beginning, and erase it). */
function replaceLine(text = ""): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

/** Where the daemon of this configuration listens. */
export function controlPath(libc: Libc, { controlSocket }: Config): string {
  return controlSocket ?? (libc.system === "linux" ? "/run/sasyncd.sock" : "/var/run/sasyncd.sock");
}
