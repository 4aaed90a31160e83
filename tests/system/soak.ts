/**
 * Hours in minutes: `soak.ts MINUTES [SEED]`, in the laboratory's guest. Three gateways with 2,000 SAs, all of which get
 * new keys every 10 minutes. Every 5 minutes the address moves to another gateway, every 7 a process of gw1's or gw2's
 * daemon is killed, and links are cut. After each takeover and in the end the kernels have to be equal and nothing may
 * be lost; no sequence number may go out twice, nothing may grow, and no line of the logs be unexplained. gw3's daemon is
 * never killed: its memory is the one that is watched for longest. Shorter runs than 30 minutes have shorter intervals.
 */

import { randomOf } from "../sim/world.ts";
import {
  ADDRESS,
  Capture,
  configurationOf,
  delay,
  INSIDE_GUEST,
  Network,
  repeated,
  runInGuest,
  THREE,
  whatIsMissing,
} from "./lab/mod.ts";
import { Daemon } from "./soak/daemon.ts";
import { Load, ROUTE } from "./soak/load.ts";
import { Run } from "./soak/run.ts";
import { makeSchedule } from "./soak/schedule.ts";

const SAMPLE_MS = 5_000;

const [minutes = NaN, seed = Date.now() % 1_000_000] = Deno.args.map(Number);
if (!(minutes >= 4)) {
  console.error("usage: soak.ts MINUTES [SEED], at least 4 minutes");
  Deno.exit(2);
}
Deno.exit(INSIDE_GUEST ? await soak() : await boot());

/** @returns the exit status; a machine that cannot boot the guest is told why. */
async function boot(): Promise<number> {
  const missing = whatIsMissing();
  if (missing !== "") {
    console.log(`the soak test cannot run here: ${missing}`);
    return 1;
  }
  console.log(`seed ${seed}`);
  const args = ["run", "-A", "--no-check", "--cached-only", new URL(import.meta.url).pathname];
  const settings = { memory: "2G", limitSeconds: minutes * 90 + 180 };
  return await runInGuest([...args, `${minutes}`, `${seed}`], settings, (text) => {
    Deno.stdout.writeSync(new TextEncoder().encode(text));
  });
}

function configuration(own: string): string {
  const lines = [`interface pub address ${ADDRESS.virtual.pub.v4}`, "control none"];
  return configurationOf(own, lines, { gateways: THREE });
}

async function soak(): Promise<number> {
  const random = randomOf(seed);
  const { events, rekeyAllMs } = makeSchedule(minutes, random);
  const lab = await Network.build({ gateways: 3 });
  for (const node of lab.gateways) await node.ip(ROUTE);
  await lab.virtualUp(lab.gw1);
  const daemons = lab.gateways.map((node) => new Daemon(node, configuration(node.name)));
  const run = new Run(lab, daemons, new Load(lab.gw1, random, rekeyAllMs), random);
  const capture = await Capture.start(lab.client, 64);
  await run.load.fill();
  for (const daemon of daemons) await daemon.start();
  await run.settle();
  const processes = countProcesses();

  const startMs = performance.now();
  const sampling = setInterval(() => daemons.forEach((daemon) => daemon.sample()), SAMPLE_MS);
  run.load.start();
  for (const event of events) {
    await delay(startMs + event.atMs - performance.now());
    await run.do(event);
  }
  await delay(startMs + minutes * 60_000 - performance.now());
  await run.load.stop();
  await run.settle();
  const left = countProcesses();
  clearInterval(sampling);
  for (const daemon of daemons) await daemon.stop();
  run.check(left === processes, `${left} processes, at first ${processes}`);
  const packets = await capture.stop();
  const twice = repeated(packets);
  run.check(twice.length === 0, `${packets.length} ESP packets, ${twice.length} twice`);
  for (const { spi, seq, sender, at } of twice) {
    console.log(`twice: 0x${spi.toString(16)} ${seq} from ${sender}, ${new Date(at * 1000).toISOString()}`);
  }
  return run.judge();
}

/** Processes of sasyncd: a helper that outlives its daemon would be one too many. */
function countProcesses(): number {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name) && nameOf(name) === "sasyncd")
    .length;
}

function nameOf(pid: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/comm`).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return ""; // it has ended meanwhile
    throw error;
  }
}
