/** The messages of the native protocol (DESIGN section 5) as values. Their bytes are in `catalog.ts`. */

import type { Address } from "../../record/address.ts";
import type { Role } from "../../ports.ts";

/** Revision of the protocol that HELLO states. */
export const REVISION = 1;

/** Bits of HELLO's capabilities; unknown ones mean nothing. */
export const CAPABILITY = {
  /**
   * Understands DIGESTS and what belongs to them, so that it need not be given all when it comes back. Bit 0 was for
   * this while all digests were wide.
   */
  DIGESTS: 2,
} as const;

/** First message on a session, from both sides; the initiator's proves that it is alive. */
export interface Hello {
  readonly type: "hello";
  readonly revision: number;
  /** 16 random bytes per process start. */
  readonly nodeId: Uint8Array;
  readonly os: string;
  /** `CAPABILITY` */
  readonly capabilities: number;
  /** SHA-256 of the ownership settings, first 16 bytes. */
  readonly settingsDigest: Uint8Array;
  /** The addresses by which this node knows its peers and itself, as configured. */
  readonly addresses: readonly Address[];
}

/** Why a node is demoted, the weightier cause; by their place in this list on the wire. */
export const DEMOTION_CAUSES = ["none", "handover", "other"] as const;
export type DemotionCause = typeof DEMOTION_CAUSES[number];

/** Role, epochs and demotion; at the start of a session and at every change of one of them. */
export interface State {
  readonly type: "state";
  readonly role: Role;
  /** Epoch that this node stands in: its own as master, its master's as slave. */
  readonly epoch: number;
  readonly greatestEpoch: number;
  /** Node id of the master whose epoch `epoch` is (its own as master); 16 zero bytes: none yet. */
  readonly master: Uint8Array;
  /** Whether that master is alive and followed now. */
  readonly following: boolean;
  /** Of a master, `handover` says that it hands over; of a slave, that only its own handover demotes it. */
  readonly demotion: DemotionCause;
}

/** A complete snapshot follows: what is not put before its END is not there. */
export interface SnapshotBegin {
  readonly type: "snapshot-begin";
  readonly change: number;
  readonly epoch: number;
}

/** What differs follows: all else that the receiver has, it keeps. */
export interface CatchUp {
  readonly type: "catch-up";
  readonly change: number;
  readonly epoch: number;
}

/** The receiver's mirror now has `count` records; `digest` is the exclusive or of their digests (16 bytes). */
export interface SnapshotEnd {
  readonly type: "snapshot-end";
  readonly change: number;
  readonly count: number;
  readonly digest: Uint8Array;
}

/** One record, whole. `content` and `volatile` are attributes (record/encoding.ts). */
export interface Put {
  readonly type: "put";
  readonly change: number;
  readonly kind: "sa" | "policy";
  /** Creation order on the master: policies of equal priority win in this order. */
  readonly rank: number;
  readonly content: Uint8Array;
  readonly volatile: Uint8Array;
}

export interface Delete {
  readonly type: "delete";
  readonly change: number;
  readonly kind: "sa" | "policy";
  /** An encoded identity (record/encoding.ts). */
  readonly identity: Uint8Array;
}

/** Delete the shared records of an SA protocol (0: all) or of a policy type (255: all). */
export interface Flush {
  readonly type: "flush";
  readonly change: number;
  readonly kind: "sa" | "policy";
  readonly selector: number;
}

/** Latest counters of one SA. Not numbered: later ones replace it. */
export interface CountersMessage {
  readonly type: "counters";
  readonly identity: Uint8Array;
  readonly volatile: Uint8Array;
}

/** The sender of this asks for the latest state of these records (PUT or DELETE). `identities` empty: a snapshot. */
export interface Want {
  readonly type: "want";
  readonly identities: readonly { readonly kind: "sa" | "policy"; readonly identity: Uint8Array }[];
}

/**
 * Why mirrors are compared: a slave joins its master, or somebody wants to know whether they are equal; by their place
 * in this list on the wire. Digests are narrow, the upper halves, for `join` alone: the digest of the whole mirror
 * follows, and when it differs the slave joins again by wide ones.
 */
export const PURPOSES = ["join", "check", "join-again"] as const;
export type Purpose = typeof PURPOSES[number];

/** Which part of a mirror is compared: of 2^`bits` buckets those from `first` on. */
export interface BucketRange {
  readonly bits: number;
  readonly first: number;
}

/** The digests of a bucket's records, or of some of them: u32 in the wire, signed numbers here; narrow ones are u16. */
export interface BucketList {
  readonly bucket: number;
  readonly digests: readonly number[];
}

/** "My buckets have these digests; what differs?" */
export interface Digests extends BucketRange {
  readonly type: "digests";
  readonly purpose: Purpose;
  /** Of the receiver's COUNTED, the last that the sender has; 0: none. Counters that moved later are wanted. */
  readonly counted: number;
  /** One for each bucket of the range: the exclusive or of its records' digests. */
  readonly digests: readonly number[];
}

/** The answer to DIGESTS: the records of the buckets that differ, by their digests. */
export interface Buckets extends BucketRange {
  readonly type: "buckets";
  readonly purpose: Purpose;
  readonly count: number;
  readonly lists: readonly BucketList[];
}

/** The answer to BUCKETS: the records among them that the sender has not, and wants. */
export interface WantRecords extends BucketRange {
  readonly type: "want-records";
  readonly purpose: Purpose;
  readonly count: number;
  readonly lists: readonly BucketList[];
}

/** All counters have been told that moved before; `serial` counts the moves at the sender since it was started. */
export interface Counted {
  readonly type: "counted";
  readonly serial: number;
}

/** Every change up to and with this number has been taken by the kernel or refused. */
export interface Ack {
  readonly type: "ack";
  readonly change: number;
}

/** A record could not be taken. */
export interface Refused {
  readonly type: "refused";
  readonly kind: "sa" | "policy";
  readonly identity: Uint8Array;
  readonly reason: string;
}

/** Sent every second. */
export interface Ping {
  readonly type: "ping";
  readonly token: number;
}

export interface Pong {
  readonly type: "pong";
  readonly token: number;
}

/** The sender closes the session. In the place of HELLO when it does not want the session at all. */
export interface Bye {
  readonly type: "bye";
  readonly reason: string;
}

/** Asks for PREMISES. */
export interface AskPremises {
  readonly type: "ask-premises";
}

/** What a takeover needs beside SAs and policies, one fact a line, in as many messages as it takes. */
export interface Premises {
  readonly type: "premises";
  readonly lines: readonly string[];
  /** No more follow. */
  readonly last: boolean;
}

export type Message =
  | Hello
  | State
  | SnapshotBegin
  | SnapshotEnd
  | CatchUp
  | Put
  | Delete
  | Flush
  | CountersMessage
  | Counted
  | Want
  | Digests
  | Buckets
  | WantRecords
  | Ack
  | Refused
  | Ping
  | Pong
  | Bye
  | AskPremises
  | Premises;

/** Messages that carry data and are acknowledged by number. */
export type Change = SnapshotBegin | CatchUp | SnapshotEnd | Put | Delete | Flush;
