/**
 * Which of several policies of equal priority wins is decided by their creation order: the oldest. This module
 * finds what has to be put again so that a kernel's order is the master's where policies overlap.
 */

import { prefixesMeet } from "../record/address.ts";
import type { Policy } from "../record/policy.ts";

/** Most comparisons for one contest; beyond, policies count as overlapping: a needless put does no harm. */
const MOST_LOOKS = 1_000_000;

/** A policy as the order sees it. */
export interface Ranked {
  readonly key: string;
  readonly policy: Policy;
  /** Order on the master. */
  readonly rank: number;
  /** Order in the own kernel. */
  readonly seq: number;
}

/** Policies compete when these are equal. */
export function contestOf({ direction, type, priority, interfaceId, selector }: Policy): string {
  return `${direction} ${type} ${priority} ${interfaceId} ${selector.family}`;
}

/**
 * The keys of the policies that must be put again (each put makes one the newest), in that order, so that no
 * two overlapping policies stand in the wrong order. `contest` holds policies of one contest.
 */
export function outOfOrder(contest: readonly Ranked[]): string[] {
  const again: Ranked[] = [];
  /** Those of lower rank that may stay, by their place in the kernel. */
  const standing: Ranked[] = [];
  let looks = 0;
  for (const later of contest.toSorted((a, b) => a.rank - b.rank)) {
    const collides = (earlier: Ranked) => ++looks > MOST_LOOKS || overlap(earlier.policy, later.policy);
    let wrong = again.some(collides);
    let place = standing.length;
    while (!wrong && place > 0 && standing[place - 1]!.seq > later.seq) wrong = collides(standing[--place]!);
    if (wrong) again.push(later);
    else standing.splice(place, 0, later);
  }
  return again.map(({ key }) => key);
}

/** Whether a packet's addresses can match both. Ports and protocol are left out: a needless put does no harm. */
export function overlap(
  { selector: a }: Pick<Policy, "selector">,
  { selector: b }: Pick<Policy, "selector">,
): boolean {
  return prefixesMeet(a.src, b.src, Math.min(a.srcBits, b.srcBits)) &&
    prefixesMeet(a.dst, b.dst, Math.min(a.dstBits, b.dstBits));
}
