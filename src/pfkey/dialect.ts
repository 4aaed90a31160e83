/**
 * What a system's PF_KEY is to the rest of the program: `linux.ts`, `openbsd.ts` and `freebsd.ts` each make one of
 * these, the kernel back end in src/daemon works with any. Pure: bytes and records, no sockets.
 */

import type { KernelChange, Takeover } from "../ports.ts";
import type { Address } from "../record/address.ts";
import type { OpaqueAttribute } from "../record/opaque.ts";
import type { Policy, PolicyIdentity } from "../record/policy.ts";
import type { IpsecRecord } from "../record/record.ts";
import type { Sa, SaIdentity } from "../record/sa.ts";
import type { PfkeyMessage, Platform } from "./message.ts";

/** Message types that all systems share. */
export const SADB_MESSAGES = {
  SADB_GETSPI: 1,
  SADB_UPDATE: 2,
  SADB_ADD: 3,
  SADB_DELETE: 4,
  SADB_GET: 5,
  SADB_ACQUIRE: 6,
  SADB_REGISTER: 7,
  SADB_EXPIRE: 8,
  SADB_FLUSH: 9,
  SADB_DUMP: 10,
  SADB_X_PROMISC: 11,
} as const;

/** What a message about one SA or policy turned out to be. */
export type Reading =
  /** `index`: the number by which the kernel orders policies, where it tells one. */
  | { readonly kind: "record"; readonly record: IpsecRecord; readonly index?: number }
  /** Larval, of a socket, of a protocol that is not synchronised: no record. */
  | { readonly kind: "none" }
  /** Cannot be expressed; `what` is its identity as a string. */
  | { readonly kind: "refused"; readonly what: string; readonly reason: string };

/** What a message of the kernel means to a follower who did not cause it. */
export type Meaning =
  /** `created`: new, or a policy that is now the newest of its priority. */
  | { readonly kind: "changed"; readonly reading: Reading; readonly created: boolean }
  /** Changed, but the message does not show (all of) what is: ask with `Dialect.get`. */
  | {
    readonly kind: "read-back";
    readonly id: SaIdentity;
    readonly src: Address | undefined;
    readonly created: boolean;
  }
  | { readonly kind: "sa-gone"; readonly id: SaIdentity; readonly expired: boolean }
  | {
    readonly kind: "policy-gone";
    readonly id: PolicyIdentity;
    readonly expired: boolean;
    readonly index?: number;
  }
  /** `protocol` 0: all. */
  | { readonly kind: "sa-flush"; readonly protocol: number }
  /** `type` is a POLICY_TYPE, 255 all. */
  | { readonly kind: "policy-flush"; readonly type: number }
  /** Cannot be followed: dump and compare. */
  | { readonly kind: "resync"; readonly reason: string }
  /** One message of a dump. `reading` is undefined in one that only says that the dump was empty. */
  | { readonly kind: "dumped"; readonly reading: Reading | undefined; readonly last: boolean }
  /** A request of somebody failed; `errno` is the error's name. */
  | { readonly kind: "error"; readonly errno: string }
  /** Changes nothing. */
  | { readonly kind: "ignore" };

/** A request without its sequence number and pid. */
export interface Request {
  readonly type: number;
  readonly satype: number;
  /** The extensions. */
  readonly body: Uint8Array;
  /** Errors after which all is as it should be ("ESRCH" of a DELETE). */
  readonly fine: readonly string[];
}

/** What brings the kernel to a change: the requests in their order; when one fails with EEXIST, `onExist` instead. */
export interface Plan {
  readonly requests: readonly Request[];
  readonly onExist: readonly Request[];
}

/** A plan, or why the dialect cannot take the change. */
export type Planned = { readonly ok: true; readonly plan: Plan } | {
  readonly ok: false;
  readonly reason: string;
};

/** How the SADB and SPD are read whole: SAs first, then policies. */
export type DumpSource =
  /** Each request is answered by messages that `decode` calls "dumped"; sequence numbers count up or down to 0. */
  | {
    readonly kind: "requests";
    readonly requests: readonly Request[];
    readonly step: 1 | -1;
    /** Whether the kernel gives the newest first. */
    readonly newestFirst: boolean;
  }
  /** Names for sysctl(3); each gives messages one after the other, in an order that means nothing. */
  | { readonly kind: "sysctl"; readonly names: readonly (readonly number[])[] };

/** What codecs have to be told of the machine. */
export interface Surroundings {
  /** Seconds since 1970 of CLOCK_REALTIME, by which kernels date their records. */
  readonly nowSeconds: number;
}

/** One system's PF_KEY. */
export interface Dialect {
  readonly name: "linux" | "openbsd" | "freebsd";
  /** The number space of its opaque attributes. */
  readonly space: OpaqueAttribute["space"];
  readonly platform: Platform;
  /** Requests name an SA by its source too, which the back end then has to remember. */
  readonly namesBySource?: true;
  /** A policy is not found, and so not deleted, while a narrower one that begins at the same addresses is there. */
  readonly hidesPolicies?: true;
  /** What has to be sent once so that all events are heard: SADB_REGISTER, SADB_X_PROMISC. */
  readonly subscriptions: readonly Request[];
  readonly dump: DumpSource;
  /** The C name of a message type, or `unknown(42)`. */
  messageName(type: number): string;
  /** The name of an error number as this system's messages carry it. */
  errnoName(errno: number): string;
  /**
   * The message to be decoded: within a promiscuous copy, or with what a copy has shown before. Wants every message once,
   * in their order. @throws {DecodeError}
   */
  unwrap(message: PfkeyMessage): PfkeyMessage;
  /** What an unwrapped message means. @throws {DecodeError} when it has not the shape that the kernel gives it. */
  decode(message: PfkeyMessage, surroundings: Surroundings): Meaning;
  /** The record in the answer to `get`. @throws {DecodeError} */
  decodeAnswer(message: PfkeyMessage, surroundings: Surroundings): Reading;
  /** How to do a change. `src` is the source of the SA that is there, where the caller knows it. */
  encode(change: KernelChange, surroundings: Surroundings, src?: Address): Planned;
  /** Asks for an SA with its keys. @throws {RangeError} for one that the dialect cannot name. */
  get(id: SaIdentity, src: Address | undefined): Request;
  /** Why the dialect cannot take the record; undefined when it can. */
  refusal(record: IpsecRecord): string | undefined;
  /**
   * A record that `refusal` lets pass, as a dump shows it after `encode` has put it: without what this kernel takes
   * but does not tell, or has no need of. Such a record must not look changed at each comparison. The same
   * object where all is told.
   */
  told(record: IpsecRecord): IpsecRecord;
  /** What becomes of an outbound SA at a takeover: PF_KEY imports no counters. */
  takeover(sa: Sa): Takeover;
}

/** The C name of a message type in `messages`, or `unknown(42)`. */
export function nameOf(messages: Readonly<Record<string, number>>, type: number): string {
  return Object.keys(messages).find((name) => messages[name] === type) ?? `unknown(${type})`;
}

/** The record with what tells of its SA or policy; the same object where that gives what it was given. */
export function toldRecord(
  record: IpsecRecord,
  toldSa: (sa: Sa) => Sa,
  toldPolicy: (policy: Policy) => Policy,
): IpsecRecord {
  if (record.kind === "policy") {
    const policy = toldPolicy(record.policy);
    return policy === record.policy ? record : { kind: "policy", policy };
  }
  const sa = toldSa(record.sa);
  return sa === record.sa ? record : { kind: "sa", sa };
}
