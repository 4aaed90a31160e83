/** Limits: `xfrm_lifetime_cfg` ↔ `Limits`. Ages are made from `xfrm_lifetime_cur` by src/record/age.ts. */

import type { ValuesOf } from "../layout/layout.ts";
import type { Limits } from "../record/sa.ts";
import { XFRM_INF } from "./constants.ts";
import type { xfrmLifetimeCfg, xfrmLifetimeCur } from "./structs.ts";

type CfgValues = ValuesOf<typeof xfrmLifetimeCfg>;
type CurValues = ValuesOf<typeof xfrmLifetimeCur>;

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

/** A `xfrm_lifetime_cur` of which nothing is known, where the kernel ignores it. */
export const NO_LIFETIME: CurValues = { bytes: 0n, packets: 0n, addTime: 0n, useTime: 0n };
