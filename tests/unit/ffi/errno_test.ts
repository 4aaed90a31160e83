import { assertEquals } from "@std/assert";
import { errnoCode, errnoName } from "../../../ffi/errno.ts";
import type { System } from "../../../ffi/system.ts";

const ROWS: readonly [System, string, number][] = [
  ["linux", "EPERM", 1],
  ["linux", "EAGAIN", 11],
  ["linux", "ERANGE", 34],
  ["linux", "EDEADLK", 35],
  ["linux", "ENOMSG", 42],
  ["linux", "EBFONT", 59],
  ["linux", "ENOBUFS", 105],
  ["linux", "EINPROGRESS", 115],
  ["linux", "EHWPOISON", 133],
  ["openbsd", "EDEADLK", 11],
  ["openbsd", "EAGAIN", 35],
  ["openbsd", "EPROTO", 95],
  ["freebsd", "EPIPE", 32],
  ["freebsd", "EPROTO", 92],
];

for (const [system, name, code] of ROWS) {
  Deno.test(`errnoName() and errnoCode() agree on ${name} of ${system}`, () => {
    assertEquals(errnoName(system, code), name);
    assertEquals(errnoCode(system, name), code);
  });
}

Deno.test("errnoName() shows a number without a name as it is", () => {
  assertEquals([0, 41, 58, 134, -1].map((code) => errnoName("linux", code)), [
    ...["unknown(0)", "unknown(41)", "unknown(58)", "unknown(134)", "unknown(-1)"],
  ]);
  assertEquals(errnoCode("linux", "ENONSENSE"), undefined);
});
