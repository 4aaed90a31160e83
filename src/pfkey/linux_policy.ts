/** Policies as Linux's PF_KEY has them ↔ the portable policy. What the kernel would change is refused. */

import { DecodeError } from "../errors.ts";
import { Reader } from "../layout/reader.ts";
import type { Writer } from "../layout/writer.ts";
import { type Family, familyOf, isAnyAddress } from "../record/address.ts";
import {
  ACTION,
  DIRECTION,
  type Policy,
  POLICY_TYPE,
  type PolicyIdentity,
  policyKey,
  type Template,
} from "../record/policy.ts";
import { MODE, NO_MARK } from "../record/sa.ts";
import type { Reading, Surroundings } from "./dialect.ts";
import { ANY_PROTOCOL, IPSEC_MANUAL_REQID_MAX, IPSEC_POLICY, sadbXPolicy } from "./kame.ts";
import {
  actionOf,
  addSelector,
  hasPlainPorts,
  hasSpareSpi,
  limitsAlgorithms,
  readRequest,
  readSelector,
  templateOf,
  typeOf,
  writeRequest,
} from "./kame_policy.ts";
import { addLimits, readCurrent, readLimits } from "./lifetime.ts";
import { addContext, addOpaqueAttributes, contextToXfrm, keepOpaque, readOpaque } from "./linux_opaque.ts";
import { refuseIf } from "./linux_sa.ts";
import { LINUX_EXT as EXT, MODES, sadbXIpsecrequest } from "./linux_tables.ts";
import {
  type Extensions,
  ExtensionWriter,
  type PfkeyMessage,
  type Platform,
  readExtensions,
} from "./message.ts";
import { orReason, Refusal } from "./refusal.ts";

const KNOWN: ReadonlySet<number> = new Set([
  ...[EXT.SADB_EXT_ADDRESS_SRC, EXT.SADB_EXT_ADDRESS_DST, EXT.SADB_X_EXT_POLICY, EXT.SADB_X_EXT_SEC_CTX],
  ...[EXT.SADB_EXT_LIFETIME_CURRENT, EXT.SADB_EXT_LIFETIME_HARD, EXT.SADB_EXT_LIFETIME_SOFT],
]);

/** Directions in `sadb_x_policy` are those of the record plus one; from 4 on policies belong to sockets. */
const FIRST_DIRECTION = 1;
const FIRST_SOCKET_DIRECTION = 4;

/** More requests than this the kernel refuses. */
const MOST_REQUESTS = 6;

/** A policy's message, taken apart as far as its identity. */
export interface NamedPolicy {
  readonly id: PolicyIdentity;
  /** The kernel's number for it. */
  readonly index: number;
  readonly extensions: Extensions;
}

/** Names the policy of a message; undefined for one of a socket. @throws {DecodeError} */
export function namePolicy({ body }: PfkeyMessage, platform: Platform): NamedPolicy | undefined {
  const extensions = readExtensions(body, platform);
  const { dir, id: index } = readPolicyHead(extensions, platform);
  if (dir >= FIRST_SOCKET_DIRECTION) return undefined;
  if (dir < FIRST_DIRECTION) throw new DecodeError(sadbXPolicy.name, `direction ${dir}`);
  const context = extensions.get(EXT.SADB_X_EXT_SEC_CTX);
  const id = {
    direction: dir - FIRST_DIRECTION,
    selector: readSelector(extensions, platform),
    type: POLICY_TYPE.MAIN,
    mark: NO_MARK,
    interfaceId: 0,
    ...(context && { securityContext: contextToXfrm(context, platform) }),
  };
  return { id, index, extensions };
}

/** The policy of SPDADD, SPDUPDATE or SPDDUMP. @throws {DecodeError} */
export function readPolicy(
  { id, index, extensions }: NamedPolicy,
  platform: Platform,
  now: Surroundings,
): Reading {
  const result = orReason(() => decodePolicy(id, extensions, platform, now));
  return result.ok
    ? { kind: "record", record: { kind: "policy", policy: result.value }, index }
    : { kind: "refused", what: policyKey(id), reason: result.reason };
}

function readPolicyHead(extensions: Extensions, { order }: Platform) {
  const extension = extensions.get(EXT.SADB_X_EXT_POLICY);
  if (extension === undefined) throw new DecodeError(sadbXPolicy.name, "the extension is missing");
  const reader = new Reader(extension, sadbXPolicy.name, order);
  return { ...sadbXPolicy.read(reader), requests: reader };
}

function decodePolicy(
  id: PolicyIdentity,
  extensions: Extensions,
  platform: Platform,
  now: Surroundings,
): Policy {
  const { type, priority, requests } = readPolicyHead(extensions, platform);
  const hard = readLimits(extensions, EXT.SADB_EXT_LIFETIME_HARD, platform);
  const { ageSeconds, usedSeconds } = readCurrent(extensions, hard, now.nowSeconds, platform);
  const templates: Template[] = [];
  while (requests.remaining > 0) templates.push(readTemplate(requests, id.selector.family, platform));
  const policy = {
    ...id,
    action: actionOf(type),
    priority,
    flags: 0,
    share: 0,
    templates,
    soft: readLimits(extensions, EXT.SADB_EXT_LIFETIME_SOFT, platform),
    hard,
    ageSeconds,
    usedSeconds,
    opaque: readOpaque(extensions, KNOWN, platform),
  };
  checkInnerFamily(policy);
  return policy;
}

function readTemplate(requests: Reader, family: Family, platform: Platform): Template {
  const request = readRequest(requests, sadbXIpsecrequest, platform);
  if (!MODES.some(([kernel]) => kernel === request.mode)) {
    throw new Refusal(`templates of mode ${request.mode} cannot be copied by PF_KEY`);
  }
  return templateOf(request, family);
}

/**
 * An SA of PF_KEY carries packets of the family of its own addresses only, and does not tell when it was made to
 * carry both: so tunnels of one family in the other are refused where they can be seen, in the policy.
 */
function checkInnerFamily({ templates, selector }: Pick<Policy, "templates" | "selector">): void {
  const isMixed = templates.some(({ family }) => family !== selector.family);
  refuseIf(isMixed, "a tunnel whose inner packets are of another family than its ends");
}

/** The extensions of SPDADD. @throws {Refusal} */
export function encodePolicy(policy: Policy, platform: Platform): Uint8Array {
  checkExpressible(policy);
  const writer = new ExtensionWriter(platform);
  addSelector(writer, policy.selector);
  addLimits(writer, EXT.SADB_EXT_LIFETIME_HARD, policy.hard);
  addLimits(writer, EXT.SADB_EXT_LIFETIME_SOFT, policy.soft);
  writer.add(EXT.SADB_X_EXT_POLICY, (w) => {
    writePolicyHead(w, policy, typeOf(policy), policy.priority);
    for (const template of policy.templates) writeRequest(w, sadbXIpsecrequest, template, platform);
  });
  if (policy.securityContext !== undefined) addContext(writer, policy.securityContext);
  addOpaqueAttributes(writer, policy.opaque);
  return writer.finish();
}

/** The extensions of SPDDELETE. @throws {Refusal} */
export function encodePolicyId(id: PolicyIdentity, platform: Platform): Uint8Array {
  checkIdentity(id);
  const writer = new ExtensionWriter(platform);
  addSelector(writer, id.selector);
  writer.add(EXT.SADB_X_EXT_POLICY, (w) => writePolicyHead(w, id, IPSEC_POLICY.NONE, 0));
  if (id.securityContext !== undefined) addContext(writer, id.securityContext);
  return writer.finish();
}

function checkIdentity({ direction, selector: s, type, mark, interfaceId }: PolicyIdentity): void {
  if (direction > DIRECTION.FWD) throw new Refusal(`Linux has no policies of direction ${direction}`);
  refuseIf(type !== POLICY_TYPE.MAIN, "a sub-policy");
  refuseIf(mark.value !== 0 || mark.mask !== 0, "a mark");
  refuseIf(interfaceId !== 0, "an interface id");
  refuseIf(s.family === 0, "a policy without an address family");
  refuseIf(s.ifname !== "", "an interface in a selector");
  refuseIf(s.user !== 0, "a user in a selector");
  refuseIf(s.protocol === ANY_PROTOCOL, `protocol ${ANY_PROTOCOL}`);
  refuseIf(!hasPlainPorts(s), "ports with a mask");
}

function checkExpressible(policy: Policy): void {
  checkIdentity(policy);
  refuseIf(policy.flags !== 0, `policy flags 0x${policy.flags.toString(16)}`);
  refuseIf(policy.share !== 0, "sharing of a policy");
  refuseIf(policy.action > ACTION.BLOCK, `policy action ${policy.action}`);
  refuseIf(
    policy.action === ACTION.BLOCK && policy.templates.length > 0,
    "templates of a policy that blocks",
  );
  refuseIf(policy.templates.length > MOST_REQUESTS, `${policy.templates.length} templates`);
  checkInnerFamily(policy);
  for (const template of policy.templates) checkTemplate(template, policy.direction);
}

function checkTemplate(template: Template, direction: number): void {
  const { mode, src, dst, spi, share, optional, reqid } = template;
  refuseIf(!MODES.some(([, ours]) => ours === mode), `templates of mode ${mode}`);
  refuseIf(
    mode !== MODE.TUNNEL && !(isAnyAddress(src) && isAnyAddress(dst)),
    "ends of a template without a tunnel",
  );
  refuseIf(src.length !== dst.length || template.family !== familyOf(dst), "a template of two families");
  refuseIf(spi !== 0 && !hasSpareSpi(template, direction === DIRECTION.OUT), "an SPI in a template");
  refuseIf(share !== 0, "sharing of a template");
  refuseIf(limitsAlgorithms(template), "algorithms in a template");
  refuseIf(
    reqid > IPSEC_MANUAL_REQID_MAX,
    `reqid ${reqid} in a policy, greater than ${IPSEC_MANUAL_REQID_MAX}`,
  );
  refuseIf(optional && reqid !== 0, "an optional template with a reqid");
  const isOut = direction === DIRECTION.OUT && mode === MODE.TUNNEL;
  refuseIf(optional && isOut, "an optional tunnel of an outbound policy");
}

function writePolicyHead(
  writer: Writer,
  { direction }: PolicyIdentity,
  type: number,
  priority: number,
): void {
  sadbXPolicy.write(writer, { type, dir: direction + FIRST_DIRECTION, scope: 0, id: 0, priority });
}

/** The policy as a dump shows it when `encodePolicy` has put it. */
export function toldPolicy(policy: Policy): Policy {
  if (policy.opaque.length === 0 && policy.templates.every(({ spi }) => spi === 0)) return policy;
  const templates = policy.templates.map((template) => ({ ...template, spi: 0 }));
  return { ...policy, templates, opaque: keepOpaque(policy.opaque) };
}
