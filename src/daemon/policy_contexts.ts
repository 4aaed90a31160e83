/**
 * Security contexts of policies, where the kernel has them (SELinux). They are part of a policy's identity, but no
 * notification tells them: a policy is read back by its index, and what an index stood for is kept until it is gone.
 */

import type { IpsecRecord } from "../record/record.ts";
import type { Policy, PolicyIdentity } from "../record/policy.ts";
import { XFRM_MSG_GETPOLICY } from "../xfrm/constants.ts";
import { decodePolicy, encodeContextProbe, encodePolicyIndex } from "../xfrm/policy.ts";
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

  /**
   * The policy that a notification tells, with its security context; "gone": it is no more, and nobody can know.
   * undefined: it could not be read. What else has become of it since is left to later notifications, for in their
   * order lies the order of the policies.
   */
  complete(told: Policy, index: number, surroundings: Surroundings): Policy | "gone" | undefined {
    if (!this.#isInUse()) return told;
    const known = this.#known.get(index) ?? this.#read(told, index, surroundings);
    if (known !== undefined) this.#known.set(index, known);
    return typeof known === "object" ? withContext(told, known.context) : known;
  }

  /** The identity of a policy that was deleted; "gone": nobody has heard of it. undefined: it cannot be told. */
  identify(told: PolicyIdentity, index: number): PolicyIdentity | "gone" | undefined {
    if (!this.#isInUse()) return told;
    const known = this.#known.get(index);
    this.#known.delete(index);
    if (known === undefined || known === "gone") return known;
    return withContext(told, known.context);
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

  #read(told: Policy, index: number, surroundings: Surroundings): Known | undefined {
    const answer = this.#ask(encodePolicyIndex(told, index));
    if (answer.kind === "verdict") return answer.errno === ENOENT ? "gone" : undefined;
    if (answer.kind === "lost") return undefined;
    const reading = decodePolicy(answer.body, surroundings);
    return reading.kind === "policy" ? { context: reading.policy.securityContext } : undefined;
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

function withContext<T extends PolicyIdentity>(policy: T, securityContext: Uint8Array | undefined): T {
  return securityContext === undefined ? policy : { ...policy, securityContext };
}
