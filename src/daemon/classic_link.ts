/**
 * One connection with a classic peer: bytes in and out of its TCP socket through the codec. It is never closed on a
 * peer that may still write: OpenBSD's sasyncd dies of SIGPIPE. It is ended in one direction, and closed when the peer
 * has ended the other one.
 */

import { PeerError } from "../errors.ts";
import type { Connection, Random } from "../ports.ts";
import { ClassicCodec } from "../wire/classic/codec.ts";
import type { ClassicMessage, ReceivedMessage } from "../wire/classic/message.ts";

/** Bytes read from a socket in one turn, so that no peer holds up the others. */
const READ_BYTES = 64 * 1024;

/** More data is said only while fewer bytes than this wait for the socket. */
const OUT_BYTES = 64 * 1024;

/** Bytes that may wait for a socket in all; beyond, the peer does not read. */
const OUT_LIMIT = 1024 * 1024;

/** How long a connect may take, a frame may stand still, and a peer may take to notice the end. */
const PATIENCE_MS = 5000;

export interface ClassicLinkOptions {
  readonly connection: Connection;
  /** Whether this side dialled. */
  readonly dialled: boolean;
  readonly key: Uint8Array;
  readonly random: Random;
  readonly nowMs: number;
}

export class ClassicLink {
  readonly connection: Connection;
  readonly dialled: boolean;
  /** Whether its owner counts on it. */
  isUsed = false;
  readonly #codec: ClassicCodec;
  #phase: "connecting" | "open" | "ending" | "over";
  #out: Uint8Array[] = [];
  #outBytes = 0;
  #isFinished = false;
  #hasHeard = false;
  /** When something came last, or the phase began. */
  #movedMs: number;

  constructor({ connection, dialled, key, random, nowMs }: ClassicLinkOptions) {
    this.connection = connection;
    this.dialled = dialled;
    this.#codec = new ClassicCodec(key, random);
    this.#phase = connection.connecting ? "connecting" : "open";
    this.#movedMs = nowMs;
  }

  /**
   * - `connecting`: connect(2) is under way
   * - `open`: in use
   * - `ending`: nothing more is said or heard; the peer has not ended its direction yet
   * - `over`: the peer has ended it, or the connection is broken: to be closed
   */
  get phase(): "connecting" | "open" | "ending" | "over" {
    return this.#phase;
  }

  /** Whether bytes wait until the socket is writable, or a connect for its end. */
  get wantsWrite(): boolean {
    return this.#phase === "connecting" || this.#outBytes > 0;
  }

  /** Whether more data may be said now. */
  get hasRoom(): boolean {
    return this.#outBytes < OUT_BYTES;
  }

  /** When the link has to end if nothing comes before, and why. */
  get deadline(): { readonly atMs: number; readonly reason: string } {
    const isWaiting = this.#phase !== "open" || this.#codec.isPartial;
    const reason = this.#phase === "connecting" ? "no answer to connect" : "stops within a frame";
    return { atMs: isWaiting ? this.#movedMs + PATIENCE_MS : Infinity, reason };
  }

  /** The connect has ended, poll says. @throws {PeerError} naming the errno when it failed. */
  finishConnect(nowMs: number): void {
    const errno = this.connection.finishConnect();
    if (errno !== undefined) throw new PeerError(`cannot connect: ${errno}`);
    this.#phase = "open";
    this.#movedMs = nowMs;
  }

  /** Reads what there is, within bounds. @throws {PeerError} when the link has to end that was not ending yet. */
  receive(nowMs: number): ReceivedMessage[] {
    const received = this.connection.receive(READ_BYTES);
    if (received.kind === "closed") this.#isOver(`connection closed: ${received.reason}${this.#hint}`);
    if (received.kind !== "data" || this.#phase !== "open") return [];
    this.#movedMs = nowMs;
    this.#hasHeard = true;
    return this.#codec.push(received.bytes);
  }

  /** Says something: a frame of its own, handed to the socket in one write when it takes that. @throws {PeerError} */
  send(message: ClassicMessage): void {
    if (this.#phase !== "open") return;
    const frame = this.#codec.seal(message);
    this.#out.push(frame);
    this.#outBytes += frame.length;
    if (this.#outBytes > OUT_LIMIT) throw new PeerError("does not read");
    this.flush();
  }

  /** Hands waiting bytes to the socket. @throws {PeerError} when it is broken and was not ending yet. */
  flush(): void {
    while (this.#out[0] !== undefined) {
      const taken = this.connection.send(this.#out[0]);
      if (taken === "closed") return this.#isOver("connection closed while sending");
      this.#outBytes -= taken;
      if (taken < this.#out[0].length) {
        this.#out[0] = this.#out[0].subarray(taken);
        return;
      }
      this.#out.shift();
    }
    if (this.#phase === "ending") this.#finish();
  }

  /** Ends the direction of this side once all is sent, and takes nothing more. */
  end(nowMs: number): void {
    this.#phase = "ending";
    this.#movedMs = nowMs;
    this.flush();
  }

  /** A peer that does not know us closes before it has said anything. */
  get #hint(): string {
    return this.#hasHeard ? "" : "; has the peer this node's address?";
  }

  #finish(): void {
    if (!this.#isFinished) this.connection.finish();
    this.#isFinished = true;
  }

  #isOver(reason: string): void {
    const wasEnding = this.#phase === "ending";
    this.#phase = "over";
    if (!wasEnding) throw new PeerError(reason);
  }
}
