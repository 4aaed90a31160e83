/** What all sockets of ffi/ have in common: nonblocking, close-on-exec, options, own address. */

import type { ListenAddress } from "../src/ports.ts";
import { type OwnedFd, ownFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { decodeSockaddr, SOCKADDR_STORAGE_BYTES } from "./sockaddr.ts";

/** A nonblocking socket with close-on-exec. `what` completes "Cannot open …". @throws {SyscallError} */
export function openSocket(
  libc: Libc,
  domain: number,
  type: number,
  protocol: number,
  what = "a socket",
): OwnedFd {
  const { SOCK_CLOEXEC, SOCK_NONBLOCK } = libc.constants;
  const fd = libc.c.socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  return ownFd(libc, fd, `open ${what}`);
}

/** Runs `setUp` and closes the descriptor when it throws. */
export function orClose<T>(fd: OwnedFd, setUp: () => T): T {
  try {
    return setUp();
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** Sets an option of type int. `what` completes "Cannot set …". @throws {SyscallError} */
export function setOption(
  libc: Libc,
  fd: OwnedFd,
  level: number,
  name: number,
  value: number,
  what: string,
): void {
  libc.check(libc.c.setsockopt(fd.use(), level, name, new Int32Array([value]), 4), `set ${what}`);
}

/** An option of type int. `what` completes "Cannot get …". @throws {SyscallError} */
export function getOption(libc: Libc, fd: OwnedFd, level: number, name: number, what: string): number {
  const value = new Int32Array(1);
  libc.check(libc.c.getsockopt(fd.use(), level, name, value, new Uint32Array([4])), `get ${what}`);
  return value[0]!;
}

/** The raw socket address that getsockname(2) gives. @throws {SyscallError} */
export function socketName(libc: Libc, fd: OwnedFd): Uint8Array<ArrayBuffer> {
  const name = new Uint8Array(SOCKADDR_STORAGE_BYTES);
  const length = new Uint32Array([name.length]);
  libc.check(libc.c.getsockname(fd.use(), name, length), "get the socket's name");
  return name.slice(0, length[0]);
}

/** The address and port that an internet socket is bound to. @throws {SyscallError} */
export function boundAddress(libc: Libc, fd: OwnedFd): ListenAddress {
  const at = decodeSockaddr(libc.system, socketName(libc, fd));
  if (at === undefined) throw libc.errorNamed("get the socket's address", "EAFNOSUPPORT");
  return at;
}
