/** Counters of SAs in the kernel: read, moved on, and when the kernel is to tell of them. */

import { NLM_F_ACK, NLM_F_REPLACE } from "../layout/netlink.ts";
import type { Advance, KernelResult } from "../ports.ts";
import { furthest, isEqualProgress } from "../record/progress.ts";
import type { SaIdentity } from "../record/sa.ts";
import {
  type Aevent,
  decodeAevent,
  encodeGetAevent,
  encodeProgress,
  encodeThreshold,
} from "../xfrm/aevent.ts";
import { XFRM_MSG_GETAE, XFRM_MSG_NEWAE } from "../xfrm/constants.ts";
import type { NetlinkAnswer, NetlinkChannel, NetlinkRequest } from "./netlink_channel.ts";
import { verdictOf } from "./xfrm_verdict.ts";

/**
 * The kernel tells of an SA's counters after so many packets: a quarter of the smallest lease. Of fewer it tells when
 * a second has gone by (the default of net.core.xfrm_aevent_etime).
 */
const REPORT_PACKETS = 2 ** 18;

/**
 * Moves counters on, never back. What the kernel has is read first. An SA that was never used here, and was elsewhere, is
 * dated as used since now: reports come within a second of the first packet.
 *
 * @throws {SyscallError}
 * @throws {KernelReplyError} when an answer was lost: nobody knows where the SA stands, and it may not send.
 */
export function advanceSas(
  channel: NetlinkChannel,
  advances: readonly Advance[],
  nowSeconds: number,
): KernelResult[] {
  const asked = advances.map(({ id }) => ({ type: XFRM_MSG_GETAE, flags: 0, body: encodeGetAevent(id) }));
  const found = channel.exchange(asked).map((answer, i) => read(answer, advances[i]!.id));
  const plans = found.map((now, i) => "id" in now ? plan(now, advances[i]!, nowSeconds) : now);
  const answers = channel.exchange(plans.filter((one) => "body" in one));
  let next = 0;
  return plans.map((one) => "body" in one ? verdictOf(XFRM_MSG_NEWAE, answers[next++]!) : one);
}

/** Makes the kernel tell of these SAs by `REPORT_PACKETS`. What has gone meanwhile needs it no more. */
export function watchSas(channel: NetlinkChannel, ids: readonly SaIdentity[]): void {
  const flags = NLM_F_ACK | NLM_F_REPLACE;
  channel.exchange(
    ids.map((id) => ({ type: XFRM_MSG_NEWAE, flags, body: encodeThreshold(id, REPORT_PACKETS) })),
  );
}

/** The kernel finds SAs by a mark that matches: perhaps another one than named. */
function read(answer: NetlinkAnswer, { mark }: SaIdentity): Aevent | KernelResult {
  if (answer.kind !== "message") return verdictOf(XFRM_MSG_GETAE, answer);
  const now = decodeAevent(answer.body);
  if (now !== undefined && now.id.mark.value === mark.value && now.id.mark.mask === mark.mask) return now;
  return { ok: false, reason: "the kernel finds another SA in its place" };
}

/** The request, or what is the case without one. */
function plan(now: Aevent, { progress }: Advance, nowSeconds: number): NetlinkRequest | KernelResult {
  const wanted = furthest(now.progress, progress);
  if (isEqualProgress(wanted, now.progress)) return { ok: true };
  const isFirstUse = now.useTime === 0n && wanted.packets > 0n;
  const dated = isFirstUse ? { ...now, useTime: BigInt(nowSeconds) } : now;
  try {
    return { type: XFRM_MSG_NEWAE, flags: NLM_F_ACK | NLM_F_REPLACE, body: encodeProgress(dated, wanted) };
  } catch (error) { // a number, from a peer, that this SA cannot have
    if (error instanceof RangeError) return { ok: false, reason: error.message };
    throw error;
  }
}
