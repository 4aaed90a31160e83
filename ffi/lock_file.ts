/** A file that one process at a time has locked, while it lives and not a moment longer: flock(2). */

import { type OwnedFd, ownFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { cString } from "./memory.ts";
import { orClose } from "./socket.ts";

const MODE = 0o600;

/** The same on all systems. */
const LOCK_EX = 2;
const LOCK_NB = 4;

/** Digits of a process number and a newline: always as many, so that one replaces the other. */
const NUMBER_BYTES = 11;

/**
 * Locks `path`, writes this process's number into it, and never takes it away: another process may have it open.
 *
 * @returns what holds the lock while any process has it open, also after execve(2).
 * @throws {SyscallError} EAGAIN, naming the process that has locked it.
 */
export function lockFile(libc: Libc, path: string): OwnedFd {
  const { O_CLOEXEC, O_CREAT, O_NOCTTY, O_NONBLOCK, O_RDWR } = libc.constants;
  const flags = O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  const fd = ownFd(libc, libc.c.create(cString(path), flags, MODE), `open "${path}"`);
  return orClose(fd, () => {
    if (libc.c.flock(fd.use(), LOCK_EX | LOCK_NB) === -1) {
      const errno = libc.errno();
      throw libc.errorNamed(`start a second daemon, as ${ownerOf(libc, fd)} has locked "${path}"`, errno);
    }
    const own = new TextEncoder().encode(`${Deno.pid}\n`.padStart(NUMBER_BYTES));
    libc.check(Number(libc.c.write(fd.use(), own, BigInt(own.length))), `write "${path}"`);
    return fd;
  });
}

/** Who has written into it last. */
function ownerOf(libc: Libc, fd: OwnedFd): string {
  const bytes = new Uint8Array(NUMBER_BYTES);
  const length = Number(libc.c.read(fd.use(), bytes, BigInt(bytes.length)));
  const number = Number(new TextDecoder().decode(bytes.subarray(0, Math.max(0, length))));
  return number > 0 ? `process ${number}` : "another process";
}
