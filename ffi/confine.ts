/**
 * Giving up root's rights on OpenBSD, where they belong to the process and not to its threads: no execve(2) is needed.
 * Not yet run on OpenBSD.
 */

import type { Account } from "./identity.ts";
import type { Libc } from "./libc.ts";
import { cString } from "./memory.ts";

/**
 * Shuts this process in its user's empty folder, makes it that user, hides all files from it, and leaves it the system
 * calls of these pledge(2) words. Whatever it needs has to be open by then.
 *
 * @throws {SyscallError} and then the process has to end: half of it may be done.
 */
export function confine(libc: Libc, { uid, gid, directory }: Account, promises: string): void {
  const { c } = libc;
  libc.check(c.chroot?.(cString(directory)) ?? -1, `chroot to "${directory}"`);
  libc.check(c.chdir?.(cString("/")) ?? -1, "change to the root directory");
  libc.check(c.setgroups(1n, new Uint32Array([gid])), "set no supplementary groups");
  libc.check(c.setresgid(gid, gid, gid), `become group ${gid}`);
  libc.check(c.setresuid(uid, uid, uid), `become user ${uid}`);
  libc.check(c.unveil?.(cString("/"), cString("")) ?? -1, "hide all files");
  libc.check(c.unveil?.(null, null) ?? -1, "keep all files hidden");
  libc.check(c.pledge?.(cString(promises), null) ?? -1, `pledge "${promises}"`);
}
