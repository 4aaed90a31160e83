/** Reads the configuration: at the start, for a command, and as root for the process that may not. */

import type { Config } from "../config/config.ts";
import type { ConfigReading } from "../daemon/helper_messages.ts";
import { loadConfig } from "../daemon/load_config.ts";
import { namesIn } from "../daemon/resolve_config.ts";
import { ConfigError, SyscallError } from "../errors.ts";
import { effectiveUserId } from "../../ffi/identity.ts";
import { listInterfaceAddresses } from "../../ffi/interfaces.ts";
import type { Libc } from "../../ffi/libc.ts";
import { readOwnedFile } from "../../ffi/owned_file.ts";
import { resolveName } from "../../ffi/resolve.ts";

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
export async function readToTell(
  libc: Libc,
  file: string,
): Promise<{ config?: Config; reading: ConfigReading }> {
  const contents: Record<string, string> = {};
  try {
    const config = readConfig(libc, file, (path, content) => contents[path] = content);
    return { config, reading: { file, contents, hosts: await lookUp(libc, config) } };
  } catch (error) {
    if (error instanceof ConfigError) return { reading: { mistakes: error.mistakes } };
    if (!(error instanceof SyscallError)) throw error;
    return { reading: { mistakes: [{ file, line: 0, message: error.message }] } };
  }
}

/** Addresses, or why there are none. */
type Host = string[] | { error: string };

/** The addresses of the host names in a configuration, in hex. */
async function lookUp(libc: Libc, config: Config): Promise<Record<string, Host>> {
  const interfaces = new Set(listInterfaceAddresses(libc).map(({ name }) => name));
  const names = namesIn(config).filter((name) => !interfaces.has(name));
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await resolve(libc, name)])));
}

async function resolve(libc: Libc, name: string): Promise<Host> {
  try {
    return (await resolveName(libc, name)).map((address) => address.toHex());
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return { error: error.message };
  }
}
