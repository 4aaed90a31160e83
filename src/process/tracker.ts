/** Opens what says which role this node has. */

import type { Config } from "../config/config.ts";
import { AddressTracker } from "../daemon/address_tracker.ts";
import { CarpTracker } from "../daemon/carp_tracker.ts";
import { LockedTracker } from "../daemon/locked_tracker.ts";
import { ResolveError } from "../daemon/resolve_config.ts";
import { Reader } from "../layout/mod.ts";
import { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK } from "../link/interfaces.ts";
import { RTM_DESYNC, RTM_IFANNOUNCE, RTM_IFINFO } from "../link/route_messages.ts";
import type { RoleTracker } from "../ports.ts";
import { openRouteSocket } from "../../ffi/carp.ts";
import type { Libc } from "../../ffi/libc.ts";
import { NETLINK_ROUTE, openNetlink } from "../../ffi/netlink.ts";
import type { Look } from "./kernel.ts";
import { INDEX_BYTES } from "./look.ts";

/** @throws {SyscallError} @throws {ResolveError} when this system has no such interface. */
export function openTracker(
  libc: Libc,
  { mode, interface: name, virtualAddress: address }: Config,
  look: Look,
): RoleTracker {
  if (mode !== undefined) return new LockedTracker(mode);
  if (name !== undefined && libc.system === "openbsd") return openCarpTracker(libc, name, look);
  if (name === undefined || address === undefined) {
    throw new ResolveError(
      `interface ${name}: this system has no carp(4), an address has to follow the name`,
    );
  }
  const open = (groups: readonly number[]) => openNetlink(libc, { protocol: NETLINK_ROUTE, groups });
  const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];
  return new AddressTracker({ interface: name, address, events: open(groups), requests: open([]) });
}

/** The state of the interface is asked of the helper: ioctl(2) is not for who has pledged. */
function openCarpTracker(libc: Libc, name: string, look: Look): CarpTracker {
  return new CarpTracker({
    interface: name,
    events: openRouteSocket(libc, [RTM_IFINFO, RTM_IFANNOUNCE, RTM_DESYNC]),
    control: {
      ioctl: (_request, _structure, pointee) => pointee?.bytes.set(look("link").subarray(INDEX_BYTES)),
    },
    indexOf: () => new Reader(look("link"), "link").u32() || undefined,
  });
}
