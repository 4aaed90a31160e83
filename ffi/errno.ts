/**
 * Error numbers and their names by operating system. Sources: Linux `cpp -dM errno.h` (the same on x86_64 and
 * aarch64); OpenBSD and FreeBSD as golang.org/x/sys 0.22 has them.
 */

import type { System } from "./system.ts";

/** Linux, in the order of the numbers from 0, ten to a line. */
const LINUX_NAMES = `
  - EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF
  ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV
  ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE
  EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY
  ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH
  ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT
  ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT
  ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC
  ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ
  EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL
  ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS
  ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL
  EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED
  EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON
`.trim().split(/\s+/);

/** Numbers up to ERANGE are the same everywhere, but for this one. */
const LAST_COMMON = 34;
const EDEADLK_ON_BSD = 11;

/** OpenBSD and FreeBSD, as far as they differ from Linux and are needed. */
const BSD_CODES: Readonly<Record<string, readonly [openbsd: number, freebsd: number]>> = {
  EDEADLK: [11, 11],
  EAGAIN: [35, 35],
  EINPROGRESS: [36, 36],
  EALREADY: [37, 37],
  ENOTSOCK: [38, 38],
  EMSGSIZE: [40, 40],
  EPROTOTYPE: [41, 41],
  ENOPROTOOPT: [42, 42],
  EPROTONOSUPPORT: [43, 43],
  ESOCKTNOSUPPORT: [44, 44],
  EOPNOTSUPP: [45, 45],
  EPFNOSUPPORT: [46, 46],
  EAFNOSUPPORT: [47, 47],
  EADDRINUSE: [48, 48],
  EADDRNOTAVAIL: [49, 49],
  ENETDOWN: [50, 50],
  ENETUNREACH: [51, 51],
  ECONNABORTED: [53, 53],
  ECONNRESET: [54, 54],
  ENOBUFS: [55, 55],
  EISCONN: [56, 56],
  ENOTCONN: [57, 57],
  ESHUTDOWN: [58, 58],
  ETIMEDOUT: [60, 60],
  ECONNREFUSED: [61, 61],
  EHOSTDOWN: [64, 64],
  EHOSTUNREACH: [65, 65],
  ENOSYS: [78, 78],
  EOVERFLOW: [87, 84],
  EPROTO: [95, 92],
};

const NAMES: Readonly<Record<System, ReadonlyMap<number, string>>> = {
  linux: new Map([...LINUX_NAMES.entries()].filter(([, name]) => name !== "-")),
  openbsd: bsdNames(0),
  freebsd: bsdNames(1),
};

const CODES: Readonly<Record<System, ReadonlyMap<string, number>>> = {
  linux: codesOf("linux"),
  openbsd: codesOf("openbsd"),
  freebsd: codesOf("freebsd"),
};

/** The name of an error number, `unknown(4095)` for one that is in no table. */
export function errnoName(system: System, code: number): string {
  return NAMES[system].get(code) ?? `unknown(${code})`;
}

/** The number of an error name; undefined for one that is in no table. */
export function errnoCode(system: System, name: string): number | undefined {
  return CODES[system].get(name);
}

function bsdNames(column: 0 | 1): ReadonlyMap<number, string> {
  const common = [...LINUX_NAMES.entries()].slice(1, LAST_COMMON + 1).filter(([code]) =>
    code !== EDEADLK_ON_BSD
  );
  const own = Object.entries(BSD_CODES).map(([name, codes]): [number, string] => [codes[column], name]);
  return new Map([...common, ...own]);
}

function codesOf(system: System): ReadonlyMap<string, number> {
  return new Map([...NAMES[system]].map(([code, name]) => [name, code]));
}
