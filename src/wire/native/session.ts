/**
 * One native session, without I/O: bytes of the stream in, messages out, and the other way. It does the handshake,
 * the framing and the rekeying; the daemon moves the bytes and closes the connection when anything throws.
 */

import { PeerError } from "../../errors.ts";
import { concat } from "../../layout/concat.ts";
import type { Random } from "../../ports.ts";
import { decodeMessages, encodeMessages, MAX_PAYLOAD_BYTES } from "./catalog.ts";
import { type CipherState, TAG_BYTES } from "./cipher_state.ts";
import { encodeFrame, FrameReader } from "./frames.ts";
import type { Message } from "./message.ts";
import { Handshake, HANDSHAKE_MESSAGE_BYTES } from "./noise.ts";

/** Bounds of a session; tests make them small. */
export interface SessionLimits {
  /** Payload that frames are filled up to. */
  readonly frameBytes: number;
  /** Frames sent under one key, the one that ends it included. */
  readonly rekeyFrames: number;
  /** Age of a key in milliseconds at which the next frame sent ends it. */
  readonly rekeyMs: number;
  /** Frames taken under one key before the peer is closed. */
  readonly maxFrames: number;
  /** Milliseconds from the connection to the first verified frame. */
  readonly handshakeMs: number;
  /** Age in milliseconds at which a new session should take over. */
  readonly renewMs: number;
}

/** The bounds of the protocol; frames of 16 KiB are where synchronous AES-GCM is near its best. */
export const SESSION_LIMITS: SessionLimits = {
  frameBytes: 16_384,
  rekeyFrames: 2 ** 20,
  rekeyMs: 3_600_000,
  maxFrames: 2 ** 24,
  handshakeMs: 5_000,
  renewMs: 24 * 3_600_000,
};

/** What a session starts from. */
export interface SessionOptions {
  /** True for the side that dialled. */
  readonly initiator: boolean;
  /** 32 bytes, from `derivePsk`. */
  readonly psk: Uint8Array;
  /** Another one that the other side may have dialled with. */
  readonly nextPsk?: Uint8Array;
  readonly random: Random;
  readonly nowMs: number;
  readonly limits?: Partial<SessionLimits>;
}

/**
 * - `handshake`: nothing is known of the peer.
 * - `half-open`: the handshake is done, but a replayed first message would have done it too. Only a responder is
 *   ever here; it may not send and must not replace another session.
 * - `open`: the peer is alive and has the key.
 */
export type SessionPhase = "handshake" | "half-open" | "open";

const PROLOGUE = new TextEncoder().encode("sasyncd native 2");
const NOTHING = new Uint8Array(0);
const HANDSHAKE_FRAME = { min: HANDSHAKE_MESSAGE_BYTES, max: HANDSHAKE_MESSAGE_BYTES };
/** The shortest holds one message without a body. */
const TRANSPORT_FRAME = { min: TAG_BYTES + 4, max: MAX_PAYLOAD_BYTES + TAG_BYTES };

/** A session from its first byte on. After `push` has thrown, only `seal` of a BYE makes sense. */
export class NativeSession {
  readonly limits: SessionLimits;
  /** When to close a session that is not open by then, on the clock of `nowMs`. */
  readonly handshakeDeadlineMs: number;
  /** When to make the next session, which replaces this one. */
  readonly renewAtMs: number;
  readonly #initiator: boolean;
  /** One for each key that the session may be made with: the other side's message tells which. */
  readonly #attempts: readonly Attempt[];
  readonly #frames = new FrameReader();
  readonly #output: Uint8Array[] = [];
  #send: Sender | undefined;
  #receive: Receiver | undefined;
  #phase: SessionPhase = "handshake";
  #heard = false;
  #psk: Uint8Array | undefined;

  constructor({ initiator, psk, nextPsk, random, nowMs, limits }: SessionOptions) {
    this.limits = { ...SESSION_LIMITS, ...limits };
    this.handshakeDeadlineMs = nowMs + this.limits.handshakeMs;
    this.renewAtMs = nowMs + this.limits.renewMs;
    this.#initiator = initiator;
    const psks = initiator || nextPsk === undefined ? [psk] : [psk, nextPsk];
    this.#attempts = psks.map((psk) => ({
      psk,
      handshake: new Handshake({ initiator, prologue: PROLOGUE, psk, ephemeral: random.bytes(32) }),
    }));
    if (initiator) this.#output.push(encodeFrame(this.#attempts[0]!.handshake.writeMessage(NOTHING)));
  }

  get phase(): SessionPhase {
    return this.#phase;
  }

  /** The key that the session was made with; undefined during the handshake. */
  get psk(): Uint8Array | undefined {
    return this.#psk;
  }

  /** Frames of the handshake that are to be sent now; each is given once. Ask after the start and after `push`. */
  takeOutput(): Uint8Array[] {
    return this.#output.splice(0);
  }

  /**
   * Takes bytes of the stream, cut anywhere. The first message is HELLO.
   *
   * @returns the messages that are complete.
   * @throws {PeerError | DecodeError} when the connection has to be closed; the session is of no use then.
   */
  push(bytes: Uint8Array, nowMs: number): Message[] {
    this.#frames.push(bytes);
    const messages: Message[] = [];
    while (this.#takeFrame(messages, nowMs));
    return messages;
  }

  /**
   * Frames with all `messages` in their order, ready to be sent.
   *
   * @throws {PeerError} when the session is not open.
   * @throws {RangeError} when a message cannot be encoded; nothing has been used up then.
   */
  seal(messages: Iterable<Message>, nowMs: number): Uint8Array {
    if (this.#send === undefined || this.#phase !== "open") throw new PeerError("Session is not open");
    const payloads = encodeMessages(messages, this.limits.frameBytes);
    return this.#send.seal(payloads, nowMs);
  }

  /** @returns whether there was a frame. */
  #takeFrame(messages: Message[], nowMs: number): boolean {
    const frame = this.#frames.next(this.#receive === undefined ? HANDSHAKE_FRAME : TRANSPORT_FRAME);
    if (frame === undefined) return false;
    if (this.#receive === undefined) this.#finishHandshake(frame, nowMs);
    else messages.push(...this.#admit(this.#receive.open(frame)));
    return true;
  }

  #finishHandshake(frame: Uint8Array, nowMs: number): void {
    const { psk, handshake, payload } = readHandshake(frame, this.#attempts);
    if (payload.length > 0) throw new PeerError("Handshake has a payload");
    if (!this.#initiator) this.#output.push(encodeFrame(handshake.writeMessage(NOTHING)));
    const { send, receive } = handshake.split();
    this.#psk = psk;
    this.#send = new Sender(send, this.limits, nowMs);
    this.#receive = new Receiver(receive, this.limits);
    this.#phase = this.#initiator ? "open" : "half-open";
  }

  /** The first frame begins with HELLO, or with BYE of who does not want the session, and proves life. */
  #admit(messages: readonly Message[]): readonly Message[] {
    const first = messages[0]?.type;
    if (!this.#heard && first !== "hello" && first !== "bye") {
      throw new PeerError("First message is not hello");
    }
    this.#heard = true;
    this.#phase = "open";
    return messages;
  }
}

/** A handshake under one of the keys that it may be made with. */
interface Attempt {
  readonly psk: Uint8Array;
  readonly handshake: Handshake;
}

/** The first attempt that the message verifies with. @throws {PeerError} of the last one, when none does. */
function readHandshake(
  frame: Uint8Array,
  attempts: readonly Attempt[],
): Attempt & { readonly payload: Uint8Array } {
  const [first, ...others] = attempts;
  try {
    return { ...first!, payload: first!.handshake.readMessage(frame) };
  } catch (error) {
    if (others.length === 0 || !(error instanceof PeerError)) throw error;
    return readHandshake(frame, others);
  }
}

/** Seals payloads, and ends the key in time. */
class Sender {
  readonly #cipher: CipherState;
  readonly #limits: SessionLimits;
  #frames = 0;
  #keyMs: number;

  constructor(cipher: CipherState, limits: SessionLimits, nowMs: number) {
    this.#cipher = cipher;
    this.#limits = limits;
    this.#keyMs = nowMs;
  }

  seal(payloads: readonly Uint8Array[], nowMs: number): Uint8Array {
    const frames: Uint8Array[] = [];
    for (const payload of payloads) {
      if (this.#isKeyOver(nowMs)) frames.push(this.#rekey(nowMs));
      frames.push(this.#frame(payload));
    }
    return concat(...frames);
  }

  /** The frame that ends a key is one of its frames. */
  #isKeyOver(nowMs: number): boolean {
    return this.#frames >= this.#limits.rekeyFrames - 1 || nowMs - this.#keyMs >= this.#limits.rekeyMs;
  }

  #rekey(nowMs: number): Uint8Array {
    const [payload] = encodeMessages([{ type: "rekey" }], this.#limits.frameBytes);
    const frame = this.#frame(payload!);
    this.#cipher.rekey();
    this.#frames = 0;
    this.#keyMs = nowMs;
    return frame;
  }

  #frame(payload: Uint8Array): Uint8Array {
    this.#frames++;
    return encodeFrame(this.#cipher.encrypt(payload));
  }
}

/** Opens frames, and follows the other side's keys. */
class Receiver {
  readonly #cipher: CipherState;
  readonly #limits: SessionLimits;
  #frames = 0;

  constructor(cipher: CipherState, limits: SessionLimits) {
    this.#cipher = cipher;
    this.#limits = limits;
  }

  /** The messages of a frame. */
  open(frame: Uint8Array): Message[] {
    if (++this.#frames > this.#limits.maxFrames) throw new PeerError("Peer does not change its key");
    const messages = decodeMessages(this.#cipher.decrypt(frame));
    const others = messages.filter((message) => message.type !== "rekey");
    if (others.length < messages.length) {
      if (messages.length > 1) throw new PeerError("Rekey is not alone in its frame");
      this.#cipher.rekey();
      this.#frames = 0;
    }
    return others;
  }
}
