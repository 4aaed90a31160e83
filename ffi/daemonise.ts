/**
 * Going into the background without fork(2), which a runtime with threads cannot do: the program starts itself
 * again, detached, and the first process ends when the second has said that it is ready, or has died.
 */

import type { Fd } from "../src/ports.ts";
import { openPipe, OwnedFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { setInheritable } from "./process.ts";

/** A read that signals interrupt this often in a row is broken. */
const MOST_INTERRUPTIONS = 100;

/** How the second process is started. */
export interface DetachedCommand {
  /** The program; this one (`Deno.execPath()`) when undefined. */
  readonly path?: string;
  /** Its arguments, which must tell it the descriptor that it is to report on. */
  readonly args: (readyFd: Fd) => string[];
}

/** What became of the second process. `code` is its exit status (128 and the signal's number when killed). */
export type DetachedOutcome =
  | { readonly ready: true; readonly processId: number }
  | { readonly ready: false; readonly code: number };

/**
 * Starts a process in a session of its own, with `/` as its directory (so paths in its arguments must be
 * absolute), and waits until it calls `reportReady` or ends. What it has said on standard error then comes out here.
 * After that the caller has to leave by Deno.exit: a natural end would wait for the child.
 *
 * @throws {SyscallError} and what Deno.Command throws.
 */
export async function spawnDetached(libc: Libc, command: DetachedCommand): Promise<DetachedOutcome> {
  const { read, write } = openPipe(libc);
  try {
    const child = startChild(libc, command, write);
    if (await waitForByte(libc, read)) return { ready: true, processId: child.pid };
    await Deno.stderr.write(await new Response(child.stderr).bytes());
    return { ready: false, code: (await child.status).code };
  } finally {
    read.close();
  }
}

/**
 * Takes over a descriptor that another process has left to this one, before that starts anything: a child of its own
 * that inherited it would hide its death from who has the other end.
 *
 * @throws {SyscallError} EBADF when the number is not that of an open file.
 */
export function adoptFd(libc: Libc, fd: Fd): OwnedFd {
  setInheritable(libc, fd, false);
  return new OwnedFd(libc, fd);
}

/** Tells the first process that all is well; once. A first process that is gone is no error. */
export function reportReady(libc: Libc, ready: OwnedFd): void {
  libc.c.write(ready.use(), new Uint8Array([1]), 1n);
  ready.close();
}

function startChild(libc: Libc, command: DetachedCommand, write: OwnedFd): Deno.ChildProcess {
  try {
    setInheritable(libc, write.use(), true);
    return new Deno.Command(command.path ?? Deno.execPath(), {
      args: command.args(write.number),
      detached: true,
      cwd: "/",
      stdin: "null",
      // nothing of ours: the runtime keeps copies of what a process starts with, and whoever reads us would wait for them
      stdout: "null",
      stderr: "piped",
    }).spawn();
  } finally {
    write.close(); // only the child's copy is left, so its death is the end of the file
  }
}

/**
 * Starts the helper: this program as another process with a session of its own, which gets `fd` and nothing else but,
 * perhaps, standard error. Its end is seen there alone. @throws what Deno.Command throws.
 */
export function spawnHelper(
  libc: Libc,
  fd: OwnedFd,
  args: (fd: Fd) => string[],
  stderr: "inherit" | "null",
): void {
  setInheritable(libc, fd.use(), true);
  const streams = { stdin: "null", stdout: "null", stderr } as const;
  new Deno.Command(Deno.execPath(), { args: args(fd.number), detached: true, cwd: "/", ...streams }).spawn();
  fd.close();
}

/** Waits for a byte or the end of the file. */
async function waitForByte(libc: Libc, fd: OwnedFd): Promise<boolean> {
  const byte = new Uint8Array(new ArrayBuffer(1)); // outside the moving heap: another thread writes to it
  for (let tries = 0; tries < MOST_INTERRUPTIONS; tries++) {
    const length = await libc.c.readNonblocking(fd.use(), byte, 1n);
    if (length >= 0n) return length === 1n;
  }
  throw libc.errorNamed("wait for the second process", "EINTR");
}
