/**
 * Numbers and structs of FreeBSD's PF_KEY (12.x to 15.x) under their C names, beyond those of RFC 2367 and KAME.
 * Source: sys/net/pfkeyv2.h and sys/netipsec/ipsec.h, what differs from it is said.
 */

import { Layout, pad, u16, u32, u8 } from "../layout/layout.ts";
import { PROTOCOL, SA_FLAG } from "../record/sa.ts";
import { KAME_EXT } from "./kame.ts";

/** Extension numbers; those from 29 are of 15.x. */
export const FREEBSD_EXT = {
  ...KAME_EXT,
  SADB_X_EXT_NAT_T_OAI: 23,
  SADB_X_EXT_NAT_T_OAR: 24,
  SADB_X_EXT_NAT_T_FRAG: 25,
  SADB_X_EXT_SA_REPLAY: 26,
  SADB_X_EXT_NEW_ADDRESS_SRC: 27,
  SADB_X_EXT_NEW_ADDRESS_DST: 28,
  SADB_X_EXT_LFT_CUR_SW_OFFL: 29,
  SADB_X_EXT_LFT_CUR_HW_OFFL: 30,
  SADB_X_EXT_IF_HW_OFFL: 31,
} as const;

/** The greatest extension number that is known (SADB_EXT_MAX); later kernels may have more. */
export const FREEBSD_EXT_MAX = 31;

/** Types of SAs that are synchronised; TCP signatures (11) are not. */
const FREEBSD_SATYPE = { SADB_SATYPE_AH: 2, SADB_SATYPE_ESP: 3, SADB_X_SATYPE_IPCOMP: 9 } as const;

/** Each with its protocol. */
export const SATYPES = [
  { satype: FREEBSD_SATYPE.SADB_SATYPE_AH, protocol: PROTOCOL.AH },
  { satype: FREEBSD_SATYPE.SADB_SATYPE_ESP, protocol: PROTOCOL.ESP },
  { satype: FREEBSD_SATYPE.SADB_X_SATYPE_IPCOMP, protocol: PROTOCOL.IPCOMP },
] as const;

/** Bits of `sadb_sa.flags` that the record has a flag for; the others change how packets look. */
const FREEBSD_SA_FLAG = { SADB_X_EXT_CYCSEQ: 0x40, SADB_X_SAFLAGS_ESN: 0x400 } as const;

/** Each with the record's. */
export const SA_FLAGS = [
  { kernel: FREEBSD_SA_FLAG.SADB_X_EXT_CYCSEQ, ours: SA_FLAG.OSEQ_MAY_WRAP },
  { kernel: FREEBSD_SA_FLAG.SADB_X_SAFLAGS_ESN, ours: SA_FLAG.ESN },
] as const;

/** Where a policy is valid. Those of interfaces and sockets are not the system's. */
export const IPSEC_POLICYSCOPE = { ANY: 0, GLOBAL: 1, IFNET: 2, PCB: 4 } as const;

/** Directions of policies; forwarded packets have none of their own. */
export const IPSEC_DIR = { INBOUND: 1, OUTBOUND: 2 } as const;

/** Requests that a policy may have. */
export const IPSEC_MAXREQ = 4;

/** sys/sys/socket.h. */
export const AF_INET6 = 28;

/** The only encapsulation, ESP in UDP (sys/netinet/udp.h). */
export const UDP_ENCAP_ESPINUDP = 2;

/** What one unit of `sadb_sa.replay` stands for: it counts bytes of the bitmap (key.c). */
export const PACKETS_PER_UNIT = 8;

/** SPIs of ESP and AH up to this one are refused (key.c). */
export const RESERVED_SPI_MAX = 0xff;

/** CPIs of IPCOMP have 16 bits (key.c). */
export const CPI_MAX = 0xffff;

/** `struct sadb_x_sa_replay`; `replay` in packets. */
export const sadbXSaReplay = new Layout("sadb_x_sa_replay", 8, { head: pad(4), replay: u32 });

/** `struct sadb_x_ipsecrequest`; in tunnel mode two socket addresses follow. `len` counts bytes. */
export const sadbXIpsecrequest = new Layout("sadb_x_ipsecrequest", 8, {
  len: u16,
  proto: u16,
  mode: u8,
  level: u8,
  reqid: u16,
});
