/** ADDFLOW's extensions, and those of a dump of the SPD ↔ the portable policy. */

import { type Address, anyAddress, familyOf, isAnyAddress } from "../record/address.ts";
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
import { readAddress, SADB_EXT } from "./extensions.ts";
import { hasSpareSpi } from "./kame_policy.ts";
import {
  type Extensions,
  ExtensionWriter,
  type PfkeyMessage,
  type Platform,
  readExtensions,
} from "./message.ts";
import { FLOW_DIRECTION, FLOW_TYPE, OPENBSD_EXT, SADB_X_POLICYFLAGS_POLICY } from "./openbsd_constants.ts";
import { addHost, protocolOf, satypeOf } from "./openbsd_identity.ts";
import { refuseIf } from "./openbsd_lacks.ts";
import { addOpaques, opaqueOf, openbsdValue, readOpaque, sortByType } from "./openbsd_opaque.ts";
import { addFlowSet, type FlowSet, readFlowSet } from "./openbsd_selector.ts";
import { Refusal } from "./refusal.ts";

const { SADB_X_EXT_FLOW_TYPE } = OPENBSD_EXT;
const ANY_ALGORITHM = 0xffffffff;

/** Types of flows that have SAs. `byDefault`: what a template that does not say more stands for. */
const PROTECTING: readonly {
  readonly type: number;
  readonly optional: boolean;
  readonly byDefault: boolean;
}[] = [
  { type: FLOW_TYPE.SADB_X_FLOW_TYPE_USE, optional: true, byDefault: true },
  { type: FLOW_TYPE.SADB_X_FLOW_TYPE_ACQUIRE, optional: true, byDefault: false },
  { type: FLOW_TYPE.SADB_X_FLOW_TYPE_REQUIRE, optional: false, byDefault: true },
  { type: FLOW_TYPE.SADB_X_FLOW_TYPE_DONTACQ, optional: false, byDefault: false },
];

/** The flow that a message shows. @throws {DecodeError} */
export function readFlow(message: PfkeyMessage, platform: Platform): Reading {
  const extensions = readExtensions(message.body, platform);
  const refused = (what: string, error: unknown): Reading => {
    if (error instanceof Refusal) return { kind: "refused", what, reason: error.message };
    throw error;
  };
  let flow: FlowSet;
  try {
    flow = readFlowSet(extensions, platform);
  } catch (error) {
    return refused("a flow", error);
  }
  const id = identityOf(flow);
  try {
    const policy = policyOf(id, flow, message.satype, extensions, platform);
    return { kind: "record", record: { kind: "policy", policy } };
  } catch (error) {
    return refused(policyKey(id), error);
  }
}

/** The flow that a message names; undefined for one that no record can name. @throws {DecodeError} */
export function readFlowIdentity(message: PfkeyMessage, platform: Platform): PolicyIdentity | undefined {
  try {
    return identityOf(readFlowSet(readExtensions(message.body, platform), platform));
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

function identityOf({ selector, direction }: FlowSet): PolicyIdentity {
  return {
    direction: direction === FLOW_DIRECTION.IPSP_DIRECTION_IN ? DIRECTION.IN : DIRECTION.OUT,
    selector,
    type: POLICY_TYPE.MAIN,
    mark: NO_MARK,
    interfaceId: 0,
  };
}

function policyOf(
  id: PolicyIdentity,
  { type }: FlowSet,
  satype: number,
  extensions: Extensions,
  platform: Platform,
): Policy {
  const { SADB_X_FLOW_TYPE_BYPASS, SADB_X_FLOW_TYPE_DENY } = FLOW_TYPE;
  const isPlain = type === SADB_X_FLOW_TYPE_BYPASS || type === SADB_X_FLOW_TYPE_DENY;
  const protecting = PROTECTING.find((row) => row.type === type);
  if (!isPlain && protecting === undefined) throw new Refusal(`flow type ${type}`);
  const templates = protecting === undefined
    ? []
    : [readTemplate(id, satype, protecting.optional, extensions, platform)];
  const exact = protecting === undefined || protecting.byDefault
    ? []
    : [opaqueOf(SADB_X_EXT_FLOW_TYPE, false, Uint8Array.of(type))];
  return {
    ...id,
    action: type === SADB_X_FLOW_TYPE_DENY ? ACTION.BLOCK : ACTION.ALLOW,
    priority: priorityOf(id.selector),
    flags: 0,
    share: 0,
    templates,
    soft: {},
    hard: {},
    ageSeconds: 0,
    usedSeconds: undefined,
    opaque: sortByType([...exact, ...readOpaque(extensions, platform)]),
  };
}

/**
 * OpenBSD has no priorities: the most specific flow wins. This is the same order as a number, for systems that have:
 * the bits of the addresses that are free, and one for each of protocol, source port and destination port that is.
 */
function priorityOf({ src, dst, srcBits, dstBits, protocol, srcPortMask, dstPortMask }: Selector): number {
  const freeBits = (src.length + dst.length) * 8 - srcBits - dstBits;
  return 1 + freeBits + [protocol, srcPortMask, dstPortMask].filter((part) => part === 0).length;
}

/**
 * SRC and DST are the local and the remote endpoint, a template names them the way packets go. A flow does not say the
 * mode of its SAs; with an endpoint it most likely is a tunnel.
 */
function readTemplate(
  { direction, selector }: PolicyIdentity,
  satype: number,
  optional: boolean,
  extensions: Extensions,
  platform: Platform,
): Template {
  const protocol = protocolOf(satype);
  if (protocol === undefined) throw new Refusal(`flow of satype ${satype}`);
  const local = readAddress(extensions, SADB_EXT.SADB_EXT_ADDRESS_SRC, platform)?.address;
  const remote = readAddress(extensions, SADB_EXT.SADB_EXT_ADDRESS_DST, platform)?.address;
  const family = familyOf(remote ?? local ?? selector.src);
  const ends = [local ?? anyAddress(family), remote ?? anyAddress(family)] as const;
  const [src, dst] = direction === DIRECTION.OUT ? ends : [ends[1], ends[0]];
  return {
    dst,
    src,
    family,
    protocol,
    spi: 0,
    reqid: 0,
    mode: remote === undefined ? MODE.TRANSPORT : MODE.TUNNEL,
    share: 0,
    optional,
    authAlgorithms: ANY_ALGORITHM,
    encryptionAlgorithms: ANY_ALGORITHM,
    compressionAlgorithms: ANY_ALGORITHM,
  };
}

/** What ADDFLOW needs of a policy. */
export interface EncodedFlow {
  readonly satype: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

/**
 * ADDFLOW for a policy. Its priority is left out: what wins on OpenBSD is the most specific flow. So is its reqid:
 * OpenBSD finds SAs by their endpoints, flow sets and identities.
 *
 * @param flags 0 or SADB_X_POLICYFLAGS_POLICY.
 * @throws {Refusal} @throws {RangeError}
 */
export function writeFlow(policy: Policy, flags: number, platform: Platform): EncodedFlow {
  checkExpressible(policy);
  const [template] = policy.templates;
  const writer = new ExtensionWriter(platform);
  if (template !== undefined) addEndpoints(writer, policy.direction, template);
  addFlowSet(writer, flowSetOf(policy, typeOf(policy, template)), flags);
  addOpaques(writer, policy.opaque, [SADB_X_EXT_FLOW_TYPE]);
  const satype = satypeOf(template?.protocol ?? PROTOCOL.ESP);
  return { satype, body: writer.finish() };
}

/** DELFLOW's extensions, which reach static flows too. @throws {Refusal} @throws {RangeError} */
export function writeFlowIdentity(id: PolicyIdentity, platform: Platform): Uint8Array<ArrayBuffer> {
  const writer = new ExtensionWriter(platform);
  addFlowSet(writer, flowSetOf(id, FLOW_TYPE.SADB_X_FLOW_TYPE_REQUIRE), SADB_X_POLICYFLAGS_POLICY);
  return writer.finish();
}

/** @throws {Refusal} for an identity that no flow has. */
function flowSetOf(
  { direction, selector, type, mark, interfaceId, securityContext }: PolicyIdentity,
  flowType: number,
): FlowSet {
  refuseIf(direction !== DIRECTION.IN && direction !== DIRECTION.OUT, "forward policies");
  refuseIf(type !== POLICY_TYPE.MAIN, `policy type ${type}`);
  refuseIf(mark.mask !== 0 || mark.value !== 0, "marks");
  refuseIf(interfaceId !== 0, "interface ids");
  refuseIf(securityContext !== undefined, "security contexts");
  const { IPSP_DIRECTION_IN, IPSP_DIRECTION_OUT } = FLOW_DIRECTION;
  return {
    selector,
    direction: direction === DIRECTION.IN ? IPSP_DIRECTION_IN : IPSP_DIRECTION_OUT,
    type: flowType,
  };
}

function checkExpressible({ action, direction, flags, share, templates, soft, hard }: Policy): void {
  refuseIf(action !== ACTION.ALLOW && action !== ACTION.BLOCK, `policy action ${action}`);
  refuseIf(flags !== 0, `policy flags 0x${flags.toString(16)}`);
  refuseIf(share !== 0, "sharing of SAs");
  refuseIf(hasLimit(soft) || hasLimit(hard), "limits of a policy");
  refuseIf(templates.length > 1, `policy of ${templates.length} templates`);
  for (const template of templates) checkTemplate(template, direction === DIRECTION.OUT);
}

function checkTemplate(template: Template, isOutbound: boolean): void {
  const { mode, spi, share, authAlgorithms, encryptionAlgorithms, compressionAlgorithms } = template;
  const masks = [authAlgorithms, encryptionAlgorithms, compressionAlgorithms];
  refuseIf(mode !== MODE.TRANSPORT && mode !== MODE.TUNNEL, `templates of mode ${mode}`);
  refuseIf(spi !== 0 && !hasSpareSpi(template, isOutbound), "templates with an SPI");
  refuseIf(share !== 0, "sharing of SAs");
  refuseIf(masks.some((mask) => mask !== ANY_ALGORITHM), "templates with a choice of algorithms");
}

function hasLimit(limits: Limits): boolean {
  return Object.values(limits).some((limit) => limit !== undefined);
}

function typeOf({ action, opaque }: Policy, template: Template | undefined): number {
  if (action === ACTION.BLOCK) return FLOW_TYPE.SADB_X_FLOW_TYPE_DENY;
  if (template === undefined) return FLOW_TYPE.SADB_X_FLOW_TYPE_BYPASS;
  const exact = openbsdValue(opaque, SADB_X_EXT_FLOW_TYPE, (reader) => reader.u8());
  const rows = PROTECTING.filter(({ optional }) => optional === template.optional);
  return (rows.find(({ type }) => type === exact) ?? rows.find(({ byDefault }) => byDefault))!.type; // each has one
}

function addEndpoints(writer: ExtensionWriter, direction: number, { src, dst, mode }: Template): void {
  const [local, remote] = direction === DIRECTION.OUT ? [src, dst] : [dst, src];
  refuseIf(mode === MODE.TUNNEL && isAnyAddress(remote), "tunnels without a remote endpoint");
  addEndpoint(writer, SADB_EXT.SADB_EXT_ADDRESS_SRC, local);
  addEndpoint(writer, SADB_EXT.SADB_EXT_ADDRESS_DST, remote);
}

function addEndpoint(writer: ExtensionWriter, type: number, address: Address): void {
  if (!isAnyAddress(address)) addHost(writer, type, address);
}
