/**
 * The comparison of this node's mirror with a peer's: answers what others ask, and takes what differs from the master.
 * When a slave joins it asks for all of it at once, and little by little from then on.
 */

import { PeerError } from "../errors.ts";
import { NO_MARK, saKey } from "../record/sa.ts";
import type { Buckets as Answer, Digests, WantRecords } from "../wire/native/message.ts";
import { bump } from "./bump.ts";
import { answerTo, differencesIn, isLast, isRange, keysOf, questionsOf } from "./compare.ts";
import type { MirrorEntry } from "./mirror.ts";
import type { NodeParts } from "./parts.ts";
import { Verification } from "./verification.ts";

/** Each bucket is compared at least every ten minutes: the mirror in so many parts, one at a time. */
const PARTS = 64;
const PART_MS = 8000;

export class Reconciliation {
  readonly verification: Verification;
  #background: Iterator<Digests, undefined> | undefined;
  #nextMs = 0;

  /** `compares`: whether a peer has a session and understands comparisons. */
  constructor(private readonly parts: NodeParts, private readonly compares: (peer: string) => boolean) {
    this.verification = new Verification(parts, (peer) => this.#obstacle(peer));
  }

  /** Time goes by: asks the master about the next part. */
  tick(nowMs: number): void {
    this.verification.step(nowMs);
    const master = this.#master;
    if (master === undefined || nowMs < this.#nextMs) return;
    const { mirror, effects } = this.parts;
    this.#nextMs = nowMs + PART_MS;
    const next = this.#background?.next().value;
    if (next !== undefined) return effects.send(master, next);
    this.#background = questionsOf(mirror, "check", 0, PARTS);
  }

  /** Asks the master about everything at once. */
  askAll(): void {
    const master = this.#master;
    if (master === undefined) return;
    for (const question of questionsOf(this.parts.mirror, "check", 0)) {
      this.parts.effects.send(master, question);
    }
  }

  /** The master, once this slave is equal to it and can be compared with it. */
  get #master(): string | undefined {
    const { master, synced } = this.parts.follower;
    return master !== undefined && synced && this.compares(master) ? master : undefined;
  }

  /** Why a peer cannot be compared with. */
  #obstacle(peer: string): string | undefined {
    const { membership, master } = this.parts;
    if (!this.compares(peer)) return "is not connected, or does not compare";
    const isSynced = membership.role === "MASTER"
      ? master.outbox(peer)?.comparing === false
      : this.#master === peer;
    return isSynced ? undefined : "is not synchronised yet";
  }

  /** This node's master wants to know whether they are equal. @throws {PeerError} */
  hearMaster(peer: string, question: Digests): void {
    require(isRange(question, question.digests.length));
    const answer = peer === this.#master ? answerTo(question, this.parts.mirror.buckets) : undefined;
    if (answer !== undefined) this.parts.effects.send(peer, answer);
  }

  /**
   * A peer asks what differs. One that joins is told that first of all; `epoch` is this master's.
   *
   * @throws {PeerError} for buckets that there are not.
   */
  hearQuestion(peer: string, question: Digests, epoch: number, nowMs: number): void {
    const { mirror, master, effects } = this.parts;
    require(isRange(question, question.digests.length));
    const isJoin = question.purpose !== "check";
    if (isJoin && question.first === 0) {
      effects.send(peer, master.catchUp(peer, epoch, question.counted, nowMs));
    }
    if (master.outbox(peer)?.comparing !== isJoin) return; // it has been given all meanwhile, or nothing yet
    const answer = answerTo(question, mirror.buckets);
    if (answer !== undefined) return effects.send(peer, answer);
    bump(this.parts, "comparisons given up");
    master.join(peer, epoch);
  }

  /** A peer shows what differs; what the master has is taken. @throws {PeerError} */
  hearAnswer(peer: string, answer: Answer, nowMs: number): void {
    const { mirror, follower, effects } = this.parts;
    const { purpose, bits, first, count, lists } = answer;
    require(isRange(answer, count, lists));
    if (purpose === "check" && this.verification.take(peer, answer, nowMs)) return;
    if (peer !== follower.master) return;
    const { lacking, alone } = differencesIn(answer, mirror.buckets);
    if (purpose === "check" ? !follower.synced : !follower.doubt(alone)) return;
    if (purpose === "check") {
      if (lists.length > 0) bump(this.parts, "buckets that differed");
      follower.want(alone.map((key) => mirror.get(key)!.identity));
      if (lacking.length === 0) return;
    }
    effects.send(peer, { type: "want-records", purpose, bits, first, count, lists: lacking });
  }

  /** A slave wants records of this master. @throws {PeerError} */
  hearWant(peer: string, want: WantRecords): void {
    const { mirror, master } = this.parts;
    const { purpose, count, lists } = want;
    require(isRange(want, count, lists));
    const outbox = master.outbox(peer);
    if (outbox === undefined) return;
    const wanted = keysOf(want, mirror.buckets).flatMap((key) => [mirror.get(key)!, ...this.#unmarked(key)]);
    // in their order, so that the slave's kernel has them in it
    for (const { identity } of wanted.toSorted((a, b) => a.rank - b.rank)) outbox.touch(identity);
    if (purpose !== "check" && outbox.comparing && isLast(want, count)) outbox.end();
  }

  /** The rank of an SA without a mark counts among those that have one, and its digest does not show it. */
  #unmarked(key: string): MirrorEntry[] {
    const { mirror } = this.parts;
    const { kind, id } = mirror.get(key)!.identity;
    if (kind !== "sa" || id.mark.mask === 0) return [];
    const unmarked = mirror.get(saKey({ ...id, mark: NO_MARK }));
    return unmarked === undefined ? [] : [unmarked];
  }
}

function require(isWell: boolean): void {
  if (!isWell) throw new PeerError("speaks of buckets that there are not");
}
