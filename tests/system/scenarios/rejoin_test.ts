/**
 * A slave that comes back: after a cut link only what differs travels, after a crash its kernel is only changed where
 * it differs; and what somebody does to its kernel is undone.
 */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  eventually,
  fixedConfiguration,
  guest,
  Network,
  type Node,
  Sasyncd,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";

guest({ limitSeconds: 400 });

const SAS = 2000;
/** New SAs, and as many that go: 100 changes. */
const RENEWED = 50;

let lab: Network;
let master: Sasyncd;
let slave: Sasyncd;
/** Bytes that the slave received for the first snapshot. */
let snapshotBytes: number;
let oldest = 0x1000;
/** Comes and goes until somebody has seen it. */
const PROBE = 9;

const id = (spi: number) =>
  `src ${ADDRESS.virtual.pub.v4} dst ${ADDRESS.client.pub.v4} proto esp spi 0x${spi.toString(16)}`;
const add = (spi: number) =>
  `xfrm state add ${id(spi)} mode tunnel replay-window 64 aead rfc4106(gcm(aes)) 0x${
    spi.toString(16).padStart(8, "0").repeat(5)
  } 128`;
const remove = (spi: number) => `xfrm state delete ${id(spi)}`;
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

/** What a client's new keys come to: the oldest SAs go, and new ones come. */
async function rekey(): Promise<void> {
  await lab.gw1.ip(...range(oldest + SAS, RENEWED).map(add), ...range(oldest, RENEWED).map(remove));
  oldest += RENEWED;
}

async function received(node: Node): Promise<number> {
  return Number(await node.run("cat", "/sys/class/net/sync/statistics/rx_bytes"));
}

async function startSlave(): Promise<number> {
  const before = await received(lab.gw2);
  slave = await Sasyncd.start(lab.gw2, fixedConfiguration("slave"));
  await slave.waitForLog(/synchronised with .*: 2000 records/, 90_000);
  return await received(lab.gw2) - before;
}

test("a slave gets 2,000 SAs", async () => {
  lab = await Network.build();
  await lab.gw1.ip(...range(oldest, SAS).map(add));
  master = await Sasyncd.start(lab.gw1, fixedConfiguration("master"));
  await master.waitForLog(/master in epoch/);
  snapshotBytes = await startSlave();
  step(`a snapshot took ${snapshotBytes} bytes`);
  await waitEqual(lab.gw1, lab.gw2);
});

test("a slave whose link was cut during 100 changes is given what differs", async () => {
  const from = slave.log.length;
  await lab.cut("s-gw2");
  await slave.waitForLog(/disconnected/, 60_000, from);
  await rekey();
  const before = await received(lab.gw2);
  const startedAt = performance.now();
  await lab.join("s-gw2");
  await slave.waitForLog(/synchronised with .*: 2000 records/, 60_000, from);
  const bytes = await received(lab.gw2) - before;
  const share = 100 * bytes / snapshotBytes;
  step(
    `${bytes} bytes, ${share.toFixed(1)} %, ${
      Math.round(performance.now() - startedAt)
    } ms from the cable on`,
  );
  await waitEqual(lab.gw1, lab.gw2);
  // the new ones are 2.5 % of all; the connection itself, digests and acknowledgements are some kilobytes
  assert(share < 7, `${share} % of a snapshot`);
});

test("an SA that somebody deletes on the slave is put back, and so is one that was changed", async () => {
  const from = slave.log.length;
  await lab.gw2.ip(
    remove(oldest),
    `xfrm state update ${add(oldest + 1).slice("xfrm state add ".length)} reqid 9`,
  );
  await slave.waitForLog(/putting back SA esp .*: deleted in this kernel/, 20_000, from);
  await waitEqual(lab.gw1, lab.gw2, 20_000);
});

test("a slave whose daemon was killed during 100 changes changes its kernel only where it differs", async () => {
  await slave.kill();
  await rekey();
  const watch = lab.gw2.spawn("stdbuf", "-oL", "ip", "xfrm", "monitor", "SA");
  await eventually("event", async () => {
    await lab.gw2.ip(add(PROBE), remove(PROBE));
    return watch.lines.length > 0;
  });
  step(`${await startSlave()} bytes after the crash`);
  await waitEqual(lab.gw1, lab.gw2);
  await watch.end("SIGTERM");
  // the line behind tells of the SPI
  const spis = (start: string) =>
    watch.lines.flatMap((line, i) => {
      const spi = line.startsWith(start) ? /spi (0x\w+)/.exec(watch.lines[i + 1] ?? "")?.[1] : undefined;
      return spi === undefined || Number(spi) === PROBE ? [] : [Number(spi)];
    });
  const [made, deleted] = [spis("src"), spis("Deleted src")];
  step(`made ${made.map((spi) => spi.toString(16))}, deleted ${deleted.map((spi) => spi.toString(16))}`);
  assertEquals(new Set(made).isSupersetOf(new Set(range(oldest + SAS - RENEWED, RENEWED))), true);
  assertEquals(new Set(deleted).isSupersetOf(new Set(range(oldest - RENEWED, RENEWED))), true);
  assert(made.length < RENEWED + 10 && deleted.length < RENEWED + 10, "hardly anything else");
});

test("both daemons end as they should", async () => {
  for (const daemon of [slave, master]) assertEquals(await daemon.stop(), 0);
});
