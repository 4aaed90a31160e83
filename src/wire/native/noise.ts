/**
 * The handshake Noise_NNpsk0_25519_AESGCM_SHA256 (The Noise Protocol Framework, revision 34), in two messages:
 * `psk, e` and `e, ee`. Synchronous, no I/O; used by the session.
 */

import { Buffer } from "node:buffer";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { PeerError } from "../../errors.ts";
import { concat } from "../../layout/concat.ts";
import { CipherState, TAG_BYTES } from "./cipher_state.ts";

/** 32 bytes, so that the name itself is the first hash (section 5.2). */
const PROTOCOL_NAME = "Noise_NNpsk0_25519_AESGCM_SHA256";
const KEY_BYTES = 32;

/** DER before a raw X25519 key (RFC 8410): PKCS #8 private and SubjectPublicKeyInfo. */
const PRIVATE_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const PUBLIC_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

/** Bytes of either handshake message without a payload: a public key and a tag. */
export const HANDSHAKE_MESSAGE_BYTES = KEY_BYTES + TAG_BYTES;

/** What a side brings along. */
export interface HandshakeOptions {
  readonly initiator: boolean;
  readonly prologue: Uint8Array;
  /** 32 bytes. */
  readonly psk: Uint8Array;
  /** The private ephemeral key, 32 random bytes, never used twice. */
  readonly ephemeral: Uint8Array;
}

/** The ciphers of a session, one for each direction. */
export interface SessionCiphers {
  readonly send: CipherState;
  readonly receive: CipherState;
}

/** One side of a handshake: the initiator writes, then reads; the responder reads, then writes. */
export class Handshake {
  readonly #initiator: boolean;
  readonly #psk: Uint8Array;
  readonly #ephemeral: KeyObject;
  readonly #symmetric: SymmetricState;
  #theirs: Uint8Array | undefined;

  constructor({ initiator, prologue, psk, ephemeral }: HandshakeOptions) {
    this.#initiator = initiator;
    this.#psk = psk;
    this.#ephemeral = privateKey(ephemeral);
    this.#symmetric = new SymmetricState(prologue);
  }

  /** The message of this side. */
  writeMessage(payload: Uint8Array): Uint8Array {
    if (this.#initiator) this.#symmetric.mixKeyAndHash(this.#psk);
    const own = publicKey(this.#ephemeral);
    this.#mixPublicKey(own);
    if (!this.#initiator) this.#mixShared();
    return concat(own, this.#symmetric.encryptAndHash(payload));
  }

  /** Takes the message of the other side. @returns its payload. @throws {PeerError} when it does not verify. */
  readMessage(message: Uint8Array): Uint8Array {
    if (message.length < HANDSHAKE_MESSAGE_BYTES) throw new PeerError("Handshake message is too short");
    if (!this.#initiator) this.#symmetric.mixKeyAndHash(this.#psk);
    this.#theirs = message.slice(0, KEY_BYTES);
    this.#mixPublicKey(this.#theirs);
    if (this.#initiator) this.#mixShared();
    try {
      return this.#symmetric.decryptAndHash(message.subarray(KEY_BYTES));
    } catch (error) {
      if (error instanceof PeerError) throw new PeerError("Handshake failed: the shared keys differ");
      throw error;
    }
  }

  /** The session's ciphers, after both messages. */
  split(): SessionCiphers {
    const [first, second] = this.#symmetric.split();
    return this.#initiator ? { send: first, receive: second } : { send: second, receive: first };
  }

  /** The handshake hash (section 11.2), the same on both sides. */
  get hash(): Uint8Array {
    return this.#symmetric.hash;
  }

  #mixPublicKey(key: Uint8Array): void {
    this.#symmetric.mixHash(key);
    this.#symmetric.mixKey(key); // in PSK handshakes also the key (section 9.2)
  }

  #mixShared(): void {
    if (this.#theirs === undefined) throw new PeerError("Handshake is out of order");
    this.#symmetric.mixKey(sharedSecret(this.#ephemeral, this.#theirs));
  }
}

/** Noise SymmetricState (section 5.2). */
class SymmetricState {
  #chainingKey: Uint8Array = new TextEncoder().encode(PROTOCOL_NAME);
  #hash: Uint8Array = this.#chainingKey;
  #cipher: CipherState | undefined;

  constructor(prologue: Uint8Array) {
    this.mixHash(prologue);
  }

  get hash(): Uint8Array {
    return this.#hash;
  }

  mixHash(data: Uint8Array): void {
    this.#hash = new Uint8Array(createHash("sha256").update(this.#hash).update(data).digest());
  }

  mixKey(input: Uint8Array): void {
    const [chainingKey, key] = this.#derive(input, 2);
    this.#chainingKey = chainingKey!;
    this.#cipher = new CipherState(key!);
  }

  mixKeyAndHash(input: Uint8Array): void {
    const [chainingKey, hash, key] = this.#derive(input, 3);
    this.#chainingKey = chainingKey!;
    this.mixHash(hash!);
    this.#cipher = new CipherState(key!);
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.#keyed().encrypt(plaintext, this.#hash);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    const plaintext = this.#keyed().decrypt(ciphertext, this.#hash);
    this.mixHash(ciphertext);
    return plaintext;
  }

  split(): readonly [CipherState, CipherState] {
    const [first, second] = this.#derive(new Uint8Array(0), 2);
    return [new CipherState(first!), new CipherState(second!)];
  }

  /** Noise HKDF (section 4.3) is RFC 5869 with the chaining key as salt and no info. */
  #derive(input: Uint8Array, count: number): Uint8Array[] {
    const okm = new Uint8Array(hkdfSync("sha256", input, this.#chainingKey, "", count * KEY_BYTES));
    return Array.from({ length: count }, (_, i) => okm.slice(i * KEY_BYTES, (i + 1) * KEY_BYTES));
  }

  #keyed(): CipherState {
    if (this.#cipher === undefined) throw new PeerError("Handshake is out of order");
    return this.#cipher;
  }
}

function privateKey(raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PRIVATE_PREFIX, raw]), format: "der", type: "pkcs8" });
}

function publicKey(key: KeyObject): Uint8Array {
  const der = createPublicKey(key).export({ format: "der", type: "spki" });
  return new Uint8Array(der.subarray(PUBLIC_PREFIX.length));
}

/** @throws {PeerError} when the other side's key leads to the all-zero secret (RFC 7748 section 6.1). */
function sharedSecret(own: KeyObject, theirs: Uint8Array): Uint8Array {
  const key = createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, theirs]), format: "der", type: "spki" });
  const secret = new Uint8Array(diffieHellman({ privateKey: own, publicKey: key }));
  if (secret.every((byte) => byte === 0)) throw new PeerError("Handshake failed: peer's key is of low order");
  return secret;
}
