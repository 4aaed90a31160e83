/**
 * Follows the tracker without running after every flap: the first takeover or step down is followed at once, the next
 * change after some time, by what is true then. Pure; the caller brings the time.
 */

import type { Role, RoleState } from "../ports.ts";

/** Least time from a takeover or step down to the next change. An address that moves to another node and stays loses nothing. */
export const SETTLE_MS = 500;

export class Settling {
  #role: Role | undefined;
  #followedMs = -Infinity;
  #seen: RoleState | undefined;

  /** When `take` may have something to say; Infinity: not before something is seen. */
  get dueMs(): number {
    return this.#seen === undefined ? Infinity : this.#followedMs + SETTLE_MS;
  }

  /** The tracker says so. */
  see(state: RoleState): void {
    this.#seen = state.role === this.#role ? undefined : state;
  }

  /** @returns the role to take now; undefined: stay. */
  take(nowMs: number): RoleState | undefined {
    const state = this.#seen;
    if (state === undefined || nowMs < this.dueMs) return undefined;
    const hadRole = this.#role !== undefined; // the first one is no change
    if (hadRole && (this.#role === "MASTER" || state.role === "MASTER")) this.#followedMs = nowMs;
    this.#role = state.role;
    this.#seen = undefined;
    return state;
  }
}
