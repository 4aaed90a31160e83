/**
 * What a takeover leaves behind, and what a master's daemon that is restarted alone does: a tunnel of strongSwan goes on,
 * and inherited SAs get their true limits without losing counters, dates or windows.
 */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  Capture,
  Charon,
  CLIENT_TUNNEL,
  delay,
  eventually,
  GATEWAY_TUNNEL,
  guest,
  Network,
  type Node,
  repeated,
  type Sasyncd,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";
import { allRefused, countersOf, give, startDaemon, take, waitForRole, Warm } from "./failover.ts";
import { Traffic } from "./traffic.ts";

guest({ limitSeconds: 300 });

const { client, virtual } = ADDRESS;
const espProposals = "aes256gcm16-esn";

/** Limits besides all else: of a slave they are others. */
const LIMITS = { include: ["time", "soft"] } as const;

let lab: Network;
let warm: Warm;
let one: Sasyncd;
let two: Sasyncd;
let traffic: Traffic;
let capture: Capture;
let refused: number[];

/** When the SAs of a kernel were made and first used, by destination and SPI, as `ip` prints it. */
async function datesOf(node: Node): Promise<Map<string, string>> {
  const text = await node.run("ip", "-s", "xfrm", "state");
  return new Map(
    text.split(/^(?=src )/m).flatMap((entry) => {
      const [, dst, spi] = /^src \S+ dst (\S+)\n\s+proto esp spi (0x[0-9a-f]+)/.exec(entry) ?? [];
      return dst === undefined ? [] : [[`${dst} ${spi}`, /^\s+(add .*)$/m.exec(entry)?.[1] ?? ""]];
    }),
  );
}

/** The other gateway gets the addresses; both are alive. */
async function move(from: Node, to: Node, heir: Sasyncd, other: Sasyncd): Promise<void> {
  const [heirFrom, otherFrom] = [heir.log.length, other.log.length];
  await warm.do(take(from), give(to));
  await waitForRole(heir, "MASTER", heirFrom);
  await other.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000, otherFrom);
}

test("network, daemons, a tunnel and traffic", async () => {
  lab = await Network.build();
  warm = await Warm.start(lab);
  await warm.do(give(lab.gw1));
  one = await startDaemon(lab.gw1);
  two = await startDaemon(lab.gw2);
  await waitForRole(one, "MASTER");
  await two.waitForLog(/synchronised with/);
  await Charon.start(lab.gw1, { ...GATEWAY_TUNNEL, espProposals });
  const peer = await Charon.start(lab.client, { ...CLIENT_TUNNEL, espProposals });
  await peer.initiate();
  await waitEqual(lab.gw1, lab.gw2);
  refused = await allRefused(lab);
  capture = await Capture.start(lab.client);
  traffic = await Traffic.start(lab, client.inner.v4);
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(`the master's daemon alone ends by ${signal} and starts again: nothing is lost`, async () => {
    const mark = traffic.mark();
    const from = two.log.length;
    await one.process.end(signal);
    await lab.gw1.ip(
      "xfrm state add src 192.0.2.77 dst 192.0.2.78 proto esp spi 0x5000 aead 'rfc4106(gcm(aes))' " +
        `0x${"12".repeat(20)} 128`,
    ); // nobody tells of it
    await traffic.more(50);
    one = await startDaemon(lab.gw1);
    await two.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000, from);
    await waitEqual(lab.gw1, lab.gw2);
    const [epoch] = await one.waitForLog(/master in epoch \d+: .*/);
    await lab.gw1.ip("xfrm state delete src 192.0.2.77 dst 192.0.2.78 proto esp spi 0x5000");
    await waitEqual(lab.gw1, lab.gw2);
    await traffic.more(50);
    step(`${signal}: ${epoch}; ${traffic.tell(mark)}`);
    assertEquals(traffic.since(mark).lost, 0);
    assertEquals(await allRefused(lab), refused);
  });
}

test("after a takeover the true limits are set: counters, windows and dates go on", async () => {
  await traffic.more(100);
  await delay(1500); // a report of every SA
  const [dates, before] = [await datesOf(lab.gw2), await countersOf(lab.gw2)];
  const from = two.log.length;
  const mark = traffic.mark();
  await warm.do(...["down s-gw1", take(lab.gw1), give(lab.gw2)]); // gw1 stands as it was, a witness
  await waitForRole(two, "MASTER", from);
  await waitEqual(lab.gw1, lab.gw2, 60_000, LIMITS);
  await traffic.more(100);
  const [datesNow, after] = [await datesOf(lab.gw2), await countersOf(lab.gw2)];
  step(`limits set; ${traffic.tell(mark)}; ${[...dates].map((pair) => pair.join(" ")).join("; ")}`);
  assertEquals(await allRefused(lab), refused);
  assertEquals(datesNow, dates);
  assert(before.size > 0);
  for (const [key, { oseq, seq }] of before) {
    const now = after.get(key)!;
    step(`${key}: oseq ${oseq} then ${now.oseq}, seq ${seq} then ${now.seq}`);
    assert(now.oseq >= oseq && now.seq >= seq && (now.oseq > oseq || now.seq > seq));
  }
  await warm.do("up s-gw1");
  await one.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000);
});

test("an SA that was inherited ends when it would have ended", async () => {
  const state = `src ${virtual.pub.v4} dst ${client.pub.v4} proto esp spi 0x4001`;
  const events = lab.gw1.spawn("ip", "-ts", "xfrm", "monitor", "expire");
  const madeMs = performance.now();
  const limits = "limit time-soft 2 limit time-hard 15";
  await lab.gw2.ip(`xfrm state add ${state} aead rfc4106(gcm(aes)) 0x${"13".repeat(20)} 128 ${limits}`);
  await waitEqual(lab.gw1, lab.gw2);
  await delay(3000); // the soft limit has passed
  await move(lab.gw2, lab.gw1, one, two);
  const has = async (node: Node) => (await node.run("ip", "xfrm", "state")).includes("spi 0x00004001");
  assert(await has(lab.gw1));
  await eventually("end of the SA", async () => !(await has(lab.gw1) || await has(lab.gw2)), 60_000);
  const seconds = (performance.now() - madeMs) / 1000;
  step(`an SA of 15 s ended after ${seconds.toFixed(1)} s; on gw1: ${events.lines.join(" ")}`);
  assert(seconds < 60); // a slave's limit is 75 s
  await events.end();
});

test("no sequence number went out twice", async () => {
  await traffic.more(50);
  assertEquals(await allRefused(lab), refused);
  await traffic.stop();
  assertEquals(repeated(await capture.stop()).length, 0);
  for (const daemon of [one, two]) assertEquals(await daemon.stop(), 0);
});
