/** Limits of SAs in the kernel, set without touching the rest. */

import { NLM_F_ACK } from "../layout/netlink.ts";
import type { KernelResult } from "../ports.ts";
import { type Sa, saKey } from "../record/sa.ts";
import { XFRM_MSG_GETSA, XFRM_MSG_UPDSA } from "../xfrm/constants.ts";
import { encodeSaId } from "../xfrm/requests.ts";
import { decodeSa, encodeSa } from "../xfrm/sa.ts";
import type { Surroundings } from "../xfrm/surroundings.ts";
import type { NetlinkAnswer, NetlinkChannel, NetlinkRequest } from "./netlink_channel.ts";
import { verdictOf } from "./xfrm_verdict.ts";

const DONE: KernelResult = { ok: true };
const ESRCH = 3;

/**
 * Gives SAs the limits of these. UPDSA takes over limits, encapsulation, output mark and interface id, and leaves keys,
 * counters and dates alone; so what the kernel has is read first, and goes back with other limits.
 *
 * @throws {SyscallError}
 */
export function limitSas(
  channel: NetlinkChannel,
  sas: readonly Sa[],
  surroundings: Surroundings,
): KernelResult[] {
  const asked = sas.map((sa) => ({ type: XFRM_MSG_GETSA, flags: 0, body: encodeSaId(sa) }));
  const plans = channel.exchange(asked).map((answer, i) => plan(answer, sas[i]!, surroundings));
  const answers = channel.exchange(plans.filter((one) => "body" in one));
  let next = 0;
  return plans.map((one) => "body" in one ? judge(XFRM_MSG_UPDSA, answers[next++]!) : one);
}

/** The request, or what is the case without one. The kernel finds SAs by a mark that matches: perhaps another one. */
function plan(answer: NetlinkAnswer, sa: Sa, surroundings: Surroundings): NetlinkRequest | KernelResult {
  if (answer.kind !== "message") return judge(XFRM_MSG_GETSA, answer);
  const found = decodeSa(answer.body, surroundings);
  if (found.kind !== "sa" || saKey(found.sa) !== saKey(sa)) {
    return { ok: false, reason: "the kernel finds another SA in its place" };
  }
  const { soft, hard } = sa;
  const encoded = encodeSa({ ...found.sa, soft, hard }, surroundings);
  return encoded.ok ? { type: XFRM_MSG_UPDSA, flags: NLM_F_ACK, body: encoded.body } : encoded;
}

/** One that is gone needs no limits. */
function judge(type: number, answer: NetlinkAnswer): KernelResult {
  return answer.kind === "verdict" && answer.errno === ESRCH ? DONE : verdictOf(type, answer);
}
