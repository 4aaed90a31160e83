/**
 * The master's side: keeps the mirror equal to the shared part of the own kernel and tells every slave that has
 * asked. Knows nothing of roles: the node calls it while it is master.
 */

import { equalBytes } from "../record/address.ts";
import { furthest, isEqualProgress, type Progress } from "../record/progress.ts";
import { identityOf, type IpsecRecord, type RecordIdentity, recordKey } from "../record/record.ts";
import { PROTOCOL } from "../record/sa.ts";
import type { CatchUp, Message } from "../wire/native/message.ts";
import { birthOf, entryOf, type Mirror, type MirrorEntry } from "./mirror.ts";
import { Outbox } from "./outbox.ts";

/** Deletions that are remembered. */
const MOST_GONE = 10_000;

/** Mirror and outboxes of a master. */
export class Master {
  readonly #outboxes = new Map<string, Outbox>();
  /** What was made in the own kernel since this node is master, by the peer that has not acknowledged it yet. */
  readonly #unsaid = new Map<string, Set<string>>();
  /** What a peer has refused since it asked for everything: the content that it would not take and why, by key. */
  readonly #refused = new Map<
    string,
    Map<string, { readonly content: Uint8Array; readonly reason: string }>
  >();
  /** When a peer had applied its last snapshot. */
  readonly #snapshotMs = new Map<string, number>();
  /** What became of the changes for a peer in the outboxes that are gone. */
  readonly #done = new Map<string, { readonly sent: number; readonly applied: number }>();
  /** What was deleted lately: who offers it has not heard of that. */
  readonly #gone = new Set<string>();
  /** Outboxes begin their numbers here: an acknowledgement for an earlier one may still be on its way. */
  #lastChange = 0;

  constructor(readonly mirror: Mirror, private readonly flushIsSent: boolean, peers: readonly string[]) {
    this.configure(peers);
  }

  /** These are the peers from now on; one that is new knows of nothing that there is, if this node `isMaster`. */
  configure(peers: readonly string[], isMaster = false): void {
    const all = isMaster ? [...this.mirror.values()].map(({ key }) => key) : [];
    for (const peer of this.#unsaid.keys()) if (!peers.includes(peer)) this.#unsaid.delete(peer);
    for (const peer of peers) if (!this.#unsaid.has(peer)) this.#unsaid.set(peer, new Set(all));
  }

  /** A slave asks for everything. */
  join(peer: string, epoch: number): void {
    this.#admit(peer).snapshot(this.mirror, epoch);
  }

  /** A slave asks for what differs, and has the counters up to the move `counted`. @returns what it is told first */
  catchUp(peer: string, epoch: number, counted: number, nowMs: number): CatchUp {
    return this.#admit(peer).catchUp(this.mirror, epoch, counted, nowMs);
  }

  #admit(peer: string): Outbox {
    const outbox = this.#outboxes.get(peer) ?? new Outbox(this.#lastChange);
    this.#outboxes.set(peer, outbox);
    this.#refused.delete(peer);
    return outbox;
  }

  /** The session is gone, or the peer is master too. */
  leave(peer: string): void {
    this.#lastChange = Math.max(this.#lastChange, this.#outboxes.get(peer)?.lastChange ?? 0);
    this.#done.set(peer, this.done(peer));
    this.#outboxes.delete(peer);
    this.#refused.delete(peer);
  }

  /** A peer would not take this record as it is. */
  refuse(peer: string, key: string, reason: string): void {
    const entry = this.mirror.get(key);
    if (entry === undefined) return;
    const refused = this.#refused.get(peer) ?? new Map();
    this.#refused.set(peer, refused.set(key, { content: entry.content, reason }));
  }

  /** Why a peer has refused what there is still: one reason for each record. */
  refusals(peer: string): string[] {
    return [...this.#refused.get(peer) ?? []]
      .filter(([key, { content }]) => this.mirror.get(key)?.content === content)
      .map(([, { reason }]) => reason);
  }

  /** When a peer had applied the last snapshot that was sent to it; undefined: never. */
  snapshotMs(peer: string): number | undefined {
    return this.#snapshotMs.get(peer);
  }

  /** How many changes were sent to a peer since the start, and how many of them it has applied. */
  done(peer: string): { readonly sent: number; readonly applied: number } {
    const before = this.#done.get(peer) ?? { sent: 0, applied: 0 };
    const now = this.#outboxes.get(peer)?.done ?? { sent: 0, applied: 0 };
    return { sent: before.sent + now.sent, applied: before.applied + now.applied };
  }

  /** Why a peer could not take over with all that there is; undefined: it could, as far as it has said. */
  lackOf(peer: string): string | undefined {
    const outbox = this.#outboxes.get(peer);
    if (outbox === undefined) return "has not asked for anything yet";
    if (outbox.lagChanges > 0) return `has not taken all changes yet (${outbox.lagChanges} left)`;
    const count = this.refusals(peer).length;
    return count > 0 ? `has refused what there is (records: ${count})` : undefined;
  }

  /** Somebody has made this record here: no peer knows of it before it has acknowledged it. */
  bore(key: string): void {
    if (this.mirror.get(key) !== undefined) { for (const keys of this.#unsaid.values()) keys.add(key); }
  }

  /** Another node is master: what was born here, is there still, and was never said to it. Asked once. */
  takeUnsaid(peer: string): MirrorEntry[] {
    const keys = [...this.#unsaid.get(peer) ?? []];
    for (const others of this.#unsaid.values()) others.clear();
    return keys.map((key) => this.mirror.get(key)).filter((entry) => entry !== undefined);
  }

  /** A peer has everything up to this change. @returns false for a number never sent; undefined without an outbox. */
  ack(peer: string, change: number, nowMs: number): boolean | undefined {
    const outbox = this.#outboxes.get(peer);
    const wasWhole = outbox?.isWhole;
    const isKnown = outbox?.ack(change);
    if (!wasWhole && outbox?.isWhole) this.#snapshotMs.set(peer, nowMs);
    if (outbox?.lagChanges === 0) this.#unsaid.get(peer)?.clear();
    return isKnown;
  }

  /** No master any more. */
  retire(): void {
    for (const peer of [...this.#outboxes.keys()]) this.leave(peer);
    this.#gone.clear(); // what comes back from now on, the next master has made
  }

  outbox(peer: string): Outbox | undefined {
    return this.#outboxes.get(peer);
  }

  /** The next data for a peer. */
  collect(peer: string, nowMs: number, budgetBytes: number): Message[] {
    const outbox = this.#outboxes.get(peer);
    if (outbox === undefined) return [];
    const counters = outbox.nextCounters(this.mirror, nowMs, budgetBytes);
    const changes = outbox.next(this.mirror, nowMs, budgetBytes);
    return [...counters, ...changes, ...outbox.nextCounted(this.mirror)];
  }

  /** The kernel holds this shared record now. `created`: as a new object; `changed`: its content is new. */
  learn(
    record: IpsecRecord,
    content: Uint8Array,
    created: boolean,
    nowMs: number,
    identity = identityOf(record),
  ): void {
    const before = this.mirror.get(identity.key);
    this.#gone.delete(identity.key);
    if (before !== undefined && !created && equalBytes(before.content, content)) {
      this.recount(record, nowMs, identity.key);
      return;
    }
    const rank = before === undefined || created ? this.mirror.nextRank() : before.rank;
    const entry = entryOf(record, content, rank, nowMs, identity);
    const birth = before !== undefined && !created ? { bornMs: before.bornMs, usedMs: before.usedMs } : {};
    this.mirror.set({ ...entry, ...birth });
    this.touch(identity);
  }

  /**
   * Only counters have moved, and not back: a dump may show them as they were before an event. The birth stays: an age
   * read later could come from a stepped wall clock.
   */
  recount(record: IpsecRecord, nowMs: number, key = recordKey(record)): void {
    const before = this.mirror.get(key);
    if (record.kind !== "sa" || before === undefined) return;
    const usedMs = before.usedMs ?? birthOf(record, nowMs).usedMs;
    const counters = { ...record.sa.counters, ...furthest(before.counters!, record.sa.counters) };
    const hasMoved = !isEqualProgress(counters, before.counters!);
    this.mirror.count(key, counters, { bornMs: before.bornMs, usedMs });
    if (hasMoved) this.#count(before.identity);
  }

  /** The kernel tells how far an SA has come; what it said before it was moved on may come later. */
  progress(key: string, progress: Progress, nowMs: number): void {
    const before = this.mirror.get(key);
    if (before?.counters === undefined) return;
    const { bornMs, usedMs = nowMs, counters } = before;
    this.mirror.count(key, { ...counters, ...furthest(counters, progress) }, { bornMs, usedMs });
    this.#count(before.identity);
  }

  #count(identity: RecordIdentity): void {
    for (const outbox of this.#outboxes.values()) outbox.count(identity, this.mirror.moves);
  }

  /** The own kernel holds it as its newest, though it was not made anew. */
  moved(key: string): void {
    const entry = this.mirror.get(key);
    if (entry === undefined || entry.rank === this.mirror.greatestRank) return;
    this.touch(this.mirror.set({ ...entry, rank: this.mirror.nextRank() }).identity);
  }

  /** The kernel does not hold it any more, or it has become local. */
  forget(key: string): void {
    const entry = this.#drop(key);
    if (entry !== undefined) this.touch(entry.identity);
  }

  /** A kernel flush took these away. */
  flushed(kind: "sa" | "policy", selector: number, keys: readonly string[]): void {
    for (const key of keys) this.#drop(key);
    if (!this.flushIsSent) return;
    for (const outbox of this.#outboxes.values()) {
      outbox.flush(kind, selector, (id) => covers(kind, selector, id));
    }
    // what the own kernel had refused is not gone: it was never there
    for (const { identity } of this.mirror.values()) {
      if (covers(kind, selector, identity)) this.touch(identity);
    }
  }

  /** Whether this record was here and is there no more. */
  isGone(key: string): boolean {
    return this.#gone.has(key);
  }

  #drop(key: string): MirrorEntry | undefined {
    for (const unsaid of this.#unsaid.values()) unsaid.delete(key);
    for (const refused of this.#refused.values()) refused.delete(key);
    this.#gone.delete(key);
    this.#gone.add(key); // as the latest
    if (this.#gone.size > MOST_GONE) {
      for (const oldest of this.#gone.keys().take(1)) this.#gone.delete(oldest);
    }
    return this.mirror.delete(key);
  }

  /** Every slave has to be told the latest state. */
  touch(identity: RecordIdentity): void {
    for (const outbox of this.#outboxes.values()) outbox.touch(identity);
  }
}

/** Every SA protocol, or every policy type. */
export const FLUSH_ALL = { SA: 0, POLICY: 255 } as const;

/** Linux: IPSEC_PROTO_ANY in a flush, "AH, ESP and IPCOMP". */
const PROTO_ANY = 255;

/** Whether a flush of this selector takes a record away. */
export function covers(kind: "sa" | "policy", selector: number, identity: RecordIdentity): boolean {
  if (identity.kind !== kind) return false;
  if (identity.kind === "policy") return selector === FLUSH_ALL.POLICY || selector === identity.id.type;
  return selector === FLUSH_ALL.SA || selector === identity.id.protocol ||
    selector === PROTO_ANY && Object.values(PROTOCOL).includes(identity.id.protocol);
}
