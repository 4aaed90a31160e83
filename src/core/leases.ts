/**
 * The counters of a slave's SAs: takes the master's reports, and says how far the own kernel has to be moved on so that
 * a takeover costs nothing. Figures are in `lease.ts`.
 */

import type { Advance } from "../ports.ts";
import { furthest, type Progress } from "../record/progress.ts";
import type { IpsecRecord } from "../record/record.ts";
import type { SaIdentity } from "../record/sa.ts";
import {
  firstLease,
  GOOD_MS,
  type Lease,
  type Place,
  possible,
  reported,
  staleStart,
  startAbove,
  strictWindow,
} from "./lease.ts";
import { type Mirror, type MirrorEntry, recordOf } from "./mirror.ts";
import { UsedNumbers } from "./used_numbers.ts";

interface Known {
  readonly lease: Lease;
  /** Of the SA. */
  readonly flags: number;
  /** Where this node goes on, once it has taken over. */
  readonly taken?: Progress;
}

export class Leases {
  /** SAs that the master has reported since they came. */
  readonly #known = new Map<string, Known>();
  readonly #advances = new Map<string, Advance>();
  /** What is put into the own kernel goes on above what that has used, when the mirror does not know of it. */
  readonly #own = new UsedNumbers();
  /** When the counters were known last: a master was heard, or this node was master itself. */
  #heardMs: number | undefined;
  /** The own kernel stands where it was long ago, or as a master's; not above what another node may have used since. */
  #isBehind = false;

  /** Without `canAdvance`, the own kernel's taking of counters, nothing here has an effect. */
  constructor(
    readonly mirror: Mirror,
    readonly settings: { readonly canAdvance: boolean; readonly place: Place },
  ) {}

  /** The followed master is alive. That says nothing of its counters before they have come. */
  heard(nowMs: number): void {
    if (!this.#isBehind || this.#heardMs === undefined) this.#heardMs = nowMs;
  }

  /** This node is master no more; who follows it starts above what it has reported. */
  steppedDown(nowMs: number): void {
    for (const { key, counters } of this.mirror.values()) this.stood(key, counters?.oseq ?? 0n);
    this.#known.clear();
    this.#heardMs = nowMs;
    this.#isBehind = true;
  }

  /** The own kernel stands above everything that the followed master has reported. */
  caughtUp(): void {
    this.#isBehind = false;
  }

  /** The own kernel has used this number of an SA; this node is no master. */
  stood(key: string, oseq: bigint): void {
    if (this.settings.canAdvance) this.#own.reach(key, oseq);
  }

  /** An SA of this master has gone; a peer may still have it and bring it back. */
  ended(key: string): void {
    this.replaced(key);
    this.forget(key);
  }

  /** Another SA may have come to the place of one of this master's, which a peer may still have and bring back. */
  replaced(key: string): void {
    const { oseq = 0n } = this.#known.get(key)?.taken ?? {};
    for (const used of [oseq, this.mirror.get(key)?.counters?.oseq ?? 0n]) this.stood(key, used);
  }

  /** Whether the kernel has still to be moved on. */
  get waiting(): boolean {
    return this.#advances.size > 0;
  }

  /** The first that wait; `done` takes them away. */
  next(limit: number): Advance[] {
    return this.#advances.values().take(limit).toArray();
  }

  /** The kernel has dealt with the first `count`. */
  done(count: number): void {
    for (const key of this.#advances.keys().take(count).toArray()) this.#advances.delete(key);
  }

  /**
   * Another master, or the same one anew: what it says from now on is all that counts, unless it goes on where it was
   * left (`isSame`).
   */
  followed(isSame: boolean): void {
    if (!isSame) {
      this.#known.clear();
      this.#advances.clear();
    }
    this.#isBehind = true;
  }

  /** The SA has gone. */
  forget(key: string): void {
    this.#known.delete(key);
    this.#advances.delete(key);
    this.#own.end(key);
  }

  /** The record as the own kernel gets it: it would go on well above what the master or this node has sent. */
  leased(key: string, record: IpsecRecord): IpsecRecord {
    if (record.kind === "policy" || !this.settings.canAdvance) return record;
    const { sa } = record;
    const known = this.#known.get(key);
    const own = this.#own.of(key);
    const used = own > sa.counters.oseq ? own : sa.counters.oseq;
    const start = startAbove(used, 0, sa.flags, this.settings.place);
    const oseq = known !== undefined && known.lease.start > start ? known.lease.start : start;
    const counters = { ...sa.counters, oseq };
    const moved = known?.taken === undefined ? counters : { ...counters, ...furthest(counters, known.taken) };
    return { kind: "sa", sa: { ...sa, counters: moved } };
  }

  /** The master reports. `inKernel`: the own kernel holds the SA, so that it has to follow. */
  report(key: string, progress: Progress, inKernel: boolean, nowMs: number): void {
    const entry = this.mirror.get(key);
    if (entry?.counters === undefined || entry.identity.kind !== "sa") return;
    const { flags, ...known } = this.#lookUp(entry, nowMs);
    const now = furthest(entry.counters, possible(progress, flags));
    // a master begins far above what the one before it had reported: that is no rate
    const lease = this.#known.has(key) ? known.lease : { ...known.lease, oseq: now.oseq, seq: now.seq };
    const { bornMs, usedMs = nowMs } = entry;
    this.mirror.count(key, { ...entry.counters, ...now }, { bornMs, usedMs });
    // its first report of an SA is beyond what another master has said: that is a leap, and no rate
    const base = this.#known.has(key) ? lease : { ...lease, oseq: now.oseq, seq: now.seq };
    const renewed = reported(base, now, flags, this.settings.place, nowMs);
    this.#known.set(key, { lease: renewed, flags });
    if (inKernel) this.#advance(entry.identity.id, key, { ...now, oseq: renewed.start });
  }

  /**
   * This node is master, and another one was too: the own kernel has to go on above all that may have been sent from
   * there, and takes no packet that was taken there.
   *
   * @returns where it stands then; undefined for an SA that is not here, or is ahead of `theirs` when only that counts.
   */
  outdo(key: string, theirs: Progress, onlyAhead: boolean, nowMs: number): Progress | undefined {
    const entry = this.mirror.get(key);
    if (entry?.counters === undefined || entry.identity.kind !== "sa" || !this.settings.canAdvance) {
      return undefined;
    }
    if (onlyAhead && theirs.oseq <= entry.counters.oseq) return undefined;
    const { flags } = this.#lookUp(entry, nowMs);
    const now = furthest(entry.counters, possible(theirs, flags));
    const ahead = { ...now, oseq: startAbove(now.oseq, 0, flags, this.settings.place, 1) };
    this.#advance(entry.identity.id, key, ahead);
    return ahead;
  }

  /** The own kernel holds what the master has, with counters of its own, perhaps of long ago. */
  standing(key: string, nowMs: number): void {
    const entry = this.mirror.get(key);
    if (entry?.counters === undefined || entry.identity.kind !== "sa") return;
    const { lease, taken } = this.#lookUp(entry, nowMs);
    this.#advance(entry.identity.id, key, taken ?? { ...entry.counters, oseq: lease.start });
  }

  /** Whether a takeover now would have to move the SAs on first. */
  areStale(nowMs: number): boolean {
    return this.#heardMs !== undefined && (nowMs - this.#heardMs > GOOD_MS || this.#isBehind);
  }

  /**
   * This node takes over. Leases of a master that was heard lately are good; what waits still is done. The busiest go
   * first.
   *
   * @returns what was stale, and for how long the master had not been heard
   */
  overtake(strict: boolean, nowMs: number): { readonly stale: number; readonly ageMs: number } {
    if (this.#heardMs === undefined) return { stale: 0, ageMs: 0 };
    const ageMs = nowMs - this.#heardMs;
    const isStale = this.areStale(nowMs);
    if (!isStale && !strict) return { stale: 0, ageMs };
    const found = [...this.mirror.values()]
      .filter(({ counters }) => counters !== undefined)
      .map((entry) => ({ entry, ...this.#lookUp(entry, nowMs) }))
      .toSorted((a, b) => b.lease.sendRate - a.lease.sendRate);
    for (const { entry, lease, flags } of found) {
      if (entry.identity.kind !== "sa") continue;
      const counters = entry.counters!;
      const used = this.#isBehind ? lease.start : counters.oseq;
      const oseq = isStale ? staleStart(lease, used, flags, this.settings.place, ageMs) : lease.start;
      const window = strict && counters.seq > 0n ? strictWindow(lease, counters, flags, ageMs) : counters;
      const taken = { ...window, oseq };
      if (entry.refused !== undefined) { // another node's kernel may take it, and goes by what is told of it
        const { bornMs, usedMs } = entry;
        this.mirror.count(entry.key, { ...counters, oseq }, { bornMs, usedMs });
        continue;
      }
      this.#known.set(entry.key, { lease, flags, taken }); // for one that is still to be put
      this.#advance(entry.identity.id, entry.key, taken);
    }
    return { stale: isStale ? found.length : 0, ageMs };
  }

  #lookUp(entry: MirrorEntry, nowMs: number): Known {
    const known = this.#known.get(entry.key);
    if (known !== undefined) return known;
    const record = recordOf(entry, nowMs);
    const flags = record.kind === "sa" ? record.sa.flags : 0;
    return { lease: firstLease(entry.counters!, flags, this.settings.place, nowMs), flags };
  }

  #advance(id: SaIdentity, key: string, progress: Progress): void {
    if (this.settings.canAdvance) this.#advances.set(key, { id, progress });
  }
}
