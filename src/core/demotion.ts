/**
 * Whether this node should rather not become master (DESIGN section 7): while it starts, until it has what the others
 * have; later, when it has been without a live master's data for longer than carp or VRRP take to move the address.
 * Pure; the caller brings the time.
 */

import type { Role } from "../ports.ts";
import type { DemotionCause } from "../wire/native/message.ts";

/** A peer that cannot be reached for this long, or does not say its role, is not waited for. */
export const WAIT_MS = 5000;

/** Trouble that lasts shorter does not demote. */
export const PATIENCE_MS = 10_000;

/** What is known of a peer. */
export interface PeerView {
  readonly name: string;
  /** A session is open. */
  readonly live: boolean;
  /** What it said last on this session; undefined: nothing yet. */
  readonly role: Role | undefined;
}

/** How things stand. */
export interface Situation {
  readonly role: Role;
  /** Those whose data may be taken. */
  readonly peers: readonly PeerView[];
  /** The master that is followed. */
  readonly followed: string | undefined;
  /** All that it has is in the mirror. */
  readonly equal: boolean;
  /** And all of that is in the own kernel, or was refused. */
  readonly complete: boolean;
  /** Records that were refused, or are held back: a takeover would be without them. */
  readonly refused: number;
}

export class Demotion {
  #demoted = true;
  #reason = "starting";
  /** Why this node is to be demoted whatever else is true. */
  #forced: string | undefined;
  /** Nothing has been right yet since the start. */
  #starting = true;
  #startMs: number | undefined;
  #troubleSinceMs: number | undefined;
  /** The master that was followed last, if nobody says that it is master no more. */
  #lastMaster: string | undefined;
  /** For each peer, since when it has been reachable, or not. */
  readonly #since = new Map<string, { readonly live: boolean; readonly ms: number }>();

  /** Whether this node is to be demoted. */
  get demoted(): boolean {
    return this.#demoted || this.#forced !== undefined;
  }

  /** What the peers are told of it. What is lacking weighs more than what somebody wants. */
  get cause(): DemotionCause {
    if (this.#demoted) return "other";
    return this.#forced === undefined ? "none" : "handover";
  }

  /** Why it is, or why it is not any more; for the log. */
  get reason(): string {
    return this.#forced ?? this.#reason;
  }

  /** Demotes this node whatever else is true, also a master, and says why; undefined: no more. */
  force(reason: string | undefined): void {
    if (reason === undefined && this.#forced !== undefined && !this.#demoted) {
      this.#reason = `${this.#forced} is over`;
    }
    this.#forced = reason;
  }

  /** Time goes by, or something has changed. */
  step(situation: Situation, nowMs: number): void {
    this.#startMs ??= nowMs;
    this.#watch(situation, nowMs);
    if (situation.role === "MASTER") return this.#lift("master");
    const trouble = this.#troubleOf(situation, nowMs);
    if (trouble === undefined) {
      return this.#lift(this.#lastMaster === undefined ? "no master" : "synchronised");
    }
    this.#troubleSinceMs ??= nowMs;
    if (!this.#starting && nowMs - this.#troubleSinceMs < PATIENCE_MS) return;
    this.#demoted = true;
    this.#reason = trouble;
  }

  #watch({ role, peers, followed }: Situation, nowMs: number): void {
    for (const { name, live } of peers) {
      const before = this.#since.get(name);
      if (before?.live === live) continue;
      this.#since.set(name, { live, ms: before === undefined && !live ? this.#startMs! : nowMs });
    }
    const last = peers.find(({ name }) => name === this.#lastMaster);
    const steppedDown = last?.live === true && (last.role === "SLAVE" || last.role === "FAIL");
    if (role === "MASTER" || steppedDown) this.#lastMaster = undefined;
    this.#lastMaster = followed ?? this.#lastMaster;
  }

  #lift(reason: string): void {
    if (this.#demoted) this.#reason = reason;
    this.#demoted = false;
    this.#starting = false;
    this.#troubleSinceMs = undefined;
  }

  #troubleOf(situation: Situation, nowMs: number): string | undefined {
    for (const peer of situation.peers) {
      const trouble = this.#troubleWith(peer, nowMs);
      if (trouble !== undefined) return trouble;
    }
    if (situation.refused > 0) return `this kernel does not hold all (refused: ${situation.refused})`;
    const hasMaster = situation.peers.some(({ live, role }) => live && role === "MASTER");
    // what was right once is not wrong because a change is just on its way into the kernel
    const isRight = this.#demoted ? situation.complete : situation.equal;
    return hasMaster && !isRight ? `not synchronised with ${situation.followed ?? "the master"}` : undefined;
  }

  #troubleWith({ name, live, role }: PeerView, nowMs: number): string | undefined {
    const isNew = nowMs - (this.#since.get(name)?.ms ?? nowMs) < WAIT_MS;
    if (!live && name === this.#lastMaster) return `no session with ${name}, which was master`;
    if (!live) return this.#starting && isNew ? `no session with ${name} yet` : undefined;
    const isUndecided = role === undefined || role === "INIT";
    return isUndecided && isNew ? `${name} does not say yet whether it is master` : undefined;
  }
}
