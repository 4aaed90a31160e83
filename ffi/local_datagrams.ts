/** Datagrams to a Unix socket of this host. What cannot be taken at once is dropped: nobody ever waits for its reader. */

import { SyscallError } from "../src/errors.ts";
import type { OwnedFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { unshared } from "./memory.ts";
import { encodeAbstractSockaddr, encodeUnixSockaddr } from "./sockaddr.ts";
import { openSocket } from "./socket.ts";

/** A connection to one socket, made at the first datagram and again when its owner was restarted. */
export class LocalDatagrams {
  #fd: OwnedFd | undefined;

  /** `path`: beginning with `@`, a name of Linux that is no path. */
  constructor(private readonly libc: Libc, private readonly path: string) {}

  /** Sends without waiting. @returns false when it was dropped. */
  send(datagram: Uint8Array): boolean {
    const first = this.#sendOnce(datagram);
    if (first !== "broken") return first === "sent";
    this.close();
    return this.#sendOnce(datagram) === "sent";
  }

  close(): void {
    this.#fd?.close();
    this.#fd = undefined;
  }

  #sendOnce(datagram: Uint8Array): "sent" | "full" | "broken" {
    this.#fd ??= this.#connect();
    if (this.#fd === undefined) return "full";
    const { c, constants } = this.libc;
    const flags = constants.MSG_DONTWAIT | constants.MSG_NOSIGNAL;
    if (c.send(this.#fd.use(), unshared(datagram), BigInt(datagram.length), flags) >= 0n) return "sent";
    // ECONNREFUSED, ENOTCONN …: the daemon that had the other end is gone
    return ["EAGAIN", "ENOBUFS", "EMSGSIZE", "EINTR"].includes(this.libc.errno()) ? "full" : "broken";
  }

  /** @returns undefined when nobody is there, or there is no descriptor: nobody can be told of either. */
  #connect(): OwnedFd | undefined {
    const { AF_UNIX, SOCK_DGRAM } = this.libc.constants;
    const address = this.path.startsWith("@")
      ? encodeAbstractSockaddr(this.path.slice(1))
      : encodeUnixSockaddr(this.libc.system, this.path);
    try {
      const fd = openSocket(this.libc, AF_UNIX, SOCK_DGRAM, 0);
      if (this.libc.c.connect(fd.use(), address, address.length) === 0) return fd;
      fd.close();
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
    }
    return undefined;
  }
}
