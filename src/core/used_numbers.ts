/**
 * How far the own kernel has come with the sequence numbers of SAs, by key. An SA that has gone is remembered for a
 * while: a peer that did not hear of that may bring it back, with counters of its own.
 */

/** SAs that have gone and are remembered. */
const MOST_ENDED = 10_000;

export class UsedNumbers {
  readonly #standing = new Map<string, bigint>();
  /** The latest last. */
  readonly #ended = new Map<string, bigint>();

  /** The kernel has used the numbers of an SA up to this one. */
  reach(key: string, oseq: bigint): void {
    if (oseq > this.of(key)) this.#standing.set(key, oseq);
  }

  /** The SA has gone. */
  end(key: string): void {
    const used = this.of(key);
    this.#standing.delete(key);
    this.#ended.delete(key);
    if (used === 0n) return;
    this.#ended.set(key, used);
    if (this.#ended.size > MOST_ENDED) {
      for (const oldest of this.#ended.keys().take(1)) this.#ended.delete(oldest);
    }
  }

  /** The greatest number that is known to be used; 0: none. */
  of(key: string): bigint {
    return this.#standing.get(key) ?? this.#ended.get(key) ?? 0n;
  }
}
