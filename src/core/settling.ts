/**
 * Follows the tracker without running after every flap: the first change of the role is followed at once, the next
 * one after some time, by what is true then. Pure; the caller brings the time.
 */

import type { Role, RoleState } from "../ports.ts";

/** Least time between two changes that are followed. An address that moves to another node and stays loses nothing. */
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

  /** @returns the role to take now; undefined: stay. The first one is taken at once and is no change. */
  take(nowMs: number): RoleState | undefined {
    const state = this.#seen;
    if (state === undefined || nowMs < this.dueMs) return undefined;
    if (this.#role !== undefined) this.#followedMs = nowMs;
    this.#role = state.role;
    this.#seen = undefined;
    return state;
  }
}
