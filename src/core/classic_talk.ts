/**
 * The talk with one peer of the classic protocol, as OpenBSD's sasyncd holds it: who says what and when. To the node
 * it speaks as a native peer would; the node knows of the protocol only that it has no epochs:
 *
 *   STATE, ACK with a state   →  state, its epoch without meaning       own state  →  STATE, ACK
 *   FLUSH, ADD …, ENDSNAP     →  snapshot-begin, put …, list-end, and what was not named goes at the end
 *   ADD …, ENDSNAP            →  put …, list-end, and nothing goes
 *   want (of everything)      →  snapshot-begin at once, and a new connection when no snapshot is on its way
 *   2 s after a connection    →  want, so that the node as master gives a snapshot
 *   snapshot-begin, put, delete, flush, snapshot-end  →  FLUSH by flushmode, ADD …, ENDSNAP; ack at once, because
 *                                                       the peer never says what it has done
 *
 * Pure: the caller brings the time, moves the messages, and knows which connection the peer reads.
 */

import type { Role } from "../ports.ts";
import { CONTROL, type ReceivedMessage } from "../wire/classic/message.ts";
import type { Message } from "../wire/native/message.ts";
import { ClassicGiver } from "./classic_giver.ts";
import type { ClassicPort } from "./classic_port.ts";
import { ClassicTaker } from "./classic_taker.ts";
import type { RawMessages } from "./raw_messages.ts";

/** A master sends its snapshot this long after a connection. */
export const SNAPSHOT_MS = 2000;

/** A connection that is older than this has had its snapshot, or will never have one. */
const SNAPSHOT_DUE_MS = SNAPSHOT_MS - 500;

/** Data that is not wanted is answered at most once in this time: the original does it for each message. */
const ANSWER_MS = 1000;

export interface ClassicTalkOptions {
  readonly raw: RawMessages;
  readonly port: ClassicPort;
  /** `flushmode startup`: a snapshot begins with a flush. */
  readonly flushes: boolean;
  /** Data is never taken from this peer. */
  readonly slaveOnly: boolean;
}

export class ClassicTalk {
  readonly #port: ClassicPort;
  readonly #taker: ClassicTaker;
  readonly #giver: ClassicGiver;
  readonly #slaveOnly: boolean;
  /** What the peer said last; it outlives connections, as in the original. */
  #peerRole: Role | undefined;
  /** Own role as the peer knows it, or will when it asks. */
  #toldRole: Role | undefined;
  #openedMs = -Infinity;
  /** When to see whether this node is master and gives a snapshot; Infinity: not planned. */
  #snapshotMs = Infinity;
  /** The node takes this peer's data. */
  #following = false;
  #answeredMs = -Infinity;

  constructor({ raw, port, flushes, slaveOnly }: ClassicTalkOptions) {
    this.#port = port;
    this.#taker = new ClassicTaker(raw, port);
    this.#giver = new ClassicGiver(raw, port, flushes);
    this.#slaveOnly = slaveOnly;
  }

  /** When `tick` has something to do; Infinity: never. */
  get dueMs(): number {
    return Math.min(this.#taker.dueMs, this.#snapshotMs);
  }

  /** There is a new connection. Who has dialled it says its state; the other side waits to be asked. */
  opened(dialled: boolean, nowMs: number): void {
    this.#openedMs = nowMs;
    this.#planSnapshot(nowMs);
    this.#toldRole = this.#port.role();
    if (dialled) this.#sayRole();
    if (this.#peerRole !== undefined) this.#tellRole(this.#peerRole, nowMs);
  }

  /** One of several connections is gone; when all was said on it (`wasLive`), perhaps not all has arrived. */
  left(wasLive: boolean, nowMs: number): void {
    this.#taker.interrupt(nowMs);
    if (!wasLive) return;
    this.#planSnapshot(nowMs);
    this.#sayRole();
  }

  /** There is no connection any more, and the node knows that. */
  closed(): void {
    this.#following = false;
    this.#snapshotMs = Infinity;
    this.#taker.forget();
    this.#giver.forget();
  }

  /** Time goes by. */
  tick(nowMs: number): void {
    this.#taker.tick(nowMs);
    if (nowMs < this.#snapshotMs) return;
    this.#snapshotMs = Infinity;
    // another master would answer each message, and one whose mode is locked would take the answers for a failure
    if (this.#port.role() !== "MASTER" || this.#peerRole === "MASTER") return;
    this.#port.tell({ type: "want", identities: [] }, nowMs);
  }

  /** The peer has said something. @throws {PeerError | DecodeError} */
  hear(message: ReceivedMessage, nowMs: number): void {
    switch (message.type) {
      case "state":
        return this.#hearState(message.role, nowMs);
      case "ack":
        if (message.of === CONTROL.STATE) this.#learnRole(message.role, nowMs);
        return;
      case "error":
        return this.#hearError(message.cause, nowMs);
      case "endsnap":
        if (this.#following && this.#takesData) this.#taker.endSnapshot(nowMs);
        return;
      case "pfkey":
        if (!this.#takesData) this.#refuseData(nowMs);
        else if (this.#following) this.#taker.take(message.bytes, nowMs);
        return;
      case "unclear":
        this.#port.warn("unclear", `sends ${message.what}`);
        if (message.cause !== undefined) this.#port.send({ type: "error", cause: message.cause });
    }
  }

  /** The node says something to the peer. What the protocol has no word for (refusals, questions) is not said. */
  say(message: Message, nowMs: number): void {
    switch (message.type) {
      case "state":
        return this.#sayNewRole(nowMs);
      case "want":
        if (message.identities.length === 0) this.#follow(nowMs);
        return;
      case "snapshot-begin":
      case "snapshot-end":
      case "put":
      case "delete":
      case "flush":
        this.#giver.say(message);
        return this.#port.tell({ type: "ack", change: message.change }, nowMs);
    }
  }

  /** One for all reasons that come in this time: the original would give several. */
  #planSnapshot(nowMs: number): void {
    this.#snapshotMs = nowMs + SNAPSHOT_MS;
  }

  #sayRole(): void {
    this.#toldRole = this.#port.role();
    this.#port.send({ type: "state", role: this.#toldRole });
  }

  /** The node states role and epochs; the peer is told of roles only. */
  #sayNewRole(nowMs: number): void {
    if (this.#port.role() === this.#toldRole) return;
    this.#sayRole();
    if (this.#toldRole === "MASTER") this.#planSnapshot(nowMs);
  }

  #hearState(role: Role, nowMs: number): void {
    const own = this.#port.role();
    const isConflict = role === "MASTER" && own === "MASTER";
    if (isConflict) this.#port.send({ type: "error", cause: CONTROL.STATE });
    else this.#port.send({ type: "ack", of: CONTROL.STATE, role: own });
    this.#learnRole(role, nowMs);
  }

  /** Nothing but a master takes STATE of a master for an error. */
  #hearError(cause: number, nowMs: number): void {
    this.#port.detail(`answers with error ${cause}`);
    if (cause !== CONTROL.STATE || this.#toldRole !== "MASTER") return;
    this.#port.warn("two masters", "is master, and so is this node");
    this.#learnRole("MASTER", nowMs);
  }

  #learnRole(role: Role, nowMs: number): void {
    if (this.#peerRole === "MASTER" && role !== "MASTER") this.#planSnapshot(nowMs); // it had none
    this.#peerRole = role;
    this.#tellRole(role, nowMs);
  }

  #tellRole(role: Role, nowMs: number): void {
    const none = { epoch: 0, greatestEpoch: 0, master: new Uint8Array(16), following: false };
    this.#port.tell({ type: "state", role, ...none, demotion: "none" }, nowMs);
  }

  /** Everything is wanted: either it is on its way, or there has to be a new connection. */
  #follow(nowMs: number): void {
    this.#following = true;
    this.#taker.begin(nowMs);
    if (nowMs - this.#openedMs > SNAPSHOT_DUE_MS) this.#port.redial("a snapshot is wanted");
  }

  get #takesData(): boolean {
    return this.#peerRole === "MASTER" && this.#port.role() !== "MASTER" && !this.#slaveOnly;
  }

  #refuseData(nowMs: number): void {
    if (nowMs - this.#answeredMs < ANSWER_MS) return;
    this.#answeredMs = nowMs;
    if (this.#port.role() === "MASTER") this.#sayRole();
    else this.#port.send({ type: "error", cause: CONTROL.NONE });
  }
}
