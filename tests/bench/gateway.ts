/**
 * A gateway of the real daemon with a kernel in memory, as a process of its own: `gateway.ts SETTINGS`, in JSON. Its
 * log goes to stdout, each line behind the moment in milliseconds since 1970. SIGUSR1 has somebody change its kernel,
 * SIGUSR2 makes it master.
 */

import { SystemClock, SystemRandom } from "../../ffi/clock.ts";
import { openPipe } from "../../ffi/fd.ts";
import { type Libc, openLibc } from "../../ffi/libc.ts";
import { FfiPoller } from "../../ffi/poll.ts";
import { FfiTransport } from "../../ffi/tcp.ts";
import { parseConfig } from "../../src/config/parse_config.ts";
import { makeGateway } from "../../src/daemon/daemon.ts";
import { MemoryKernel } from "../../src/daemon/memory_kernel.ts";
import { resolveConfig } from "../../src/daemon/resolve_config.ts";
import type { Log, LogMessage } from "../../src/log/verbosity.ts";
import type { Advance, KernelChange, KernelResult, RoleTracker } from "../../src/ports.ts";
import { policyOf, saOf } from "./load.ts";

/** What such a process is given. */
export interface GatewaySettings {
  /** The last numbers of 127.0.0.x: its own, and its peers'. */
  readonly own: number;
  readonly peers: readonly number[];
  readonly port: number;
  readonly role: "MASTER" | "SLAVE";
  /** What its kernel holds at the start. */
  readonly sas: number;
  readonly policies: number;
  /** How long its kernel takes for each change. */
  readonly changeUs?: number;
  /** It tells of each SA whose counters come to its kernel: `advanced SPI`. */
  readonly tellsCounters?: boolean;
  readonly disturbance?: Disturbance;
}

/** What somebody else does, `perTick` times in `tickMs`, `total` times in all. */
export interface Disturbance {
  /** Puts an SA, or puts it and sends a million packets on another one, from number 0 on: `moved SPI`. */
  readonly what: "put" | "put and send";
  /** Takes `sas` SAs from number `first` on in turn. */
  readonly first: number;
  readonly sas: number;
  readonly total: number;
  readonly perTick: number;
  readonly tickMs: number;
}

/** SAs from this number on are told as they are changed and as they come to a kernel: `sent SPI`, `put SPI`. */
export const TOLD = 1_000_000;

const FIRST_TOLD_SPI = saOf(TOLD).spi;
const PACKETS = 2n ** 20n;

/** A kernel that takes its time, and tells what somebody measures. */
class MeasuredKernel extends MemoryKernel {
  changeUs = 0;
  tellsCounters = false;

  override apply(changes: readonly KernelChange[]): readonly KernelResult[] {
    const end = performance.now() + this.changeUs * changes.length / 1000;
    const results = super.apply(changes);
    while (performance.now() < end);
    for (const change of changes) {
      if (change.kind !== "put" || change.record.kind !== "sa") continue;
      if (change.record.sa.spi >= FIRST_TOLD_SPI) tell(`put ${change.record.sa.spi}`);
    }
    return results;
  }

  override advance(advances: readonly Advance[]): readonly KernelResult[] {
    if (this.tellsCounters) { for (const { id } of advances) tell(`advanced ${id.spi}`); }
    return super.advance(advances);
  }
}

/** The role that the settings state, until somebody makes it master. */
class OrderedTracker implements RoleTracker {
  readonly fd: number;
  readonly #pipe;

  constructor(private readonly libc: Libc, private role: "MASTER" | "SLAVE") {
    this.#pipe = openPipe(libc, libc.constants.O_NONBLOCK);
    this.fd = this.#pipe.read.number;
  }

  takeOver(): void {
    tell("takes over");
    this.role = "MASTER";
    this.libc.c.write(this.#pipe.write.use(), new Uint8Array(1), 1n);
  }

  look() {
    this.libc.c.read(this.fd, new Uint8Array(1), 1n);
    return { role: this.role, reason: "as ordered" };
  }

  close(): void {}
}

const encoder = new TextEncoder();

function tell(text: LogMessage): void {
  const moment = performance.timeOrigin + performance.now();
  const line = `${moment} ${typeof text === "function" ? text() : text}\n`;
  Deno.stdout.writeSync(encoder.encode(line));
}

function configurationOf({ own, peers, port }: GatewaySettings): string {
  return [
    "mode slave", // the tracker decides
    `listen on 127.0.0.${own} port ${port}`,
    ...peers.map((peer) => `peer 127.0.0.${peer} port ${port}`),
    `sharedkey 0x${"5a".repeat(32)}`,
    "kernel memory",
    "",
  ].join("\n");
}

function fill(kernel: MemoryKernel, { sas, policies }: GatewaySettings): void {
  for (let i = 0; i < sas; i++) kernel.apply([{ kind: "put", record: { kind: "sa", sa: saOf(i) } }]);
  for (let i = 0; i < policies; i++) {
    kernel.apply([{ kind: "put", record: { kind: "policy", policy: policyOf(i) } }]);
  }
}

async function run(settings: GatewaySettings): Promise<void> {
  const libc = openLibc();
  const clock = new SystemClock(libc);
  const poller = new FfiPoller(libc);
  const transport = new FfiTransport(libc);
  const noKeyFile = () => "no key file here";
  const config = parseConfig(configurationOf(settings), "sasyncd.conf", noKeyFile);
  const resolved = resolveConfig(config, { host: () => [], interfaceAddresses: () => [] });
  const kernel = new MeasuredKernel(clock);
  const before = Deno.memoryUsage().rss;
  fill(kernel, settings);
  tell(`the played kernel: ${Math.round((Deno.memoryUsage().rss - before) / 2 ** 20)} MiB`);
  kernel.changeUs = settings.changeUs ?? 0;
  kernel.tellsCounters = settings.tellsCounters === true;
  const tracker = new OrderedTracker(libc, settings.role);
  const log: Log = { error: tell, notice: tell, state: tell, detail: tell, trace() {} };
  const gateway = makeGateway(config, resolved, {
    clock,
    random: new SystemRandom(),
    poller,
    transport,
    listeners: resolved.listening.map((at) => transport.listen(at)),
    kernel,
    guard: { set: (addresses) => tell(`guard ${addresses.length}`) },
    tracker,
    log,
    os: "linux",
  });
  const { disturbance } = settings;
  if (disturbance !== undefined) {
    Deno.addSignalListener("SIGUSR1", () => void disturb(kernel, poller, disturbance));
  }
  Deno.addSignalListener("SIGUSR2", () => tracker.takeOver());
  Deno.addSignalListener("SIGTERM", () => gateway.stop("SIGTERM"));
  tell("started");
  await gateway.run();
  Deno.exit(0);
}

/** Each disturbance makes other changes than those before. */
let rounds = 0;

async function disturb(
  kernel: MemoryKernel,
  poller: FfiPoller,
  { what, first, sas, total, perTick, tickMs }: Disturbance,
): Promise<void> {
  const startMs = performance.now();
  const round = ++rounds;
  for (let done = 0; done < total;) {
    for (const endOfTick = done + perTick; done < endOfTick; done++) {
      const index = first + done % sas;
      const sa = { ...saOf(index), reqid: round + Math.floor(done / sas) };
      if (index >= TOLD) tell(`sent ${sa.spi}`);
      kernel.disturb({ kind: "put", record: { kind: "sa", sa } });
      if (what === "put") continue;
      const busy = saOf(done % sas);
      tell(`moved ${busy.spi}`);
      kernel.traffic(busy, PACKETS, 0n);
    }
    poller.wake();
    const dueMs = startMs + done / perTick * tickMs;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
  }
  tell("disturbed");
}

if (import.meta.main) await run(JSON.parse(Deno.args[0]!));
