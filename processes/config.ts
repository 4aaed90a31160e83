/** Reads the configuration: at the start, for a command, and as root for the process that may not. */

import type { Config } from "../src/config/config.ts";
import type { ConfigReading } from "../src/daemon/helper_messages.ts";
import { loadConfig } from "../src/daemon/load_config.ts";
import { namesIn } from "../src/daemon/resolve_config.ts";
import { ConfigError, SyscallError } from "../src/errors.ts";
import { effectiveUserId } from "../ffi/identity.ts";
import { listInterfaceAddresses } from "../ffi/interfaces.ts";
import type { Libc } from "../ffi/libc.ts";
import { readOwnedFile } from "../ffi/owned_file.ts";
import { resolveName } from "../ffi/resolve.ts";

/**
 * `see` is given every file that is read, in hex.
 *
 * @throws {ConfigError} with every mistake, or why a file is not to be trusted.
 */
export function readConfig(libc: Libc, file: string, see?: (path: string, content: string) => void): Config {
  const read = (path: string) => {
    const found = readOwnedFile(libc, path);
    see?.(path, found.bytes.toHex());
    return found;
  };
  return loadConfig(file, read, effectiveUserId(libc));
}

/** Reads it for another process. @returns also what that is told; no `config` when there are mistakes. */
export function readToTell(libc: Libc, file: string): { config?: Config; reading: ConfigReading } {
  const contents: Record<string, string> = {};
  try {
    const config = readConfig(libc, file, (path, content) => contents[path] = content);
    return { config, reading: { file, contents, hosts: lookUp(libc, config) } };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { reading: { mistakes: error.mistakes } };
  }
}

/** The addresses of the host names in a configuration, in hex. */
function lookUp(libc: Libc, config: Config): Record<string, string[] | { error: string }> {
  const interfaces = new Set(listInterfaceAddresses(libc).map(({ name }) => name));
  const names = namesIn(config).filter((name) => !interfaces.has(name));
  return Object.fromEntries(names.map((name) => [name, resolve(libc, name)]));
}

function resolve(libc: Libc, name: string): string[] | { error: string } {
  try {
    return resolveName(libc, name).map((address) => address.toHex());
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return { error: error.message };
  }
}
