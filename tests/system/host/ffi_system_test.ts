/** Accounts, files, names, interfaces, clock, syslog and start-up in the background, on the real host. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { replaceFile } from "../../../ffi/atomic_file.ts";
import { SystemClock, SystemRandom } from "../../../ffi/clock.ts";
import { adoptFd, reportReady, spawnDetached } from "../../../ffi/daemonise.ts";
import { openPipe } from "../../../ffi/fd.ts";
import { effectiveUserId, findAccount } from "../../../ffi/identity.ts";
import { interfaceIndex, interfaceName, listInterfaceAddresses } from "../../../ffi/interfaces.ts";
import { readOwnedFile } from "../../../ffi/owned_file.ts";
import { sendSignal, setInheritable } from "../../../ffi/process.ts";
import { resolveName } from "../../../ffi/resolve.ts";
import { FfiKernelSocket } from "../../../ffi/kernel_socket.ts";
import { encodeUnixSockaddr } from "../../../ffi/sockaddr.ts";
import { openSocket } from "../../../ffi/socket.ts";
import { SyslogSocket } from "../../../ffi/syslog.ts";
import { SyscallError } from "../../../src/errors.ts";
import { formatAddress } from "../../../src/record/address.ts";
import { libc } from "./support.ts";

const text = new TextEncoder();

/** Runs `body` with a folder of its own. */
async function withFolder(body: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("errno() names the last error: a closed descriptor", () => {
  assertEquals(libc.c.close(999_999), -1);
  assertEquals(libc.errno(), "EBADF");
});

Deno.test("OwnedFd closes exactly once", () => {
  const { read, write } = openPipe(libc);
  read.close();
  assertThrows(() => read.close(), SyscallError, "EBADF");
  write.close();
});

Deno.test("findAccount() finds root and nobody else's invention", () => {
  assertEquals(effectiveUserId(libc), Deno.uid());
  assertEquals(findAccount(libc, "root"), { uid: 0, gid: 0, directory: "/root" });
  assertEquals(findAccount(libc, "no-such-account"), undefined);
});

Deno.test("readOwnedFile() gives content, owner and mode, through a symbolic link too", () =>
  withFolder((folder) => {
    const content = text.encode("listen on 192.0.2.1\n".repeat(3000));
    Deno.writeFileSync(`${folder}/conf`, content);
    Deno.chmodSync(`${folder}/conf`, 0o640);
    Deno.symlinkSync(`${folder}/conf`, `${folder}/link`);
    const expected = { bytes: content, uid: Deno.uid()!, mode: 0o640, isRegular: true };
    assertEquals(readOwnedFile(libc, `${folder}/conf`), expected);
    assertEquals(readOwnedFile(libc, `${folder}/link`), expected);
  }));

Deno.test("readOwnedFile() neither waits for a FIFO nor reads folders and devices", () =>
  withFolder((folder) => {
    new Deno.Command("mkfifo", { args: [`${folder}/fifo`] }).outputSync();
    for (const path of [`${folder}/fifo`, folder, "/dev/null"]) {
      const file = readOwnedFile(libc, path);
      assertEquals([file.isRegular, file.bytes.length], [false, 0]);
    }
  }));

Deno.test("readOwnedFile() refuses what is absent or too large", () =>
  withFolder((folder) => {
    assertThrows(
      () => readOwnedFile(libc, `${folder}/none`),
      SyscallError,
      `Cannot open "${folder}/none": ENOENT`,
    );
    Deno.writeFileSync(`${folder}/large`, new Uint8Array((1 << 20) + 1));
    assertThrows(() => readOwnedFile(libc, `${folder}/large`), SyscallError, "EFBIG");
  }));

Deno.test("resolveName() resolves localhost and numbers, and names its failure", async () => {
  assertEquals((await resolveName(libc, "localhost", 4)).map(formatAddress), ["127.0.0.1"]);
  assertEquals((await resolveName(libc, "::1")).map(formatAddress), ["::1"]);
  assertEquals((await resolveName(libc, "192.0.2.7")).map(formatAddress), ["192.0.2.7"]);
  await assertRejects(() => resolveName(libc, "192.0.2.7", 6), SyscallError, "EAI_ADDRFAMILY");
  await assertRejects(() => resolveName(libc, ""), SyscallError, `Cannot resolve "": EAI_NONAME`);
});

Deno.test("listInterfaceAddresses() agrees with the runtime", () => {
  const ours = listInterfaceAddresses(libc).map(({ name, address }) => `${name} ${formatAddress(address)}`);
  const theirs = Deno.networkInterfaces().filter(({ address }) => !address.startsWith("fe80:"))
    .map(({ name, address }) => `${name} ${address}`);
  assertEquals(ours.sort(), theirs.sort());
});

Deno.test("interfaceIndex() and interfaceName() of loopback", () => {
  assertEquals(interfaceIndex(libc, "lo"), 1);
  assertEquals(interfaceName(libc, 1), "lo");
  assertEquals(interfaceIndex(libc, "none0"), undefined);
  assertEquals(interfaceName(libc, 999_999), undefined);
});

Deno.test("SystemClock and SystemRandom", () => {
  const clock = new SystemClock(libc);
  const first = clock.bootMs();
  assert(Number.isInteger(first) && Math.abs(first / 1000 - Deno.osUptime()) < 5);
  assert(clock.look() >= first);
  assert(Math.abs(clock.wallSeconds() - Date.now() / 1000) < 2);
  assertEquals(new SystemRandom().bytes(33).length, 33);
});

/** A syslog daemon of ours. */
function openReader(path: string): FfiKernelSocket {
  const fd = openSocket(libc, libc.constants.AF_UNIX, libc.constants.SOCK_DGRAM, 0);
  const address = encodeUnixSockaddr(libc.system, path);
  libc.check(libc.c.bind(fd.use(), address, address.length), "bind");
  return new FfiKernelSocket(libc, fd, { portId: 0, isFromKernel: () => true });
}

Deno.test("SyslogSocket drops without a reader, sends with one, and finds a new one", () =>
  withFolder((folder) => {
    const path = `${folder}/log`;
    const syslog = new SyslogSocket(libc, path);
    assertEquals(syslog.send(text.encode("<30>lost")), false);
    const reader = openReader(path);
    assertEquals(syslog.send(text.encode("<30>one")), true);
    assertEquals(reader.receive(), { kind: "data", bytes: text.encode("<30>one") });
    reader.close();
    assertEquals(syslog.send(text.encode("<30>lost")), false);
    Deno.removeSync(path);
    const next = openReader(path);
    assertEquals(syslog.send(text.encode("<30>two")), true);
    assertEquals(next.receive(), { kind: "data", bytes: text.encode("<30>two") });
    next.close();
    syslog.close();
  }));

Deno.test("SyslogSocket never waits for a reader that stalls", () =>
  withFolder((folder) => {
    const reader = openReader(`${folder}/log`);
    const syslog = new SyslogSocket(libc, `${folder}/log`);
    const start = performance.now();
    const lines = Array.from({ length: 5000 }, (_, i) => text.encode(`<30>line ${i}`));
    const dropped = lines.filter((line) => !syslog.send(line)).length;
    assert(performance.now() - start < 2000);
    assert(dropped > 0 && dropped < 5000);
    syslog.close();
    reader.close();
  }));

const CHILD = new URL("./ffi_detached_child.ts", import.meta.url).pathname;

function startChild(kind: string) {
  return spawnDetached(libc, { args: (fd) => ["run", "-A", "--no-lock", CHILD, kind, String(fd)] });
}

Deno.test({
  name: "spawnDetached() sees a child that is ready, in a session of its own, without the terminal",
  sanitizeResources: false, // the child lives on
  sanitizeOps: false,
  fn: () =>
    withFolder(async (folder) => {
      const outcome = await startChild(`${folder}/report`);
      assert(outcome.ready);
      let report = "";
      for (let tries = 0; report === "" && tries < 100; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        report = await Deno.readTextFile(`${folder}/report`).catch(() => "");
      }
      sendSignal(libc, outcome.processId, 9);
      assertEquals(JSON.parse(report), {
        session: outcome.processId,
        parent: Deno.pid,
        standard: ["/dev/null", "/dev/null", "/dev/null"],
        cores: "0",
        cwd: "/",
      });
    }),
});

Deno.test({
  name: "spawnDetached() gives the exit status of a child that fails, and 137 for one that is killed",
  sanitizeResources: false, // the end of the child of the test before may fall into this one
  sanitizeOps: false,
  fn: async () => {
    assertEquals(await startChild("fail"), { ready: false, code: 3 });
    assertEquals(await startChild("killed"), { ready: false, code: 137 });
  },
});

Deno.test("replaceFile() puts a new file in the place of whatever stood there", () =>
  withFolder((folder) => {
    const path = `${folder}/demote`;
    Deno.writeTextFileSync(`${folder}/other`, "untouched");
    Deno.symlinkSync(`${folder}/other`, path);
    Deno.symlinkSync(`${folder}/other`, `${path}.new`);
    for (const text of ["100\n", "0\n"]) {
      replaceFile(libc, path, text);
      assertEquals(Deno.readTextFileSync(path), text);
    }
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).toSorted(), ["demote", "other"]);
    assertEquals(Deno.readTextFileSync(`${folder}/other`), "untouched");
    assertEquals(Deno.lstatSync(path).mode! & 0o7777, 0o644);
  }));

Deno.test("replaceFile() says what it cannot do, and leaves the file as it was", () =>
  withFolder((folder) => {
    assertThrows(
      () => replaceFile(libc, `${folder}/none/demote`, "0"),
      SyscallError,
      'none/demote.new": ENOENT',
    );
    Deno.mkdirSync(`${folder}/demote`);
    assertThrows(() => replaceFile(libc, `${folder}/demote`, "0"), SyscallError, 'replace "');
    assertEquals(Deno.statSync(`${folder}/demote`).isDirectory, true);
  }));

Deno.test("adoptFd() and setInheritable() refuse a number that is not open", () => {
  assertThrows(() => adoptFd(libc, 999_999), SyscallError, "EBADF");
  assertThrows(() => setInheritable(libc, 999_999, true), SyscallError, "EBADF");
});

Deno.test("reportReady() to a first process that is gone is no error", () => {
  const { read, write } = openPipe(libc);
  read.close();
  reportReady(libc, write);
  assertEquals(write.isOpen, false);
});

Deno.test("sendSignal() finds processes", () => {
  assertEquals(sendSignal(libc, Deno.pid, 0), true);
  assertEquals(sendSignal(libc, 0x3fffffff, 0), false);
});
