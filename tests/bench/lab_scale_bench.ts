/**
 * How the cost grows on Linux kernels: `lab_scale_bench.ts [SAS]`, with a tenth as many policies. In a guest a slave
 * joins a master, misses changes, is started anew, and takes over; in the end both kernels have to be equal.
 */

import { formatAddress } from "../../src/record/address.ts";
import {
  compareTables,
  countKernel,
  delay,
  eventually,
  EXECUTABLE,
  INSIDE_GUEST,
  Network,
  parseKernel,
  runInGuest,
  type Sasyncd,
  step,
  whatIsMissing,
} from "../system/lab/mod.ts";
import { give, startDaemon, take, waitForRole, Warm } from "../system/scenarios/failover.ts";
import { ipLine, saOf } from "./load.ts";
import { formatTable, grouped } from "./table.ts";

const SAS = Number(Deno.args[0] ?? 5_000);
const POLICIES = Math.floor(SAS / 10);
/** New SAs, and as many that go: 100 changes. */
const RENEWED = 50;
/** So long after its snapshot a slave has heard its master again, and trusts its leases. */
const HEARD_MS = 3_000;
/** Longer than a lease is good. */
const STALE_MS = 6_000;
const PATIENCE_MS = 900_000;
const SYNCHRONISED = new RegExp(`synchronised with .*: ${SAS + POLICIES} records`);

/** A name and a figure each. */
const rows: string[][] = [[`${grouped(SAS)} SAs, ${grouped(POLICIES)} policies`, "measured"]];
/** SAs before this one have been deleted, and as many come after the last. */
let oldest = 0;
let lab: Network;
let warm: Warm;

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
  // some 50 KB for an SA, in two kernels and two daemons
  const settings = { memory: `${1500 + Math.ceil(SAS / 20)}M`, limitSeconds: 300 + Math.ceil(SAS / 50) };
  return await runInGuest(["run", "-A", "--no-check", "--cached-only", file, `${SAS}`], settings, (text) => {
    Deno.stdout.writeSync(new TextEncoder().encode(text));
  });
}

async function bench(): Promise<void> {
  lab = await Network.build();
  const fillMs = await fill();
  warm = await Warm.start(lab);
  await warm.do(give(lab.gw1));
  const one = await startMaster();
  const first = await joining(one, fillMs);
  await rejoining(first);
  await first.kill();
  const two = await restarting();
  await delay(HEARD_MS);
  await takingOver("takeover, address moved", two, one);
  await one.waitForLog(SYNCHRONISED, PATIENCE_MS);
  await delay(HEARD_MS);
  await takingOverLate(one, two);
  const differences = await compare();
  noteMemory("peak memory of gw1, gw2, takeovers included", one, two);
  console.log(formatTable(rows));
  if (differences.length > 0) throw new Error(`the kernels differ:\n${differences.slice(0, 20).join("\n")}`);
}

/** @returns the milliseconds that the kernel took */
async function fill(): Promise<number> {
  const file = new URL("netlink_load.ts", import.meta.url).pathname;
  const deno = [Deno.execPath(), "run", "-A", "--no-check", "--no-config", "--no-lock"];
  const ms = Number(await lab.gw1.run(...deno, file, `${SAS}`, `${POLICIES}`));
  note("the master's kernel is filled by a bare loop", `${(ms / 1000).toFixed(1)} s`);
  return ms;
}

/** Until it has read its kernel. */
async function startMaster(): Promise<Sasyncd> {
  const begin = performance.now();
  const daemon = await startDaemon(lab.gw1);
  await waitForRole(daemon, "MASTER");
  const { node } = daemon;
  await eventually("mirror", async () => {
    const { stdout } = await node.try(EXECUTABLE, "status", "-c", `${node.folder}/sasyncd.conf`);
    return new RegExp(`^mirror +${SAS} SAs and ${POLICIES} policies`, "m").test(stdout);
  }, PATIENCE_MS);
  note("start of the master, until it has read its kernel", seconds(begin));
  return daemon;
}

async function joining(master: Sasyncd, fillMs: number): Promise<Sasyncd> {
  const { daemon, ms, text } = await startSlave();
  note("snapshot: start of the slave, transfer", text);
  note("  records a second", grouped((SAS + POLICIES) / ms * 1000));
  note("  as a ratio to the bare loop", (fillMs / ms).toFixed(2));
  note("  CPU of the slave", `${daemon.usage().cpuSeconds.toFixed(1)} s`);
  noteMemory("  peak memory of gw1, gw2", master, daemon);
  return daemon;
}

async function restarting(): Promise<Sasyncd> {
  const { daemon, text } = await startSlave();
  note("the same after kill -9 and 100 changes", text);
  return daemon;
}

/** @returns `ms` and `text`: how long it took from its question to the last record in the kernel, and before that */
async function startSlave(): Promise<{ daemon: Sasyncd; ms: number; text: string }> {
  if (oldest > 0) await renew();
  const [before, started] = [await received(), performance.now()];
  const daemon = await startDaemon(lab.gw2);
  await daemon.waitForLog(/following/, PATIENCE_MS);
  const text = seconds(started);
  const begin = performance.now();
  await daemon.waitForLog(SYNCHRONISED, PATIENCE_MS);
  const ms = performance.now() - begin;
  return { daemon, ms, text: `${text}, ${seconds(begin)}, ${grouped(await received() - before)} bytes` };
}

async function rejoining(slave: Sasyncd): Promise<void> {
  const from = slave.log.length;
  await lab.cut("s-gw2");
  await slave.waitForLog(/disconnected/, PATIENCE_MS, from);
  await renew();
  const before = await received();
  await lab.join("s-gw2");
  await slave.waitForLog(/following/, PATIENCE_MS, from);
  const begin = performance.now();
  await slave.waitForLog(SYNCHRONISED, PATIENCE_MS, from);
  const bytes = await received() - before;
  note("rejoin after a cut link, 100 changes missed", `${seconds(begin)}, ${grouped(bytes)} bytes`);
}

/** The address moves; it is done when nothing keeps the heir from sending any more. */
async function takingOver(name: string, heir: Sasyncd, other: Sasyncd): Promise<void> {
  const rules = heir.node.spawn("stdbuf", "-oL", "ip", "monitor", "rule");
  await delay(500); // it hears by then
  const from = heir.log.length;
  const begin = performance.now();
  await warm.do(take(other.node), give(heir.node));
  await waitForRole(heir, "MASTER", from);
  const role = seconds(begin);
  await rules.waitForLine(/^Deleted .*unreachable/, PATIENCE_MS);
  const [, stale = 0] = heir.log.slice(from).join("\n").match(/(\d+) leases were stale/) ?? [];
  note(`${name}: MASTER, may send`, `${role}, ${seconds(begin)}, ${stale} stale leases`);
  await rules.end();
}

/** The link was cut so long that the heir's kernel has to be moved on for each SA. */
async function takingOverLate(heir: Sasyncd, other: Sasyncd): Promise<void> {
  const [heirFrom, otherFrom] = [heir.log.length, other.log.length];
  await lab.cut("s-gw2");
  await heir.waitForLog(/disconnected/, PATIENCE_MS, heirFrom);
  await delay(STALE_MS);
  await takingOver("the same, the link cut 9 s before", heir, other);
  await lab.join("s-gw2");
  await other.waitForLog(SYNCHRONISED, PATIENCE_MS, otherFrom);
}

/** What a client's new keys come to: the oldest SAs go, and new ones come. */
async function renew(): Promise<void> {
  const numbers = Array.from({ length: RENEWED }, (_, i) => oldest + i);
  await lab.gw1.ip(...numbers.flatMap((i) => {
    const { src, dst, spi } = saOf(i);
    const ends = `src ${formatAddress(src)} dst ${formatAddress(dst)}`;
    return [ipLine(SAS + i), `xfrm state delete ${ends} proto esp spi ${spi}`];
  }));
  oldest += RENEWED;
}

/** Both kernels, the SAs of one peer at a time. */
async function compare(): Promise<string[]> {
  const counts = await Promise.all([lab.gw1, lab.gw2].map(countKernel));
  const peers = new Set(Array.from({ length: SAS + oldest }, (_, i) => formatAddress(saOf(i).dst)));
  const differences = await differencesOf("policy");
  for (const peer of peers) differences.push(...await differencesOf("state", "list", "dst", peer));
  const shown = counts.map(({ states, policies }) => `${states} + ${policies}`).join(", ");
  note("SAs and policies of gw1, gw2; differences", `${shown}; ${differences.length}`);
  return differences;
}

async function differencesOf(
  ...what: readonly ["policy"] | readonly ["state", ...string[]]
): Promise<string[]> {
  const [left, right] = await Promise.all([lab.gw1, lab.gw2].map(async (node) => {
    const text = await node.run("ip", "-d", "-s", "xfrm", ...what);
    return what[0] === "policy" ? parseKernel("", text) : parseKernel(text, "");
  }));
  return compareTables("gw1", left!, "gw2", right!);
}

function noteMemory(name: string, ...daemons: readonly Sasyncd[]): void {
  note(name, daemons.map((daemon) => `${daemon.usage().peakMemoryMiB.toFixed(0)} MiB`).join(", "));
}

/** What gw2 has had over the link. */
async function received(): Promise<number> {
  return Number(await lab.gw2.run("cat", "/sys/class/net/sync/statistics/rx_bytes"));
}

function note(name: string, figure: string): void {
  step(`${name}: ${figure}`);
  rows.push([name, figure]);
}

function seconds(begin: number): string {
  return `${((performance.now() - begin) / 1000).toFixed(2)} s`;
}
