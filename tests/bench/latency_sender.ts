/**
 * Adds SAs to the kernel of its network namespace, one at a time: `latency_sender.ts FIRST COUNT`. Prints each one's
 * SPI and the moment before its request, in milliseconds since 1970, when all are there.
 */

import { openLibc } from "../../ffi/libc.ts";
import { openNetlink } from "../../ffi/netlink.ts";
import { newSaDatagrams, readAcks, saOf, XFRM } from "./load.ts";

const PAUSE_MS = 8;

const [first = 0, count = 0] = Deno.args.map(Number);
const socket = openNetlink(openLibc(), { protocol: XFRM, groups: [] });
const requests = Array.from({ length: count }, (_, i) => newSaDatagrams(first + i, 1, socket.portId)[0]!);
const sent: string[] = [];
for (const [i, request] of requests.entries()) {
  const moment = performance.timeOrigin + performance.now();
  socket.send(request);
  readAcks(socket, 1);
  sent.push(`${saOf(first + i).spi} ${moment}`);
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
console.log(sent.join("\n"));
