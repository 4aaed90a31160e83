/** OpenBSD's algorithms as tables, and the algorithms and keys of an SA: SA, KEY_AUTH and KEY_ENCRYPT. */

import type { ValuesOf } from "../layout/layout.ts";
import { AUTH, ENCR, IPCOMP } from "../record/algorithms.ts";
import { type Cipher, type Integrity, PROTOCOL, type Protocol, type Sa } from "../record/sa.ts";
import { AlgorithmTable } from "./algorithms.ts";
import { addKey, type KeyExtension, readKey, SADB_EXT, type sadbSa } from "./extensions.ts";
import type { Extensions, ExtensionWriter, Platform } from "./message.ts";
import { Refusal } from "./refusal.ts";

/** The members of a record that the algorithms make up. */
type Algorithms = Pick<Sa, "encryption" | "integrity" | "aead" | "compression">;

/** `auth` and `encrypt` of `struct sadb_sa`. */
type Numbers = Pick<ValuesOf<typeof sadbSa>, "auth" | "encrypt">;

/** The kernel has one length of ICV for each (sys/crypto/xform.c). */
export const integrities = new AlgorithmTable("integrity", AUTH, [
  { name: "SADB_AALG_MD5HMAC", number: 2, id: AUTH.HMAC_MD5_96, icvBits: 96 },
  { name: "SADB_AALG_SHA1HMAC", number: 3, id: AUTH.HMAC_SHA1_96, icvBits: 96 },
  { name: "SADB_X_AALG_SHA2_256", number: 5, id: AUTH.HMAC_SHA2_256_128, icvBits: 128 },
  { name: "SADB_X_AALG_SHA2_384", number: 6, id: AUTH.HMAC_SHA2_384_192, icvBits: 192 },
  { name: "SADB_X_AALG_SHA2_512", number: 7, id: AUTH.HMAC_SHA2_512_256, icvBits: 256 },
  { name: "SADB_X_AALG_RIPEMD160HMAC", number: 8, id: "hmac(rmd160)", icvBits: 96 },
]);

export const ciphers = new AlgorithmTable("encryption", ENCR, [
  { name: "SADB_EALG_3DESCBC", number: 3, id: ENCR["3DES"] },
  { name: "SADB_X_EALG_CAST", number: 6, id: ENCR.CAST },
  { name: "SADB_X_EALG_BLF", number: 7, id: ENCR.BLOWFISH },
  { name: "SADB_EALG_NULL", number: 11, id: ENCR.NULL },
  { name: "SADB_X_EALG_AES", number: 12, id: ENCR.AES_CBC },
  { name: "SADB_X_EALG_AESCTR", number: 13, id: ENCR.AES_CTR },
]);

/** GCM with shorter ICVs has numbers too, but the kernel shows such an SA without any. */
export const aeads = new AlgorithmTable("AEAD", ENCR, [
  { name: "SADB_X_EALG_AESGCM16", number: 20, id: ENCR.AES_GCM_16, icvBits: 128 },
  { name: "SADB_X_EALG_AESGMAC", number: 21, id: ENCR.NULL_AUTH_AES_GMAC, icvBits: 128 },
  { name: "SADB_X_EALG_CHACHA20POLY1305", number: 22, id: ENCR.CHACHA20_POLY1305, icvBits: 128 },
]);

export const compressions = new AlgorithmTable("compression", IPCOMP, [
  { name: "SADB_X_CALG_DEFLATE", number: 2, id: IPCOMP.DEFLATE },
]);

/**
 * What the kernel itself shows as integrity of an AEAD, with a copy of the key: SADB_X_AALG_AES128GMAC, 192, 256 and
 * CHACHA20POLY1305. Not needed when the SA is added.
 */
const AEAD_AUTH = [9, 10, 11, 12];

/** @throws {DecodeError} @throws {Refusal} for what the record, or the kernel, has no name for. */
export function readAlgorithms(
  protocol: Protocol,
  { auth, encrypt }: Numbers,
  extensions: Extensions,
  platform: Platform,
): Algorithms {
  if (protocol === PROTOCOL.IPCOMP) return { compression: { id: compressions.fromKernel(encrypt).id } };
  const authKey = readKey(extensions, SADB_EXT.SADB_EXT_KEY_AUTH, platform);
  const key = readKey(extensions, SADB_EXT.SADB_EXT_KEY_ENCRYPT, platform);
  const aead = aeads.rows.find(({ number }) => number === encrypt);
  if (protocol === PROTOCOL.ESP && aead !== undefined) {
    if (auth !== 0 && !AEAD_AUTH.includes(auth)) {
      throw new Refusal(`integrity algorithm ${auth} beside ${aead.name}`);
    }
    return { aead: { id: aead.id, ...readableKey(key, aead.name), icvBits: aead.icvBits! } };
  }
  if (encrypt === 0 && key !== undefined) {
    throw new Refusal("encryption that the kernel does not name (AES-GCM with a short ICV)");
  }
  const integrity = readIntegrity(auth, authKey);
  if (protocol === PROTOCOL.AH) return { integrity };
  return { encryption: readCipher(encrypt, key, integrity), integrity };
}

function readIntegrity(auth: number, key: KeyExtension | undefined): Integrity | undefined {
  if (auth === 0) {
    if (key !== undefined) throw new Refusal("integrity that the kernel does not name");
    return undefined;
  }
  const { id, name, icvBits } = integrities.fromKernel(auth);
  return { id, ...readableKey(key, name), icvBits: icvBits! }; // all rows have it
}

/** No encryption is the same on the wire as the null cipher. */
function readCipher(
  encrypt: number,
  key: KeyExtension | undefined,
  integrity: Integrity | undefined,
): Cipher {
  const none = { id: ENCR.NULL, keyBits: 0, key: new Uint8Array() };
  if (encrypt === 0) {
    if (integrity === undefined) throw new Refusal("neither encryption nor integrity");
    return none;
  }
  const { id, name } = ciphers.fromKernel(encrypt);
  return id === ENCR.NULL ? none : { id, ...readableKey(key, name) };
}

function readableKey(
  key: KeyExtension | undefined,
  algorithm: string,
): Pick<Cipher, "keyBits" | "key"> {
  if (key === undefined || key.bits === 0) throw new Refusal(`${algorithm} without its key`);
  checkKey(key.key);
  return { keyBits: key.bits, key: key.key };
}

/** @throws {Refusal} for a key that somebody has blanked. */
function checkKey(key: Uint8Array): void {
  if (key.every((byte) => byte === 0)) throw new Refusal("keys that are all zero: nothing can be copied");
}

/** The numbers for `struct sadb_sa`. @throws {Refusal} for what the kernel does not have. */
export function algorithmNumbers(sa: Sa): Numbers {
  const { encryption, integrity, aead, compression, protocol } = sa;
  checkKinds(sa);
  if (compression !== undefined) return { auth: 0, encrypt: compressions.toKernel(compression.id).number };
  if (aead !== undefined) return { auth: 0, encrypt: aeads.toKernel(aead.id, aead.icvBits).number };
  if (protocol === PROTOCOL.ESP && encryption === undefined) throw new Refusal("ESP without encryption");
  const isSigned = integrity !== undefined && !isNone(integrity);
  return {
    auth: isSigned ? integrities.toKernel(integrity.id, integrity.icvBits).number : 0,
    encrypt: encryption === undefined ? 0 : ciphers.toKernel(encryption.id).number,
  };
}

/** @throws {Refusal} for kinds of algorithms that do not go with the protocol or with each other. */
function checkKinds({ encryption, integrity, aead, compression, protocol }: Sa): void {
  const isIpcomp = protocol === PROTOCOL.IPCOMP;
  if (isIpcomp !== (compression !== undefined)) throw new Refusal("compression that is not IPCOMP's");
  if (protocol !== PROTOCOL.ESP && (encryption ?? aead) !== undefined) {
    throw new Refusal("encryption without ESP");
  }
  if (isIpcomp && integrity !== undefined) throw new Refusal("IPCOMP with integrity");
  if (aead !== undefined && (encryption ?? integrity) !== undefined) {
    throw new Refusal("AEAD beside another algorithm");
  }
}

/** Integrity that is stated to be none. */
function isNone({ id }: Integrity): boolean {
  return id === AUTH.NONE;
}

/** Appends the keys; the null algorithms have none. @throws {Refusal} for a key of another length than stated. */
export function addKeys(writer: ExtensionWriter, { encryption, integrity, aead }: Sa): void {
  if (integrity !== undefined && !isNone(integrity)) {
    addKey(writer, SADB_EXT.SADB_EXT_KEY_AUTH, keyOf(integrity));
  }
  const cipher = aead ?? encryption;
  if (cipher !== undefined && cipher.id !== ENCR.NULL) {
    addKey(writer, SADB_EXT.SADB_EXT_KEY_ENCRYPT, keyOf(cipher));
  }
}

function keyOf({ keyBits, key }: Cipher): Uint8Array {
  if (keyBits === 0 || key.length * 8 !== keyBits) {
    throw new Refusal(`key of ${key.length} bytes for ${keyBits} bits`);
  }
  checkKey(key);
  return key;
}
