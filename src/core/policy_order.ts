/**
 * Which of several policies of equal priority wins is decided by their creation order: the oldest. This module
 * finds what has to be put again so that a kernel's order is the master's where policies overlap.
 */

import { maskAddress } from "../record/address.ts";
import type { Policy } from "../record/policy.ts";
import { equalBytes } from "../record/address.ts";

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
  const byRank = contest.toSorted((a, b) => a.rank - b.rank);
  const again = new Set<Ranked>();
  let newest = -1;
  byRank.forEach((later, i) => {
    const suspicious = again.size > 0 || later.seq < newest;
    newest = Math.max(newest, later.seq);
    if (!suspicious) return;
    const wrong = byRank.slice(0, i).some((earlier) =>
      (again.has(earlier) || earlier.seq > later.seq) && overlap(earlier.policy, later.policy)
    );
    if (wrong) again.add(later);
  });
  return [...again].map(({ key }) => key);
}

/** Whether a packet's addresses can match both. Ports and protocol are left out: a needless put does no harm. */
function overlap({ selector: a }: Policy, { selector: b }: Policy): boolean {
  return prefixesMeet(a.src, a.srcBits, b.src, b.srcBits) && prefixesMeet(a.dst, a.dstBits, b.dst, b.dstBits);
}

function prefixesMeet(a: Uint8Array, aBits: number, b: Uint8Array, bBits: number): boolean {
  const bits = Math.min(aBits, bBits);
  return equalBytes(maskAddress(a, bits), maskAddress(b, bits));
}
