/** Numbers and structs of Linux's PF_KEY (net/key/af_key.c, net/xfrm/xfrm_algo.c, linux/pfkeyv2.h). */

import { Layout, pad, u16, u32, u8 } from "../layout/layout.ts";
import { AUTH, ENCR, IPCOMP } from "../record/algorithms.ts";
import { MODE, PROTOCOL, type Protocol, SA_FLAG } from "../record/sa.ts";
import { type AlgorithmRow, AlgorithmTable } from "./algorithms.ts";
import { SADB_EXT } from "./extensions.ts";
import { IPSEC_MODE, KAME_EXT, KAME_MESSAGES } from "./kame.ts";

export const LINUX_MESSAGES = {
  ...KAME_MESSAGES,
  SADB_X_NAT_T_NEW_MAPPING: 23,
  SADB_X_MIGRATE: 24,
} as const;

export const LINUX_EXT = {
  ...SADB_EXT,
  ...KAME_EXT,
  SADB_X_EXT_NAT_T_OA: 23,
  SADB_X_EXT_SEC_CTX: 24,
  SADB_X_EXT_KMADDRESS: 25,
  SADB_X_EXT_FILTER: 26,
} as const;

/** `struct sadb_x_ipsecrequest`; in tunnel mode two socket addresses follow without padding. `len` counts bytes. */
export const sadbXIpsecrequest = new Layout("sadb_x_ipsecrequest", 16, {
  len: u16,
  proto: u16,
  mode: u8,
  level: u8,
  reserved: pad(2),
  reqid: u32,
  reserved2: pad(4),
});

/** `struct sadb_x_sec_ctx`; `ctxLen` bytes follow. */
export const sadbXSecCtx = new Layout("sadb_x_sec_ctx", 8, { head: pad(4), alg: u8, doi: u8, ctxLen: u16 });

const SATYPES: readonly { readonly name: string; readonly number: number; readonly protocol: Protocol }[] = [
  { name: "SADB_SATYPE_AH", number: 2, protocol: PROTOCOL.AH },
  { name: "SADB_SATYPE_ESP", number: 3, protocol: PROTOCOL.ESP },
  { name: "SADB_X_SATYPE_IPCOMP", number: 9, protocol: PROTOCOL.IPCOMP },
];

/** The protocol of a satype; undefined for one that is not synchronised. */
export function protocolOf(satype: number): Protocol | undefined {
  return SATYPES.find(({ number }) => number === satype)?.protocol;
}

export function satypeOf(protocol: Protocol): number {
  return SATYPES.find((row) => row.protocol === protocol)!.number; // the table has every Protocol
}

/** SADB_SAFLAGS_PFS, which the kernel ignores. */
export const SADB_SAFLAGS_PFS = 1;

/** SADB_SAFLAGS_NOPMTUDISC, _DECAP_DSCP and _NOECN. */
export const SA_FLAGS: readonly (readonly [kernel: number, ours: number])[] = [
  [0x20000000, SA_FLAG.NO_PMTU_DISC],
  [0x40000000, SA_FLAG.DECAP_DSCP],
  [0x80000000, SA_FLAG.NO_ECN],
];

/** Modes that both sides can say. IPSEC_MODE_BEET (3) needs a selector, which PF_KEY does not carry whole. */
export const MODES: readonly (readonly [kernel: number, ours: number])[] = [
  [IPSEC_MODE.TRANSPORT, MODE.TRANSPORT],
  [IPSEC_MODE.TUNNEL, MODE.TUNNEL],
];

/** The number of HMAC-SHA-256: the kernel installs 96 bits, which a dump does not tell from any other length. */
export const SADB_X_AALG_SHA2_256HMAC = 5;

const AALG: readonly AlgorithmRow[] = [
  { name: "SADB_AALG_MD5HMAC", number: 2, id: AUTH.HMAC_MD5_96, icvBits: 96 },
  { name: "SADB_AALG_SHA1HMAC", number: 3, id: AUTH.HMAC_SHA1_96, icvBits: 96 },
  {
    name: "SADB_X_AALG_SHA2_256HMAC",
    number: SADB_X_AALG_SHA2_256HMAC,
    id: AUTH.HMAC_SHA2_256_128,
    icvBits: 96,
  },
  { name: "SADB_X_AALG_SHA2_384HMAC", number: 6, id: AUTH.HMAC_SHA2_384_192, icvBits: 192 },
  { name: "SADB_X_AALG_SHA2_512HMAC", number: 7, id: AUTH.HMAC_SHA2_512_256, icvBits: 256 },
  { name: "SADB_X_AALG_RIPEMD160HMAC", number: 8, id: "hmac(rmd160)", icvBits: 96 },
  { name: "SADB_X_AALG_AES_XCBC_MAC", number: 9, id: AUTH.AES_XCBC_96, icvBits: 96 },
  { name: "SADB_X_AALG_SM3_256HMAC", number: 10, id: "hmac(sm3)", icvBits: 256 },
  { name: "SADB_X_AALG_NULL", number: 251, id: AUTH.NONE, icvBits: 0 },
];

const EALG: readonly AlgorithmRow[] = [
  { name: "SADB_EALG_DESCBC", number: 2, id: ENCR.DES },
  { name: "SADB_EALG_3DESCBC", number: 3, id: ENCR["3DES"] },
  { name: "SADB_X_EALG_CASTCBC", number: 6, id: ENCR.CAST },
  { name: "SADB_X_EALG_BLOWFISHCBC", number: 7, id: ENCR.BLOWFISH },
  { name: "SADB_EALG_NULL", number: 11, id: ENCR.NULL },
  { name: "SADB_X_EALG_AESCBC", number: 12, id: ENCR.AES_CBC },
  { name: "SADB_X_EALG_AESCTR", number: 13, id: ENCR.AES_CTR },
  { name: "SADB_X_EALG_CAMELLIACBC", number: 22, id: ENCR.CAMELLIA_CBC },
  { name: "SADB_X_EALG_SM4CBC", number: 24, id: "cbc(sm4)" },
  { name: "SADB_X_EALG_SERPENTCBC", number: 252, id: "cbc(serpent)" },
  { name: "SADB_X_EALG_TWOFISHCBC", number: 253, id: "cbc(twofish)" },
];

const CALG: readonly AlgorithmRow[] = [
  { name: "SADB_X_CALG_DEFLATE", number: 2, id: IPCOMP.DEFLATE },
  { name: "SADB_X_CALG_LZS", number: 3, id: IPCOMP.LZS },
  { name: "SADB_X_CALG_LZJH", number: 4, id: IPCOMP.LZJH },
];

export const integrities = new AlgorithmTable("integrity", AUTH, AALG);
export const ciphers = new AlgorithmTable("encryption", ENCR, EALG);
export const compressions = new AlgorithmTable("compression", IPCOMP, CALG);
