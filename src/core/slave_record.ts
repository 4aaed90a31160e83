/** What a slave installs of a record: only the master expires (DESIGN section 4). */

import type { IpsecRecord } from "../record/record.ts";
import type { Limits } from "../record/sa.ts";

/** How much longer than on the master an SA lives on a slave whose master fell silent. */
export const SLAVE_GRACE_SECONDS = 60n;

/** Limits have 64 bits. */
const MAX_SECONDS = 2n ** 64n - 1n;

/** The record as a slave's kernel gets it: no soft limits, hard time limits later, all else alike. */
export function slaveRecord(record: IpsecRecord): IpsecRecord {
  const { soft, hard } = record.kind === "sa" ? record.sa : record.policy;
  if (isEmpty(soft) && hard.addSeconds === undefined && hard.useSeconds === undefined) return record;
  return record.kind === "sa"
    ? { kind: "sa", sa: { ...record.sa, soft: {}, hard: extend(record.sa.hard) } }
    : { kind: "policy", policy: { ...record.policy, soft: {}, hard: extend(record.policy.hard) } };
}

function isEmpty({ addSeconds, useSeconds, bytes, packets }: Limits): boolean {
  return (addSeconds ?? useSeconds ?? bytes ?? packets) === undefined;
}

function extend(limits: Limits): Limits {
  return { ...limits, addSeconds: later(limits.addSeconds), useSeconds: later(limits.useSeconds) };
}

function later(seconds: bigint | undefined): bigint | undefined {
  if (seconds === undefined) return undefined;
  return seconds + SLAVE_GRACE_SECONDS < MAX_SECONDS ? seconds + SLAVE_GRACE_SECONDS : MAX_SECONDS;
}
