import { assertEquals, assertThrows } from "@std/assert";
import { type AlgorithmId, AUTH, ENCR, IPCOMP } from "../../../src/record/algorithms.ts";
import { aeads, ciphers, compressions, integrities } from "../../../src/xfrm/algorithms.ts";
import { Refusal } from "../../../src/xfrm/refusal.ts";

interface Row {
  readonly table: typeof ciphers;
  readonly name: string;
  readonly icvBits?: number;
  readonly id: AlgorithmId;
}

/** Names and lengths as net/xfrm/xfrm_algo.c of Linux 6.12 has them. */
const rows: readonly Row[] = [
  { table: ciphers, name: "ecb(cipher_null)", id: ENCR.NULL },
  { table: ciphers, name: "cbc(des)", id: ENCR.DES },
  { table: ciphers, name: "cbc(cast5)", id: ENCR.CAST },
  { table: ciphers, name: "cbc(blowfish)", id: ENCR.BLOWFISH },
  { table: ciphers, name: "cbc(twofish)", id: "cbc(twofish)" },
  { table: ciphers, name: "rfc3686(ctr(sm4))", id: "rfc3686(ctr(sm4))" },
  { table: integrities, name: "digest_null", icvBits: 0, id: AUTH.NONE },
  { table: integrities, name: "hmac(md5)", icvBits: 96, id: AUTH.HMAC_MD5_96 },
  { table: integrities, name: "hmac(md5)", icvBits: 128, id: AUTH.HMAC_MD5_128 },
  { table: integrities, name: "hmac(sha1)", icvBits: 96, id: AUTH.HMAC_SHA1_96 },
  { table: integrities, name: "hmac(sha1)", icvBits: 160, id: AUTH.HMAC_SHA1_160 },
  { table: integrities, name: "hmac(sha256)", icvBits: 96, id: AUTH.HMAC_SHA2_256_128 },
  { table: integrities, name: "hmac(sha256)", icvBits: 128, id: AUTH.HMAC_SHA2_256_128 },
  { table: integrities, name: "hmac(sm3)", icvBits: 256, id: "hmac(sm3)" },
  { table: aeads, name: "rfc4106(gcm(aes))", icvBits: 96, id: ENCR.AES_GCM_12 },
  { table: aeads, name: "rfc4106(gcm(aes))", icvBits: 32, id: "rfc4106(gcm(aes))" },
  { table: aeads, name: "rfc4309(ccm(aes))", icvBits: 128, id: ENCR.AES_CCM_16 },
  { table: compressions, name: "lzjh", id: IPCOMP.LZJH },
];

for (const { table, name, icvBits, id } of rows) {
  Deno.test(`${table.kind} "${name}" of ${icvBits} bits is ${id}, and back`, () => {
    assertEquals(table.fromKernel(name, icvBits), id);
    assertEquals(table.toKernel(id, icvBits), name);
  });
}

Deno.test("toKernel() refuses what has no name or another length", () => {
  assertThrows(
    () => ciphers.toKernel(ENCR.AES_GCM_16),
    Refusal,
    "encryption AES_GCM_16 is not known to Linux",
  );
  assertThrows(() => aeads.toKernel(ENCR.AES_GCM_16, 96), Refusal, "AEAD AES_GCM_16 has no ICV of 96 bits");
  assertThrows(() => integrities.toKernel(12345, 96), Refusal, "integrity unknown(12345)");
});
