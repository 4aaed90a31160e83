/** What an answer of the kernel to one XFRM request says of it. Used by all that changes the kernel. */

import { KernelReplyError } from "../errors.ts";
import type { KernelResult } from "../ports.ts";
import { messageName } from "../xfrm/constants.ts";
import { errnoName } from "../xfrm/errno.ts";
import type { NetlinkAnswer } from "./netlink_channel.ts";

/** @throws {KernelReplyError} when the answer was lost: nobody knows what the kernel has done. */
export function verdictOf(type: number, answer: NetlinkAnswer): KernelResult {
  if (answer.kind === "lost") {
    throw new KernelReplyError(messageName(type), "ENOBUFS", "the answer was lost");
  }
  if (answer.kind === "message" || answer.errno === 0) return { ok: true };
  const text = answer.text === "" ? "" : ` (${answer.text})`;
  return { ok: false, reason: `${messageName(type)}: ${errnoName(answer.errno)}${text}` };
}
