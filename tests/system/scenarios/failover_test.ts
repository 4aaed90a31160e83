/** A gateway is killed, and what goes through its tunnels goes on over the other one. */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  Charon,
  CLIENT_TUNNEL,
  eventually,
  GATEWAY_TUNNEL,
  guest,
  Network,
  Sasyncd,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";
import {
  allRefused,
  cablesOf,
  Capture,
  type Captured,
  countersOf,
  death,
  echoesAt,
  forget,
  give,
  refusedBy,
  repeated,
  sendAgain,
  startDaemon,
  take,
  Traffic,
  waitForRole,
  Warm,
} from "./failover.ts";

guest({ limitSeconds: 400 });

const { client, server } = ADDRESS;

let lab: Network;
let warm: Warm;
let one: Sasyncd;
let two: Sasyncd;

const LEASE = 2n ** 20n;

/** The slave's kernel would go on above all that the master has sent; `exact`: and its inbound windows are the master's. */
async function waitForCounters(exact: boolean): Promise<void> {
  let told = "";
  const startMs = performance.now();
  await eventually(
    "counters on gw2",
    async () => {
      const [slave, master] = [await countersOf(lab.gw2), await countersOf(lab.gw1)];
      told = [...master].map(([key, { oseq, seq, bitmap }]) => {
        const on = slave.get(key);
        return `${key} gw1 ${oseq} ${seq} [${bitmap}], gw2 ${on?.oseq} ${on?.seq} [${on?.bitmap}]`;
      }).join("\n");
      return master.size > 0 && [...master].every(([key, { oseq, seq, bitmap }]) => {
        const on = slave.get(key);
        if (on === undefined || on.oseq < oseq + LEASE) return false;
        return !exact || on.seq === seq && on.bitmap === bitmap;
      });
    },
    10_000,
  ).catch((error) => {
    throw new Error(`${error.message}\n${told}`);
  });
  step(`the slave has the counters after ${Math.round(performance.now() - startMs)} ms\n${told}`);
}

test("network and daemons", async () => {
  lab = await Network.build();
  warm = await Warm.start(lab);
  await warm.do(give(lab.gw1));
  one = await startDaemon(lab.gw1);
  two = await startDaemon(lab.gw2);
  await waitForRole(one, "MASTER");
  await two.waitForLog(/synchronised with/);
});

for (const espProposals of ["aes256gcm16-esn", "aes256gcm16"]) {
  let gateway: Charon;
  let peer: Charon;
  let traffic: Traffic;
  let capture: Capture;
  let captured: Captured[];
  /** As of before the first takeover: a node's kernel counts on when the node has died. */
  let refused: number[];

  const spis = async () => (await lab.client.run("ip", "xfrm", "state")).match(/spi 0x[0-9a-f]+/g);

  test(`${espProposals}: the slave's kernel follows the master's counters`, async () => {
    gateway = await Charon.start(lab.gw1, { ...GATEWAY_TUNNEL, espProposals });
    peer = await Charon.start(lab.client, { ...CLIENT_TUNNEL, espProposals });
    await peer.initiate();
    await waitEqual(lab.gw1, lab.gw2);
    assertEquals(await lab.client.ping(server.in.v4, { count: 1 }), 1);
    await waitForCounters(true);
    refused = await allRefused(lab);
    capture = await Capture.start(lab.client);
    traffic = await Traffic.start(lab, client.inner.v4);
    await traffic.more(150);
    await waitForCounters(false);
    traffic.signal("SIGSTOP");
    await waitForCounters(true);
    traffic.signal("SIGCONT");
  });

  test(`${espProposals}: the master dies, and traffic goes on`, async () => {
    const before = await spis();
    const from = two.log.length;
    const commands = [...await death(lab.gw1), give(lab.gw2)];
    await traffic.more(50);
    const mark = traffic.mark();
    await traffic.more(50);
    const diedAt = Date.now() / 1000;
    step(`gw1 dies, gw2 has the addresses: ${await warm.do(...commands)}`);
    await Promise.all([one.process.ended, gateway.process.ended]);
    await traffic.more(300);
    step(`${espProposals}, crash: ${traffic.tell(mark)}`);
    await waitForRole(two, "MASTER", from);
    assertEquals(await allRefused(lab), refused);
    assertEquals(await spis(), before);
    assert(traffic.since(mark).lost <= 10);

    await traffic.stop();
    captured = await capture.stop();
    assertEquals(repeated(captured).length, 0);
    assertEquals(captured.filter(({ spi, at }) => spi === 0 && at > diedAt).length, 0, "IKE packets");
    const theirs = captured.filter(({ src, spi, at }) => src === client.pub.v4 && spi !== 0 && at < diedAt);
    const [echoes, refusedBefore] = [await echoesAt(lab.server), await refusedBy(lab.gw2)];
    await sendAgain(lab, warm, theirs.slice(-50), lab.gw2);
    await eventually("refusals", async () => await refusedBy(lab.gw2) >= refusedBefore + 50);
    assertEquals([await refusedBy(lab.gw2), await echoesAt(lab.server)], [refusedBefore + 50, echoes]);
    step("of 50 packets that the client had sent to gw1, sent again to gw2, none reaches the server");
  });

  test(`${espProposals}: the old master comes back and becomes master again`, async () => {
    capture = await Capture.start(lab.client);
    traffic = await Traffic.start(lab, client.inner.v4);
    refused = await allRefused(lab);
    const back = two.log.length;
    await forget(lab.gw1);
    await warm.do(`up ${cablesOf(lab.gw1).join(" ")}`);
    one = await startDaemon(lab.gw1);
    await one.waitForLog(/synchronised with .*: [1-9]\d* records/);
    await waitEqual(lab.gw2, lab.gw1);
    const mark = traffic.mark();
    await warm.do(take(lab.gw2), give(lab.gw1));
    await waitForRole(one, "MASTER");
    await waitForRole(two, "SLAVE", back);
    await traffic.more(200);
    step(`${espProposals}, back again: ${traffic.tell(mark)}`);
    assertEquals(await allRefused(lab), refused);
    await traffic.stop();
    assertEquals(repeated([...captured, ...await capture.stop()]).length, 0);
    await peer.kill();
    for (const node of [lab.client, lab.gw1]) await node.ip("xfrm state flush", "xfrm policy flush");
    await waitEqual(lab.gw1, lab.gw2);
  });
}
