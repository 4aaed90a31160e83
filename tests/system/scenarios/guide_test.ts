/**
 * sasyncd-failover(7), worked through from nothing: its own files and commands, in its order, on two gateways with
 * strongSwan and keepalived, an office that has the tunnel's other end, and a machine behind the gateways. What a
 * laboratory has no need of (packages, systemd) is done in another way, and said so.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { delay, eventually, EXECUTABLE, guest, Node, type Process, step, test } from "../lab/mod.ts";
import { mustExecute } from "../lab/process.ts";

guest({ limitSeconds: 400 });

const page = await Deno.readTextFile(new URL("../../../man/sasyncd-failover.7", import.meta.url));

/** The literal blocks of a step of the page, without mdoc's escapes. */
function blocks(step: number): string[] {
  const [, text = ""] = new RegExp(`\n\\.Ss ${step}\\. .*?\n(.*?)(?=\n\\.S[sh] )`, "s").exec(page) ?? [];
  return text.matchAll(/\.Bd -literal[^\n]*\n(.*?)\n\.Ed/gs).map(([, block]) =>
    block!.replaceAll("\\e", "\\")
  ).toArray();
}

/** One block of a step, of those that there must be. */
function block(step: number, index: number, count: number): string {
  const found = blocks(step);
  assertEquals(found.length, count, `step ${step} of the page has other blocks`);
  return found[index]!;
}

let gw1: Node, gw2: Node, office: Node, inside: Node;
const running = new Map<Node, Process[]>();

/** What a shell of the guide's reader has: the program in its path. */
const shell = (node: Node, script: string) => node.shell(`PATH=/run/bin:$PATH; ${script}`);

async function onBoth(act: (node: Node) => Promise<unknown>): Promise<void> {
  for (const node of [gw1, gw2]) await act(node);
}

/** A network and the nodes on it, each with the name and address of its interface. */
async function wire(network: string, ends: readonly (readonly [Node, string, string])[]): Promise<void> {
  const host = async (...lines: string[]) =>
    await mustExecute(["ip", "-batch", "-"], lines.map((line) => `${line}\n`).join(""));
  await host(`link add ${network} type bridge`, `link set ${network} up`);
  for (const [node, device, address] of ends) {
    const port = `${network}-${node.name}`;
    await host(
      `link add ${port} type veth peer name ${device} netns ${node.name}`,
      `link set ${port} master ${network} up`,
    );
    await node.ip(`link set ${device} up`, `addr add ${address} dev ${device}`);
  }
}

/** A machine with an /etc of its own and the program installed. */
async function machine(name: string): Promise<Node> {
  const node = await Node.create(name);
  await node.shell(`mkdir -p /run/bin && ln -s ${EXECUTABLE} /run/bin/sasyncd`);
  await node.shell("cp -a /etc /run/etc && mount --bind /run/etc /etc");
  await node.shell(
    "mkdir -p /etc/swanctl/conf.d /etc/keepalived && rm -f /etc/sasyncd.* /etc/swanctl/conf.d/*",
  );
  return node;
}

async function write(node: Node, path: string, text: string): Promise<void> {
  await Deno.writeTextFile(`${node.folder}/file`, text);
  await node.run("cp", `${node.folder}/file`, path);
}

/** As scp(1) would. */
async function copy(path: string): Promise<void> {
  await gw1.run("cp", "-p", path, "/tmp/lab/copy");
  await gw2.run("cp", "-p", "/tmp/lab/copy", path);
}

function run(node: Node, ...command: string[]): Process {
  const process = node.spawn(...command);
  running.set(node, [...running.get(node) ?? [], process]);
  return process;
}

/** In the place of systemd. */
async function startCharon(node: Node): Promise<void> {
  run(node, "/usr/lib/ipsec/charon");
  await eventually("charon", async () => (await node.try("test", "-S", "/run/charon.vici")).code === 0);
}

const startSasyncd = (node: Node) => run(node, EXECUTABLE, "-d", "-v");

async function startAll(node: Node): Promise<void> {
  await startCharon(node);
  // systemd starts keepalived when sasyncd has told that it is ready, which is after this line.
  await startSasyncd(node).waitForLine(/^demoted: /);
  run(node, "keepalived", "--dont-fork", "--log-console", "--vrrp");
  await shell(node, "swanctl --load-all");
}

const hasAddress = async (node: Node) => (await node.run("ip", "-o", "addr")).includes(" 203.0.113.1/");

/** How many of the guide's pings are lost. */
async function ping(count: number): Promise<number> {
  const { stdout } = await inside.try("ping", "-i", "0.2", "-c", `${count}`, "-W", "1", "10.2.0.1");
  return count - Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
}

const spis = async (node: Node) =>
  (await node.run("ip", "xfrm", "state")).matchAll(/proto esp spi (0x\w+)/g).map(([, spi]) => spi).toArray()
    .toSorted();

test("steps 1 and 2: two gateways, and a key for the link", async () => {
  [gw1, gw2, office, inside] = [
    await machine("gw1"),
    await machine("gw2"),
    await machine("office"),
    await machine("inside"),
  ];
  await wire("out", [[gw1, "eth0", "203.0.113.2/24"], [gw2, "eth0", "203.0.113.3/24"], [
    office,
    "eth0",
    "203.0.113.9/24",
  ]]);
  await wire("lnk", [[gw1, "eth1", "192.0.2.1/24"], [gw2, "eth1", "192.0.2.2/24"]]);
  await wire("inn", [[gw1, "eth2", "10.1.0.2/16"], [gw2, "eth2", "10.1.0.3/16"], [
    inside,
    "eth0",
    "10.1.0.9/16",
  ]]);
  await office.ip(
    "link add lan type dummy",
    "link set lan up",
    "addr add 10.2.0.1/16 dev lan",
    "addr add 198.51.100.1/32 dev lan",
  );
  await inside.ip("route add default via 10.1.0.1");
  await onBoth((node) =>
    node.ip("route add 198.51.100.1 via 203.0.113.9", "route add 10.2.0.0/16 via 203.0.113.9")
  );
  await office.ip("route add 10.1.0.0/16 via 203.0.113.1");
  await onBoth((node) => shell(node, block(1, 1, 2)));
  await shell(gw1, block(2, 0, 1));
  await copy("/etc/sasyncd.key");
});

test("step 3: the configurations are accepted", async () => {
  await write(gw1, "/etc/sasyncd.conf", `${block(3, 0, 3)}\n`);
  await copy("/etc/sasyncd.conf");
  await shell(gw2, block(3, 1, 3));
  await onBoth((node) => shell(node, block(3, 2, 3)));
  assertMatch(
    await shell(gw2, "sasyncd -n"),
    /^listen on 192\.0\.2\.2 port 500$[^]*^peer 192\.0\.2\.1 port 500$/m,
  );
});

test("steps 4 and 5: keepalived and strongSwan", async () => {
  await write(gw1, "/etc/keepalived/keepalived.conf", `${block(4, 0, 2)}\n`);
  await copy("/etc/keepalived/keepalived.conf");
  await shell(gw2, block(4, 1, 2));
  assertMatch(
    await gw2.run("cat", "/etc/keepalived/keepalived.conf"),
    /priority 100[^]*src_ip 203\.0\.113\.3[^]*203\.0\.113\.2\n/,
  );
  await onBoth((node) => node.run("keepalived", "--config-test"));
  await onBoth((node) => write(node, "/etc/swanctl/conf.d/office.conf", block(5, 0, 1)));
  // the other end is the same with local and remote exchanged
  const mirrored = block(5, 0, 1).replace(
    /local_addrs.*\n.*remote_addrs.*\n/,
    "local_addrs = 198.51.100.1\nremote_addrs = 203.0.113.1\n",
  )
    .replaceAll("gateway.example.org", "X").replaceAll("office.example.org", "gateway.example.org")
    .replaceAll("X", "office.example.org")
    .replace("10.1.0.0/16", "X").replace("10.2.0.0/16", "10.1.0.0/16").replace("X", "10.2.0.0/16");
  await write(office, "/etc/swanctl/conf.d/office.conf", mirrored);
});

test("step 6: gw1 becomes master, and both hold the tunnel that the office makes", async () => {
  assertMatch(block(6, 0, 2), /^systemctl enable --now strongswan sasyncd keepalived\nswanctl --load-all$/);
  await startAll(gw1);
  await startAll(gw2);
  await eventually("address on gw1", () => hasAddress(gw1), 30_000);
  await startCharon(office);
  await shell(office, "swanctl --load-all && swanctl --initiate --child office --timeout 20");
  const made = await spis(gw1);
  assertEquals(made.length, 2);
  await eventually("same SAs on gw2", async () => `${await spis(gw2)}` === `${made}`);
  assertMatch(await shell(gw1, block(6, 1, 2)), /MASTER/);
  assertMatch(await gw2.run("ip", "rule"), /from 203\.0\.113\.1 .*unreachable/);
  assertEquals(await ping(5), 0);
});

test("step 7, planned: sasyncd handover, and back", async () => {
  assertEquals(block(7, 0, 3).replace(/-i 0\.2 /, ""), "ping 10.2.0.1");
  const pinging = ping(50);
  assertMatch(await shell(gw1, block(7, 1, 3)), /^handover: done$/m);
  assert(await hasAddress(gw2));
  step(`handover: ${await pinging} of 50 pings lost`);
  assertMatch(await shell(gw2, block(7, 2, 3)), /^handover: done$/m);
  await eventually("address back on gw1", () => hasAddress(gw1), 60_000);
  await eventually("pings", async () => await ping(3) === 0, 20_000);
});

test("step 7, unplanned: gw1 is switched off, the tunnel goes on, and gw1 comes back", async () => {
  const before = await spis(gw2);
  const pinging = ping(60);
  await delay(1000);
  step("gw1 is switched off");
  await gw1.ip("link set eth0 down", "link set eth1 down", "link set eth2 down");
  for (const process of running.get(gw1)!.splice(0)) await process.end("SIGKILL");
  await gw1.shell(
    "ip xfrm state flush; ip xfrm policy flush; ip addr flush dev eth0; ip addr flush dev eth2; ip rule flush protocol 83 || true",
  );
  await gw1.shell("rm -rf /run/charon* /run/keepalived* /run/sasyncd*"); // a machine begins with an empty /run
  step(`switched off: ${await pinging} of 60 pings lost, 200 ms apart`);
  assert(await hasAddress(gw2));
  assertEquals(await ping(5), 0);
  assertEquals(await spis(gw2), before, "the same SAs");
  step("gw1 is switched on again");
  await gw1.ip(
    "link set eth0 up",
    "link set eth1 up",
    "link set eth2 up",
    "addr add 203.0.113.2/24 dev eth0",
    "addr add 10.1.0.2/16 dev eth2",
  );
  await gw1.ip("route replace 198.51.100.1 via 203.0.113.9", "route replace 10.2.0.0/16 via 203.0.113.9");
  await startAll(gw1);
  await eventually("address back on gw1", () => hasAddress(gw1), 60_000);
  await eventually("pings", async () => await ping(3) === 0, 20_000);
  assertEquals(await spis(gw1), before, "still the same");
});
