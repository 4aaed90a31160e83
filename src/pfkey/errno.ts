/** Names of the error numbers that PF_KEY answers carry: the common ones, and those in which systems differ. */

const COMMON: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  3: "ESRCH",
  4: "EINTR",
  12: "ENOMEM",
  13: "EACCES",
  16: "EBUSY",
  17: "EEXIST",
  19: "ENODEV",
  22: "EINVAL",
  34: "ERANGE",
};

const LINUX: Readonly<Record<number, string>> = {
  11: "EAGAIN",
  38: "ENOSYS",
  40: "ELOOP",
  90: "EMSGSIZE",
  93: "EPROTONOSUPPORT",
  95: "EOPNOTSUPP",
  97: "EAFNOSUPPORT",
  105: "ENOBUFS",
};

/** OpenBSD, FreeBSD and NetBSD. */
const BSD: Readonly<Record<number, string>> = {
  35: "EAGAIN",
  40: "EMSGSIZE",
  43: "EPROTONOSUPPORT",
  45: "EOPNOTSUPP",
  47: "EAFNOSUPPORT",
  55: "ENOBUFS",
  78: "ENOSYS",
};

/** The name of an error number of that kind of system, or `errno 42`. */
export function errnoName(errno: number, system: "linux" | "bsd"): string {
  return (system === "linux" ? LINUX : BSD)[errno] ?? COMMON[errno] ?? `errno ${errno}`;
}
