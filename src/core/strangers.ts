/**
 * Shared records in a slave's kernel that are not its master's: somebody has made them there. One that was found twice,
 * with time between, is to go: the first time it may be on its way, or this node may be about to be told that it is
 * master.
 */

import type { RecordIdentity } from "../record/record.ts";
import type { Item } from "./inventory.ts";

/** So long it may stay, at least. */
export const STRANGER_MS = 60_000;

export class Strangers {
  /** When each was found first. */
  #since = new Map<string, number>();

  /** How it looks now. @returns those that are to go */
  found(items: readonly Item[], nowMs: number): RecordIdentity[] {
    this.#since = new Map(items.map(({ key }) => [key, this.#since.get(key) ?? nowMs]));
    const overdue = items.filter(({ key }) => nowMs - this.#since.get(key)! >= STRANGER_MS);
    return overdue.map(({ identity }) => identity);
  }
}
