/** Sending and receiving on a connected, nonblocking stream socket: what TCP and Unix sockets have in common. */

import type { ByteStream, Fd, Received } from "../src/ports.ts";
import type { OwnedFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { unshared } from "./memory.ts";

/** A stream. After `close` every call throws a SyscallError (EBADF), but `fd` can still be read. */
export class FfiStream implements ByteStream {
  readonly fd: Fd;
  #buffer = new Uint8Array(0);

  constructor(protected readonly libc: Libc, protected readonly owned: OwnedFd) {
    this.fd = owned.number;
  }

  send(bytes: Uint8Array): number | "closed" {
    const { c, constants } = this.libc;
    const flags = constants.MSG_DONTWAIT | constants.MSG_NOSIGNAL;
    const sent = c.send(this.owned.use(), unshared(bytes), BigInt(bytes.length), flags);
    if (sent >= 0n) return Number(sent);
    return isFull(this.libc.errno()) ? 0 : "closed";
  }

  /** As the port says; the end of the stream has the reason `EOF`. */
  receive(limit: number): Received {
    if (limit <= 0) return { kind: "empty" }; // recv(2) of nothing would look like the end of the stream
    const { c, constants } = this.libc;
    if (this.#buffer.length < limit) this.#buffer = new Uint8Array(limit);
    const result = c.recv(this.owned.use(), this.#buffer, BigInt(limit), constants.MSG_DONTWAIT);
    if (result > 0n) return { kind: "data", bytes: this.#buffer.subarray(0, Number(result)) };
    if (result === 0n) return { kind: "closed", reason: "EOF" };
    const errno = this.libc.errno();
    return isFull(errno) ? { kind: "empty" } : { kind: "closed", reason: errno };
  }

  close(): void {
    this.owned.close();
  }
}

function isFull(errno: string): boolean {
  return errno === "EAGAIN" || errno === "EINTR";
}
