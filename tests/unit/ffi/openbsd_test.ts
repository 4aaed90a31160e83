/** The way that the program goes at its start, with a C library like OpenBSD's: which functions it needs, and how it calls them. */

import { assertEquals, assertThrows } from "@std/assert";
import { SystemClock } from "../../../ffi/clock.ts";
import { effectiveUserId, findAccount } from "../../../ffi/identity.ts";
import { openKeySocket } from "../../../ffi/key_socket.ts";
import { type LibraryLoader, openLibc } from "../../../ffi/libc.ts";
import { readOwnedFile } from "../../../ffi/owned_file.ts";
import { FfiPoller } from "../../../ffi/poll.ts";
import { forbidCoreDumps, forbidTracing } from "../../../ffi/process.ts";
import { readSysctl } from "../../../ffi/sysctl.ts";
import { SyslogSocket } from "../../../ffi/syslog.ts";
import { FfiTransport } from "../../../ffi/tcp.ts";
import { PfkeyKernel } from "../../../src/daemon/pfkey_kernel.ts";
import { SyscallError } from "../../../src/errors.ts";
import { Writer } from "../../../src/layout/mod.ts";
import { openbsdDialect } from "../../../src/pfkey/openbsd.ts";
import { addr } from "../../fakes/records.ts";

const ERRNO_ADDRESS = 0x1000n;
const STRINGS_ADDRESS = 0x2000n;
const STRINGS = new TextEncoder().encode("_sasyncd\0/var/empty\0");
/** What kern.sbmax allows. */
const MOST_BUFFER_BYTES = 2 * 1024 * 1024;

/** As many of OpenBSD's functions as the start needs. An unknown one is no function at all. */
class FakeOpenbsd implements LibraryLoader {
  readonly opened: string[] = [];
  readonly calls: string[] = [];
  readonly sockets: number[][] = [];
  readonly buffers: number[] = [];
  readonly dumps: string[] = [];
  names: readonly string[] = [
    "libc.a",
    "libc.so.97.1",
    "libcrypto.so.55.0",
    "libc.so.100.4",
    "libc.so.100.13",
  ];
  #symbols: readonly string[] = [];
  #errno = 0;
  #fd = 10;
  /** A PF_KEY socket hears its own subscription. */
  readonly #answers: Uint8Array[] = [];

  list(folder: string): readonly string[] {
    assertEquals(folder, "/usr/lib");
    return this.names;
  }

  open(path: string, symbols: Deno.ForeignLibraryInterface): Record<string, unknown> {
    this.opened.push(path);
    this.#symbols = Object.entries(symbols).map(([key, symbol]) =>
      "name" in symbol && symbol.name !== undefined ? `${symbol.name}` : key
    );
    const functions = this.#functions();
    return Object.fromEntries(
      Object.keys(symbols).map((key) => [key, (...args: never[]) => {
        this.calls.push(key);
        const call = functions[key];
        if (call === undefined) throw new TypeError(`the start calls ${key}`);
        return call(...args);
      }]),
    );
  }

  get symbols(): readonly string[] {
    return this.#symbols;
  }

  #fail(code: number): -1 {
    this.#errno = code;
    return -1;
  }

  #functions(): Record<string, (...args: never[]) => unknown> {
    const file = new TextEncoder().encode("mode master\n");
    let read = 0;
    return {
      errnoLocation: () => ERRNO_ADDRESS,
      copyFrom: (to: Int32Array, from: bigint) => {
        if (from === ERRNO_ADDRESS) to[0] = this.#errno;
        return 0n;
      },
      addressOf: () => STRINGS_ADDRESS,
      geteuid: () => 0,
      getpwnamR: (
        _name: Uint8Array,
        entry: Uint8Array,
        strings: Uint8Array,
        _n: bigint,
        found: BigUint64Array,
      ) => {
        strings.set(STRINGS);
        const name = STRINGS_ADDRESS;
        entry.set(
          new Writer().u64(name).u64(name).u32(68).u32(69).u64(0n).u64(name).u64(name).u64(name + 9n).u64(
            name,
          )
            .u64(0n).finish(),
        );
        found[0] = 1n;
        return 0;
      },
      open: (_path: Uint8Array, flags: number) => {
        assertEquals(flags, 4 | 0x10000 | 0x8000); // O_NONBLOCK, O_CLOEXEC, O_NOCTTY
        return this.#fd++;
      },
      fstat: (_fd: number, status: Uint8Array) => {
        status.set(new Writer().u32(0o100600).u32(5).u64(99n).u32(1).u32(68).finish());
        return 0;
      },
      read: (_fd: number, to: Uint8Array) => {
        const part = read === 0 ? file : new Uint8Array();
        read += part.length;
        to.set(part);
        return BigInt(part.length);
      },
      close: () => 0,
      setrlimit: () => 0,
      sendsyslog: () => 0,
      clockGettime: (clock: number, time: BigInt64Array) => {
        assertEquals(clock === 6 || clock === 0, true, "CLOCK_BOOTTIME or CLOCK_REALTIME");
        time[0] = 77n;
        return 0;
      },
      pipe2: (ends: Int32Array, flags: number) => {
        assertEquals(flags, 0x10000 | 4); // O_CLOEXEC, O_NONBLOCK
        ends.set([this.#fd++, this.#fd++]);
        return 0;
      },
      socket: (...args: number[]) => {
        this.sockets.push(args);
        return this.#fd++;
      },
      setsockopt: (_fd: number, _level: number, name: number, value: Int32Array) => {
        if (name !== 0x1002) return 0; // SO_RCVBUF
        this.buffers.push(value[0]!);
        return value[0]! > MOST_BUFFER_BYTES ? this.#fail(55) : 0; // ENOBUFS
      },
      getsockopt: (_fd: number, _level: number, name: number, value: Int32Array) => {
        assertEquals(name, 0x1002); // SO_RCVBUF
        value[0] = this.buffers.at(-1)!;
        return 0;
      },
      bind: (_fd: number, address: Uint8Array, length: number) => {
        assertEquals([...address], [16, 2, 1, 0xf4, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        return length === 16 ? 0 : this.#fail(22);
      },
      listen: () => 0,
      getsockname: (_fd: number, name: Uint8Array, length: Uint32Array) => {
        name.set([16, 2, 1, 0xf4, 192, 0, 2, 1]);
        length[0] = 16;
        return 0;
      },
      send: (_fd: number, bytes: Uint8Array, _n: bigint, flags: number) => {
        assertEquals(flags, 0x80 | 0x400); // MSG_DONTWAIT, MSG_NOSIGNAL
        this.#answers.push(bytes.slice());
        return BigInt(bytes.length);
      },
      recvfrom: (_fd: number, to: Uint8Array, _n: bigint, flags: number) => {
        assertEquals(flags, 0x80); // no MSG_TRUNC, which is Linux's
        const answer = this.#answers.shift();
        if (answer === undefined) return BigInt(this.#fail(35)); // EAGAIN
        to.set(answer);
        return BigInt(answer.length);
      },
      sysctl: (name: Int32Array, n: number, _old: Uint8Array | null, length: BigUint64Array) => {
        this.dumps.push(name.slice(0, n).join("."));
        length[0] = 0n;
        return 0;
      },
    };
  }
}

const MACHINE = { system: "openbsd", arch: "x86_64" } as const;

Deno.test("openLibc() on OpenBSD takes the newest library, and no symbol that it has not", () => {
  const loader = new FakeOpenbsd();
  const libc = openLibc(MACHINE, loader);
  assertEquals(loader.opened, ["/usr/lib/libc.so.100.13"]);
  assertEquals(loader.symbols.includes("__errno"), true);
  for (const foreign of ["__errno_location", "prctl", "statx"]) {
    assertEquals(loader.symbols.includes(foreign), false);
  }
  assertEquals([libc.c.prctl, libc.c.statx], [null, null]);
});

Deno.test("openLibc() on OpenBSD without a library says so", () => {
  const loader = new FakeOpenbsd();
  loader.names = ["libm.so.10.1"];
  assertThrows(() => openLibc(MACHINE, loader), SyscallError, "open the C library");
});

Deno.test("The start on OpenBSD calls nothing that OpenBSD has not", () => {
  const loader = new FakeOpenbsd();
  const libc = openLibc(MACHINE, loader);
  assertEquals(effectiveUserId(libc), 0);
  assertEquals(findAccount(libc, "_sasyncd"), { uid: 68, gid: 69, directory: "/var/empty" });
  const { uid, mode, isRegular, bytes } = readOwnedFile(libc, "/etc/sasyncd.conf");
  assertEquals({ uid, mode, isRegular, length: bytes.length }, {
    uid: 68,
    mode: 0o600,
    isRegular: true,
    length: 12,
  });
  forbidCoreDumps(libc);
  forbidTracing(libc);
  assertEquals(new SyslogSocket(libc).send(new TextEncoder().encode("<30>sasyncd: started")), true);
  new FfiTransport(libc).listen({ address: addr("192.0.2.1"), port: 500 }).close();
  const clock = new SystemClock(libc);
  assertEquals(clock.bootMs(), 77_000);
  const kernel = new PfkeyKernel({
    open: (receiveBufferBytes) => openKeySocket(libc, { receiveBufferBytes }),
    sysctl: (name) => readSysctl(libc, name),
    clock,
    pid: 4711,
  }, openbsdDialect());
  kernel.beginDump();
  assertEquals([kernel.continueDump(), kernel.readEvents(10)], [[], []]);
  assertEquals([...new Set(loader.dumps)], ["4.30.2.1", "4.30.2.2"]);
  new FfiPoller(libc).close();
  const flags = 0x8000 | 0x4000; // SOCK_CLOEXEC, SOCK_NONBLOCK
  assertEquals(loader.sockets, [[2, 1 | flags, 0], [30, 3 | flags, 2]]); // AF_INET stream, AF_KEY raw PF_KEY_V2
  assertEquals(loader.buffers.at(-1), MOST_BUFFER_BYTES, "the largest buffer that the system gives");
});
