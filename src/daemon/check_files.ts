/** The files of `check file` as lines that two gateways can compare: a digest of each, never its content. */

import { createHash } from "node:crypto";
import { SyscallError } from "../errors.ts";

/** `file /etc/ipsec.conf: sha256 1f…`, or the errno of one that cannot be read. */
export function checkFiles(paths: readonly string[], read: (path: string) => Uint8Array): string[] {
  return [...new Set(paths)].map((path) => `file ${path}: ${digestOf(path, read)}`);
}

function digestOf(path: string, read: (path: string) => Uint8Array): string {
  try {
    return `sha256 ${createHash("sha256").update(read(path)).digest("hex")}`;
  } catch (error) {
    if (error instanceof SyscallError) return error.errno;
    throw error;
  }
}
