/**
 * Fills the kernel of its network namespace: `netlink_load.ts SAS [POLICIES]`. Everything is built before; the time of
 * the bare loop of system calls, in milliseconds, is all that is printed. What no daemon can be faster than.
 */

import { openLibc } from "../../ffi/libc.ts";
import { openNetlink } from "../../ffi/netlink.ts";
import { newPolicyDatagrams, newSaDatagrams, readAcks, requestsIn, XFRM } from "./load.ts";

const [sas = 0, policies = 0] = Deno.args.map(Number);
const socket = openNetlink(openLibc(), { protocol: XFRM, groups: [] });
const work = [
  { count: sas, datagrams: newSaDatagrams(0, sas, socket.portId) },
  { count: policies, datagrams: newPolicyDatagrams(policies, socket.portId) },
];
const start = performance.now();
for (const { count, datagrams } of work) {
  for (const [i, datagram] of datagrams.entries()) {
    socket.send(datagram);
    readAcks(socket, requestsIn(i, count));
  }
}
console.log(performance.now() - start);
