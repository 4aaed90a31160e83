/** Replaces a small file in one step: whoever reads it finds the old content or the new one. */

import { type OwnedFd, ownFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { cString } from "./memory.ts";

/** Everybody may read it. */
const MODE = 0o644;

/**
 * Writes `text` into `PATH.new` and renames that to `path`. What stood at either name is replaced, and no link is
 * followed. Not forced to the disk: it is for files that mean nothing after a restart of the system.
 *
 * @throws {SyscallError}
 */
export function replaceFile(libc: Libc, path: string, text: string): void {
  const fresh = cString(`${path}.new`);
  const fd = createFile(libc, fresh, `create "${path}.new"`);
  try {
    writeAll(libc, fd, new TextEncoder().encode(text), `write "${path}.new"`);
  } finally {
    fd.close();
  }
  libc.check(libc.c.rename(fresh, cString(path)), `replace "${path}"`);
}

/** A new file, never one that stands there already. */
function createFile(libc: Libc, name: Uint8Array<ArrayBuffer>, call: string): OwnedFd {
  const { O_CLOEXEC, O_CREAT, O_EXCL, O_WRONLY } = libc.constants;
  libc.c.unlink(name); // what an earlier run has left; when that fails, so does the next call
  return ownFd(libc, libc.c.create(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE), call);
}

function writeAll(libc: Libc, fd: OwnedFd, bytes: Uint8Array<ArrayBuffer>, call: string): void {
  const written = libc.check(Number(libc.c.write(fd.use(), bytes, BigInt(bytes.length))), call);
  if (written < bytes.length) throw libc.errorNamed(call, "ENOSPC");
}
