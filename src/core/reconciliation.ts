/**
 * The comparison of this node's mirror with a peer's: answers what others ask, and takes what differs from the master.
 * When a slave joins it asks for all of it at once, and little by little from then on.
 */

import { PeerError } from "../errors.ts";
import { NO_MARK, saKey } from "../record/sa.ts";
import type { Buckets as Answer, Digests, WantRecords } from "../wire/native/message.ts";
import { answerTo, differencesIn, isLast, isRange, keysOf, questionsOf } from "./compare.ts";
import type { MirrorEntry } from "./mirror.ts";
import { bump, type NodeParts } from "./parts.ts";

/** Each bucket is compared at least every ten minutes: the mirror in so many parts, one at a time. */
const PARTS = 64;
const PART_MS = 8000;

export class Reconciliation {
  #background: Iterator<Digests, undefined> | undefined;
  #nextMs = 0;

  constructor(private readonly parts: NodeParts) {}

  /** Time goes by: asks the master about the next part. */
  tick(nowMs: number, compares: (peer: string) => boolean): void {
    const { follower, mirror, effects } = this.parts;
    const { master, synced } = follower;
    if (master === undefined || !synced || !compares(master) || nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + PART_MS;
    const next = this.#background?.next().value;
    if (next !== undefined) return effects.send(master, next);
    this.#background = questionsOf(mirror, "check", 0, PARTS);
  }

  /**
   * A peer asks what differs. One that joins is told that first of all; `epoch` is this master's.
   *
   * @throws {PeerError} for buckets that there are not.
   */
  hearQuestion(peer: string, question: Digests, epoch: number, nowMs: number): void {
    const { mirror, master, effects } = this.parts;
    require(isRange(question, question.digests.length));
    const isJoin = question.purpose === "join";
    if (isJoin && question.first === 0) {
      effects.send(peer, master.catchUp(peer, epoch, question.counted, nowMs));
    }
    if (master.outbox(peer)?.comparing !== isJoin) return; // it has been given all meanwhile, or nothing yet
    const answer = answerTo(question, mirror.buckets);
    if (answer !== undefined) return effects.send(peer, answer);
    bump(this.parts, "comparisons given up");
    master.join(peer, epoch);
  }

  /** The master shows what differs. @throws {PeerError} */
  hearAnswer(peer: string, answer: Answer): void {
    const { mirror, follower, effects } = this.parts;
    const { purpose, bits, first, count, lists } = answer;
    require(isRange(answer, count, lists));
    if (peer !== follower.master) return;
    const { lacking, alone } = differencesIn(answer, mirror.buckets);
    if (purpose === "join" ? !follower.doubt(alone) : !follower.synced) return;
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
    const { purpose, bits, count, lists } = want;
    require(isRange(want, count, lists));
    const outbox = master.outbox(peer);
    if (outbox === undefined) return;
    for (const key of keysOf(lists, bits, mirror.buckets)) {
      for (const entry of [mirror.get(key)!, ...this.#unmarked(key)]) outbox.touch(entry.identity);
    }
    if (purpose === "join" && outbox.comparing && isLast(want, count)) outbox.end();
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
