/**
 * What a slave puts back into its kernel because something else has undone it: each record once in a second, however
 * often that is. The first time it is put at once.
 */

import type { RecordIdentity } from "../record/record.ts";

const ROUND_MS = 1000;

export class PutBacks {
  #roundMs = 0;
  /** Put back in this round. */
  readonly #done = new Set<string>();
  /** Undone again since. */
  readonly #waiting = new Map<string, RecordIdentity>();

  /** Whether this record may be put back at once; else `due` gives it later. */
  mayNow(identity: RecordIdentity): boolean {
    const { key } = identity;
    if (this.#done.has(key)) this.#waiting.set(key, identity);
    else this.#done.add(key);
    return !this.#waiting.has(key);
  }

  /** Time goes by. @returns what may be put back now */
  due(nowMs: number): RecordIdentity[] {
    if (nowMs - this.#roundMs < ROUND_MS) return [];
    this.#roundMs = nowMs;
    this.#done.clear();
    const due = this.drain();
    for (const { key } of due) this.#done.add(key);
    return due;
  }

  /** Takes all that waits. */
  drain(): RecordIdentity[] {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    return all;
  }
}
