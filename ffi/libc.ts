/**
 * The C library: the only place with Deno.dlopen. Opened once, by each process, and handed to everything in ffi/.
 * No UnsafePointer and no callbacks: those need unscoped --allow-ffi (see `libcPaths` for the scoped one).
 */

import { SyscallError } from "../src/errors.ts";
import { type Constants, constantsOf } from "./constants.ts";
import { errnoCode, errnoName } from "./errno.ts";
import { type Arch, type OsArch, osArch, type System } from "./system.ts";

/**
 * C prototype above each entry. `int` is i32, `size_t` usize, `ssize_t` isize, pointers to our memory "buffer",
 * pointers to the library's memory u64. Variadic functions are declared with the arguments that we give.
 */
const SYMBOLS = {
  // int *__errno_location(void); the name differs by system, see ERRNO_ACCESSOR
  errnoLocation: { name: "__errno_location", parameters: [], result: "u64" },
  // void *memcpy(void *to, const void *from, size_t n); from the library's memory to ours
  copyFrom: { name: "memcpy", parameters: ["buffer", "u64", "usize"], result: "u64" },
  // the same, with n = 0 and a buffer of ours on both sides: gives the buffer's address
  addressOf: { name: "memcpy", parameters: ["buffer", "buffer", "usize"], result: "u64" },
  // size_t strlen(const char *s);
  strlen: { parameters: ["u64"], result: "usize" },

  // int open(const char *path, int flags);
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // the same with O_CREAT: int open(const char *path, int flags, mode_t mode);
  create: { name: "open", parameters: ["buffer", "i32", "u32"], result: "i32" },
  // int rename(const char *from, const char *to);
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  // int unlink(const char *path);
  unlink: { parameters: ["buffer"], result: "i32" },
  // int flock(int fd, int operation);
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // mode_t umask(mode_t mask);
  umask: { parameters: ["u32"], result: "u32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // ssize_t read(int fd, void *buf, size_t n);
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // the same on another thread: errno is lost
  readNonblocking: {
    name: "read",
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    nonblocking: true,
  },
  // ssize_t write(int fd, const void *buf, size_t n);
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // int pipe2(int fds[2], int flags);
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  // int dup2(int from, int to);
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  // int fcntl(int fd, int command, int argument);
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int poll(struct pollfd *fds, nfds_t n, int timeoutMs); nfds_t: unsigned long on Linux, unsigned int on BSD
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
  // the same on another thread: errno is lost
  pollNonblocking: { name: "poll", parameters: ["buffer", "usize", "i32"], result: "i32", nonblocking: true },

  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int fd, const struct sockaddr *address, socklen_t length);
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int shutdown(int fd, int how);
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  // int connect(int fd, const struct sockaddr *address, socklen_t length);
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int listen(int fd, int backlog);
  listen: { parameters: ["i32", "i32"], result: "i32" },
  // int socketpair(int domain, int type, int protocol, int fds[2]);
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  // int getsockname(int fd, struct sockaddr *address, socklen_t *length);
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getpeername(int fd, struct sockaddr *address, socklen_t *length);
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int setsockopt(int fd, int level, int name, const void *value, socklen_t length);
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // int getsockopt(int fd, int level, int name, void *value, socklen_t *length);
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // ssize_t send(int fd, const void *buf, size_t n, int flags);
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // ssize_t recv(int fd, void *buf, size_t n, int flags);
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *length);
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize" },

  // int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list);
  // on another thread, for it may take long: errno is lost
  getaddrinfo: { parameters: ["buffer", "buffer", "buffer", "buffer"], result: "i32", nonblocking: true },
  // void freeaddrinfo(struct addrinfo *list);
  freeaddrinfo: { parameters: ["u64"], result: "void" },
  // int getifaddrs(struct ifaddrs **list);
  getifaddrs: { parameters: ["buffer"], result: "i32" },
  // void freeifaddrs(struct ifaddrs *list);
  freeifaddrs: { parameters: ["u64"], result: "void" },
  // unsigned if_nametoindex(const char *name);
  ifNameToIndex: { name: "if_nametoindex", parameters: ["buffer"], result: "u32" },
  // char *if_indextoname(unsigned index, char name[IF_NAMESIZE]);
  ifIndexToName: { name: "if_indextoname", parameters: ["u32", "buffer"], result: "u64" },

  // uid_t geteuid(void);
  geteuid: { parameters: [], result: "u32" },
  // int getpwnam_r(const char *name, struct passwd *, char *strings, size_t n, struct passwd **found);
  getpwnamR: {
    name: "getpwnam_r",
    parameters: ["buffer", "buffer", "buffer", "usize", "buffer"],
    result: "i32",
  },
  // int setgroups(size_t n, const gid_t *list); int n on BSD
  setgroups: { parameters: ["usize", "buffer"], result: "i32" },
  // int setresgid(gid_t real, gid_t effective, gid_t saved);
  setresgid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  // int setresuid(uid_t real, uid_t effective, uid_t saved);
  setresuid: { parameters: ["u32", "u32", "u32"], result: "i32" },
  // int execv(const char *path, char *const arguments[]);
  execv: { parameters: ["buffer", "buffer"], result: "i32" },
  // char *getcwd(char *buffer, size_t n);
  getcwd: { parameters: ["buffer", "usize"], result: "u64" },
  // int kill(pid_t pid, int signal);
  kill: { parameters: ["i32", "i32"], result: "i32" },
  // int setrlimit(int resource, const struct rlimit *limit);
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  // int clock_gettime(clockid_t clock, struct timespec *time);
  clockGettime: { name: "clock_gettime", parameters: ["i32", "buffer"], result: "i32" },

  // What only some systems have, see OF_SYSTEM; null elsewhere.
  // int prctl(int option, unsigned long argument, ...);
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32", optional: true },
  // int capset(struct __user_cap_header_struct *header, const struct __user_cap_data_struct data[2]);
  capset: { parameters: ["buffer", "buffer"], result: "i32", optional: true },
  // glibc 2.28: int statx(int dir, const char *path, int flags, unsigned mask, struct statx *);
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32", optional: true },
  // int fstat(int fd, struct stat *);
  fstat: { parameters: ["i32", "buffer"], result: "i32", optional: true },
  // int sysctl(const int *name, u_int n, void *old, size_t *oldLength, void *new, size_t newLength);
  sysctl: {
    parameters: ["buffer", "u32", "buffer", "buffer", "buffer", "usize"],
    result: "i32",
    optional: true,
  },
  // int ioctl(int fd, unsigned long request, void *argument);
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32", optional: true },
  // int chroot(const char *path);
  chroot: { parameters: ["buffer"], result: "i32", optional: true },
  // int chdir(const char *path);
  chdir: { parameters: ["buffer"], result: "i32", optional: true },
  // int unveil(const char *path, const char *permissions);
  unveil: { parameters: ["buffer", "buffer"], result: "i32", optional: true },
  // int pledge(const char *promises, const char *execpromises);
  pledge: { parameters: ["buffer", "buffer"], result: "i32", optional: true },
  // int sendsyslog(const char *message, size_t n, int flags);
  sendsyslog: { parameters: ["buffer", "usize", "i32"], result: "i32", optional: true },
} as const satisfies Deno.ForeignLibraryInterface;

/** Which systems have what not all have. */
const OF_SYSTEM: Readonly<Record<string, readonly System[]>> = {
  prctl: ["linux"],
  capset: ["linux"],
  statx: ["linux"],
  fstat: ["openbsd"],
  sysctl: ["openbsd", "freebsd"],
  ioctl: ["openbsd"],
  chroot: ["openbsd"],
  chdir: ["openbsd"],
  unveil: ["openbsd"],
  pledge: ["openbsd"],
  sendsyslog: ["openbsd"],
};

const ERRNO_ACCESSOR: Readonly<Record<System, string>> = {
  linux: "__errno_location",
  openbsd: "__errno",
  freebsd: "__error",
};

/** The functions of the C library, by the keys of the symbol table. */
export type LibcSymbols = Deno.StaticForeignLibraryInterface<typeof SYMBOLS>;

/** The C library with the tables of the system that it belongs to. */
export class Libc {
  readonly constants: Constants;
  /** The same for the whole life of the thread, so asked for once. */
  readonly #errnoAddress: bigint;
  readonly #errno = new Int32Array(1);

  constructor(readonly system: System, readonly arch: Arch, readonly c: LibcSymbols) {
    this.constants = constantsOf(system);
    this.#errnoAddress = c.errnoLocation();
  }

  /**
   * The name of the last failed call's error (`EAGAIN`). To be read at once after a synchronous call, before any
   * await or other work of the runtime: those make system calls of their own.
   */
  errno(): string {
    this.c.copyFrom(this.#errno, this.#errnoAddress, 4n);
    return errnoName(this.system, this.#errno[0]!);
  }

  /** The name of an error number that a call has handed over. */
  nameOf(code: number): string {
    return errnoName(this.system, code);
  }

  /** The last failed call's error, to be thrown. `call` completes the sentence "Cannot …". */
  error(call: string): SyscallError {
    const errno = this.errno();
    return new SyscallError(call, errno, this.#errno[0]!);
  }

  /** An error that no call has reported, by name. */
  errorNamed(call: string, errno: string): SyscallError {
    return new SyscallError(call, errno, errnoCode(this.system, errno) ?? 0);
  }

  /** @returns `result`. @throws {SyscallError} when it is -1. */
  check(result: number, call: string): number {
    if (result === -1) throw this.error(call);
    return result;
  }
}

/** Where the runtime gets libraries from; a test's own in tests. */
export interface LibraryLoader {
  /** The names in a folder. @throws {Deno.errors.NotFound} */
  list(folder: string): readonly string[];
  /** The functions of the library at `path`; those that are optional and missing are null. */
  open(path: string, symbols: Deno.ForeignLibraryInterface): Readonly<Record<string, unknown>>;
}

const RUNTIME: LibraryLoader = {
  list: (folder) => Array.from(Deno.readDirSync(folder), ({ name }) => name),
  open: (path, symbols) => Deno.dlopen(path, symbols).symbols,
};

/** Where OpenBSD has `libc.so.MAJOR.MINOR`, whose numbers change with almost every release. */
const BSD_LIBRARIES = "/usr/lib";

/**
 * Absolute paths where the C library may be, in the order in which they are tried: on Linux Debian, Fedora and SUSE,
 * Arch; on OpenBSD the newest first (older ones may be left of earlier releases). The same list belongs into
 * `--allow-ffi=`; paths that do not exist are allowed there.
 */
export function libcPaths(
  { system, arch }: OsArch,
  loader: Pick<LibraryLoader, "list"> = RUNTIME,
): readonly string[] {
  if (system === "freebsd") return []; // its structures are not known here
  if (system === "openbsd") {
    return newestFirst(loader.list(BSD_LIBRARIES)).map((name) => `${BSD_LIBRARIES}/${name}`);
  }
  return [
    `/lib/${arch}-linux-gnu/libc.so.6`,
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
  ];
}

function newestFirst(names: readonly string[]): string[] {
  const versions = names.flatMap((name) => {
    const [, major, minor] = /^libc\.so\.(\d+)\.(\d+)$/.exec(name) ?? [];
    return major === undefined ? [] : [{ name, major: Number(major), minor: Number(minor) }];
  });
  return versions.sort((a, b) => b.major - a.major || b.minor - a.minor).map(({ name }) => name);
}

/** What is loaded on that system: nothing that only another one has. */
export function symbolsOf(system: System): Deno.ForeignLibraryInterface {
  const own = Object.entries(SYMBOLS).filter(([key]) => OF_SYSTEM[key]?.includes(system) ?? true);
  const errnoLocation = { ...SYMBOLS.errnoLocation, name: ERRNO_ACCESSOR[system] };
  return { ...Object.fromEntries(own), errnoLocation };
}

/**
 * Opens the C library. Called once, at the start; stays open until the process ends. Not yet run on OpenBSD and FreeBSD.
 *
 * @throws {SyscallError} when it is at none of the known paths, or lacks a function.
 */
export function openLibc(machine: OsArch = osArch(), loader: LibraryLoader = RUNTIME): Libc {
  const { system, arch } = machine;
  const missing = Object.fromEntries(Object.keys(OF_SYSTEM).map((key) => [key, null]));
  const failures: string[] = [];
  for (const path of libcPaths(machine, loader)) {
    try {
      const found = { ...missing, ...loader.open(path, symbolsOf(system)) };
      return new Libc(system, arch, found as unknown as LibcSymbols); // has every key: opened, or null
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new SyscallError(`open the C library (${failures.join("; ")})`, "ENOENT", 2);
}
