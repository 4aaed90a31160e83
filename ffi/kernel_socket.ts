/**
 * A raw socket to the kernel that keeps message boundaries: the part that netlink and PF_KEY share. Receives into
 * one buffer that is used again; a message that does not fit counts as lost, and the next one of its size fits.
 */

import type { Fd, KernelSocket, Received } from "../src/ports.ts";
import { LINUX } from "./constants.ts";
import type { OwnedFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { unshared } from "./memory.ts";
import { setOption } from "./socket.ts";

/** More than any message that kernels are known to send (Linux fills at most 32 KiB of a dump into one). */
const FIRST_BUFFER_BYTES = 64 * 1024;
/** Messages from elsewhere that one receive passes over. */
const MOST_FOREIGN = 64;

/** What a protocol adds to the shared part. */
export interface KernelSocketTraits {
  /** Netlink port id; 0 where there is none. */
  readonly portId: number;
  /** Whether the sender (its socket address in words, host order) is the kernel; others are dropped. */
  readonly isFromKernel: (sender: Uint32Array) => boolean;
}

/** Kernel socket over a bound or connected, nonblocking descriptor, which it owns from now on. */
export class FfiKernelSocket implements KernelSocket {
  readonly fd: Fd;
  readonly portId: number;
  readonly #libc: Libc;
  readonly #owned: OwnedFd;
  readonly #isFromKernel: (sender: Uint32Array) => boolean;
  readonly #sender = new Uint32Array(32);
  readonly #senderLength = new Uint32Array(1);
  #buffer = new Uint8Array(FIRST_BUFFER_BYTES);

  constructor(libc: Libc, owned: OwnedFd, traits: KernelSocketTraits) {
    this.#libc = libc;
    this.#owned = owned;
    this.fd = owned.number;
    this.portId = traits.portId;
    this.#isFromKernel = traits.isFromKernel;
  }

  /**
   * Sends one datagram, whole or not at all.
   *
   * @throws {SyscallError} EMSGSIZE when it does not fit the send buffer, ENOBUFS or EAGAIN when the kernel is
   * short of memory and it may be tried again, others when the request is broken.
   */
  send(bytes: Uint8Array): void {
    const { MSG_DONTWAIT, MSG_NOSIGNAL } = this.#libc.constants;
    const { c } = this.#libc;
    const sent = c.send(
      this.#owned.use(),
      unshared(bytes),
      BigInt(bytes.length),
      MSG_DONTWAIT | MSG_NOSIGNAL,
    );
    this.#libc.check(Number(sent), `send ${bytes.length} bytes to the kernel`);
  }

  receive(): Received {
    for (let foreign = 0; foreign < MOST_FOREIGN; foreign++) {
      const length = this.#take();
      if (typeof length !== "number") return length;
      if (!this.#isFromKernel(this.#sender)) continue;
      if (length <= this.#buffer.length) return { kind: "data", bytes: this.#buffer.subarray(0, length) };
      this.#buffer = new Uint8Array(length);
      return { kind: "overrun" };
    }
    return { kind: "empty" };
  }

  close(): void {
    this.#owned.close();
  }

  /** The length of the message, also when it was more than the buffer took (MSG_TRUNC as an input flag: Linux). */
  #take(): number | Received {
    const { c, constants, system } = this.#libc;
    const flags = constants.MSG_DONTWAIT | (system === "linux" ? LINUX.MSG_TRUNC : 0);
    const room = BigInt(this.#buffer.length);
    this.#senderLength[0] = this.#sender.byteLength;
    return this.#judge(
      c.recvfrom(this.#owned.use(), this.#buffer, room, flags, this.#sender, this.#senderLength),
    );
  }

  #judge(result: bigint): number | Received {
    if (result >= 0n) return Number(result);
    const error = this.#libc.error("receive from the kernel");
    if (error.errno === "EAGAIN" || error.errno === "EINTR") return { kind: "empty" };
    if (error.errno === "ENOBUFS") return { kind: "overrun" };
    throw error;
  }
}

/** Sizes of the socket's buffers in bytes; undefined: as the system has them. */
export interface BufferSizes {
  readonly receiveBufferBytes?: number;
  readonly sendBufferBytes?: number;
}

/** What no system refuses as too large. */
const SMALL_BUFFER_BYTES = 64 * 1024;

/**
 * Sets the sizes, beyond the system's limit where the process may (Linux: CAP_NET_ADMIN), else up to it. Linux
 * doubles what is asked for, and takes no less than about 2 KiB. BSD refuses what is beyond its limit (OpenBSD:
 * kern.sbmax), so less is asked for then.
 *
 * @throws {SyscallError}
 */
export function setBufferSizes(libc: Libc, fd: OwnedFd, sizes: BufferSizes): void {
  const { SO_RCVBUF, SO_SNDBUF } = libc.constants;
  setBufferSize(libc, fd, sizes.receiveBufferBytes, LINUX.SO_RCVBUFFORCE, SO_RCVBUF);
  setBufferSize(libc, fd, sizes.sendBufferBytes, LINUX.SO_SNDBUFFORCE, SO_SNDBUF);
}

function setBufferSize(
  libc: Libc,
  fd: OwnedFd,
  size: number | undefined,
  force: number,
  plain: number,
): void {
  if (size === undefined) return;
  const { SOL_SOCKET } = libc.constants;
  const isSet = (name: number, bytes: number) =>
    libc.c.setsockopt(fd.use(), SOL_SOCKET, name, new Int32Array([bytes]), 4) === 0;
  if (libc.system === "linux" && isSet(force, size)) return;
  let bytes = size;
  while (libc.system !== "linux" && bytes > SMALL_BUFFER_BYTES && !isSet(plain, bytes)) bytes = bytes >> 1;
  setOption(libc, fd, SOL_SOCKET, plain, bytes, `a socket buffer of ${bytes} bytes`);
}
