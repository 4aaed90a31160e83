/**
 * Policies that were to be deleted and that the kernel did not find. OpenBSD looks a flow up as it does for packets: it
 * finds a narrower one that begins at the same addresses in its place, and the wider one stays. So those are tried
 * again when another one has gone.
 */

import { type PolicyIdentity, policyKey } from "../record/policy.ts";

/** Most of them were not there at all: beyond this, the oldest are forgotten. */
const MOST_MISSED = 1000;

export class HiddenPolicies {
  readonly #missed = new Map<string, PolicyIdentity>();
  #uncovered = false;

  /** The kernel did not find it. */
  missed(id: PolicyIdentity): void {
    for (const oldest of this.#missed.keys()) {
      if (this.#missed.size < MOST_MISSED) break;
      this.#missed.delete(oldest);
    }
    this.#missed.set(policyKey(id), id);
  }

  /** It has been deleted, and may have hidden others. */
  deleted(id: PolicyIdentity): void {
    this.#missed.delete(policyKey(id));
    this.#uncovered = true;
  }

  /** It is to be there. */
  wanted(id: PolicyIdentity): void {
    this.#missed.delete(policyKey(id));
  }

  /** A whole dump has shown these, and no others are there. */
  dumped(keys: ReadonlySet<string>): void {
    for (const key of this.#missed.keys()) if (!keys.has(key)) this.#missed.delete(key);
  }

  /** What is worth another try, since the last time that this was asked. */
  takeTries(): readonly PolicyIdentity[] {
    const tries = this.#uncovered ? [...this.#missed.values()] : [];
    this.#uncovered = false;
    return tries;
  }
}
