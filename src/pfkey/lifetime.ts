/** `struct sadb_lifetime` ↔ limits and ages of the record. */

import type { ValuesOf } from "../layout/layout.ts";
import { type Ages, agesFromDates, datesFromAges } from "../record/age.ts";
import type { Limits } from "../record/sa.ts";
import { addLifetime, readStruct, SADB_EXT, sadbLifetime } from "./extensions.ts";
import type { Extensions, ExtensionWriter, Platform } from "./message.ts";
import { Refusal } from "./refusal.ts";

type LifetimeValues = ValuesOf<typeof sadbLifetime>;

/**
 * The limits of HARD or SOFT; 0 and a missing extension are no limit. `allocations` are taken for packets, which is
 * what they are on Linux.
 *
 * @throws {DecodeError}
 */
export function readLimits(extensions: Extensions, type: number, platform: Platform): Limits {
  const values = readStruct(extensions, type, sadbLifetime, platform);
  const given: { -readonly [K in keyof Limits]: Limits[K] } = {};
  if (values === undefined) return given;
  if (values.addtime !== 0n) given.addSeconds = values.addtime;
  if (values.usetime !== 0n) given.useSeconds = values.usetime;
  if (values.bytes !== 0n) given.bytes = values.bytes;
  if (values.allocations !== 0) given.packets = BigInt(values.allocations);
  return given;
}

const MOST_PACKETS = 0xffff_ffffn;

/** Appends HARD or SOFT. @throws {Refusal} for a limit of nothing, which would be none, or of too many packets. */
export function addLimits(writer: ExtensionWriter, type: number, limits: Limits): void {
  for (const [name, limit] of Object.entries(limits)) {
    if (limit === 0n) throw new Refusal(`PF_KEY has no limit of 0 ${name}`);
  }
  if ((limits.packets ?? 0n) > MOST_PACKETS) {
    throw new Refusal(`PF_KEY has no limit of ${limits.packets} packets`);
  }
  addLifetime(writer, type, {
    allocations: Number(limits.packets ?? 0n),
    bytes: limits.bytes ?? 0n,
    addtime: limits.addSeconds ?? 0n,
    usetime: limits.useSeconds ?? 0n,
  });
}

/** What CURRENT says; a missing one is of a record that is new. @throws {DecodeError} */
export function readCurrent(
  extensions: Extensions,
  hard: Limits,
  nowSeconds: number,
  platform: Platform,
): Ages & { readonly bytes: bigint; readonly allocations: number } {
  const values = readStruct(extensions, SADB_EXT.SADB_EXT_LIFETIME_CURRENT, sadbLifetime, platform);
  if (values === undefined) return { bytes: 0n, allocations: 0, ageSeconds: 0, usedSeconds: undefined };
  const { bytes, allocations, addtime, usetime } = values;
  return { bytes, allocations, ...agesFromDates({ addTime: addtime, useTime: usetime }, hard, nowSeconds) };
}

/** The values of CURRENT for a record of these ages. */
export function currentOf(
  ages: Ages & Pick<LifetimeValues, "bytes" | "allocations">,
  nowSeconds: number,
): LifetimeValues {
  const { addTime, useTime } = datesFromAges(ages, nowSeconds);
  return { allocations: ages.allocations, bytes: ages.bytes, addtime: addTime, usetime: useTime };
}
