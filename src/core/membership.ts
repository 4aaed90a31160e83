/**
 * Roles and epochs (DESIGN section 6): who is master, in which epoch, and whom a slave follows. Pure; peers are
 * known by the name that the caller gives them.
 */

import { PeerError } from "../errors.ts";
import type { Role } from "../ports.ts";
import type { DemotionCause, State } from "../wire/native/message.ts";
import type { PeerView } from "./demotion.ts";

/** A starting master waits this long for the STATE of its peers before it speaks. */
export const STARTING_MS = 2000;

/** An epoch this far above the greatest one seen is an attack or a fault. */
const EPOCH_LEAP = 2 ** 32;

/** From here on it is one that leaps at all: an epoch has 53 bits, and there must be some left. */
const LATE_EPOCH = 2 ** 52;
const LATE_LEAP = 2 ** 10;

/** A peer with a live session that has said HELLO; `state` is what it said last. */
interface Member {
  readonly nodeId: string;
  readonly slaveOnly: boolean;
  /** It speaks a protocol without epochs: the one in its STATE means nothing. */
  readonly epochless: boolean;
  state: State | undefined;
}

const NOBODY = "0".repeat(32);

/** This node and its live peers. */
export class Membership {
  role: Role = "INIT";
  /** The epoch that this node stands in. */
  epoch = 0;
  greatestEpoch = 0;
  /** An epoch of others has been heard: the next ones can be judged by it. */
  #hasMeasure = false;
  /** Node id of the master of `epoch`. */
  #epochOwner = NOBODY;
  /** Peers that were seen as MASTER while this node was MASTER too. */
  twoMasters = 0;
  /** Of this node, for its STATE. */
  #demotion: DemotionCause = "other";
  #startingSinceMs: number | undefined;
  readonly #members = new Map<string, Member>();

  /** `nodeId` is hexadecimal; `peerNames` are all configured peers. */
  constructor(readonly nodeId: string, public peerNames: readonly string[]) {}

  /** Whether this node is master and may speak as such. */
  get acting(): boolean {
    return this.role === "MASTER" && this.#startingSinceMs === undefined;
  }

  /** The tracker says so. @returns whether anything changed. */
  setRole(role: Role, nowMs: number): boolean {
    if (role === this.role) return false;
    this.role = role;
    this.#startingSinceMs = role === "MASTER" ? nowMs : undefined;
    this.#follow(); // so that it is said when whoever is followed from now on goes
    return true;
  }

  /** This node is demoted, or not. @returns whether that is new, and STATE has to be sent again. */
  setDemotion(cause: DemotionCause): boolean {
    const isNew = cause !== this.#demotion;
    this.#demotion = cause;
    return isNew;
  }

  join(peer: string, nodeId: string, slaveOnly: boolean, epochless = false): void {
    this.#members.set(peer, { nodeId, slaveOnly, epochless, state: undefined });
  }

  leave(peer: string): void {
    this.#members.delete(peer);
  }

  /**
   * Takes a peer's STATE.
   *
   * @returns whether this node's own STATE has to be sent again.
   * @throws {PeerError} for an epoch that cannot be true.
   */
  hear(peer: string, state: State): boolean {
    const member = this.#members.get(peer);
    if (member === undefined) return false;
    const heard = Math.max(state.epoch, state.greatestEpoch);
    if (heard > this.#mostFrom(member)) throw new PeerError(`epoch ${heard} is too far ahead`);
    this.#hasMeasure ||= heard > 0 && !member.slaveOnly;
    const wasMaster = member.state?.role === "MASTER";
    member.state = state;
    if (!wasMaster && state.role === "MASTER") this.#putLast(peer, member);
    this.greatestEpoch = Math.max(this.greatestEpoch, heard);
    if (!this.acting) return this.#follow();
    if (state.role === "MASTER") {
      if (!wasMaster) this.twoMasters++;
      return false;
    }
    if (!this.#mustRaise(state)) return false;
    this.#raise();
    return true;
  }

  /**
   * Ends the wait of a starting master when every peer has spoken or the time is up.
   *
   * @returns whether this node has just become an acting master: it raised the epoch and must say so.
   */
  tick(nowMs: number): boolean {
    if (this.#startingSinceMs === undefined) return false;
    const allHeard = this.peerNames.every((peer) => this.#members.get(peer)?.state !== undefined);
    if (!allHeard && nowMs - this.#startingSinceMs < STARTING_MS) return false;
    this.#startingSinceMs = undefined;
    this.#raise();
    return true;
  }

  /**
   * The peer whose data this node takes: the master of the greatest (epoch, node id), never one of the past. Where none
   * has an epoch, the one that became master last: the classic protocol cannot tell more.
   */
  get followed(): string | undefined {
    if (this.role === "MASTER") return undefined;
    let best: { peer: string; epoch: number; nodeId: string } | undefined;
    let latestEpochless: string | undefined;
    for (const [peer, { nodeId, slaveOnly, epochless, state }] of this.#members) {
      if (slaveOnly || state?.role !== "MASTER") continue;
      if (epochless) latestEpochless = peer;
      if (epochless || state.epoch < this.epoch) continue;
      if (
        best === undefined || state.epoch > best.epoch || state.epoch === best.epoch && nodeId > best.nodeId
      ) {
        best = { peer, epoch: state.epoch, nodeId };
      }
    }
    return best?.peer ?? latestEpochless;
  }

  /** While this node is master: a peer that is master in a later epoch, so that the address here may be a stale one. */
  get laterMaster(): string | undefined {
    if (!this.acting) return undefined;
    return this.#members.entries().find(([, { slaveOnly, epochless, state }]) =>
      !slaveOnly && !epochless && state?.role === "MASTER" && state.epoch > this.epoch
    )?.[0];
  }

  /** Whether this peer's data is never taken. */
  isSlaveOnly(peer: string): boolean {
    return this.#members.get(peer)?.slaveOnly === true;
  }

  /**
   * The greatest epoch that is believed. Who knows none takes what it hears first, as the others may have leaped once;
   * but not from a peer that is slave only.
   */
  #mostFrom({ slaveOnly }: Member): number {
    const most = this.greatestEpoch + (this.greatestEpoch < LATE_EPOCH ? EPOCH_LEAP : LATE_LEAP);
    return this.#hasMeasure || slaveOnly ? most : Math.max(most, LATE_EPOCH);
  }

  /** Members stand in the order in which they became master. */
  #putLast(peer: string, member: Member): void {
    this.#members.delete(peer);
    this.#members.set(peer, member);
  }

  /**
   * Why this peer cannot become master now; undefined: it has a session, may become master, says that it is slave, and
   * lacks nothing. One that only its own handover demotes can: it is called.
   */
  obstacle(peer: string): string | undefined {
    const member = this.#members.get(peer);
    if (member === undefined) return "is not connected";
    if (member.slaveOnly) return "is to be slave only";
    if (member.epochless) return "speaks the classic protocol";
    if (member.state === undefined) return "does not say its role yet";
    const { role, demotion } = member.state;
    if (role !== "SLAVE") return `is ${role}`;
    return demotion === "other" ? "is demoted: its own status says why" : undefined;
  }

  /** Whether the followed master hands over, and no other slave is there that is not demoted. */
  get isCalled(): boolean {
    const { followed } = this;
    if (followed === undefined || this.said(followed)?.demotion !== "handover") return false;
    return !this.#members.values().some(({ slaveOnly, epochless, state }) =>
      !slaveOnly && !epochless && state?.role === "SLAVE" && state.demotion === "none"
    );
  }

  /** What a peer said last on its session; undefined: nothing. */
  said(peer: string): State | undefined {
    return this.#members.get(peer)?.state;
  }

  /** What is known of the peers whose data may be taken. */
  get views(): PeerView[] {
    return this.peerNames.flatMap((name) => {
      const member = this.#members.get(name);
      return member?.slaveOnly ? [] : { name, live: member !== undefined, role: member?.state?.role };
    });
  }

  /** After a peer came, went or spoke: adopts the followed master's epoch. @returns whether STATE changed. */
  refresh(): boolean {
    return this.acting ? false : this.#follow();
  }

  /** Own STATE, as it is to be sent now. A starting master does not say MASTER yet. */
  state(): State {
    return {
      type: "state",
      role: this.role === "MASTER" && !this.acting ? "INIT" : this.role,
      epoch: this.epoch,
      greatestEpoch: this.greatestEpoch,
      master: Uint8Array.from(this.#epochOwner.match(/../g)!, (hex) => parseInt(hex, 16)),
      following: this.acting || this.followed !== undefined,
      demotion: this.#demotion,
    };
  }

  /** A digest of what `refresh` can change, to see whether STATE has to be sent. */
  #follow(): boolean {
    const before = `${this.epoch} ${this.#epochOwner} ${this.#lastFollowed}`;
    const followed = this.followed;
    if (followed !== undefined) {
      const { nodeId, epochless, state } = this.#members.get(followed)!;
      if (!epochless) this.epoch = state!.epoch;
      this.#epochOwner = nodeId;
    }
    this.#lastFollowed = followed;
    return before !== `${this.epoch} ${this.#epochOwner} ${followed}`;
  }

  #lastFollowed: string | undefined;

  /** A peer that is no master has heard of an epoch that is not older than this master's and not its own. */
  #mustRaise({ epoch, greatestEpoch, master, following }: State): boolean {
    const owner = Array.from(master, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (following && owner !== this.nodeId) return false; // it follows another live master: two masters, both stay
    return Math.max(epoch, greatestEpoch) > this.epoch ||
      epoch === this.epoch && owner !== this.nodeId && owner !== NOBODY;
  }

  #raise(): void {
    this.greatestEpoch++;
    this.epoch = this.greatestEpoch;
    this.#epochOwner = this.nodeId;
  }
}
