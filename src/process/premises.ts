/** What a takeover needs beside SAs and policies, as far as this system tells. */

import { LinuxPremises } from "../daemon/linux_premises.ts";
import type { PremisesPorts } from "../daemon/premises.ts";
import type { KernelIpsec } from "../ports.ts";
import { interfaceIndex, interfaceName } from "../../ffi/interfaces.ts";
import type { Libc } from "../../ffi/libc.ts";
import { NETLINK_ROUTE, NETLINK_XFRM, openNetlink } from "../../ffi/netlink.ts";

/** `files`: see PremisesPorts. @throws {SyscallError} */
export function openPremises(libc: Libc, kernel: KernelIpsec, files: PremisesPorts["files"]): PremisesPorts {
  if (libc.system !== "linux" || kernel.name === "memory") return { kernel: () => [], files };
  const open = (protocol: number) => openNetlink(libc, { protocol, groups: [] });
  const premises = new LinuxPremises({
    route: open(NETLINK_ROUTE),
    xfrm: kernel.name === "xfrm" ? open(NETLINK_XFRM) : undefined,
    interfaces: {
      nameOf: (index) => interfaceName(libc, index),
      indexOf: (name) => interfaceIndex(libc, name),
    },
  });
  return { kernel: (networks) => premises.read(networks), files };
}
