/** The keeper: a second process that does what has to be done when the daemon has died, however that happened. */

import type { Config } from "../src/config/config.ts";
import { DEMOTED } from "../src/daemon/file_demoter.ts";
import { RuleGuard } from "../src/daemon/guard.ts";
import { IkeOrders } from "../src/daemon/ike_orders.ts";
import { IkeSwitch } from "../src/daemon/ike_switch.ts";
import { openHeir } from "../src/daemon/open_ike.ts";
import { type Log, SILENT_LOG } from "../src/log/verbosity.ts";
import { replaceFile } from "../ffi/atomic_file.ts";
import { SystemClock } from "../ffi/clock.ts";
import { Keeper, readWill } from "../ffi/keeper.ts";
import { type Libc, openLibc } from "../ffi/libc.ts";
import { FfiLocalDoors } from "../ffi/local.ts";
import { NETLINK_ROUTE, openNetlink } from "../ffi/netlink.ts";
import { FfiPoller } from "../ffi/poll.ts";

/**
 * First argument of the process that cleans up when this one has died: the owner of the guard's rules follows, and
 * the file of `demote file`, if there is one.
 */
export const GUARD_KEEPER = "--guard-keeper";

/** What the keeper is told: this node is to be demoted when this process has died, or not. */
export const SLAVE = "S";
export const MASTER = "M";

/** How long the keeper tries to give back what was taken from the IKE daemon. */
const HEIR_MS = 2000;

export function openKeeper(owner: number, { demoteFile }: Config, log: Log): Keeper {
  const args = [GUARD_KEEPER, `${owner}`, ...demoteFile === undefined ? [] : [demoteFile.path]];
  return new Keeper(args, (text) => log.error(text));
}

/** What the keeper does, once this process is gone: `owner` is the guard's, `demoteFile` what it demotes a slave in. */
export async function keep(owner: number, demoteFile: string | undefined): Promise<number> {
  const will = await readWill();
  const libc = openLibc();
  try {
    if (demoteFile !== undefined && will.get("role") === SLAVE) replaceFile(libc, demoteFile, DEMOTED);
  } finally {
    new RuleGuard(openNetlink(libc, { protocol: NETLINK_ROUTE, groups: [] }), owner).sweep("own");
  }
  await giveBack(libc, will.get("ike"));
  return 0;
}

/** What the process that has died had taken from the IKE daemon. */
async function giveBack(libc: Libc, will: string | undefined): Promise<void> {
  if (will === undefined) return;
  const control = openHeir(will, { doors: new FfiLocalDoors(libc), log: SILENT_LOG });
  const orders = new IkeOrders([new IkeSwitch(control, SILENT_LOG)], new SystemClock(libc));
  await orders.leave(new FfiPoller(libc), HEIR_MS);
}
