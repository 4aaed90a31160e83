/**
 * Compares a dump of the own kernel with what this node knows of it: inventory, and as master the mirror, are brought to
 * what it shows; a slave's kernel is to be brought to what its master has.
 */

import type { Counters } from "../ports.ts";
import { identityOf, type IpsecRecord, type RecordIdentity } from "../record/record.ts";
import { bump } from "./bump.ts";
import { describe } from "./describe.ts";
import type { Effects } from "./effect.ts";
import type { Follower } from "./follower.ts";
import type { Inventory, Item } from "./inventory.ts";
import type { Master } from "./master.ts";
import type { Membership } from "./membership.ts";
import type { Mirror } from "./mirror.ts";
import { Strangers } from "./strangers.ts";

/** What a comparison works on. */
export interface ComparisonParts {
  readonly membership: Membership;
  readonly mirror: Mirror;
  readonly inventory: Inventory;
  readonly master: Master;
  readonly follower: Follower;
  readonly effects: Effects;
  readonly counters: Counters;
}

/** Takes in what a dump shows, as if an event had told it. */
export interface Intake {
  /** The kernel holds this. @returns whether that is another than was thought */
  readonly learn: (identity: RecordIdentity, record: IpsecRecord, nowMs: number) => boolean;
  /** The kernel does not hold this any more. */
  readonly lose: (identity: RecordIdentity, nowMs: number) => void;
}

export class DumpComparison {
  readonly #strangers = new Strangers();
  /** The last one has found what is to go if it is still there later. */
  hasStrangers = false;

  constructor(private readonly parts: ComparisonParts, private readonly intake: Intake) {}

  /**
   * Takes in what a dump shows. What was `touched` since it began is not compared: events win, also those that come in
   * between. `inDoubt`: events were lost, or none has been heard yet.
   *
   * @returns in what the kernel differed from what was known.
   */
  *run(
    records: readonly IpsecRecord[],
    { touched, inDoubt }: { readonly touched: ReadonlySet<string>; readonly inDoubt: boolean },
    nowMs: number,
  ): Generator<void, RecordIdentity[]> {
    const { inventory } = this.parts;
    const keys = new Set<string>();
    const differing = new Map<string, RecordIdentity>(); // a stranger may be new, too
    for (const record of records) {
      yield;
      const identity = identityOf(record);
      if (touched.has(identity.key)) continue;
      keys.add(identity.key);
      if (this.intake.learn(identity, record, nowMs)) differing.set(identity.key, identity);
    }
    for (const { key, identity } of inventory.values()) {
      yield;
      if (keys.has(key) || touched.has(key)) continue;
      differing.set(key, identity);
      this.intake.lose(identity, nowMs);
    }
    for (const one of yield* this.#missing(touched)) differing.set(one.key, one);
    for (const one of yield* this.#strange(touched, nowMs)) differing.set(one.key, one);
    const isInOrder = yield* this.#isInOrder(keys, touched);
    for (const key of touched) keys.delete(key); // they are newer
    if (inDoubt || !isInOrder) this.#order(keys);
    return [...differing.values()];
  }

  /** What a slave's kernel lacks although nothing has gone since: it expired, and what was asked about it was lost. */
  *#missing(touched: ReadonlySet<string>): Generator<void, RecordIdentity[]> {
    const missing: RecordIdentity[] = [];
    if (this.#isMaster) return missing;
    for (const { key, identity } of this.parts.mirror.values()) {
      yield;
      if (!touched.has(key) && this.parts.follower.putLacking(identity)) missing.push(identity);
    }
    return missing;
  }

  /** What somebody has made in a slave's kernel. */
  *#strange(touched: ReadonlySet<string>, nowMs: number): Generator<void, RecordIdentity[]> {
    const { inventory, follower, effects } = this.parts;
    const items: Item[] = [];
    for (const item of inventory.values()) {
      yield;
      if (!this.#isMaster && !touched.has(item.key) && follower.isStranger(item)) items.push(item);
    }
    for (const identity of this.#strangers.found(items, nowMs)) {
      bump(this.parts, "records removed");
      effects.log("state", `removing ${describe(identity)}: not the master's`, "not the master's");
      follower.sweep(identity);
    }
    this.hasStrangers = items.length > 0;
    return items.map(({ identity }) => identity);
  }

  /** Whether the policies, and the SAs that differ in their mark only, stand in the dump as they are thought to. */
  *#isInOrder(keys: ReadonlySet<string>, touched: ReadonlySet<string>): Generator<void, boolean> {
    const newest = new Map<string, number>();
    for (const key of keys) {
      yield;
      const item = touched.has(key) ? undefined : this.parts.inventory.get(key);
      const among = item === undefined ? undefined : this.parts.inventory.rivalsOf(item.identity);
      if (item === undefined || among === undefined) continue;
      if (item.seq < (newest.get(among) ?? 0)) return false;
      newest.set(among, item.seq);
    }
    return true;
  }

  get #isMaster(): boolean {
    return this.parts.membership.role === "MASTER";
  }

  #order(keys: ReadonlySet<string>): void {
    this.parts.inventory.reorder(keys);
    if (this.#isMaster) this.#rankAgain();
    else this.parts.follower.doubtOrder();
  }

  /**
   * Policies, and SAs that differ in their mark only, stand in the kernel's order: those that were moved by an event
   * that was lost, or came during the dump, are told again.
   */
  #rankAgain(): void {
    const { inventory, mirror, master } = this.parts;
    const greatest = new Map<string, number>();
    for (const { key, identity } of inventory.values()) {
      const among = inventory.rivalsOf(identity);
      const entry = among === undefined ? undefined : mirror.get(key);
      if (among === undefined || entry === undefined) continue;
      if (entry.rank < (greatest.get(among) ?? 0)) master.moved(key);
      greatest.set(among, mirror.get(key)!.rank);
    }
  }
}
