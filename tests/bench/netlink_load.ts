/**
 * Fills the kernel of its network namespace: `netlink_load.ts COUNT`. Everything is built before; the time of the bare
 * loop of system calls, in milliseconds, is all that is printed. What no daemon can be faster than.
 */

import { openLibc } from "../../ffi/libc.ts";
import { openNetlink } from "../../ffi/netlink.ts";
import { newSaDatagrams, readAcks, requestsIn, XFRM } from "./load.ts";

const count = Number(Deno.args[0]);
const socket = openNetlink(openLibc(), { protocol: XFRM, groups: [] });
const datagrams = newSaDatagrams(0, count, socket.portId);
const start = performance.now();
for (const [i, datagram] of datagrams.entries()) {
  socket.send(datagram);
  readAcks(socket, requestsIn(i, count));
}
console.log(performance.now() - start);
