/** Unix sockets and FIFOs of this host. */

import { assertEquals, assertThrows } from "@std/assert";
import { FfiLocalDoors } from "../../../ffi/local.ts";
import { SyscallError } from "../../../src/errors.ts";
import { libc, must, waitReady } from "./support.ts";

const doors = new FfiLocalDoors(libc);
const bytes = new TextEncoder().encode("M active\n");

function withFolder(name: string, body: (folder: string) => void | Promise<void>): void {
  Deno.test(name, async () => {
    const folder = Deno.makeTempDirSync();
    try {
      await body(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

withFolder("connect() sends and receives over a Unix socket", async (folder) => {
  using listener = Deno.listen({ transport: "unix", path: `${folder}/s` });
  const stream = doors.connect(`${folder}/s`);
  const peer = await listener.accept();
  assertEquals(stream.receive(100).kind, "empty");
  assertEquals(stream.send(bytes), bytes.length);
  const got = new Uint8Array(100);
  assertEquals(await peer.read(got), bytes.length);
  await peer.write(bytes);
  await waitReady({ fd: stream.fd, read: true, write: false });
  assertEquals(stream.receive(4), { kind: "data", bytes: bytes.slice(0, 4) });
  peer.close();
  await waitReady({ fd: stream.fd, read: true, write: false });
  assertEquals(stream.receive(100), { kind: "data", bytes: bytes.slice(4) });
  assertEquals(stream.receive(100), { kind: "closed", reason: "EOF" });
  assertEquals(stream.send(bytes), "closed");
  stream.close();
});

withFolder("connect() waits for nobody", (folder) => {
  const path = `${folder}/s`;
  assertThrows(() => doors.connect(path), SyscallError, `Cannot connect to "${path}": ENOENT`);
  Deno.listen({ transport: "unix", path }).close();
  Deno.writeTextFileSync(`${folder}/file`, "");
  assertThrows(() => doors.connect(`${folder}/file`), SyscallError, "ECONNREFUSED");
});

withFolder("connect() tells when too many wait there", (folder) => {
  using _listener = Deno.listen({ transport: "unix", path: `${folder}/s` });
  const streams: { close(): void }[] = [];
  try {
    assertThrows(
      () => {
        for (let i = 0; i < 10_000; i++) streams.push(doors.connect(`${folder}/s`));
      },
      SyscallError,
      "EAGAIN",
    );
  } finally {
    for (const stream of streams) stream.close();
  }
});

withFolder("writeFifo() writes to who reads, and waits for nobody", async (folder) => {
  const path = `${folder}/fifo`;
  must("mkfifo", path);
  assertThrows(() => doors.writeFifo(path, bytes), SyscallError, `Cannot open "${path}": ENXIO`);
  const reader = new Deno.Command("cat", { args: [path], stdout: "piped" }).spawn();
  await writeWhenRead(path);
  assertEquals((await reader.output()).stdout, bytes);
});

withFolder("writeFifo() writes to nothing but a FIFO", (folder) => {
  const path = `${folder}/file`;
  Deno.writeTextFileSync(path, "as it was");
  assertThrows(() => doors.writeFifo(path, bytes), SyscallError, "which is no FIFO: EINVAL");
  assertEquals(Deno.readTextFileSync(path), "as it was");
  assertThrows(() => doors.writeFifo(`${folder}/none`, bytes), SyscallError, "ENOENT");
});

withFolder("writeFifo() tells when the FIFO is full", async (folder) => {
  const path = `${folder}/fifo`;
  must("mkfifo", path);
  const reader = await Deno.open(path, { read: true, write: true });
  const line = new Uint8Array(4096);
  assertThrows(
    () => {
      for (let i = 0; i < 1000; i++) doors.writeFifo(path, line);
    },
    SyscallError,
    "EAGAIN",
  );
  reader.close();
});

/** `cat` needs a moment to open the FIFO. */
async function writeWhenRead(path: string): Promise<void> {
  for (const endMs = Date.now() + 10_000;;) {
    try {
      return doors.writeFifo(path, bytes);
    } catch (error) {
      if (!(error instanceof SyscallError) || error.errno !== "ENXIO" || Date.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
