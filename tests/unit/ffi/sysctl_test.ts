import { assertEquals, assertThrows } from "@std/assert";
import { readSysctl } from "../../../ffi/sysctl.ts";
import { SyscallError } from "../../../src/errors.ts";
import { fakeLibc } from "../../fakes/libc.ts";

const NAME = [4, 30, 2, 1];

/** A kernel whose table has these sizes, one each time that it is looked at. */
function tableOf(sizes: readonly number[], refusal?: string) {
  const rooms: number[] = [];
  let looks = 0;
  const libc = fakeLibc((errno) => ({
    sysctl: (name, count, room, length) => {
      assertEquals([name, count], [new Int32Array(NAME), 4]);
      if (refusal !== undefined) return errno.fail(refusal);
      const size = sizes[Math.min(looks++, sizes.length - 1)]!;
      if (!(length instanceof BigUint64Array)) throw new TypeError("no room for the length");
      const offered = Number(length[0]);
      length[0] = BigInt(size);
      if (!(room instanceof Uint8Array)) return 0;
      rooms.push(offered);
      if (offered < size) return errno.fail("ENOMEM");
      room.fill(7, 0, size);
      return 0;
    },
  }), "openbsd");
  return { libc, rooms };
}

Deno.test("readSysctl() gives the kernel much more room than it asks for", () => {
  const { libc, rooms } = tableOf([1000]);
  assertEquals(readSysctl(libc, NAME), new Uint8Array(1000).fill(7));
  assertEquals(rooms, [2 * 1000 + 65536]);
});

Deno.test("readSysctl() of an empty table", () =>
  assertEquals(readSysctl(tableOf([0]).libc, NAME).length, 0));

Deno.test("readSysctl() tries again with more room when the table has grown meanwhile", () => {
  const { libc, rooms } = tableOf([1000, 1_000_000, 1_000_000]);
  assertEquals(readSysctl(libc, NAME).length, 1_000_000);
  assertEquals(rooms, [67_536, 4_065_536]);
});

Deno.test("readSysctl() gives up on a table that never stops growing", () => {
  const sizes = Array.from({ length: 40 }, (_, look) => look % 2 * 100_000); // small when asked, large when read
  const { libc, rooms } = tableOf(sizes);
  assertThrows(() => readSysctl(libc, NAME), SyscallError, "ENOMEM");
  assertEquals(rooms.length, 10);
});

Deno.test("readSysctl() says what the kernel refuses", () => {
  assertThrows(
    () => readSysctl(tableOf([], "EPERM").libc, NAME),
    SyscallError,
    "Cannot read sysctl 4.30.2.1: EPERM",
  );
});

Deno.test("readSysctl() where there is none", () => {
  assertThrows(() => readSysctl(fakeLibc(() => ({})), NAME), SyscallError, "ENOSYS");
});
