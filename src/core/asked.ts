/** What a slave has asked its master lately, so that it does not ask again and again. */

/** An identity is asked about, and a snapshot asked for again, at most once in this time. */
const ASK_AGAIN_MS = 10_000;

export class Asked {
  /** When each topic was asked about. */
  readonly #askedMs = new Map<string, number>();
  /** When questions of long ago were last forgotten. */
  #forgotMs = 0;

  /** Whether a topic may be asked about; if so, it counts as asked. */
  mayAsk(topic: string, nowMs: number): boolean {
    if (nowMs - this.#forgotMs >= ASK_AGAIN_MS) { // not at each question: there may be thousands
      for (const [old, thenMs] of this.#askedMs) {
        if (nowMs - thenMs >= ASK_AGAIN_MS) this.#askedMs.delete(old);
      }
      this.#forgotMs = nowMs;
    }
    if (nowMs - (this.#askedMs.get(topic) ?? -Infinity) < ASK_AGAIN_MS) return false;
    this.#askedMs.set(topic, nowMs);
    return true;
  }
}
