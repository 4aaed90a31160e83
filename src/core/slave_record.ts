/** What a slave installs of a record: only the master expires (DESIGN section 4). */

import { hasNoLimits } from "../record/codecs.ts";
import type { IpsecRecord } from "../record/record.ts";
import type { Limits } from "../record/sa.ts";

/** How much longer than on the master an SA lives on a slave whose master fell silent. */
const SLAVE_GRACE_SECONDS = 60n;

/** Seconds since a record was made and first used. */
interface Ages {
  readonly ageSeconds: number;
  readonly usedSeconds: number | undefined;
}

/** Limits have 64 bits. */
const MAX_SECONDS = 2n ** 64n - 1n;

/**
 * The record as a slave's kernel gets it: no soft limits, hard time limits later, all else alike. What would be over
 * even so lives on the master, whose wall clock was stepped: it counts as new.
 */
export function slaveRecord(record: IpsecRecord): IpsecRecord {
  if (!isTimed(record.kind === "sa" ? record.sa : record.policy)) return record;
  if (record.kind === "policy") {
    const { policy } = record;
    const hard = extend(policy.hard);
    return { kind: "policy", policy: { ...policy, soft: {}, hard, ...agesWithin(policy, hard) } };
  }
  const { sa } = record;
  const hard = extend(sa.hard);
  const counters = { ...sa.counters, ...agesWithin(sa.counters, hard) };
  return { kind: "sa", sa: { ...sa, soft: {}, hard, counters } };
}

/** Whether a record has a limit that a slave's has not, or has later. */
function isTimed({ soft, hard }: { readonly soft: Limits; readonly hard: Limits }): boolean {
  return !hasNoLimits(soft) || hard.addSeconds !== undefined || hard.useSeconds !== undefined;
}

function agesWithin({ ageSeconds, usedSeconds }: Ages, { addSeconds, useSeconds }: Limits): Ages {
  const isOver = (age: number | undefined, limit: bigint | undefined) =>
    age !== undefined && limit !== undefined && BigInt(age) >= limit;
  if (!isOver(ageSeconds, addSeconds) && !isOver(usedSeconds, useSeconds)) return { ageSeconds, usedSeconds };
  return { ageSeconds: 0, usedSeconds: usedSeconds === undefined ? undefined : 0 };
}

function extend(limits: Limits): Limits {
  return { ...limits, addSeconds: later(limits.addSeconds), useSeconds: later(limits.useSeconds) };
}

function later(seconds: bigint | undefined): bigint | undefined {
  if (seconds === undefined) return undefined;
  return seconds + SLAVE_GRACE_SECONDS < MAX_SECONDS ? seconds + SLAVE_GRACE_SECONDS : MAX_SECONDS;
}
