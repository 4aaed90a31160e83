/**
 * The slave's side: takes its master's changes into the mirror and plans how the own kernel follows. Knows
 * nothing of roles: the node calls it while it is not master.
 */

import { PeerError } from "../errors.ts";
import { equalBytes } from "../record/address.ts";
import { decodeIdentity, decodeRecord, decodeSaCounters, encodeIdentity } from "../record/encoding.ts";
import type { Takeover } from "../ports.ts";
import { identityOf, type RecordIdentity } from "../record/record.ts";
import type { Sa } from "../record/sa.ts";
import type { Change, CountersMessage, Delete, Flush, Put, SnapshotEnd } from "../wire/native/message.ts";
import { MAX_WANTED } from "../wire/native/catalog.ts";
import { Asked } from "./asked.ts";
import { questionsOf } from "./compare.ts";
import { describe } from "./describe.ts";
import type { Effects } from "./effect.ts";
import type { GuardBook } from "./guard_book.ts";
import { HeldBack, NO_TAKEOVER } from "./held_back.ts";
import { type Inventory, type Item, UNKNOWN_CONTENT } from "./inventory.ts";
import type { Place } from "./lease.ts";
import { Leases } from "./leases.ts";
import { covers } from "./master.ts";
import { entryOf, type Mirror, type MirrorEntry, recordOf } from "./mirror.ts";
import { OrderWatch } from "./order_watch.ts";
import { isShared, type Ownership } from "./ownership.ts";
import type { Step } from "./plan.ts";
import { PutBacks } from "./put_backs.ts";
import type { ApplyQueue, Waiting } from "./queue.ts";
import { Refusals } from "./refusals.ts";
import { SaLimits } from "./sa_limits.ts";
import { SlaveSteps } from "./slave_steps.ts";

/** Refusals told in one turn: there may be as many as records, and a socket takes only so much. */
const MOST_REFUSALS = 64;

/** A master counts ranks up from those that it has taken over, and a rank has 53 bits. */
const GREATEST_RANK = 2 ** 52;

/** The end of a snapshot by a peer of the classic protocol, which states neither a count nor a digest. */
export interface ListEnd {
  readonly type: "list-end";
  readonly change: number;
  /** It began with a flush, so that what it did not name is gone; else it only adds. */
  readonly whole: boolean;
}

/** What is known of a master. */
export interface Leader {
  readonly nodeId: string;
  /** It can say what differs. */
  readonly compares: boolean;
}

const UNKNOWN_LEADER: Leader = { nodeId: "", compares: false };

/** What of the configuration a slave goes by. */
export interface FollowerSettings {
  readonly ownership: Ownership;
  /** `startup`: a snapshot's END removes what is neither the master's nor local. */
  readonly flushMode: "startup" | "never" | "sync";
  /** What the own kernel says of an SA. */
  readonly takeover: (sa: Sa) => Takeover;
  /** Whether the own kernel takes counters. */
  readonly canAdvance: boolean;
  /** Whether it sets limits alone. */
  readonly canLimit: boolean;
  readonly place: Place;
  /** `replay strict`. */
  readonly strictReplay: boolean;
}

/** A slave and its master, if it has one. `follow` says whom; then changes come by `take`, kernel steps go by `plan`. */
export class Follower {
  /** Peer whose data is taken, once it has been asked for everything. */
  #master: string | undefined;
  /** undefined before BEGIN and after END: what was here before and the master has not named yet. It goes at END. */
  #unnamed: Set<string> | undefined;
  #began = false;
  /** The node whose counters are known here up to that `serial` of its COUNTED. */
  #counted: { readonly nodeId: string; readonly serial: number } | undefined;
  /** The last snapshot did not add up, and no other has been asked for. */
  #unequal = false;
  /** The last question was for narrow digests. */
  #asksNarrow = false;
  /** What differs was looked for by narrow digests. */
  #isNarrow = false;
  #received = 0;
  #acked = 0;
  /** Since the last snapshot: the own kernel may hold true limits, which are not a slave's. */
  #wasMaster = false;
  /** A complete snapshot of the followed master has been taken in. */
  synced = false;
  /** It has swept: nothing shared that is not the master's is left, but what is made from then on. */
  #swept = false;
  /** Nobody is followed, and all that the last master had is here. */
  isLeftWhole = false;
  /** How many changes have come from each peer, since the start. */
  readonly received = new Map<string, number>();
  /** When the last complete snapshot of a peer had come. */
  readonly snapshotMs = new Map<string, number>();
  readonly #refusals = new Refusals();
  /** What to say when the kernel has taken the last change of a snapshot. */
  #complete: { readonly change: number; readonly text: string } | undefined;
  readonly #asked = new Asked();
  readonly #putBacks = new PutBacks();
  readonly #order: OrderWatch;
  readonly #heldBack: HeldBack;
  readonly leases: Leases;
  readonly limits: SaLimits;
  readonly #steps: SlaveSteps;

  constructor(
    readonly settings: FollowerSettings,
    readonly mirror: Mirror,
    readonly inventory: Inventory,
    readonly queue: ApplyQueue,
    readonly guard: GuardBook,
    readonly effects: Effects,
  ) {
    this.#heldBack = new HeldBack(settings.takeover, guard);
    this.#order = new OrderWatch(mirror, inventory);
    this.leases = new Leases(mirror, settings);
    this.limits = new SaLimits(mirror, inventory, effects, settings.canLimit);
    this.#steps = new SlaveSteps({ mirror, inventory, leases: this.leases, limits: this.limits });
  }

  get master(): string | undefined {
    return this.#master;
  }

  /**
   * Follows another master, or the same one anew: asks it for everything, or for what differs when it `compares`.
   * undefined: nobody.
   */
  follow(peer: string | undefined, { nodeId, compares }: Leader = UNKNOWN_LEADER): void {
    this.isLeftWhole = peer === undefined && (this.synced || this.isLeftWhole);
    this.#master = peer;
    this.#began = false;
    this.#unnamed = undefined;
    this.#received = 0;
    this.#acked = 0;
    this.#order.reset();
    this.#unequal = false;
    this.#complete = undefined;
    this.#steps.clear();
    this.#refusals.clear();
    this.#heldBack.clear();
    this.synced = false;
    this.queue.forgetOwed();
    if (peer === undefined) return; // leases of the old master are what a takeover goes by
    if (this.#counted?.nodeId !== nodeId) this.#counted = undefined;
    this.leases.followed(this.#counted !== undefined);
    if (!compares || this.mirror.size === 0) return this.effects.send(peer, { type: "want", identities: [] });
    this.#compare(peer, "join");
    if (this.mirror.refused === 0) return;
    // perhaps the kernel takes them now; if not, the master has to be told again
    const refused = [...this.mirror.values()].filter((entry) => entry.refused !== undefined);
    this.want(refused.map(({ identity }) => identity));
  }

  #compare(peer: string, purpose: "join" | "join-again"): void {
    this.#asksNarrow = purpose === "join";
    const counted = this.#counted?.serial ?? 0;
    for (const question of questionsOf(this.mirror, purpose, counted)) this.effects.send(peer, question);
  }

  /**
   * Takes a change from a peer. What does not come from the followed master is acknowledged and dropped.
   *
   * @throws {PeerError | DecodeError} for a change that cannot be taken; the session has to end, so that the next
   * snapshot brings what the change was about.
   */
  take(peer: string, change: Change | ListEnd, nowMs: number): void {
    this.received.set(peer, (this.received.get(peer) ?? 0) + 1);
    if (peer !== this.#master || !this.#began && !isBeginning(change)) {
      this.effects.send(peer, { type: "ack", change: change.change });
      return;
    }
    this.#received = Math.max(this.#received, change.change);
    if (change.type === "put") this.#put(change, nowMs);
    else if (change.type === "delete") this.#delete(change);
    else if (change.type === "flush") this.#flush(change);
    else if (change.type === "snapshot-end") this.#end(peer, change, nowMs);
    else if (change.type === "list-end") this.#endList(peer, change, nowMs);
    else {
      this.#began = true;
      const isWhole = change.type === "snapshot-begin";
      this.#isNarrow = !isWhole && this.#asksNarrow; // a snapshot may come before the answer to a question
      this.#unnamed = new Set(isWhole ? [...this.mirror.values()].map(({ key }) => key) : []);
    }
  }

  /** These records are not on the master, or not like this. @returns whether that is wanted to be known. */
  doubt(keys: readonly string[]): boolean {
    for (const key of keys) this.#unnamed?.add(key);
    return this.#unnamed !== undefined;
  }

  /** The master has told all counters that had moved by then. */
  counted(peer: string, nodeId: string, serial: number): void {
    if (peer === this.#master && this.#began) this.#counted = { nodeId, serial };
  }

  /** Takes the latest counters of an SA from the followed master. @throws {DecodeError} */
  count(peer: string, { identity, volatile }: CountersMessage, nowMs: number): void {
    if (peer !== this.#master || !this.#began) return;
    const { key } = decodeIdentity("sa", identity);
    const progress = decodeSaCounters(volatile);
    this.#steps.outdated(key); // it has older ones
    const inKernel = this.inventory.get(key)?.shared === true && !this.queue.has(key);
    this.leases.report(key, progress, inKernel, nowMs);
  }

  /** Time goes by: goes on putting back, and asks for another snapshot when the last one did not add up. */
  tick(nowMs: number): void {
    this.#putBack(this.#putBacks.due(nowMs));
    if (this.#master === undefined || !this.#unequal || !this.#asked.mayAsk("snapshot", nowMs)) return;
    this.#unequal = false;
    this.effects.send(this.#master, { type: "want", identities: [] });
  }

  /** The kernel steps for one waiting identity; an empty list when it holds what it should. */
  plan(waiting: Waiting, nowMs: number): Step[] {
    const steps = this.#steps.plan(waiting, nowMs);
    if (steps === undefined) this.refuse(waiting.key, "a local SA has this identity");
    return steps ?? [];
  }

  /** A step of `plan` has been done. A policy that is put becomes the newest, whatever its rank. */
  stepped(step: Step): void {
    const rank = step.identity.kind === "policy" && step.shared ? this.mirror.get(step.key)?.rank : undefined;
    if (rank !== undefined) this.#order.put(step.key, rank);
    if (step.content === undefined) this.inventory.delete(step.key);
    else this.inventory.set(step.identity, step.content, step.shared, true);
    if (!step.shared) this.#steps.undisplace(step.key);
  }

  /** The kernel would not put a record; whether it still holds what stood there before it does not say. */
  failed({ key }: Step, reason: string): void {
    const item = this.inventory.get(key);
    if (item?.shared === true) this.inventory.set(item.identity, UNKNOWN_CONTENT, true, false);
    this.refuse(key, reason);
  }

  /**
   * The record cannot be had here. It stays in the mirror, marked, and the master is told; what stood in its place
   * before is not the master's any more and goes.
   */
  refuse(key: string, reason: string, change?: number): void {
    const entry = this.mirror.get(key);
    if (entry === undefined) return;
    this.#heldBack.delete(key);
    this.#keepOut(entry, reason, change);
    this.#tellRefused(entry, reason);
  }

  /** When nothing waits any more, judges again which SAs stay out of the kernel, and tells of them. */
  judgeHeldBack(): void {
    if (this.queue.size > 0 || this.#unnamed !== undefined) return;
    const { free, held } = this.#heldBack.judge();
    for (const key of free) {
      this.mirror.mark(key, undefined);
      this.queue.add(this.mirror.get(key)!.identity);
    }
    for (const key of held) this.#tellRefused(this.mirror.get(key)!, NO_TAKEOVER);
  }

  #keepOut({ key, identity }: MirrorEntry, reason: string, change?: number): void {
    this.mirror.mark(key, reason);
    if (this.inventory.get(key)?.shared === true) this.queue.add(identity, { remove: true, change });
  }

  #tellRefused({ identity }: MirrorEntry, reason: string): void {
    this.effects.log("error", `refused ${describe(identity)}: ${reason}`, `refused ${reason}`);
    if (this.#master !== undefined) this.#refusals.add(identity, reason);
  }

  /** Whether `report` has more to say. */
  get hasUntold(): boolean {
    return this.#refusals.size > 0;
  }

  /** Tells the master what has been refused, a part of it each time, and then acknowledges what has been settled. */
  report(): void {
    if (this.#master === undefined) return;
    for (const refused of this.#refusals.take(MOST_REFUSALS)) this.effects.send(this.#master, refused);
    if (!this.hasUntold) this.#acknowledge(this.#master);
  }

  /** Acknowledges what has been settled since the last time. */
  #acknowledge(master: string): void {
    const settled = this.queue.settled(this.#received);
    if (settled <= this.#acked) return;
    this.#acked = settled;
    this.effects.send(master, { type: "ack", change: settled });
    if (this.#complete === undefined || settled < this.#complete.change) return;
    this.effects.log("state", this.#complete.text);
    this.#complete = undefined;
    this.leases.caughtUp();
  }

  /** The own kernel has something else than before under this key. @returns whether it is to be repaired */
  kernelChanged(key: string): boolean {
    const entry = this.mirror.get(key);
    if (entry === undefined || entry.refused !== undefined) return false;
    if (this.#putBacks.mayNow(entry.identity)) this.queue.add(entry.identity);
    if (entry.identity.kind === "policy") this.#order.doubt();
    return true;
  }

  /** The own kernel's policies may stand in another order than was thought. */
  doubtOrder(): void {
    this.#order.doubt();
  }

  /**
   * A record has gone from the own kernel. An expiry is asked about, everything else repaired.
   *
   * @returns whether it is to be repaired
   */
  kernelLost(identity: RecordIdentity, expired: boolean, nowMs: number): boolean {
    const entry = this.mirror.get(identity.key);
    if (entry === undefined) return false;
    if (expired) this.#ask(identity, nowMs);
    else if (entry.refused !== undefined || this.#putBacks.mayNow(identity)) this.queue.add(identity);
    return !expired && entry.refused === undefined;
  }

  /** What had to wait before it could be put back again. */
  #putBack(identities: readonly RecordIdentity[]): void {
    for (const identity of identities) {
      const entry = this.mirror.get(identity.key);
      if (entry !== undefined && entry.refused === undefined) this.queue.add(identity);
    }
  }

  /** Puts what the master has and the own kernel lacks, unless it waits already. @returns whether it is lacking */
  putLacking(identity: RecordIdentity): boolean {
    const { key } = identity;
    const isLacking = this.synced && this.mirror.get(key)?.refused === undefined &&
      this.inventory.get(key) === undefined && !this.queue.has(key);
    if (isLacking) this.queue.add(identity);
    return isLacking;
  }

  /** A policy's own daemon has deleted or replaced it: what a shared one displaced is not to be put back. */
  undisplace(key: string): void {
    this.#steps.undisplace(key);
  }

  /** This node becomes master: the kernel's counters have to be beyond all that the old one may have used. */
  overtake(nowMs: number): void {
    this.#putBack(this.#putBacks.drain());
    const { stale, ageMs } = this.leases.overtake(this.settings.strictReplay, nowMs);
    if (stale > 0) this.effects.log("state", `${stale} leases were stale: master not heard for ${ageMs} ms`);
  }

  /** This node is master. */
  retire(): void {
    this.#wasMaster = true;
    this.#master = undefined;
    this.#began = false;
    this.#unnamed = undefined;
    this.#counted = undefined;
    this.#steps.clear();
    this.#refusals.clear();
    this.#heldBack.clear();
    this.synced = false;
  }

  #put(put: Put, nowMs: number): void {
    if (put.rank > GREATEST_RANK) throw new PeerError(`rank ${put.rank} is too great`);
    const { record, refusal } = decodeRecord(put.kind, put.content, put.volatile);
    const identity = identityOf(record);
    const before = this.mirror.get(identity.key);
    const entry = this.mirror.set(entryOf(record, put.content, put.rank, nowMs, identity));
    this.#unnamed?.delete(entry.key);
    this.#refusals.delete(entry.key);
    if (!isShared(record, this.settings.ownership)) {
      this.refuse(entry.key, "local by this node's settings", put.change);
    } else if (refusal !== undefined) {
      this.refuse(entry.key, refusal, put.change);
    } else {
      this.guard.set(entry.key, record);
      if (this.#heldBack.take(entry.key, record)) return this.#keepOut(entry, NO_TAKEOVER, put.change);
      this.#steps.came(entry.key, record);
      // made anew on the master: made anew here; a snapshot leaves alone what is alike and checks the order at its END
      const renewed = this.#unnamed === undefined && before?.rank !== put.rank;
      this.queue.add(entry.identity, { force: renewed, change: put.change });
    }
  }

  #delete({ kind, identity: bytes, change }: Delete): void {
    this.#remove(decodeIdentity(kind, bytes), change);
  }

  #flush({ kind, selector, change }: Flush): void {
    for (const { identity } of [...this.mirror.values()]) {
      if (covers(kind, selector, identity)) this.#remove(identity, change);
    }
  }

  /** What the snapshot did not name is not there; and in the end both mirrors have to be equal. */
  #end(peer: string, { change, count, digest }: SnapshotEnd, nowMs: number): void {
    this.#removeUnnamed(change, this.settings.flushMode === "startup");
    this.#putMissing(change);
    this.#settleOrder();
    this.synced = this.mirror.size === count && equalBytes(this.mirror.digest, digest);
    this.#unequal = !this.synced && !this.#isNarrow;
    if (this.synced) {
      this.#complete = { change, text: `synchronised with ${peer}: ${count} records` };
      this.snapshotMs.set(peer, nowMs);
      return;
    }
    if (this.#isNarrow) {
      this.effects.log("state", `comparison with ${peer} does not add up: comparing by wider digests`);
      return this.#compare(peer, "join-again");
    }
    const sizes = `${this.mirror.size} records, not ${count}`;
    this.effects.log("error", `snapshot of ${peer} does not add up: ${sizes}`);
    this.tick(nowMs);
  }

  #endList(peer: string, { change, whole }: ListEnd, nowMs: number): void {
    if (whole) this.#removeUnnamed(change, true);
    this.#unnamed = undefined;
    this.#settleOrder();
    this.synced = true;
    this.snapshotMs.set(peer, nowMs);
    this.#complete = { change, text: `synchronised with ${peer}: ${this.mirror.size} records` };
  }

  /** `sweep`: also what is neither in the mirror nor local. @throws {PeerError} when no snapshot has begun. */
  #removeUnnamed(change: number, sweep: boolean): void {
    if (this.#unnamed === undefined) throw new PeerError("ends a snapshot that it has not begun");
    for (const key of this.#unnamed) {
      const entry = this.mirror.get(key);
      if (entry !== undefined) this.#remove(entry.identity, change);
    }
    this.#unnamed = undefined;
    this.#swept = sweep;
    if (sweep) this.#sweep(change);
  }

  #sweep(change?: number): void {
    for (const { key, identity, shared } of this.inventory.values()) {
      if (shared && this.mirror.get(key) === undefined) this.queue.add(identity, { remove: true, change });
    }
  }

  /** Whether the own kernel holds this although a snapshot of the followed master has swept such away. */
  isStranger({ key, shared }: Item): boolean {
    return this.synced && this.#swept && shared && this.mirror.get(key) === undefined && !this.queue.has(key);
  }

  /** Removes a stranger. */
  sweep(identity: RecordIdentity): void {
    this.queue.add(identity, { remove: true });
  }

  /** What was made here in a time as master is known now: what the next one's snapshot has not named goes too. */
  caughtUp(): void {
    if (this.settings.flushMode === "startup" && this.synced) this.#sweep();
  }

  /** What expired here when nobody could be asked about it, the master has; what was a master's is to be a slave's. */
  #putMissing(change: number): void {
    for (const { key, identity, refused } of this.mirror.values()) {
      const item = this.inventory.get(key);
      const isThere = item?.shared === true && item.content !== UNKNOWN_CONTENT && !this.#wasMaster;
      if (!isThere && refused === undefined && !this.queue.has(key)) this.queue.add(identity, { change });
    }
    this.#wasMaster = false;
  }

  #settleOrder(): void {
    this.#order.complete();
  }

  /** The settings have changed: what is local by them is no matter of the mirror any more, and all is asked for again. */
  reconsider(nowMs: number): void {
    for (const entry of [...this.mirror.values()]) {
      if (!isShared(recordOf(entry, nowMs), this.settings.ownership)) this.#forget(entry.key);
    }
    if (this.#master !== undefined) this.effects.send(this.#master, { type: "want", identities: [] });
  }

  #forget(key: string): void {
    this.mirror.delete(key);
    this.#steps.outdated(key);
    this.#refusals.delete(key);
    this.#heldBack.delete(key);
    this.leases.forget(key);
    if (this.inventory.get(key) === undefined) this.guard.delete(key);
  }

  #remove(identity: RecordIdentity, change: number): void {
    this.#forget(identity.key);
    this.queue.add(identity, { remove: true, change });
  }

  #ask(identity: RecordIdentity, nowMs: number): void {
    if (this.#asked.mayAsk(identity.key, nowMs)) this.want([identity]);
  }

  /** Asks the master for the latest state of these records. */
  want(identities: readonly RecordIdentity[]): void {
    if (this.#master === undefined) return;
    for (let first = 0; first < identities.length; first += MAX_WANTED) {
      const some = identities.slice(first, first + MAX_WANTED);
      const wanted = some.map((one) => ({ kind: one.kind, identity: encodeIdentity(one) }));
      this.effects.send(this.#master, { type: "want", identities: wanted });
    }
  }

  /** When nothing waits any more, puts again the policies that stand in another order than on the master. */
  restoreOrder(): void {
    if (this.queue.size > 0) return;
    for (const key of this.#order.misplaced()) {
      this.queue.add(this.mirror.get(key)!.identity, { force: true });
    }
  }
}

function isBeginning({ type }: Change | ListEnd): boolean {
  return type === "snapshot-begin" || type === "catch-up";
}
