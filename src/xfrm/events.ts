/** What the multicast messages of NETLINK_XFRM say. */

import { DecodeError } from "../errors.ts";
import { type NetlinkAttributes, type NetlinkMessage, readAttributes, readBody } from "../layout/netlink.ts";
import type { ValuesOf } from "../layout/layout.ts";
import type { PolicyIdentity } from "../record/policy.ts";
import type { Progress } from "../record/progress.ts";
import type { SaIdentity } from "../record/sa.ts";
import { decodeAevent } from "./aevent.ts";
import {
  IPSEC_PROTO_ANY,
  XFRM_MSG_DELPOLICY,
  XFRM_MSG_DELSA,
  XFRM_MSG_EXPIRE,
  XFRM_MSG_FLUSHPOLICY,
  XFRM_MSG_FLUSHSA,
  XFRM_MSG_MIGRATE,
  XFRM_MSG_NEWAE,
  XFRM_MSG_NEWPOLICY,
  XFRM_MSG_NEWSA,
  XFRM_MSG_POLEXPIRE,
  XFRM_MSG_UPDPOLICY,
  XFRM_MSG_UPDSA,
  XFRM_POLICY_MAX,
  XFRMA_POLICY,
} from "./constants.ts";
import { decodePolicy, policyIdentity, type PolicyReading, readPolicyType } from "./policy.ts";
import { decodeSa, protocolFromKernel, saIdentity, type SaReading } from "./sa.ts";
import {
  xfrmUserExpire,
  xfrmUserPolexpire,
  xfrmUserpolicyId,
  xfrmUserpolicyInfo,
  xfrmUsersaFlush,
  xfrmUsersaId,
  xfrmUsersaInfo,
} from "./structs.ts";
import type { InterfaceNames, Surroundings } from "./surroundings.ts";

/** A change of the kernel's SADB or SPD. */
export type XfrmEvent =
  | { readonly kind: "sa"; readonly reading: SaReading }
  /** Its notification shows what was asked for, not what is: read it back. */
  | { readonly kind: "sa-updated"; readonly id: SaIdentity }
  | { readonly kind: "sa-gone"; readonly id: SaIdentity; readonly expired: boolean }
  /** `protocol` 0: all that are synchronised. */
  | { readonly kind: "sa-flush"; readonly protocol: number }
  | { readonly kind: "progress"; readonly id: SaIdentity; readonly progress: Progress }
  | { readonly kind: "policy"; readonly reading: PolicyReading }
  | {
    readonly kind: "policy-gone";
    readonly id: PolicyIdentity;
    readonly index: number;
    readonly expired: boolean;
  }
  | { readonly kind: "policy-flush"; readonly type: number }
  /** Cannot be followed. */
  | { readonly kind: "resync"; readonly reason: string };

type Decoder = (body: Uint8Array, surroundings: Surroundings) => XfrmEvent | undefined;

/** MAPPING and ACQUIRE change nothing; ALLOCSPI is not notified. */
const DECODERS: ReadonlyMap<number, Decoder> = new Map<number, Decoder>([
  [XFRM_MSG_NEWSA, (body, surroundings) => ({ kind: "sa", reading: decodeSa(body, surroundings) })],
  [XFRM_MSG_UPDSA, decodeSaUpdate],
  [XFRM_MSG_DELSA, decodeSaDelete],
  [XFRM_MSG_EXPIRE, decodeSaExpiry],
  [XFRM_MSG_FLUSHSA, decodeSaFlush],
  [XFRM_MSG_NEWAE, decodeProgress],
  [XFRM_MSG_NEWPOLICY, decodePolicyPut],
  [XFRM_MSG_UPDPOLICY, decodePolicyPut],
  [XFRM_MSG_DELPOLICY, decodePolicyDelete],
  [XFRM_MSG_POLEXPIRE, decodePolicyExpiry],
  [XFRM_MSG_FLUSHPOLICY, decodePolicyFlush],
  [XFRM_MSG_MIGRATE, () => ({ kind: "resync", reason: "endpoints were migrated" })],
]);

/**
 * Decodes a notification.
 *
 * @returns undefined for what concerns no synchronised record.
 * @throws {DecodeError} when the bytes have not the shape that the kernel gives them.
 */
export function decodeEvent(
  { type, body }: NetlinkMessage,
  surroundings: Surroundings,
): XfrmEvent | undefined {
  return DECODERS.get(type)?.(body, surroundings);
}

function decodeSaUpdate(body: Uint8Array): XfrmEvent | undefined {
  const { head, attributes } = readBody(body, xfrmUsersaInfo);
  const id = saIdentity(head, attributes);
  return id && { kind: "sa-updated", id };
}

function decodeSaDelete(body: Uint8Array): XfrmEvent | undefined {
  const { head, attributes } = readBody(body, xfrmUsersaId);
  const id = saIdentity({ id: head, family: head.family }, attributes);
  return id && { kind: "sa-gone", id, expired: false };
}

/** A hard expiry is the only word of an SA's end; a soft one changes nothing. */
function decodeSaExpiry(body: Uint8Array): XfrmEvent | undefined {
  const { head, attributes } = readBody(body, xfrmUserExpire);
  const id = head.hard === 0 ? undefined : saIdentity(head.state, attributes);
  return id && { kind: "sa-gone", id, expired: true };
}

function decodeProgress(body: Uint8Array): XfrmEvent | undefined {
  const aevent = decodeAevent(body);
  return aevent && { kind: "progress", id: aevent.id, progress: aevent.progress };
}

function decodeSaFlush(body: Uint8Array): XfrmEvent | undefined {
  const { proto } = readBody(body, xfrmUsersaFlush).head;
  if (proto === 0 || proto === IPSEC_PROTO_ANY) return { kind: "sa-flush", protocol: 0 };
  const protocol = protocolFromKernel(proto);
  return protocol && { kind: "sa-flush", protocol };
}

function decodePolicyPut(body: Uint8Array, surroundings: Surroundings): XfrmEvent | undefined {
  const reading = decodePolicy(body, surroundings);
  return reading.kind === "socket" ? undefined : { kind: "policy", reading };
}

/** The head may name the policy by its index only; XFRMA_POLICY is always there and whole. */
function decodePolicyDelete(body: Uint8Array, { interfaces }: Surroundings): XfrmEvent | undefined {
  const { attributes } = readBody(body, xfrmUserpolicyId);
  const policy = attributes.get(XFRMA_POLICY);
  if (policy === undefined) throw new DecodeError("DELPOLICY", "XFRMA_POLICY is missing");
  const info = readBody(policy, xfrmUserpolicyInfo).head;
  return policyGone(info, attributes, interfaces, false);
}

function decodePolicyExpiry(body: Uint8Array, { interfaces }: Surroundings): XfrmEvent | undefined {
  const { head, attributes } = readBody(body, xfrmUserPolexpire);
  return head.hard === 0 ? undefined : policyGone(head.pol, attributes, interfaces, true);
}

function policyGone(
  info: ValuesOf<typeof xfrmUserpolicyInfo>,
  attributes: NetlinkAttributes,
  interfaces: InterfaceNames,
  expired: boolean,
): XfrmEvent | undefined {
  if (info.dir >= XFRM_POLICY_MAX) return undefined;
  if (info.sel.ifindex !== 0 && interfaces.nameOf(info.sel.ifindex) === undefined) {
    return { kind: "resync", reason: "a policy of an interface that is gone was deleted" };
  }
  const id = policyIdentity(info, attributes, interfaces);
  return { kind: "policy-gone", id, index: info.index, expired };
}

function decodePolicyFlush(body: Uint8Array): XfrmEvent {
  return { kind: "policy-flush", type: readPolicyType(readAttributes(body, "FLUSHPOLICY")) };
}
