/** Tables that BSD kernels hand out whole by sysctl(2). Not yet run on a BSD. */

import type { Libc } from "./libc.ts";

/**
 * Room beyond what the kernel says that it needs: the table may grow before it is read, and OpenBSD's dump of the SPD
 * writes beyond the end of a buffer that is a few bytes too small.
 */
const SPARE_BYTES = 64 * 1024;
/** A table that grows faster than this is not read. */
const MOST_TRIES = 10;

/**
 * The table of that name (numbers, as in `CTL_NET, PF_KEY, …`).
 *
 * @throws {SyscallError} EPERM without the right to read it; ENOMEM when it grows faster than it is read.
 */
export function readSysctl(libc: Libc, name: readonly number[]): Uint8Array {
  const call = `read sysctl ${name.join(".")}`;
  const mib = new Int32Array(name);
  for (let tries = 1; tries <= MOST_TRIES; tries++) {
    const length = new BigUint64Array(1);
    libc.check(sysctl(libc, mib, null, length), call);
    const room = new Uint8Array(2 * tries * Number(length[0]!) + SPARE_BYTES);
    length[0] = BigInt(room.length);
    if (sysctl(libc, mib, room, length) === 0) return room.subarray(0, Number(length[0]!));
    const error = libc.error(call);
    if (error.errno !== "ENOMEM") throw error;
  }
  throw libc.errorNamed(call, "ENOMEM");
}

function sysctl(
  libc: Libc,
  mib: Int32Array<ArrayBuffer>,
  room: Uint8Array<ArrayBuffer> | null,
  length: BigUint64Array<ArrayBuffer>,
): number {
  if (libc.c.sysctl === null) throw libc.errorNamed("read a sysctl", "ENOSYS");
  return libc.c.sysctl(mib, mib.length, room, length, null, 0n);
}
