/** PF_KEY sockets (RFC 2367), opened by src/process/; the messages are made in src/pfkey. Run on Linux only so far. */

import type { KernelSocket } from "../src/ports.ts";
import { type BufferSizes, FfiKernelSocket, setBufferSizes } from "./kernel_socket.ts";
import type { Libc } from "./libc.ts";
import { getOption, openSocket, orClose } from "./socket.ts";

const PF_KEY_V2 = 2;

/** A PF_KEY socket, and how much may wait in it, as the kernel counts. */
export interface KeySocket extends KernelSocket {
  readonly receiveBufferBytes: number;
}

/**
 * A PF_KEY socket. All of a kernel's broadcasts come to every one of them; what does not fit the receive buffer is
 * lost without a word, so `receiveBufferBytes` should be large.
 *
 * @throws {SyscallError} EPERM or EACCES without the right, EAFNOSUPPORT when the kernel has no PF_KEY.
 */
export function openKeySocket(libc: Libc, sizes: BufferSizes): KeySocket {
  const { AF_KEY, SOCK_RAW, SOL_SOCKET, SO_RCVBUF } = libc.constants;
  const fd = openSocket(libc, AF_KEY, SOCK_RAW, PF_KEY_V2, "a PF_KEY socket");
  return orClose(fd, () => {
    setBufferSizes(libc, fd, sizes);
    const receiveBufferBytes = getOption(libc, fd, SOL_SOCKET, SO_RCVBUF, "the size of a socket buffer");
    const socket = new FfiKernelSocket(libc, fd, { portId: 0, isFromKernel: () => true });
    return Object.assign(socket, { receiveBufferBytes });
  });
}
