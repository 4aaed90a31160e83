/** The classic protocol on one connection, without I/O: bytes of the stream in, messages out, and the other way. */

import type { Random } from "../../ports.ts";
import { BLOCK_BYTES, BlockCipher } from "./cipher.ts";
import { encodeFrame, FrameReader } from "./frames.ts";
import { type ClassicMessage, decodeMessage, encodeMessage, type ReceivedMessage } from "./message.ts";

/** Seals and opens messages. There is no handshake, no order and no state but the unfinished frame. */
export class ClassicCodec {
  readonly #cipher: BlockCipher;
  readonly #frames: FrameReader;

  /** `key` is the shared key as configured: 16, 24 or 32 bytes. */
  constructor(key: Uint8Array, private readonly random: Random) {
    this.#cipher = new BlockCipher(key);
    this.#frames = new FrameReader(this.#cipher);
  }

  /** Whether a frame has begun to arrive and is not complete. */
  get isPartial(): boolean {
    return this.#frames.isPartial;
  }

  /** The frame of a message, to be handed to the socket in one write. @throws {RangeError} when it is too long. */
  seal(message: ClassicMessage): Uint8Array {
    return encodeFrame(encodeMessage(message), this.#cipher, this.random.bytes(BLOCK_BYTES));
  }

  /**
   * Takes bytes of the stream, cut anywhere.
   *
   * @returns the messages that are complete.
   * @throws {PeerError} when the connection has to be closed; the codec is of no use then.
   */
  push(bytes: Uint8Array): ReceivedMessage[] {
    this.#frames.push(bytes);
    const messages: ReceivedMessage[] = [];
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      messages.push(decodeMessage(frame));
    }
    return messages;
  }
}
