/** Reads a file together with the facts that decide whether to trust it, all through one descriptor. */

import { concat, Layout, pad, Reader, u16, u32, u64 } from "../src/layout/mod.ts";
import { LINUX, S_IFMT, S_IFREG } from "./constants.ts";
import { type OwnedFd, ownFd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { cString } from "./memory.ts";

/** A file as it was found. */
export interface OwnedFile {
  /** The content; empty when it is no regular file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly uid: number;
  /** Permission bits with set-id and sticky bits, at most 0o7777. */
  readonly mode: number;
  readonly isRegular: boolean;
}

/** `struct statx`, 256 bytes; unlike `struct stat` the same on all processors. */
const statx = new Layout("statx", 256, {
  mask: u32,
  blockSize: u32,
  attributes: u64,
  links: u32,
  uid: u32,
  gid: u32,
  mode: u16,
  rest: pad(226),
});

/** `struct stat` of OpenBSD, 128 bytes (sys/stat.h). */
const openbsdStat = new Layout("stat", 128, {
  mode: u32,
  device: u32,
  inode: u64,
  links: u32,
  uid: u32,
  rest: pad(104),
});

const CHUNK_BYTES = 16 * 1024;
/** More than any configuration. */
const MOST_BYTES = 1 << 20;

/**
 * The content, owner and mode of `path`, of the same file whatever is renamed meanwhile. Symbolic links are
 * followed, as sasyncd(8) does. A FIFO or device is opened without waiting and not read.
 *
 * @throws {SyscallError} when it cannot be opened or read; EFBIG beyond 1 MiB.
 */
export function readOwnedFile(libc: Libc, path: string): OwnedFile {
  const { O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDONLY } = libc.constants;
  const flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  const fd = ownFd(libc, libc.c.open(cString(path), flags), `open "${path}"`);
  try {
    const { uid, mode } = readStatus(libc, fd, path);
    const isRegular = (mode & S_IFMT) === S_IFREG;
    const bytes = isRegular ? readAll(libc, fd, path) : new Uint8Array(0);
    return { bytes, uid, mode: mode & ~S_IFMT, isRegular };
  } finally {
    fd.close();
  }
}

/** Owner and mode, with the bits that tell its kind, of an open file. @throws {SyscallError} */
export function readStatus(libc: Libc, fd: OwnedFd, path: string): { uid: number; mode: number } {
  const call = `get the owner of "${path}"`;
  if (libc.c.fstat !== null) {
    const status = new Uint8Array(openbsdStat.size);
    libc.check(libc.c.fstat(fd.use(), status), call);
    return openbsdStat.read(new Reader(status, openbsdStat.name));
  }
  if (libc.c.statx === null) throw libc.errorNamed(call, "ENOSYS");
  const status = new Uint8Array(statx.size);
  const mask = LINUX.STATX_TYPE | LINUX.STATX_MODE | LINUX.STATX_UID;
  libc.check(libc.c.statx(fd.use(), cString(""), LINUX.AT_EMPTY_PATH, mask, status), call);
  return statx.read(new Reader(status, "statx"));
}

function readAll(libc: Libc, fd: OwnedFd, path: string): Uint8Array<ArrayBuffer> {
  const call = `read "${path}"`;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let total = 0; total <= MOST_BYTES;) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const length = libc.check(Number(libc.c.read(fd.use(), chunk, BigInt(chunk.length))), call);
    if (length === 0) return concat(...chunks);
    chunks.push(chunk.subarray(0, length));
    total += length;
  }
  throw libc.errorNamed(call, "EFBIG");
}
