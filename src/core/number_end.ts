/**
 * Outbound SAs without ESN whose sequence numbers come to their end: there the kernel stops sending. Says which ones
 * the IKE daemon is to be asked to rekey. Pure.
 */

import type { Progress } from "../record/progress.ts";
import { SA_FLAG } from "../record/sa.ts";
import { describe } from "./describe.ts";
import type { Effects } from "./effect.ts";
import type { GuardBook } from "./guard_book.ts";
import { lastNumber } from "./lease.ts";
import { type Mirror, recordOf } from "./mirror.ts";

/** Fewer numbers left than this are few: at a million packets a second, less than five minutes. */
const FEW = 2n ** 28n;

export class NumberEnd {
  /** SAs that have come so far, by key: each is looked at once. */
  readonly #seen = new Set<string>();
  /** SPIs of those of them for which no rekey was asked yet, by key. */
  readonly #due = new Map<string, number>();

  constructor(readonly mirror: Mirror, readonly guard: GuardBook, readonly effects: Effects) {}

  /** An SA of this master has come so far. Logs once when few numbers are left. */
  see(key: string, { oseq }: Pick<Progress, "oseq">, nowMs: number): void {
    const left = lastNumber(0) - oseq;
    if (left >= FEW || this.#seen.has(key)) return;
    this.#seen.add(key);
    const entry = this.mirror.get(key);
    const record = entry && recordOf(entry, nowMs);
    if (record?.kind !== "sa" || (record.sa.flags & SA_FLAG.ESN) !== 0 || !this.guard.sendsOn(record.sa)) {
      return;
    }
    this.#due.set(key, record.sa.spi);
    const text = `${
      describe(entry!.identity)
    } has only ${left} sequence numbers left, and no ESN: it needs a rekey`;
    this.effects.log("error", text, "few sequence numbers");
  }

  /** SPIs of the outbound SAs for which a rekey is to be asked. */
  get dueSpis(): ReadonlySet<number> {
    return new Set(this.#due.values());
  }

  /** The IKE daemon was asked for these, or does not know them: it is not asked again. */
  asked(spis: ReadonlySet<number>): void {
    for (const [key, spi] of this.#due) {
      if (spis.has(spi)) this.#due.delete(key);
    }
  }

  /** The SA is gone: another one may get its identity. */
  forget(key: string): void {
    this.#seen.delete(key);
    this.#due.delete(key);
  }
}
