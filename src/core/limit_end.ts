/** When limits of time end an SA. */

import type { Limits } from "../record/sa.ts";
import type { Birth } from "./mirror.ts";

/** In milliseconds of CLOCK_BOOTTIME; Infinity: there is no such limit, or it counts from a first use that was not yet. */
export function limitEndMs({ addSeconds, useSeconds }: Limits, { bornMs, usedMs }: Birth): number {
  const made = addSeconds === undefined ? Infinity : bornMs + Number(addSeconds) * 1000;
  const used = useSeconds === undefined || usedMs === undefined
    ? Infinity
    : usedMs + Number(useSeconds) * 1000;
  return Math.min(made, used);
}
