/** What a node has still to bring its kernel to: identities, not messages; the latest state is looked up. */

import { identityKey, type RecordIdentity } from "../record/record.ts";

/** One identity that waits. */
export interface Waiting {
  readonly key: string;
  readonly identity: RecordIdentity;
  /** Put it even if the kernel holds the same: it has to become the newest. */
  readonly force: boolean;
  /** The record came from a master and is to go, or a sweep takes it. */
  readonly remove: boolean;
}

export class ApplyQueue {
  readonly #waiting = new Map<string, Waiting>();
  /** The first change number that each key owes an acknowledgement for, in the order of arrival. */
  readonly #owed = new Map<string, number>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Adds an identity; one that waits already keeps its place. `change`: the message that asked for it. */
  add(
    identity: RecordIdentity,
    { force = false, remove = false, change }: { force?: boolean; remove?: boolean; change?: number } = {},
  ): void {
    const key = identityKey(identity);
    const before = this.#waiting.get(key);
    this.#waiting.set(key, { key, identity, force: force || before?.force === true, remove });
    if (change !== undefined && !this.#owed.has(key)) this.#owed.set(key, change);
  }

  has(key: string): boolean {
    return this.#waiting.has(key);
  }

  /** Takes the first that waits. */
  shift(): Waiting | undefined {
    for (const [key, waiting] of this.#waiting) {
      this.#waiting.delete(key);
      return waiting;
    }
    return undefined;
  }

  /** The key has been dealt with. */
  done(key: string): void {
    if (!this.#waiting.has(key)) this.#owed.delete(key);
  }

  /** The greatest change number up to which nothing waits, when `received` is the last that came. */
  settled(received: number): number {
    for (const change of this.#owed.values()) return change - 1;
    return received;
  }

  /** Another master, or none: what was owed to the old one is owed no more. */
  forgetOwed(): void {
    this.#owed.clear();
  }

  /** Empties the queue. @returns what waited. */
  drain(): Waiting[] {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#owed.clear();
    return all;
  }
}
