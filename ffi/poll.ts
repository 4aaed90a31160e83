/**
 * The one poll(2) of the process: waits on all descriptors at once, in one nonblocking call. Each such call takes
 * one of 32 threads that the runtime shares with file reads and name resolution, so there must be only one.
 */

import type { Fd, Interest, Poller, Readiness } from "../src/ports.ts";
import type { Constants } from "./constants.ts";
import { openPipe, type OwnedFd } from "./fd.ts";
import type { Libc } from "./libc.ts";

/** `struct pollfd`: int fd, short events, short revents. */
const POLLFD_BYTES = 8;
const LONGEST_TIMEOUT_MS = 0x7fffffff;
/** Of waits for no time at all, in a row, only one in so many goes through the runtime's event loop, which is dear. */
const MOST_AT_ONCE = 8;

/** An array of `struct pollfd` that grows; the first entry is the wake descriptor. */
export class PollSet {
  #buffer = new ArrayBuffer(32 * POLLFD_BYTES);
  #fds = new Int32Array(this.#buffer);
  #events = new Int16Array(this.#buffer);

  constructor(readonly constants: Constants) {}

  /** The memory to give to poll(2); another one after a `put` beyond its end. */
  get buffer(): ArrayBuffer {
    return this.#buffer;
  }

  put(index: number, { fd, read, write }: Interest): void {
    if ((index + 1) * POLLFD_BYTES > this.#buffer.byteLength) this.#grow();
    const { POLLIN, POLLOUT } = this.constants;
    this.#fds[index * 2] = fd;
    this.#events[index * 4 + 2] = (read ? POLLIN : 0) | (write ? POLLOUT : 0);
    this.#events[index * 4 + 3] = 0;
  }

  /**
   * What poll(2) has found for the interest put at `index`; undefined when nothing. An error counts as ready for
   * whatever was asked: the call that follows tells which error it is.
   */
  readiness(index: number, interest: Interest): Readiness | undefined {
    const { POLLIN, POLLOUT, POLLERR, POLLHUP, POLLNVAL } = this.constants;
    const found = this.#events[index * 4 + 3]!;
    if (found === 0) return undefined;
    const error = (found & (POLLERR | POLLHUP | POLLNVAL)) !== 0;
    return {
      fd: interest.fd,
      read: interest.read && (error || (found & POLLIN) !== 0),
      write: interest.write && (error || (found & POLLOUT) !== 0),
      error,
    };
  }

  #grow(): void {
    const larger = new ArrayBuffer(this.#buffer.byteLength * 2);
    new Uint8Array(larger).set(new Uint8Array(this.#buffer));
    this.#buffer = larger;
    this.#fds = new Int32Array(larger);
    this.#events = new Int16Array(larger);
  }
}

/**
 * Poller over the C library. A pipe to itself is the wake descriptor, on every system. A pending wait keeps the
 * process alive; Deno.exit ends it all the same.
 */
export class FfiPoller implements Poller {
  readonly #libc: Libc;
  readonly #set: PollSet;
  readonly #wakeRead: OwnedFd;
  readonly #wakeWrite: OwnedFd;
  readonly #byte = new Uint8Array(1);
  #wakePending = false;
  #waiting = false;
  #atOnce = 0;

  /** @throws {SyscallError} */
  constructor(libc: Libc) {
    this.#libc = libc;
    this.#set = new PollSet(libc.constants);
    const { read, write } = openPipe(libc, libc.constants.O_NONBLOCK);
    this.#wakeRead = read;
    this.#wakeWrite = write;
  }

  /**
   * Waits as the port says, through the runtime's event loop often enough that signal handlers and timers run also
   * when descriptors are ready all the time. An empty answer means time out, woken, or a signal.
   *
   * @throws {SyscallError} when poll fails, or is called while another wait is pending.
   */
  async wait(interests: readonly Interest[], timeoutMs: number): Promise<readonly Readiness[]> {
    if (this.#waiting) throw this.#libc.errorNamed("poll twice at a time", "EBUSY");
    this.#waiting = true;
    try {
      this.#set.put(0, { fd: this.#wakeRead.use(), read: true, write: false });
      interests.forEach((interest, i) => this.#set.put(i + 1, interest));
      const found = await this.#poll(interests.length + 1, timeoutMs);
      this.#takeWake();
      return found === 0 ? [] : this.#ready(interests);
    } finally {
      this.#waiting = false;
    }
  }

  /** Ends the pending wait, or the next one at once. */
  wake(): void {
    if (this.#wakePending) return;
    this.#wakePending = true;
    this.#libc.check(Number(this.#libc.c.write(this.#wakeWrite.use(), this.#byte, 1n)), "wake the poll");
  }

  /** Not while a wait is pending. */
  close(): void {
    this.#wakeRead.close();
    this.#wakeWrite.close();
  }

  /** poll(2); a signal ends it early. */
  async #poll(count: number, timeoutMs: number): Promise<number> {
    if (timeoutMs === 0 && ++this.#atOnce < MOST_AT_ONCE) return this.#pollNow(count);
    this.#atOnce = 0;
    const found = await this.#libc.c.pollNonblocking(this.#set.buffer, BigInt(count), pollTimeout(timeoutMs));
    if (found >= 0) return found;
    // the other thread's errno is out of reach: a poll on this thread says whether it was more than a signal
    return this.#pollNow(count);
  }

  /** A signal at this very moment is no failure: nothing has been found. */
  #pollNow(count: number): number {
    const found = this.#libc.c.poll(this.#set.buffer, BigInt(count), 0);
    if (found >= 0) return found;
    const error = this.#libc.error("poll");
    if (error.errno !== "EINTR") throw error;
    return 0;
  }

  #takeWake(): void {
    if (!this.#wakePending) return;
    // a wake since poll's return may not be in its answer; taking it here is as good, for the wait ends now
    this.#libc.c.read(this.#wakeRead.use(), this.#byte, 1n);
    this.#wakePending = false;
  }

  #ready(interests: readonly Interest[]): Readiness[] {
    return interests.flatMap((interest, i) => this.#set.readiness(i + 1, interest) ?? []);
  }
}

/** Holds up the whole program until a descriptor is readable. @returns false when it is not within this time. */
export function waitReadable(libc: Libc, fd: Fd, limitMs: number): boolean {
  const set = new PollSet(libc.constants);
  set.put(0, { fd, read: true, write: false });
  return libc.c.poll(set.buffer, 1n, pollTimeout(limitMs)) > 0;
}

/** Milliseconds for poll(2): rounded up, so that a timer is never polled for before its time; -1 for ever. */
export function pollTimeout(timeoutMs: number): number {
  return timeoutMs < 0 ? -1 : Math.min(Math.ceil(timeoutMs), LONGEST_TIMEOUT_MS);
}
