/**
 * What a node that steps down has still to offer to the new master: what it made alone (DESIGN section 6). Handed over
 * in parts, as no socket takes thousands of records at once.
 */

import type { Put } from "../wire/native/message.ts";
import { type MirrorEntry, volatileOf } from "./mirror.ts";

export class Offers {
  #peer = "";
  #entries: readonly MirrorEntry[] = [];

  /** To whom, and what; what another one has not taken yet is dropped. */
  set(peer: string, entries: readonly MirrorEntry[]): void {
    this.#entries = peer === this.#peer ? [...this.#entries, ...entries] : entries;
    this.#peer = peer;
  }

  /** This node is master itself. */
  clear(): void {
    this.#entries = [];
  }

  /** Whether `next` would give something. */
  isReady(peer: string): boolean {
    return peer === this.#peer && this.#entries.length > 0;
  }

  /** The next offers to this peer, about `budgetBytes` at most. */
  next(peer: string, nowMs: number, budgetBytes: number): Put[] {
    if (!this.isReady(peer)) return [];
    const puts: Put[] = [];
    for (let bytes = 0; bytes < budgetBytes && puts.length < this.#entries.length;) {
      const entry = this.#entries[puts.length]!;
      const { identity: { kind }, rank, content } = entry;
      const volatile = volatileOf(entry, nowMs);
      puts.push({ type: "put", change: 0, kind, rank, content, volatile });
      bytes += content.length + volatile.length;
    }
    this.#entries = this.#entries.slice(puts.length);
    return puts;
  }
}
