import { assertEquals, assertRejects } from "@std/assert";
import { constantsOf } from "../../../ffi/constants.ts";
import { FfiPoller, PollSet, pollTimeout } from "../../../ffi/poll.ts";
import { SyscallError } from "../../../src/errors.ts";
import { type FakeErrno, fakeLibc } from "../../fakes/libc.ts";

const constants = constantsOf("linux");

Deno.test("PollSet lays out struct pollfd", () => {
  const set = new PollSet(constants);
  set.put(0, { fd: 5, read: true, write: false });
  set.put(1, { fd: 0x01020304, read: true, write: true });
  assertEquals([...new Uint8Array(set.buffer, 0, 16)], [
    ...[5, 0, 0, 0], // fd
    ...[1, 0], // events: POLLIN
    ...[0, 0], // revents
    ...[4, 3, 2, 1, 5, 0, 0, 0], // POLLIN | POLLOUT
  ]);
});

Deno.test("PollSet keeps what it has when it grows, and forgets old answers", () => {
  const set = new PollSet(constants);
  for (let i = 0; i < 1000; i++) set.put(i, { fd: i, read: true, write: false });
  const words = new Int16Array(set.buffer);
  assertEquals([words[0], words[31 * 4], words[32 * 4], words[999 * 4]], [0, 31, 32, 999]);
  words[999 * 4 + 3] = 1;
  set.put(999, { fd: 1, read: true, write: false });
  assertEquals(set.readiness(999, { fd: 1, read: true, write: false }), undefined);
});

const READINESS: readonly [string, number, { read: boolean; write: boolean }, unknown][] = [
  ["nothing", 0, { read: true, write: true }, undefined],
  ["POLLIN", 1, { read: true, write: true }, { read: true, write: false, error: false }],
  ["POLLOUT", 4, { read: true, write: true }, { read: false, write: true, error: false }],
  ["POLLERR", 8, { read: true, write: false }, { read: true, write: false, error: true }],
  ["POLLHUP", 16, { read: false, write: true }, { read: false, write: true, error: true }],
  ["POLLNVAL", 32, { read: false, write: false }, { read: false, write: false, error: true }],
];

for (const [name, found, asked, expected] of READINESS) {
  Deno.test(`PollSet.readiness() of ${name} with ${JSON.stringify(asked)}`, () => {
    const set = new PollSet(constants);
    const interest = { fd: 9, ...asked };
    set.put(3, interest);
    new Int16Array(set.buffer)[3 * 4 + 3] = found;
    assertEquals(set.readiness(3, interest), expected && { fd: 9, ...expected });
  });
}

for (const [given, expected] of [[-1, -1], [-0.5, -1], [0, 0], [0.2, 1], [20, 20], [1e12, 0x7fffffff]]) {
  Deno.test(`pollTimeout() of ${given}`, () => assertEquals(pollTimeout(given!), expected));
}

/** A poller whose poll(2) gives `answers` one after the other; what it was asked to wait is in `asked`. */
function scripted(answers: readonly number[], now: (errno: FakeErrno) => number) {
  const asked: number[] = [];
  const libc = fakeLibc((errno) => ({
    pipe2: (ends) => (ends instanceof Int32Array && ends.set([3, 4]), 0),
    write: () => 1n,
    read: () => 1n,
    pollNonblocking: (_set, _count, timeout) =>
      Promise.resolve((asked.push(timeout), answers[asked.length - 1] ?? -1)),
    poll: () => now(errno),
  }));
  return { poller: new FfiPoller(libc), asked };
}

Deno.test("wait() ends at a signal, with what is ready by then", async () => {
  const { poller, asked } = scripted([-1, -1], () => 0);
  assertEquals(await poller.wait([], 1000), []);
  assertEquals(await poller.wait([], -1), []);
  assertEquals(asked, [1000, -1]);
});

Deno.test("wait() ends at a signal that comes while it looks again, or looks for no time", async () => {
  const { poller } = scripted([-1], (errno) => errno.fail("EINTR"));
  assertEquals(await poller.wait([], 0), []);
  assertEquals(await poller.wait([], -1), []);
});

Deno.test("wait() for no time goes through the event loop once in a while", async () => {
  const { poller, asked } = scripted([0, 0, 0], () => 0);
  for (let i = 0; i < 20; i++) await poller.wait([], 0);
  assertEquals(asked, [0, 0]);
});

Deno.test("wait() throws the true error of a poll that fails", async () => {
  const { poller } = scripted([-1], (errno) => errno.fail("EINVAL"));
  await assertRejects(() => poller.wait([], -1), SyscallError, "Cannot poll: EINVAL");
});

Deno.test("wait() can be called again after it has failed", async () => {
  const { poller } = scripted([-1, 0], (errno) => errno.fail("ENOMEM"));
  await assertRejects(() => poller.wait([], -1), SyscallError, "ENOMEM");
  assertEquals(await poller.wait([], 5), []);
});
