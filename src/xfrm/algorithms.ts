/**
 * The kernel's crypto names ↔ IANA numbers (net/xfrm/xfrm_algo.c). An algorithm without a number travels by the
 * kernel's name.
 */

import { type AlgorithmId, algorithmName, AUTH, ENCR, IPCOMP } from "../record/algorithms.ts";
import { Refusal } from "./refusal.ts";

/** An algorithm of the kernel; `icvBits` where the number depends on the length of the ICV. */
interface Row {
  readonly name: string;
  readonly id: number;
  readonly icvBits?: number;
}

/** Encryption without integrity: XFRMA_ALG_CRYPT. */
const CIPHERS: readonly Row[] = [
  { name: "ecb(cipher_null)", id: ENCR.NULL },
  { name: "cbc(des)", id: ENCR.DES },
  { name: "cbc(des3_ede)", id: ENCR["3DES"] },
  { name: "cbc(cast5)", id: ENCR.CAST },
  { name: "cbc(blowfish)", id: ENCR.BLOWFISH },
  { name: "cbc(aes)", id: ENCR.AES_CBC },
  { name: "rfc3686(ctr(aes))", id: ENCR.AES_CTR },
  { name: "cbc(camellia)", id: ENCR.CAMELLIA_CBC },
];

/** Integrity: XFRMA_ALG_AUTH_TRUNC. A row without `icvBits` stands for every other truncation. */
const INTEGRITIES: readonly Row[] = [
  { name: "digest_null", id: AUTH.NONE },
  { name: "hmac(md5)", id: AUTH.HMAC_MD5_128, icvBits: 128 },
  { name: "hmac(md5)", id: AUTH.HMAC_MD5_96 },
  { name: "hmac(sha1)", id: AUTH.HMAC_SHA1_160, icvBits: 160 },
  { name: "hmac(sha1)", id: AUTH.HMAC_SHA1_96 },
  { name: "hmac(sha256)", id: AUTH.HMAC_SHA2_256_128 },
  { name: "hmac(sha384)", id: AUTH.HMAC_SHA2_384_192 },
  { name: "hmac(sha512)", id: AUTH.HMAC_SHA2_512_256 },
  { name: "xcbc(aes)", id: AUTH.AES_XCBC_96 },
  { name: "cmac(aes)", id: AUTH.AES_CMAC_96 },
];

/** Both in one: XFRMA_ALG_AEAD. */
const AEADS: readonly Row[] = [
  { name: "rfc4106(gcm(aes))", id: ENCR.AES_GCM_8, icvBits: 64 },
  { name: "rfc4106(gcm(aes))", id: ENCR.AES_GCM_12, icvBits: 96 },
  { name: "rfc4106(gcm(aes))", id: ENCR.AES_GCM_16, icvBits: 128 },
  { name: "rfc4309(ccm(aes))", id: ENCR.AES_CCM_8, icvBits: 64 },
  { name: "rfc4309(ccm(aes))", id: ENCR.AES_CCM_12, icvBits: 96 },
  { name: "rfc4309(ccm(aes))", id: ENCR.AES_CCM_16, icvBits: 128 },
  { name: "rfc4543(gcm(aes))", id: ENCR.NULL_AUTH_AES_GMAC, icvBits: 128 },
  { name: "rfc7539esp(chacha20,poly1305)", id: ENCR.CHACHA20_POLY1305, icvBits: 128 },
];

const COMPRESSIONS: readonly Row[] = [
  { name: "deflate", id: IPCOMP.DEFLATE },
  { name: "lzs", id: IPCOMP.LZS },
  { name: "lzjh", id: IPCOMP.LZJH },
];

/** One kind of algorithm: names and numbers both ways. */
class AlgorithmTable {
  constructor(
    readonly kind: string,
    readonly numbers: Readonly<Record<string, number>>,
    readonly rows: readonly Row[],
  ) {}

  /** The number of what the kernel calls `name`, or the name itself. `icvBits` 0 where there is no ICV. */
  fromKernel(name: string, icvBits = 0): AlgorithmId {
    const fits = (row: Row) => row.name === name && (row.icvBits === undefined || row.icvBits === icvBits);
    return this.rows.find(fits)?.id ?? name;
  }

  /** The kernel's name. @throws {Refusal} when this number, or this length of its ICV, has none. */
  toKernel(id: AlgorithmId, icvBits = 0): string {
    if (typeof id === "string") return id;
    const row = this.rows.find((candidate) => candidate.id === id);
    const name = algorithmName(this.numbers, id);
    if (row === undefined) throw new Refusal(`${this.kind} ${name} is not known to Linux`);
    if (row.icvBits !== undefined && row.icvBits !== icvBits) {
      throw new Refusal(`${this.kind} ${name} has no ICV of ${icvBits} bits`);
    }
    return row.name;
  }
}

export const ciphers = new AlgorithmTable("encryption", ENCR, CIPHERS);
export const integrities = new AlgorithmTable("integrity", AUTH, INTEGRITIES);
export const aeads = new AlgorithmTable("AEAD", ENCR, AEADS);
export const compressions = new AlgorithmTable("compression", IPCOMP, COMPRESSIONS);
