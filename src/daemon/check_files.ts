/** The files of `check file` as lines that two gateways can compare: a digest of each, never its content. */

import { createHash } from "node:crypto";
import { SyscallError } from "../errors.ts";

/** A file's content; of what is no file, none. @throws {SyscallError} */
type Read = (path: string) => { readonly bytes: Uint8Array; readonly isRegular: boolean };

/** `file /etc/ipsec.conf: sha256 1f…`, or the errno of one that cannot be read. */
export function checkFiles(paths: readonly string[], read: Read): string[] {
  return [...new Set(paths)].map((path) => `file ${path}: ${digestOf(path, read)}`);
}

function digestOf(path: string, read: Read): string {
  try {
    const { bytes, isRegular } = read(path);
    return isRegular ? `sha256 ${createHash("sha256").update(bytes).digest("hex")}` : "no file";
  } catch (error) {
    if (error instanceof SyscallError) return error.errno;
    throw error;
  }
}
