/**
 * Hears which SAs are added to the kernel of its network namespace: `latency_listener.ts COUNT`. Says "listening", then,
 * when it has heard of so many, each one's SPI and the moment, in milliseconds since 1970.
 */

import { openLibc } from "../../ffi/libc.ts";
import { openNetlink } from "../../ffi/netlink.ts";
import { FfiPoller } from "../../ffi/poll.ts";
import { splitDatagram } from "../../src/layout/netlink.ts";
import { decodeEvent } from "../../src/xfrm/events.ts";
import { XFRM } from "./load.ts";

const XFRMNLGRP_SA = 3;
const RECEIVE_BUFFER_BYTES = 4 << 20;

const surroundings = { nowSeconds: 0, interfaces: { nameOf: () => undefined, indexOf: () => undefined } };
const count = Number(Deno.args[0]);
const libc = openLibc();
const poller = new FfiPoller(libc);
const socket = openNetlink(libc, {
  protocol: XFRM,
  groups: [XFRMNLGRP_SA],
  receiveBufferBytes: RECEIVE_BUFFER_BYTES,
});
const heard: string[] = [];
console.log("listening");
while (heard.length < count) {
  await poller.wait([{ fd: socket.fd, read: true, write: false }], -1);
  for (let received = socket.receive(); received.kind === "data"; received = socket.receive()) {
    const moment = performance.timeOrigin + performance.now();
    for (const message of splitDatagram(received.bytes)) {
      const event = decodeEvent(message, surroundings);
      if (event?.kind === "sa" && event.reading.kind === "sa") {
        heard.push(`${event.reading.sa.spi} ${moment}`);
      }
    }
  }
}
console.log(heard.join("\n"));
Deno.exit(0);
