/** NEWPOLICY's payload (`xfrm_userpolicy_info` and attributes) ↔ the portable policy. */

import { DecodeError } from "../errors.ts";
import type { ValuesOf } from "../layout/layout.ts";
import {
  attributeHead,
  type NetlinkAttributes,
  readBody,
  writeAttribute,
  writeAttributeU32,
} from "../layout/netlink.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import { agesFromDates } from "../record/age.ts";
import {
  DIRECTION,
  type Policy,
  POLICY_TYPE,
  type PolicyIdentity,
  policyKey,
  type Template,
} from "../record/policy.ts";
import {
  AF_INET,
  XFRM_POLICY_MAX,
  XFRMA_IF_ID,
  XFRMA_LASTUSED,
  XFRMA_MARK,
  XFRMA_OFFLOAD_DEV,
  XFRMA_PAD,
  XFRMA_POLICY_TYPE,
  XFRMA_SEC_CTX,
  XFRMA_TMPL,
} from "./constants.ts";
import { limitsFromKernel, limitsToKernel, NO_LIFETIME } from "./lifetime.ts";
import { type Encoded, encodeOrRefuse, Refusal } from "./refusal.ts";
import {
  addressFromKernel,
  checkFamily,
  checkSelector,
  contextFromKernel,
  familyFromKernel,
  familyToKernel,
  readMark,
  readOpaque,
  readU32,
  selectorFromKernel,
  selectorToKernel,
  writeMark,
  writeOpaque,
} from "./selector.ts";
import {
  type xfrmSelector,
  xfrmUserpolicyId,
  xfrmUserpolicyInfo,
  xfrmUserpolicyType,
  xfrmUserSecCtx,
  xfrmUserTmpl,
} from "./structs.ts";
import type { InterfaceNames, Surroundings } from "./surroundings.ts";

const ALL_ALGORITHMS = 0xffff_ffff;

type UserpolicyInfo = ValuesOf<typeof xfrmUserpolicyInfo>;

/** What a message of the kernel about a policy turned out to be. */
export type PolicyReading =
  /** `index` is the kernel's own number, which an update does not change. */
  | { readonly kind: "policy"; readonly policy: Policy; readonly index: number; readonly offloaded: boolean }
  /** Of one socket, not of the system. */
  | { readonly kind: "socket" }
  /** Cannot be expressed; `what` is its identity as a string. */
  | { readonly kind: "refused"; readonly what: string; readonly reason: string };

const KNOWN: ReadonlySet<number> = new Set([
  ...[XFRMA_TMPL, XFRMA_MARK, XFRMA_IF_ID, XFRMA_POLICY_TYPE, XFRMA_SEC_CTX],
  ...[XFRMA_LASTUSED, XFRMA_PAD, XFRMA_OFFLOAD_DEV],
]);

/**
 * Decodes the payload of NEWPOLICY or UPDPOLICY, as dumps and events have it.
 *
 * @throws {DecodeError} when the bytes have not the shape that the kernel gives them.
 */
export function decodePolicy(body: Uint8Array, surroundings: Surroundings): PolicyReading {
  const { head: info, attributes } = readBody(body, xfrmUserpolicyInfo);
  if (info.dir >= XFRM_POLICY_MAX) return { kind: "socket" };
  const id = policyIdentity(info, attributes, surroundings.interfaces);
  try {
    checkSelector(info.sel, surroundings.interfaces);
    const policy = readPolicy(info, id, attributes, surroundings);
    return { kind: "policy", policy, index: info.index, offloaded: attributes.has(XFRMA_OFFLOAD_DEV) };
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", what: policyKey(id), reason: error.message };
    throw error;
  }
}

/** Names the policy. Notifications say nothing of a security context. @throws {DecodeError} */
export function policyIdentity(
  { dir, sel }: Pick<UserpolicyInfo, "dir" | "sel">,
  attributes: NetlinkAttributes,
  interfaces: InterfaceNames,
): PolicyIdentity {
  const context = attributes.get(XFRMA_SEC_CTX);
  return {
    direction: dir,
    selector: selectorFromKernel(sel, interfaces),
    type: readPolicyType(attributes),
    mark: readMark(attributes),
    interfaceId: readU32(attributes, XFRMA_IF_ID),
    ...(context && { securityContext: contextFromKernel(context) }),
  };
}

/** XFRMA_POLICY_TYPE; kernels without sub-policies leave it out. @throws {DecodeError} */
export function readPolicyType(attributes: NetlinkAttributes): number {
  const value = attributes.get(XFRMA_POLICY_TYPE);
  if (value === undefined) return POLICY_TYPE.MAIN;
  return xfrmUserpolicyType.read(new Reader(value, xfrmUserpolicyType.name)).type;
}

function readPolicy(
  info: UserpolicyInfo,
  id: PolicyIdentity,
  attributes: NetlinkAttributes,
  { nowSeconds }: Surroundings,
): Policy {
  const { soft, hard } = limitsFromKernel(info.lft);
  return {
    ...id,
    action: info.action,
    priority: info.priority,
    flags: info.flags,
    share: info.share,
    templates: readTemplates(attributes),
    soft,
    hard,
    ...agesFromDates(info.curlft, hard, nowSeconds),
    opaque: readOpaque(attributes, KNOWN),
  };
}

function readTemplates(attributes: NetlinkAttributes): Template[] {
  const value = attributes.get(XFRMA_TMPL);
  if (value === undefined) return [];
  if (value.length % xfrmUserTmpl.size !== 0) throw new DecodeError("XFRMA_TMPL", `length ${value.length}`);
  const reader = new Reader(value, xfrmUserTmpl.name);
  return Array.from({ length: value.length / xfrmUserTmpl.size }, () => readTemplate(reader));
}

function readTemplate(reader: Reader): Template {
  const values = xfrmUserTmpl.read(reader);
  const family = familyFromKernel(values.family, xfrmUserTmpl.name);
  return {
    dst: addressFromKernel(values.id.daddr, family),
    src: addressFromKernel(values.saddr, family),
    family,
    protocol: values.id.proto,
    spi: values.id.spi,
    reqid: values.reqid,
    mode: values.mode,
    share: values.share,
    optional: values.optional !== 0,
    ...algorithmsOf(values),
  };
}

/**
 * The kernel shows a template that PF_KEY has made with no algorithm in it: it allows every one of them, by a flag
 * that netlink neither shows nor takes (af_key.c parse_ipsecrequest, xfrm_user.c copy_templates: all ones set it).
 */
function algorithmsOf({ aalgos, ealgos, calgos }: { aalgos: number; ealgos: number; calgos: number }) {
  const byPfkey = aalgos === 0 && ealgos === 0 && calgos === 0;
  return {
    authAlgorithms: byPfkey ? ALL_ALGORITHMS : aalgos,
    encryptionAlgorithms: byPfkey ? ALL_ALGORITHMS : ealgos,
    compressionAlgorithms: byPfkey ? ALL_ALGORITHMS : calgos,
  };
}

/**
 * Encodes the payload of UPDPOLICY behind what `writer` has. The kernel takes no age: a policy is new when it is
 * put.
 */
export function encodePolicy(
  policy: Policy,
  surroundings: Surroundings,
  writer: Writer = new Writer(),
): Encoded {
  return encodeOrRefuse(writer, () => {
    xfrmUserpolicyInfo.write(writer, {
      sel: selectorToKernel(policy.selector, surroundings.interfaces),
      lft: limitsToKernel(policy.soft, policy.hard),
      curlft: NO_LIFETIME,
      priority: policy.priority,
      index: 0,
      dir: policy.direction,
      action: policy.action,
      flags: policy.flags,
      share: policy.share,
    });
    writeTemplates(writer, policy.templates);
    writeIdentityAttributes(writer, policy);
    writeOpaque(writer, policy.opaque, KNOWN);
  });
}

/** Encodes the payload of DELPOLICY, by selector: indices differ between nodes. */
export function encodePolicyId(
  id: PolicyIdentity,
  interfaces: InterfaceNames,
  writer: Writer = new Writer(),
): Encoded {
  return encodeOrRefuse(writer, () => {
    const sel = selectorToKernel(id.selector, interfaces);
    xfrmUserpolicyId.write(writer, { sel, index: 0, dir: id.direction });
    writeIdentityAttributes(writer, id);
  });
}

/** Payload of GETPOLICY, by index: the only name that is the policy's alone whatever its security context. */
export function encodePolicyIndex(id: PolicyIdentity, index: number): Uint8Array {
  const writer = new Writer();
  xfrmUserpolicyId.write(writer, { sel: NO_SELECTOR, index, dir: id.direction });
  writeIdentityAttributes(writer, { ...id, securityContext: undefined });
  return writer.finish();
}

/** Payload of a GETPOLICY that finds nothing, unless the kernel has security contexts: then it is invalid (EINVAL). */
export function encodeContextProbe(): Uint8Array {
  const writer = new Writer();
  xfrmUserpolicyId.write(writer, { sel: NO_SELECTOR, index: 0, dir: DIRECTION.OUT });
  const context = { len: xfrmUserSecCtx.size, exttype: XFRMA_SEC_CTX, alg: 0, doi: 0, ctxLen: 0 };
  xfrmUserSecCtx.write(attributeHead(writer, XFRMA_SEC_CTX, xfrmUserSecCtx.size), context);
  return writer.finish();
}

const NO_SELECTOR: ValuesOf<typeof xfrmSelector> = {
  ...{ daddr: new Uint8Array(4), saddr: new Uint8Array(4), prefixlenD: 0, prefixlenS: 0 },
  ...{ dport: 0, dportMask: 0, sport: 0, sportMask: 0, family: AF_INET, proto: 0, ifindex: 0, user: 0 },
};

function writeTemplates(writer: Writer, templates: readonly Template[]): void {
  if (templates.length === 0) return;
  attributeHead(writer, XFRMA_TMPL, templates.length * xfrmUserTmpl.size);
  for (const template of templates) {
    checkFamily(template.family, [template.src, template.dst]);
    xfrmUserTmpl.write(writer, {
      id: { daddr: template.dst, spi: template.spi, proto: template.protocol },
      family: familyToKernel(template.family),
      saddr: template.src,
      reqid: template.reqid,
      mode: template.mode,
      share: template.share,
      optional: template.optional ? 1 : 0,
      aalgos: template.authAlgorithms,
      ealgos: template.encryptionAlgorithms,
      calgos: template.compressionAlgorithms,
    });
  }
}

function writeIdentityAttributes(
  writer: Writer,
  { type, mark, interfaceId, securityContext }: PolicyIdentity,
): void {
  if (type !== POLICY_TYPE.MAIN) {
    attributeHead(writer, XFRMA_POLICY_TYPE, xfrmUserpolicyType.size);
    xfrmUserpolicyType.write(writer, { type });
    writer.align(4);
  }
  writeMark(writer, mark);
  if (interfaceId !== 0) writeAttributeU32(writer, XFRMA_IF_ID, interfaceId);
  if (securityContext !== undefined) writeAttribute(writer, XFRMA_SEC_CTX, securityContext);
}
