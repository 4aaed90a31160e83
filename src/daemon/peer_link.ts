/** One connection with a peer: bytes in and out of its TCP socket through its native session. */

import { PeerError } from "../errors.ts";
import type { Connection, Random } from "../ports.ts";
import type { Message } from "../wire/native/message.ts";
import { NativeSession } from "../wire/native/session.ts";

/** Bytes read from a socket in one turn, so that no peer holds up the others. */
const READ_BYTES = 64 * 1024;

/** Data is sealed only while fewer bytes than this wait for the socket: urgent messages wait no longer. */
const OUT_BYTES = 64 * 1024;

/** Bytes that may wait for a socket in all; beyond, the peer does not read and is dropped. */
const OUT_LIMIT = 1024 * 1024;

/** A peer that is silent for this long is dropped. */
export const SILENCE_MS = 3000;

/** Why a session ends that another one of the same pair has followed. */
export const REPLACED = "replaced by another session";

export interface PeerLinkOptions {
  /** Name of the peer, for the log. */
  readonly peer: string;
  readonly connection: Connection;
  /** Whether this side dialled. */
  readonly dialled: boolean;
  readonly psk: Uint8Array;
  /** What the peer may have dialled with besides. */
  readonly nextPsk?: Uint8Array;
  readonly random: Random;
  readonly nowMs: number;
}

export class PeerLink {
  readonly peer: string;
  readonly connection: Connection;
  readonly dialled: boolean;
  /** Hexadecimal, once the peer's HELLO has come. */
  nodeId: string | undefined;
  helloSent = false;
  pingedMs: number;
  readonly #keys: Pick<PeerLinkOptions, "psk" | "nextPsk">;
  readonly #random: Random;
  /** undefined while the connect is under way: a handshake has five seconds from its start. */
  #session: NativeSession | undefined;
  #out: Uint8Array[] = [];
  #outBytes = 0;
  #heardMs: number;
  #end: { readonly atMs: number; readonly reason: string } | undefined;
  readonly #startedMs: number;

  constructor({ peer, connection, dialled, psk, nextPsk, random, nowMs }: PeerLinkOptions) {
    this.peer = peer;
    this.connection = connection;
    this.dialled = dialled;
    this.#keys = { psk, nextPsk };
    this.#random = random;
    this.#heardMs = nowMs;
    this.#startedMs = nowMs;
    this.pingedMs = nowMs;
    if (!connection.connecting) this.#open(nowMs);
  }

  /** Whether the handshake is done and the peer is known to be alive. */
  get open(): boolean {
    return this.#session?.phase === "open";
  }

  /** Whether the connect has come to a good end. */
  get connected(): boolean {
    return this.#session !== undefined;
  }

  /** Whether bytes wait until the socket is writable, or a connect for its end. */
  get wantsWrite(): boolean {
    return this.connection.connecting || this.#outBytes > 0;
  }

  /** Whether more data may be sealed now. */
  get hasRoom(): boolean {
    return this.#outBytes < OUT_BYTES;
  }

  /** Whether this session is old enough for the next one to take over. */
  isOld(nowMs: number): boolean {
    return this.#session !== undefined && nowMs >= this.#session.renewAtMs;
  }

  /** The key that the session was made with; undefined during the handshake. */
  get psk(): Uint8Array | undefined {
    return this.#session?.psk;
  }

  /** The link has no future: it ends in a while, if the peer does not end it before. */
  retire(atMs: number, reason: string): void {
    this.#end ??= { atMs, reason };
  }

  /** When the link has to end if nothing comes before, and why. */
  get deadline(): { readonly atMs: number; readonly reason: string } {
    if (this.#session === undefined) {
      return { atMs: this.#startedMs + SILENCE_MS, reason: "no answer to connect" };
    }
    if (!this.open || this.nodeId === undefined) {
      return { atMs: this.#session.handshakeDeadlineMs, reason: "handshake takes too long" };
    }
    const silentMs = this.#heardMs + SILENCE_MS;
    if (this.#end !== undefined && this.#end.atMs < silentMs) return this.#end;
    return { atMs: silentMs, reason: `silent for ${SILENCE_MS / 1000} s` };
  }

  /** The connect has ended, poll says. @throws {PeerError} naming the errno when it failed. */
  finishConnect(nowMs: number): void {
    const errno = this.connection.finishConnect();
    if (errno !== undefined) throw new PeerError(`cannot connect: ${errno}`);
    this.#open(nowMs);
  }

  /** Reads what there is, within bounds. @throws {PeerError | DecodeError} when the link has to end. */
  receive(nowMs: number): Message[] {
    const received = this.connection.receive(READ_BYTES);
    if (received.kind === "closed") throw new PeerError(this.#closed(received.reason));
    if (received.kind !== "data" || this.#session === undefined) return [];
    this.#heardMs = nowMs;
    const messages = this.#session.push(received.bytes, nowMs);
    this.#queue(this.#session.takeOutput());
    return messages;
  }

  /** Seals messages and hands them to the socket as far as it takes them. @throws {PeerError} */
  send(messages: readonly Message[], nowMs: number): void {
    if (messages.length === 0 || this.#session === undefined) return;
    this.#queue([this.#session.seal(messages, nowMs)]);
  }

  /** Hands waiting bytes to the socket. @throws {PeerError} when the connection is broken. */
  flush(): void {
    while (this.#out[0] !== undefined) {
      const taken = this.connection.send(this.#out[0]);
      if (taken === "closed") throw new PeerError("connection closed while sending");
      this.#outBytes -= taken;
      if (taken < this.#out[0].length) {
        this.#out[0] = this.#out[0].subarray(taken);
        return;
      }
      this.#out.shift();
    }
  }

  /** A node that does not know us, or another key, closes before it has said anything. */
  #closed(reason: string): string {
    return this.open
      ? `connection closed: ${reason}`
      : `connection closed during the handshake: ${reason}; has the peer this node's address and key?`;
  }

  #open(nowMs: number): void {
    this.#session = new NativeSession({
      initiator: this.dialled,
      ...this.#keys,
      random: this.#random,
      nowMs,
    });
    this.#queue(this.#session.takeOutput());
  }

  #queue(frames: readonly Uint8Array[]): void {
    for (const frame of frames) {
      this.#out.push(frame);
      this.#outBytes += frame.length;
    }
    if (this.#outBytes > OUT_LIMIT) throw new PeerError("does not read");
    if (!this.connection.connecting) this.flush();
  }
}
