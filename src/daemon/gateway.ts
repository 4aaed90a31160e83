/**
 * The gateway: joins the core's node with its kernel, its peers and the clock. It gathers events, lets the node
 * decide, and does what comes out; it decides nothing. One call of `turn` follows every poll.
 */

import type { Effect } from "../core/effect.ts";
import type { Node } from "../core/node.ts";
import { KernelReplyError, SyscallError } from "../errors.ts";
import type { Log } from "../log/verbosity.ts";
import type { RepeatLimit } from "../log/repeat_limit.ts";
import type { Clock, Guard, Interest, KernelIpsec, Poller, Readiness } from "../ports.ts";
import type { Address } from "../record/address.ts";
import type { Peers } from "./peers.ts";

/** Kernel events read in one turn. */
const EVENTS_PER_TURN = 512;

/** Changes handed to the kernel at once; netlink takes them in one system call. */
const CHANGES_PER_CALL = 64;

/** How long a turn may keep the kernel busy with changes before the sockets are looked at again. */
const APPLY_SLICE_MS = 5;

/** How long to wait when the kernel refuses the guard. */
const GUARD_RETRY_MS = 1000;

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
  readonly peers: Peers;
}

export class Gateway {
  #dumping = false;
  #stopReason: string | undefined;
  #wakeAtMs = 0;
  /** Endpoints that the guard does not cover yet. */
  #guardWanted: readonly Address[] | undefined;
  #guardRetryMs = 0;

  constructor(private readonly options: GatewayOptions) {}

  /** Ends `run`: it says goodbye to the peers and leaves the kernel's SAs alone. */
  stop(reason: string): void {
    this.#stopReason = reason;
    this.options.poller.wake();
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    const { node, poller, peers } = this.options;
    node.start();
    this.#perform(node.takeEffects());
    while (this.#stopReason === undefined) {
      const ready = await poller.wait(this.#interests(), this.#timeout());
      this.turn(new Map(ready.map((one) => [one.fd, one])));
    }
    peers.stop(this.#stopReason);
    this.options.guard.set([]);
  }

  /** One turn: everything that is ready is done at once, within bounds. */
  turn(ready: ReadonlyMap<number, Readiness>): void {
    const { node, peers, clock, repeats, troubles } = this.options;
    this.#readKernel();
    peers.ready(ready);
    this.#continueDump();
    this.#apply();
    node.tick(clock.bootMs());
    this.#wakeAtMs = peers.tick();
    this.#perform(node.takeEffects());
    for (const peer of peers.live()) this.#sendData(peer);
    repeats.flush(clock.bootMs());
    troubles.flush(clock.bootMs());
  }

  #interests(): Interest[] {
    const { kernel, peers } = this.options;
    const own = kernel.fd === undefined ? [] : [{ fd: kernel.fd, read: true, write: false }];
    return [...own, ...peers.interests()];
  }

  #timeout(): number {
    const { node, peers, clock } = this.options;
    const hasData = peers.live().some((peer) => node.hasData(peer) && peers.hasRoom(peer));
    const canApply = node.busy && this.#guardWanted === undefined;
    if (this.#dumping || canApply || hasData) return 0;
    return Math.max(0, Math.ceil(this.#wakeAtMs - clock.bootMs()));
  }

  #readKernel(): void {
    const { node, kernel, clock } = this.options;
    const nowMs = clock.bootMs();
    for (const event of kernel.readEvents(EVENTS_PER_TURN)) node.kernelEvent(event, nowMs);
  }

  #continueDump(): void {
    if (!this.#dumping) return;
    const { node, kernel, clock } = this.options;
    const records = kernel.continueDump();
    if (records === undefined) return;
    this.#dumping = false;
    node.dumped(records, clock.bootMs());
  }

  /** The guard goes first: nothing is applied that it does not cover. */
  #apply(): void {
    const { node, kernel, clock } = this.options;
    const endMs = clock.bootMs() + APPLY_SLICE_MS;
    do {
      if (!this.#setGuard()) return;
      const changes = node.nextChanges(CHANGES_PER_CALL, clock.bootMs());
      if (changes.length > 0) node.applied(kernel.apply(changes));
    } while (node.busy && clock.bootMs() < endMs);
  }

  /** @returns whether the guard stands as it should; when the kernel refuses it, it is tried again each second. */
  #setGuard(): boolean {
    const { node, guard, clock, repeats } = this.options;
    const nowMs = clock.bootMs();
    this.#guardWanted = node.guardChange() ?? this.#guardWanted;
    if (this.#guardWanted === undefined) return true;
    if (nowMs < this.#guardRetryMs) return false;
    try {
      guard.set(this.#guardWanted);
      this.#guardWanted = undefined;
      return true;
    } catch (error) {
      if (!(error instanceof SyscallError || error instanceof KernelReplyError)) throw error;
      repeats.once(
        "guard",
        `cannot keep this slave from sending, so nothing is applied: ${error.message}`,
        nowMs,
      );
      this.#guardRetryMs = nowMs + GUARD_RETRY_MS;
      return false;
    }
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: Effect): void {
    const { kernel, peers, log, repeats, clock } = this.options;
    if (effect.kind === "send") peers.send(effect.peer, [effect.message]);
    else if (effect.kind === "close") peers.close(effect.peer, effect.reason);
    else if (effect.kind === "dump") {
      kernel.beginDump();
      this.#dumping = true;
    } else if (effect.once !== undefined) repeats.once(effect.once, effect.text, clock.bootMs());
    else log[effect.level](effect.text);
  }

  #sendData(peer: string): void {
    const { node, peers, clock } = this.options;
    if (peers.hasRoom(peer)) peers.send(peer, node.collect(peer, clock.bootMs(), COLLECT_BYTES));
  }
}
