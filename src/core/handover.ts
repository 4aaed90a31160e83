/**
 * A planned switch of the master (DESIGN section 7): refuses where nobody could take over, has this node demoted until
 * another one is master and this one has all that that has, and says how long what the own IKE daemon deletes is not
 * to be told. Pure; the caller brings the time and how things stand.
 */

import type { Role } from "../ports.ts";

/** A handover that has not come to its end by then has failed. */
export const HANDOVER_MS = 30_000;

/** An IKE daemon that ends after the handover deletes its SAs: for so long after stepping down that is not told. */
export const WITHHOLD_MS = 30_000;

/** A peer, seen as the master to be. */
export interface Successor {
  readonly name: string;
  readonly live: boolean;
  /** Why it cannot take over now; undefined: it can. */
  readonly obstacle: () => string | undefined;
}

/** How things stand. */
export interface HandoverSituation {
  readonly role: Role;
  /** Master, and may speak as such. */
  readonly acting: boolean;
  readonly peers: readonly Successor[];
  /** The master that is followed. */
  readonly followed: string | undefined;
  /** It hands over, and nobody but this node can take over. */
  readonly called: boolean;
  /** All that it has is here, in the own kernel too. */
  readonly synced: boolean;
}

/** How a handover ended, or that it is under way. */
export type HandoverResult =
  | { readonly state: "none" }
  | { readonly state: "moving" }
  | { readonly state: "done" }
  | { readonly state: "failed"; readonly reason: string };

export class Handover {
  #result: HandoverResult = { state: "none" };
  #standing = "";
  #deadlineMs = 0;
  /** This node is to stay demoted, for the operator may take his time: until it is master again, or is called. */
  #resting = false;
  /** Deletions are not told before. */
  #withholdUntilMs = -Infinity;

  get result(): HandoverResult {
    return this.#result;
  }

  /** Where it stands, for the operator. */
  get standing(): string {
    return this.#standing;
  }

  /** Why this node has to be demoted whatever else is true; undefined: it need not. */
  get demotes(): string | undefined {
    return this.#result.state === "moving" || this.#resting ? "handover" : undefined;
  }

  /** Whether deletions by the own IKE daemon are kept back. */
  withholds(nowMs: number): boolean {
    return this.#result.state === "moving" || nowMs < this.#withholdUntilMs;
  }

  /** Begins. @returns why not; undefined: it is under way. */
  start(situation: HandoverSituation, nowMs: number): string | undefined {
    if (this.#result.state === "moving") return "a handover is under way";
    const refusal = refusalOf(situation);
    if (refusal !== undefined) return refusal;
    this.#result = { state: "moving" };
    this.#deadlineMs = nowMs + HANDOVER_MS;
    this.#standing = standingOf(situation);
  }

  /** Time goes by, or something has changed. */
  step(situation: HandoverSituation, nowMs: number): void {
    if (situation.role === "MASTER" || situation.called && situation.synced) this.#resting = false;
    if (this.#result.state !== "moving") return;
    this.#standing = standingOf(situation);
    const { role, followed, synced, peers } = situation;
    if (role === "SLAVE" && followed !== undefined && synced) {
      this.#result = { state: "done" };
      this.#resting = true;
    } else if (nowMs >= this.#deadlineMs) {
      this.#fail(this.#standing);
    } else if (role === "MASTER" && !peers.some(({ live }) => live)) {
      this.#fail("no peer is connected any more");
    }
  }

  /** This node is master no more. */
  steppedDown(nowMs: number): void {
    if (this.#result.state === "moving") this.#withholdUntilMs = nowMs + WITHHOLD_MS;
  }

  #fail(reason: string): void {
    this.#result = { state: "failed", reason };
  }
}

function refusalOf({ role, acting, peers }: HandoverSituation): string | undefined {
  if (role !== "MASTER") return `this node is not master but ${role}`;
  if (!acting) return "this node is just starting as master";
  if (peers.length === 0) return "there is no peer";
  const obstacles = peers.map(({ name, obstacle }) => ({ name, obstacle: obstacle() }));
  if (obstacles.some(({ obstacle }) => obstacle === undefined)) return undefined;
  return `no peer can take over: ${obstacles.map(({ name, obstacle }) => `${name} ${obstacle}`).join(", ")}`;
}

function standingOf({ role, followed, synced }: HandoverSituation): string {
  if (role === "MASTER") return "this node is still master: the address has not moved";
  if (role !== "SLAVE") return `this node is ${role}`;
  if (followed === undefined) return "this node is slave, and no peer says that it is master";
  if (!synced) return `${followed} is master, and this node has not yet all that it has`;
  return `${followed} is master, and this node has all that it has`;
}
