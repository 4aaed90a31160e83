/**
 * The order in which the Linux kernel looks at policies of equal priority, which no dump shows: a dump has the policy
 * first that was put last, but one that was updated (UPDPOLICY) stands where it stood, unless its priority changed.
 * It keeps its index too, and indices ascend, so that they tell the order of all but those that were moved to another
 * priority: those have to be noted when it happens.
 */

/** Indices are 8 apart: one that was moved comes behind all that are there, and before all that will be. */
const STEP = 2 ** -20;

/** A policy as a message of the kernel tells it. */
export interface IndexedPolicy {
  /** The kernel's number for it. */
  readonly index: number;
  readonly priority: number;
}

interface Place {
  readonly priority: number;
  /** The kernel looks at smaller ones first, among those of a priority. */
  readonly place: number;
}

export class PolicyPlaces {
  #places = new Map<number, Place>();
  #newest = 0;

  /** Notes that a policy was made, or updated. */
  put(policy: IndexedPolicy): void {
    this.#note(policy, this.#places.get(policy.index));
  }

  /** Notes that a policy is gone. */
  delete(index: number): void {
    this.#places.delete(index);
  }

  /** Notes that all are gone. */
  clear(): void {
    this.#places.clear();
  }

  /** The policies of a whole dump, given as they were put, in the order of the lookup. All others are forgotten. */
  sort<T extends IndexedPolicy>(dumped: readonly T[]): T[] {
    const before = this.#places;
    this.#places = new Map();
    this.#newest = 0;
    for (const policy of dumped) this.#note(policy, before.get(policy.index));
    const placeOf = ({ index }: T) => this.#places.get(index)!.place;
    return dumped.toSorted((a, b) => placeOf(a) - placeOf(b));
  }

  #note({ index, priority }: IndexedPolicy, before: Place | undefined): void {
    const moved = before !== undefined && before.priority !== priority;
    const place = moved ? this.#newest + STEP : before?.place ?? index;
    this.#places.set(index, { priority, place });
    this.#newest = Math.max(this.#newest, place);
  }
}
