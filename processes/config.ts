/** Reads the configuration: at the start, for a command, and when the daemon is told to read it again. */

import type { Config } from "../src/config/config.ts";
import { loadConfig } from "../src/daemon/load_config.ts";
import { effectiveUserId, findAccount } from "../ffi/identity.ts";
import type { Libc } from "../ffi/libc.ts";
import { readOwnedFile } from "../ffi/owned_file.ts";

/** The user that the daemon's files may belong to instead of root. */
const DAEMON_USER = "_sasyncd";

/** @throws {ConfigError} with every mistake, or why the file is not to be trusted. */
export function readConfig(libc: Libc, file: string): Config {
  const user = effectiveUserId(libc);
  const owner = user === 0 ? findAccount(libc, DAEMON_USER)?.uid : user;
  return loadConfig(file, (path) => readOwnedFile(libc, path), owner);
}
