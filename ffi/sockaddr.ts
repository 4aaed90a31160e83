/** `struct sockaddr_in`, `_in6` and `_un` of each system, as bytes. Used by tcp, syslog and name resolution. */

import { bytes, Layout, pad, Reader, u16, u16be, u8, Writer } from "../src/layout/mod.ts";
import type { ListenAddress } from "../src/ports.ts";
import { constantsOf } from "./constants.ts";
import type { System } from "./system.ts";

/** `sa_family` alone on Linux, `sa_len` and `sa_family` on BSD. */
const linuxHead = new Layout("sockaddr", 2, { family: u16 });
const bsdHead = new Layout("sockaddr", 2, { length: u8, family: u8 });

/** `struct sockaddr_in` after its head; 16 bytes with it. */
const sockaddrIn = new Layout("sockaddr_in", 14, { port: u16be, address: bytes(4), zero: pad(8) });

/** `struct sockaddr_in6` after its head; 28 bytes with it. */
const sockaddrIn6 = new Layout("sockaddr_in6", 26, {
  port: u16be,
  flowinfo: bytes(4),
  address: bytes(16),
  scope: bytes(4),
});

/** The largest of them with room to spare (`struct sockaddr_storage` of Linux). */
export const SOCKADDR_STORAGE_BYTES = 128;

/** `sun_path` with its NUL, the shortest of all systems. */
const UNIX_PATH_BYTES = 104;

/** An internet address and port for bind(2) and connect(2), without flow label and scope. */
export function encodeSockaddr(system: System, { address, port }: ListenAddress): Uint8Array<ArrayBuffer> {
  const { AF_INET, AF_INET6 } = constantsOf(system);
  const writer = new Writer();
  if (address.length === 4) {
    writeHead(writer, system, AF_INET, 16);
    sockaddrIn.write(writer, { port, address });
  } else {
    writeHead(writer, system, AF_INET6, 28);
    const none = new Uint8Array(4);
    sockaddrIn6.write(writer, { port, flowinfo: none, address, scope: none });
  }
  return writer.finish();
}

/** A path for connect(2). @throws {RangeError} when it is too long. */
export function encodeUnixSockaddr(system: System, path: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(path);
  if (text.length >= UNIX_PATH_BYTES) {
    throw new RangeError(`Cannot connect to "${path}": the path is too long`);
  }
  const writer = new Writer();
  writeHead(writer, system, constantsOf(system).AF_UNIX, 2 + text.length + 1);
  return writer.bytes(text).u8(0).finish();
}

/** A name of Linux' that is no path (unix(7)): a zero before it, and none behind. @throws {RangeError} when it is too long. */
export function encodeAbstractSockaddr(name: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(name);
  if (text.length >= UNIX_PATH_BYTES) {
    throw new RangeError(`Cannot connect to "@${name}": the name is too long`);
  }
  const writer = new Writer();
  writeHead(writer, "linux", constantsOf("linux").AF_UNIX, 2 + text.length + 1);
  return writer.u8(0).bytes(text).finish();
}

/** The family number at the front of any socket address. @throws {DecodeError} */
export function sockaddrFamily(system: System, source: Uint8Array): number {
  return readHead(new Reader(source, "sockaddr"), system);
}

/** @returns undefined for other families. @throws {DecodeError} when it is cut. */
export function decodeSockaddr(system: System, source: Uint8Array): ListenAddress | undefined {
  const { AF_INET, AF_INET6 } = constantsOf(system);
  const reader = new Reader(source, "sockaddr");
  const family = readHead(reader, system);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const layout = family === AF_INET ? sockaddrIn : sockaddrIn6;
  const { address, port } = layout.read(reader);
  return { address, port };
}

/** The length of a socket address of that family, in bytes; undefined for all but IPv4 and IPv6. */
export function sockaddrLength(system: System, family: number): number | undefined {
  const { AF_INET, AF_INET6 } = constantsOf(system);
  if (family === AF_INET) return 16;
  return family === AF_INET6 ? 28 : undefined;
}

function writeHead(writer: Writer, system: System, family: number, length: number): void {
  if (system === "linux") linuxHead.write(writer, { family });
  else bsdHead.write(writer, { length, family });
}

function readHead(reader: Reader, system: System): number {
  return (system === "linux" ? linuxHead : bsdHead).read(reader).family;
}
