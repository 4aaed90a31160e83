/** What an operator sees of both gateways while the address moves from one to the other, and when one is gone. */

import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import {
  ADDRESS,
  configurationOf,
  EXECUTABLE,
  guest,
  Network,
  type Node,
  type Outcome,
  Sasyncd,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";

guest({ limitSeconds: 300 });

const { gw1, gw2, virtual, client } = ADDRESS;
const SAS = 50;
const CIPHER_KEY = "5c".repeat(20);

let lab: Network;
let one: Sasyncd;
let two: Sasyncd;

function configuration(node: Node): string {
  const metrics = `metrics listen on ${(node.name === "gw1" ? gw1 : gw2).sync.v4}`;
  return configurationOf(node.name, [`interface pub address ${virtual.pub.v4}`, "control none", metrics]);
}

function ask(node: Node, ...words: string[]): Promise<Outcome> {
  return node.try(EXECUTABLE, ...words, "-c", `${node.folder}/sasyncd.conf`);
}

/** `sasyncd status --json`. */
async function statusOf(node: Node) {
  const { code, stdout, stderr } = await ask(node, "status", "--json");
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Asks until it is as it should be. */
async function untilStatus(node: Node, isSo: (status: Awaited<ReturnType<typeof statusOf>>) => boolean) {
  for (const endMs = Date.now() + 20_000;;) {
    const status = await statusOf(node);
    if (isSo(status)) return status;
    assert(Date.now() < endMs, JSON.stringify(status));
  }
}

test("status of a pair at rest: lag 0, nothing would be lost", async () => {
  lab = await Network.build();
  await lab.virtualUp(lab.gw1);
  await lab.gw1.ip(...Array.from(
    { length: SAS },
    (_, i) =>
      `xfrm state add src ${virtual.pub.v4} dst ${client.pub.v4} proto esp spi ${0x1000 + i} reqid ${
        i + 1
      } ` +
      `mode tunnel aead rfc4106(gcm(aes)) 0x${CIPHER_KEY} 128`,
  ));
  one = await Sasyncd.start(lab.gw1, configuration(lab.gw1));
  two = await Sasyncd.start(lab.gw2, configuration(lab.gw2));
  await two.waitForLog(/synchronised with/, 60_000);
  await waitEqual(lab.gw1, lab.gw2);
  const slave = await untilStatus(lab.gw2, ({ synchronised }) => synchronised);
  const master = await untilStatus(lab.gw1, ({ peers }) => peers[0].lagChanges === 0);
  assertEquals([master.role, master.kernel, master.shared.sas, master.peers[0].refused], [
    "MASTER",
    "xfrm",
    SAS,
    [],
  ]);
  assertEquals([slave.role, slave.following, slave.shared.sas], ["SLAVE", gw1.sync.v4, SAS]);
  for (const { loss } of [slave, master.peers[0]]) {
    assertEquals(loss, { synchronised: true, changes: 0, refused: [] });
  }
});

test("show and the metrics of both gateways tell of each SA, and of no key", async () => {
  for (const [node, { sync }] of [[lab.gw1, gw1], [lab.gw2, gw2]] as const) {
    const shown = [await ask(node, "show", "sa"), await ask(node, "show", "sa", "--json")];
    const metrics = await node.try("curl", "-s", `http://${sync.v4}:9752/metrics`);
    for (const { code, stdout } of [...shown, metrics]) {
      assertEquals(code, 0);
      assertFalse(stdout.includes("5c5c") || stdout.includes("92,92"), "a key is shown");
    }
    assertEquals(shown[0]!.stdout.match(/^esp 0x0000\d\w+ tunnel from /gm)?.length, SAS);
    assertEquals(
      shown[1]!.stdout.trimEnd().split("\n").map((line) => JSON.parse(line).inKernel),
      Array(SAS).fill(true),
    );
    assertMatch(
      metrics.stdout,
      new RegExp(`^sasyncd_kernel_records\\{kind="sa",owner="shared"\\} ${SAS}$`, "m"),
    );
  }
});

test("verify finds the pair equal, and then what differs in the kernel and beside it", async () => {
  const verify = async (node: Node) => {
    const { code, stdout, stderr } = await ask(node, "verify", "--json");
    assertEquals(stderr, "");
    return { code, ...JSON.parse(stdout) };
  };
  await lab.gw1.ip(
    `xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out tmpl src ${virtual.pub.v4} dst ${client.pub.v4} proto esp ` +
      "reqid 1 mode tunnel",
  );
  await waitEqual(lab.gw1, lab.gw2);
  for (const node of [lab.gw1, lab.gw2]) {
    const found = await verify(node);
    assertEquals([found.code, found.result], [0, "equal"], JSON.stringify(found));
  }
  await lab.gw1.ip(
    "link add tunnel0 type dummy", // this kernel has no interfaces of kind xfrm
    "link set tunnel0 up",
    "route add 10.2.0.0/16 dev tunnel0",
    "xfrm policy setdefault fwd block",
  );
  const { code, result, peers: [peer] } = await verify(lab.gw2);
  assertEquals([code, result, peer.state, peer.premises], [1, "different", "equal", "different"]);
  assertEquals(peer.there, [
    "default policy: in accept, fwd block, out accept",
    "way to 10.2.0.0/16: dev tunnel0",
  ]);
  assertEquals(peer.here.length, 2);
  await lab.gw1.ip("xfrm policy setdefault fwd accept", "link del tunnel0");
  assertEquals((await verify(lab.gw2)).code, 0);
});

test("status is answered by both gateways all through a takeover", async () => {
  let isOver = false;
  const asked = { gw1: 0, gw2: 0 };
  const keepAsking = async (node: Node, name: "gw1" | "gw2") => {
    while (!isOver) {
      await statusOf(node);
      asked[name]++;
    }
  };
  const asking = [keepAsking(lab.gw1, "gw1"), keepAsking(lab.gw2, "gw2")];
  await lab.virtualDown(lab.gw1);
  await lab.virtualUp(lab.gw2);
  const master = await untilStatus(lab.gw2, ({ role, acting }) => role === "MASTER" && acting);
  const slave = await untilStatus(
    lab.gw1,
    ({ following, synchronised }) => following === gw2.sync.v4 && synchronised,
  );
  isOver = true;
  await Promise.all(asking);
  step(`asked ${asked.gw1} and ${asked.gw2} times meanwhile`);
  assert(asked.gw1 > 0 && asked.gw2 > 0);
  assertEquals([master.epoch, master.inheritedSas, master.roleReason], [
    2,
    SAS,
    `${virtual.pub.v4} is on pub`,
  ]);
  assertEquals([slave.role, slave.epoch, slave.demoted], ["SLAVE", 2, false]);
});

test("status of a gateway that is left alone, and of the one that is gone", async () => {
  await two.kill();
  const { code, stderr } = await ask(lab.gw2, "status");
  assertEquals(code, 2);
  assertMatch(stderr, /^sasyncd: status: no daemon answers: /);
  const left = await untilStatus(lab.gw1, ({ peers }) => !peers[0].connected);
  assertEquals(left.following, undefined);
  assertEquals(left.loss, { synchronised: true, changes: 0, refused: [] });
  const { stdout } = await ask(lab.gw1, "status");
  assertMatch(stdout, /^lost if {5}this gateway took over now: nothing/m);
  assert(stdout.split("\n").every((line) => line.length <= 80), stdout);
  assertEquals(await one.stop(), 0);
});
