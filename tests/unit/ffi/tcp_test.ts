import { assertEquals, assertThrows } from "@std/assert";
import { FfiTransport } from "../../../ffi/tcp.ts";
import { encodeSockaddr } from "../../../ffi/sockaddr.ts";
import { SyscallError } from "../../../src/errors.ts";
import type { LibcSymbols } from "../../../ffi/libc.ts";
import { type FakeErrno, fakeLibc } from "../../fakes/libc.ts";

const at = { address: new Uint8Array([192, 0, 2, 1]), port: 500 };

/** A transport whose sockets are all descriptor 5; `closed` tells what was closed. */
function transportWith(make: (errno: FakeErrno) => Partial<LibcSymbols>) {
  const closed: number[] = [];
  const libc = fakeLibc((errno) => ({
    socket: () => 5,
    close: (fd) => (closed.push(fd), 0),
    setsockopt: () => 0,
    bind: () => 0,
    listen: () => 0,
    connect: () => errno.fail("EINPROGRESS"),
    getsockname: (_fd, name, length) => {
      const bytes = encodeSockaddr("linux", at);
      if (name instanceof Uint8Array) name.set(bytes);
      if (length instanceof Uint32Array) length[0] = bytes.length;
      return 0;
    },
    ...make(errno),
  }));
  return { transport: new FfiTransport(libc), closed };
}

for (const error of ["ECONNABORTED", "EPROTO", "EINTR", "ENETDOWN"]) {
  Deno.test(`accept() passes over ${error}`, () => {
    const answers = [error, error, "EAGAIN"];
    const { transport } = transportWith((errno) => ({ accept4: () => errno.fail(answers.shift()!) }));
    assertEquals(transport.listen(at).accept(), undefined);
    assertEquals(answers, []);
  });
}

for (const error of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]) {
  Deno.test(`accept() throws ${error}`, () => {
    const { transport } = transportWith((errno) => ({ accept4: () => errno.fail(error) }));
    assertThrows(() => transport.listen(at).accept(), SyscallError, error);
  });
}

Deno.test("listen() and connect() close the socket when they fail", () => {
  const { transport, closed } = transportWith((errno) => ({
    listen: () => errno.fail("EADDRINUSE"),
    connect: () => errno.fail("ENETUNREACH"),
  }));
  assertThrows(() => transport.listen(at), SyscallError, "Cannot listen on 192.0.2.1 port 500: EADDRINUSE");
  assertThrows(() => transport.connect(at, undefined), SyscallError, "ENETUNREACH");
  assertEquals(closed, [5, 5]);
});

const SENDS: readonly [string, (errno: FakeErrno) => number, number | "closed"][] = [
  ["a part", () => 2, 2],
  ["a full socket", (errno) => errno.fail("EAGAIN"), 0],
  ["a signal", (errno) => errno.fail("EINTR"), 0],
  ["a broken pipe", (errno) => errno.fail("EPIPE"), "closed"],
  ["a reset", (errno) => errno.fail("ECONNRESET"), "closed"],
];

for (const [name, send, expected] of SENDS) {
  Deno.test(`send() with ${name}`, () => {
    const { transport } = transportWith((errno) => ({ send: () => BigInt(send(errno)) }));
    assertEquals(transport.connect(at, undefined).send(new Uint8Array(3)), expected);
  });
}

Deno.test("receive() names why a connection is broken", () => {
  const { transport } = transportWith((errno) => ({ recv: () => BigInt(errno.fail("ETIMEDOUT")) }));
  assertEquals(transport.connect(at, undefined).receive(10), { kind: "closed", reason: "ETIMEDOUT" });
});

Deno.test("drop() closes also when the linger cannot be set, and says so", () => {
  const { transport, closed } = transportWith((errno) => ({
    setsockopt: (_fd, _level, name) => name === 13 /* SO_LINGER */ ? errno.fail("EINVAL") : 0,
  }));
  assertThrows(() => transport.connect(at, undefined).drop(), SyscallError, "Cannot set SO_LINGER: EINVAL");
  assertEquals(closed, [5]);
});

Deno.test("receive() of at most nothing is empty, not the end of the stream", () => {
  const { transport } = transportWith(() => ({ recv: () => 0n }));
  const connection = transport.connect(at, undefined);
  assertEquals(connection.receive(0), { kind: "empty" });
  assertEquals(connection.receive(1), { kind: "closed", reason: "EOF" });
});
