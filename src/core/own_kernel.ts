/**
 * What the own kernel says, in events and dumps: keeps the inventory and the guard's book, and tells the side that
 * is in charge, the master's or the slave's.
 */

import type { KernelEvent } from "../ports.ts";
import { equalBytes } from "../record/address.ts";
import type { Progress } from "../record/progress.ts";
import { decodeRecord, encodeContent, encodePolicyAge } from "../record/encoding.ts";
import {
  identityOf,
  identityOfPolicy,
  identityOfSa,
  type IpsecRecord,
  type RecordIdentity,
} from "../record/record.ts";
import { saKey } from "../record/sa.ts";
import { bump } from "./bump.ts";
import { describe } from "./describe.ts";
import { type ComparisonParts, DumpComparison } from "./dump_comparison.ts";
import type { GuardBook } from "./guard_book.ts";
import { type Item, UNKNOWN_CONTENT } from "./inventory.ts";
import { covers } from "./master.ts";
import { NumberEnd } from "./number_end.ts";
import { isShared, type Ownership } from "./ownership.ts";
import { STRANGER_MS } from "./strangers.ts";

/** What an own kernel works on. */
export interface OwnKernelParts extends ComparisonParts {
  readonly settings: { readonly ownership: Ownership };
  readonly guard: GuardBook;
}

/** A dump that has been asked for. */
interface DumpWindow {
  /** Identities that events have touched since: they are not compared. */
  readonly touched: Set<string>;
  /** There was a flush: it has to be done again. */
  spoiled: boolean;
  /** The caller has been told; until then the end of an older dump may come. */
  begun: boolean;
  /** Events were lost, or none has been heard yet; else it is looked whether all is well. */
  readonly inDoubt: boolean;
  /** The comparison with what it shows, once it is complete: a record or so in each step. */
  comparison?: Iterator<void>;
}

/** How often it is looked whether all is well. */
const LOOK_MS = 600_000;

/** The own kernel as this node knows it. */
export class OwnKernel {
  /** The inventory has been compared with the kernel: as slave since the start, as master since the last doubt. */
  known = false;
  #dump: DumpWindow | undefined;
  #lookMs = Infinity;
  /** In what the kernel differed from what was known, when it was compared last. */
  differing: readonly RecordIdentity[] = [];
  /** What has gone from the kernel of a master without being told; undefined: everything is told. */
  #withheld: Set<string> | undefined;

  readonly numberEnd: NumberEnd;
  /** What this node has changed since all events had been read: an event about it may be older than that. */
  readonly #stepped = new Set<string>();
  /** The same, of SAs of which it has set nothing but limits. */
  readonly #limited = new Set<string>();
  /** There was such an event, and it is not known what the kernel holds. */
  #crossed = false;
  /** Events of the time as master may still wait. */
  #isBehind = false;
  readonly #comparison: DumpComparison;

  constructor(private readonly parts: OwnKernelParts) {
    this.#comparison = new DumpComparison(parts, {
      learn: (identity, record, nowMs) => this.#learn(identity, record, false, nowMs),
      lose: (identity, nowMs) => this.#lose(identity, false, nowMs),
    });
    this.numberEnd = new NumberEnd(parts.mirror, parts.guard, parts.effects);
  }

  /** Asks for a dump, from its beginning when one is under way. */
  beginDump(inDoubt = true): void {
    const isInDoubt = inDoubt || this.#dump?.inDoubt === true;
    this.#dump = { touched: new Set(), spoiled: false, begun: false, inDoubt: isInDoubt };
    this.known = this.known && !(this.#isMaster && isInDoubt);
    this.parts.effects.dump();
  }

  /** Time goes by: looks now and then whether all is well. */
  tick(nowMs: number): void {
    if (!this.known || this.looking) return;
    if (this.#lookMs === Infinity) this.#lookMs = nowMs + LOOK_MS;
    else if (nowMs >= this.#lookMs) this.look(nowMs);
  }

  /** Looks whether the kernel holds what is thought; what differs is mended, and told by `differing`. */
  look(nowMs: number): void {
    this.#lookMs = nowMs + LOOK_MS;
    if (!this.looking) this.beginDump(false);
  }

  /** Whether a dump, or the comparison with it, is under way. */
  get looking(): boolean {
    return this.#dump !== undefined;
  }

  /** The effects are with the caller: what it dumps from now on is the dump that was asked for. */
  dumpBegins(): void {
    if (this.#dump !== undefined) this.#dump.begun = true;
  }

  /** A dump is complete: all records, oldest first. It has to be compared, if it is the one that was asked for. */
  dumped(records: readonly IpsecRecord[], nowMs: number): void {
    if (this.#dump?.begun === true) this.#dump.comparison ??= this.#compare(records, this.#dump, nowMs);
  }

  /** Whether `compare` has work to do. */
  get comparing(): boolean {
    return this.#dump?.comparison !== undefined;
  }

  /** Goes on with the comparison, for up to `limit` records: all would take seconds. @returns whether it is done now */
  compare(limit: number): boolean {
    const { comparison, spoiled } = this.#dump ?? {};
    if (comparison === undefined) return false;
    if (spoiled) {
      this.beginDump();
      return false;
    }
    for (let count = 0; count < limit; count++) {
      if (comparison.next().done !== true) continue;
      this.#dump = undefined;
      this.known = true;
      return true;
    }
    return false;
  }

  event(event: KernelEvent, nowMs: number): void {
    switch (event.kind) {
      case "record":
        return this.#changed(identityOf(event.record), event.record, event.created, nowMs);
      case "sa-gone":
        return this.#lose(identityOfSa(event.id), event.expired, nowMs);
      case "policy-gone":
        return this.#lose(identityOfPolicy(event.id), event.expired, nowMs);
      case "progress":
        return this.#progress(saKey(event.id), event.progress, nowMs);
      case "sa-flush":
        return this.#flushed("sa", event.protocol, nowMs);
      case "policy-flush":
        return this.#flushed("policy", event.type, nowMs);
      case "unreadable":
        return this.#cannotRead(event.what, event.reason);
      case "resync":
        bump(this.parts, "resyncs");
        this.parts.effects.log("detail", `comparing with the kernel: ${event.reason}`);
        this.beginDump();
    }
  }

  /**
   * Whether a master keeps to itself what is deleted from its kernel (a handover; DESIGN section 7). At the end what
   * has not come back is told after all; a slave repairs it anyway.
   */
  withhold(isWanted: boolean): void {
    if (isWanted) this.#withheld ??= new Set();
    if (isWanted || this.#withheld === undefined) return;
    const { inventory } = this.parts;
    const gone = [...this.#withheld].filter((key) => inventory.get(key) === undefined);
    this.#withheld = undefined;
    if (!this.#isMaster) return;
    for (const key of gone) {
      this.forget(key);
      this.unguard(key);
    }
  }

  /** This node is master no more: what was deleted without being told is put back. */
  steppedDown(nowMs: number): void {
    this.#isBehind = true;
    for (const key of this.#withheld ?? []) {
      const entry = this.parts.mirror.get(key);
      if (entry !== undefined) this.parts.follower.kernelLost(entry.identity, false, nowMs);
    }
  }

  /** A master has this record no more. */
  forget(key: string): void {
    this.parts.follower.leases.ended(key);
    this.parts.master.forget(key);
  }

  /** This identity has changed since the dump began. */
  #touched(key: string): void {
    this.#dump?.touched.add(key);
  }

  /** What neither the mirror nor, as a shared record, the kernel holds needs no guard. */
  unguard(key: string): void {
    const { inventory, mirror, guard } = this.parts;
    if (inventory.get(key)?.shared !== true && mirror.get(key) === undefined) guard.delete(key);
  }

  get #isMaster(): boolean {
    return this.parts.membership.role === "MASTER";
  }

  /** This node has changed it itself. */
  stepped(key: string): void {
    this.#touched(key);
    this.#stepped.add(key);
  }

  /** This node has given it other limits. A slave that is told of others gives them again. */
  limited(key: string): void {
    this.#touched(key);
    this.#limited.add(key);
  }

  /** There are no more events for now. */
  drained(): void {
    this.#stepped.clear();
    this.#limited.clear();
    if (this.#dump?.inDoubt !== true) { // else it will show what was told by no event
      if (this.#isBehind && !this.#isMaster) this.parts.follower.caughtUp();
      this.#isBehind = false;
    }
    if (!this.#crossed) return;
    this.#crossed = false;
    this.beginDump();
  }

  #changed(identity: RecordIdentity, record: IpsecRecord, created: boolean, nowMs: number): void {
    this.#touched(identity.key);
    // an SA that was larval comes as a change of one that was not there
    const isNew = created || this.parts.inventory.get(identity.key) === undefined;
    this.#learn(identity, record, created, nowMs);
    if (this.#stepped.has(identity.key)) this.#doubt(identity.key);
    else if (this.#isMaster && this.#limited.has(identity.key)) this.#crossed = true;
    // which is the newest, this one or what this node has put, only the kernel knows
    else if (this.#stepped.size > 0 && this.parts.inventory.rivalsOf(identity) !== undefined) {
      this.#crossed = true;
    }
    if (isNew && this.#isMaster) this.parts.master.bore(identity.key);
  }

  /** What the event shows may be older than what this node has put there. A slave puts it again, whatever it is. */
  #doubt(key: string): void {
    const item = this.parts.inventory.get(key);
    if (this.#isMaster) this.#crossed = true;
    else if (item?.shared === true) this.parts.inventory.set(item.identity, UNKNOWN_CONTENT, true, false);
  }

  /** As long as nobody is followed the mirror knows what this node used last: the next master may have to be told. */
  #progress(key: string, progress: Progress, nowMs: number): void {
    const { master, follower } = this.parts;
    if (this.#isMaster) this.numberEnd.see(key, progress, nowMs);
    else follower.leases.stood(key, progress.oseq);
    if (follower.master === undefined) master.progress(key, progress, nowMs);
  }

  /** @returns whether that is another than was thought */
  #learn(identity: RecordIdentity, record: IpsecRecord, created: boolean, nowMs: number): boolean {
    const { inventory, master, follower } = this.parts;
    const { key } = identity;
    const content = this.#encode(record);
    if (content === undefined) {
      this.#lose(identity, false, nowMs);
      return true;
    }
    const shared = isShared(record, this.parts.settings.ownership);
    const before = inventory.get(key);
    const isAlike = before !== undefined && equalBytes(before.content, content);
    const isNew = created || before === undefined || !isAlike && movesAway(record, before.content);
    const isSame = isAlike && !isNew && before.shared === shared;
    const known = isAlike ? before : { identity, content }; // a dump's own of all records would stay in memory
    inventory.set(known.identity, known.content, shared, isNew);
    if (shared) this.parts.guard.set(key, record);
    else this.unguard(key);
    if (!this.#isMaster) {
      // later on, what it shows is what was put there
      const isOwn = follower.master === undefined && record.kind === "sa";
      if (isOwn) follower.leases.stood(key, record.sa.counters.oseq);
      if (!isSame && follower.kernelChanged(key)) this.#mend(identity, "changed");
      return !isSame;
    }
    if (!isSame) {
      follower.undisplace(key);
      follower.leases.replaced(key);
    }
    if (!shared) this.forget(key);
    else if (isSame) master.recount(record, nowMs, key);
    else master.learn(record, content, isNew, nowMs, identity);
    return !isSame;
  }

  /** Somebody has laid hands on what is the master's. */
  #mend(identity: RecordIdentity, what: string): void {
    bump(this.parts, "records put back");
    this.parts.effects.log("state", `putting back ${describe(identity)}: ${what} in this kernel`, "put back");
  }

  /** undefined for a record that has no binary form: nothing that can be synchronised is there. */
  #encode(record: IpsecRecord): Uint8Array | undefined {
    try {
      return encodeContent(record);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#cannotRead(describe(identityOf(record)), error.message);
      return undefined;
    }
  }

  #cannotRead(what: string, reason: string): void {
    bump(this.parts, "unreadable records");
    this.parts.effects.log("error", `cannot synchronise ${what}: ${reason}`, reason);
  }

  #lose(identity: RecordIdentity, expired: boolean, nowMs: number): void {
    const { follower } = this.parts;
    const key = identity.key;
    this.#touched(key);
    // a slave that has the record in its mirror puts it again anyway
    if (this.#stepped.has(key) && (this.#isMaster || this.parts.mirror.get(key) === undefined)) {
      this.#crossed = true;
    }
    const item = this.#takeOut(key);
    this.numberEnd.forget(key);
    follower.undisplace(key);
    if (!this.#isMaster) {
      if (follower.kernelLost(identity, expired, nowMs)) this.#mend(identity, "deleted");
    } else if (item !== undefined) { // else refused here: it was never there
      if (this.#withheld !== undefined && !expired) this.#withheld.add(key);
      else this.forget(key);
    }
    this.unguard(key);
  }

  /** It is not in the kernel any more; what a slave has put since this was said may be. @returns what was there */
  #takeOut(key: string): Item | undefined {
    const { inventory } = this.parts;
    const item = inventory.get(key);
    if (!this.#isMaster && item?.shared === true && this.#stepped.has(key)) {
      inventory.set(item.identity, UNKNOWN_CONTENT, true, false);
    } else inventory.delete(key);
    return item;
  }

  #flushed(kind: "sa" | "policy", selector: number, nowMs: number): void {
    const { inventory, master, follower } = this.parts;
    if (this.#dump !== undefined) this.#dump.spoiled = true;
    const items = [...inventory.values()].filter(({ identity }) => covers(kind, selector, identity));
    for (const { key } of items) {
      this.#takeOut(key);
      follower.undisplace(key);
    }
    if (this.#isMaster && this.#withheld !== undefined) {
      for (const { key } of items) this.#withheld.add(key);
    } else if (this.#isMaster) {
      for (const { key } of items) follower.leases.ended(key);
      master.flushed(kind, selector, items.map(({ key }) => key));
    } else {
      for (const { identity } of items) {
        if (follower.kernelLost(identity, false, nowMs)) this.#mend(identity, "flushed");
      }
    }
    for (const { key } of items) this.unguard(key);
  }

  *#compare(records: readonly IpsecRecord[], window: DumpWindow, nowMs: number): Generator<void, void> {
    const wasKnown = this.known || !window.inDoubt;
    const differing = yield* this.#comparison.run(records, window, nowMs);
    if (this.#comparison.hasStrangers) this.#lookMs = Math.min(this.#lookMs, nowMs + STRANGER_MS);
    if (wasKnown) this.#report(differing);
  }

  #report(differing: readonly RecordIdentity[]): void {
    this.differing = differing;
    if (differing.length === 0) return;
    bump(this.parts, "comparisons with a difference");
    this.parts.effects.log("state", `the kernel differed from what was known in ${differing.length} records`);
  }
}

/** Whether a policy has another priority than before, or may have: it then is the newest of those that it joins. */
function movesAway(record: IpsecRecord, before: Uint8Array): boolean {
  if (record.kind !== "policy") return false;
  if (before === UNKNOWN_CONTENT) return true;
  const old = decodeRecord("policy", before, encodePolicyAge(0, undefined)).record;
  return old.kind === "policy" && old.policy.priority !== record.policy.priority;
}
