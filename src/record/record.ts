/** A record: an SA or a policy, the only currency between the parts. */

import { type Policy, type PolicyIdentity, policyKey } from "./policy.ts";
import { type Sa, type SaIdentity, saKey } from "./sa.ts";

export type IpsecRecord = { readonly kind: "sa"; readonly sa: Sa } | {
  readonly kind: "policy";
  readonly policy: Policy;
};

/** Names a record without its content. */
export type RecordIdentity =
  | { readonly kind: "sa"; readonly id: SaIdentity }
  | { readonly kind: "policy"; readonly id: PolicyIdentity };

/** The identity as one string, for maps: unique over SAs and policies. */
export function recordKey(record: IpsecRecord): string {
  return record.kind === "sa" ? saKey(record.sa) : policyKey(record.policy);
}

export function identityKey(identity: RecordIdentity): string {
  return identity.kind === "sa" ? saKey(identity.id) : policyKey(identity.id);
}

export function identityOf(record: IpsecRecord): RecordIdentity {
  return record.kind === "sa" ? { kind: "sa", id: record.sa } : { kind: "policy", id: record.policy };
}
