/**
 * OpenBSD's PF_KEY (net/pfkeyv2.c 1.272). Not yet run on OpenBSD: written from its headers and sources. What it has in
 * flows travels as policies, what only it has as opaque attributes.
 */

import { type ByteOrder, HOST_ORDER } from "../layout/byte_order.ts";
import type { KernelChange } from "../ports.ts";
import { SPACE } from "../record/opaque.ts";
import type { Policy } from "../record/policy.ts";
import type { IpsecRecord } from "../record/record.ts";
import { PROTOCOL, type Sa, type SaIdentity } from "../record/sa.ts";
import { type Dialect, type Meaning, nameOf, type Planned, type Reading, type Request } from "./dialect.ts";
import { errnoName } from "./errno.ts";
import { SADB_EXT } from "./extensions.ts";
import {
  decodeMessage,
  type Extensions,
  type PfkeyMessage,
  type Platform,
  readExtensions,
} from "./message.ts";
import {
  OPENBSD_EXT,
  OPENBSD_MESSAGES,
  SADB_DUMP_NAME,
  SADB_X_POLICYFLAGS_POLICY,
  SPD_DUMP_NAME,
} from "./openbsd_constants.ts";
import { RequestCopies } from "./openbsd_copies.ts";
import { readFlow, readFlowIdentity, writeFlow, writeFlowIdentity } from "./openbsd_flow.ts";
import { protocolOf, readRdomain, readSaIdentity, satypeOf, writeSaIdentity } from "./openbsd_identity.ts";
import { refuseIf } from "./openbsd_lacks.ts";
import { readSa, writeSa } from "./openbsd_sa.ts";
import { orReason } from "./refusal.ts";

const M = OPENBSD_MESSAGES;
const AF_INET6 = 24;
const IGNORE: Meaning = { kind: "ignore" };

/**
 * Extensions that the kernel lets into ADD and UPDATE, but not into the answer: it carries the request out and then
 * fails, with EPERM and without a message.
 */
const UNANSWERED = [
  OPENBSD_EXT.SADB_X_EXT_LIFETIME_LASTUSE,
  OPENBSD_EXT.SADB_X_EXT_COUNTER,
  OPENBSD_EXT.SADB_X_EXT_REPLAY,
];

/**
 * A dialect for one kernel back end: it remembers requests of others until they are answered, so `unwrap` wants every
 * message, in their order.
 */
export function openbsdDialect(order: ByteOrder = HOST_ORDER): Dialect {
  const platform: Platform = { order, saLen: true, afInet6: AF_INET6 };
  const copies = new RequestCopies();
  return {
    name: "openbsd",
    space: SPACE.OPENBSD,
    platform,
    hidesPolicies: true,
    subscriptions: [{ type: M.SADB_X_PROMISC, satype: 1, body: new Uint8Array(), fine: [] }],
    dump: { kind: "sysctl", names: [SADB_DUMP_NAME, SPD_DUMP_NAME] },
    messageName: (type) => nameOf(M, type),
    errnoName: (errno) => errnoName(errno, "bsd"),
    unwrap(message) {
      if (message.type !== M.SADB_X_PROMISC) return copies.complete(message);
      if (message.body.length === 0) return message;
      copies.keep(decodeMessage(message.body, platform));
      return { ...message, pid: message.seq }; // whose request it is a copy of
    },
    decode: (message, { nowSeconds }) => decode(message, nowSeconds, platform),
    decodeAnswer: (message, { nowSeconds }) => readSa(message, nowSeconds, platform),
    encode: (change, { nowSeconds }) => plan(change, nowSeconds, platform),
    get: (id) => saRequest(M.SADB_GET, id, platform),
    refusal(record) {
      const planned = plan({ kind: "put", record }, 0, platform);
      return planned.ok ? undefined : planned.reason;
    },
    told: (record) => told(record, platform),
    takeover: () => "pfsync",
  };
}

function decode(message: PfkeyMessage, nowSeconds: number, platform: Platform): Meaning {
  if (message.errno !== 0) return { kind: "error", errno: errnoName(message.errno, "bsd") };
  switch (message.type) {
    case M.SADB_DUMP:
      return { kind: "dumped", reading: readSa(message, nowSeconds, platform), last: message.seq === 0 };
    case M.SADB_X_SPDDUMP:
      return { kind: "dumped", reading: readFlow(message, platform), last: false };
    case M.SADB_FLUSH:
      return decodeFlush(message.satype);
    case M.SADB_X_PROMISC:
      return decodeCopy(message.body, platform);
    case M.SADB_X_GRPSPIS:
      return { kind: "resync", reason: "SAs were grouped" };
    case M.SADB_ADD:
    case M.SADB_UPDATE:
    case M.SADB_DELETE:
    case M.SADB_EXPIRE:
    case M.SADB_X_ADDFLOW:
    case M.SADB_X_DELFLOW:
      return decodeChange(message, nowSeconds, platform);
    default:
      return IGNORE;
  }
}

/** Dumps show only the routing domain of the process that asks, so what is asked for another one is not followed. */
function decodeChange(message: PfkeyMessage, nowSeconds: number, platform: Platform): Meaning {
  const extensions = readExtensions(message.body, platform);
  if ((readRdomain(extensions, platform)?.dom1 ?? 0) !== 0) return IGNORE;
  switch (message.type) {
    case M.SADB_X_ADDFLOW: // not so when a static flow has withstood it, of which only a dump tells
      return { kind: "changed", reading: readFlow(message, platform), created: false };
    case M.SADB_X_DELFLOW: {
      const id = readFlowIdentity(message, platform);
      return id === undefined ? IGNORE : { kind: "policy-gone", id, expired: false };
    }
    case M.SADB_DELETE:
      return saGone(message, extensions, platform, false);
    case M.SADB_EXPIRE: // a hard expiry is the only word of an SA's end; a soft one changes nothing
      return extensions.has(SADB_EXT.SADB_EXT_LIFETIME_HARD)
        ? saGone(message, extensions, platform, true)
        : IGNORE;
    default:
      return decodePut(message, extensions, nowSeconds, platform);
  }
}

function saGone(
  message: PfkeyMessage,
  extensions: Extensions,
  platform: Platform,
  expired: boolean,
): Meaning {
  const id = readSaIdentity(message, extensions, platform);
  return id === undefined ? IGNORE : { kind: "sa-gone", id, expired };
}

/**
 * An ADD shows all of the SA, keys included when its copy was heard. An UPDATE does so when it makes an SA of a larval
 * one; of a mature one it shows only what it has changed.
 */
function decodePut(
  message: PfkeyMessage,
  extensions: Extensions,
  nowSeconds: number,
  platform: Platform,
): Meaning {
  if (protocolOf(message.satype) === undefined) return IGNORE;
  const { SADB_EXT_KEY_AUTH, SADB_EXT_KEY_ENCRYPT } = SADB_EXT;
  const hasKey = extensions.has(SADB_EXT_KEY_AUTH) || extensions.has(SADB_EXT_KEY_ENCRYPT);
  const isUpdate = message.type === M.SADB_UPDATE;
  if (!hasKey && (isUpdate || message.satype !== satypeOf(PROTOCOL.IPCOMP))) {
    return { kind: "resync", reason: `${nameOf(M, message.type)} without keys` };
  }
  const reading = readSa(message, nowSeconds, platform);
  return { kind: "changed", reading: isUpdate ? withIdentitiesSwapped(reading) : reading, created: true };
}

/** The SA that an UPDATE makes of a larval one is inbound, and the kernel keeps its identities the other way round. */
function withIdentitiesSwapped(reading: Reading): Reading {
  if (reading.kind !== "record" || reading.record.kind !== "sa") return reading;
  const { SADB_EXT_IDENTITY_SRC: src, SADB_EXT_IDENTITY_DST: dst } = SADB_EXT;
  const { sa } = reading.record;
  const opaque = sa.opaque.map((attribute) => ({
    ...attribute,
    type: attribute.type === src ? dst : attribute.type === dst ? src : attribute.type,
  })).sort((a, b) => a.type - b.type);
  return { kind: "record", record: { kind: "sa", sa: { ...sa, opaque } } };
}

/** A flush of everything takes the flows too. */
function decodeFlush(satype: number): Meaning {
  if (satype === 0) return { kind: "resync", reason: "all SAs and flows were flushed" };
  const protocol = protocolOf(satype);
  return protocol === undefined ? IGNORE : { kind: "sa-flush", protocol };
}

/** A copy of a request counts when it is answered, but for those that the kernel carries out without an answer. */
function decodeCopy(body: Uint8Array, platform: Platform): Meaning {
  if (body.length === 0) return IGNORE;
  const { type, body: inner } = decodeMessage(body, platform);
  if (type !== M.SADB_ADD && type !== M.SADB_UPDATE) return IGNORE;
  const extensions = readExtensions(inner, platform);
  return UNANSWERED.some((extension) => extensions.has(extension))
    ? { kind: "resync", reason: `${nameOf(M, type)} that the kernel does not answer` }
    : IGNORE;
}

function plan(change: KernelChange, nowSeconds: number, platform: Platform): Planned {
  const planned = orReason(() => requestsOf(change, nowSeconds, platform));
  return planned.ok ? { ok: true, plan: planned.value } : planned;
}

/** @throws {Refusal} @throws {RangeError} */
function requestsOf(change: KernelChange, nowSeconds: number, platform: Platform) {
  if (change.kind === "delete-sa") return deleteSa(change.id, platform);
  if (change.kind === "delete-policy") {
    const body = writeFlowIdentity(change.id, platform);
    return single({ type: M.SADB_X_DELFLOW, satype: satypeOf(PROTOCOL.ESP), body, fine: ["ESRCH"] });
  }
  const { record } = change;
  if (record.kind === "policy") return putFlow(record.policy, platform);
  const add = addRequest(record.sa, nowSeconds, platform);
  return { requests: [add], onExist: [deleteRequest(record.sa, platform), add] };
}

/**
 * A static flow withstands all but static ones, and one that overwrites another is not static. So the second request
 * overwrites whatever withstood the first, and leaves a flow that IKE daemons can replace and delete.
 */
function putFlow(policy: Policy, platform: Platform) {
  const flows = [0, SADB_X_POLICYFLAGS_POLICY].map((flags) => flowRequest(policy, flags, platform));
  return { requests: flows, onExist: [] };
}

/** @throws {Refusal} for one with a mark: it is never there, and the one of its SPI that is would go. */
function deleteSa(id: SaIdentity, platform: Platform) {
  refuseIf(id.mark.value !== 0 || id.mark.mask !== 0, "marks");
  return single(deleteRequest(id, platform));
}

function addRequest(sa: Sa, nowSeconds: number, platform: Platform): Request {
  return {
    type: M.SADB_ADD,
    satype: satypeOf(sa.protocol),
    body: writeSa(sa, nowSeconds, platform),
    fine: [],
  };
}

function flowRequest(policy: Policy, flags: number, platform: Platform): Request {
  return { type: M.SADB_X_ADDFLOW, ...writeFlow(policy, flags, platform), fine: [] };
}

function deleteRequest(id: SaIdentity, platform: Platform): Request {
  return { ...saRequest(M.SADB_DELETE, id, platform), fine: ["ESRCH"] };
}

function saRequest(type: number, id: SaIdentity, platform: Platform): Request {
  return { type, satype: satypeOf(id.protocol), body: writeSaIdentity(id, platform), fine: [] };
}

function single(request: Request) {
  return { requests: [request], onExist: [] };
}

/** What a dump makes of what a put makes of the record. Counters are the record's: no comparison looks at them. */
function told(record: IpsecRecord, platform: Platform): IpsecRecord {
  const { satype, body } = record.kind === "sa"
    ? addRequest(record.sa, 0, platform)
    : flowRequest(record.policy, 0, platform);
  const message: PfkeyMessage = { type: M.SADB_DUMP, errno: 0, satype, seq: 0, pid: 0, body };
  const reading = record.kind === "sa" ? readSa(message, 0, platform) : readFlow(message, platform);
  if (reading.kind !== "record") return record; // it will look changed; no harm but work
  const { record: shown } = reading;
  return shown.kind === "sa" && record.kind === "sa"
    ? { kind: "sa", sa: { ...shown.sa, counters: record.sa.counters } }
    : shown;
}
