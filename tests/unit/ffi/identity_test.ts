import { assertEquals, assertThrows } from "@std/assert";
import { decodePasswd, findAccount } from "../../../ffi/identity.ts";
import { DecodeError, SyscallError } from "../../../src/errors.ts";
import { Writer } from "../../../src/layout/mod.ts";
import { fakeLibc } from "../../fakes/libc.ts";

const BASE = 0x7f00_0000_1000n;
const STRINGS = new TextEncoder().encode("_sasyncd\0x\0\0/var/empty\0/sbin/nologin\0");

/** `struct passwd` whose pw_dir points at `directory`. */
function passwd(directory: bigint): Uint8Array {
  return new Writer("little")
    .u64(BASE).u64(BASE + 9n) // pw_name, pw_passwd
    .u32(107).u32(108) // pw_uid, pw_gid
    .u64(BASE + 11n).u64(directory).u64(BASE + 23n) // pw_gecos, pw_dir, pw_shell
    .finish();
}

Deno.test("decodePasswd() follows pointers by the strings' own address", () => {
  assertEquals(decodePasswd("linux", passwd(BASE + 12n), BASE, STRINGS, "little"), {
    uid: 107,
    gid: 108,
    directory: "/var/empty",
  });
});

for (const offset of [-1n, BigInt(STRINGS.length), 1n << 40n, -(1n << 40n)]) {
  Deno.test(`decodePasswd() refuses a pointer ${offset} bytes off`, () => {
    assertThrows(() => decodePasswd("linux", passwd(BASE + offset), BASE, STRINGS, "little"), DecodeError);
  });
}

Deno.test("decodePasswd() refuses text without an end", () => {
  assertThrows(
    () => decodePasswd("linux", passwd(BASE), BASE, STRINGS.subarray(0, 4), "little"),
    DecodeError,
  );
});

Deno.test("decodePasswd() refuses every cut", () => {
  const whole = passwd(BASE + 12n);
  whole.forEach((_, length) =>
    assertThrows(() => decodePasswd("linux", whole.subarray(0, length), BASE, STRINGS, "little"), DecodeError)
  );
});

for (const [name, code] of [["nothing found", 0], ["ENOENT", 2], ["ESRCH", 3]] as const) {
  Deno.test(`findAccount() takes ${name} for no such account`, () => {
    assertEquals(findAccount(fakeLibc(() => ({ getpwnamR: () => code })), "nobody"), undefined);
  });
}

Deno.test("findAccount() asks again with more room, and not for ever", () => {
  const sizes: bigint[] = [];
  const libc = fakeLibc(() => ({
    getpwnamR: (_name, _entry, _strings, size) => (sizes.push(BigInt(size)), 34),
  }));
  assertThrows(() => findAccount(libc, "large"), SyscallError, `Cannot look up user "large": ERANGE`);
  assertEquals(sizes.at(-1), 1n << 20n);
});

Deno.test("findAccount() throws other errors and refuses a name with NUL", () => {
  assertThrows(() => findAccount(fakeLibc(() => ({ getpwnamR: () => 5 })), "x"), SyscallError, "EIO");
  assertThrows(() => findAccount(fakeLibc(() => ({})), "root\0x"), RangeError);
});
