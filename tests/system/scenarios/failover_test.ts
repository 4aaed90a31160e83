/** A gateway is killed, and what goes through its tunnels goes on over the other one. */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  Capture,
  type Captured,
  Charon,
  CLIENT_TUNNEL,
  countKernel,
  eventually,
  GATEWAY_TUNNEL,
  guest,
  type Network,
  type Node,
  repeated,
  startKeepalived,
  step,
  waitEqual,
} from "../lab/mod.ts";
import {
  allRefused,
  announce,
  countersOf,
  death,
  echoesAt,
  give,
  holds,
  refusedBy,
  sendAgain,
  startUcarp,
  take,
  waitForRole,
  type Warm,
} from "./failover.ts";
import { innerOf, stateOf, tunnels } from "./many_tunnels.ts";
import { Pair, testPair } from "./pair.ts";
import { Traffic } from "./traffic.ts";

guest({ limitSeconds: 600 });

const { client, server, virtual } = ADDRESS;

let pair: Pair;
let lab: Network;
let warm: Warm;

/** What a slave's kernel is ahead of the master's at least. */
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

testPair("network and daemons", async () => {
  pair = await Pair.start();
  ({ lab, warm } = pair);
});

/** What the SAs are made with; `rekeyed`: the client makes new ones, and in the next moment the master dies. */
const ROUNDS = [
  { espProposals: "aes256gcm16-esn", rekeyed: false, probes: 300 },
  { espProposals: "aes256-sha256", rekeyed: false, probes: 300 },
  { espProposals: "aes256gcm16", rekeyed: true, probes: 1900 },
  { espProposals: "aes256-sha256-esn", rekeyed: true, probes: 300 },
];

for (const { espProposals, rekeyed, probes } of ROUNDS) {
  const name = rekeyed ? `${espProposals}, rekeyed` : espProposals;
  let gateway: Charon;
  let peer: Charon;
  let traffic: Traffic;
  let capture: Capture;
  let captured: Captured[];
  /** As of before the first takeover: a node's kernel counts on when the node has died. */
  let refused: number[];

  const spis = async (): Promise<string[]> =>
    (await lab.client.run("ip", "xfrm", "state")).match(/spi 0x[0-9a-f]+/g) ?? [];

  testPair(`${name}: the slave's kernel follows the master's counters`, async () => {
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

  testPair(`${name}: the master dies, and traffic goes on`, async () => {
    const from = { two: pair.two.log.length, peer: peer.log.length };
    const commands = [...await death(lab.gw1), give(lab.gw2)]; // known before, as every process costs time
    await traffic.more(50);
    const mark = traffic.mark();
    await traffic.more(50);
    const old = await spis();
    if (rekeyed) {
      await peer.rekey();
      await peer.process.waitForLine(/received DELETE for ESP/, 10_000, from.peer); // the last word of the rekey
      // what the master dies with before it could tell is lost in any case: on a stalled host that may be the rekey
      const startMs = performance.now();
      const fresh = (await spis()).filter((spi) => !old.includes(spi));
      await eventually("the new SAs on the slave", async () => {
        const states = await lab.gw2.run("ip", "xfrm", "state");
        return fresh.length > 0 && fresh.every((spi) => states.includes(spi));
      });
      step(`the slave was seen with the new SAs ${Math.round(performance.now() - startMs)} ms later`);
    }
    const diedAt = Date.now() / 1000;
    step(`gw1 dies, gw2 has the addresses: ${await warm.do(...commands)}`);
    await Promise.all([pair.one.process.ended, gateway.process.ended]);
    await traffic.more(probes);
    step(`${name}, crash: ${traffic.tell(mark)}`);
    await waitForRole(pair.two, "MASTER", from.two);
    assertEquals(await allRefused(lab), refused);
    assertEquals((await spis()).filter((spi) => !old.includes(spi)).length, rekeyed ? 2 : 0);
    assertEquals((await spis()).length, 2);
    assert(traffic.since(mark).lost <= 50); // 0 to 2 where the guest is never stalled

    await traffic.stop();
    captured = await capture.stop();
    assertEquals(repeated(captured).length, 0);
    assertEquals(captured.filter(({ spi, at }) => spi === 0 && at > diedAt).length, 0, "IKE packets");
    if (!rekeyed) await replay(captured.filter(({ at }) => at < diedAt));
  });

  testPair(`${name}: the old master comes back and becomes master again`, async () => {
    capture = await Capture.start(lab.client);
    traffic = await Traffic.start(lab, client.inner.v4);
    refused = await allRefused(lab);
    const back = pair.two.log.length;
    await pair.bootFirst();
    await waitEqual(lab.gw2, lab.gw1);
    const mark = traffic.mark();
    await warm.do(take(lab.gw2), give(lab.gw1));
    await waitForRole(pair.one, "MASTER");
    await waitForRole(pair.two, "SLAVE", back);
    await traffic.more(200);
    step(`${name}, back again: ${traffic.tell(mark)}`);
    assertEquals(await allRefused(lab), refused);
    await traffic.stop();
    assertEquals(repeated([...captured, ...await capture.stop()]).length, 0);
    await peer.kill();
    for (const node of [lab.client, lab.gw1]) await node.ip("xfrm state flush", "xfrm policy flush");
    await waitEqual(lab.gw1, lab.gw2);
  });
}

/** The last 50 packets that the client had sent to gw1 are sent again to gw2, and none reaches the server. */
async function replay(packets: readonly Captured[]): Promise<void> {
  const theirs = packets.filter(({ src, spi }) => src === client.pub.v4 && spi !== 0);
  const [echoes, refusedBefore] = [await echoesAt(lab.server), await refusedBy(lab.gw2)];
  await sendAgain(lab, warm, theirs.slice(-50), lab.gw2);
  await eventually("refusals", async () => await refusedBy(lab.gw2) >= refusedBefore + 50);
  assertEquals([await refusedBy(lab.gw2), await echoesAt(lab.server)], [refusedBefore + 50, echoes]);
  step("of 50 packets that the client had sent to gw1, sent again to gw2, none reaches the server");
}

/** Tunnels without an IKE daemon. */
const TUNNELS = 20;

testPair(
  "another gateway is master for a moment, too: the one that stays goes on above what that has sent",
  async () => {
    await lab.client.ip(...tunnels("client", TUNNELS));
    await lab.gw1.ip(...tunnels("gateway", TUNNELS));
    await waitEqual(lab.gw1, lab.gw2);
    const capture = await Capture.start(lab.client, 64);
    const traffic = await Traffic.start(lab, innerOf(0));
    const refused = await allRefused(lab);
    const mark = traffic.mark();
    const from = pair.two.log.length;
    await warm.do(give(lab.gw2));
    await waitForRole(pair.two, "MASTER", from);
    await traffic.more(50);
    await warm.do(take(lab.gw2), announce(lab.gw1));
    await pair.two.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000, from);
    await traffic.more(100);
    const refusedNow = await allRefused(lab);
    step(`two masters for a moment: ${traffic.tell(mark)}; refused before ${refused}, now ${refusedNow}`);
    await traffic.stop();
    assertEquals(repeated(await capture.stop()).length, 0);
  },
);

for (
  const [name, start] of [["ucarp", startUcarp], [
    "keepalived",
    (node: Node) => startKeepalived(node),
  ]] as const
) {
  testPair(`${name} moves the address: nothing is lost but while nobody has it`, async () => {
    const [from, refused] = [pair.one.log.length, await allRefused(lab)];
    await warm.do(take(lab.gw1));
    await waitForRole(pair.one, "SLAVE", from);
    const changed = pair.one.log.length;
    const movers = [await start(lab.gw1, warm)];
    await waitForRole(pair.one, "MASTER", changed);
    movers.push(await start(lab.gw2, warm));
    await pair.two.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000);
    const traffic = await Traffic.start(lab, innerOf(1));
    const held = lab.gw2.spawn("ip", "-ts", "monitor", "address");
    const mark = traffic.mark();
    await traffic.more(20);
    const diedMs = Date.now();
    await pair.killFirst();
    await traffic.more(100);
    const times = held.lines.flatMap((line) => {
      const at = /^\[([^\]]+)\] \d+: (?:pub|in) /.exec(line)?.[1];
      return at === undefined ? [] : [Date.parse(`${at}Z`)];
    });
    const nobodyMs = Math.round(times[1]! - diedMs);
    step(`${name}: nobody has the addresses for ${nobodyMs} ms; ${traffic.tell(mark)}`);
    const { lost, silenceMs } = traffic.since(mark);
    assert(silenceMs <= nobodyMs + 500 && lost <= nobodyMs / 10 + 30);
    assertEquals(await allRefused(lab), refused);
    await traffic.stop();
    await held.end();
    await pair.bootFirst();
    await movers[1]!.end("SIGTERM");
    await eventually("end of the addresses on gw2", async () => !await holds(lab.gw2));
    const back = pair.one.log.length;
    await warm.do(give(lab.gw1));
    await waitForRole(pair.one, "MASTER", back);
  });
}

testPair(
  "both are master while the sync link is cut; healed, one is, and has the new SAs of both",
  async () => {
    const born = [["gw1", lab.gw1, 0x3001], ["gw2", lab.gw2, 0x3002]] as const;
    const from = { one: pair.one.log.length, two: pair.two.log.length };
    await warm.do("down s-gw1");
    await lab.gw2.ip(`addr add ${virtual.pub.v4}/32 dev pub`, `addr add ${virtual.in.v4}/32 dev in`); // not announced
    await waitForRole(pair.two, "MASTER", from.two);
    for (const [, node, spi] of born) await node.ip(stateOf(virtual.pub.v4, client.pub.v4, spi, false));
    await warm.do("up s-gw1");
    await pair.one.waitForLog(/two masters/, 60_000, from.one);
    const healed = pair.two.log.length;
    await warm.do(take(lab.gw2));
    await pair.two.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000, healed);
    await eventually("both SAs on gw1", async () => (await countersOf(lab.gw1)).size === 2 * TUNNELS + 2);
    await waitEqual(lab.gw1, lab.gw2);
    for (const [name, , spi] of born) {
      const key = `${client.pub.v4} 0x${spi.toString(16).padStart(8, "0")}`;
      for (const node of [lab.gw1, lab.gw2]) {
        assert((await countersOf(node)).has(key), `${node.name}: SA of ${name}`);
      }
    }
    assertEquals(await countKernel(lab.gw1), { states: 2 * TUNNELS + 2, policies: 3 * TUNNELS });
    for (const daemon of [pair.one, pair.two]) assertEquals(await daemon.stop(), 0);
  },
);
