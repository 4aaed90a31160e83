/**
 * Frames of the classic protocol, as OpenBSD's sasyncd sends and expects them: blob length (of all that follows it),
 * type, length of the padding, SHA-1 of the plaintext, initialisation vector, AES-CBC of plaintext and padding. Only
 * the last part is secret, and nothing is authenticated. Pure; used by the codec.
 */

import { createHash } from "node:crypto";
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { PeerError } from "../../errors.ts";
import { concat } from "../../layout/concat.ts";
import { bytes, Layout, u32be } from "../../layout/layout.ts";
import { Reader } from "../../layout/reader.ts";
import { Writer } from "../../layout/writer.ts";
import { BLOCK_BYTES, type BlockCipher } from "./cipher.ts";

/** What a frame carries. */
export const FRAME_TYPE = { CONTROL: 0, PFKEY: 1 } as const;

/** The longest plaintext, padding included, that the original takes. */
export const MAX_PLAIN_BYTES = 4096;

const LENGTH_BYTES = 4;

/** All before the ciphertext. `blobLength` counts what follows it. */
const frameHeader = new Layout("classic frame", 48, {
  blobLength: u32be,
  type: u32be,
  padLength: u32be,
  hash: bytes(20, 4),
  iv: bytes(BLOCK_BYTES, 4),
});

const OVERHEAD_BYTES = frameHeader.size - LENGTH_BYTES;
const MIN_BLOB_BYTES = OVERHEAD_BYTES + BLOCK_BYTES;
const MAX_BLOB_BYTES = OVERHEAD_BYTES + MAX_PLAIN_BYTES;

/** A frame's content in clear. */
export interface ClassicFrame {
  readonly type: number;
  readonly payload: Uint8Array;
}

/**
 * A frame; `iv` is 16 random bytes of its own. The padding counts down to 1 and is missing where it is not needed.
 *
 * @throws {RangeError} for a payload that the original would not take.
 */
export function encodeFrame(
  { type, payload }: ClassicFrame,
  cipher: BlockCipher,
  iv: Uint8Array,
): Uint8Array {
  const padLength = -payload.length & (BLOCK_BYTES - 1);
  const plain = new Uint8Array(payload.length + padLength);
  if (payload.length === 0 || plain.length > MAX_PLAIN_BYTES) {
    throw new RangeError(
      `Cannot send ${payload.length} bytes: the classic protocol takes 1 to ${MAX_PLAIN_BYTES}`,
    );
  }
  plain.set(payload);
  for (let left = padLength; left > 0; left--) plain[plain.length - left] = left;
  const writer = new Writer("big", frameHeader.size + plain.length);
  const blobLength = OVERHEAD_BYTES + plain.length;
  frameHeader.write(writer, { blobLength, type, padLength, hash: hashOf(payload), iv });
  return writer.bytes(cipher.encrypt(plain, iv)).finish();
}

/** Cuts a stream into frames and decrypts them. Holds at most one unfinished frame beside what was pushed last. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array(0);

  constructor(private readonly cipher: BlockCipher) {}

  /** Whether a frame has begun and is not complete. */
  get isPartial(): boolean {
    return this.#rest.length > 0;
  }

  /** Appends bytes of the stream; they are copied. */
  push(chunk: Uint8Array): void {
    this.#rest = concat(this.#rest, chunk);
  }

  /**
   * The next frame; undefined: it has not arrived in full. Its bytes are its own.
   *
   * @throws {PeerError} for a frame that cannot be right; the stream is of no use then.
   */
  next(): ClassicFrame | undefined {
    if (this.#rest.length < LENGTH_BYTES) return undefined;
    const length = LENGTH_BYTES + checkLength(new Reader(this.#rest, frameHeader.name).u32be());
    if (this.#rest.length < length) return undefined;
    const frame = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return this.#open(frame);
  }

  #open(frame: Uint8Array): ClassicFrame {
    const reader = new Reader(frame, frameHeader.name);
    const { type, padLength, hash, iv } = frameHeader.read(reader);
    if (!Object.values<number>(FRAME_TYPE).includes(type)) {
      throw new PeerError(`sends a frame of type ${type}`);
    }
    const plain = this.cipher.decrypt(reader.rest(), iv);
    if (padLength > plain.length) {
      throw new PeerError(`sends a frame with ${padLength} bytes of padding in ${plain.length}`);
    }
    const payload = plain.slice(0, plain.length - padLength);
    if (!timingSafeEqual(hashOf(payload), hash)) {
      throw new PeerError("sends a frame with a wrong hash: has it another shared key?");
    }
    return { type, payload };
  }
}

/** The original decrypts what is no whole number of blocks too, and reads beyond its buffer. */
function checkLength(blobLength: number): number {
  if (blobLength < MIN_BLOB_BYTES || blobLength > MAX_BLOB_BYTES) {
    throw new PeerError(
      `sends a frame of ${blobLength} bytes: ${MIN_BLOB_BYTES} to ${MAX_BLOB_BYTES} are legal`,
    );
  }
  if ((blobLength - OVERHEAD_BYTES) % BLOCK_BYTES !== 0) {
    throw new PeerError(`sends a frame of ${blobLength} bytes, which are not whole blocks`);
  }
  return blobLength;
}

function hashOf(payload: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha1").update(payload).digest());
}
