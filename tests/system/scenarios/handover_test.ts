/**
 * `sasyncd handover` with real parts only: keepalived with a track_file moves the addresses, strongSwan has negotiated
 * the tunnel; pings, a TCP stream and a load of datagrams go through it. Then the old master's charon is stopped, which
 * deletes its SAs; gw1 dies and comes back; and the address flaps.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  ADDRESS,
  Charon,
  CLIENT_TUNNEL,
  configurationOf,
  delay,
  eventually,
  GATEWAY_TUNNEL,
  guest,
  Network,
  type Node,
  PREFIX,
  type Process,
  readKernel,
  Sasyncd,
  startKeepalived,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";
import { cablesOf, forget, processesOf } from "./failover.ts";
import { Flood, Traffic } from "./traffic.ts";

guest({ limitSeconds: 400 });

const { virtual, client } = ADDRESS;

/** What keepalived adds while the node is not demoted; more than the difference of the priorities. */
const WEIGHT = 50;
/** Datagrams a second from the server. */
const RATE = 1000;

let lab: Network;
let keepaliveds: Process[];
let charon1: Charon;
let charonClient: Charon;
let one: Sasyncd;
let two: Sasyncd;
let traffic: Traffic;
let flood: Flood;
let inherited: string[];

const demoteFile = (node: Node) => `${node.folder}/demote`;

function configuration(node: Node): string {
  return configurationOf(node.name, [
    `interface pub address ${virtual.pub.v4}`,
    "control strongswan",
    `demote file ${demoteFile(node)} weight ${WEIGHT}`,
  ]);
}

const roleOf = (daemon: Sasyncd) =>
  / -> ([A-Z]+): /.exec(daemon.log.findLast((line) => / -> [A-Z]+: /.test(line)) ?? "")?.[1];
const spis = async (node: Node) => (await readKernel(node)).states.map(({ id }) => id).toSorted();
const says = async (node: Node) => (await Deno.readTextFile(demoteFile(node))).trim();

/** Runs `act`, while pings and the TCP stream go on. @returns how many pings were lost from before it to after it. */
async function lostDuring(act: () => Promise<void>): Promise<number> {
  await traffic.more(100);
  const mark = traffic.mark();
  await act();
  await traffic.more(100);
  return traffic.since(mark).lost;
}

const tunnelOf = (tunnel: typeof CLIENT_TUNNEL, ...[local, remote]: [string, string]) => ({
  ...tunnel,
  localNets: [local],
  remoteNets: [remote],
  espProposals: "aes256gcm16-esn",
});

test("a tunnel through gw1, which keepalived has made the master", async () => {
  lab = await Network.build();
  keepaliveds = [
    await startKeepalived(lab.gw1, demoteFile(lab.gw1)),
    await startKeepalived(lab.gw2, demoteFile(lab.gw2)),
  ];
  const gateway = tunnelOf(GATEWAY_TUNNEL, PREFIX.in.v4, PREFIX.inner.v4);
  charon1 = await Charon.start(lab.gw1, gateway);
  await Charon.start(lab.gw2, gateway);
  one = await Sasyncd.start(lab.gw1, configuration(lab.gw1));
  await one.waitForLog(/-> MASTER/);
  two = await Sasyncd.start(lab.gw2, configuration(lab.gw2));
  await two.waitForLog(/synchronised with/);
  charonClient = await Charon.start(lab.client, tunnelOf(CLIENT_TUNNEL, PREFIX.inner.v4, PREFIX.in.v4));
  await charonClient.initiate();
  await waitEqual(lab.gw1, lab.gw2);
  inherited = await spis(lab.client);
  assertEquals(inherited.length, 2);

  traffic = await Traffic.start(lab, client.inner.v4);
  flood = await Flood.start(lab, RATE, [client.inner.v4]);
});

test("sasyncd handover is refused on the slave", async () => {
  const { code, stdout, stderr } = await two.handover();
  assertEquals([code, stdout], [1, ""]);
  assertEquals(stderr, "sasyncd: handover: this node is not master but SLAVE\n");
});

test("sasyncd handover makes gw2 the master, and no tunnel dies", async () => {
  const startMs = performance.now();
  const lost = await lostDuring(async () => {
    const { code, stdout, stderr } = await one.handover();
    step(stdout.trim().replaceAll("\n", "; "));
    assertEquals([code, stderr], [0, ""], `${stdout}\n${one.process.tail()}`);
    assertMatch(stdout, /^demoted this node[^]*is master, and this node has all that it has\n[^]*done\n$/);
    step(`the handover took ${Math.round(performance.now() - startMs)} ms`);
  });
  step(`${lost} pings were lost`);
  await two.waitForLog(/SLAVE -> MASTER/);
  assertEquals([await says(lab.gw1), await says(lab.gw2)], ["0", `${WEIGHT}`]);
  await waitEqual(lab.gw2, lab.gw1);
  assertEquals(await spis(lab.client), inherited);
});

test("charon of the old master is stopped and deletes its SAs: they are put back, and nothing is lost", async () => {
  const seen = lab.gw1.spawn("ip", "xfrm", "monitor", "SA");
  const lost = await lostDuring(async () => {
    await charon1.stop();
    await seen.waitForLine(/^Deleted src/);
    await waitEqual(lab.gw2, lab.gw1);
  });
  assertEquals(lost, 0, charon1.process.tail());
  for (const node of [lab.gw1, lab.gw2, lab.client]) assertEquals(await spis(node), inherited, node.name);
  assertEquals(charonClient.process.countLines(/received DELETE|deleting/), 0);
  await seen.end();
});

test("a handover back, from gw2 to gw1, first lifts gw1's demotion", async () => {
  charon1 = await Charon.start(lab.gw1, tunnelOf(GATEWAY_TUNNEL, PREFIX.in.v4, PREFIX.inner.v4));
  const from = one.log.length;
  const lost = await lostDuring(async () => {
    const { code, stdout, stderr } = await two.handover();
    assertEquals([code, stderr], [0, ""], `${stdout}\n${two.process.tail()}`);
  });
  step(`${lost} pings were lost`);
  await one.waitForLog(/SLAVE -> MASTER/, 20_000, from);
  const order = one.log.slice(from).flatMap((line) => /not demoted any more|-> MASTER/.exec(line)?.[0] ?? []);
  assertEquals(order, ["not demoted any more", "-> MASTER"], "the other one's handover has lifted it");
  await eventually("lifted demotion", async () => await says(lab.gw1) === `${WEIGHT}`);
  assertEquals(await spis(lab.client), inherited);
  assert(flood.sender.running, flood.sender.tail());
  step(`load: ${flood.said}`);
  await flood.stop();
});

test("gw1 dies, comes back empty, and keepalived makes it master again when it has everything", async () => {
  const [dead, killed] = [one, keepaliveds[0]!];
  const lost = await lostDuring(async () => {
    const from = two.log.length;
    await lab.cut(...cablesOf(lab.gw1));
    for (const pid of await processesOf(lab.gw1)) Deno.kill(Number(pid), "SIGKILL");
    await Promise.all([dead.process.ended, killed.ended]);
    await two.waitForLog(/SLAVE -> MASTER/, 20_000, from);
  });
  step(`the death of gw1: ${lost} pings were lost`);

  await forget(lab.gw1);
  await Deno.writeTextFile(demoteFile(lab.gw1), "0\n");
  const lostBack = await lostDuring(async () => {
    await lab.join(...cablesOf(lab.gw1));
    keepaliveds[0] = await startKeepalived(lab.gw1, demoteFile(lab.gw1));
    await keepaliveds[0].waitForLine(/Entering BACKUP STATE/);
    charon1 = await Charon.start(lab.gw1, tunnelOf(GATEWAY_TUNNEL, PREFIX.in.v4, PREFIX.inner.v4));
    one = await Sasyncd.start(lab.gw1, configuration(lab.gw1));
    await one.waitForLog(/-> MASTER/);
  });
  step(`the return of gw1: ${lostBack} pings were lost`);
  const order = one.log.flatMap((line) =>
    /synchronised with|not demoted any more: synchronised|-> MASTER/.exec(line)?.[0] ?? []
  );
  assertEquals(order.slice(0, 3), [
    "synchronised with",
    "not demoted any more: synchronised",
    "-> MASTER",
  ]);
  await waitEqual(lab.gw1, lab.gw2);
  assertEquals(await spis(lab.client), inherited);
});

test("the address flaps ten times between two living IKE daemons, and no tunnel dies", async () => {
  for (const keepalived of keepaliveds) await keepalived.end("SIGTERM");
  await lab.virtualUp(lab.gw1); // and nothing else moves it from here on
  const lost = await lostDuring(async () => {
    let [holder, other] = [lab.gw1, lab.gw2];
    for (let flap = 0; flap < 10; flap++) {
      await lab.virtualDown(holder);
      await lab.virtualUp(other);
      [holder, other] = [other, holder];
      await delay(200 * flap); // the daemons follow each of the late ones, and few of the first
    }
    await eventually("roles as at first", () => roleOf(one) === "MASTER" && roleOf(two) === "SLAVE");
  });
  const takeovers = [one, two].map((daemon) => daemon.process.countLines(/ -> MASTER: /));
  step(`ten flaps: ${lost} pings were lost, takeovers so far ${takeovers}`);
  await waitEqual(lab.gw1, lab.gw2);
  for (const node of [lab.gw1, lab.gw2, lab.client]) assertEquals(await spis(node), inherited, node.name);
  assertEquals(charonClient.process.countLines(/received DELETE|deleting/), 0);
});

test("what charon deletes during a handover is told when that has failed, and not before", async () => {
  const from = one.log.length;
  const handover = one.handover();
  await one.waitForLog(/handover begins/, 20_000, from);
  await charon1.stop();
  await lab.gw1.ip("xfrm state flush", "xfrm policy flush");
  await delay(3000); // what a deletion would need to be followed
  assertEquals([await spis(lab.gw1), await spis(lab.gw2)], [[], inherited]);
  const { code, stderr } = await handover;
  const why = "this node is still master: the address has not moved";
  assertEquals([code, stderr], [1, `sasyncd: handover: ${why}\n`]);
  await waitEqual(lab.gw1, lab.gw2);
  assertEquals(await spis(lab.gw2), []);
  assertEquals(await says(lab.gw1), `${WEIGHT}`);
});

test("the daemons end in order", async () => {
  for (const daemon of [two, one]) assertEquals(await daemon.stop(), 0);
  assert(!await exists(lab.gw1), "the control socket is gone");
});

const exists = async (node: Node) => (await node.try("test", "-e", "/run/sasyncd.sock")).code === 0;
