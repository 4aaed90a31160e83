/**
 * What a node that steps down has still to offer to the new master: what it made alone (DESIGN section 6), and when that
 * one was master all the while, how far it has come with each SA. Handed over in parts, as no socket takes thousands of
 * records at once.
 */

import { encodeIdentity } from "../record/encoding.ts";
import type { CountersMessage, Put } from "../wire/native/message.ts";
import { type MirrorEntry, volatileOf } from "./mirror.ts";

/** An entry as it was when it was offered: whole, or its counters only. */
export interface Offer {
  readonly of: "record" | "counters";
  readonly entry: MirrorEntry;
}

export class Offers {
  #peer = "";
  #waiting: readonly Offer[] = [];

  /** To whom, and what; what another one has not taken yet is dropped, and so are counters that are told anew. */
  set(peer: string, offers: readonly Offer[]): void {
    const before = peer === this.#peer ? this.#waiting : [];
    const isAnew = offers.some(({ of }) => of === "counters");
    this.#waiting = [...before.filter(({ of }) => of === "record" || !isAnew), ...offers];
    this.#peer = peer;
  }

  /** This node is master itself. */
  clear(): void {
    this.#waiting = [];
  }

  /** Whether `next` would give something. */
  isReady(peer: string): boolean {
    return peer === this.#peer && this.#waiting.length > 0;
  }

  /** The next offers to this peer, about `budgetBytes` at most. */
  next(peer: string, nowMs: number, budgetBytes: number): (Put | CountersMessage)[] {
    if (!this.isReady(peer)) return [];
    const messages: (Put | CountersMessage)[] = [];
    for (let bytes = 0; bytes < budgetBytes && messages.length < this.#waiting.length;) {
      const { of, entry } = this.#waiting[messages.length]!;
      const { identity, rank, content } = entry;
      const volatile = volatileOf(entry, nowMs);
      bytes += volatile.length + content.length;
      messages.push(
        of === "counters"
          ? { type: "counters", identity: encodeIdentity(identity), volatile }
          : { type: "put", change: 0, kind: identity.kind, rank, content, volatile },
      );
    }
    this.#waiting = this.#waiting.slice(messages.length);
    return messages;
  }
}
