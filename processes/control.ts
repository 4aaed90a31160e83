/** The commands that the operator gives to a daemon that runs. */

import type { Config } from "../src/config/config.ts";
import { type ControlOrder, runControl } from "../src/daemon/control_program.ts";
import { COLOUR, PLAIN } from "../src/status/text.ts";
import type { Libc } from "../ffi/libc.ts";
import { FfiLocalDoors } from "../ffi/local.ts";
import { FfiPoller } from "../ffi/poll.ts";

/** Has the running daemon do something, and says what comes of it. @returns the exit status. */
export async function control(libc: Libc, config: Config, order: ControlOrder): Promise<number> {
  const connect = () => new FfiLocalDoors(libc).connect(controlPath(libc, config));
  const { code, problem } = await runControl(connect, new FfiPoller(libc), order, {
    print: (line) => console.log(line),
    progress: Deno.stderr.isTerminal() ? replaceLine : () => {},
    paint: Deno.stdout.isTerminal() && !Deno.noColor ? COLOUR : PLAIN,
  });
  if (problem !== undefined) console.error(`sasyncd: ${problem}`);
  return code;
}

/** Writes a line over the one before (ECMA-48: to its beginning, and erase it). */
function replaceLine(text = ""): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

/** Where the daemon of this configuration listens. */
export function controlPath(libc: Libc, { controlSocket }: Config): string {
  return controlSocket ?? (libc.system === "linux" ? "/run/sasyncd.sock" : "/var/run/sasyncd.sock");
}
