/** Noise CipherState for AESGCM: one direction of a session. Errors name what failed, never a byte of it. */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { PeerError } from "../../errors.ts";
import { concat } from "../../layout/concat.ts";
import { Writer } from "../../layout/writer.ts";

/** Bytes of the authentication tag at the end of a ciphertext. */
export const TAG_BYTES = 16;

const REKEY_NONCE = 0xffff_ffff_ffff_ffffn;
const NOTHING = new Uint8Array(0);

/** Key and nonce (Noise revision 34, section 5.1). */
export class CipherState {
  #key: Uint8Array;
  #nonce = 0n;

  /** @throws {RangeError} when the key is not of 32 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== 32) throw new RangeError(`Cannot use a key of ${key.length} bytes`);
    this.#key = key;
  }

  /** Ciphertext and tag of the next message. */
  encrypt(plaintext: Uint8Array, associated: Uint8Array = NOTHING): Uint8Array {
    return seal(this.#key, this.#nextNonce(), plaintext, associated);
  }

  /** @throws {PeerError} when this is not the next message of the other side; no plaintext is given then. */
  decrypt(ciphertext: Uint8Array, associated: Uint8Array = NOTHING): Uint8Array {
    return open(this.#key, this.#nextNonce(), ciphertext, associated);
  }

  /** Noise REKEY (section 4.2): the nonce goes on. */
  rekey(): void {
    this.#key = seal(this.#key, REKEY_NONCE, new Uint8Array(32), NOTHING).slice(0, 32);
  }

  #nextNonce(): bigint {
    if (this.#nonce >= REKEY_NONCE) throw new PeerError("Session has used up its nonces");
    return this.#nonce++;
  }
}

function seal(key: Uint8Array, nonce: bigint, plaintext: Uint8Array, associated: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key, nonceBytes(nonce));
  cipher.setAAD(associated);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return concat(ciphertext, cipher.getAuthTag());
}

function open(key: Uint8Array, nonce: bigint, ciphertext: Uint8Array, associated: Uint8Array): Uint8Array {
  const length = ciphertext.length - TAG_BYTES;
  if (length < 0) throw new PeerError("Encrypted message is too short");
  const decipher = createDecipheriv("aes-256-gcm", key, nonceBytes(nonce));
  decipher.setAAD(associated);
  decipher.setAuthTag(ciphertext.subarray(length));
  const plaintext = decipher.update(ciphertext.subarray(0, length));
  try {
    decipher.final();
  } catch {
    throw new PeerError("Message is not authentic: wrong key, damaged, replayed or out of order");
  }
  return new Uint8Array(plaintext);
}

/** 32 zero bits, then the counter, big-endian (section 12.4). */
function nonceBytes(nonce: bigint): Uint8Array {
  return new Writer("big", 12).zeros(4).u64be(nonce).finish();
}
