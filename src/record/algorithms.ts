/**
 * Algorithm numbers of the portable record: IANA "IKEv2 Parameters", transform type 1 (encryption, AEAD among
 * them), type 3 (integrity) and IPCOMP transform identifiers. An algorithm without a number there travels by the
 * name that its system gives it, and only a system that knows the name can take it.
 */

/** Transform type 1 (RFC 7296 section 3.3.2 and the registry). */
export const ENCR = {
  DES: 2,
  "3DES": 3,
  CAST: 6,
  BLOWFISH: 7,
  NULL: 11,
  AES_CBC: 12,
  AES_CTR: 13,
  AES_CCM_8: 14,
  AES_CCM_12: 15,
  AES_CCM_16: 16,
  AES_GCM_8: 18,
  AES_GCM_12: 19,
  AES_GCM_16: 20,
  NULL_AUTH_AES_GMAC: 21,
  CAMELLIA_CBC: 23,
  CAMELLIA_CTR: 24,
  CHACHA20_POLY1305: 28,
} as const;

/** Transform type 3. */
export const AUTH = {
  NONE: 0,
  HMAC_MD5_96: 1,
  HMAC_SHA1_96: 2,
  AES_XCBC_96: 5,
  HMAC_MD5_128: 6,
  HMAC_SHA1_160: 7,
  AES_CMAC_96: 8,
  AES_128_GMAC: 9,
  AES_192_GMAC: 10,
  AES_256_GMAC: 11,
  HMAC_SHA2_256_128: 12,
  HMAC_SHA2_384_192: 13,
  HMAC_SHA2_512_256: 14,
} as const;

/** IPCOMP transform identifiers (RFC 2407 section 4.4.5). */
export const IPCOMP = { OUI: 1, DEFLATE: 2, LZS: 3, LZJH: 4 } as const;

/** An IANA number, or the name of an algorithm that has none in the registry. */
export type AlgorithmId = number | string;

/** What an algorithm is called in logs: its registry name, its own name, or `unknown(42)`. */
export function algorithmName(table: Readonly<Record<string, number>>, id: AlgorithmId): string {
  if (typeof id === "string") return id;
  return Object.keys(table).find((name) => table[name] === id) ?? `unknown(${id})`;
}
