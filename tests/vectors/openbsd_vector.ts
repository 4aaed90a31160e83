/** What a vector of OpenBSD's PF_KEY says, in the words of the portable record. Byte strings are hexadecimal text. */

import type { PfkeyVector, PolicyMeaning, SaMeaning } from "./pfkey_vector.ts";

interface OpaqueText {
  readonly type: number;
  readonly critical: boolean;
  readonly value: string;
}

/** An SA; what is left out is zero, absent or none. */
export interface OpenbsdSaMeaning extends Omit<SaMeaning, "integrity"> {
  /** `id` is text for what has no IANA number. */
  readonly integrity?: { readonly id: number | string; readonly key: string; readonly icvBits: number };
  readonly rdomain?: number;
  readonly direction?: number;
  /** Prefixes; a port of 0 is any. */
  readonly selector?: Pick<PolicyMeaning, "src" | "dst" | "srcPort" | "dstPort" | "protocol">;
  /** X_REPLAY.count. */
  readonly sequence?: number;
  readonly opaque?: readonly OpaqueText[];
}

/** A flow. */
export interface OpenbsdPolicyMeaning extends PolicyMeaning {
  readonly opaque?: readonly OpaqueText[];
}

/** One message. */
export interface OpenbsdVector extends Pick<PfkeyVector, "name" | "order" | "head" | "hex"> {
  /** What the message is read as, where that is a record. */
  readonly record?: OpenbsdSaMeaning | OpenbsdPolicyMeaning;
  /** A part of the reason for which the record cannot be expressed. */
  readonly refused?: string;
  /** What else it is read as. */
  readonly reading?: string;
}
