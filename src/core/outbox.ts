/**
 * What has still to be told to one peer: a set of identities whose latest state has to be sent, not a list of
 * messages. A burst on one SA costs one record; memory is bounded by the number of records.
 */

import { encodeIdentity } from "../record/encoding.ts";
import { type RecordIdentity } from "../record/record.ts";
import type { SaCounters } from "../record/sa.ts";
import type { CatchUp, Change, Counted, CountersMessage } from "../wire/native/message.ts";
import { type Mirror, volatileOf } from "./mirror.ts";
import { Front } from "./queue.ts";

/** Unacknowledged bytes that are handed to TCP at most. */
export const WINDOW_BYTES = 256 * 1024;

/** Bytes of a message beside its content, identity and counters, rounded up; for the window's account. */
const MESSAGE_OVERHEAD = 40;

type Pending =
  | { readonly kind: "begin"; readonly epoch: number }
  | RecordIdentity
  | { readonly kind: "flush"; readonly of: "sa" | "policy"; readonly selector: number }
  | { readonly kind: "end" };

/** An SA whose counters have moved. */
interface Moved {
  readonly identity: RecordIdentity;
  /** `Mirror.moves` when it came here: the peer may not know of this move, nor of later ones. */
  readonly move: number;
}

const BEGIN = "begin";
const END = "end";

/** What one peer has still to be told, and what it has not acknowledged yet. */
export class Outbox {
  readonly #pending = new Map<string, Pending>();
  readonly #front = new Front(this.#pending);
  /** SAs whose counters have moved, the oldest move first. */
  readonly #counted = new Map<string, Moved>();
  readonly #countedFront = new Front(this.#counted);
  /** The last move that the peer was told to have. */
  #toldMove = 0;
  /** The peer's mirror is being compared with ours: what differs is still to be found. */
  #comparing = false;
  /** END waits until the peer has the counters that had moved by then. */
  #endMove = 0;
  /** What is on its way, one entry for all that was given at once; `change` is the last of it. */
  readonly #flight: { readonly change: number; readonly bytes: number; readonly sentMs: number }[] = [];
  #flightBytes = 0;
  readonly #first: number;
  /** The number of the last END; undefined: there was none since the last BEGIN. */
  #endChange: number | undefined;
  #change: number;
  #acknowledged: number;

  /** Changes are numbered from `lastChange + 1`. */
  constructor(lastChange = 0) {
    this.#first = lastChange;
    this.#change = lastChange;
    this.#acknowledged = lastChange;
  }

  /** The number of the last change that was sent. */
  get lastChange(): number {
    return this.#change;
  }

  /** Whether the peer has applied the last snapshot. */
  get isWhole(): boolean {
    return this.#endChange !== undefined && this.#acknowledged >= this.#endChange;
  }

  /** How many changes were sent, and how many of them the peer has applied. */
  get done(): { readonly sent: number; readonly applied: number } {
    return { sent: this.#change - this.#first, applied: this.#acknowledged - this.#first };
  }

  /** Changes that wait to be sent or acknowledged. */
  get lagChanges(): number {
    return this.#pending.size + this.#change - this.#acknowledged + (this.#comparing ? 1 : 0);
  }

  /** How long the oldest unacknowledged change has been on its way. */
  lagMs(nowMs: number): number {
    return this.#flight[0] === undefined ? 0 : nowMs - this.#flight[0].sentMs;
  }

  /** Everything anew: BEGIN, every record of the mirror in its order, END. */
  snapshot(mirror: Mirror, epoch: number): void {
    this.#clear();
    this.#pending.set(BEGIN, { kind: "begin", epoch });
    for (const { key, identity } of mirror.values()) this.#pending.set(key, identity);
    this.#pending.set(END, { kind: "end" });
  }

  /**
   * Only what differs anew: it is touched when it has been found, then comes `end`. Counters that moved after the peer
   * was told all up to `counted` are told before.
   *
   * @returns the first message of it.
   */
  catchUp(mirror: Mirror, epoch: number, counted: number, nowMs: number): CatchUp {
    this.#clear();
    this.#comparing = true;
    const known = counted > mirror.moves ? 0 : counted; // else it was told by somebody else
    this.#endMove = mirror.moves;
    for (const { key, identity, counters, moved } of mirror.values()) {
      if (moved > known && counters !== undefined && hasMoved(counters)) {
        this.#counted.set(key, { identity, move: known + 1 });
      }
    }
    const change = ++this.#change;
    if (this.#flight.length === 0) { // else who asks again and again without an ACK would take ever more room
      this.#flight.push({ change, bytes: MESSAGE_OVERHEAD, sentMs: nowMs });
      this.#flightBytes += MESSAGE_OVERHEAD;
    }
    return { type: "catch-up", change, epoch };
  }

  /** Whether what differs is still to be found. */
  get comparing(): boolean {
    return this.#comparing;
  }

  /** All that differs has been found. */
  end(): void {
    this.#comparing = false;
    this.#pending.set(END, { kind: "end" });
  }

  /** The latest state of this record has to be sent. One that waits already keeps its place. */
  touch(identity: RecordIdentity): void {
    if (!this.#pending.has(identity.key)) this.#pending.set(identity.key, identity);
  }

  /** The counters of this SA have moved, in this move of the mirror. They go with its record, if that waits. */
  count(identity: RecordIdentity, move: number): void {
    const { key } = identity;
    if (!this.#pending.has(key) && !this.#counted.has(key)) this.#counted.set(key, { identity, move });
  }

  /** The next counters, at most about `budgetBytes`: they are urgent, and lost ones are replaced by later ones. */
  nextCounters(mirror: Mirror, nowMs: number, budgetBytes: number): CountersMessage[] {
    const messages: CountersMessage[] = [];
    let total = 0;
    while (total < budgetBytes) {
      const [key, { identity } = {}] = this.#countedFront.next() ?? [];
      if (key === undefined || identity === undefined) break;
      this.#counted.delete(key);
      const entry = mirror.get(key);
      if (entry === undefined || this.#pending.has(key)) continue;
      const volatile = volatileOf(entry, nowMs);
      messages.push({ type: "counters", identity: encodeIdentity(identity), volatile });
      total += volatile.length + MESSAGE_OVERHEAD;
    }
    return messages;
  }

  /** When nothing waits before it: which counters the peer has by now, if that is news. */
  nextCounted({ moves }: Mirror): Counted[] {
    if (this.#pending.size > 0 || this.#comparing) return [];
    const serial = this.#oldestMove(moves + 1) - 1;
    if (serial <= this.#toldMove) return [];
    this.#toldMove = serial;
    return [{ type: "counted", serial }];
  }

  /** A flush: what it covers need not be sent one by one. */
  flush(of: "sa" | "policy", selector: number, covers: (identity: RecordIdentity) => boolean): void {
    for (const [key, item] of this.#pending) {
      if (isRecord(item) && covers(item)) this.#pending.delete(key);
    }
    this.#pending.set(`flush ${of} ${selector}`, { kind: "flush", of, selector });
  }

  /**
   * The next changes as long as the window has room, at most about `budgetBytes`. END goes last: its count and
   * digest speak of the whole mirror.
   */
  next(mirror: Mirror, nowMs: number, budgetBytes: number): Change[] {
    const changes: Change[] = [];
    const budget = Math.min(budgetBytes, WINDOW_BYTES - this.#flightBytes);
    let total = 0;
    while (total < budget) {
      const [key, item] = this.#front.next() ?? [];
      if (key === undefined || item === undefined) break;
      this.#pending.delete(key);
      if (item.kind === "end" && (this.#pending.size > 0 || this.#oldestMove(Infinity) <= this.#endMove)) {
        this.#pending.set(END, item);
        if (this.#pending.size === 1) break;
        continue;
      }
      const { change, bytes } = this.#build(item, mirror, nowMs);
      total += bytes;
      changes.push(change);
    }
    if (changes.length > 0) this.#flight.push({ change: this.#change, bytes: total, sentMs: nowMs });
    this.#flightBytes += total;
    return changes;
  }

  /** Whether `next` would give something. */
  get ready(): boolean {
    return this.#counted.size > 0 || this.#pending.size > 0 && this.#flightBytes < WINDOW_BYTES;
  }

  /** Everything up to this change has arrived in the peer's kernel. @returns false for a number never sent. */
  ack(change: number): boolean {
    if (change > this.#change) return false;
    this.#acknowledged = Math.max(this.#acknowledged, change);
    let done = 0;
    while (this.#flight[done] !== undefined && this.#flight[done]!.change <= change) {
      this.#flightBytes -= this.#flight[done]!.bytes;
      done++;
    }
    this.#flight.splice(0, done);
    return true;
  }

  #clear(): void {
    this.#pending.clear();
    this.#counted.clear();
    this.#endChange = undefined;
    this.#comparing = false;
    this.#toldMove = 0;
    this.#endMove = 0;
  }

  #oldestMove(none: number): number {
    for (const { move } of this.#counted.values()) return move;
    return none;
  }

  #build(item: Pending, mirror: Mirror, nowMs: number): { change: Change; bytes: number } {
    const change = ++this.#change;
    if (item.kind === "begin") {
      return { change: { type: "snapshot-begin", change, epoch: item.epoch }, bytes: MESSAGE_OVERHEAD };
    }
    if (item.kind === "end") {
      const { size: count, digest } = mirror;
      this.#endChange = change;
      return { change: { type: "snapshot-end", change, count, digest }, bytes: MESSAGE_OVERHEAD };
    }
    if (item.kind === "flush") {
      return {
        change: { type: "flush", change, kind: item.of, selector: item.selector },
        bytes: MESSAGE_OVERHEAD,
      };
    }
    const { kind } = item;
    const entry = mirror.get(item.key);
    if (entry === undefined) {
      const identity = encodeIdentity(item);
      return {
        change: { type: "delete", change, kind, identity },
        bytes: identity.length + MESSAGE_OVERHEAD,
      };
    }
    const { content, rank } = entry;
    const volatile = volatileOf(entry, nowMs);
    return {
      change: { type: "put", change, kind, rank, content, volatile },
      bytes: content.length + volatile.length + MESSAGE_OVERHEAD,
    };
  }
}

function hasMoved({ oseq, seq }: SaCounters): boolean {
  return oseq > 0n || seq > 0n;
}

function isRecord(item: Pending): item is RecordIdentity {
  return item.kind === "sa" || item.kind === "policy";
}
