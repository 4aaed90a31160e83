/**
 * Changes on a master while a slave follows: updates, deletions, flushes, many at once, the order of overlapping
 * policies, SAs that differ in their mark only, moved endpoints, expiry. What is local to the slave survives all of it.
 */

import { assertEquals } from "@std/assert";
import {
  ADDRESS,
  Charon,
  countKernel,
  eventually,
  fixedConfiguration,
  GATEWAY_TUNNEL,
  hasPfkey,
  type KernelEntry,
  type Kernels,
  nameOf,
  Network,
  type Node,
  PREFIX,
  readKernel,
  Sasyncd,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";

const { client, gw2, virtual } = ADDRESS;
/** Where tunnels of the slave's own end: excluded from synchronisation. */
const OWN = gw2.pub.v4;

const V4 = `src ${virtual.pub.v4} dst ${client.pub.v4}`;
const GCM = `aead rfc4106(gcm(aes)) 0x${"1b".repeat(36)} 128`;
const TUNNEL = `tmpl ${V4} proto esp mode tunnel`;

/** The slave's own: an SA and a policy at a sync address, an SA and charon's trap at an excluded one. */
const isOwn = ({ id, fields }: KernelEntry): boolean =>
  [`${id}\n${fields.join("\n")}`].some((text) => text.includes(OWN) || text.includes(gw2.sync.v4));
const shared = { only: (entry: KernelEntry) => !isOwn(entry) };

let kernels: Kernels;
let lab: Network;
let charon: Charon;
let master: Sasyncd;
let slave: Sasyncd;
let ownBefore: readonly string[];

async function readOwn(): Promise<readonly string[]> {
  const { states, policies } = await readKernel(lab.gw2, { only: isOwn });
  return [...states, ...policies].map(({ fields }) => fields.join("\n")).toSorted();
}

async function startMaster(): Promise<void> {
  master = await Sasyncd.start(lab.gw1, fixedConfiguration("master", kernels, [`exclude ${OWN}`]));
  await master.waitForLog(/master in epoch/, 60_000);
}

async function startSlave(): Promise<void> {
  slave = await Sasyncd.start(lab.gw2, fixedConfiguration("slave", kernels, [`exclude ${OWN}`]));
  await slave.waitForLog(/synchronised with/, 60_000);
}

/** The slave holds what the master holds, and its own as it was. */
async function settled(timeoutMs = 30_000): Promise<void> {
  await waitEqual(lab.gw1, lab.gw2, timeoutMs, shared);
  assertEquals(await readOwn(), ownBefore);
}

/** Two policies that overlap, of equal priority. */
const BLOCK = `dst ${client.pub.v4} dir out`;
const ALLOW = "dst 192.0.2.0/28 dir out";

/** How many of two pings the policies of each gateway let through. */
async function both(): Promise<number[]> {
  const answers = (node: Node) => node.ping(client.pub.v4, { count: 2 });
  return [await answers(lab.gw1), await answers(lab.gw2)];
}

/** Moves the end of tunnels with a reqid from one address to another (XFRM_MSG_MIGRATE). */
function migrate(node: Node, reqid: number, from: string, to: string): Promise<string> {
  const file = new URL("../lab/migrate.ts", import.meta.url).pathname;
  const tunnel = [
    "out",
    "10.60.0.0/16",
    "10.61.0.0/16",
    `${reqid}`,
    virtual.pub.v4,
    from,
    virtual.pub.v4,
    to,
  ];
  const run = ["run", "-A", "--no-check", "--no-config", "--no-lock", file];
  return node.run(Deno.execPath(), ...run, ...tunnel);
}

const sha1 = (byte: string) => `auth-trunc hmac(sha1) 0x${byte.repeat(20)} 96`;
const cbc = (byte: string) => `${sha1(byte)} enc cbc(aes) 0x${byte.repeat(32)}`;

/** All of it with these back ends. */
export function changes(given: Kernels): void {
  const name = nameOf(given);
  const withPfkey = hasPfkey(given);
  /** Keys of an ESP SA, other ones, and those of an AH SA: of algorithms that both kernels have. */
  const KEY = withPfkey ? cbc("1b") : GCM;
  const OTHER_KEY = withPfkey ? cbc("2c") : GCM.replaceAll("1b", "2c");
  const AH = withPfkey ? sha1("3d") : `auth-trunc hmac(sha256) 0x${"3d".repeat(32)} 128`;

  test(`${name}: a slave with records of its own joins`, async () => {
    kernels = given;
    lab = await Network.build();
    await lab.gw2.ip(
      `xfrm state add src ${gw2.sync.v4} dst 203.0.113.9 proto esp spi 0x900 mode tunnel ${GCM}`,
      `xfrm state add src ${OWN} dst ${client.pub.v4} proto esp spi 0x901 mode tunnel ${GCM}`,
      `xfrm policy add src ${gw2.sync.v4} dst 203.0.113.9 dir out tmpl src ${gw2.sync.v4} dst 203.0.113.9 proto esp mode tunnel`,
    );
    charon = await Charon.start(lab.gw2, {
      ...GATEWAY_TUNNEL,
      local: OWN,
      localNets: [PREFIX.in.v4],
      remoteNets: [PREFIX.inner.v4],
      child: "start_action = trap",
    });
    await eventually("trap", async () => (await countKernel(lab.gw2)).policies >= 2);
    ownBefore = await readOwn();
    await lab.gw1.ip(`xfrm state add ${V4} proto esp spi 0x100 mode tunnel ${KEY}`);
    await startMaster();
    await startSlave();
    await settled();
  });

  test(`${name}: updates and deletions of SAs and policies`, async () => {
    await lab.gw1.ip(
      `xfrm state add ${V4} proto esp spi 0x101 mode tunnel ${KEY} encap espinudp 4500 4500 0.0.0.0`,
      `xfrm state add ${V4} proto ah spi 0x102 mode tunnel ${AH}`,
      `xfrm state add ${V4} proto comp spi 0x103 mode tunnel comp deflate`,
      `xfrm policy add dst 10.50.0.0/16 dir out priority 5 ${TUNNEL}`,
      "xfrm policy add dst 10.51.0.0/16 dir out action block",
    );
    await settled();
    await lab.gw1.ip(
      `xfrm state update ${V4} proto esp spi 0x101 mode tunnel ${KEY} encap espinudp 4500 4600 0.0.0.0 limit byte-hard 5000`,
      `xfrm state del ${V4} proto esp spi 0x100`,
      `xfrm policy update dst 10.50.0.0/16 dir out priority 6 action block`,
      "xfrm policy del dst 10.51.0.0/16 dir out",
    );
    await settled();
    await lab.gw1.ip(
      `xfrm state del ${V4} proto esp spi 0x101`,
      `xfrm state add ${V4} proto esp spi 0x101 mode tunnel ${OTHER_KEY}`,
    );
    await settled();
  });

  test(`${name}: a flush of one protocol takes that one only, a flush of all takes all`, async () => {
    await lab.gw1.run("ip", "xfrm", "state", "flush", "proto", "esp");
    await settled();
    const { states } = await readKernel(lab.gw2, shared);
    assertEquals(states.map(({ id }) => / (esp|ah|comp) /.exec(id)?.[1]).toSorted(), ["ah", "comp"]);
    await lab.gw1.run("ip", "xfrm", "state", "flush");
    await lab.gw1.run("ip", "xfrm", "policy", "flush");
    await settled();
    const after = await readKernel(lab.gw2, shared);
    assertEquals([after.states, after.policies], [[], []]);
  });

  if (!withPfkey) {
    test(`${name}: SAs that differ in their mark only`, async () => {
      const sa = (mark: number) => `${V4} proto esp spi 0x200 mark ${mark} mask 0xff`;
      const add = (mark: number, key: string) =>
        `xfrm state add ${V4} proto esp spi 0x200 mode tunnel mark ${mark} mask 0xff ${key}`;
      await lab.gw1.ip(add(1, KEY), add(2, KEY), add(3, KEY));
      await settled();
      await lab.gw1.ip(`xfrm state del ${sa(2)}`);
      await settled();
      await lab.gw1.ip(`xfrm state del ${sa(1)}`, add(1, OTHER_KEY));
      await settled();
      assertEquals((await readKernel(lab.gw2, shared)).states.length, 2);
    });
  }

  test(`${name}: the winner of overlapping block and allow policies is the same on both gateways`, async () => {
    const [block, allow] = [BLOCK, ALLOW];
    await lab.gw1.ip(`xfrm policy add ${block} action block`, `xfrm policy add ${allow} action allow`);
    await settled();
    assertEquals(await both(), [0, 0]);
    await lab.gw1.ip(`xfrm policy del ${block}`, `xfrm policy add ${block} action block`);
    await settled();
    assertEquals(await both(), [2, 2]);
    await lab.gw1.ip(`xfrm policy del ${allow}`, `xfrm policy add ${allow} action allow`);
    await settled();
    assertEquals(await both(), [0, 0]);
    await lab.gw1.ip(`xfrm policy del ${block}`, `xfrm policy del ${allow}`);
    await settled();
  });

  test(`${name}: the winner stays the same when a policy is updated in place, for those who join later, too`, async () => {
    await lab.gw1.ip(
      `xfrm policy add ${BLOCK} action block`,
      `xfrm policy add ${ALLOW} action allow`,
      `xfrm policy del ${BLOCK}`,
      `xfrm policy add ${BLOCK} action block`, // allow is the older one now
      `xfrm policy update ${ALLOW} action allow`, // and is listed as the newer one
    );
    await settled();
    assertEquals(await both(), [2, 2]);
    const from = slave.log.length;
    await master.kill();
    await startMaster();
    await slave.waitForLog(/synchronised with/, 60_000, from);
    await settled();
    assertEquals(await both(), [2, 2]);
    await slave.kill();
    await lab.gw2.ip(`xfrm policy del ${BLOCK}`, `xfrm policy del ${ALLOW}`);
    await startSlave();
    await settled();
    assertEquals(await both(), [2, 2]);
  });

  test(`${name}: a tunnel whose end is moved follows, and no policy changes its place`, async () => {
    // The block is moved to the priority of an allow that is as new as it: by its index it is the older one.
    await lab.gw1.ip(
      `xfrm state add ${V4} proto esp spi 0x600 reqid 60 mode tunnel ${KEY}`,
      `xfrm policy add src 10.60.0.0/16 dst 10.61.0.0/16 dir out ${TUNNEL} reqid 60`,
      `xfrm policy del ${BLOCK}`,
      `xfrm policy del ${ALLOW}`,
      `xfrm policy add ${BLOCK} action block priority 5`,
      `xfrm policy add ${ALLOW} action allow priority 6`,
      `xfrm policy update ${BLOCK} action block priority 6`,
    );
    await settled();
    assertEquals(await both(), [2, 2]);
    const from = master.log.length;
    assertEquals(await migrate(lab.gw1, 60, client.pub.v4, "192.0.2.77"), "0\n");
    await master.waitForLog(/comparing with the kernel: endpoints were migrated/, 10_000, from);
    await settled();
    const { states } = await readKernel(lab.gw2, shared);
    assertEquals(states.filter(({ id }) => id.endsWith("600")).map(({ id }) => id), [
      `state ${virtual.pub.v4} > 192.0.2.77 esp 0x00000600`,
    ]);
    assertEquals(await both(), [2, 2]);
    await lab.gw1.ip(
      `xfrm policy del ${BLOCK}`,
      `xfrm policy del ${ALLOW}`,
      "xfrm policy del src 10.60.0.0/16 dst 10.61.0.0/16 dir out",
      `xfrm state del src ${virtual.pub.v4} dst 192.0.2.77 proto esp spi 0x600`,
    );
    await settled();
  });

  test(`${name}: a shared policy displaces charon's trap, which is put back when it goes`, async () => {
    const selector = `src ${PREFIX.in.v4} dst ${PREFIX.inner.v4} dir out`;
    await lab.gw1.ip(`xfrm policy add ${selector} priority 77 ${TUNNEL}`);
    await eventually(
      "displaced trap",
      async () => (await lab.gw2.run("ip", "xfrm", "policy")).includes("priority 77"),
    );
    await lab.gw1.ip(`xfrm policy del ${selector}`);
    await settled();
  });

  test(`${name}: an SA that expires on the master disappears on the slave`, async () => {
    await lab.gw1.ip(`xfrm state add ${V4} proto esp spi 0x400 mode tunnel ${KEY} limit time-hard 4`);
    const has = async () =>
      (await readKernel(lab.gw2, shared)).states.some(({ id }) => id.includes("0x00000400"));
    await eventually("SA on the slave", has);
    await eventually("expiry on the slave", async () => !await has(), 30_000);
    await settled();
  });

  test(`${name}: 1,000 changes as fast as ip makes them, many of the same records`, async () => {
    const lines = Array.from({ length: 200 }, (_, i) => {
      const spi = 0x3000 + i % 80;
      const net = `dst 10.70.${i % 60}.0/24 dir out`;
      return [
        `xfrm state add ${V4} proto esp spi ${spi} reqid ${i} mode tunnel ${KEY}`,
        `xfrm policy update ${net} priority ${i % 7} ${TUNNEL}`,
        ...(i < 120
          ? [`xfrm state del ${V4} proto esp spi ${spi}`]
          : [`xfrm policy update ${net} priority 9 ${TUNNEL}`]),
        `xfrm policy del ${net}`,
        `xfrm policy add ${net} priority ${i % 5} ${i % 2 ? TUNNEL : "action block"}`,
      ];
    }).flat();
    assertEquals(lines.length, 1000);
    const start = performance.now();
    await lab.gw1.ip(...lines);
    const made = performance.now();
    await waitEqual(lab.gw1, lab.gw2, 60_000, { ...shared, anyOrder: true });
    assertEquals(await readOwn(), ownBefore);
    step(
      `1,000 changes: made in ${Math.round(made - start)} ms, equal ${
        Math.round(performance.now() - made)
      } ms later`,
    );
    assertEquals((await readKernel(lab.gw2, shared)).states.length, withPfkey ? 80 : 82); // two differ in their mark
  });

  test(`${name}: all end as they should`, async () => {
    await charon.stop();
    for (const daemon of [slave, master]) assertEquals(await daemon.stop(), 0);
  });
}
