/**
 * Watches whether a slave's policies stand in its master's order where they overlap: a policy that is put becomes the
 * newest of its kernel, whatever its rank. Looking at all takes tens of milliseconds for a thousand policies, so it is
 * done where anything may have happened, and a policy that was put is looked at alone.
 */

import { decodeRecord, encodePolicyAge } from "../record/encoding.ts";
import type { Policy } from "../record/policy.ts";
import type { Inventory, Item } from "./inventory.ts";
import type { Mirror, MirrorEntry } from "./mirror.ts";
import { contestOf, outOfOrder, overlap, type Ranked } from "./policy_order.ts";

/** More policies than this are not looked at one by one. */
const MOST_LATE = 50;

/** A mirrored policy that the own kernel holds. */
interface Held {
  readonly entry: MirrorEntry;
  readonly item: Item;
}

export class OrderWatch {
  #isInDoubt = false;
  /** Greatest rank in the own kernel, as far as its order is known to be right. */
  #newestRank = 0;
  /** Policies that were put when one of greater rank was there. */
  readonly #late = new Set<string>();

  constructor(private readonly mirror: Mirror, private readonly inventory: Inventory) {}

  /** Ranks are another master's from now on. */
  reset(): void {
    this.#newestRank = 0;
  }

  /** The policies may stand in any order. */
  doubt(): void {
    this.#isInDoubt = true;
  }

  /** A snapshot is complete, which leaves alone what is alike. */
  complete(): void {
    this.#isInDoubt = true;
    this.#newestRank = this.mirror.greatestRank;
  }

  /** A policy of the mirror was put. */
  put(key: string, rank: number): void {
    if (rank < this.#newestRank) this.#late.add(key);
    else this.#newestRank = rank;
  }

  /** The keys of the policies that have to be put again, in that order. */
  misplaced(): string[] {
    const mustLook = this.#isInDoubt || this.#late.size > MOST_LATE ||
      [...this.#late].some((key) => this.#isMisplaced(key));
    this.#isInDoubt = false;
    this.#late.clear();
    return mustLook ? this.#lookAtAll() : [];
  }

  #lookAtAll(): string[] {
    const byRank = [...this.#held()].toSorted((a, b) => a.entry.rank - b.entry.rank);
    if (byRank.every(({ item }, i) => i === 0 || byRank[i - 1]!.item.seq < item.seq)) return [];
    const contests = Map.groupBy(byRank.map(rankedOf), ({ policy }) => contestOf(policy));
    return [...contests.values()].flatMap(outOfOrder);
  }

  #isMisplaced(key: string): boolean {
    const entry = this.mirror.get(key);
    const item = this.inventory.get(key);
    if (entry?.identity.kind !== "policy" || item === undefined) return false;
    for (const other of this.#held()) {
      const isInOrder = (other.entry.rank - entry.rank) * (other.item.seq - item.seq) >= 0;
      if (!isInOrder && compete(entry, other.entry)) return true;
    }
    return false;
  }

  *#held(): Generator<Held> {
    for (const entry of this.mirror.values()) {
      const item = entry.identity.kind === "policy" ? this.inventory.get(entry.key) : undefined;
      if (item?.shared === true) yield { entry, item };
    }
  }
}

/** Whether two policies overlap and have equal priority. Most do not overlap, and need not be decoded. */
function compete(a: MirrorEntry, b: MirrorEntry): boolean {
  return a.identity.kind === "policy" && b.identity.kind === "policy" &&
    overlap(a.identity.id, b.identity.id) &&
    contestOf(decodePolicy(a.content)) === contestOf(decodePolicy(b.content));
}

function rankedOf({ entry, item }: Held): Ranked {
  return { key: entry.key, policy: decodePolicy(entry.content), rank: entry.rank, seq: item.seq };
}

const NO_AGE = encodePolicyAge(0, undefined);

/** The policy that stands in a mirror or inventory. */
export function decodePolicy(content: Uint8Array): Policy {
  const { record } = decodeRecord("policy", content, NO_AGE);
  if (record.kind !== "policy") throw new TypeError("Cannot read a policy: the decoder gave an SA");
  return record.policy;
}
