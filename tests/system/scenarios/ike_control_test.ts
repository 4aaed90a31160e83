/**
 * `control strongswan` with real charons: a slave's sets nothing up and has no traps, a master's has them as it is
 * configured; SAs that stand go on, also those that a new master has inherited.
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
  readKernel,
  Sasyncd,
  test,
  waitEqual,
} from "../lab/mod.ts";

guest({ limitSeconds: 500 });

const { client, virtual } = ADDRESS;

/** The reqid is the same on both gateways: so the trap of one leads to the SAs of the other. */
const TRAPPED = { ...GATEWAY_TUNNEL, child: "start_action = trap\n reqid = 11" };

let lab: Network;
let peer: Charon;
let charon1: Charon;
let charon2: Charon;
let daemon1: Sasyncd;
let daemon2: Sasyncd;

const locked = (mode: "master" | "slave") => configurationOf("gw1", [`mode ${mode}`, "control strongswan"]);

/** Follows the virtual address. */
const following = (own: string) =>
  configurationOf(own, [`interface pub address ${virtual.pub.v4}`, "control strongswan"]);

async function traps(charon: Charon): Promise<string[]> {
  return [...(await charon.swanctl("--list-pols", "--trap")).matchAll(/^(\S+), TUNNEL$/gm)].map((
    [, name = ""],
  ) => name);
}

const waitForTraps = (charon: Charon, wanted: readonly string[]) =>
  eventually(
    `traps [${wanted}] of ${charon.node.name}`,
    async () => `${await traps(charon)}` === `${wanted}`,
    60_000,
  );

const negotiations = (charon: Charon, from = 0) =>
  charon.process.countLines(/initiating IKE_SA|establishing CHILD_SA/, from);

/** A packet from the server to the client's inner network, which a trap would catch. */
const knock = () => lab.server.ping(client.inner.v4, { count: 1 });

test("on a slave a charon with a trap has none any more, and a packet sets nothing up", async () => {
  lab = await Network.build();
  await lab.virtualUp(lab.gw1);
  peer = await Charon.start(lab.client, CLIENT_TUNNEL);
  charon1 = await Charon.start(lab.gw1, TRAPPED);
  assertEquals(await traps(charon1), ["lab/net"]);
  daemon1 = await Sasyncd.start(lab.gw1, locked("slave"));
  await daemon1.waitForLog(/strongswan is passive/);
  assertEquals(await traps(charon1), []);
  assertEquals(await knock(), 1); // in clear: nothing is left that would catch it
  assertEquals(negotiations(charon1), 0);
});

test("a charon that is started on a slave is made passive too", async () => {
  await charon1.kill();
  charon1 = await Charon.start(lab.gw1, TRAPPED);
  await waitForTraps(charon1, []);
});

test("the end of sasyncd on a slave gives the trap back", async () => {
  assertEquals(await daemon1.stop(), 0);
  await waitForTraps(charon1, ["lab/net"]);
});

test("kill -9 of sasyncd on a slave gives the trap back", async () => {
  daemon1 = await Sasyncd.start(lab.gw1, locked("slave"));
  await daemon1.waitForLog(/strongswan is passive/);
  assertEquals(await traps(charon1), []);
  await daemon1.kill();
  await waitForTraps(charon1, ["lab/net"]);
});

test("on a slave what charon has begun, and what is not established, is ended", async () => {
  daemon1 = await Sasyncd.start(lab.gw1, locked("slave"));
  await daemon1.waitForLog(/strongswan is passive/);
  await lab.cut("p-client");
  await charon1.swanctl("--initiate", "--child", "net", "--timeout=-1"); // does not wait
  await charon1.process.waitForLine(/initiating IKE_SA/);
  await charon1.process.waitForLine(/destroying IKE_SA in state CONNECTING without notification/, 60_000);
  await lab.join("p-client");
  assertEquals(await daemon1.stop(), 0);
});

test("on a master the trap is there, and a packet sets the tunnel up", async () => {
  daemon1 = await Sasyncd.start(lab.gw1, locked("master"));
  await daemon1.waitForLog(/strongswan is active/);
  assertEquals(await traps(charon1), ["lab/net"]);
  await eventually("answer through the tunnel", async () => await knock() === 1, 20_000);
  await eventually("SAs", async () => (await readKernel(lab.gw1)).states.length === 2);
});

test("SAs that stand go on when their gateway becomes a slave, and back", async () => {
  const before = await readKernel(lab.gw1);
  for (const [mode, word] of [["slave", "passive"], ["master", "active"]] as const) {
    assertEquals(await daemon1.stop(), 0);
    daemon1 = await Sasyncd.start(lab.gw1, locked(mode));
    await daemon1.waitForLog(new RegExp(`strongswan is ${word}`));
    assertEquals((await readKernel(lab.gw1)).states.map(({ id }) => id), before.states.map(({ id }) => id));
  }
  assertEquals(await knock(), 1);
  assertEquals(peer.process.countLines(/received DELETE|deleting/), 0);
  assertEquals(await daemon1.stop(), 0);
});

test("a slave whose charon is started over the copied policies has them again", async () => {
  daemon1 = await Sasyncd.start(lab.gw1, following("gw1"));
  await daemon1.waitForLog(/-> MASTER/);
  daemon2 = await Sasyncd.start(lab.gw2, following("gw2"));
  await daemon2.waitForLog(/synchronised with/, 60_000);
  charon2 = await Charon.start(lab.gw2, TRAPPED);
  await waitForTraps(charon2, []);
  await waitEqual(lab.gw1, lab.gw2);
});

test("a node that steps down keeps its SAs, also when its charon gives them up", async () => {
  const before = (await readKernel(lab.gw1)).states.map(({ id }) => id);
  await lab.virtualDown(lab.gw1);
  await lab.virtualUp(lab.gw2);
  await waitForTraps(charon1, []);
  await waitForTraps(charon2, ["lab/net"]);
  const seen = lab.gw1.spawn("ip", "xfrm", "monitor", "SA");
  await lab.gw1.try(
    "env",
    ...charon1.environment,
    "swanctl",
    "--terminate",
    "--ike",
    "lab",
    "--timeout",
    "2",
  );
  await charon1.process.waitForLine(/giving up after/, 60_000); // its packets have not left the slave
  await seen.waitForLine(/^Deleted src/);
  await waitEqual(lab.gw1, lab.gw2);
  assertEquals((await readKernel(lab.gw1)).states.map(({ id }) => id).toSorted(), before.toSorted());
  assertEquals(peer.process.countLines(/received DELETE/), 0);
  await seen.end();
});

test("a new master has the trap, and the SAs of the old one go on without a negotiation", async () => {
  const inherited = (await readKernel(lab.gw1)).states.map(({ id }) => id);
  assertEquals(inherited.length, 2);
  const from = charon1.log.length;
  await Promise.all([daemon2.kill(), charon2.kill(), lab.cut("p-gw2", "i-gw2", "s-gw2")]);
  await lab.virtualUp(lab.gw1);
  await waitForTraps(charon1, ["lab/net"]);
  for (let i = 0; i < 5; i++) await knock();
  await delay(1000); // what a charon would need to be woken
  assertEquals((await readKernel(lab.gw1)).states.map(({ id }) => id), inherited);
  assertEquals(negotiations(charon1, from), 0);
  const out = await lab.gw1.run("ip", "-s", "xfrm", "state", "list", "src", virtual.pub.v4);
  assert(Number(/(\d+)\(packets\)/.exec(out)?.[1]) >= 5, out);
  assertEquals(await daemon1.stop(), 0);
});

test("conf/swanctl.conf is one that charon takes, with a trap and a reqid of its own", async () => {
  const example = new URL("../../../conf/swanctl.conf", import.meta.url).pathname;
  const file = `${lab.gw1.folder}/example.conf`;
  await Deno.writeTextFile(file, (await Deno.readTextFile(example)).replace("secret =", 'secret = "x"'));
  await charon1.swanctl("--load-all", "--file", file);
  assertEquals(await traps(charon1), ["office/office"]);
  assertMatch(await lab.gw1.run("ip", "xfrm", "policy"), /src 10\.1\.0\.0\/16 [^]*?reqid 1001 mode tunnel/);
});
