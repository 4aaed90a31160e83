/** Linux netlink sockets (netlink(7)). Opened for XFRM and rtnetlink; the messages are made in src/xfrm. */

import { Reader } from "../src/layout/reader.ts";
import { Writer } from "../src/layout/writer.ts";
import type { KernelSocket } from "../src/ports.ts";
import { LINUX } from "./constants.ts";
import type { OwnedFd } from "./fd.ts";
import { type BufferSizes, FfiKernelSocket, setBufferSizes } from "./kernel_socket.ts";
import type { Libc } from "./libc.ts";
import { addressOf } from "./memory.ts";
import { openSocket, orClose, setOption, socketName } from "./socket.ts";

/** Netlink families (linux/netlink.h). */
export const NETLINK_ROUTE = 0;
export const NETLINK_XFRM = 6;

/** `struct sockaddr_nl` in 32-bit words: family and padding, port id, groups. */
const NL_PID_WORD = 1;
const SOCKADDR_NL_WORDS = 3;

/** What to open. Groups are numbers (`XFRMNLGRP_SA`), not bits. */
export interface NetlinkOptions extends BufferSizes {
  /** `NETLINK_ROUTE` or `NETLINK_XFRM`. */
  readonly protocol: number;
  /** Multicast groups to hear; for XFRM they take CAP_NET_ADMIN. */
  readonly groups: readonly number[];
  /** Messages with this port id in their header are not wanted: they do not even wake the process. */
  readonly ignoredPortId?: number | undefined;
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
  const fd = openSocket(
    libc,
    LINUX.AF_NETLINK,
    libc.constants.SOCK_RAW,
    options.protocol,
    "a netlink socket",
  );
  return orClose(fd, () => {
    setBufferSizes(libc, fd, options);
    setNetlinkOption(libc, fd, LINUX.NETLINK_CAP_ACK, 1, "NETLINK_CAP_ACK");
    setNetlinkOption(libc, fd, LINUX.NETLINK_EXT_ACK, 1, "NETLINK_EXT_ACK");
    bindNetlink(libc, fd);
    if (options.ignoredPortId !== undefined) ignorePortId(libc, fd, options.ignoredPortId);
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

/** Offset of nlmsg_pid in `struct nlmsghdr`. */
const NLMSG_PID_OFFSET = 12;

/**
 * A classic BPF program (linux/filter.h) that drops messages by their nlmsg_pid. Whoever fills a kernel would
 * otherwise have to read a notification of each of its own changes.
 */
function ignorePortId(libc: Libc, fd: OwnedFd, portId: number): void {
  const seen = new Reader(new Writer().u32(portId).finish(), "port id").u32be(); // BPF loads in network order
  const program = new Writer();
  // struct sock_filter: u16 code, u8 jump if true, u8 jump if false, u32 operand
  program.u16(0x20).u8(0).u8(0).u32(NLMSG_PID_OFFSET); // BPF_LD | BPF_W | BPF_ABS
  program.u16(0x15).u8(0).u8(1).u32(seen); // BPF_JMP | BPF_JEQ | BPF_K: go on, or pass over the next
  program.u16(0x06).u8(0).u8(0).u32(0); // BPF_RET: nothing of it
  program.u16(0x06).u8(0).u8(0).u32(0xffffffff); // BPF_RET: all of it
  const memory = new Uint8Array(256); // what is that large never moves
  memory.set(program.finish());
  const head = new BigUint64Array([4n, addressOf(libc, memory)]); // struct sock_fprog: u16 length, pointer
  const result = libc.c.setsockopt(fd.use(), libc.constants.SOL_SOCKET, LINUX.SO_ATTACH_FILTER, head, 16);
  libc.check(result, "attach a filter to a netlink socket");
}

function setNetlinkOption(libc: Libc, fd: OwnedFd, option: number, value: number, name: string): void {
  setOption(libc, fd, LINUX.SOL_NETLINK, option, value, name);
}
