/** A gateway is killed, and what goes through its tunnels goes on over the other one. */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  Charon,
  CLIENT_TUNNEL,
  countKernel,
  delay,
  eventually,
  GATEWAY_TUNNEL,
  guest,
  Network,
  type Node,
  PREFIX,
  Sasyncd,
  step,
  test as testInGuest,
  waitEqual,
} from "../lab/mod.ts";
import {
  allRefused,
  announce,
  cablesOf,
  Capture,
  type Captured,
  countersOf,
  death,
  echoesAt,
  forget,
  give,
  holds,
  Load,
  refusedBy,
  repeated,
  sendAgain,
  startDaemon,
  startKeepalived,
  startUcarp,
  take,
  Traffic,
  waitForRole,
  Warm,
} from "./failover.ts";

guest({ limitSeconds: 600 });

const { client, server, virtual } = ADDRESS;

let lab: Network;
let warm: Warm;
let one: Sasyncd;
let two: Sasyncd;

/** A test that shows the logs of both daemons when it fails. */
const test = (name: string, body: () => Promise<void>) =>
  testInGuest(name, async () => {
    try {
      await body();
    } catch (error) {
      for (const daemon of [one, two]) step(`${daemon?.node.name}\n${daemon?.process.tail(60)}`);
      throw error;
    }
  });

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

/** gw1, which was killed, is there again with an empty kernel; gw2 is master meanwhile. */
async function bootFirst(): Promise<void> {
  await forget(lab.gw1);
  await warm.do(`up ${cablesOf(lab.gw1).join(" ")}`);
  one = await startDaemon(lab.gw1);
  await one.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000);
}

/** gw1 is killed; `more` is what happens with it. */
async function killFirst(...more: string[]): Promise<void> {
  const from = two.log.length;
  await warm.do(...await death(lab.gw1), ...more);
  await one.process.ended;
  await waitForRole(two, "MASTER", from);
}

/** Both gateways are alive; the other one had the addresses. */
async function moveTo(node: Node): Promise<void> {
  const [heir, other, loser] = node === lab.gw1 ? [one, two, lab.gw2] : [two, one, lab.gw1];
  const from = { heir: heir.log.length, other: other.log.length };
  await warm.do(take(loser), give(node));
  await waitForRole(heir, "MASTER", from.heir);
  await other.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000, from.other);
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
    const commands = [...await death(lab.gw1), give(lab.gw2)]; // known before, as every process costs time
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
    await bootFirst();
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

/** Tunnels without an IKE daemon, each with an address of its own at the client; every second one has ESN. */
const TUNNELS = 20;
const innerOf = (i: number) => `10.1.0.${20 + i}`;

function stateOf(src: string, dst: string, spi: number, esn: boolean): string {
  return `xfrm state add src ${src} dst ${dst} proto esp spi ${spi} reqid ${spi} mode tunnel ` +
    `aead rfc4106(gcm(aes)) 0x${spi.toString(16).padStart(40, "7")} 128 ` +
    `replay-window ${esn ? 64 : 32} flag ${esn ? "esn" : "af-unspec"}`;
}

/** For `ip`, on either side of them. */
function tunnels(side: "client" | "gateway"): string[] {
  const numbers = Array.from({ length: TUNNELS }, (_, i) => i);
  const [near, far] = [client.pub.v4, virtual.pub.v4];
  const policy = (direction: string, isUp: boolean, i: number) => {
    const [src, dst] = isUp ? [innerOf(i), PREFIX.in.v4] : [PREFIX.in.v4, innerOf(i)];
    const ends = isUp ? `src ${near} dst ${far}` : `src ${far} dst ${near}`;
    const reqid = (isUp ? 0x1000 : 0x2000) + i;
    return `xfrm policy add src ${src} dst ${dst} dir ${direction} tmpl ${ends} proto esp mode tunnel reqid ${reqid}`;
  };
  return numbers.flatMap((i) => [
    stateOf(near, far, 0x1000 + i, i % 2 === 1),
    stateOf(far, near, 0x2000 + i, i % 2 === 1),
    ...(side === "client"
      ? [`addr add ${innerOf(i)}/32 dev inner`, policy("out", true, i), policy("in", false, i)]
      : [policy("out", false, i), policy("in", true, i), policy("fwd", true, i)]),
  ]);
}

test("another gateway is master for a moment, too: the one that stays goes on above what that has sent", async () => {
  await lab.client.ip(...tunnels("client"));
  await lab.gw1.ip(...tunnels("gateway"));
  await waitEqual(lab.gw1, lab.gw2);
  const capture = await Capture.start(lab.client, 64);
  const traffic = await Traffic.start(lab, innerOf(0));
  const refused = await allRefused(lab);
  const mark = traffic.mark();
  const from = two.log.length;
  await warm.do(give(lab.gw2));
  await waitForRole(two, "MASTER", from);
  await traffic.more(50);
  await warm.do(take(lab.gw2), announce(lab.gw1));
  await two.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000, from);
  await traffic.more(100);
  const refusedNow = await allRefused(lab);
  step(`two masters for a moment: ${traffic.tell(mark)}; refused before ${refused}, now ${refusedNow}`);
  await traffic.stop();
  assertEquals(repeated(await capture.stop()).length, 0);
});

test("ten takeovers in a row under load: no SA is lost, no sequence number goes out twice", async () => {
  const refused = await allRefused(lab);
  const capture = await Capture.start(lab.client, 64);
  const traffic = await Traffic.start(lab, innerOf(0));
  const load = await Load.start(lab, 1000, Array.from({ length: TUNNELS }, (_, i) => innerOf(i)));
  const rounds = [
    "crash",
    "back",
    "crash without the sync link for 20 s",
    "back",
    "moved",
    "back",
    "crash",
    "back",
    "moved",
    "back",
  ];
  for (const [i, round] of rounds.entries()) {
    const isCrash = round.startsWith("crash");
    const isStale = isCrash && round !== "crash";
    if (isStale) {
      await warm.do("down s-gw1");
      await delay(20_000);
    }
    const mark = traffic.mark();
    const from = two.log.length;
    if (isCrash) await killFirst(give(lab.gw2));
    else await (round === "back" ? moveTo(lab.gw1) : moveTo(lab.gw2));
    await traffic.more(50);
    step(`takeover ${i + 1}, ${round}: ${traffic.tell(mark)}`);
    assertEquals(two.process.countLines(/\d+ leases were stale/, from), isStale ? 1 : 0);
    if (isCrash) await bootFirst();
  }
  step(`load: ${load.said}`);
  await Promise.all([load.stop(), traffic.stop()]);
  const captured = await capture.stop();
  const senders = new Set(captured.filter(({ src }) => src !== client.pub.v4).map(({ sender }) => sender));
  const seconds = captured.at(-1)!.at - captured[0]!.at;
  step(`${captured.length} packets in ${seconds.toFixed(0)} s, from ${senders.size} gateways`);
  assertEquals([repeated(captured).length, senders.size], [0, 2]);
  step(`refused before ${refused}, now ${await allRefused(lab)}`);
  await waitEqual(lab.gw1, lab.gw2);
  assertEquals(await countKernel(lab.gw1), { states: 2 * TUNNELS, policies: 3 * TUNNELS });
});

for (const [name, start] of [["ucarp", startUcarp], ["keepalived", startKeepalived]] as const) {
  test(`${name} moves the address: nothing is lost but while nobody has it`, async () => {
    const [from, refused] = [one.log.length, await allRefused(lab)];
    await warm.do(take(lab.gw1));
    await waitForRole(one, "SLAVE", from);
    const changed = one.log.length;
    const movers = [await start(lab.gw1, warm)];
    await waitForRole(one, "MASTER", changed);
    movers.push(await start(lab.gw2, warm));
    await two.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000);
    const traffic = await Traffic.start(lab, innerOf(1));
    const held = lab.gw2.spawn("ip", "-ts", "monitor", "address");
    const mark = traffic.mark();
    await traffic.more(20);
    const diedMs = Date.now();
    await killFirst();
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
    await bootFirst();
    await movers[1]!.end("SIGTERM");
    await eventually("end of the addresses on gw2", async () => !await holds(lab.gw2));
    const back = one.log.length;
    await warm.do(give(lab.gw1));
    await waitForRole(one, "MASTER", back);
  });
}

test("both are master while the sync link is cut; healed, one is, and has the new SAs of both", async () => {
  const born = [["gw1", lab.gw1, 0x3001], ["gw2", lab.gw2, 0x3002]] as const;
  const from = { one: one.log.length, two: two.log.length };
  await warm.do("down s-gw1");
  await lab.gw2.ip(`addr add ${virtual.pub.v4}/32 dev pub`, `addr add ${virtual.in.v4}/32 dev in`); // not announced
  await waitForRole(two, "MASTER", from.two);
  for (const [, node, spi] of born) await node.ip(stateOf(virtual.pub.v4, client.pub.v4, spi, false));
  await warm.do("up s-gw1");
  await one.waitForLog(/two masters/, 60_000, from.one);
  const healed = two.log.length;
  await warm.do(take(lab.gw2));
  await two.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000, healed);
  await eventually("both SAs on gw1", async () => (await countersOf(lab.gw1)).size === 2 * TUNNELS + 2);
  await waitEqual(lab.gw1, lab.gw2);
  for (const [name, , spi] of born) {
    const key = `${client.pub.v4} 0x${spi.toString(16).padStart(8, "0")}`;
    for (const node of [lab.gw1, lab.gw2]) {
      assert((await countersOf(node)).has(key), `${node.name}: SA of ${name}`);
    }
  }
  assertEquals(await countKernel(lab.gw1), { states: 2 * TUNNELS + 2, policies: 3 * TUNNELS });
  for (const daemon of [one, two]) assertEquals(await daemon.stop(), 0);
});
