/** The algorithms and keys of an SA as Linux's PF_KEY has them. */

import { algorithmName, AUTH, ENCR } from "../record/algorithms.ts";
import { type Cipher, type Integrity, PROTOCOL, type Sa } from "../record/sa.ts";
import { addKey, type KeyExtension, readKey } from "./extensions.ts";
import type { LinuxOptions } from "./linux_options.ts";
import {
  ciphers,
  compressions,
  integrities,
  LINUX_EXT as EXT,
  SADB_X_AALG_SHA2_256HMAC,
} from "./linux_tables.ts";
import type { Extensions, ExtensionWriter } from "./message.ts";
import { Refusal } from "./refusal.ts";

/** The members of an SA that these numbers and keys hold. */
type Algorithms = Pick<Sa, "encryption" | "integrity" | "compression">;

/** The numbers in `struct sadb_sa`. */
interface Numbers {
  readonly auth: number;
  /** Of IPCOMP: the compression's. */
  readonly encrypt: number;
}

const NO_KEY: KeyExtension = { bits: 0, key: new Uint8Array() };

/** @throws {DecodeError} @throws {Refusal} when the message does not tell the algorithm, or how it is used. */
export function readAlgorithms(
  { auth, encrypt }: Numbers,
  protocol: Sa["protocol"],
  extensions: Extensions,
  { platform, assume }: LinuxOptions,
): Algorithms {
  if (protocol === PROTOCOL.IPCOMP) return { compression: { id: compressions.fromKernel(encrypt).id } };
  const integrity = readIntegrity(
    auth,
    readKey(extensions, EXT.SADB_EXT_KEY_AUTH, platform),
    assume.truncation,
  );
  if (protocol === PROTOCOL.AH) {
    if (integrity === undefined) throw new Refusal("PF_KEY does not tell its integrity algorithm");
    return { integrity };
  }
  return {
    integrity,
    encryption: readCipher(encrypt, readKey(extensions, EXT.SADB_EXT_KEY_ENCRYPT, platform)),
  };
}

/** The kernel says 0 of an algorithm that PF_KEY has no number for, AES-CMAC say, and then shows its key alone. */
function readIntegrity(
  auth: number,
  key: KeyExtension | undefined,
  truncation: 96 | 128 | undefined,
): Integrity | undefined {
  if (auth === 0) {
    if (key !== undefined) throw new Refusal("PF_KEY does not tell its integrity algorithm");
    return undefined;
  }
  const { id, icvBits } = integrities.fromKernel(auth);
  if (auth !== SADB_X_AALG_SHA2_256HMAC) {
    return { id, icvBits: icvBits!, ...cipherKey(key, id === AUTH.NONE) };
  }
  if (truncation === undefined) {
    throw new Refusal("PF_KEY does not tell the truncation of HMAC-SHA-256 (see pfkey assume-truncation)");
  }
  return { id, icvBits: truncation, ...cipherKey(key, false) };
}

/** AEAD shows as 0 without a key. */
function readCipher(encrypt: number, key: KeyExtension | undefined): Cipher {
  if (encrypt === 0) throw new Refusal("PF_KEY does not tell its encryption algorithm: AEAD or another");
  const { id } = ciphers.fromKernel(encrypt);
  return { id, ...cipherKey(key, id === ENCR.NULL) };
}

function cipherKey(key: KeyExtension | undefined, isNull: boolean): Pick<Cipher, "keyBits" | "key"> {
  const given = key ?? NO_KEY;
  if (!isNull && (given.bits === 0 || isBlank(given.key))) {
    throw new Refusal("the kernel does not show its keys, nothing can be copied");
  }
  return { keyBits: given.bits, key: given.key };
}

function isBlank(key: Uint8Array): boolean {
  return key.length > 0 && key.every((byte) => byte === 0);
}

/** @throws {Refusal} for what PF_KEY would install in another form than the record has. */
export function numbersOf(
  { protocol, encryption, integrity, aead, compression }: Sa,
  { assume }: LinuxOptions,
): Numbers {
  if (aead !== undefined) {
    throw new Refusal(`AEAD ${algorithmName(ENCR, aead.id)} cannot be expressed by Linux PF_KEY`);
  }
  if ((protocol === PROTOCOL.IPCOMP) !== (compression !== undefined)) {
    throw new Refusal("compression goes with IPCOMP and nothing else");
  }
  if (encryption !== undefined && protocol !== PROTOCOL.ESP) throw new Refusal("encryption without ESP");
  if (compression !== undefined) {
    if (integrity !== undefined) throw new Refusal("IPCOMP with an integrity algorithm");
    return { auth: 0, encrypt: compressions.toKernel(compression.id).number };
  }
  const auth = integrity === undefined ? 0 : authOf(integrity, assume.truncation);
  if (protocol === PROTOCOL.AH) {
    if (auth === 0) throw new Refusal("AH without an integrity algorithm");
    return { auth, encrypt: 0 };
  }
  if (encryption === undefined) throw new Refusal("ESP without an encryption algorithm");
  return { auth, encrypt: ciphers.toKernel(encryption.id).number };
}

/** An SA that could not be read back would look as if it were missing. */
function authOf({ id, icvBits }: Integrity, truncation: 96 | 128 | undefined): number {
  const { number } = integrities.toKernel(id, icvBits);
  if (number === SADB_X_AALG_SHA2_256HMAC && truncation !== 96) {
    throw new Refusal("HMAC-SHA-256 of 96 bits could not be read back (see pfkey assume-truncation)");
  }
  return number;
}

/** Appends the keys. ESP needs a key for encryption also when it is empty. @throws {Refusal} */
export function addKeys(writer: ExtensionWriter, { protocol, encryption, integrity }: Sa): void {
  if (integrity !== undefined && integrity.keyBits > 0) {
    addCheckedKey(writer, EXT.SADB_EXT_KEY_AUTH, integrity);
  }
  if (protocol === PROTOCOL.ESP && encryption !== undefined) {
    addCheckedKey(writer, EXT.SADB_EXT_KEY_ENCRYPT, encryption);
  }
}

function addCheckedKey(writer: ExtensionWriter, type: number, { keyBits, key }: Cipher): void {
  if (key.length * 8 !== keyBits) throw new Refusal(`key of ${key.length} bytes for ${keyBits} bits`);
  if (isBlank(key)) throw new Refusal("a key of zeros would look as if the kernel did not show it");
  addKey(writer, type, key);
}
