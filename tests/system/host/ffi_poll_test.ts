/** The one poll on real descriptors. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { openPipe } from "../../../ffi/fd.ts";
import { FfiPoller } from "../../../ffi/poll.ts";
import { SyscallError } from "../../../src/errors.ts";
import { libc } from "./support.ts";

async function withPoller(body: (poller: FfiPoller) => Promise<void>): Promise<void> {
  const poller = new FfiPoller(libc);
  try {
    await body(poller);
  } finally {
    poller.close();
  }
}

Deno.test("wait() with time out 0 answers at once, with 20 ms after 20 ms", () =>
  withPoller(async (poller) => {
    const start = performance.now();
    assertEquals(await poller.wait([], 0), []);
    assert(performance.now() - start < 500);
    const second = performance.now();
    assertEquals(await poller.wait([], 20), []);
    assert(performance.now() - second >= 19.5);
  }));

Deno.test("wake() before wait() is not lost, and is used up by it", () =>
  withPoller(async (poller) => {
    poller.wake();
    poller.wake();
    assertEquals(await poller.wait([], -1), []);
    const start = performance.now();
    await poller.wait([], 20);
    assert(performance.now() - start >= 19.5, "the wake was still there");
  }));

Deno.test("wake() ends a wait without time limit", () =>
  withPoller(async (poller) => {
    setTimeout(() => poller.wake(), 10);
    assertEquals(await poller.wait([], -1), []);
  }));

Deno.test("wait() tells read, write and closed descriptors apart, also beyond the first 31", () =>
  withPoller(async (poller) => {
    const pipes = Array.from({ length: 100 }, () => openPipe(libc));
    const reads = pipes.map(({ read }) => ({ fd: read.number, read: true, write: false }));
    assertEquals(await poller.wait(reads, 0), []);
    libc.c.write(pipes[70]!.write.use(), new Uint8Array(1), 1n);
    assertEquals(await poller.wait(reads, -1), [
      { fd: pipes[70]!.read.number, read: true, write: false, error: false },
    ]);
    pipes[99]!.write.close(); // a process that another test starts just now may hold on to it until its exec
    assertEquals(await poller.wait(reads.slice(71), -1), [
      { fd: pipes[99]!.read.number, read: true, write: false, error: true },
    ]);
    const write = { fd: pipes[3]!.write.number, read: false, write: true };
    assertEquals(await poller.wait([write], -1), [{ ...write, error: false }]);
    assertEquals(await poller.wait([{ fd: 999_999, read: true, write: false }], -1), [
      { fd: 999_999, read: true, write: false, error: true },
    ]);
    pipes.forEach(({ read, write }) => (read.close(), write.isOpen && write.close()));
  }));

Deno.test("wait() twice at a time is refused", () =>
  withPoller(async (poller) => {
    const first = poller.wait([], 50);
    await assertRejects(() => poller.wait([], 0), SyscallError, "EBUSY");
    await first;
  }));

Deno.test("wait() survives signals", () =>
  withPoller(async (poller) => {
    let seen = 0;
    const handler = () => void seen++;
    Deno.addSignalListener("SIGWINCH", handler);
    const timer = setInterval(() => Deno.kill(Deno.pid, "SIGWINCH"), 5);
    await poller.wait([], 100);
    clearInterval(timer);
    Deno.removeSignalListener("SIGWINCH", handler);
    assert(seen > 0);
  }));

Deno.test("wait() lets signal handlers and timers run while a descriptor is always ready", () =>
  withPoller(async (poller) => {
    const { read, write } = openPipe(libc);
    libc.c.write(write.use(), new Uint8Array(1), 1n);
    let done = false;
    const timer = setTimeout(() => done = true, 5);
    for (let turns = 0; !done && turns < 100_000; turns++) {
      await poller.wait([{ fd: read.number, read: true, write: false }], -1);
    }
    clearTimeout(timer);
    assert(done);
    read.close();
    write.close();
  }));
