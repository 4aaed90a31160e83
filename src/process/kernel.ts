/** Opens the kernel's SADB and SPD as the configuration and the system ask for it, and the guard. */

import type { Config } from "../config/config.ts";
import { RuleGuard } from "../daemon/guard.ts";
import type { Sight } from "../daemon/helper_messages.ts";
import { MemoryKernel } from "../daemon/memory_kernel.ts";
import { PfkeyKernel } from "../daemon/pfkey_kernel.ts";
import { ResolveError } from "../daemon/resolve_config.ts";
import { XfrmKernel } from "../daemon/xfrm_kernel.ts";
import { SyscallError } from "../errors.ts";
import { HOST_ORDER } from "../layout/byte_order.ts";
import type { Log } from "../log/verbosity.ts";
import { linuxDialect } from "../pfkey/linux.ts";
import { openbsdDialect } from "../pfkey/openbsd.ts";
import { SPD_DUMP_NAME } from "../pfkey/openbsd_constants.ts";
import type { Clock, KernelIpsec } from "../ports.ts";
import { interfaceIndex, interfaceName } from "../../ffi/interfaces.ts";
import { openKeySocket } from "../../ffi/key_socket.ts";
import type { Libc } from "../../ffi/libc.ts";
import { NETLINK_ROUTE, NETLINK_XFRM, openNetlink } from "../../ffi/netlink.ts";

const PFKEY_WARNING =
  "kernel pfkey: PF_KEY cannot carry AEAD, ESN, counters and more, and Linux is to lose it " +
  "in 2027; use kernel xfrm where it works";

/** Asks the helper for what only root can see. @throws {SyscallError} */
export type Look = (at: Sight) => Uint8Array;

/** What an opened kernel uses. */
export interface KernelMeans {
  readonly clock: Clock;
  readonly log: Log;
  readonly look: Look;
}

/** @throws {SyscallError} when the kernel has no such thing, or this process has not the right. */
export function openKernel(
  libc: Libc,
  config: Config,
  { clock, log, look }: KernelMeans,
): KernelIpsec {
  const { kernel } = config;
  if (kernel === "memory" || kernel === "memory openbsd") return new MemoryKernel(clock);
  if (libc.system === "openbsd") return openOpenbsdKernel(libc, config, clock, look);
  if (kernel === "pfkey") return openPfkeyKernel(libc, config, clock, log);
  try {
    return openXfrmKernel(libc, clock);
  } catch (error) {
    const isMissing = error instanceof SyscallError && error.errno === "EPROTONOSUPPORT";
    if (kernel !== "auto" || !isMissing) throw error;
    return openPfkeyKernel(libc, config, clock, log);
  }
}

function openPfkeyKernel(libc: Libc, { pfkey }: Config, clock: Clock, log: Log): PfkeyKernel {
  if (libc.system !== "linux") throw new ResolveError("kernel pfkey: only on Linux in this version");
  log.notice(PFKEY_WARNING);
  return new PfkeyKernel({
    open: (receiveBufferBytes) => openKeySocket(libc, { receiveBufferBytes }),
    clock,
    pid: 0x4000_0000 + Math.floor(Math.random() * 0x4000_0000), // no process has such a number
  }, linuxDialect(HOST_ORDER, pfkey));
}

/** Not yet run on OpenBSD. */
function openOpenbsdKernel(libc: Libc, { kernel }: Config, clock: Clock, look: Look): PfkeyKernel {
  if (kernel === "xfrm") throw new ResolveError("kernel xfrm: only on Linux");
  return new PfkeyKernel({
    open: (receiveBufferBytes) => openKeySocket(libc, { receiveBufferBytes }),
    sysctl: (name) => look(name === SPD_DUMP_NAME ? "spd" : "sadb"),
    clock,
    pid: Deno.pid, // the kernel refuses messages that state another one
  }, openbsdDialect());
}

function openXfrmKernel(libc: Libc, clock: Clock): XfrmKernel {
  return new XfrmKernel({
    open: (groups, receiveBufferBytes, ignoredPortId) =>
      openNetlink(libc, { protocol: NETLINK_XFRM, groups, receiveBufferBytes, ignoredPortId }),
    clock,
    interfaces: {
      nameOf: (index) => interfaceName(libc, index),
      indexOf: (name) => interfaceIndex(libc, name),
    },
  });
}

/** The guard, with nothing left of those before it. `owner` marks its rules. @throws {SyscallError | KernelReplyError} */
export function openGuard(libc: Libc, owner: number): RuleGuard {
  const guard = new RuleGuard(openNetlink(libc, { protocol: NETLINK_ROUTE, groups: [] }), owner);
  guard.sweep("all");
  return guard;
}
