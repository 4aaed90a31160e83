/** keepalived on a gateway, which moves the addresses that the gateways share. */

import { ADDRESS } from "./network.ts";
import type { Node } from "./node.ts";
import type { Process } from "./process.ts";

const { virtual } = ADDRESS;

/**
 * gw1 has the higher priority, and so preempts when it may; `demoteFile` is what sasyncd adds to it. It runs before all
 * other processes: the guest's one processor must not be a reason for it to miss advertisements.
 */
export async function startKeepalived(node: Node, demoteFile?: string): Promise<Process> {
  const file = `${node.folder}/keepalived.conf`;
  const tracked = demoteFile === undefined ? "" : `track_file sasyncd {
  file "${demoteFile}"
  init_file 0
}
`;
  const tracking = demoteFile === undefined ? "" : `  track_file {
    sasyncd weight 1
  }
`;
  await Deno.writeTextFile(
    file,
    `global_defs {
  vrrp_version 3
  vrrp_rt_priority 20
}
${tracked}vrrp_instance lab {
  state BACKUP
  interface pub
  virtual_router_id 7
  priority ${node.name === "gw1" ? 120 : 100}
  advert_int 0.5
  virtual_ipaddress {
    ${virtual.pub.v4}/32 dev pub
    ${virtual.in.v4}/32 dev in
  }
${tracking}}
`,
  );
  return node.spawn("keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", file);
}
