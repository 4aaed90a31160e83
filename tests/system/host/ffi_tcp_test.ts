/** TCP of ours over loopback, and against an address that never answers. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { FfiPoller } from "../../../ffi/poll.ts";
import { boundAddress, openSocket } from "../../../ffi/socket.ts";
import { type FfiConnection, type FfiListener, FfiTransport } from "../../../ffi/tcp.ts";
import { SyscallError } from "../../../src/errors.ts";
import { type Address, parseAddress } from "../../../src/record/address.ts";
import { canUseNetns, libc, waitReady, withFreshNetns } from "./support.ts";

const transport = new FfiTransport(libc);

function address(text: string): Address {
  const parsed = parseAddress(text);
  assert(parsed !== undefined);
  return parsed;
}

function listenOn(text: string): FfiListener {
  return transport.listen({ address: address(text), port: 0 });
}

/** Listens on all of `hosts` with one port, which nobody else has on any of them. */
function listenTogether(...hosts: string[]): FfiListener[] {
  for (let tries = 0;; tries++) {
    const listeners = [listenOn(hosts[0]!)];
    try {
      const port = listeners[0]!.at.port;
      for (const host of hosts.slice(1)) listeners.push(transport.listen({ address: address(host), port }));
      return listeners;
    } catch (error) {
      listeners.forEach((listener) => listener.close());
      if (tries === 20) throw error; // another test's port is in the way
    }
  }
}

/** Waits for the outcome of a connect. */
async function finish(connection: FfiConnection): Promise<string | undefined> {
  await waitReady({ fd: connection.fd, read: false, write: true });
  return connection.finishConnect();
}

/** A connection to `listener` and its other end. */
async function pair(listener: FfiListener, local?: Address): Promise<[FfiConnection, FfiConnection]> {
  const dialled = transport.connect(listener.at, local);
  assertEquals(dialled.connecting, true);
  assertEquals(await finish(dialled), undefined);
  assertEquals(dialled.connecting, false);
  await waitReady({ fd: listener.fd, read: true, write: false });
  const accepted = listener.accept();
  assert(accepted !== undefined);
  return [dialled, accepted];
}

/** Sends until the socket takes no more. @returns the number of bytes taken. */
function fill(connection: FfiConnection): number {
  const chunk = new Uint8Array(256 * 1024);
  let total = 0;
  for (let sent = connection.send(chunk); sent !== 0; sent = connection.send(chunk)) {
    assert(sent !== "closed");
    total += sent;
  }
  return total;
}

async function receiveNext(connection: FfiConnection, limit = 65_536) {
  await waitReady({ fd: connection.fd, read: true, write: false });
  return connection.receive(limit);
}

for (const host of ["127.0.0.1", "::1"]) {
  Deno.test(`connect() and accept() on ${host} carry bytes both ways and end in order`, async () => {
    const listener = listenOn(host);
    assertEquals(listener.accept(), undefined);
    const [dialled, accepted] = await pair(listener);
    assertEquals(dialled.remote, address(host));
    assertEquals(accepted.remote, address(host));
    assertEquals(accepted.receive(10), { kind: "empty" });
    assertEquals(dialled.send(new Uint8Array([1, 2, 3])), 3);
    assertEquals(await receiveNext(accepted, 2), { kind: "data", bytes: new Uint8Array([1, 2]) });
    assertEquals(await receiveNext(accepted), { kind: "data", bytes: new Uint8Array([3]) });
    assertEquals(accepted.send(new Uint8Array([4])), 1);
    accepted.close();
    assertEquals(await receiveNext(dialled), { kind: "data", bytes: new Uint8Array([4]) });
    assertEquals(await receiveNext(dialled), { kind: "closed", reason: "EOF" });
    dialled.close();
    listener.close();
  });
}

Deno.test("listen() on :: and 0.0.0.0 with the same port, each with its own family", async () => {
  const [six, four] = listenTogether("::", "0.0.0.0");
  assert(six !== undefined && four !== undefined);
  const dialled = transport.connect({ address: address("127.0.0.1"), port: six.at.port }, undefined);
  assertEquals(await finish(dialled), undefined);
  assertEquals(six.accept(), undefined);
  const accepted = four.accept();
  assertEquals(accepted?.remote, address("127.0.0.1"));
  accepted?.close();
  dialled.close();
  six.close();
  four.close();
});

Deno.test("listen() on several addresses with one port", () => {
  listenTogether("127.0.0.1", "127.0.0.2", "::1").forEach((listener) => listener.close());
});

Deno.test("listen() names what is in the way", () => {
  const listener = listenOn("127.0.0.1");
  assertThrows(
    () => transport.listen(listener.at),
    SyscallError,
    `127.0.0.1 port ${listener.at.port}: EADDRINUSE`,
  );
  assertThrows(() => listenOn("198.51.100.9"), SyscallError, "EADDRNOTAVAIL");
  listener.close();
});

Deno.test("connect() from a local address is seen by the other side", async () => {
  const listener = listenOn("127.0.0.1");
  const [dialled, accepted] = await pair(listener, address("127.0.0.7"));
  assertEquals(accepted.remote, address("127.0.0.7"));
  assertThrows(() => transport.connect(listener.at, address("198.51.100.9")), SyscallError, "EADDRNOTAVAIL");
  [dialled, accepted, listener].forEach((each) => each.close());
});

Deno.test("finishConnect() says ECONNREFUSED where nobody listens", async () => {
  const listener = listenOn("127.0.0.1");
  listener.close();
  const dialled = transport.connect(listener.at, undefined);
  assertEquals(await finish(dialled), "ECONNREFUSED");
  dialled.close();
});

Deno.test("send() takes a part, then nothing, and goes on when the other side reads", async () => {
  const listener = listenOn("127.0.0.1");
  const [dialled, accepted] = await pair(listener);
  let left = fill(dialled);
  assert(left > 100_000 && left % (256 * 1024) !== 0, "the last send should have been partial");
  while (left > 0) {
    const received = await receiveNext(accepted, 1 << 20);
    assert(received.kind === "data");
    left -= received.bytes.length;
  }
  assert(dialled.send(new Uint8Array(10)) === 10);
  [dialled, accepted, listener].forEach((each) => each.close());
});

Deno.test("drop() resets at once, unsent data or not", async () => {
  const listener = listenOn("127.0.0.1");
  const [dialled, accepted] = await pair(listener);
  const sent = fill(dialled);
  dialled.drop();
  let received = 0;
  let end = await receiveNext(accepted, 1 << 20);
  for (; end.kind === "data"; end = await receiveNext(accepted, 1 << 20)) received += end.bytes.length;
  assertEquals(end, { kind: "closed", reason: "ECONNRESET" });
  assert(received < sent);
  assertEquals(accepted.send(new Uint8Array(1)), "closed");
  accepted.close();
  assertThrows(() => dialled.drop(), SyscallError, "EBADF");
  assertThrows(() => dialled.send(new Uint8Array(1)), SyscallError, "EBADF");
  listener.close();
});

Deno.test("send() to a peer that has closed gives closed, never a signal", async () => {
  const listener = listenOn("127.0.0.1");
  const [dialled, accepted] = await pair(listener);
  accepted.close();
  let result: number | "closed" = 0;
  for (let i = 0; i < 100 && result !== "closed"; i++) {
    result = dialled.send(new Uint8Array(1));
    await waitReady({ fd: dialled.fd, read: true, write: false });
  }
  assertEquals(result, "closed");
  dialled.close();
  listener.close();
});

Deno.test("accept() passes on a connection that was reset while it waited", async () => {
  const listener = listenOn("127.0.0.1");
  const dialled = transport.connect(listener.at, undefined);
  assertEquals(await finish(dialled), undefined);
  dialled.drop();
  const accepted = listener.accept(); // Linux hands it over, and the first read tells
  if (accepted !== undefined) {
    assertEquals((await receiveNext(accepted)).kind, "closed");
    accepted.close();
  }
  listener.close();
});

Deno.test("connect() with short segments", async () => {
  const listener = listenOn("127.0.0.1");
  const dialled = transport.connect(listener.at, undefined, 1220);
  assertEquals(await finish(dialled), undefined);
  const option = new Uint32Array(1);
  const { IPPROTO_TCP, TCP_MAXSEG } = libc.constants;
  assertEquals(libc.c.getsockopt(dialled.fd, IPPROTO_TCP, TCP_MAXSEG, option, new Uint32Array([4])), 0);
  assert(option[0]! <= 1220 && option[0]! % 4 === 0, `${option[0]} bytes`);
  [dialled, listener].forEach((end) => end.close());
});

Deno.test("finish() ends one direction only", async () => {
  const listener = listenOn("127.0.0.1");
  const [dialled, accepted] = await pair(listener);
  dialled.finish();
  await waitReady({ fd: accepted.fd, read: true, write: false });
  assertEquals(accepted.receive(10), { kind: "closed", reason: "EOF" });
  accepted.send(Uint8Array.of(7));
  await waitReady({ fd: dialled.fd, read: true, write: false });
  assertEquals(dialled.receive(10), { kind: "data", bytes: Uint8Array.of(7) });
  [dialled, accepted, listener].forEach((end) => end.close());
});

Deno.test("connect() to a host that never answers stays connecting until drop()", async () => {
  // a listener with a full queue drops the first packet of every further connection
  const fd = openSocket(libc, libc.constants.AF_INET, libc.constants.SOCK_STREAM, 0);
  libc.check(libc.c.listen(fd.use(), 0), "listen");
  const at = { address: address("127.0.0.1"), port: boundAddress(libc, fd).port };
  const filler = transport.connect(at, undefined);
  assertEquals(await finish(filler), undefined);
  const dialled = transport.connect(at, undefined);
  const poller = new FfiPoller(libc);
  assertEquals(await poller.wait([{ fd: dialled.fd, read: false, write: true }], 50), []);
  assertEquals(dialled.connecting, true);
  assertEquals(dialled.finishConnect(), "EINPROGRESS");
  assertEquals(dialled.send(new Uint8Array(1)), 0);
  assertEquals(dialled.receive(1), { kind: "empty" });
  dialled.drop();
  [filler, poller, fd].forEach((each) => each.close());
});

Deno.test({
  name: "connect() without a route throws ENETUNREACH",
  ignore: !canUseNetns,
  fn: () =>
    withFreshNetns(() => {
      const nowhere = { address: address("203.0.113.1"), port: 500 };
      assertThrows(
        () => transport.connect(nowhere, undefined),
        SyscallError,
        "203.0.113.1 port 500: ENETUNREACH",
      );
      return Promise.resolve();
    }),
});

Deno.test("200 connections in one poll, all of them live", async () => {
  const listener = listenOn("127.0.0.1");
  const dialled = Array.from({ length: 100 }, () => transport.connect(listener.at, undefined));
  for (const connection of dialled) assertEquals(await finish(connection), undefined);
  const accepted = dialled.map(() => listener.accept());
  assertEquals(accepted.filter((connection) => connection === undefined).length, 0);
  dialled.forEach((connection, i) => assertEquals(connection.send(new Uint8Array([i])), 1));
  const all = [...dialled, ...accepted.map((connection) => connection!)];
  const ready = await waitReady(...all.map(({ fd }) => ({ fd, read: true, write: false })));
  assertEquals(ready.length, 100);
  all.forEach((connection) => connection.drop());
  listener.close();
});
