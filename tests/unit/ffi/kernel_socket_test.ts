import { assertEquals, assertThrows } from "@std/assert";
import { OwnedFd } from "../../../ffi/fd.ts";
import { FfiKernelSocket, setBufferSizes } from "../../../ffi/kernel_socket.ts";
import { netlinkPortId } from "../../../ffi/netlink.ts";
import { SyscallError } from "../../../src/errors.ts";
import { fakeLibc } from "../../fakes/libc.ts";

/** What the fake kernel does at the next read: an error, or a datagram from a port. */
type Step = { readonly error: string } | { readonly from: number; readonly bytes: number[] };

function socketWith(steps: Step[]) {
  const libc = fakeLibc((errno) => ({
    recvfrom: (_fd, to, _length, _flags, sender) => {
      const step = steps.shift() ?? { error: "EAGAIN" };
      if ("error" in step) return BigInt(errno.fail(step.error));
      if (to instanceof Uint8Array) to.set(step.bytes.slice(0, to.length));
      if (sender instanceof Uint32Array) sender[1] = step.from;
      return BigInt(step.bytes.length);
    },
    close: () => 0,
  }));
  return new FfiKernelSocket(libc, new OwnedFd(libc, 5), {
    portId: 9,
    isFromKernel: ([, from]) => from === 0,
  });
}

const ROWS: readonly [string, Step[], unknown][] = [
  ["an empty queue", [], { kind: "empty" }],
  ["a signal", [{ error: "EINTR" }, { from: 0, bytes: [1] }], { kind: "empty" }],
  ["an overrun", [{ error: "ENOBUFS" }, { from: 0, bytes: [1] }], { kind: "overrun" }],
  ["a message of the kernel", [{ from: 0, bytes: [1, 2] }], { kind: "data", bytes: new Uint8Array([1, 2]) }],
  ["an empty message", [{ from: 0, bytes: [] }], { kind: "data", bytes: new Uint8Array([]) }],
  [
    "a stranger's message before the kernel's",
    [{ from: 77, bytes: [9, 9, 9] }, { from: 0, bytes: [1] }],
    { kind: "data", bytes: new Uint8Array([1]) },
  ],
  ["a flood of strangers", Array.from({ length: 1000 }, () => ({ from: 77, bytes: [9] })), { kind: "empty" }],
];

Deno.test("receive() of a message that does not fit says that it is lost, and makes room for the next", () => {
  const bytes = Array<number>(100_000).fill(3);
  const socket = socketWith([{ from: 77, bytes }, { from: 0, bytes }, { from: 0, bytes }]);
  assertEquals<unknown>(socket.receive(), { kind: "overrun" });
  assertEquals<unknown>(socket.receive(), { kind: "data", bytes: new Uint8Array(bytes) });
});

for (const [name, steps, expected] of ROWS) {
  Deno.test(`receive() of ${name}`, () => assertEquals<unknown>(socketWith(steps).receive(), expected));
}

Deno.test("receive() throws other errors", () => {
  assertThrows(() => socketWith([{ error: "ENOTCONN" }]).receive(), SyscallError, "ENOTCONN");
});

Deno.test("send() throws what the kernel says", () => {
  const libc = fakeLibc((errno) => ({ send: () => BigInt(errno.fail("ENOBUFS")) }));
  const socket = new FfiKernelSocket(libc, new OwnedFd(libc, 5), { portId: 0, isFromKernel: () => true });
  assertThrows(
    () => socket.send(new Uint8Array(3)),
    SyscallError,
    "Cannot send 3 bytes to the kernel: ENOBUFS",
  );
});

Deno.test("setBufferSizes() falls back where forcing is not allowed", () => {
  const set: [number, number][] = [];
  const libc = fakeLibc((errno) => ({
    setsockopt: (_fd, _level, name, value) => {
      if (name === 33 /* SO_RCVBUFFORCE */) return errno.fail("EPERM");
      if (value instanceof Int32Array) set.push([name, value[0]!]);
      return 0;
    },
  }));
  setBufferSizes(libc, new OwnedFd(libc, 5), { receiveBufferBytes: 4096, sendBufferBytes: 8192 });
  assertEquals(set, [[8, 4096], [32, 8192]]); // SO_RCVBUF, SO_SNDBUFFORCE
});

Deno.test("netlinkPortId() of struct sockaddr_nl", () => {
  assertEquals(netlinkPortId(new Uint8Array([16, 0, 0, 0, 0x04, 0x03, 0x02, 0x81, 0, 0, 0, 0])), 0x81020304);
});
