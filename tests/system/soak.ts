/**
 * Hours in minutes: `soak.ts MINUTES [SEED]`, in the laboratory's guest. A master and two slaves with 2,000 SAs that get
 * new keys all the time; every minute a daemon is killed with SIGKILL, and now and then a link is cut. After each minute
 * the kernels have to become equal; in the end nothing may have grown, and no line of the logs be unexplained. The
 * slave on gw3 is never killed, and the master only in the first half: theirs is the memory that is judged.
 */

import { randomOf } from "../sim/world.ts";
import { formatTable } from "../bench/table.ts";
import {
  ADDRESS,
  delay,
  INSIDE_GUEST,
  Network,
  runInGuest,
  step,
  waitEqual,
  whatIsMissing,
} from "./lab/mod.ts";
import { Daemon } from "./soak/daemon.ts";
import { Load } from "./soak/load.ts";

const MINUTE_MS = 60_000;
const SAMPLE_MS = 5_000;
/** How long the kernels may take to become equal once nothing changes. */
const QUIET_MS = 30_000;
const GATEWAYS = ["gw1", "gw2", "gw3"] as const;

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

function configuration(own: typeof GATEWAYS[number]): string {
  return [
    `mode ${own === "gw1" ? "master" : "slave"}`,
    `listen on ${ADDRESS[own].sync.v4}`,
    ...GATEWAYS.filter((peer) => peer !== own).map((peer) => `peer ${ADDRESS[peer].sync.v4}`),
    `sharedkey 0x${"5a".repeat(32)}`,
    "control none",
    "",
  ].join("\n");
}

async function soak(): Promise<number> {
  const random = randomOf(seed);
  const lab = await Network.build({ gateways: 3 });
  const [master, slave, survivor] = lab.gateways.map((node, i) =>
    new Daemon(node, configuration(GATEWAYS[i]!))
  );
  const daemons = [master!, slave!, survivor!];
  const load = new Load(lab.gw1, random);
  const equal = async () => {
    // The policies do not overlap, so their order decides nothing.
    for (const node of lab.gateways.slice(1)) await waitEqual(lab.gw1, node, QUIET_MS, { anyOrder: true });
  };
  await load.fill();
  for (const daemon of daemons) await daemon.start();
  await equal();
  const processes = countProcesses();

  const sampling = setInterval(() => daemons.forEach((daemon) => daemon.sample()), SAMPLE_MS);
  for (let minute = 0; minute < minutes; minute++) {
    const end = performance.now() + MINUTE_MS;
    load.start();
    const victims = minute < minutes / 2 ? [master!, slave!] : [slave!];
    await Promise.all([
      killOne(victims[Math.floor(random() * victims.length)]!, random),
      random() < 0.5 ? cutOne(lab, random) : undefined,
    ]);
    await delay(end - performance.now());
    await load.stop();
    await equal();
    const memory = daemons.map((daemon) => daemon.now()).join(", ");
    step(`minute ${minute + 1} of ${minutes}: ${load.changes} changes; ${memory}`);
  }
  clearInterval(sampling);
  return await judge(daemons, load, processes);
}

async function killOne(daemon: Daemon, random: () => number): Promise<void> {
  await delay(random() * 20_000);
  await daemon.kill();
  await delay(random() * 5_000);
  await daemon.start();
}

async function cutOne(lab: Network, random: () => number): Promise<void> {
  const port = `s-${GATEWAYS[Math.floor(random() * GATEWAYS.length)]}`;
  await delay(random() * 30_000);
  step(`the link ${port} is cut`);
  await lab.cut(port);
  await delay(2_000 + random() * 10_000);
  await lab.join(port);
  step(`the link ${port} is back`);
}

/** Prints the figures. @returns the exit status */
async function judge(daemons: readonly Daemon[], load: Load, processes: number): Promise<number> {
  const judged = daemons.filter((_, i) => i !== 1).map((daemon) => daemon.growth());
  const cpu = daemons.map((daemon) => daemon.cpuSeconds().toFixed(1)).join(", ");
  const left = countProcesses();
  for (const daemon of daemons) await daemon.stop();
  const unexplained = daemons.flatMap((daemon) => daemon.unexplained);
  console.log(formatTable([
    ["", "lives", "samples", "memory, MiB", "descriptors"],
    ...judged.map(({ row }) => row),
  ]));
  console.log(
    `${load.changes} changes; CPU of the last lives ${cpu} s; ${left} processes, at first ${processes}`,
  );
  for (const line of unexplained) console.log(`unexplained: ${line}`);
  const isWell = unexplained.length === 0 && left === processes && judged.every((one) => one.isWell);
  console.log(isWell ? "all is well" : "something is wrong");
  return isWell ? 0 : 1;
}

/** Processes of sasyncd: a keeper that outlives its daemon would be one too many. */
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
