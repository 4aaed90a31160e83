/**
 * Numbers of the C headers, one row a constant and one column an operating system, so that a new system is a new
 * column. Sources: Linux printed by a C program (glibc, x86_64; the ones here are the same on aarch64), BSD from
 * golang.org/x/sys 0.22 and the systems' own sys/socket.h, fcntl.h, resource.h, _time.h, _clock_id.h, netinet/tcp.h.
 */

import type { System } from "./system.ts";

type Row = Readonly<Record<System, number>>;

function row(linux: number, openbsd: number, freebsd: number): Row {
  return { linux, openbsd, freebsd };
}

const ROWS = {
  AF_UNIX: row(1, 1, 1),
  AF_INET: row(2, 2, 2),
  AF_INET6: row(10, 24, 28),
  AF_KEY: row(15, 30, 27),
  SOCK_STREAM: row(1, 1, 1),
  SOCK_DGRAM: row(2, 2, 2),
  SOCK_RAW: row(3, 3, 3),
  SOCK_NONBLOCK: row(0x800, 0x4000, 0x20000000),
  SOCK_CLOEXEC: row(0x80000, 0x8000, 0x10000000),
  F_SETFD: row(2, 2, 2),
  O_RDONLY: row(0, 0, 0),
  O_WRONLY: row(1, 1, 1),
  O_RDWR: row(2, 2, 2),
  O_CREAT: row(0x40, 0x200, 0x200),
  O_EXCL: row(0x80, 0x800, 0x800),
  O_NONBLOCK: row(0x800, 4, 4),
  O_CLOEXEC: row(0x80000, 0x10000, 0x100000),
  O_NOCTTY: row(0x100, 0x8000, 0x8000),
  SOL_SOCKET: row(1, 0xffff, 0xffff),
  SO_REUSEADDR: row(2, 4, 4),
  SO_ERROR: row(4, 0x1007, 0x1007),
  SO_SNDBUF: row(7, 0x1001, 0x1001),
  SO_RCVBUF: row(8, 0x1002, 0x1002),
  SO_LINGER: row(13, 0x80, 0x80),
  IPPROTO_TCP: row(6, 6, 6),
  TCP_NODELAY: row(1, 1, 1),
  TCP_MAXSEG: row(2, 2, 2),
  IPPROTO_IPV6: row(41, 41, 41),
  IPV6_V6ONLY: row(26, 27, 27),
  MSG_DONTWAIT: row(0x40, 0x80, 0x80),
  MSG_NOSIGNAL: row(0x4000, 0x400, 0x20000),
  POLLIN: row(1, 1, 1),
  POLLOUT: row(4, 4, 4),
  POLLERR: row(8, 8, 8),
  POLLHUP: row(16, 16, 16),
  POLLNVAL: row(32, 32, 32),
  CLOCK_REALTIME: row(0, 0, 0),
  /** FreeBSD: CLOCK_MONOTONIC, its nearest. */
  CLOCK_BOOTTIME: row(7, 6, 4),
  RLIMIT_CORE: row(4, 4, 4),
} satisfies Readonly<Record<string, Row>>;

/** The constants of one operating system, by their C names. */
export type Constants = Readonly<Record<keyof typeof ROWS, number>>;

/** The column of `system`. */
export function constantsOf(system: System): Constants {
  const column = Object.entries(ROWS).map(([name, values]) => [name, values[system]]);
  return Object.fromEntries(column) as Constants; // the keys are exactly those of ROWS
}

/** Constants that only Linux has (linux/netlink.h, asm-generic/socket.h, linux/prctl.h, linux/capability.h,
 * linux/stat.h). */
export const LINUX = {
  AF_NETLINK: 16,
  SOL_NETLINK: 270,
  NETLINK_ADD_MEMBERSHIP: 1,
  NETLINK_CAP_ACK: 10,
  NETLINK_EXT_ACK: 11,
  SO_ATTACH_FILTER: 26,
  SO_SNDBUFFORCE: 32,
  SO_RCVBUFFORCE: 33,
  /** As an input flag of recv(2): give the true length of the datagram. */
  MSG_TRUNC: 0x20,
  PR_SET_DUMPABLE: 4,
  PR_SET_KEEPCAPS: 8,
  PR_CAPBSET_READ: 23,
  PR_CAPBSET_DROP: 24,
  PR_SET_NO_NEW_PRIVS: 38,
  PR_CAP_AMBIENT: 47,
  PR_CAP_AMBIENT_RAISE: 2,
  _LINUX_CAPABILITY_VERSION_3: 0x20080522,
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_ADMIN: 12,
  AT_EMPTY_PATH: 0x1000,
  STATX_TYPE: 0x1,
  STATX_MODE: 0x2,
  STATX_UID: 0x8,
} as const;

/** Constants of route(4) on OpenBSD (sys/socket.h, net/route.h). */
export const OPENBSD = {
  AF_ROUTE: 17,
  ROUTE_MSGFILTER: 1,
} as const;

/** The bits of a file mode that tell its kind, and the kinds "FIFO" and "regular file" (the same on all systems). */
export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFREG = 0o100000;
