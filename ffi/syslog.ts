/**
 * Datagrams to the syslog daemon. syslog(3) would hold up the whole program while the daemon's reader stalls;
 * here a datagram that cannot be taken at once is dropped. The text is made in src/log.
 */

import { SyscallError } from "../src/errors.ts";
import type { OwnedFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { unshared } from "./memory.ts";
import { encodeUnixSockaddr } from "./sockaddr.ts";
import { openSocket } from "./socket.ts";

const SYSLOG_PATH = "/dev/log";

/**
 * A connection to the syslog daemon, made at the first datagram and again when the daemon was restarted. OpenBSD has a
 * system call for it instead (not yet run there).
 */
export class SyslogSocket {
  readonly #libc: Libc;
  readonly #path: string;
  #fd: OwnedFd | undefined;

  constructor(libc: Libc, path = SYSLOG_PATH) {
    this.#libc = libc;
    this.#path = path;
  }

  /** Sends `<PRI>…` as it is, without waiting. @returns false when it was dropped. */
  send(datagram: Uint8Array): boolean {
    if (this.#libc.c.sendsyslog !== null) {
      return this.#libc.c.sendsyslog(unshared(datagram), BigInt(datagram.length), 0) === 0;
    }
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
    const { c, constants } = this.#libc;
    const flags = constants.MSG_DONTWAIT | constants.MSG_NOSIGNAL;
    if (c.send(this.#fd.use(), unshared(datagram), BigInt(datagram.length), flags) >= 0n) return "sent";
    // ECONNREFUSED, ENOTCONN …: the daemon that had the other end is gone
    return ["EAGAIN", "ENOBUFS", "EMSGSIZE", "EINTR"].includes(this.#libc.errno()) ? "full" : "broken";
  }

  /** @returns undefined when there is no syslog daemon, or no descriptor: nobody can be told of either. */
  #connect(): OwnedFd | undefined {
    const { AF_UNIX, SOCK_DGRAM } = this.#libc.constants;
    const address = encodeUnixSockaddr(this.#libc.system, this.#path);
    try {
      const fd = openSocket(this.#libc, AF_UNIX, SOCK_DGRAM, 0);
      if (this.#libc.c.connect(fd.use(), address, address.length) === 0) return fd;
      fd.close();
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
    }
    return undefined;
  }
}
