/** How OpenBSD's routing socket and ioctl(2) are called, with a C library made up by the test. */

import { assertEquals, assertThrows } from "@std/assert";
import { FfiInterfaceControl, openRouteSocket } from "../../../ffi/carp.ts";
import { SyscallError } from "../../../src/errors.ts";
import { encodeIfreq, IFREQ_DATA_OFFSET, SIOCGIFDATA } from "../../../src/link/interface_requests.ts";
import { RTM_IFANNOUNCE, RTM_IFINFO } from "../../../src/link/route_messages.ts";
import { encodeHex } from "../../fakes/hex.ts";
import { fakeLibc } from "../../fakes/libc.ts";

Deno.test("openRouteSocket() hears the types that it is given, and nothing else", () => {
  const calls: unknown[] = [];
  const libc = fakeLibc(() => ({
    socket: (...args) => calls.push(["socket", ...args]) + 4,
    setsockopt: (fd, level, name, value) => {
      calls.push(["setsockopt", fd, level, name, (value as Int32Array)[0]]); // setOption gives an int
      return 0;
    },
  }), "openbsd");
  openRouteSocket(libc, [RTM_IFINFO, RTM_IFANNOUNCE]);
  const flags = 0x4000 | 0x8000; // SOCK_NONBLOCK, SOCK_CLOEXEC
  assertEquals(calls, [["socket", 17, 3 | flags, 0], ["setsockopt", 5, 17, 1, 1 << 0x0e | 1 << 0x0f]]);
});

Deno.test("FfiInterfaceControl.ioctl() puts the pointer where the structure has it", () => {
  const seen: string[] = [];
  const libc = fakeLibc(() => ({
    socket: () => 9,
    addressOf: () => 0x1122_3344_5566_7788n,
    ioctl: (fd, request, argument) => {
      seen.push(`${fd} ${request.toString(16)} ${encodeHex(argument as Uint8Array)}`); // it gets our bytes
      return 0;
    },
  }), "openbsd");
  const pointee = { offset: IFREQ_DATA_OFFSET, bytes: new Uint8Array(512) };
  new FfiInterfaceControl(libc).ioctl(SIOCGIFDATA, encodeIfreq("carp0"), pointee);
  assertEquals(seen, [`9 c020691b ${"6361727030" + "00".repeat(11)}8877665544332211${"00".repeat(8)}`]);
});

Deno.test("FfiInterfaceControl.ioctl() says what the kernel says", () => {
  const libc = fakeLibc((errno) => ({ socket: () => 9, ioctl: () => errno.fail("ENXIO") }), "openbsd");
  const error = assertThrows(
    () => new FfiInterfaceControl(libc).ioctl(SIOCGIFDATA, encodeIfreq("carp0")),
    SyscallError,
  );
  assertEquals([error.errno, error.call], ["ENXIO", "ioctl 0xc020691b"]);
});
