/** What a process does to itself: terminal, core dumps, secrecy of its memory, signals. */

import type { Fd } from "../src/ports.ts";
import { LINUX } from "./constants.ts";
import { ownFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { cString } from "./memory.ts";

/** The one flag of F_SETFD, the same on all systems. */
const FD_CLOEXEC = 1;

/** Shells and init systems leave open small numbers, if any. */
const MOST_STRAY = 1024;

/** PATH_MAX of Linux, and more than that of the others. */
const MOST_PATH_BYTES = 4096;

/** The absolute path of the current directory. Deno.cwd would need the right to read files. @throws {SyscallError} */
export function workingDirectory(libc: Libc): string {
  const path = new Uint8Array(MOST_PATH_BYTES);
  if (libc.c.getcwd(path, BigInt(path.length)) === 0n) throw libc.error("get the current directory");
  return new TextDecoder().decode(path.subarray(0, path.indexOf(0)));
}

/**
 * Leaves to no other program what whoever has started this one may have left open here. @throws nothing: a number
 * that is not in use is as good as closed.
 */
export function keepDescriptors(libc: Libc): void {
  for (let fd = 3; fd < MOST_STRAY; fd++) libc.c.fcntl(fd, libc.constants.F_SETFD, FD_CLOEXEC);
}

/** Whether children started from now on get the descriptor. @throws {SyscallError} EBADF when it is not open. */
export function setInheritable(libc: Libc, fd: Fd, inheritable: boolean): void {
  const flags = inheritable ? 0 : FD_CLOEXEC;
  libc.check(libc.c.fcntl(fd, libc.constants.F_SETFD, flags), `set close-on-exec of descriptor ${fd}`);
}

/**
 * Puts /dev/null in the place of standard input, output and error. Closing them instead would hand their numbers
 * to the next files that are opened. @throws {SyscallError}
 */
export function releaseTerminal(libc: Libc): void {
  const { O_CLOEXEC, O_RDWR } = libc.constants;
  const fd = ownFd(libc, libc.c.open(cString("/dev/null"), O_RDWR | O_CLOEXEC), "open /dev/null");
  try {
    for (const standard of [0, 1, 2]) {
      libc.check(libc.c.dup2(fd.use(), standard), `put /dev/null in the place of descriptor ${standard}`);
    }
  } finally {
    fd.close();
  }
}

/** No core dumps, for they would hold keys; stays so over execve(2). @throws {SyscallError} */
export function forbidCoreDumps(libc: Libc): void {
  const none = new BigUint64Array(2); // struct rlimit: current, maximum
  libc.check(libc.c.setrlimit(libc.constants.RLIMIT_CORE, none), "set RLIMIT_CORE");
}

/**
 * Keeps other processes of the same user from reading this one's memory (Linux; elsewhere nothing is done).
 * Undone by execve(2), so to be called in the process that is to be kept. @throws {SyscallError}
 */
export function forbidTracing(libc: Libc): void {
  libc.check(libc.c.prctl?.(LINUX.PR_SET_DUMPABLE, 0n, 0n, 0n, 0n) ?? 0, "set PR_SET_DUMPABLE");
}

/** Sends a signal; 0 only asks whether the process exists. @returns false when there is no such process. */
export function sendSignal(libc: Libc, processId: number, signal: number): boolean {
  if (libc.c.kill(processId, signal) === 0) return true;
  const error = libc.error(`send signal ${signal} to process ${processId}`);
  if (error.errno === "ESRCH") return false;
  throw error;
}
