/** Lost kernel events: the comparison comes when no more can be lost. */

import { assertEquals } from "@std/assert";
import { XfrmKernel } from "../../../src/daemon/xfrm_kernel.ts";
import type { KernelEvent, KernelSocket, Received } from "../../../src/ports.ts";

const overrun: Received = { kind: "overrun" };
const empty: Received = { kind: "empty" };
/** A datagram without a message. */
const data: Received = { kind: "data", bytes: new Uint8Array() };

/** A back end whose event socket gives this, then nothing. */
function kernelThatReads(received: Received[]): XfrmKernel {
  const socket: KernelSocket = {
    fd: 3,
    portId: 1,
    send() {},
    receive: () => received.shift() ?? empty,
    close() {},
  };
  const interfaces = { nameOf: () => undefined, indexOf: () => undefined };
  return new XfrmKernel({ open: () => socket, clock: { wallSeconds: () => 0 }, interfaces });
}

const RESYNC: KernelEvent = { kind: "resync", reason: "events were lost" };

const rows: [what: string, received: Received[], turns: KernelEvent[][]][] = [
  ["tells of an overrun once the queue is empty", [overrun, data, data, empty], [[RESYNC], []]],
  ["tells of it once, however often it happened", [overrun, data, overrun, empty], [[RESYNC], []]],
  // the kernel drops events without a word until its queue has been emptied: a dump before that would miss them
  ["waits with it while events are left", [overrun, ...Array(8).fill(data), empty], [[], [RESYNC], []]],
  ["tells of the next one, too", [overrun, empty, overrun, empty], [[RESYNC], [RESYNC], []]],
];

for (const [what, received, turns] of rows) {
  Deno.test(`XfrmKernel.readEvents() ${what}`, () => {
    const kernel = kernelThatReads([...received]);
    assertEquals(turns.map(() => kernel.readEvents(1)), turns);
  });
}
