/**
 * The gateway: joins the core's node with its kernel, its peers and the clock. It gathers events, lets the node
 * decide, and does what comes out; it decides nothing. One call of `turn` follows every poll.
 */

import type { Effect } from "../core/effect.ts";
import type { Node } from "../core/node.ts";
import { DecodeError, KernelReplyError, SyscallError } from "../errors.ts";
import type { Log } from "../log/verbosity.ts";
import type { RepeatLimit } from "../log/repeat_limit.ts";
import type {
  Clock,
  Guard,
  IkeCommander,
  Interest,
  KernelChange,
  KernelIpsec,
  KernelResult,
  Poller,
  Readiness,
} from "../ports.ts";
import type { Address } from "../record/address.ts";
import type { IpsecRecord } from "../record/record.ts";
import type { AllPeers } from "./all_peers.ts";
import type { ControlServer } from "./control_server.ts";

import type { MetricsServer } from "./metrics_server.ts";
import type { Monitor } from "./monitor.ts";
import type { Preference } from "./preference.ts";
import type { Reload } from "./reload.ts";
import type { RoleWatch } from "./role_watch.ts";
import type { Supervisor } from "./supervisor.ts";

/** Kernel events read in one turn. */
const EVENTS_PER_TURN = 512;

/** Records of a dump that are compared in one turn: some 5 ms of work. */
const COMPARISONS_PER_TURN = 256;

/** Changes handed to the kernel at once; netlink takes them in one system call. */
const CHANGES_PER_CALL = 64;

/** How long a turn may keep the kernel busy with changes before the sockets are looked at again. */
const APPLY_SLICE_MS = 5;

/** How long to wait when the kernel fails, before it is asked again. */
const RETRY_MS = 1000;

/** How long peers may take to notice that this node leaves. */
const LEAVE_MS = 500;

/** How long an IKE daemon may take to take back what was taken from it; with the peers' time less than a second. */
const LEAVE_IKE_MS = 400;

/** Data collected for one peer in one turn. */
const COLLECT_BYTES = 32 * 1024;

export interface GatewayOptions {
  readonly node: Node;
  readonly kernel: KernelIpsec;
  readonly guard: Guard;
  readonly poller: Poller;
  readonly clock: Clock;
  readonly log: Log;
  readonly repeats: RepeatLimit;
  readonly troubles: RepeatLimit;
  /** Made by the caller, as its events go to `receive` and the node. */
  readonly peers: AllPeers;
  readonly roles: RoleWatch;
  /** undefined: there is nothing to demote. */
  readonly preference: Preference | undefined;
  readonly ike: IkeCommander;
  /** undefined: nobody can ask for anything. */
  readonly control: ControlServer | undefined;
  readonly monitor: Monitor;
  /** undefined: none are to be had. */
  readonly metrics: MetricsServer | undefined;
  /** undefined: nobody wants to know. */
  readonly supervisor: Supervisor | undefined;
  /** undefined: the configuration is read once. */
  readonly reload: Reload | undefined;
}

export class Gateway {
  #dump: "none" | "due" | "running" = "none";
  #dumpAtMs = 0;
  /** There may be more kernel events than the last turn has read. */
  #moreEvents = false;
  #stopReason: string | undefined;
  #wakeAtMs = 0;
  /** When the last poll began. */
  #polledMs = 0;
  /** Endpoints that the guard does not cover yet. */
  #guardWanted: readonly Address[] | undefined;
  #guardAtMs = 0;
  /** Nothing is applied before: the kernel has failed. */
  #applyAtMs = 0;
  /** The tracker has failed: it is asked again then. */
  #lookAtMs = Infinity;
  /** The demoter has failed: it is not tried before. */
  #demoteAtMs = 0;

  constructor(private readonly options: GatewayOptions) {}

  /** Ends `run`: it says goodbye to the peers and leaves the kernel's SAs alone. */
  stop(reason: string): void {
    this.#stopReason = reason;
    this.options.poller.wake();
  }

  /** Reads the configuration again. */
  reload(): void {
    this.options.reload?.begin();
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    const { node, poller, peers, clock } = this.options;
    node.start();
    this.#perform(node.takeEffects());
    this.#demote();
    while (this.#stopReason === undefined) {
      this.#polledMs = clock.look();
      const ready = await poller.wait(this.#interests(), this.#timeout());
      clock.look();
      this.turn(new Map(ready.map((one) => [one.fd, one])));
    }
    this.options.supervisor?.stopping();
    this.options.control?.close();
    this.options.metrics?.close();
    peers.stop(this.#stopReason);
    this.#survive("take the guard away", () => this.options.guard.set([]));
    this.#survive("leave the demotion behind", () => this.options.preference?.leave());
    await this.options.ike.leave(poller, LEAVE_IKE_MS);
    await this.#leavePeers();
  }

  /** Peers that may still write have to see first that this node leaves: what a closed connection does is theirs. */
  async #leavePeers(): Promise<void> {
    const { poller, peers, clock } = this.options;
    const endMs = clock.look() + LEAVE_MS;
    for (let left = peers.leaving(); left.length > 0 && clock.look() < endMs; left = peers.leaving()) {
      const ready = await poller.wait(left, endMs - clock.bootMs());
      peers.ready(new Map(ready.map((one) => [one.fd, one])));
    }
  }

  /** One turn: everything that is ready is done at once, within bounds. */
  turn(ready: ReadonlyMap<number, Readiness>): void {
    const { node, peers, clock, repeats, troubles, monitor } = this.options;
    this.options.reload?.tick();
    this.#track(ready);
    this.#setGuard(); // lifted at once at a takeover, when no SA has to be moved on before
    this.#readKernel();
    peers.ready(ready);
    this.#continueDump();
    this.#apply();
    this.#limit();
    node.tick(clock.bootMs());
    const controlMs = this.options.control?.tick(ready) ?? Infinity;
    const metricsMs = this.options.metrics?.tick(ready) ?? Infinity;
    const limitsMs = Math.max(node.limitsDueMs(clock.bootMs()), this.#applyAtMs);
    const ownMs = Math.min(this.options.roles.dueMs, this.#orderIke(ready), limitsMs);
    this.#wakeAtMs = Math.min(peers.tick(this.#polledMs), ownMs, controlMs, metricsMs);
    this.#perform(node.takeEffects());
    this.#demote();
    for (const peer of peers.live()) this.#sendData(peer);
    repeats.flush(clock.bootMs());
    troubles.flush(clock.bootMs());
    monitor.look({ node, peers });
    this.#wakeAtMs = Math.min(this.#wakeAtMs, this.#tellSupervisor());
  }

  /** @returns when it has to be told again */
  #tellSupervisor(): number {
    const { node: { membership: { role, epoch, peerNames } }, peers, reload, clock } = this.options;
    const connected = peers.live().length;
    const standing = {
      role,
      epoch,
      connected,
      peers: peerNames.length,
      isReloading: reload?.isReading === true,
    };
    return this.options.supervisor?.tick(standing, clock.bootMs()) ?? Infinity;
  }

  #interests(): Interest[] {
    const { kernel, peers, roles, ike, control, metrics } = this.options;
    const own = kernel.fd === undefined ? [] : [{ fd: kernel.fd, read: true, write: false }];
    const asking = [...control?.interests() ?? [], ...metrics?.interests() ?? []];
    return [...roles.interests(), ...own, ...peers.interests(), ...ike.interests, ...asking];
  }

  #timeout(): number {
    const { node, kernel, peers, clock } = this.options;
    const hasData = peers.live().some((peer) => node.hasData(peer) && peers.hasRoom(peer));
    const nowMs = clock.bootMs();
    const canDump = node.comparing || this.#dump === "running" ||
      this.#dump === "due" && nowMs >= this.#dumpAtMs;
    const isFree = node.busy && this.#guardWanted === undefined || node.advancing;
    const canApply = isFree && nowMs >= this.#applyAtMs;
    if (this.#moreEvents || kernel.hasEvents === true || canDump || canApply || hasData) return 0;
    return Math.max(0, Math.ceil(this.#wakeAtMs - nowMs));
  }

  /** First of all in a turn: what the role decides is decided by the true one. */
  #track(ready: ReadonlyMap<number, Readiness>): void {
    const { roles, clock } = this.options;
    if (roles.isReady(ready) || clock.bootMs() >= this.#lookAtMs) {
      const isWell = this.#survive("see whether this node is master", () => roles.look());
      this.#lookAtMs = isWell ? Infinity : clock.bootMs() + RETRY_MS;
    }
    roles.settle();
  }

  #demote(): void {
    const { preference, clock } = this.options;
    if (preference === undefined || clock.bootMs() < this.#demoteAtMs) return;
    const isWell = this.#survive("demote this node", () => preference.apply(clock.bootMs()));
    this.#demoteAtMs = isWell ? 0 : clock.bootMs() + RETRY_MS;
  }

  /** An IKE daemon may act in its own epoch, when nothing keeps it from sending any more. @returns when to come back at the latest. */
  #orderIke(ready: ReadonlyMap<number, Readiness>): number {
    const { ike, node } = this.options;
    const { role, acting, epoch } = node.membership;
    if (role !== "MASTER") ike.give({ duty: "passive", epoch });
    else if (acting && !node.advancing && this.#guardWanted === undefined) {
      ike.give({ duty: "active", epoch });
    }
    return ike.tick(ready);
  }

  #readKernel(): void {
    const { node, kernel, clock } = this.options;
    const nowMs = clock.bootMs();
    const events = kernel.readEvents(EVENTS_PER_TURN);
    for (const event of events) node.kernelEvent(event, nowMs);
    this.options.monitor.saw(events);
    this.#moreEvents = events.length >= EVENTS_PER_TURN || kernel.hasEvents === true;
    if (!this.#moreEvents) node.kernelDrained();
  }

  /** A master may not send before its SAs stand above all that the old one sent: until then its dump waits. */
  get #isMovingOn(): boolean {
    const { node, clock } = this.options;
    return node.membership.role === "MASTER" && node.advancing && clock.bootMs() >= this.#applyAtMs;
  }

  #continueDump(): void {
    const { node, kernel, clock } = this.options;
    node.compare(COMPARISONS_PER_TURN, clock.bootMs());
    if (this.#dump === "none" || this.#isMovingOn || clock.bootMs() < this.#dumpAtMs) return;
    let records: readonly IpsecRecord[] | undefined;
    const isWell = this.#survive("read the kernel's SADB and SPD", () => {
      if (this.#dump === "due") kernel.beginDump();
      records = kernel.continueDump();
    });
    this.#dump = isWell ? "running" : "due";
    if (!isWell) this.#dumpAtMs = clock.bootMs() + RETRY_MS;
    if (records === undefined) return;
    this.#dump = "none";
    node.dumped(records, clock.bootMs(), COMPARISONS_PER_TURN);
  }

  /**
   * Counters go first: at a takeover the guard is lifted behind them. Then the guard: nothing is applied that it does
   * not cover.
   */
  #apply(): void {
    const { node, clock } = this.options;
    const endMs = clock.bootMs() + APPLY_SLICE_MS;
    do {
      if (!this.#advance() || !this.#setGuard() || clock.bootMs() < this.#applyAtMs) return;
      const changes = node.nextChanges(CHANGES_PER_CALL, clock.bootMs());
      if (changes.length > 0 && !this.#hand(changes)) return;
    } while ((node.busy || node.advancing) && clock.look() < endMs);
  }

  /** @returns false when the kernel has failed: the same is tried again */
  #advance(): boolean {
    const { node, kernel, clock } = this.options;
    if (!node.advancing || clock.bootMs() < this.#applyAtMs) return !node.advancing;
    const isWell = this.#survive("move the counters of SAs on", () => {
      node.advanced(kernel.advance?.(node.nextAdvances(CHANGES_PER_CALL)) ?? []);
    });
    if (!isWell) this.#applyAtMs = clock.bootMs() + RETRY_MS;
    return isWell;
  }

  /** After a takeover, a few SAs at a time. */
  #limit(): void {
    const { node, kernel, clock } = this.options;
    if (clock.bootMs() < this.#applyAtMs) return;
    const sas = node.nextLimits(clock.bootMs());
    if (sas.length === 0) return;
    const isWell = this.#survive("set the limits of SAs", () => node.limited(kernel.limit?.(sas) ?? []));
    if (!isWell) this.#applyAtMs = clock.bootMs() + RETRY_MS;
  }

  /** @returns whether the kernel was there. If not, nobody knows what it did: all is done again, and compared. */
  #hand(changes: readonly KernelChange[]): boolean {
    const { node, kernel, clock } = this.options;
    let results: readonly KernelResult[] | undefined;
    const isWell = this.#survive("change the kernel's SADB and SPD", () => {
      results = kernel.apply(changes);
    });
    node.applied(results);
    if (results !== undefined) this.options.monitor.changed(changes, results);
    if (isWell) return true;
    this.#applyAtMs = clock.bootMs() + RETRY_MS;
    node.kernelEvent({ kind: "resync", reason: "changes have failed" }, clock.bootMs());
    return false;
  }

  /** @returns whether the guard stands as it should; when the kernel refuses it, it is tried again each second. */
  #setGuard(): boolean {
    const { node, guard, clock } = this.options;
    const change = node.guardChange();
    if (change !== undefined) [this.#guardWanted, this.#guardAtMs] = [change, 0];
    const wanted = this.#guardWanted;
    if (wanted === undefined) return true;
    if (clock.bootMs() < this.#guardAtMs) return false;
    const isWell = this.#survive("set the guard, so nothing is applied", () => guard.set(wanted));
    if (isWell) this.#guardWanted = undefined;
    else this.#guardAtMs = clock.bootMs() + RETRY_MS;
    return isWell;
  }

  /** Does what the kernel may fail to do. @returns whether it did not. */
  #survive(what: string, act: () => void): boolean {
    try {
      act();
      return true;
    } catch (error) {
      if (!isFailure(error)) throw error;
      const { repeats, clock } = this.options;
      repeats.once(`kernel: ${what}`, `cannot ${what}: ${error.message}`, clock.bootMs());
      return false;
    }
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: Effect): void {
    const { peers, log, repeats, clock } = this.options;
    if (effect.kind === "send") peers.send(effect.peer, [effect.message]);
    else if (effect.kind === "close") peers.close(effect.peer, effect.reason);
    else if (effect.kind === "dump") this.#dump = "due";
    else if (effect.once !== undefined) repeats.once(effect.once, effect.text, clock.bootMs());
    else log[effect.level](effect.text);
  }

  #sendData(peer: string): void {
    const { node, peers, clock } = this.options;
    if (peers.hasRoom(peer)) peers.send(peer, node.collect(peer, clock.bootMs(), COLLECT_BYTES));
  }
}

/** What a kernel may do without that the daemon has to end. */
function isFailure(error: unknown): error is Error {
  return error instanceof SyscallError || error instanceof KernelReplyError || error instanceof DecodeError;
}
