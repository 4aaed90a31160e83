/**
 * An order of policies for a kernel that has none of its own (OpenBSD: the most specific one wins): that in which they
 * became known. A dump in whatever order then does not look as if policies had been moved.
 */

export class KnownOrder {
  #places = new Map<string, number>();
  #newest = 0;

  /** Notes that a policy was put: it is the newest. */
  put(key: string): void {
    this.#places.set(key, ++this.#newest);
  }

  /** Notes that a policy is there: one that was known keeps its place. */
  learn(key: string): void {
    if (!this.#places.has(key)) this.put(key);
  }

  delete(key: string): void {
    this.#places.delete(key);
  }

  /** The policies of a whole dump by their places. All others are forgotten. */
  sort<T>(dumped: readonly T[], keyOf: (policy: T) => string): T[] {
    const before = this.#places;
    this.#places = new Map();
    const placed = dumped.map((policy) => {
      const key = keyOf(policy);
      const place = before.get(key) ?? ++this.#newest;
      this.#places.set(key, place);
      return { policy, place };
    });
    return placed.sort((a, b) => a.place - b.place).map(({ policy }) => policy);
  }
}
