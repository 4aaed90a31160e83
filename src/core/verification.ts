/**
 * Compares a node with its kernel and its peers because somebody wants to know: a master with every slave, a slave with
 * its master. What differs from a peer is told and left to the background comparison; the kernel is mended at once.
 */

import type { BucketRange, Buckets as Answer } from "../wire/native/message.ts";
import { differencesIn, questionsOf } from "./compare.ts";
import { describe } from "./describe.ts";
import type { NodeParts } from "./parts.ts";

/** A peer that has not answered by then does not. */
export const ANSWER_MS = 10_000;

/** What differs may have been on its way: it is asked about again after this time. */
const AGAIN_MS = 1000;

/** A master waits so long at most until a slave has taken what is on its way. */
const CALM_MS = 3000;

/** What has come of the comparison with one peer. */
export interface PeerVerdict {
  readonly peer: string;
  readonly state: "waiting" | "equal" | "different" | "unknown";
  /** Why nothing is known. */
  readonly reason: string | undefined;
  /** The records of this node that the peer has not like this, in words. */
  readonly records: readonly string[];
  /** How many records the peer has that this node has not like this. */
  readonly others: number;
}

/** What has come of a verification. */
export interface Verdict {
  readonly done: boolean;
  /** The records in which the kernel differed from what was known of it; undefined: it is still being compared. */
  readonly kernel: readonly string[] | undefined;
  /** How many of the master's records this kernel has refused. */
  readonly refused: number;
  readonly peers: readonly PeerVerdict[];
}

/** The comparison with one peer. */
class Check {
  readonly #sinceMs: number;
  #askAtMs: number;
  readonly #awaited = new Set<string>();
  /** Keys of the records, in words; others by bucket and digest. Of the first round, until the second confirms it. */
  #before: Map<string, string> | undefined;
  #found = new Map<string, string>();
  verdict: PeerVerdict;

  constructor(readonly peer: string, reason: string | undefined, nowMs: number) {
    this.#sinceMs = nowMs;
    this.#askAtMs = nowMs;
    const state = reason === undefined ? "waiting" : "unknown";
    this.verdict = { peer, state, reason, records: [], others: 0 };
  }

  step(parts: NodeParts, nowMs: number): void {
    if (this.verdict.state !== "waiting") return;
    if (nowMs - this.#sinceMs >= ANSWER_MS) {
      this.verdict = { ...this.verdict, state: "unknown", reason: "does not answer" };
    } else if (nowMs >= this.#askAtMs && (isCalm(parts, this.peer) || nowMs - this.#sinceMs >= CALM_MS)) {
      this.#ask(parts);
    }
  }

  #ask({ mirror, effects }: NodeParts): void {
    this.#askAtMs = Infinity;
    for (const question of questionsOf(mirror, "check", 0)) {
      this.#awaited.add(rangeOf(question, question.digests.length));
      effects.send(this.peer, question);
    }
  }

  /** @returns whether this was an answer to a question of `#ask` */
  take(parts: NodeParts, answer: Answer, nowMs: number): boolean {
    if (!this.#awaited.delete(rangeOf(answer, answer.count))) return false;
    const { lacking, alone } = differencesIn(answer, parts.mirror.buckets);
    for (const key of alone) this.#found.set(key, describe(parts.mirror.get(key)!.identity));
    for (const { bucket, digests } of lacking) {
      for (const digest of digests) this.#found.set(`${bucket} ${digest}`, "");
    }
    if (this.#awaited.size === 0) this.#judge(nowMs);
    return true;
  }

  #judge(nowMs: number): void {
    const before = this.#before;
    if (this.#found.size > 0 && before === undefined) {
      this.#before = this.#found;
      this.#found = new Map();
      this.#askAtMs = nowMs + AGAIN_MS;
      return;
    }
    const lasting = [...this.#found].filter(([key]) => before?.has(key)).map(([, name]) => name);
    const records = lasting.filter((name) => name !== "");
    const state = lasting.length === 0 ? "equal" : "different";
    this.verdict = { ...this.verdict, state, records, others: lasting.length - records.length };
  }
}

export class Verification {
  #checks: readonly Check[] = [];
  #begun = false;

  /** `obstacle`: why a peer cannot be asked; undefined: it can. */
  constructor(
    private readonly parts: NodeParts,
    private readonly obstacle: (peer: string) => string | undefined,
  ) {}

  /** Begins anew. */
  begin(nowMs: number): void {
    const { membership: { role, peerNames }, follower, kernel } = this.parts;
    this.#begun = true;
    kernel.look(nowMs);
    const peers = role === "MASTER" ? peerNames : follower.master === undefined ? [] : [follower.master];
    this.#checks = peers.map((peer) => new Check(peer, this.obstacle(peer), nowMs));
    this.step(nowMs);
  }

  /** Time goes by. */
  step(nowMs: number): void {
    for (const check of this.#checks) check.step(this.parts, nowMs);
  }

  /** A peer answers. @returns whether this was an answer to the question of a verification */
  take(peer: string, answer: Answer, nowMs: number): boolean {
    return this.#checks.find((check) => check.peer === peer)?.take(this.parts, answer, nowMs) === true;
  }

  /** What has come of it so far; undefined: there was none. */
  get verdict(): Verdict | undefined {
    if (!this.#begun) return undefined;
    const { kernel, mirror } = this.parts;
    const peers = this.#checks.map(({ verdict }) => verdict);
    return {
      done: !kernel.looking && peers.every(({ state }) => state !== "waiting"),
      kernel: kernel.looking ? undefined : kernel.differing.map(describe),
      refused: mirror.refused,
      peers,
    };
  }
}

/** Whether nothing is on its way to a slave of this node. */
function isCalm({ master }: NodeParts, peer: string): boolean {
  return (master.outbox(peer)?.lagChanges ?? 0) === 0;
}

function rangeOf({ bits, first }: BucketRange, count: number): string {
  return `${bits} ${first} ${count}`;
}
