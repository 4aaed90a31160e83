/** A Unix stream socket of this host that is listened on. */

import { assertEquals, assertThrows } from "@std/assert";
import { FfiLocalDoors } from "../../../ffi/local.ts";
import { FfiLocalListener } from "../../../ffi/local_listener.ts";
import { SyscallError } from "../../../src/errors.ts";
import { libc, waitReady } from "./support.ts";

const doors = new FfiLocalDoors(libc);
const bytes = new TextEncoder().encode("{}\n");

function withPath(name: string, body: (path: string) => void | Promise<void>): void {
  Deno.test(name, async () => {
    const folder = Deno.makeTempDirSync();
    try {
      await body(`${folder}/s`);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

const isThere = (path: string) => [...Deno.readDirSync(path.slice(0, -2))].length === 1;

withPath("open() gives a listener for this user alone, and leaves the umask as it was", (path) => {
  const before = Deno.umask(0o002);
  try {
    const listener = FfiLocalListener.open(libc, path);
    assertEquals([Deno.lstatSync(path).mode! & 0o7777, Deno.umask()], [0o600, 0o002]);
    listener.close();
    assertEquals(isThere(path), false);
  } finally {
    Deno.umask(before);
  }
});

withPath("accept() gives connections that can be read and written", async (path) => {
  const listener = FfiLocalListener.open(libc, path);
  assertEquals(listener.accept(), undefined);
  const client = doors.connect(path);
  await waitReady({ fd: listener.fd, read: true, write: false });
  const stream = listener.accept()!;
  assertEquals(listener.accept(), undefined);
  client.send(bytes);
  await waitReady({ fd: stream.fd, read: true, write: false });
  assertEquals(stream.receive(100), { kind: "data", bytes });
  client.close();
  const [hungUp] = await waitReady({ fd: stream.fd, read: false, write: false });
  assertEquals(hungUp?.error, true);
  stream.close();
  listener.close();
});

withPath("open() replaces a socket that nobody listens on, and no other", (path) => {
  const first = FfiLocalListener.open(libc, path);
  assertThrows(() => FfiLocalListener.open(libc, path), SyscallError, "which another daemon has: EADDRINUSE");
  libc.c.close(first.fd); // as when its process is killed: the place in the file system stays
  assertEquals(isThere(path), true);
  FfiLocalListener.open(libc, path).close();
});

withPath("open() leaves alone what is no socket", (path) => {
  Deno.writeTextFileSync(path, "precious");
  assertThrows(() => FfiLocalListener.open(libc, path), SyscallError, "EEXIST");
  assertEquals(Deno.readTextFileSync(path), "precious");
  assertThrows(() => FfiLocalListener.open(libc, `${path}/x`), SyscallError, "ENOTDIR");
  assertThrows(() => FfiLocalListener.open(libc, "/nonexistent/s"), SyscallError, "ENOENT");
});
