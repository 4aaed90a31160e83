/** PF_KEY of Linux (net/key/af_key.c), as the kernel back end uses it. */

import type { ByteOrder } from "../layout/byte_order.ts";
import type { KernelChange } from "../ports.ts";
import { SPACE } from "../record/opaque.ts";
import { POLICY_TYPE } from "../record/policy.ts";
import type { IpsecRecord } from "../record/record.ts";
import type { SaIdentity } from "../record/sa.ts";
import {
  type Dialect,
  type Meaning,
  nameOf,
  type Planned,
  type Request,
  type Surroundings,
  toldRecord,
} from "./dialect.ts";
import { errnoName } from "./errno.ts";
import { SADB_SASTATE } from "./extensions.ts";
import { type LinuxAssumptions, type LinuxOptions, linuxPlatform } from "./linux_options.ts";
import { encodePolicy, encodePolicyId, namePolicy, readPolicy, toldPolicy } from "./linux_policy.ts";
import { checkSaId, encodeSa, encodeSaId, nameSa, readSa, toldSa } from "./linux_sa.ts";
import { LINUX_EXT, LINUX_MESSAGES as MSG, protocolOf, satypeOf } from "./linux_tables.ts";
import { type PfkeyMessage, readExtensions } from "./message.ts";
import { orReason } from "./refusal.ts";

const NOTHING = new Uint8Array();
const ESP = 3;
const ALL_SATYPES = 0;
const ENOENT = 2;

type Decoder = (message: PfkeyMessage, options: LinuxOptions, now: Surroundings) => Meaning;

const IGNORE: Meaning = { kind: "ignore" };

/** What is not here changes nothing: GETSPI, ACQUIRE, REGISTER, X_NAT_T_NEW_MAPPING, X_PROMISC … */
const DECODERS: ReadonlyMap<number, Decoder> = new Map<number, Decoder>([
  [MSG.SADB_ADD, decodeAdd],
  [MSG.SADB_UPDATE, decodeUpdate],
  [MSG.SADB_DELETE, (message, options) => saGone(message, options, false)],
  [MSG.SADB_EXPIRE, decodeExpire],
  [MSG.SADB_FLUSH, decodeFlush],
  [MSG.SADB_DUMP, decodeDump],
  [MSG.SADB_X_SPDADD, (message, options, now) => decodePolicyPut(message, options, now, true)],
  [MSG.SADB_X_SPDUPDATE, (message, options, now) => decodePolicyPut(message, options, now, false)],
  [MSG.SADB_X_SPDDELETE, decodePolicyDelete],
  [MSG.SADB_X_SPDDELETE2, decodePolicyDelete],
  [MSG.SADB_X_SPDFLUSH, () => ({ kind: "policy-flush", type: POLICY_TYPE.MAIN })],
  [MSG.SADB_X_SPDDUMP, decodePolicyDump],
  [MSG.SADB_X_MIGRATE, () => ({ kind: "resync", reason: "endpoints were migrated" })],
]);

/** Linux's dialect on a machine of this byte order. */
export function linuxDialect(order: ByteOrder, assume: LinuxAssumptions): Dialect {
  const platform = linuxPlatform(order);
  const options: LinuxOptions = { platform, assume };
  return {
    name: "linux",
    space: SPACE.LINUX,
    platform,
    // EXPIRE goes to whoever has registered, for whatever type
    subscriptions: [{ type: MSG.SADB_REGISTER, satype: ESP, body: NOTHING, fine: ["EEXIST"] }],
    dump: {
      kind: "requests",
      requests: [dumpRequest(MSG.SADB_DUMP), dumpRequest(MSG.SADB_X_SPDDUMP)],
      step: 1,
      newestFirst: true,
    },
    messageName: (type) => nameOf(MSG, type),
    errnoName: (errno) => errnoName(errno, "linux"),
    unwrap: (message) => message,
    decode: (message, now) => decode(message, options, now),
    decodeAnswer: (message, now) => readSaMessage(message, options, now),
    encode: (change) => plan(change, options),
    get: (id) => ({ type: MSG.SADB_GET, ...saRequest(id, options), fine: [] }),
    refusal: (record) => {
      const planned = plan({ kind: "put", record }, options);
      return planned.ok ? undefined : planned.reason;
    },
    told: (record) => toldRecord(record, toldSa, toldPolicy),
    takeover: () => "restart", // IVs begin with a random salt: none is used again
  };
}

function dumpRequest(type: number): Request {
  return { type, satype: ALL_SATYPES, body: NOTHING, fine: [] };
}

function decode(message: PfkeyMessage, options: LinuxOptions, now: Surroundings): Meaning {
  const { type, errno } = message;
  if (errno === 0) return DECODERS.get(type)?.(message, options, now) ?? IGNORE;
  const isDump = type === MSG.SADB_DUMP || type === MSG.SADB_X_SPDDUMP;
  if (isDump && errno === ENOENT) return { kind: "dumped", reading: undefined, last: true };
  return { kind: "error", errno: errnoName(errno, "linux") };
}

function decodeAdd(message: PfkeyMessage, options: LinuxOptions, now: Surroundings): Meaning {
  return { kind: "changed", reading: readSaMessage(message, options, now), created: true };
}

/** An update of an SA that has keys shows what was asked for, which the kernel has thrown away by now: state DEAD. */
function decodeUpdate(message: PfkeyMessage, options: LinuxOptions, now: Surroundings): Meaning {
  const named = nameSa(message, options.platform);
  if (named === undefined) return IGNORE;
  if (named.state === SADB_SASTATE.DEAD) {
    return { kind: "read-back", id: named.id, src: undefined, created: false };
  }
  return { kind: "changed", reading: readSa(named, options, now), created: true };
}

function readSaMessage(message: PfkeyMessage, options: LinuxOptions, now: Surroundings) {
  const named = nameSa(message, options.platform);
  return named === undefined ? { kind: "none" } as const : readSa(named, options, now);
}

function saGone(message: PfkeyMessage, { platform }: LinuxOptions, expired: boolean): Meaning {
  const named = nameSa(message, platform);
  return named === undefined ? IGNORE : { kind: "sa-gone", id: named.id, expired };
}

/** A hard expiry is the only word of an SA's end; a soft one changes nothing. */
function decodeExpire(message: PfkeyMessage, options: LinuxOptions): Meaning {
  const isHard = readExtensions(message.body, options.platform).has(LINUX_EXT.SADB_EXT_LIFETIME_HARD);
  return isHard ? saGone(message, options, true) : IGNORE;
}

function decodeFlush({ satype }: PfkeyMessage): Meaning {
  const protocol = satype === ALL_SATYPES ? 0 : protocolOf(satype);
  return protocol === undefined ? IGNORE : { kind: "sa-flush", protocol };
}

/** The last message of a dump has sequence number 0. */
function decodeDump(message: PfkeyMessage, options: LinuxOptions, now: Surroundings): Meaning {
  return { kind: "dumped", reading: readSaMessage(message, options, now), last: message.seq === 0 };
}

function decodePolicyPut(
  message: PfkeyMessage,
  { platform }: LinuxOptions,
  now: Surroundings,
  created: boolean,
): Meaning {
  const named = namePolicy(message, platform);
  return named === undefined
    ? IGNORE
    : { kind: "changed", reading: readPolicy(named, platform, now), created };
}

function decodePolicyDelete(message: PfkeyMessage, { platform }: LinuxOptions): Meaning {
  const named = namePolicy(message, platform);
  return named === undefined
    ? IGNORE
    : { kind: "policy-gone", id: named.id, expired: false, index: named.index };
}

function decodePolicyDump(message: PfkeyMessage, { platform }: LinuxOptions, now: Surroundings): Meaning {
  const named = namePolicy(message, platform);
  const reading = named === undefined ? { kind: "none" } as const : readPolicy(named, platform, now);
  return { kind: "dumped", reading, last: message.seq === 0 };
}

function plan(change: KernelChange, options: LinuxOptions): Planned {
  const result = orReason(() => {
    if (change.kind === "delete-sa") return { requests: [deleteSa(change.id, options)], onExist: [] };
    if (change.kind === "delete-policy") return { requests: [deletePolicy(change.id, options)], onExist: [] };
    return change.record.kind === "sa"
      ? putSa(change.record.sa, options)
      : putPolicy(change.record.policy, options);
  });
  return result.ok ? { ok: true, plan: result.value } : result;
}

/** Keys of an SA cannot be changed in place: it is deleted and added. */
function putSa(sa: Extract<IpsecRecord, { kind: "sa" }>["sa"], options: LinuxOptions) {
  const add = { type: MSG.SADB_ADD, satype: satypeOf(sa.protocol), body: encodeSa(sa, options), fine: [] };
  return { requests: [add], onExist: [deleteSa(sa, options), add] };
}

/** A policy that is updated keeps its place among those of its priority; one that is put has to be the newest. */
function putPolicy(policy: Extract<IpsecRecord, { kind: "policy" }>["policy"], options: LinuxOptions) {
  const body = encodePolicy(policy, options.platform);
  const add = { type: MSG.SADB_X_SPDADD, satype: ALL_SATYPES, body, fine: [] };
  return { requests: [deletePolicy(policy, options), add], onExist: [] };
}

function deleteSa(id: SaIdentity, options: LinuxOptions): Request {
  checkSaId(id);
  return { type: MSG.SADB_DELETE, ...saRequest(id, options), fine: ["ESRCH"] };
}

function saRequest(id: SaIdentity, { platform }: LinuxOptions): Pick<Request, "satype" | "body"> {
  return { satype: satypeOf(id.protocol), body: encodeSaId(id, platform) };
}

function deletePolicy(id: Parameters<typeof encodePolicyId>[0], { platform }: LinuxOptions): Request {
  const body = encodePolicyId(id, platform);
  return { type: MSG.SADB_X_SPDDELETE, satype: ALL_SATYPES, body, fine: ["ENOENT"] };
}
