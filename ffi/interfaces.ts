/** Network interfaces: their addresses, and their names as numbers. */

import { Layout, pad, Reader, u32, u64 } from "../src/layout/mod.ts";
import type { Address } from "../src/record/address.ts";
import type { Libc } from "./libc.ts";
import { copyMemory, cString, readCString } from "./memory.ts";
import { decodeSockaddr, sockaddrFamily, sockaddrLength } from "./sockaddr.ts";

/** The front of `struct ifaddrs` (LP64), the same on all systems; a linked list. */
const ifaddrs = new Layout("ifaddrs", 32, {
  next: u64,
  name: u64,
  flags: u32,
  reserved: pad(4),
  address: u64,
});

const SOCKADDR_HEAD_BYTES = 2;
/** IF_NAMESIZE. */
const NAME_BYTES = 16;

/** One address of an interface. */
export interface InterfaceAddress {
  readonly name: string;
  readonly address: Address;
}

/**
 * The internet addresses of all interfaces. Link-local ones (fe80::/10) are left out: they mean nothing without a
 * scope, which sockets of ours do not have.
 *
 * @throws {SyscallError}
 */
export function listInterfaceAddresses(libc: Libc): readonly InterfaceAddress[] {
  const list = new BigUint64Array(1);
  libc.check(libc.c.getifaddrs(list), "list the interfaces");
  try {
    return readInterfaces(libc, list[0]!);
  } finally {
    libc.c.freeifaddrs(list[0]!);
  }
}

/** The number of an interface; undefined when there is none of that name. */
export function interfaceIndex(libc: Libc, name: string): number | undefined {
  const index = libc.c.ifNameToIndex(cString(name));
  return index === 0 ? undefined : index;
}

/** The name of an interface; undefined when there is none of that number. */
export function interfaceName(libc: Libc, index: number): string | undefined {
  const name = new Uint8Array(NAME_BYTES);
  if (libc.c.ifIndexToName(index, name) === 0n) return undefined;
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}

function readInterfaces(libc: Libc, first: bigint): InterfaceAddress[] {
  const found: InterfaceAddress[] = [];
  for (let at = first; at !== 0n;) {
    const entry = ifaddrs.read(new Reader(copyMemory(libc, at, ifaddrs.size), "ifaddrs"));
    const address = entry.address === 0n ? undefined : readAddress(libc, entry.address);
    if (address !== undefined) found.push({ name: readCString(libc, entry.name), address });
    at = entry.next;
  }
  return found;
}

function readAddress(libc: Libc, at: bigint): Address | undefined {
  const family = sockaddrFamily(libc.system, copyMemory(libc, at, SOCKADDR_HEAD_BYTES));
  const length = sockaddrLength(libc.system, family);
  if (length === undefined) return undefined;
  const address = decodeSockaddr(libc.system, copyMemory(libc, at, length))?.address;
  return address === undefined || isLinkLocal(address) ? undefined : address;
}

function isLinkLocal(address: Address): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}
