/** What a slave installs of a record: only the master expires (DESIGN section 4). */

import type { IpsecRecord } from "../record/record.ts";
import type { Limits } from "../record/sa.ts";

/** How much longer than on the master an SA lives on a slave whose master fell silent. */
export const SLAVE_GRACE_SECONDS = 60n;

/** The record as a slave's kernel gets it: no soft limits, hard time limits later, all else alike. */
export function slaveRecord(record: IpsecRecord): IpsecRecord {
  return record.kind === "sa"
    ? { kind: "sa", sa: { ...record.sa, soft: {}, hard: extend(record.sa.hard) } }
    : { kind: "policy", policy: { ...record.policy, soft: {}, hard: extend(record.policy.hard) } };
}

function extend(limits: Limits): Limits {
  return {
    ...limits,
    addSeconds: limits.addSeconds === undefined ? undefined : limits.addSeconds + SLAVE_GRACE_SECONDS,
    useSeconds: limits.useSeconds === undefined ? undefined : limits.useSeconds + SLAVE_GRACE_SECONDS,
  };
}
