/** The commands that the operator gives to a daemon that runs. */

import type { Config } from "../src/config/config.ts";
import { command } from "../src/daemon/control_client.ts";
import type { Libc } from "../ffi/libc.ts";
import { FfiLocalDoors } from "../ffi/local.ts";
import { FfiPoller } from "../ffi/poll.ts";

/** Has the running daemon do something, and says what comes of it. @returns the exit status. */
export async function control(libc: Libc, config: Config, name: string): Promise<number> {
  const stream = new FfiLocalDoors(libc).connect(controlPath(libc, config));
  const problem = await command(stream, new FfiPoller(libc), name, (text) => console.log(text));
  if (problem !== undefined) {
    console.error(`sasyncd: ${name}: ${problem}`);
    return 1;
  }
  console.log(`${name}: done`);
  return 0;
}

/** Where the daemon of this configuration listens. */
export function controlPath(libc: Libc, { controlSocket }: Config): string {
  return controlSocket ?? (libc.system === "linux" ? "/run/sasyncd.sock" : "/var/run/sasyncd.sock");
}
