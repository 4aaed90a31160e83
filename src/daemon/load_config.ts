/** From a file name to a checked configuration. Reading is the caller's: through one descriptor, with owner and mode. */

import type { Config } from "../config/config.ts";
import { type FileFacts, fileProblem } from "../config/file_check.ts";
import { parseConfig } from "../config/parse_config.ts";
import { ConfigError, SyscallError } from "../errors.ts";

/** A file and the facts that decide whether to trust it. @throws {SyscallError} */
export type FileReader = (path: string) => FileFacts & { readonly bytes: Uint8Array };

/**
 * Reads and checks a configuration. `userId` is who asks, and may own the file instead of root.
 *
 * @throws {ConfigError} with every mistake.
 */
export function loadConfig(path: string, read: FileReader, userId: number): Config {
  const content = readTrusted(path, read, userId);
  if (typeof content === "string") throw new ConfigError([{ file: path, line: 0, message: content }]);
  return parseConfig(
    new TextDecoder().decode(content),
    path,
    (keyPath) => readTrusted(keyPath, read, userId),
  );
}

/** The content of a file that may hold a secret, or what is wrong with it. */
function readTrusted(path: string, read: FileReader, userId: number): Uint8Array | string {
  try {
    const file = read(path);
    return fileProblem(file, userId) ?? file.bytes;
  } catch (error) {
    if (error instanceof SyscallError) return error.message;
    throw error;
  }
}
