/** File descriptors that are closed exactly once. Everything in ffi/ that owns a descriptor owns it through this. */

import type { Fd } from "../src/ports.ts";
import type { Libc } from "./libc.ts";

/**
 * The owner of a descriptor. `number` stays readable after the close, to find things by it; every system call
 * goes through `use`, because the number of a closed descriptor soon belongs to another file.
 */
export class OwnedFd {
  readonly #libc: Libc;
  #open = true;

  constructor(libc: Libc, readonly number: Fd) {
    this.#libc = libc;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** The descriptor for a system call. @throws {SyscallError} EBADF after the close. */
  use(): Fd {
    if (!this.#open) throw this.#libc.errorNamed(`use closed descriptor ${this.number}`, "EBADF");
    return this.number;
  }

  /**
   * Closes the descriptor.
   *
   * @throws {SyscallError} EBADF the second time: a double close is a mistake of the caller, who has lost track
   * of who owns the descriptor, and is not passed over.
   */
  close(): void {
    const fd = this.use();
    this.#open = false;
    // other errors (EINTR, EIO) come after the descriptor is gone
    if (this.#libc.c.close(fd) === -1 && this.#libc.errno() === "EBADF") {
      throw this.#libc.errorNamed(`close descriptor ${fd}`, "EBADF");
    }
  }
}

/** Takes the descriptor that a call has returned. @throws {SyscallError} when the call has failed. */
export function ownFd(libc: Libc, result: number, call: string): OwnedFd {
  return new OwnedFd(libc, libc.check(result, call));
}

/** Two Unix stream sockets that are connected to each other, nonblocking, with close-on-exec. @throws {SyscallError} */
export function openSocketPair(libc: Libc): readonly [OwnedFd, OwnedFd] {
  const { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } = libc.constants;
  const ends = new Int32Array(2);
  const type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  libc.check(libc.c.socketpair(AF_UNIX, type, 0, ends), "make a pair of sockets");
  return [new OwnedFd(libc, ends[0]!), new OwnedFd(libc, ends[1]!)];
}

/** A pipe with close-on-exec; `extraFlags` are O_* flags for both ends. @throws {SyscallError} */
export function openPipe(libc: Libc, extraFlags = 0): { readonly read: OwnedFd; readonly write: OwnedFd } {
  const ends = new Int32Array(2);
  libc.check(libc.c.pipe2(ends, libc.constants.O_CLOEXEC | extraFlags), "make a pipe");
  return { read: new OwnedFd(libc, ends[0]!), write: new OwnedFd(libc, ends[1]!) };
}
