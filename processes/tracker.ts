/** Opens what says which role this node has. */

import type { Config } from "../src/config/config.ts";
import { AddressTracker } from "../src/daemon/address_tracker.ts";
import { CarpTracker } from "../src/daemon/carp_tracker.ts";
import { LockedTracker } from "../src/daemon/locked_tracker.ts";
import { ResolveError } from "../src/daemon/resolve_config.ts";
import { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK } from "../src/link/interfaces.ts";
import { RTM_DESYNC, RTM_IFANNOUNCE, RTM_IFINFO } from "../src/link/route_messages.ts";
import type { RoleTracker } from "../src/ports.ts";
import { FfiInterfaceControl, openRouteSocket } from "../ffi/carp.ts";
import { interfaceIndex } from "../ffi/interfaces.ts";
import type { Libc } from "../ffi/libc.ts";
import { NETLINK_ROUTE, openNetlink } from "../ffi/netlink.ts";

/** @throws {SyscallError} @throws {ResolveError} when this system has no such interface. */
export function openTracker(
  libc: Libc,
  { mode, interface: name, virtualAddress: address }: Config,
): RoleTracker {
  if (mode !== undefined) return new LockedTracker(mode);
  if (name !== undefined && libc.system === "openbsd") return openCarpTracker(libc, name);
  if (name === undefined || address === undefined) {
    throw new ResolveError(
      `interface ${name}: this system has no carp(4), an address has to follow the name`,
    );
  }
  const open = (groups: readonly number[]) => openNetlink(libc, { protocol: NETLINK_ROUTE, groups });
  const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];
  return new AddressTracker({ interface: name, address, events: open(groups), requests: open([]) });
}

function openCarpTracker(libc: Libc, name: string): CarpTracker {
  return new CarpTracker({
    interface: name,
    events: openRouteSocket(libc, [RTM_IFINFO, RTM_IFANNOUNCE, RTM_DESYNC]),
    control: new FfiInterfaceControl(libc),
    indexOf: (name) => interfaceIndex(libc, name),
  });
}
