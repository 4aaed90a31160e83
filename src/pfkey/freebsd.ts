/**
 * FreeBSD's PF_KEY (netipsec, 12.x to 15.x): which messages there are and what they mean. Replies and events have no
 * keys, so SAs are asked for. SPIs are unique over all SAs, whatever their destination.
 */

import type { ByteOrder } from "../layout/byte_order.ts";
import type { KernelChange, Takeover } from "../ports.ts";
import type { Address } from "../record/address.ts";
import { SPACE } from "../record/opaque.ts";
import type { PolicyIdentity } from "../record/policy.ts";
import type { IpsecRecord } from "../record/record.ts";
import { PROTOCOL, type Sa, type SaIdentity } from "../record/sa.ts";
import {
  type Dialect,
  type Meaning,
  nameOf,
  type Plan,
  type Planned,
  type Reading,
  type Request,
  type Surroundings,
  toldRecord,
} from "./dialect.ts";
import { errnoName } from "./errno.ts";
import { requireAddress, SADB_EXT } from "./extensions.ts";
import { repeatsNonces } from "./freebsd_algorithms.ts";
import { AF_INET6, FREEBSD_EXT, SATYPES } from "./freebsd_numbers.ts";
import {
  readPolicy,
  readPolicyIdentity,
  toldPolicy,
  writePolicy,
  writePolicyName,
} from "./freebsd_policy.ts";
import { protocolOf, readSa, readSaIdentity, satypeOf, toldSa, writeSa, writeSaName } from "./freebsd_sa.ts";
import { KAME_MESSAGES as SADB } from "./kame.ts";
import { type Extensions, type PfkeyMessage, type Platform, readExtensions } from "./message.ts";
import { orReason } from "./refusal.ts";

/** Every policy type of a flush. */
const ALL_TYPES = 255;
const NOTHING = new Uint8Array();
const IGNORED: Meaning = { kind: "ignore" };

/** Expiries come to registered sockets, whatever they are registered for. */
const SUBSCRIPTIONS: readonly Request[] = SATYPES.map(({ satype }) => ({
  type: SADB.SADB_REGISTER,
  satype,
  body: NOTHING,
  fine: ["EEXIST"],
}));

const DUMPS: readonly Request[] = [SADB.SADB_DUMP, SADB.SADB_X_SPDDUMP].map((type) => ({
  type,
  satype: 0,
  body: NOTHING,
  fine: ["ENOENT"],
}));

/** The dialect of a machine of that byte order. */
export function freebsdDialect(order: ByteOrder): Dialect {
  const platform: Platform = { order, saLen: true, afInet6: AF_INET6 };
  return {
    name: "freebsd",
    space: SPACE.FREEBSD,
    platform,
    namesBySource: true,
    subscriptions: SUBSCRIPTIONS,
    // policies come in the order of their priority, and those of one priority oldest first
    dump: { kind: "requests", requests: DUMPS, step: -1, newestFirst: false },
    messageName: (type) => nameOf(SADB, type),
    errnoName: (errno) => errnoName(errno, "bsd"),
    unwrap: (message) => message,
    decode: (message, surroundings) => decode(message, surroundings, platform),
    decodeAnswer: (message, { nowSeconds }) =>
      readSa(message.satype, readExtensions(message.body, platform), nowSeconds, platform),
    encode: (change, _, src) => encode(change, src, platform),
    get: (id, src) => get(id, src, platform),
    refusal(record) {
      const body = orReason(() => writeRecord(record, platform));
      return body.ok ? undefined : body.reason;
    },
    told: (record) => toldRecord(record, toldSa, toldPolicy),
    takeover,
  };
}

/** IPCOMP counts nothing. */
function takeover(sa: Sa): Takeover {
  if (sa.protocol === PROTOCOL.IPCOMP) return "exact";
  return repeatsNonces(sa) ? "none" : "restart";
}

function decode(message: PfkeyMessage, surroundings: Surroundings, platform: Platform): Meaning {
  const { type, errno } = message;
  const isDump = type === SADB.SADB_DUMP || type === SADB.SADB_X_SPDDUMP;
  if (errno !== 0) {
    const name = errnoName(errno, "bsd");
    return isDump && name === "ENOENT"
      ? { kind: "dumped", reading: undefined, last: true }
      : { kind: "error", errno: name };
  }
  if (type === SADB.SADB_FLUSH) return flushed(message.satype);
  if (type === SADB.SADB_X_SPDFLUSH) return { kind: "policy-flush", type: ALL_TYPES };
  if (isDump) {
    return { kind: "dumped", reading: read(message, surroundings, platform), last: message.seq === 0 };
  }
  return type < SADB.SADB_X_SPDUPDATE
    ? decodeSaEvent(message, platform)
    : decodePolicyEvent(message, surroundings, platform);
}

function flushed(satype: number): Meaning {
  if (satype === 0) return { kind: "sa-flush", protocol: 0 };
  const protocol = protocolOf(satype);
  return protocol === undefined ? IGNORED : { kind: "sa-flush", protocol };
}

function read(message: PfkeyMessage, { nowSeconds }: Surroundings, platform: Platform): Reading {
  const extensions = readExtensions(message.body, platform);
  return message.type === SADB.SADB_DUMP
    ? readSa(message.satype, extensions, nowSeconds, platform)
    : readPolicy(extensions, nowSeconds, platform);
}

function decodeSaEvent({ type, satype, body }: PfkeyMessage, platform: Platform): Meaning {
  const protocol = protocolOf(satype);
  const types: readonly number[] = [SADB.SADB_ADD, SADB.SADB_UPDATE, SADB.SADB_DELETE, SADB.SADB_EXPIRE];
  if (protocol === undefined || !types.includes(type)) return IGNORED;
  const extensions = readExtensions(body, platform);
  if (type === SADB.SADB_EXPIRE && !extensions.has(SADB_EXT.SADB_EXT_LIFETIME_HARD)) return IGNORED;
  if (!extensions.has(SADB_EXT.SADB_EXT_SA)) {
    return { kind: "resync", reason: "all SAs between two addresses were deleted" };
  }
  if (
    extensions.has(FREEBSD_EXT.SADB_X_EXT_NEW_ADDRESS_DST) ||
    extensions.has(FREEBSD_EXT.SADB_X_EXT_NEW_ADDRESS_SRC)
  ) {
    return { kind: "resync", reason: "an SA was moved to other addresses" };
  }
  const id = readSaIdentity(protocol, extensions, platform);
  if (type === SADB.SADB_DELETE || type === SADB.SADB_EXPIRE) {
    return { kind: "sa-gone", id, expired: type === SADB.SADB_EXPIRE };
  }
  return { kind: "read-back", id, src: sourceOf(extensions, platform), created: type === SADB.SADB_ADD };
}

function sourceOf(extensions: Extensions, platform: Platform): Address {
  return requireAddress(extensions, SADB_EXT.SADB_EXT_ADDRESS_SRC, platform).address;
}

function decodePolicyEvent(message: PfkeyMessage, { nowSeconds }: Surroundings, platform: Platform): Meaning {
  const extensions = readExtensions(message.body, platform);
  switch (message.type) {
    case SADB.SADB_X_SPDADD:
    case SADB.SADB_X_SPDUPDATE:
    case SADB.SADB_X_SPDSETIDX: // all of them make it anew, as the last of its priority
      return { kind: "changed", reading: readPolicy(extensions, nowSeconds, platform), created: true };
    case SADB.SADB_X_SPDDELETE:
    case SADB.SADB_X_SPDEXPIRE: {
      const id = readPolicyIdentity(extensions, platform);
      if (id === undefined) return IGNORED;
      return { kind: "policy-gone", id, expired: message.type === SADB.SADB_X_SPDEXPIRE };
    }
    case SADB.SADB_X_SPDDELETE2:
      return { kind: "resync", reason: "a policy was deleted by its number" };
    default: // acquires, answers of others
      return IGNORED;
  }
}

function encode(change: KernelChange, src: Address | undefined, platform: Platform): Planned {
  const plan = orReason(() => planChange(change, src, platform));
  return plan.ok ? { ok: true, plan: plan.value } : plan;
}

function planChange(change: KernelChange, src: Address | undefined, platform: Platform): Plan {
  if (change.kind === "delete-sa") {
    const { mark, rdomain } = change.id;
    const isElsewhere = mark.value !== 0 || mark.mask !== 0 || rdomain !== 0; // what has its SPI here is another one
    return { requests: isElsewhere ? [] : [deleteSa(change.id, src, platform)], onExist: [] };
  }
  if (change.kind === "delete-policy") return { requests: deletePolicy(change.id, platform), onExist: [] };
  const { record } = change;
  const body = writeRecord(record, platform);
  if (record.kind === "policy") {
    return { requests: [{ type: SADB.SADB_X_SPDUPDATE, satype: 0, body, fine: [] }], onExist: [] };
  }
  const { sa } = record;
  const add: Request = { type: SADB.SADB_ADD, satype: satypeOf(sa.protocol), body, fine: [] };
  // keys cannot be changed in place; what has the SPI under another destination stays, and the second ADD says so
  return { requests: [add], onExist: [deleteSa(sa, src ?? sa.src, platform), add] };
}

function deleteSa(id: SaIdentity, src: Address | undefined, platform: Platform): Request {
  if (src === undefined) throw new RangeError("the source of the SA is not known");
  const body = writeSaName(id, src, platform);
  return { type: SADB.SADB_DELETE, satype: satypeOf(id.protocol), body, fine: ["ESRCH"] };
}

function writeRecord(record: IpsecRecord, platform: Platform): Uint8Array {
  return record.kind === "sa" ? writeSa(record.sa, platform) : writePolicy(record.policy, platform);
}

/** None for a policy that cannot be here. */
function deletePolicy(id: PolicyIdentity, platform: Platform): Request[] {
  const body = orReason(() => writePolicyName(id, platform));
  const fine = ["EINVAL", "ENOENT"]; // EINVAL is what this kernel says of a policy that is not there
  return body.ok ? [{ type: SADB.SADB_X_SPDDELETE, satype: 0, body: body.value, fine }] : [];
}

function get(id: SaIdentity, src: Address | undefined, platform: Platform): Request {
  if (src === undefined) throw new RangeError("the source of the SA is not known");
  const body = writeSaName(id, src, platform);
  return { type: SADB.SADB_GET, satype: satypeOf(id.protocol), body, fine: [] };
}
