/** How far an SA has come: the counters that must never go back. Used by the core and by kernel back ends. */

import type { SaCounters } from "./sa.ts";

/** Counters without ages. */
export type Progress = Pick<SaCounters, "oseq" | "seq" | "bitmap" | "bytes" | "packets">;

/** The greater of each counter. The bitmap is that of the greater `seq`; of equal ones, what either has seen. */
export function furthest(a: Progress, b: Progress): Progress {
  const [behind, ahead] = a.seq > b.seq ? [b, a] : [a, b];
  return {
    oseq: greater(a.oseq, b.oseq),
    seq: ahead.seq,
    bitmap: behind.seq === ahead.seq ? union(behind.bitmap, ahead.bitmap) : ahead.bitmap,
    bytes: greater(a.bytes, b.bytes),
    packets: greater(a.packets, b.packets),
  };
}

/** Whether all counters are equal. */
export function isEqualProgress(a: Progress, b: Progress): boolean {
  return a.oseq === b.oseq && a.seq === b.seq && a.bytes === b.bytes && a.packets === b.packets &&
    a.bitmap.length === b.bitmap.length && a.bitmap.every((word, i) => word === b.bitmap[i]);
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function union(a: readonly number[], b: readonly number[]): number[] {
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => ((a[i] ?? 0) | (b[i] ?? 0)) >>> 0);
}
