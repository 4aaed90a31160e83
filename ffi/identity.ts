/** Who runs the program, and accounts by name. Used by src/process/ before it drops or checks rights. */

import { DecodeError } from "../src/errors.ts";
import { type ByteOrder, HOST_ORDER, Layout, Reader, u32, u64 } from "../src/layout/mod.ts";
import type { Libc } from "./libc.ts";
import { addressOf, cString } from "./memory.ts";
import type { System } from "./system.ts";

/** What is needed of a line of passwd(5). */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly directory: string;
}

/** `struct passwd` of Linux (LP64), 48 bytes; pointers into the strings that getpwnam_r(3) was given. */
const linuxPasswd = new Layout("passwd", 48, {
  name: u64,
  password: u64,
  uid: u32,
  gid: u32,
  gecos: u64,
  directory: u64,
  shell: u64,
});

/** The same of OpenBSD (pwd.h), 72 bytes. */
const openbsdPasswd = new Layout("passwd", 72, {
  name: u64,
  password: u64,
  uid: u32,
  gid: u32,
  change: u64,
  class: u64,
  gecos: u64,
  directory: u64,
  shell: u64,
  expire: u64,
});

const FIRST_STRINGS_BYTES = 4096;
const MOST_STRINGS_BYTES = 1 << 20;

/** The effective user id. */
export function effectiveUserId(libc: Libc): number {
  return libc.c.geteuid();
}

/** The account of that name, from wherever the system has its accounts; undefined when there is none. */
export function findAccount(libc: Libc, name: string): Account | undefined {
  const entry = new Uint8Array(passwdOf(libc.system).size);
  const found = new BigUint64Array(1);
  for (let size = FIRST_STRINGS_BYTES; size <= MOST_STRINGS_BYTES; size *= 4) {
    const strings = new Uint8Array(size);
    const code = libc.c.getpwnamR(cString(name), entry, strings, BigInt(size), found);
    if (code === 0) {
      return found[0] === 0n
        ? undefined
        : decodePasswd(libc.system, entry, addressOf(libc, strings), strings);
    }
    const errno = libc.nameOf(code);
    if (errno === "ENOENT" || errno === "ESRCH") return undefined; // POSIX leaves open how "none" is said
    if (errno !== "ERANGE" && errno !== "EINTR") throw libc.errorNamed(`look up user "${name}"`, errno);
  }
  throw libc.errorNamed(`look up user "${name}"`, "ERANGE");
}

/**
 * An account from `struct passwd` and its strings, which start at address `base`.
 *
 * @throws {DecodeError} when a pointer lies outside of them or its text has no end.
 */
export function decodePasswd(
  system: System,
  entry: Uint8Array,
  base: bigint,
  strings: Uint8Array,
  order: ByteOrder = HOST_ORDER,
): Account {
  const { uid, gid, directory } = passwdOf(system).read(new Reader(entry, "passwd", order));
  return { uid, gid, directory: textAt(strings, directory - base) };
}

function passwdOf(system: System): typeof linuxPasswd | typeof openbsdPasswd {
  return system === "linux" ? linuxPasswd : openbsdPasswd;
}

function textAt(strings: Uint8Array, offset: bigint): string {
  const start = offset >= 0n && offset < BigInt(strings.length) ? Number(offset) : -1;
  const end = start < 0 ? -1 : strings.indexOf(0, start);
  if (end < 0) throw new DecodeError("passwd", `no text at offset ${offset} of ${strings.length} bytes`);
  return new TextDecoder().decode(strings.subarray(start, end));
}
