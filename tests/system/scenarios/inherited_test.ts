/** What becomes of inherited SAs that the client's new tunnel replaces on the new master. */

import { assertEquals } from "@std/assert";
import {
  ADDRESS,
  Charon,
  CLIENT_TUNNEL,
  eventually,
  GATEWAY_TUNNEL,
  guest,
  Network,
  type Node,
  Sasyncd,
  step,
  test as testInGuest,
  waitEqual,
} from "../lab/mod.ts";
import { give, startDaemon, take, waitForRole, Warm } from "./failover.ts";

guest({ limitSeconds: 300 });

let lab: Network;
let warm: Warm;
let one: Sasyncd;
let two: Sasyncd;
let gateway: Charon;
let peer: Charon;

/** A test that shows both daemons' logs when it fails. */
const test = (name: string, body: () => Promise<void>) =>
  testInGuest(name, async () => {
    try {
      await body();
    } catch (error) {
      for (const daemon of [one, two]) step(`${daemon?.node.name}\n${daemon?.process.tail(60)}`);
      throw error;
    }
  });

/** SPIs in a node's kernel. */
async function spisOf(node: Node): Promise<string[]> {
  return ((await node.run("ip", "xfrm", "state")).match(/spi 0x[0-9a-f]+/g) ?? []).toSorted();
}

test("a master with a tunnel, and a slave with its SAs", async () => {
  lab = await Network.build();
  warm = await Warm.start(lab);
  await warm.do(give(lab.gw1));
  one = await startDaemon(lab.gw1);
  two = await startDaemon(lab.gw2);
  await waitForRole(one, "MASTER");
  await two.waitForLog(/synchronised with/);
  gateway = await Charon.start(lab.gw1, GATEWAY_TUNNEL);
  peer = await Charon.start(lab.client, CLIENT_TUNNEL);
  await peer.initiate();
  await waitEqual(lab.gw1, lab.gw2);
});

test("the new master tells what it has inherited, and removes nothing by itself", async () => {
  const before = await spisOf(lab.gw2);
  await gateway.kill();
  await warm.do(take(lab.gw1), give(lab.gw2));
  await waitForRole(two, "MASTER");
  await waitForRole(one, "SLAVE");
  const [line] = await two.waitForLog(/inherited 2 SAs, .*/);
  step(line);
  assertEquals(await spisOf(lab.gw2), before);
});

test("the client's tunnel is made anew, and what it replaces goes when it has been idle", async () => {
  const inherited = await spisOf(lab.gw2);
  gateway = await Charon.start(lab.gw2, GATEWAY_TUNNEL);
  await peer.kill();
  await lab.client.ip("xfrm state flush", "xfrm policy flush");
  peer = await Charon.start(lab.client, CLIENT_TUNNEL);
  await peer.initiate();
  const startMs = performance.now();
  const both = await spisOf(lab.gw2);
  assertEquals([inherited.length, both.length, inherited.every((spi) => both.includes(spi))], [2, 4, true]);
  await eventually("only the new SAs on both gateways", async () => {
    const wanted = both.filter((spi) => !inherited.includes(spi));
    const held = [await spisOf(lab.gw1), await spisOf(lab.gw2)];
    return held.every((spis) => spis.join() === wanted.join());
  }, 90_000);
  step(`what was inherited is gone after ${Math.round((performance.now() - startMs) / 1000)} s`);
  await waitEqual(lab.gw2, lab.gw1);
  const { client, server } = ADDRESS;
  assertEquals(await lab.client.ping(server.in.v4, { count: 3, from: client.inner.v4 }), 3);
});
