/** FreeBSD's algorithms as tables, and the algorithms and keys of an SA: SA, KEY_AUTH and KEY_ENCRYPT. */

import type { ValuesOf } from "../layout/layout.ts";
import { AUTH, ENCR, IPCOMP } from "../record/algorithms.ts";
import { type Cipher, type Integrity, PROTOCOL, type Protocol, type Sa } from "../record/sa.ts";
import { type AlgorithmRow, AlgorithmTable } from "./algorithms.ts";
import { addKey, type KeyExtension, readKey, SADB_EXT, type sadbSa } from "./extensions.ts";
import type { Extensions, ExtensionWriter, Platform } from "./message.ts";
import { Refusal } from "./refusal.ts";

/** The members of a record that the algorithms make up. */
type Algorithms = Pick<Sa, "encryption" | "integrity" | "aead" | "compression">;

/** `auth` and `encrypt` of `struct sadb_sa`. */
type Numbers = Pick<ValuesOf<typeof sadbSa>, "auth" | "encrypt">;

/** Source: sys/net/pfkeyv2.h. */
export const ciphers = new AlgorithmTable("encryption", ENCR, [
  { name: "SADB_EALG_DESCBC", number: 2, id: ENCR.DES },
  { name: "SADB_EALG_3DESCBC", number: 3, id: ENCR["3DES"] },
  { name: "SADB_X_EALG_CAST128CBC", number: 6, id: ENCR.CAST },
  { name: "SADB_X_EALG_BLOWFISHCBC", number: 7, id: ENCR.BLOWFISH },
  { name: "SADB_EALG_NULL", number: 11, id: ENCR.NULL },
  { name: "SADB_X_EALG_AESCBC", number: 12, id: ENCR.AES_CBC },
  { name: "SADB_X_EALG_AESCTR", number: 13, id: ENCR.AES_CTR },
  { name: "SADB_X_EALG_CAMELLIACBC", number: 22, id: ENCR.CAMELLIA_CBC },
]);

/**
 * Source: sys/net/pfkeyv2.h. AES-GCM with shorter ICVs has numbers there, 18 and 19, but no kernel had it (key.c). With
 * AES-GMAC, 23, ESP would neither encrypt nor authenticate (esp_init of xform_esp.c): it is not put.
 */
export const aeads = new AlgorithmTable("AEAD", ENCR, [
  { name: "SADB_X_EALG_CHACHA20POLY1305", number: 15, id: ENCR.CHACHA20_POLY1305, icvBits: 128 },
  { name: "SADB_X_EALG_AESGCM16", number: 20, id: ENCR.AES_GCM_16, icvBits: 128 },
]);

/** Source: sys/net/pfkeyv2.h; lengths of ICVs: xform_ah_authsize of sys/netipsec/xform_ah.c. */
export const integrities = new AlgorithmTable("integrity", AUTH, [
  { name: "SADB_AALG_MD5HMAC", number: 2, id: AUTH.HMAC_MD5_96, icvBits: 96 },
  { name: "SADB_AALG_SHA1HMAC", number: 3, id: AUTH.HMAC_SHA1_96, icvBits: 96 },
  { name: "SADB_X_AALG_SHA2_256", number: 5, id: AUTH.HMAC_SHA2_256_128, icvBits: 128 },
  { name: "SADB_X_AALG_SHA2_384", number: 6, id: AUTH.HMAC_SHA2_384_192, icvBits: 192 },
  { name: "SADB_X_AALG_SHA2_512", number: 7, id: AUTH.HMAC_SHA2_512_256, icvBits: 256 },
  { name: "SADB_X_AALG_AES128GMAC", number: 11, id: AUTH.AES_128_GMAC, icvBits: 128 },
  { name: "SADB_X_AALG_AES192GMAC", number: 12, id: AUTH.AES_192_GMAC, icvBits: 128 },
  { name: "SADB_X_AALG_AES256GMAC", number: 13, id: AUTH.AES_256_GMAC, icvBits: 128 },
]);

/** Source: sys/net/pfkeyv2.h. The others there were never implemented. */
export const compressions = new AlgorithmTable("compression", IPCOMP, [
  { name: "SADB_X_CALG_DEFLATE", number: 2, id: IPCOMP.DEFLATE },
]);

/** What the kernel itself shows as integrity of an AEAD, without a key: SADB_X_AALG_AES…GMAC and …CHACHA20POLY1305. */
const AEAD_AUTH = [11, 12, 13, 14];

/** What kernels since 13.0 do not implement any more: it is read, but not put. */
const RETIRED: ReadonlySet<string> = new Set([
  ...["SADB_EALG_DESCBC", "SADB_EALG_3DESCBC", "SADB_X_EALG_CAST128CBC", "SADB_X_EALG_BLOWFISHCBC"],
  ...["SADB_X_EALG_CAMELLIACBC", "SADB_AALG_MD5HMAC"],
]);

/** Whose IVs are a counter that begins at 0 with each SA that is added (xform_esp.c, xform_ah.c). */
const COUNTING: ReadonlySet<unknown> = new Set([
  ...[ENCR.AES_CTR, ENCR.CHACHA20_POLY1305, ENCR.AES_GCM_16, ENCR.NULL_AUTH_AES_GMAC],
]);
const COUNTING_AUTH: ReadonlySet<unknown> = new Set([
  AUTH.AES_128_GMAC,
  AUTH.AES_192_GMAC,
  AUTH.AES_256_GMAC,
]);

/** Whether an SA that is added again would use nonces a second time. */
export function repeatsNonces({ encryption, integrity, aead }: Sa): boolean {
  return COUNTING.has((aead ?? encryption)?.id) || COUNTING_AUTH.has(integrity?.id);
}

/** @throws {DecodeError} @throws {Refusal} for what the record has no name for. */
export function readAlgorithms(
  protocol: Protocol,
  { auth, encrypt }: Numbers,
  extensions: Extensions,
  platform: Platform,
): Algorithms {
  if (protocol === PROTOCOL.IPCOMP) return { compression: { id: compressions.fromKernel(encrypt).id } };
  const authKey = readKey(extensions, SADB_EXT.SADB_EXT_KEY_AUTH, platform);
  const key = readKey(extensions, SADB_EXT.SADB_EXT_KEY_ENCRYPT, platform);
  const aead = protocol === PROTOCOL.ESP ? aeads.rows.find(({ number }) => number === encrypt) : undefined;
  if (aead !== undefined) {
    if (auth !== 0 && !AEAD_AUTH.includes(auth)) {
      throw new Refusal(`integrity algorithm ${auth} beside ${aead.name}`);
    }
    return { aead: withIcv(aead, key) };
  }
  const integrity = auth === 0 ? undefined : withIcv(integrities.fromKernel(auth), authKey);
  if (protocol === PROTOCOL.ESP) return { encryption: readCipher(encrypt, key), integrity };
  if (integrity === undefined) throw new Refusal("AH without integrity");
  return { integrity };
}

function readCipher(encrypt: number, key: KeyExtension | undefined): Cipher {
  const { id, name } = ciphers.fromKernel(encrypt);
  return id === ENCR.NULL ? { id, keyBits: 0, key: new Uint8Array() } : { id, ...readableKey(key, name) };
}

function withIcv({ id, name, icvBits }: AlgorithmRow, key: KeyExtension | undefined): Integrity {
  return { id, ...readableKey(key, name), icvBits: icvBits! }; // all rows of both tables have it
}

function readableKey(key: KeyExtension | undefined, algorithm: string): Pick<Cipher, "keyBits" | "key"> {
  if (key === undefined || key.bits === 0) throw new Refusal(`${algorithm} without its key`);
  if (key.key.every((byte) => byte === 0)) throw new Refusal("keys that are all zero: nothing can be copied");
  return { keyBits: key.bits, key: key.key };
}

/** The numbers for `struct sadb_sa`. @throws {Refusal} for what the kernel does not have. */
export function algorithmNumbers(sa: Sa): Numbers {
  checkCombination(sa);
  const { encryption, aead, compression } = sa;
  const integrity = realIntegrity(sa);
  if (compression !== undefined) return { auth: 0, encrypt: compressions.toKernel(compression.id).number };
  if (aead !== undefined) return { auth: 0, encrypt: aeads.toKernel(aead.id, aead.icvBits).number };
  return {
    auth: integrity === undefined ? 0 : inUse(integrities.toKernel(integrity.id, integrity.icvBits)),
    encrypt: encryption === undefined ? 0 : inUse(ciphers.toKernel(encryption.id)),
  };
}

/** @throws {Refusal} for algorithms that do not belong to the protocol, or not together. */
function checkCombination(sa: Sa): void {
  const { protocol, encryption, aead, compression } = sa;
  const hides = encryption !== undefined || aead !== undefined;
  const checks = realIntegrity(sa) !== undefined;
  if (protocol === PROTOCOL.IPCOMP) {
    if (compression === undefined || hides || checks) throw new Refusal("IPCOMP with other than compression");
    return;
  }
  if (compression !== undefined) throw new Refusal("compression without IPCOMP");
  if (protocol === PROTOCOL.AH && (hides || !checks)) throw new Refusal("AH with other than integrity");
  if (protocol === PROTOCOL.ESP && !hides) throw new Refusal("ESP without encryption");
  if (aead !== undefined && (encryption !== undefined || checks)) {
    throw new Refusal("AEAD beside another algorithm");
  }
}

function inUse({ name, number }: AlgorithmRow): number {
  if (RETIRED.has(name)) throw new Refusal(`${name} is not implemented since FreeBSD 13`);
  return number;
}

/** The integrity, but for one that is stated to be none: on the wire that is the same as no statement. */
export function realIntegrity({ integrity }: Pick<Sa, "integrity">): Integrity | undefined {
  return integrity?.id === AUTH.NONE ? undefined : integrity;
}

/** Appends the keys; the null cipher has one of no bits. @throws {Refusal} for a key of another length than stated. */
export function addKeys(writer: ExtensionWriter, sa: Sa): void {
  const integrity = realIntegrity(sa);
  if (integrity !== undefined) addKey(writer, SADB_EXT.SADB_EXT_KEY_AUTH, keyOf(integrity));
  const cipher = sa.aead ?? sa.encryption;
  if (cipher !== undefined) addKey(writer, SADB_EXT.SADB_EXT_KEY_ENCRYPT, keyOf(cipher));
}

function keyOf({ id, keyBits, key }: Cipher): Uint8Array {
  if (key.length * 8 !== keyBits || (keyBits === 0) !== (id === ENCR.NULL)) {
    throw new Refusal(`key of ${key.length} bytes for ${keyBits} bits`);
  }
  if (key.length > 0 && key.every((byte) => byte === 0)) throw new Refusal("a key that is all zero");
  return key;
}
