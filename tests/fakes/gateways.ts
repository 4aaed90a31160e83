/** Whole daemons in a fake world: configuration, gateway, memory kernel, guard. */

import { makeGateway } from "../../src/daemon/daemon.ts";
import type { Gateway } from "../../src/daemon/gateway.ts";
import { IkeOrders } from "../../src/daemon/ike_orders.ts";
import { IkeSwitch } from "../../src/daemon/ike_switch.ts";
import { Listeners } from "../../src/daemon/listeners.ts";
import { LockedTracker } from "../../src/daemon/locked_tracker.ts";
import { MemoryKernel } from "../../src/daemon/memory_kernel.ts";
import type { Configuration } from "../../src/daemon/reload.ts";
import type { PremisesPorts } from "../../src/daemon/premises.ts";
import { resolveConfig } from "../../src/daemon/resolve_config.ts";
import { KernelReplyError, SyscallError } from "../../src/errors.ts";
import { slaveRecord } from "../../src/core/slave_record.ts";
import type {
  Demoter,
  Guard,
  IkeControl,
  KernelChange,
  KernelIpsec,
  KernelResult,
  Listener,
  LocalListener,
  RoleTracker,
} from "../../src/ports.ts";
import { type Address, formatAddress } from "../../src/record/address.ts";
import { encodeContent } from "../../src/record/encoding.ts";
import { type IpsecRecord, recordKey } from "../../src/record/record.ts";
import { HEX_KEY, parseWith } from "./config.ts";
import { FakeLog } from "./log.ts";
import { addr } from "./records.ts";
import { seededRandom } from "./sessions.ts";
import type { FakePoller, VirtualClock, World } from "./world.ts";

/** A memory kernel that takes time, and fails on request. */
export class FakeKernel extends MemoryKernel {
  /** Milliseconds that one change takes. */
  msPerChange = 0;
  /** What fails while it is there. */
  readonly failing = new Set<"dump" | "apply">();
  /** Most changes that came at once. */
  mostAtOnce = 0;
  applied = 0;

  constructor(private readonly virtual: VirtualClock) {
    super(virtual);
  }

  override beginDump(): void {
    if (this.failing.has("dump")) throw new SyscallError("open a socket", "EMFILE", 24);
    super.beginDump();
  }

  override apply(changes: readonly KernelChange[]): readonly KernelResult[] {
    if (this.failing.has("apply")) throw new SyscallError("send to the kernel", "ENOBUFS", 105);
    this.mostAtOnce = Math.max(this.mostAtOnce, changes.length);
    this.applied += changes.length;
    this.virtual.nowMs += this.msPerChange * changes.length;
    return super.apply(changes);
  }
}

/** A guard that can be refused, and that keeps what it was set to. */
export class FakeGuard implements Guard {
  isRefused = false;
  /** Addresses by text, in the order of the last `set`. */
  addresses: string[] = [];
  tries = 0;

  set(addresses: readonly Address[]): void {
    this.tries++;
    if (this.isRefused) throw new KernelReplyError("RTM_NEWRULE", "EPERM");
    this.addresses = addresses.map(formatAddress);
  }
}

export interface DaemonOptions {
  readonly address: string;
  readonly peers: readonly string[];
  readonly mode: "master" | "slave";
  /** Further statements of the configuration. */
  readonly more?: string;
  /** Instead of the mode. */
  readonly tracker?: RoleTracker;
  readonly demoter?: Demoter;
  readonly ike?: readonly IkeControl[];
  readonly control?: LocalListener;
  readonly metrics?: Listener;
  readonly premises?: PremisesPorts;
  /** It reads `configuration` again when it is told to. */
  readonly reloads?: boolean;
}

/** One daemon, running, with any kernel. */
export class DaemonWith<K extends KernelIpsec> {
  readonly log = new FakeLog();
  readonly guard = new FakeGuard();
  readonly poller: FakePoller;
  readonly gateway: Gateway;
  /** The longest that one turn has taken, in milliseconds of virtual time. */
  longestTurnMs = 0;
  /** What it reads next, when it reads again. */
  configuration: string;

  constructor(readonly world: World, options: DaemonOptions, readonly kernel: K) {
    const { address, peers, mode, more = "" } = options;
    const { clock, network } = world;
    const statements = [
      `mode ${mode}`,
      `listen on ${address}`,
      ...peers.map((peer) => `peer ${peer}`),
      `sharedkey ${HEX_KEY}`,
      more,
    ];
    this.configuration = statements.join("\n");
    const { config, resolved } = this.#read();
    this.poller = world.poller();
    const transport = network.host(address);
    const listeners = new Listeners(transport, this.log);
    this.gateway = makeGateway(config, resolved, {
      clock,
      random: seededRandom(addr(address).at(-1)! * 7919 + network.dials.length + 1),
      poller: this.poller,
      transport,
      listeners: listeners.set(resolved.listening),
      reload: options.reloads !== true ? undefined : {
        reread: () => Promise.resolve().then(() => this.#read()),
        listen: (listening) => listeners.set(listening),
        listeners: () => listeners.open,
        openTracker: (config) => new LockedTracker(config.mode!),
      },
      kernel: this.kernel,
      guard: this.guard,
      tracker: options.tracker ?? new LockedTracker(mode),
      demoter: options.demoter,
      ike: new IkeOrders((options.ike ?? []).map((one) => new IkeSwitch(one, this.log)), clock),
      control: options.control,
      metrics: options.metrics,
      premises: options.premises,
      log: this.log,
      os: "test",
    });
    const { turn } = this.gateway;
    this.gateway.turn = (ready) => {
      const startMs = clock.nowMs;
      turn.call(this.gateway, ready);
      this.longestTurnMs = Math.max(this.longestTurnMs, clock.nowMs - startMs);
    };
    world.start(() => this.gateway.run());
  }

  #read(): Configuration {
    const config = parseWith(this.configuration);
    return { config, resolved: resolveConfig(config, { host: () => [], interfaceAddresses: () => [] }) };
  }
}

/** One daemon, running, with its kernel in memory. */
export class FakeDaemon extends DaemonWith<FakeKernel> {
  constructor(world: World, options: DaemonOptions) {
    super(world, options, new FakeKernel(world.clock));
  }

  /** Somebody else changes the kernel. */
  disturb(...changes: readonly KernelChange[]): void {
    for (const change of changes) this.kernel.disturb(change);
    this.poller.wake();
  }

  /** What its kernel holds, counters and ages aside, as a slave would hold it. */
  contents(): Record<string, string> {
    return contentsOf(this.kernel.records());
  }
}

export function contentsOf(records: readonly IpsecRecord[]): Record<string, string> {
  const entries = records.map((record) => [recordKey(record), encodeContent(slaveRecord(record)).toHex()]);
  return Object.fromEntries(entries.toSorted());
}
