/** Ages of records in kernels that date by the wall clock. Used by the codecs of all kernels. */

import type { Limits } from "./sa.ts";

/** Ages as the record has them. */
export interface Ages {
  readonly ageSeconds: number;
  /** Undefined: never used. */
  readonly usedSeconds: number | undefined;
}

/** Dates as kernels have them, in seconds since 1970; `useTime` 0: never used. */
export interface Dates {
  readonly addTime: bigint;
  readonly useTime: bigint;
}

/**
 * The ages of a record with these dates. An age beyond the hard limit of a record that is there says that the clock
 * was stepped since: it then counts as new. A date in the future counts as now.
 */
export function agesFromDates({ addTime, useTime }: Dates, hard: Limits, nowSeconds: number): Ages {
  const age = secondsSince(addTime, nowSeconds);
  const used = useTime === 0n ? undefined : secondsSince(useTime, nowSeconds);
  const stepped = isBeyond(age, hard.addSeconds) || (used !== undefined && isBeyond(used, hard.useSeconds));
  if (stepped) return { ageSeconds: 0, usedSeconds: used === undefined ? undefined : 0 };
  return { ageSeconds: age, usedSeconds: used === undefined ? undefined : Math.min(used, age) };
}

function secondsSince(time: bigint, nowSeconds: number): number {
  return Math.max(0, Math.floor(nowSeconds) - Number(time));
}

function isBeyond(age: number, limit: bigint | undefined): boolean {
  return limit !== undefined && BigInt(age) > limit;
}

/** The dates of a record of these ages. */
export function datesFromAges({ ageSeconds, usedSeconds }: Ages, nowSeconds: number): Dates {
  return {
    addTime: secondsBefore(nowSeconds, ageSeconds),
    useTime: usedSeconds === undefined ? 0n : secondsBefore(nowSeconds, usedSeconds),
  };
}

function secondsBefore(nowSeconds: number, ageSeconds: number): bigint {
  return BigInt(Math.max(1, Math.floor(nowSeconds - ageSeconds)));
}
