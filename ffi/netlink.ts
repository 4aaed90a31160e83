/** Linux netlink sockets (netlink(7)). Opened by main.ts for XFRM and rtnetlink; the messages are made in src/xfrm. */

import type { KernelSocket } from "../src/ports.ts";
import { LINUX } from "./constants.ts";
import type { OwnedFd } from "./fd.ts";
import { type BufferSizes, FfiKernelSocket, setBufferSizes } from "./kernel_socket.ts";
import type { Libc } from "./libc.ts";
import { openSocket, orClose, setOption, socketName } from "./socket.ts";

/** `struct sockaddr_nl` in 32-bit words: family and padding, port id, groups. */
const NL_PID_WORD = 1;
const SOCKADDR_NL_WORDS = 3;

/** What to open. Groups are numbers (`XFRMNLGRP_SA`), not bits. */
export interface NetlinkOptions extends BufferSizes {
  /** `NETLINK_ROUTE` 0, `NETLINK_XFRM` 6. */
  readonly protocol: number;
  /** Multicast groups to hear; for XFRM they take CAP_NET_ADMIN. */
  readonly groups: readonly number[];
}

/**
 * A netlink socket with a port id of its own, which hears the groups from its first moment on. Acknowledgements
 * come without the request (NETLINK_CAP_ACK) and with the kernel's reason in words (NETLINK_EXT_ACK). Messages of
 * other processes are dropped: whoever may send to the socket could otherwise speak as the kernel.
 *
 * @throws {SyscallError} EPROTONOSUPPORT when the kernel has no such protocol, EPERM without the right to hear
 * the groups.
 */
export function openNetlink(libc: Libc, options: NetlinkOptions): KernelSocket {
  const fd = openSocket(libc, LINUX.AF_NETLINK, libc.constants.SOCK_RAW, options.protocol);
  return orClose(fd, () => {
    setBufferSizes(libc, fd, options);
    setNetlinkOption(libc, fd, LINUX.NETLINK_CAP_ACK, 1, "NETLINK_CAP_ACK");
    setNetlinkOption(libc, fd, LINUX.NETLINK_EXT_ACK, 1, "NETLINK_EXT_ACK");
    bindNetlink(libc, fd);
    for (const group of options.groups) {
      setNetlinkOption(libc, fd, LINUX.NETLINK_ADD_MEMBERSHIP, group, `NETLINK_ADD_MEMBERSHIP ${group}`);
    }
    return new FfiKernelSocket(libc, fd, {
      portId: netlinkPortId(socketName(libc, fd)),
      isFromKernel: (sender) => sender[NL_PID_WORD] === 0,
    });
  });
}

/** The port id of a `struct sockaddr_nl`. */
export function netlinkPortId(name: Uint8Array<ArrayBuffer>): number {
  return new Uint32Array(name.slice().buffer)[NL_PID_WORD]!;
}

function bindNetlink(libc: Libc, fd: OwnedFd): void {
  const name = new Uint32Array(SOCKADDR_NL_WORDS);
  new Uint16Array(name.buffer)[0] = LINUX.AF_NETLINK;
  libc.check(libc.c.bind(fd.use(), name, name.byteLength), "bind a netlink socket");
}

function setNetlinkOption(libc: Libc, fd: OwnedFd, option: number, value: number, name: string): void {
  setOption(libc, fd, LINUX.SOL_NETLINK, option, value, name);
}
