/**
 * The mirror: the shared records that this node knows, encoded, by identity, in creation order. The master's is
 * fed by its kernel, a slave's by its master. Keeps the count and a digest of the whole up to date.
 */

import { digestOf } from "../record/digest.ts";
import { decodeRecord, encodePolicyAge, encodeSaCounters } from "../record/encoding.ts";
import { identityOf, type IpsecRecord, type RecordIdentity } from "../record/record.ts";
import { isEqualProgress } from "../record/progress.ts";
import type { SaCounters } from "../record/sa.ts";
import { Buckets, shortDigest } from "./buckets.ts";

/** When something came to be, in milliseconds of CLOCK_BOOTTIME, so that ages need no wall clock. */
export interface Birth {
  readonly bornMs: number;
  readonly usedMs: number | undefined;
}

/** One record of the mirror. */
export interface MirrorEntry extends Birth {
  readonly key: string;
  readonly identity: RecordIdentity;
  /** All but counters and ages, as record/encoding.ts writes it. */
  readonly content: Uint8Array;
  /** Creation order on the master. */
  readonly rank: number;
  /** Of an SA; its ages are those of `Birth`. */
  readonly counters: SaCounters | undefined;
  /** Why the own kernel does not hold it; undefined: it does, or will. */
  readonly refused: string | undefined;
  /** `Mirror.moves` when its counters were known last. */
  readonly moved: number;
}

/** The entries by identity, their count and digest. */
export class Mirror {
  readonly #entries = new Map<string, MirrorEntry>();
  readonly #digest = new Uint8Array(16);
  /** The same by parts, for a comparison with another mirror. */
  readonly buckets = new Buckets();
  #refused = 0;
  #rank = 0;
  #moves = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** Exclusive or of the digests of all records: equal mirrors have equal ones, whatever the order. */
  get digest(): Uint8Array {
    return this.#digest.slice();
  }

  /** The rank of a record that is created now: above every rank of this mirror. */
  nextRank(): number {
    return ++this.#rank;
  }

  /** How often anything was set or counted: what has moved since can be told apart by it. */
  get moves(): number {
    return this.#moves;
  }

  get greatestRank(): number {
    return this.#rank;
  }

  /** How many records the own kernel would not take. */
  get refused(): number {
    return this.#refused;
  }

  get(key: string): MirrorEntry | undefined {
    return this.#entries.get(key);
  }

  /** In creation order as far as this node saw it; `rank` is the master's order. */
  values(): IterableIterator<MirrorEntry> {
    return this.#entries.values();
  }

  /** Adds or replaces; a policy takes the newest place, as it does in a kernel. */
  set(entry: Omit<MirrorEntry, "moved">): MirrorEntry {
    const { key } = entry;
    const before = this.#entries.get(key);
    if (before !== undefined) this.#toggle(before);
    if (before !== undefined && before.rank !== entry.rank) this.#entries.delete(key);
    const after = { ...entry, moved: ++this.#moves };
    this.#replace(before, after);
    this.#rank = Math.max(this.#rank, entry.rank);
    this.buckets.set(key, shortDigest(this.#toggle(after), entry.identity, entry.rank));
    return after;
  }

  /** Marks a record that the own kernel would not take, or takes the mark away. */
  mark(key: string, refused: string | undefined): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#replace(entry, { ...entry, refused });
  }

  /** Takes newer counters; the content digest knows nothing of them. */
  count(key: string, counters: SaCounters, birth: Birth): void {
    const entry = this.#entries.get(key);
    if (entry?.counters === undefined) return;
    const moved = isEqualProgress(counters, entry.counters) ? entry.moved : ++this.#moves;
    this.#entries.set(key, { ...entry, counters, ...birth, moved });
  }

  delete(key: string): MirrorEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#toggle(entry);
    this.buckets.delete(key);
    if (entry.refused !== undefined) this.#refused--;
    return entry;
  }

  #replace(before: MirrorEntry | undefined, entry: MirrorEntry): void {
    if (before?.refused !== undefined) this.#refused--;
    if (entry.refused !== undefined) this.#refused++;
    this.#entries.set(entry.key, entry);
  }

  /** Takes an entry into the digest, or out of it. Computed anew: an entry that kept its own would be a third larger. */
  #toggle({ identity, content, rank }: MirrorEntry): Uint8Array {
    const digest = digestOf(content, identity.kind === "policy" ? rank : 0);
    for (let i = 0; i < digest.length; i++) this.#digest[i]! ^= digest[i]!;
    return digest;
  }
}

/** When a record was made and first used, from the ages that it states. */
export function birthOf(record: IpsecRecord, nowMs: number): Birth {
  const { ageSeconds, usedSeconds } = record.kind === "sa" ? record.sa.counters : record.policy;
  return {
    bornMs: nowMs - ageSeconds * 1000,
    usedMs: usedSeconds === undefined ? undefined : nowMs - usedSeconds * 1000,
  };
}

/** A mirror entry for a record that has just been seen. */
export function entryOf(
  record: IpsecRecord,
  content: Uint8Array,
  rank: number,
  nowMs: number,
  identity = identityOf(record),
): Omit<MirrorEntry, "moved"> {
  return {
    key: identity.key,
    identity,
    content,
    rank,
    counters: record.kind === "sa" ? record.sa.counters : undefined,
    refused: undefined,
    ...birthOf(record, nowMs),
  };
}

/** The counters and ages of an entry as they are now, encoded. */
export function volatileOf(entry: MirrorEntry, nowMs: number): Uint8Array {
  const ageSeconds = secondsSince(entry.bornMs, nowMs);
  const usedSeconds = entry.usedMs === undefined ? undefined : secondsSince(entry.usedMs, nowMs);
  return entry.counters === undefined
    ? encodePolicyAge(ageSeconds, usedSeconds)
    : encodeSaCounters({ ...entry.counters, ageSeconds, usedSeconds });
}

/** The record that an entry stands for, its age as it is now. */
export function recordOf(entry: MirrorEntry, nowMs: number): IpsecRecord {
  return decodeRecord(entry.identity.kind, entry.content, volatileOf(entry, nowMs)).record;
}

/** A record from its content alone, its counters zero and its age unknown. */
export function recordOfContent(kind: "sa" | "policy", content: Uint8Array): IpsecRecord {
  const nothing = {
    oseq: 0n,
    seq: 0n,
    bitmap: [],
    bytes: 0n,
    packets: 0n,
    ageSeconds: 0,
    usedSeconds: undefined,
  };
  const volatile = kind === "sa" ? encodeSaCounters(nothing) : encodePolicyAge(0, undefined);
  return decodeRecord(kind, content, volatile).record;
}

/** Whole seconds, as many as an age can state. */
function secondsSince(thenMs: number, nowMs: number): number {
  return Math.min(0xffffffff, Math.max(0, Math.floor((nowMs - thenMs) / 1000)));
}
