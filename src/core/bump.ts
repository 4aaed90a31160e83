/** Counts what has happened, by name, for status and metrics. */

import type { Counters } from "../ports.ts";

/** One more of `what`. */
export function bump({ counters }: { readonly counters: Counters }, what: string): void {
  counters[what] = (counters[what] ?? 0) + 1;
}
