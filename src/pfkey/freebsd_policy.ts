/** FreeBSD: the extensions of the messages about policies ↔ the portable policy. */

import { DecodeError } from "../errors.ts";
import { Reader } from "../layout/reader.ts";
import { type Address, anyAddress, type Family, familyOf, isAnyAddress } from "../record/address.ts";
import {
  ACTION,
  DIRECTION,
  type Policy,
  POLICY_TYPE,
  type PolicyIdentity,
  policyKey,
  type Template,
} from "../record/policy.ts";
import { type Limits, MODE, NO_MARK, PROTOCOL, type Selector } from "../record/sa.ts";
import type { Reading } from "./dialect.ts";
import { SADB_EXT } from "./extensions.ts";
import {
  FREEBSD_EXT,
  IPSEC_DIR,
  IPSEC_MAXREQ,
  IPSEC_POLICYSCOPE,
  sadbXIpsecrequest,
} from "./freebsd_numbers.ts";
import { addOpaques, isOwn, readOpaque } from "./freebsd_opaque.ts";
import {
  ANY_PROTOCOL,
  IPSEC_LEVEL,
  IPSEC_MANUAL_REQID_MAX,
  IPSEC_MODE,
  IPSEC_POLICY,
  sadbXPolicy,
} from "./kame.ts";
import {
  actionOf,
  addSelector,
  hasPlainPorts,
  hasSpareSpi,
  type IpsecRequest,
  limitsAlgorithms,
  readRequest,
  readSelector,
  templateOf,
  typeOf,
  writeRequest,
} from "./kame_policy.ts";
import { addLimits, readCurrent, readLimits } from "./lifetime.ts";
import { type Extensions, ExtensionWriter, type Platform } from "./message.ts";
import { orReason, Refusal } from "./refusal.ts";

/** X_POLICY: its head and its requests. */
interface PolicyExtension {
  readonly type: number;
  readonly dir: number;
  readonly scope: number;
  readonly priority: number;
  readonly requests: readonly IpsecRequest[];
}

/** The policy in a message of SPDDUMP and its like. @throws {DecodeError} when it has not the kernel's shape. */
export function readPolicy(extensions: Extensions, nowSeconds: number, platform: Platform): Reading {
  const head = readPolicyExtension(extensions, platform);
  if (!isOfSystem(head)) return { kind: "none" };
  const id = policyIdentity(head, extensions, platform);
  const policy = orReason(() => readRest(id, head, extensions, nowSeconds, platform));
  if (!policy.ok) return { kind: "refused", what: policyKey(id), reason: policy.reason };
  return { kind: "record", record: { kind: "policy", policy: policy.value } };
}

/** Names the policy of a message; undefined for one of a socket or an interface. @throws {DecodeError} */
export function readPolicyIdentity(extensions: Extensions, platform: Platform): PolicyIdentity | undefined {
  const head = readPolicyExtension(extensions, platform);
  return isOfSystem(head) ? policyIdentity(head, extensions, platform) : undefined;
}

function isOfSystem({ scope }: PolicyExtension): boolean {
  return scope === IPSEC_POLICYSCOPE.ANY || scope === IPSEC_POLICYSCOPE.GLOBAL;
}

function readPolicyExtension(extensions: Extensions, platform: Platform): PolicyExtension {
  const extension = extensions.get(FREEBSD_EXT.SADB_X_EXT_POLICY);
  if (extension === undefined) throw new DecodeError(sadbXPolicy.name, "extension is missing");
  const reader = new Reader(extension, sadbXPolicy.name, platform.order);
  const head = sadbXPolicy.read(reader);
  const requests: IpsecRequest[] = [];
  while (reader.remaining > 0) requests.push(readRequest(reader, sadbXIpsecrequest, platform));
  return { ...head, requests };
}

function policyIdentity(
  { dir }: PolicyExtension,
  extensions: Extensions,
  platform: Platform,
): PolicyIdentity {
  return {
    direction: readDirection(dir),
    selector: readSelector(extensions, platform),
    type: POLICY_TYPE.MAIN,
    mark: NO_MARK,
    interfaceId: 0,
  };
}

function readDirection(dir: number): number {
  if (dir === IPSEC_DIR.INBOUND) return DIRECTION.IN;
  if (dir === IPSEC_DIR.OUTBOUND) return DIRECTION.OUT;
  throw new DecodeError(sadbXPolicy.name, `direction ${dir}`);
}

/**
 * The kernel dates the last use, not the first: it is not told. Of the limits in a dump it only sets the times, and only
 * when there is one of age.
 */
function readRest(
  id: PolicyIdentity,
  { type, priority, requests }: PolicyExtension,
  extensions: Extensions,
  nowSeconds: number,
  platform: Platform,
): Policy {
  const { addSeconds, useSeconds } = readLimits(extensions, SADB_EXT.SADB_EXT_LIFETIME_HARD, platform);
  checkLimits({ useSeconds });
  const hard = addSeconds === undefined ? {} : { addSeconds };
  return {
    ...id,
    action: actionOf(type),
    priority,
    flags: 0,
    share: 0,
    templates: requests.map((request) => readTemplate(request, id.selector.family)),
    soft: {},
    hard,
    ageSeconds: readCurrent(extensions, hard, nowSeconds, platform).ageSeconds,
    usedSeconds: undefined,
    opaque: readOpaque(extensions, platform),
  };
}

/** Of limits a policy has the age; its use is limited from the last one on, where others count from the first. */
function checkLimits({ useSeconds, bytes, packets }: Limits): void {
  if (useSeconds !== undefined) throw new Refusal("policy with a limit of use");
  if (bytes !== undefined || packets !== undefined) {
    throw new Refusal("policy with a limit of bytes or packets");
  }
}

function readTemplate(request: IpsecRequest, family: Family): Template {
  const { mode, level, reqid } = request;
  if (mode === IPSEC_MODE.ANY) throw new Refusal("request of any mode");
  if (mode !== IPSEC_MODE.TUNNEL && mode !== IPSEC_MODE.TRANSPORT) {
    throw new Refusal(`request of mode ${mode}`);
  }
  if (level === IPSEC_LEVEL.DEFAULT) throw new Refusal("request whose level the system's default decides");
  return templateOf({ ...request, reqid: level === IPSEC_LEVEL.UNIQUE ? reqid : 0 }, family);
}

function anyOf(family: Family): Address {
  return anyAddress(family === 6 ? 6 : 4);
}

/** The extensions of an SPDUPDATE. @throws {Refusal} @throws {RangeError} when the policy cannot be expressed. */
export function writePolicy(policy: Policy, platform: Platform): Uint8Array {
  const { action, templates, priority, share, flags, soft, hard } = policy;
  if (action === ACTION.BLOCK && templates.length > 0) {
    throw new Refusal("policy that blocks, with templates");
  }
  if (flags !== 0) throw new Refusal(`FreeBSD has no policy flags (0x${flags.toString(16)})`);
  if (share !== 0) throw new Refusal("FreeBSD has no sharing of SAs");
  if (templates.length > IPSEC_MAXREQ) throw new Refusal(`more than ${IPSEC_MAXREQ} templates`);
  if (Object.values(soft).some((limit) => limit !== undefined)) throw new Refusal("policy with a soft limit");
  checkLimits(hard);
  const writer = new ExtensionWriter(platform);
  addPolicyExtension(writer, policy, { type: typeOf(policy), priority, templates });
  if (hard.addSeconds !== undefined) addLimits(writer, SADB_EXT.SADB_EXT_LIFETIME_HARD, hard);
  addSelector(writer, policy.selector);
  addOpaques(writer, policy.opaque);
  return writer.finish();
}

/** The extensions of an SPDDELETE, by selector. @throws {Refusal} @throws {RangeError} */
export function writePolicyName(id: PolicyIdentity, platform: Platform): Uint8Array {
  const writer = new ExtensionWriter(platform);
  addPolicyExtension(writer, id, { type: IPSEC_POLICY.NONE, priority: 0, templates: [] });
  addSelector(writer, id.selector);
  return writer.finish();
}

function addPolicyExtension(
  writer: ExtensionWriter,
  { direction, selector, type: policyType, mark, interfaceId, securityContext }: PolicyIdentity,
  { type, priority, templates }: Pick<Policy, "priority" | "templates"> & { readonly type: number },
): void {
  checkSelector(selector);
  if (policyType !== POLICY_TYPE.MAIN) throw new Refusal("FreeBSD has no sub-policies");
  if (mark.mask !== 0 || mark.value !== 0) throw new Refusal("FreeBSD has no marks");
  if (interfaceId !== 0) throw new Refusal("FreeBSD has no interface id");
  if (securityContext !== undefined) throw new Refusal("FreeBSD has no security context");
  const dir = direction === DIRECTION.IN
    ? IPSEC_DIR.INBOUND
    : direction === DIRECTION.OUT
    ? IPSEC_DIR.OUTBOUND
    : undefined;
  if (dir === undefined) throw new Refusal("FreeBSD has no policies for what is forwarded");
  writer.add(FREEBSD_EXT.SADB_X_EXT_POLICY, (w) => {
    sadbXPolicy.write(w, { type, dir, scope: IPSEC_POLICYSCOPE.ANY, id: 0, priority });
    for (const template of templates) {
      checkTemplate(template, direction, selector.family);
      writeRequest(w, sadbXIpsecrequest, template, writer.platform);
    }
  });
}

/** @throws {Refusal} naming what a request has no place for, or the kernel would change in silence. */
function checkTemplate(template: Template, direction: number, family: Family): void {
  const { protocol, mode, spi, reqid, share, optional, src, dst } = template;
  if (!Object.values<number>(PROTOCOL).includes(protocol)) {
    throw new Refusal(`template of protocol ${protocol}`);
  }
  if (mode !== MODE.TUNNEL && mode !== MODE.TRANSPORT) throw new Refusal(`template of mode ${mode}`);
  if (spi !== 0 && !hasSpareSpi(template, direction === DIRECTION.OUT)) {
    throw new Refusal("template with an SPI");
  }
  if (share !== 0) throw new Refusal("template that shares SAs");
  if (optional && reqid !== 0) throw new Refusal("optional template with a reqid");
  if (reqid > IPSEC_MANUAL_REQID_MAX) {
    throw new Refusal(`template with reqid ${reqid}, beyond ${IPSEC_MANUAL_REQID_MAX}`);
  }
  if (limitsAlgorithms(template)) throw new Refusal("template that limits algorithms");
  if (mode === MODE.TUNNEL) {
    if (familyOf(src) !== familyOf(dst)) throw new Refusal("template of two families");
    if (isAnyAddress(src) || isAnyAddress(dst)) throw new Refusal("tunnel without both ends");
  } else if (template.family !== family) throw new Refusal("transport template of another family");
}

/** @throws {Refusal} for a selector that two addresses cannot say. */
function checkSelector(selector: Selector): void {
  const { family, src, dst, ifname, user, protocol } = selector;
  if (family === 0) throw new Refusal("selector without a family");
  if (familyOf(src) !== family || familyOf(dst) !== family) throw new Refusal("selector of two families");
  if (ifname !== "") throw new Refusal(`selector with interface ${ifname}`);
  if (user !== 0) throw new Refusal("selector with a user");
  if (protocol === ANY_PROTOCOL) throw new Refusal(`selector with protocol ${ANY_PROTOCOL}`);
  if (!hasPlainPorts(selector)) throw new Refusal("selector with masks of ports");
}

/**
 * The policy as a dump shows it after `writePolicy`, the same object where that shows all: without SPIs, and without
 * addresses in templates of transport mode.
 */
export function toldPolicy(policy: Policy): Policy {
  const any = anyOf(policy.selector.family);
  const templates = policy.templates.map((template) => toldTemplate(template, any));
  const isWhole = templates.every((template, i) => template === policy.templates[i]);
  if (isWhole && policy.opaque.every(isOwn)) return policy;
  return { ...policy, templates, opaque: policy.opaque.filter(isOwn) };
}

function toldTemplate(template: Template, any: Address): Template {
  const hasEnds = template.mode === MODE.TUNNEL || isAnyAddress(template.src) && isAnyAddress(template.dst);
  if (hasEnds && template.spi === 0) return template;
  return { ...template, spi: 0, ...(hasEnds ? {} : { src: any, dst: any }) };
}
