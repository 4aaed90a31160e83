/** A record: an SA or a policy, the only currency between the parts. */

import { type Policy, type PolicyIdentity, policyKey } from "./policy.ts";
import { type Sa, type SaIdentity, saKey } from "./sa.ts";

export type IpsecRecord = { readonly kind: "sa"; readonly sa: Sa } | {
  readonly kind: "policy";
  readonly policy: Policy;
};

/** Names a record without its content. `key` is the identity as one string, for maps: unique over SAs and policies. */
export type RecordIdentity =
  | { readonly kind: "sa"; readonly id: SaIdentity; readonly key: string }
  | { readonly kind: "policy"; readonly id: PolicyIdentity; readonly key: string };

/** The key of the record's identity. */
export function recordKey(record: IpsecRecord): string {
  return record.kind === "sa" ? saKey(record.sa) : policyKey(record.policy);
}

export function identityOf(record: IpsecRecord): RecordIdentity {
  return record.kind === "sa" ? identityOfSa(record.sa) : identityOfPolicy(record.policy);
}

/** Keeps the members of the identity only, so that nothing else of a record stays in memory with it. */
export function identityOfSa({ dst, protocol, spi, mark, rdomain }: SaIdentity): RecordIdentity {
  const id = { dst, protocol, spi, mark, rdomain };
  return { kind: "sa", id, key: saKey(id) };
}

/** The same for policies. */
export function identityOfPolicy(
  { direction, selector, type, mark, interfaceId, securityContext }: PolicyIdentity,
): RecordIdentity {
  const plain = { direction, selector, type, mark, interfaceId };
  const id = securityContext === undefined ? plain : { ...plain, securityContext };
  return { kind: "policy", id, key: policyKey(id) };
}
