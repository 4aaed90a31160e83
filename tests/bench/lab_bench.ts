/**
 * The figures on Linux kernels, all from one run of a guest: the snapshot of 10,000 SAs from master to slave against
 * two baselines, and how long a change on the master's kernel takes to the slave's kernel.
 */

import {
  ADDRESS,
  countKernel,
  INSIDE_GUEST,
  Network,
  Node,
  type Process,
  runInGuest,
  Sasyncd,
  step,
  whatIsMissing,
} from "../system/lab/mod.ts";
import { ipLine } from "./load.ts";
import { formatTable, grouped } from "./table.ts";

const COUNT = 10_000;
const CHANGES = 1_000;
const MINUTES = 60_000;

if (INSIDE_GUEST) await bench().then(() => Deno.exit(0)); // the daemons end with the guest
else Deno.exit(await boot());

/** @returns the exit status; a machine that cannot boot the guest is told why. */
async function boot(): Promise<number> {
  const missing = whatIsMissing();
  if (missing !== "") {
    console.log(`figures on Linux kernels left out: ${missing}`);
    return Deno.env.get("CI") === "true" ? 1 : 0;
  }
  const file = new URL(import.meta.url).pathname;
  const settings = { memory: "2G", limitSeconds: 500 };
  return await runInGuest(["run", "-A", "--no-check", "--cached-only", file], settings, (text) => {
    Deno.stdout.writeSync(new TextEncoder().encode(text));
  });
}

async function bench(): Promise<void> {
  const batch = await benchBatch();
  const bare = await benchBareLoop();
  const { gw1, gw2 } = await Network.build();
  await load(gw1);
  const master = await Sasyncd.start(gw1, configuration("master"));
  await master.waitForLog(/master in epoch/, MINUTES);
  const { perSecond, rows } = await benchSnapshot(master, gw2);
  const latencies = await benchLatency(gw1, gw2);
  const ratio = (base: number) => (perSecond / base).toFixed(2);
  console.log(formatTable([
    ["", "measured", "aim"],
    [`ip -batch, ${grouped(COUNT)} AES-GCM SAs`, `${grouped(batch)} SAs/s`, ""],
    ["bare loop, 64 requests per send", `${grouped(bare)} SAs/s`, ""],
    ["snapshot master -> slave", `${grouped(perSecond)} SAs/s`, ""],
    ["  as a ratio to ip -batch", ratio(batch), ">= 3"],
    ["  as a ratio to the bare loop", ratio(bare), ">= 0.8"],
    ...rows,
    [`latency of ${grouped(CHANGES)} changes, median`, `${quantile(latencies, 0.5).toFixed(2)} ms`, "< 5 ms"],
    ["  99th percentile", `${quantile(latencies, 0.99).toFixed(2)} ms`, ""],
  ]));
}

/** First baseline. @returns SAs per second */
async function benchBatch(): Promise<number> {
  const node = await Node.create("batch");
  const file = `${node.folder}/states`;
  await Deno.writeTextFile(file, Array.from({ length: COUNT }, (_, i) => `${ipLine(i)}\n`).join(""));
  const start = performance.now();
  await node.run("ip", "-batch", file);
  const ms = performance.now() - start;
  step(`ip -batch: ${ms.toFixed(0)} ms`);
  await expectStates(node, COUNT);
  await node.run("ip", "xfrm", "state", "flush");
  return COUNT / ms * 1000;
}

/** Second baseline. @returns SAs per second */
async function benchBareLoop(): Promise<number> {
  const node = await Node.create("bare");
  const ms = await load(node);
  await expectStates(node, COUNT);
  await node.run("ip", "xfrm", "state", "flush");
  return COUNT / ms * 1000;
}

/** Fills a kernel. @returns the milliseconds that the kernel took */
async function load(node: Node): Promise<number> {
  const ms = Number(await node.run(...script("netlink_load.ts", COUNT)));
  step(`${node.name}: bare loop: ${ms.toFixed(0)} ms`);
  return ms;
}

/** Starts the slave; the time goes from its question to its last SA in the kernel. */
async function benchSnapshot(
  master: Sasyncd,
  gw2: Node,
): Promise<{ perSecond: number; rows: string[][] }> {
  const slave = await Sasyncd.start(gw2, configuration("slave"));
  await slave.waitForLog(/following/, MINUTES);
  const start = performance.now();
  const before = [master, slave].map((daemon) => daemon.usage());
  await slave.waitForLog(/synchronised with/, MINUTES);
  const ms = performance.now() - start;
  const after = [master, slave].map((daemon) => daemon.usage());
  step(`snapshot: ${ms.toFixed(0)} ms`);
  await expectStates(gw2, COUNT);
  const rows = ["master", "slave"].flatMap((name, i) => [
    [`  CPU of the ${name}`, `${(after[i]!.cpuSeconds - before[i]!.cpuSeconds).toFixed(2)} s`, ""],
    [`  peak memory of the ${name}`, `${after[i]!.peakMemoryMiB.toFixed(0)} MiB`, "< 250 MB"],
  ]);
  return { perSecond: COUNT / ms * 1000, rows };
}

/** One change after the other on gw1. @returns milliseconds to gw2, in rising order */
async function benchLatency(gw1: Node, gw2: Node): Promise<number[]> {
  const listener = gw2.spawn(...script("latency_listener.ts", CHANGES));
  await listener.waitForLine(/listening/, MINUTES);
  step(`${CHANGES} changes, one by one`);
  const sender = gw1.spawn(...script("latency_sender.ts", COUNT, CHANGES));
  for (const process of [sender, listener]) await expectSuccess(process);
  const heard = moments(listener);
  return [...moments(sender)].map(([spi, sent]) => heard.get(spi)! - sent).toSorted((a, b) => a - b);
}

/** When which SPI was sent or heard. */
function moments({ lines }: Process): Map<string, number> {
  return new Map(
    lines.filter((line) => /^\d+ /.test(line)).map((line) => {
      const [spi = "", moment] = line.split(" ");
      return [spi, Number(moment)];
    }),
  );
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** A script beside this file. A node sees no cache of Deno's: the scripts need none. */
function script(name: string, ...args: number[]): string[] {
  const file = new URL(name, import.meta.url).pathname;
  return [Deno.execPath(), "run", "-A", "--no-check", "--no-config", "--no-lock", file, ...args.map(String)];
}

async function expectSuccess(process: Process): Promise<void> {
  if (await process.ended !== 0) throw new Error(`a script failed:\n${process.tail()}`);
}

async function expectStates(node: Node, count: number): Promise<void> {
  const { states } = await countKernel(node);
  if (states !== count) throw new Error(`${node.name} has ${states} SAs, expected ${count}`);
}

function configuration(mode: "master" | "slave"): string {
  const [own, peer] = mode === "master" ? [ADDRESS.gw1, ADDRESS.gw2] : [ADDRESS.gw2, ADDRESS.gw1];
  return [
    `mode ${mode}`,
    `listen on ${own.sync.v4}`,
    `peer ${peer.sync.v4}`,
    `sharedkey 0x${"5a".repeat(32)}`,
    "",
  ].join("\n");
}
