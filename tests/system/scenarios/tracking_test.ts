/**
 * The role follows the virtual address, whoever moves it: ip(8), ucarp, keepalived. With keepalived's track_file a
 * node that has nothing yet does not take over from one that has it all.
 */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  configurationOf,
  countKernel,
  delay,
  eventually,
  guest,
  Network,
  type Node,
  type Process,
  Sasyncd,
  startKeepalived,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";

guest({ limitSeconds: 600 });

const { gw1, gw2, virtual, client } = ADDRESS;

/** What keepalived adds while the node is synchronised; more than the difference of the priorities. */
const WEIGHT = 50;

let lab: Network;

const demoteFile = (node: Node) => `${node.folder}/demote`;

const tracking = `interface pub address ${virtual.pub.v4}`;

const start = (node: Node, ...more: string[]) =>
  Sasyncd.start(node, configurationOf(node.name, ["control none", ...more]));
const startDemoting = (node: Node) =>
  start(node, tracking, `demote file ${demoteFile(node)} weight ${WEIGHT}`);

/** SAs of the tunnels' end that the gateways share. */
const states = (from: number, count: number) =>
  Array.from(
    { length: count },
    (_, i) =>
      `xfrm state add src ${virtual.pub.v4} dst ${client.pub.v4} proto esp spi ${from + i} reqid ${
        from + i
      } ` +
      `mode tunnel aead rfc4106(gcm(aes)) 0x${"11".repeat(20)} 128`,
  );

/** How often the daemon has become master, by its log from line `from` on. */
const takeovers = (daemon: Sasyncd, from = 0) => daemon.process.countLines(/ -> MASTER: /, from);

/** Waits until a daemon has changed to a role. Its log from line `from` on counts. */
const waitForRole = (daemon: Sasyncd, role: string, from = 0) =>
  daemon.waitForLog(new RegExp(`(INIT|SLAVE|MASTER|FAIL) -> ${role}: .*`), 60_000, from);

async function holdsAddress(node: Node): Promise<boolean> {
  return (await node.run("ip", "-o", "addr", "show", "dev", "pub")).includes(` ${virtual.pub.v4}/`);
}

/** Kills every process of a node. */
async function killAll(node: Node): Promise<void> {
  const namespace = (await node.run("readlink", "/proc/self/ns/net")).trim();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const theirs = await Deno.readLink(`/proc/${name}/ns/net`).catch(() => ""); // it may be gone by now
    if (theirs === namespace) Deno.kill(Number(name), "SIGKILL");
  }
}

/** A machine that dies: its cables are dead, its processes are gone, and its kernel forgets everything. */
async function crash(node: Node): Promise<void> {
  step(`${node.name} dies`);
  await lab.cut(`p-${node.name}`, `i-${node.name}`, `s-${node.name}`);
  await killAll(node);
  await node.shell(
    `ip xfrm state flush; ip xfrm policy flush; ip rule flush protocol 83; rm -f ${demoteFile(node)}\n` +
      `ip addr del ${virtual.pub.v4}/32 dev pub; ip addr del ${virtual.in.v4}/32 dev in; true`,
  );
}

async function boot(node: Node): Promise<void> {
  step(`${node.name} is there again`);
  await lab.join(`p-${node.name}`, `i-${node.name}`, `s-${node.name}`);
}

/** ucarp as its manual page has it: both nodes alike, the second one a little slower. */
async function startUcarp(node: Node): Promise<Process> {
  const own = node.name === "gw1" ? gw1 : gw2;
  const scripts = [["up", "add"], ["down", "del"]] as const;
  for (const [name, verb] of scripts) {
    await Deno.writeTextFile(
      `${node.folder}/${name}`,
      `#!/bin/sh\nip addr ${verb} ${virtual.pub.v4}/32 dev pub\n`,
      { mode: 0o755 },
    );
  }
  const advertise = ["-P", "-b", "1", "-k", node.name === "gw1" ? "0" : "50"];
  const paths = ["-u", `${node.folder}/up`, "-d", `${node.folder}/down`, "--shutdown"];
  const identity = ["-i", "pub", "-s", own.pub.v4, "-v", "7", "-p", "secret", "-a", virtual.pub.v4];
  return node.spawn("ucarp", ...identity, ...advertise, ...paths);
}

test("the role follows the address that is added and deleted, and says why", async () => {
  lab = await Network.build();
  await lab.virtualUp(lab.gw1);
  await lab.gw1.ip(...states(0x1000, 20));
  const [one, two] = [await start(lab.gw1, tracking), await start(lab.gw2, tracking)];
  const [why] = await waitForRole(one, "MASTER");
  assertEquals(why, `INIT -> MASTER: ${virtual.pub.v4} is on pub`);
  assertEquals((await waitForRole(two, "SLAVE"))[0], `INIT -> SLAVE: ${virtual.pub.v4} is not on pub`);
  await two.waitForLog(/synchronised with .*: 20 records/);
  await waitEqual(lab.gw1, lab.gw2);

  const from = { one: one.log.length, two: two.log.length };
  await lab.virtualDown(lab.gw1);
  await lab.virtualUp(lab.gw2);
  await waitForRole(two, "MASTER", from.two);
  await waitForRole(one, "SLAVE", from.one);
  await lab.gw2.ip(...states(0x2000, 5));
  await one.waitForLog(/synchronised with .*: \d+ records/, 20_000, from.one);
  await waitEqual(lab.gw2, lab.gw1);
  assertEquals(await countKernel(lab.gw1), { states: 25, policies: 0 });
  for (const daemon of [one, two]) assertEquals(await daemon.stop(), 0);
  await lab.virtualDown(lab.gw2);
});

test("a flapping address is followed to its end, without a takeover for each flap", async () => {
  const daemon = await start(lab.gw1, tracking);
  await waitForRole(daemon, "SLAVE");
  const address = `${virtual.pub.v4}/32 dev pub`;
  const flap = [`addr add ${address}`, `addr del ${address}`];
  await lab.gw1.ip(...Array.from({ length: 200 }, () => flap).flat(), flap[0]!);
  await waitForRole(daemon, "MASTER");
  await delay(1200); // longer than a change waits
  step(`${takeovers(daemon)} takeovers in 201 quick flaps`);
  assert(takeovers(daemon) <= 3, daemon.process.tail());

  const from = daemon.log.length;
  const startMs = performance.now();
  for (let i = 0; i < 40; i++) {
    await lab.gw1.ip(flap[1]!);
    await lab.gw1.ip(flap[0]!);
  }
  await lab.gw1.ip(flap[1]!);
  const tookMs = performance.now() - startMs;
  await eventually(
    "end as slave",
    () => / -> SLAVE: /.test(daemon.log.findLast((line) => / -> /.test(line))!),
  );
  await delay(1200);
  assert(/ -> SLAVE: /.test(daemon.log.findLast((line) => / -> /.test(line))!), daemon.process.tail());
  step(`${takeovers(daemon, from)} takeovers in 40 slow flaps of ${Math.round(tookMs / 40)} ms`);
  assert(takeovers(daemon, from) <= 2 + tookMs / 1000, daemon.process.tail());
  assertEquals(await daemon.stop(), 0);
});

test("the role is true after more events than the kernel keeps", async () => {
  const daemon = await start(lab.gw1, tracking);
  await waitForRole(daemon, "SLAVE");
  daemon.pause();
  const address = "192.0.2.77/32 dev pub";
  const flaps = Array.from({ length: 1000 }, () => [`addr add ${address}`, `addr del ${address}`]).flat();
  await lab.gw1.ip(...flaps, `addr add ${virtual.pub.v4}/32 dev pub`);
  const sockets = await lab.gw1.run("cat", "/proc/net/netlink");
  const drops = sockets.split("\n").map((line) => Number(line.trim().split(/\s+/)[8] ?? 0));
  assert(drops.some((count) => count > 0), sockets);
  daemon.resume();
  await waitForRole(daemon, "MASTER");
  await lab.gw1.ip(`addr del ${virtual.pub.v4}/32 dev pub`);
  assertEquals(await daemon.stop(), 0);
});

test("an interface that goes down, loses its carrier or disappears is FAIL, and comes back by itself", async () => {
  const node = lab.gw1;
  const virtualV6 = "2001:db8:77::1";
  const addDummy = ["link add vip type dummy", "link set vip up", `addr add ${virtualV6}/128 dev vip`];
  const daemon = await start(node, `interface vip address ${virtualV6}`);
  const seen: string[] = [];
  const expect = async (change: RegExp, act: () => Promise<unknown>) => {
    const from = daemon.log.length;
    await act();
    const [line] = await daemon.waitForLog(change, 20_000, from);
    seen.push(line);
  };
  await daemon.waitForLog(/INIT -> FAIL: there is no interface vip/);
  await expect(/-> MASTER: 2001:db8:77::1 is on vip/, () => node.ip(...addDummy));
  await expect(/MASTER -> FAIL: interface vip is down/, () => node.ip("link set vip down"));
  await expect(/FAIL -> SLAVE: .* is not on vip/, () => node.ip("link set vip up"));
  await expect(/SLAVE -> MASTER: /, () => node.ip(`addr add ${virtualV6}/128 dev vip`));
  await expect(/MASTER -> FAIL: there is no interface vip/, () => node.ip("link del vip"));
  await expect(/-> MASTER: /, () => node.ip("link add other type dummy", ...addDummy));
  await expect(/MASTER -> FAIL: /, () => node.ip("link set vip down", "link set vip name gone"));
  step(seen.join("; "));
  assertEquals(await daemon.stop(), 0);

  const cable = await start(node, tracking);
  await waitForRole(cable, "SLAVE");
  await lab.cut("p-gw1");
  await cable.waitForLog(/SLAVE -> FAIL: interface pub has no carrier/);
  await lab.join("p-gw1");
  await cable.waitForLog(/FAIL -> SLAVE: /);
  assertEquals(await cable.stop(), 0);
});

test("an IPv6 address counts when duplicate address detection has let it pass", async () => {
  const node = lab.gw1;
  await node.shell(
    "echo 1 >/proc/sys/net/ipv6/conf/pub/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad",
  );
  const daemon = await start(node, `interface pub address ${virtual.pub.v6}`);
  await waitForRole(daemon, "SLAVE");
  let from = daemon.log.length;
  await node.ip(`addr add ${virtual.pub.v6}/128 dev pub`);
  await waitForRole(daemon, "MASTER", from);
  await node.ip(`addr del ${virtual.pub.v6}/128 dev pub`);
  await waitForRole(daemon, "SLAVE", from);

  await lab.client.ip(`addr add ${virtual.pub.v6}/128 dev pub nodad`);
  from = daemon.log.length;
  await node.ip(`addr add ${virtual.pub.v6}/128 dev pub`);
  await eventually(
    "end of the detection",
    async () => (await node.run("ip", "addr", "show", "dev", "pub")).includes("dadfailed"),
  );
  await delay(300);
  assertEquals(takeovers(daemon, from), 0, daemon.process.tail());
  await node.ip(`addr del ${virtual.pub.v6}/128 dev pub`);
  await lab.client.ip(`addr del ${virtual.pub.v6}/128 dev pub`);
  assertEquals(await daemon.stop(), 0);
});

test("ucarp moves the address: a dead master is followed by the slave, and comes back", async () => {
  const ucarps = [await startUcarp(lab.gw1), await startUcarp(lab.gw2)] as const;
  let one = await start(lab.gw1, tracking);
  const two = await start(lab.gw2, tracking);
  await waitForRole(one, "MASTER");
  await two.waitForLog(/synchronised with .*: 25 records/);
  const from = two.log.length;
  const diedMs = performance.now();
  await crash(lab.gw1);
  await Promise.all([ucarps[0].ended, one.process.ended]);
  await waitForRole(two, "MASTER", from);
  step(`gw2 is master ${Math.round(performance.now() - diedMs)} ms after the death of gw1`);
  assertEquals(await countKernel(lab.gw2), { states: 25, policies: 0 });
  await lab.gw2.ip(...states(0x3000, 5));

  await boot(lab.gw1);
  const back = two.log.length;
  one = await start(lab.gw1, tracking);
  await one.waitForLog(/synchronised with .*: 30 records/);
  const again = await startUcarp(lab.gw1);
  await waitForRole(one, "MASTER");
  await waitForRole(two, "SLAVE", back);
  await waitEqual(lab.gw1, lab.gw2);
  for (const ucarp of [again, ucarps[1]]) await ucarp.end("SIGTERM");
  for (const daemon of [one, two]) assertEquals(await daemon.stop(), 0);
});

test("with keepalived a node that starts empty takes over only when it has the SAs", async () => {
  assertEquals(await holdsAddress(lab.gw1) || await holdsAddress(lab.gw2), false);
  await lab.gw1.shell("ip xfrm state flush");
  await lab.gw2.ip(...states(0x4000, 970));
  const keepalived2 = await startKeepalived(lab.gw2, demoteFile(lab.gw2));
  const two = await startDemoting(lab.gw2);
  await waitForRole(two, "MASTER");
  await two.waitForLog(/not demoted any more: |INIT -> MASTER/);
  await eventually(
    "lifted demotion",
    async () => await Deno.readTextFile(demoteFile(lab.gw2)) === `${WEIGHT}\n`,
  );

  const keepalived1 = await startKeepalived(lab.gw1, demoteFile(lab.gw1));
  await keepalived1.waitForLine(/Entering BACKUP STATE/);
  await delay(3000); // more than keepalived needs to preempt where it may
  assertEquals(await holdsAddress(lab.gw1), false, keepalived1.tail());
  assertEquals(takeovers(two), 1);

  const one = await startDemoting(lab.gw1);
  const watched = (async () => {
    while (!await holdsAddress(lab.gw1)) await delay(5);
    return await countKernel(lab.gw1);
  })();
  await waitForRole(one, "MASTER");
  assertEquals(
    await watched,
    { states: 1000, policies: 0 },
    `${one.process.tail(20)}\n${keepalived1.tail()}\n${keepalived2.tail()}`,
  );
  const order = one.log.flatMap((line) =>
    /not demoted any more: synchronised|demoted|synchronised with|INIT -> SLAVE|SLAVE -> MASTER/.exec(line)
      ?.[0] ?? []
  );
  assertEquals(order, [
    "INIT -> SLAVE",
    "demoted",
    "synchronised with",
    "not demoted any more: synchronised",
    "SLAVE -> MASTER",
  ]);
  await waitForRole(two, "SLAVE");
  await two.waitForLog(/synchronised with .*: 1000 records/);
  await waitEqual(lab.gw1, lab.gw2, 20_000);

  step("a slave whose daemon is killed is demoted, and so is one that is stopped");
  const says = async (node: Node, text: string) => await Deno.readTextFile(demoteFile(node)) === text;
  await eventually("lifted demotion of gw2", () => says(lab.gw2, `${WEIGHT}\n`));
  await two.kill();
  await eventually("demotion of a dead slave", () => says(lab.gw2, "0\n"));
  const third = await startDemoting(lab.gw2);
  await third.waitForLog(/not demoted any more: synchronised/);
  assertEquals(await third.stop(), 0);
  assert(await says(lab.gw2, "0\n"));

  step("a master is not demoted, however its daemon ends");
  await one.kill();
  await delay(500);
  assert(await says(lab.gw1, `${WEIGHT}\n`));
  const fourth = await startDemoting(lab.gw1);
  await fourth.waitForLog(/INIT -> MASTER/);
  const fifth = await startDemoting(lab.gw2);
  await fifth.waitForLog(/not demoted any more: synchronised/);

  step("the sync link breaks: the slave is demoted after a while, the master never");
  const from = fifth.log.length;
  await lab.cut("s-gw2");
  await fifth.waitForLog(
    /: demoted: no session with 203.0.113.1, which was master|demoted: no session/,
    60_000,
    from,
  );
  await eventually("demotion of gw2", () => says(lab.gw2, "0\n")); // the helper writes it after the log line
  assert(await says(lab.gw1, `${WEIGHT}\n`));
  await lab.join("s-gw2");
  await fifth.waitForLog(/not demoted any more: synchronised/, 60_000, from);

  step("the master dies: the slave takes over, and the other comes back when it has everything");
  await crash(lab.gw1);
  await Promise.all([keepalived1.ended, fourth.process.ended]);
  await waitForRole(fifth, "MASTER");
  await boot(lab.gw1);
  const lastKeepalived = await startKeepalived(lab.gw1, demoteFile(lab.gw1));
  const sixth = await startDemoting(lab.gw1);
  await waitForRole(sixth, "MASTER");
  assert(
    sixth.log.findIndex((line) => /synchronised with/.test(line)) <
      sixth.log.findIndex((line) => /-> MASTER/.test(line)),
  );
  await waitForRole(fifth, "SLAVE", from);
  await waitEqual(lab.gw1, lab.gw2, 20_000);
  assertEquals(await countKernel(lab.gw1), { states: 1000, policies: 0 });
  for (const daemon of [sixth, fifth]) assertEquals(await daemon.stop(), 0);
  for (const keepalived of [lastKeepalived, keepalived2]) await keepalived.end("SIGTERM");
});
