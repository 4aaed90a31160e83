/** OpenBSD's ways to the state of carp(4): its routing socket and ioctl(2) of interfaces. Not yet run on OpenBSD. */

import { Writer } from "../src/layout/mod.ts";
import type { InterfaceControl, KernelSocket } from "../src/ports.ts";
import { OPENBSD } from "./constants.ts";
import type { OwnedFd } from "./fd.ts";
import { FfiKernelSocket } from "./kernel_socket.ts";
import type { Libc } from "./libc.ts";
import { addressOf, unshared } from "./memory.ts";
import { openSocket, orClose, setOption } from "./socket.ts";

/** A routing socket that hears messages of these types (RTM_*). @throws {SyscallError} */
export function openRouteSocket(libc: Libc, types: readonly number[]): KernelSocket {
  const { AF_ROUTE, ROUTE_MSGFILTER } = OPENBSD;
  const fd = openSocket(libc, AF_ROUTE, libc.constants.SOCK_RAW, 0);
  return orClose(fd, () => {
    const mask = types.reduce((bits, type) => bits | 1 << type, 0);
    setOption(libc, fd, AF_ROUTE, ROUTE_MSGFILTER, mask, "the types of routing messages");
    return new FfiKernelSocket(libc, fd, { portId: 0, isFromKernel: () => true });
  });
}

/** ioctl(2) on a datagram socket of its own. */
export class FfiInterfaceControl implements InterfaceControl {
  readonly #fd: OwnedFd;

  /** @throws {SyscallError} */
  constructor(private readonly libc: Libc) {
    const { AF_INET, SOCK_DGRAM } = libc.constants;
    this.#fd = openSocket(libc, AF_INET, SOCK_DGRAM, 0);
  }

  ioctl(
    request: number,
    structure: Uint8Array,
    pointee?: { readonly offset: number; readonly bytes: Uint8Array },
  ): void {
    const { libc } = this;
    const call = `ioctl 0x${request.toString(16)}`;
    if (libc.c.ioctl === null) throw libc.errorNamed(call, "ENOSYS");
    const argument = unshared(structure);
    if (pointee !== undefined) {
      const address = addressOf(libc, unshared(pointee.bytes));
      argument.set(new Writer().u64(address).finish(), pointee.offset);
    }
    libc.check(libc.c.ioctl(this.#fd.use(), BigInt(request), argument), call);
  }
}
