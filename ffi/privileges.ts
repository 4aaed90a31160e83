/**
 * Giving up root's rights on Linux. The kernel keeps them thread by thread, and the runtime has several: so this is
 * done in one thread, and `executeSelf` then makes it the only one of a new program.
 */

import { LINUX } from "./constants.ts";
import type { Account } from "./identity.ts";
import type { Libc } from "./libc.ts";

/** Above all capabilities that Linux will have for long: they fit a set of 64. */
const MOST_CAPABILITIES = 64;

/**
 * Makes the calling thread another user's, for good: no groups but that user's own, no capability but these (CAP_*,
 * all below 32), which also the next program has, and no way to more (no_new_privs, bounding set).
 *
 * @throws {SyscallError} and then the process has to end: half of it may be done.
 */
export function dropPrivileges(libc: Libc, { uid, gid }: Account, capabilities: readonly number[]): void {
  const { c } = libc;
  control(libc, "PR_SET_KEEPCAPS", 1);
  for (let one = 0; one < MOST_CAPABILITIES; one++) {
    const isThere = c.prctl?.(LINUX.PR_CAPBSET_READ, BigInt(one), 0n, 0n, 0n) === 1;
    if (isThere && !capabilities.includes(one)) control(libc, "PR_CAPBSET_DROP", one);
  }
  libc.check(c.setgroups(0n, new Uint32Array(0)), "set no supplementary groups");
  libc.check(c.setresgid(gid, gid, gid), `become group ${gid}`);
  libc.check(c.setresuid(uid, uid, uid), `become user ${uid}`);
  setCapabilities(libc, capabilities);
  for (const one of capabilities) control(libc, "PR_CAP_AMBIENT", LINUX.PR_CAP_AMBIENT_RAISE, one);
  control(libc, "PR_SET_NO_NEW_PRIVS", 1);
}

/** Effective, permitted and inheritable ones alike. */
function setCapabilities(libc: Libc, capabilities: readonly number[]): void {
  const mask = capabilities.reduce((bits, one) => bits | 1 << one, 0);
  const header = new Uint32Array([LINUX._LINUX_CAPABILITY_VERSION_3, 0]);
  const data = new Uint32Array([mask, mask, mask, 0, 0, 0]); // the second half: capabilities from 32 on
  libc.check(libc.c.capset?.(header, data) ?? -1, "set capabilities");
}

function control(libc: Libc, name: `PR_${string}` & keyof typeof LINUX, ...args: readonly number[]): void {
  const [first = 0n, second = 0n] = args.map(BigInt);
  libc.check(libc.c.prctl?.(LINUX[name], first, second, 0n, 0n) ?? -1, `set ${name}`);
}
