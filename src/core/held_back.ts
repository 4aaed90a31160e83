/**
 * SAs that stay out of a slave's kernel although it could hold them: after a takeover it would send on them with
 * nonces that were used before. Whether an SA is an outbound one may show only when its policy has come, so what is
 * held back is judged again when nothing waits any more.
 */

import type { Takeover } from "../ports.ts";
import type { IpsecRecord } from "../record/record.ts";
import type { Sa } from "../record/sa.ts";
import type { GuardBook } from "./guard_book.ts";

/** Why an SA is held back, for the log and the master. */
export const NO_TAKEOVER = "held back: after a takeover this kernel would repeat nonces of the SA";

/** The SAs that are held back, by key. */
export class HeldBack {
  readonly #held = new Map<string, { readonly sa: Sa; isTold: boolean }>();
  #inDoubt = false;

  constructor(readonly takeover: (sa: Sa) => Takeover, readonly guard: GuardBook) {}

  /** Notes a record that has come. @returns whether it has to stay out of the kernel for now. */
  take(key: string, record: IpsecRecord): boolean {
    if (record.kind === "policy") {
      this.#inDoubt ||= this.#held.size > 0;
      return false;
    }
    const { sa } = record;
    if (this.takeover(sa) !== "none" || !this.guard.sendsOn(sa)) {
      this.#held.delete(key);
      return false;
    }
    this.#inDoubt = true;
    this.#held.set(key, { sa, isTold: this.#held.get(key)?.isTold ?? false });
    return true;
  }

  delete(key: string): void {
    this.#held.delete(key);
  }

  clear(): void {
    this.#held.clear();
    this.#inDoubt = false;
  }

  /** Judges again. @returns keys that are free now, and keys that are held back and were not told of before. */
  judge(): { readonly free: readonly string[]; readonly held: readonly string[] } {
    if (!this.#inDoubt) return { free: [], held: [] };
    this.#inDoubt = false;
    const free = [...this.#held].filter(([, { sa }]) => !this.guard.sendsOn(sa)).map(([key]) => key);
    for (const key of free) this.#held.delete(key);
    const held: string[] = [];
    for (const [key, item] of this.#held) {
      if (!item.isTold) held.push(key);
      item.isTold = true;
    }
    return { free, held };
  }
}
