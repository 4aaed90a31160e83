/** AES-CBC as the classic protocol uses it: whole blocks, no padding of the cipher's own. Used by the frames. */

import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv } from "node:crypto";
import { cbc } from "@noble/ciphers/aes";

/** Bytes of a block, and of an initialisation vector. */
export const BLOCK_BYTES = 16;

/** AES-128, AES-192 or AES-256 by the length of the key: 16, 24 or 32 bytes. */
export class BlockCipher {
  constructor(private readonly key: Uint8Array) {
    if (![16, 24, 32].includes(key.length)) throw new RangeError(`Cannot use a key of ${key.length} bytes`);
  }

  /** Encrypts whole blocks. @throws {RangeError} for a part of one. */
  encrypt(plain: Uint8Array, iv: Uint8Array): Uint8Array {
    checkBlocks(plain);
    if (this.#needsNoble) return this.#noble(iv).encrypt(plain);
    return run(createCipheriv(this.#name, this.key, iv), plain);
  }

  /** Decrypts whole blocks. @throws {RangeError} for a part of one. */
  decrypt(sealed: Uint8Array, iv: Uint8Array): Uint8Array {
    checkBlocks(sealed);
    if (this.#needsNoble) return this.#noble(iv).decrypt(sealed);
    return run(createDecipheriv(this.#name, this.key, iv), sealed);
  }

  /** node:crypto, the faster one, lacks AES-192-CBC in Deno. */
  get #needsNoble(): boolean {
    return this.key.length === 24;
  }

  get #name(): string {
    return `aes-${this.key.length * 8}-cbc`;
  }

  #noble(iv: Uint8Array) {
    return cbc(this.key, iv, { disablePadding: true });
  }
}

/** `final` gives nothing more: it frees what the runtime holds. */
function run(cipher: Cipheriv | Decipheriv, blocks: Uint8Array): Uint8Array {
  const result = new Uint8Array(cipher.setAutoPadding(false).update(blocks));
  cipher.final();
  return result;
}

function checkBlocks(bytes: Uint8Array): void {
  if (bytes.length % BLOCK_BYTES !== 0) {
    throw new RangeError(`Cannot encrypt ${bytes.length} bytes: not whole blocks`);
  }
}
