/** Host names to addresses, by the system's resolver. */

import { SyscallError } from "../src/errors.ts";
import { i32, Layout, pad, Reader, u32, u64, Writer } from "../src/layout/mod.ts";
import type { Address } from "../src/record/address.ts";
import type { Libc } from "./libc.ts";
import { copyMemory, cString } from "./memory.ts";
import { decodeSockaddr } from "./sockaddr.ts";

/** `struct addrinfo` of Linux (LP64), 48 bytes, a linked list. */
const addrinfo = new Layout("addrinfo", 48, {
  flags: i32,
  family: i32,
  socketType: i32,
  protocol: i32,
  addressLength: u32,
  reserved: pad(4),
  address: u64,
  canonicalName: u64,
  next: u64,
});

/** glibc's netdb.h. */
const EAI_NAMES: Readonly<Record<number, string>> = {
  [-1]: "EAI_BADFLAGS",
  [-2]: "EAI_NONAME",
  [-3]: "EAI_AGAIN",
  [-4]: "EAI_FAIL",
  [-5]: "EAI_NODATA",
  [-6]: "EAI_FAMILY",
  [-7]: "EAI_SOCKTYPE",
  [-8]: "EAI_SERVICE",
  [-9]: "EAI_ADDRFAMILY",
  [-10]: "EAI_MEMORY",
  [-11]: "EAI_SYSTEM",
};

/**
 * The addresses of a host name (or of an address in text), in the resolver's order, each once.
 *
 * @throws {SyscallError} with the name of getaddrinfo's error (`EAI_NONAME`: no such host).
 */
export async function resolveName(libc: Libc, name: string, family?: 4 | 6): Promise<readonly Address[]> {
  const list = new BigUint64Array(new ArrayBuffer(8)); // outside the moving heap, like the other two
  const code = await libc.c.getaddrinfo(steady(cString(name)), null, steady(encodeHints(libc, family)), list);
  if (code !== 0) {
    throw new SyscallError(`resolve "${name}"`, EAI_NAMES[code] ?? `EAI unknown(${code})`, code);
  }
  try {
    return readAddresses(libc, list[0]!);
  } finally {
    libc.c.freeaddrinfo(list[0]!);
  }
}

/** A copy that stays where it is while another thread reads it. */
function steady(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/** Asks for stream sockets only, else every address comes once for each type. */
function encodeHints(libc: Libc, family: 4 | 6 | undefined): Uint8Array<ArrayBuffer> {
  const { AF_INET, AF_INET6, SOCK_STREAM } = libc.constants;
  const writer = new Writer();
  addrinfo.write(writer, {
    flags: 0,
    family: family === undefined ? 0 : family === 4 ? AF_INET : AF_INET6,
    socketType: SOCK_STREAM,
    protocol: 0,
    addressLength: 0,
    address: 0n,
    canonicalName: 0n,
    next: 0n,
  });
  return writer.finish();
}

function readAddresses(libc: Libc, first: bigint): Address[] {
  const found = new Map<string, Address>();
  for (let at = first; at !== 0n;) {
    const entry = addrinfo.read(new Reader(copyMemory(libc, at, addrinfo.size), "addrinfo"));
    const decoded = decodeSockaddr(libc.system, copyMemory(libc, entry.address, entry.addressLength));
    if (decoded !== undefined) found.set(String(decoded.address), decoded.address);
    at = entry.next;
  }
  return [...found.values()];
}
