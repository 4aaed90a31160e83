/**
 * The node's talk with its peers: who is there, what each one says and asks, whom this node follows, and what it offers
 * to the master that it made way for. The node calls it; time comes from there.
 */

import { decodeIdentity, decodeRecord, decodeSaCounters } from "../record/encoding.ts";
import { identityOf, type IpsecRecord } from "../record/record.ts";
import type {
  Change,
  CountersMessage,
  Digests,
  Message,
  Put,
  Want,
  WantRecords,
} from "../wire/native/message.ts";
import { bump } from "./bump.ts";
import { describe } from "./describe.ts";
import type { ListEnd } from "./follower.ts";
import { entryOf } from "./mirror.ts";
import { Offers } from "./offers.ts";
import { WINDOW_BYTES } from "./outbox.ts";
import { isShared } from "./ownership.ts";
import type { NodeParts } from "./parts.ts";
import { Reconciliation } from "./reconciliation.ts";

/** What a peer speaks. `native`: it also compares; `snapshots`: an older one, which does not. */
export type PeerProtocol = "native" | "snapshots" | "classic";

/** Questions of one peer that are kept: a mirror of a million records is asked about in so many. */
const MOST_ASKED = 256;

/** More changes than this beside those of all records are not what a slave needs: it has asked for what never was. */
const MOST_STRANGE = 2 ** 17;

/** An open session. */
interface Session {
  readonly number: number;
  readonly nodeId: string;
  readonly compares: boolean;
}

/** What a slave asks for while its master has not read its kernel yet. */
type Question = Want | Digests | WantRecords;

/** What a peer has still to tell that was master beside this node. */
interface Rival {
  /** SAs of which it has not told. */
  readonly left: Set<string>;
  /** The session in which it was asked last; its answer goes with that. */
  session: number;
}

export class PeerTalk {
  readonly #offers = new Offers();
  /** Peers that were master, or knew one, while this node was: they are asked how far that has come. */
  readonly #rivals = new Map<string, Rival>();
  /** Peers that have not heard how far this node has come as master, as it stepped down before that. */
  #unheard: ReadonlySet<string> = new Set();
  #followedSession = "";
  readonly #sessions = new Map<string, Session>();
  #sessionCount = 0;
  /** What peers have asked while there was nothing to give. */
  readonly #asked = new Map<string, Question[]>();
  readonly reconciliation: Reconciliation;

  constructor(private readonly parts: NodeParts) {
    const compares = (peer: string) => this.#sessions.get(peer)?.compares === true;
    this.reconciliation = new Reconciliation(parts, compares);
  }

  /** Whether a session with this peer is open. */
  isLive(peer: string): boolean {
    return this.#sessions.has(peer);
  }

  /** This node has another role: whom it asked as master is asked no more, and nobody asks it. */
  roleChanged(): void {
    this.#rivals.clear();
    this.#asked.clear();
  }

  /** This node is about to be master no more. */
  stepsDown(): void {
    const { membership, master } = this.parts;
    this.#unheard = new Set(membership.peerNames.filter((peer) => master.outbox(peer)?.isWhole !== true));
  }

  /** This node takes over: it follows nobody, and has nothing to offer. */
  tookOver(): void {
    this.#offers.clear();
    this.#followedSession = "";
  }

  /** A session with this peer is open and HELLO has come. */
  up(peer: string, nodeId: string, slaveOnly: boolean, protocol: PeerProtocol): void {
    const compares = protocol === "native";
    this.#sessions.set(peer, { number: ++this.#sessionCount, nodeId, compares });
    const { membership, effects } = this.parts;
    membership.join(peer, nodeId, slaveOnly, protocol === "classic");
    effects.send(peer, membership.state());
  }

  /** The session is gone. */
  down(peer: string, nowMs: number): void {
    this.#sessions.delete(peer);
    const { membership } = this.parts;
    membership.leave(peer);
    this.#forget(peer);
    if (membership.refresh()) this.announce();
    this.refollow(nowMs);
  }

  /** A message of an open session, HELLO, PING, PONG and BYE excepted. @throws {PeerError | DecodeError} */
  receive(peer: string, message: Message | ListEnd, nowMs: number): void {
    const { membership, master, follower, effects } = this.parts;
    switch (message.type) {
      case "state":
        return this.#hear(peer, message, nowMs);
      case "want":
      case "digests":
      case "want-records":
        return this.#hearQuestion(peer, message, nowMs);
      case "buckets":
        return this.reconciliation.hearAnswer(peer, message, nowMs);
      case "counted":
        return follower.counted(peer, this.#sessions.get(peer)?.nodeId ?? "", message.serial);
      case "ack":
        if (master.ack(peer, message.change, nowMs) === false) {
          effects.close(peer, `acknowledges change ${message.change}, which was never sent`);
        }
        return;
      case "refused": {
        bump(this.parts, "refused by peers");
        const identity = decodeIdentity(message.kind, message.identity);
        master.refuse(peer, identity.key, message.reason);
        const text = `${peer} refused ${describe(identity)}: ${message.reason}`;
        effects.log("error", text, `${peer} ${message.reason}`);
        return;
      }
      case "put":
        if (membership.role === "MASTER" && !membership.isSlaveOnly(peer)) {
          return this.#takeOffer(peer, message, nowMs);
        }
        return this.#follow(peer, message, nowMs);
      case "snapshot-begin":
      case "catch-up":
      case "snapshot-end":
      case "list-end":
      case "delete":
      case "flush":
        return this.#follow(peer, message, nowMs);
      case "counters":
        if (membership.role !== "MASTER") return follower.count(peer, message, nowMs);
        if (!membership.isSlaveOnly(peer)) this.#outdo(peer, message, nowMs);
        return;
      default:
        bump(this.parts, `ignored ${message.type}`);
    }
  }

  /** The next data for a peer, at most about `budgetBytes` and never more than its window. */
  collect(peer: string, nowMs: number, budgetBytes: number): Message[] {
    const offers = this.#offers.next(peer, nowMs, budgetBytes);
    return offers.length > 0 ? offers : this.parts.master.collect(peer, nowMs, budgetBytes);
  }

  /** Whether `collect` would give something, or the next effects hold more for this peer. */
  hasData(peer: string): boolean {
    const { master, follower } = this.parts;
    return this.#offers.isReady(peer) || master.outbox(peer)?.ready === true ||
      follower.hasUntold && follower.master === peer;
  }

  /** This node acts as master in a new epoch. */
  raised(reason: string, nowMs: number): void {
    const { membership, effects } = this.parts;
    effects.log("state", `master in epoch ${membership.epoch}: ${reason}`);
    this.answer(nowMs);
    this.announce();
  }

  /** When this node can speak as master: those who have asked meanwhile get theirs. */
  answer(nowMs: number): void {
    if (!this.#canAnswer) return;
    const asked = [...this.#asked];
    this.#asked.clear();
    for (const [peer, questions] of asked) {
      for (const question of questions) this.#hearQuestion(peer, question, nowMs);
    }
  }

  /** Own STATE, to everybody. */
  announce(): void {
    for (const peer of this.#sessions.keys()) this.parts.effects.send(peer, this.parts.membership.state());
  }

  /** Asks the followed master for everything when it, its epoch or its session is another than before. */
  refollow(nowMs: number): void {
    const { membership, effects, kernel, follower } = this.parts;
    const peer = kernel.known ? membership.followed : undefined;
    const session = peer === undefined
      ? ""
      : `${peer} ${this.#sessions.get(peer)?.number} ${membership.epoch}`;
    if (session === this.#followedSession) return;
    this.#followedSession = session;
    if (peer !== undefined) {
      effects.log("state", `following ${peer} in epoch ${membership.epoch}`);
      this.#offer(peer, nowMs);
    }
    follower.follow(peer, peer === undefined ? undefined : this.#sessions.get(peer));
  }

  #follow(peer: string, change: Change | ListEnd, nowMs: number): void {
    if (peer !== this.parts.follower.master) bump(this.parts, "changes dropped");
    this.parts.follower.take(peer, change, nowMs);
  }

  #hear(peer: string, state: Message & { type: "state" }, nowMs: number): void {
    const { membership, effects } = this.parts;
    const { twoMasters: doubles, laterMaster } = membership;
    const isChanged = membership.hear(peer, state);
    if (membership.acting && (isChanged || state.role === "MASTER")) this.#noteRival(peer);
    if (isChanged && membership.acting) this.raised(`${peer} knew epoch ${state.greatestEpoch}`, nowMs);
    else if (isChanged) this.announce();
    if (state.role !== "MASTER") this.#askRival(peer);
    if (membership.twoMasters > doubles) {
      effects.log("error", `two masters: ${peer} says MASTER in epoch ${state.epoch}`);
    }
    if (membership.laterMaster === peer && laterMaster !== peer) {
      const text =
        `stale address? ${peer} is master in epoch ${state.epoch}, and this node in ${membership.epoch}`;
      effects.log("state", `${text}: it may hold an address that has moved`);
    }
    if (state.role === "MASTER") this.#forget(peer);
    this.refollow(nowMs);
  }

  #noteRival(peer: string): void {
    const { membership, mirror } = this.parts;
    if (membership.isSlaveOnly(peer)) return;
    const sas = [...mirror.values()].filter(({ counters }) => counters !== undefined);
    this.#rivals.set(peer, { left: new Set(sas.map(({ key }) => key)), session: 0 });
  }

  /** It follows this node now, and so will answer; of what it does not know it tells nothing. */
  #askRival(peer: string): void {
    const rival = this.#rivals.get(peer);
    const session = this.#sessions.get(peer)?.number;
    if (rival === undefined || session === undefined || rival.session === session || rival.left.size === 0) {
      return;
    }
    rival.session = session;
    this.parts.effects.send(peer, { type: "want", identities: [] });
  }

  /**
   * Another node was master meanwhile. Until it is outdone its peers refuse our packets, and numbers go out twice. What
   * was not asked for may be the last words of the master before: most often this node is ahead of them.
   */
  #outdo(peer: string, { identity, volatile }: CountersMessage, nowMs: number): void {
    const { key } = decodeIdentity("sa", identity);
    const wasAsked = this.#rivals.get(peer)?.left.delete(key) === true;
    const progress = this.parts.follower.leases.outdo(key, decodeSaCounters(volatile), !wasAsked, nowMs);
    if (progress !== undefined) this.parts.master.progress(key, progress, nowMs);
  }

  /** What was negotiated here while two nodes were master would be lost: the one that stays takes what it can. */
  #offer(peer: string, nowMs: number): void {
    this.#offers.set(peer, this.parts.master.takeUnsaid(peer).map((entry) => ({ of: "record", entry })));
    if (this.#unheard.has(peer)) this.#tellCounters(peer);
    this.#unheard = new Set();
    for (const offer of this.#offers.next(peer, nowMs, WINDOW_BYTES)) this.parts.effects.send(peer, offer);
  }

  /**
   * A node that was master says what it has: what it offers after it stepped down, and what was on its way when this
   * node took over. It may add what is not known here, and change nothing.
   */
  #takeOffer(peer: string, put: Put, nowMs: number): void {
    const { mirror, inventory, master, effects, settings, guard, queue } = this.parts;
    effects.send(peer, { type: "ack", change: put.change });
    const { record, refusal } = decodeRecord(put.kind, put.content, put.volatile);
    const identity = identityOf(record);
    const { key } = identity;
    const isKnown = mirror.get(key) !== undefined || inventory.get(key) !== undefined;
    if (
      isKnown || master.isGone(key) || refusal !== undefined ||
      !isShared(record, settings.ownership) || this.#wouldRepeat(record)
    ) {
      return bump(this.parts, "offers refused");
    }
    bump(this.parts, "offers taken");
    mirror.set(entryOf(record, put.content, mirror.nextRank(), nowMs, identity));
    guard.set(key, record);
    queue.add(identity);
    master.touch(identity);
    if (put.kind === "sa") this.#rivals.get(peer)?.left.add(key);
  }

  /** Whether this node would send on an SA with nonces that another one has used. */
  #wouldRepeat(record: IpsecRecord): boolean {
    return record.kind === "sa" && this.parts.settings.takeover(record.sa) === "none" &&
      this.parts.guard.sendsOn(record.sa);
  }

  /** A master asks how far this node has come, that was master beside it or follows one that was. */
  #tellCounters(peer: string): void {
    const entries = [...this.parts.mirror.values()].filter(({ counters }) => counters !== undefined);
    this.#offers.set(peer, entries.map((entry) => ({ of: "counters", entry })));
  }

  #hearQuestion(peer: string, question: Question, nowMs: number): void {
    const { membership } = this.parts;
    if (membership.role !== "MASTER") {
      if (question.type === "digests") return this.reconciliation.hearMaster(peer, question);
      const wantsAll = question.type === "want" && question.identities.length === 0;
      if (wantsAll && peer === membership.followed) this.#tellCounters(peer);
    } else if (this.#canAnswer) this.#answer(peer, question, nowMs);
    else this.#postpone(peer, question);
  }

  /** Whether this node is master, may say so, and has read its kernel. */
  get #canAnswer(): boolean {
    return this.parts.membership.acting && this.parts.kernel.known;
  }

  /** Who asks more than is kept is given everything. */
  #postpone(peer: string, question: Question): void {
    const asked = begins(question) ? [] : this.#asked.get(peer) ?? [];
    if (asked.length < MOST_ASKED) {
      this.#asked.set(peer, [...asked, question]);
      return;
    }
    bump(this.parts, "questions given up");
    this.#asked.set(peer, [{ type: "want", identities: [] }]);
  }

  #answer(peer: string, question: Question, nowMs: number): void {
    const { membership: { epoch }, master, mirror, effects } = this.parts;
    if (question.type === "digests") this.reconciliation.hearQuestion(peer, question, epoch, nowMs);
    else if (question.type === "want-records") this.reconciliation.hearWant(peer, question);
    else if (question.identities.length === 0) master.join(peer, epoch);
    else {
      const outbox = master.outbox(peer);
      const isTooMuch = outbox !== undefined && outbox.lagChanges > mirror.size + MOST_STRANGE;
      if (isTooMuch) return effects.close(peer, "asks for more records than there are");
      for (const { kind, identity } of question.identities) outbox?.touch(decodeIdentity(kind, identity));
    }
  }

  #forget(peer: string): void {
    this.parts.master.leave(peer);
    this.#asked.delete(peer);
  }
}

/** Whether a peer asks for everything anew: what it asked before means nothing any more. */
function begins(question: Question): boolean {
  return question.type === "want" && question.identities.length === 0 ||
    question.type === "digests" && question.purpose !== "check" && question.first === 0;
}
