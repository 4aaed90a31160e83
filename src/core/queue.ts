/** What a node has still to bring its kernel to: identities, not messages; the latest state is looked up. */

import { type RecordIdentity } from "../record/record.ts";

/** One identity that waits. */
export interface Waiting {
  readonly key: string;
  readonly identity: RecordIdentity;
  /** Put it even if the kernel holds the same: it has to become the newest. */
  readonly force: boolean;
  /** The record came from a master and is to go, or a sweep takes it. */
  readonly remove: boolean;
}

/** Walks a map that is emptied from its front: each new iterator would pass over all that has been deleted. */
export class Front<V> {
  #entries: Iterator<[string, V], undefined>;

  constructor(readonly map: ReadonlyMap<string, V>) {
    this.#entries = map.entries();
  }

  /** The first entry after the one given last; when that was the last of all, the first again. */
  next(): [string, V] | undefined {
    const next = this.#entries.next();
    if (next.done !== true) return next.value;
    this.#entries = this.map.entries();
    return this.#entries.next().value;
  }
}

/** The identities that wait, in the order in which they came, and the acknowledgements that wait for them. */
export class ApplyQueue {
  readonly #waiting = new Map<string, Waiting>();
  readonly #front = new Front(this.#waiting);
  /** The first change number that each key owes an acknowledgement for, in the order of arrival. */
  readonly #owed = new Map<string, number>();
  readonly #debts = new Front(this.#owed);
  #oldestDebt: [string, number] | undefined;

  get size(): number {
    return this.#waiting.size;
  }

  /** Adds an identity; one that waits already keeps its place. `change`: the message that asked for it. */
  add(
    identity: RecordIdentity,
    { force = false, remove = false, change }: { force?: boolean; remove?: boolean; change?: number } = {},
  ): void {
    const key = identity.key;
    const before = this.#waiting.get(key);
    this.#waiting.set(key, { key, identity, force: force || before?.force === true, remove });
    if (change !== undefined && !this.#owed.has(key)) this.#owed.set(key, change);
  }

  has(key: string): boolean {
    return this.#waiting.has(key);
  }

  /** Takes the first that waits. */
  shift(): Waiting | undefined {
    const first = this.#front.next();
    if (first !== undefined) this.#waiting.delete(first[0]);
    return first?.[1];
  }

  /** The key has been dealt with. */
  done(key: string): void {
    if (!this.#waiting.has(key)) this.#owed.delete(key);
  }

  /** The greatest change number up to which nothing waits, when `received` is the last that came. */
  settled(received: number): number {
    const [key, change] = this.#oldestDebt ?? [];
    if (key === undefined || this.#owed.get(key) !== change) this.#oldestDebt = this.#debts.next();
    return this.#oldestDebt === undefined ? received : this.#oldestDebt[1] - 1;
  }

  /** Another master, or none: what was owed to the old one is owed no more. */
  forgetOwed(): void {
    this.#owed.clear();
    this.#oldestDebt = undefined;
  }

  /** Empties the queue. @returns what waited. */
  drain(): Waiting[] {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    this.forgetOwed();
    return all;
  }
}
