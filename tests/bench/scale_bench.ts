/**
 * How the cost grows: 1,000, 10,000 and 100,000 SAs, with a tenth as many policies, between processes with kernels in
 * memory, over loopback. What is measured is the real daemon from its start on: no round warms anything up.
 */

import { Process } from "../system/lab/process.ts";
import { EXECUTABLE } from "../system/host/daemon.ts";
import { delay } from "../system/lab/step.ts";
import { TOLD } from "./gateway.ts";
import { delays, momentOf, quantile, residentMiB, startGateway } from "./gateway_process.ts";
import { formatTable, grouped } from "./table.ts";

const SIZES = [1_000, 10_000, 100_000];
const CHANGES = 1_000;
const IDLE_MS = 5_000;
/** So long after its rejoin a slave has heard its master again, and trusts its leases. */
const HEARD_MS = 1_500;

let port = 20_000 + Deno.pid % 10_000;

/** What was measured, by its name. */
type Column = Record<string, string>;

interface Pair {
  readonly master: Process;
  readonly slave: Process;
}

/** A slave joins a master with so many SAs, waits, follows changes, misses some, and takes over. */
async function measure(sas: number): Promise<Column> {
  const place = { peers: [], port: ++port, sas: 0, policies: 0 };
  const disturbance = {
    what: "put",
    first: TOLD,
    sas: CHANGES,
    total: CHANGES,
    perTick: 1,
    tickMs: 3,
  } as const;
  const master = startGateway({
    ...place,
    ...{ own: 1, peers: [2], role: "MASTER", sas, policies: sas / 10, disturbance },
  });
  await momentOf(master, /master in epoch/);
  const [, kernelMiB = ""] = await master.waitForLine(/the played kernel: (\d+) MiB/);
  const masterBefore = master.usage().cpuSeconds;
  const slave = startGateway({ ...place, own: 2, peers: [1], role: "SLAVE" });
  const pair = { master, slave };
  const columns = [
    await joining(pair, masterBefore, sas * 1.1),
    await idle(pair),
    await following(pair),
    await rejoining(pair),
    {
      "memory of master, slave": [master, slave].map((one) => `${residentMiB(one).toFixed(0)} MiB`).join(
        ", ",
      ),
      "  at its peak": [master, slave].map((one) => `${one.usage().peakMemoryMiB.toFixed(0)} MiB`).join(", "),
      "  of it the master's played kernel": `${kernelMiB} MiB`,
    },
    await takingOver(pair),
    await inheriting(pair),
  ];
  await slave.end();
  return Object.assign({}, ...columns);
}

async function joining({ master, slave }: Pair, masterBefore: number, records: number): Promise<Column> {
  const begin = await momentOf(slave, /following/);
  const slaveBefore = slave.usage().cpuSeconds;
  const end = await momentOf(slave, /synchronised with/);
  const [ofMaster, ofSlave] = [
    master.usage().cpuSeconds - masterBefore,
    slave.usage().cpuSeconds - slaveBefore,
  ];
  return {
    "snapshot": `${grouped(end - begin)} ms`,
    "  records a second": grouped(records / (end - begin) * 1000),
    "  CPU of master, slave": `${ofMaster.toFixed(2)}, ${ofSlave.toFixed(2)} s`,
  };
}

async function idle({ master, slave }: Pair): Promise<Column> {
  const before = [master, slave].map((one) => one.usage().cpuSeconds);
  await delay(IDLE_MS);
  const shares = [master, slave].map((one, i) => (one.usage().cpuSeconds - before[i]!) / IDLE_MS * 1e5);
  return { "idle CPU of master, slave": shares.map((share) => `${share.toFixed(1)} %`).join(", ") };
}

async function following({ master, slave }: Pair): Promise<Column> {
  master.signal("SIGUSR1");
  await momentOf(master, /disturbed/);
  await delay(500);
  const sorted = delays(master, slave);
  return {
    "change to the slave's kernel, median": `${quantile(sorted, 0.5).toFixed(2)} ms`,
    "  99th percentile": `${quantile(sorted, 0.99).toFixed(2)} ms`,
  };
}

async function rejoining({ master, slave }: Pair): Promise<Column> {
  const [ofMaster, ofSlave] = [master.lines.length, slave.lines.length];
  slave.signal("SIGSTOP");
  await momentOf(master, /disconnected, silent/, ofMaster);
  master.signal("SIGUSR1");
  await momentOf(master, /disturbed/, ofMaster);
  slave.signal("SIGCONT");
  const end = await momentOf(slave, /synchronised with/, ofSlave);
  const begin = await momentOf(slave, /following/, ofSlave);
  return { [`rejoin, ${grouped(CHANGES)} changes missed`]: `${grouped(end - begin)} ms` };
}

/** Until nothing keeps it from sending any more. */
async function takingOver({ master, slave }: Pair): Promise<Column> {
  await delay(HEARD_MS);
  await master.end("SIGKILL");
  await momentOf(slave, /disconnected, connection closed/);
  slave.signal("SIGUSR2");
  const begin = await momentOf(slave, /takes over/);
  return { takeover: `${grouped(await momentOf(slave, /guard 0/) - begin)} ms` };
}

/** The new master has read its kernel, and knows what it has inherited. */
async function inheriting({ slave }: Pair): Promise<Column> {
  await momentOf(slave, /inherited/);
  return { "  the new master's memory at its peak": `${slave.usage().peakMemoryMiB.toFixed(0)} MiB` };
}

/**
 * A slave takes the greatest snapshot, its kernel so long for each change: what waits meanwhile? Changes for another
 * slave do, and counters for this one, which go ahead of the snapshot as a PING does.
 */
async function lag(changeUs: number): Promise<string[]> {
  const sas = SIZES.at(-1)!;
  const place = { port: ++port, sas: 0, policies: 0 };
  const disturbance = {
    what: "put and send",
    first: TOLD,
    sas: 100,
    total: 200,
    perTick: 1,
    tickMs: 10,
  } as const;
  const master = startGateway({ ...place, own: 1, peers: [2, 3], role: "MASTER", sas, disturbance });
  await momentOf(master, /master in epoch/);
  const other = startGateway({ ...place, own: 2, peers: [1], role: "SLAVE" });
  await momentOf(other, /synchronised with/);
  const busy = startGateway({ ...place, own: 3, peers: [1], role: "SLAVE", changeUs, tellsCounters: true });
  const begin = await momentOf(busy, /following/);
  master.signal("SIGUSR1");
  await momentOf(master, /disturbed/);
  const seconds = (await momentOf(busy, /synchronised with/) - begin) / 1000;
  const dropped = master.lines.find((line) => /disconnected, (?!replaced)/.test(line));
  const lags = [delays(master, other), delays(master, busy, ["moved", "advanced"])].map((sorted) =>
    `${quantile(sorted, 0.5).toFixed(1)}, ${quantile(sorted, 0.99).toFixed(0)} ms`
  );
  for (const one of [master, other, busy]) await one.end("SIGKILL");
  return [`${seconds.toFixed(1)} s`, ...lags, dropped === undefined ? "no" : dropped];
}

/** The compiled program: a slave waits, and a master is started. */
async function start(): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  port++;
  const run = (mode: "master" | "slave", own: number, peer: number) => {
    const lines = [
      `mode ${mode}`,
      `listen on 127.0.0.${own} port ${port}`,
      `peer 127.0.0.${peer} port ${port}`,
      `sharedkey 0x${"5a".repeat(32)}`,
      "kernel memory",
      "user nobody",
      `control socket ${folder}/${mode}.control`,
    ];
    Deno.writeTextFileSync(`${folder}/${mode}.conf`, lines.join("\n"), { mode: 0o600 });
    return new Process(mode, [EXECUTABLE, "-d", "-v", "-v", "-c", `${folder}/${mode}.conf`]);
  };
  const slave = run("slave", 2, 1);
  await slave.waitForLine(/started/);
  const begin = performance.now();
  const master = run("master", 1, 2);
  await slave.waitForLine(/synchronised with/, 60_000);
  const ms = performance.now() - begin;
  for (const one of [master, slave]) await one.end();
  await Deno.remove(folder, { recursive: true });
  return ["start of the program to the first change at the slave, empty kernel", `${grouped(ms)} ms`];
}

const columns: Column[] = [];
for (const size of SIZES) columns.push(await measure(size));
const names = Object.keys(columns[0]!);
console.log(formatTable([
  ["SAs, and a tenth as many policies", ...SIZES.map(grouped)],
  ...names.map((name) => [name, ...columns.map((column) => column[name]!)]),
]));
console.log(formatTable([await start()]));
console.log(formatTable([
  [
    `beside a snapshot of ${grouped(SIZES.at(-1)!)} SAs`,
    "it takes",
    "change to another slave: median, 99th",
    "counters to this one",
    "dropped",
  ],
  ["kernels in memory", ...await lag(0)],
  ["one that takes 250 us for a change", ...await lag(250)],
]));
