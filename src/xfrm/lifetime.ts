/** Limits and ages: `xfrm_lifetime_cfg` and `xfrm_lifetime_cur` ↔ `Limits` and seconds of age. */

import type { ValuesOf } from "../layout/layout.ts";
import type { Limits } from "../record/sa.ts";
import { XFRM_INF } from "./constants.ts";
import type { xfrmLifetimeCfg, xfrmLifetimeCur } from "./structs.ts";

type CfgValues = ValuesOf<typeof xfrmLifetimeCfg>;
type CurValues = ValuesOf<typeof xfrmLifetimeCur>;

/** Ages as the record has them. */
interface Ages {
  readonly ageSeconds: number;
  readonly usedSeconds: number | undefined;
}

/** The kernel's "none" is ~0 for bytes and packets and 0 for seconds. */
export function limitsFromKernel(cfg: CfgValues): { soft: Limits; hard: Limits } {
  return {
    soft: limits(cfg.softAdd, cfg.softUse, cfg.softByte, cfg.softPacket),
    hard: limits(cfg.hardAdd, cfg.hardUse, cfg.hardByte, cfg.hardPacket),
  };
}

function limits(addSeconds: bigint, useSeconds: bigint, bytes: bigint, packets: bigint): Limits {
  const given: { -readonly [K in keyof Limits]: Limits[K] } = {};
  if (addSeconds !== 0n) given.addSeconds = addSeconds;
  if (useSeconds !== 0n) given.useSeconds = useSeconds;
  if (bytes !== XFRM_INF) given.bytes = bytes;
  if (packets !== XFRM_INF) given.packets = packets;
  return given;
}

export function limitsToKernel(soft: Limits, hard: Limits): CfgValues {
  return {
    softByte: soft.bytes ?? XFRM_INF,
    hardByte: hard.bytes ?? XFRM_INF,
    softPacket: soft.packets ?? XFRM_INF,
    hardPacket: hard.packets ?? XFRM_INF,
    softAdd: soft.addSeconds ?? 0n,
    hardAdd: hard.addSeconds ?? 0n,
    softUse: soft.useSeconds ?? 0n,
    hardUse: hard.useSeconds ?? 0n,
  };
}

/**
 * The kernel dates by the wall clock. An age beyond the hard limit of a record that is there says that the clock
 * was stepped since: it then counts as new. A date in the future counts as now.
 */
export function agesFromKernel({ addTime, useTime }: CurValues, hard: Limits, nowSeconds: number): Ages {
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

/** The dates of a record of these ages; 0 stands for never used. */
export function agesToKernel(
  { ageSeconds, usedSeconds }: Ages,
  nowSeconds: number,
): Pick<CurValues, "addTime" | "useTime"> {
  return {
    addTime: secondsBefore(nowSeconds, ageSeconds),
    useTime: usedSeconds === undefined ? 0n : secondsBefore(nowSeconds, usedSeconds),
  };
}

function secondsBefore(nowSeconds: number, ageSeconds: number): bigint {
  return BigInt(Math.max(1, Math.floor(nowSeconds - ageSeconds)));
}

/** A `xfrm_lifetime_cur` of which nothing is known, where the kernel ignores it. */
export const NO_LIFETIME: CurValues = { bytes: 0n, packets: 0n, addTime: 0n, useTime: 0n };
