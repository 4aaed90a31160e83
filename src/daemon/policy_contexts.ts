/**
 * Security contexts of policies, where the kernel has them (SELinux). They are part of a policy's identity, but no
 * notification tells them: a policy is read back by its index, and what an index stood for is kept until it is gone.
 */

import type { IpsecRecord } from "../record/record.ts";
import type { PolicyIdentity } from "../record/policy.ts";
import { XFRM_MSG_GETPOLICY } from "../xfrm/constants.ts";
import { decodePolicy, encodeContextProbe, encodePolicyIndex, type PolicyReading } from "../xfrm/policy.ts";
import type { Surroundings } from "../xfrm/surroundings.ts";
import type { NetlinkAnswer, NetlinkChannel } from "./netlink_channel.ts";

const ENOENT = 2;
const EINVAL = 22;

/** What an index stands for: the context of a policy, or one that was gone before it could be read. */
type Known = { readonly context: Uint8Array | undefined } | "gone";

export class PolicyContexts {
  #isUsed: boolean | undefined;
  readonly #known = new Map<number, Known>();

  constructor(private readonly channel: NetlinkChannel) {}

  /** The policy that a notification means: as it is now; "gone": it is no more. undefined: it could not be read. */
  complete(
    told: Extract<PolicyReading, { kind: "policy" }>,
    surroundings: Surroundings,
  ): PolicyReading | "gone" | undefined {
    if (!this.#isInUse()) return told;
    const answer = this.#ask(encodePolicyIndex(told.policy, told.index));
    if (answer.kind === "message") {
      const reading = decodePolicy(answer.body, surroundings);
      if (reading.kind === "policy") {
        this.#known.set(told.index, { context: reading.policy.securityContext });
      }
      return reading;
    }
    if (answer.kind === "lost" || answer.errno !== ENOENT) return undefined;
    this.#known.set(told.index, "gone");
    return "gone";
  }

  /** The identity of a policy that was deleted; "gone": nobody has heard of it. undefined: it cannot be told. */
  identify(told: PolicyIdentity, index: number): PolicyIdentity | "gone" | undefined {
    if (!this.#isInUse()) return told;
    const known = this.#known.get(index);
    this.#known.delete(index);
    if (known === undefined || known === "gone") return known;
    return { ...told, ...(known.context && { securityContext: known.context }) };
  }

  /** The policies of a whole dump: all others are forgotten. */
  dumped(policies: readonly { readonly record: IpsecRecord; readonly index: number }[]): void {
    this.clear();
    if (!this.#isInUse()) return;
    for (const { record, index } of policies) {
      if (record.kind === "policy") this.#known.set(index, { context: record.policy.securityContext });
    }
  }

  /** Policies were flushed. Where one is left after all, its end cannot be told. */
  clear(): void {
    this.#known.clear();
  }

  #isInUse(): boolean {
    if (this.#isUsed !== undefined) return this.#isUsed;
    const answer = this.#ask(encodeContextProbe());
    if (answer.kind === "lost") return true; // perhaps; asked again the next time
    return this.#isUsed = answer.kind === "verdict" && answer.errno === EINVAL;
  }

  #ask(body: Uint8Array): NetlinkAnswer {
    return this.channel.exchange([{ type: XFRM_MSG_GETPOLICY, flags: 0, body }])[0]!;
  }
}
