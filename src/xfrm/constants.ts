/** Numbers of NETLINK_XFRM under their C names (linux/xfrm.h). */

/** Message types. 7.x kernels add XFRM_MSG_MIGRATE_STATE 0x29. */
export const XFRM_MESSAGES = {
  XFRM_MSG_NEWSA: 0x10,
  XFRM_MSG_DELSA: 0x11,
  XFRM_MSG_GETSA: 0x12,
  XFRM_MSG_NEWPOLICY: 0x13,
  XFRM_MSG_DELPOLICY: 0x14,
  XFRM_MSG_GETPOLICY: 0x15,
  XFRM_MSG_ALLOCSPI: 0x16,
  XFRM_MSG_ACQUIRE: 0x17,
  XFRM_MSG_EXPIRE: 0x18,
  XFRM_MSG_UPDPOLICY: 0x19,
  XFRM_MSG_UPDSA: 0x1a,
  XFRM_MSG_POLEXPIRE: 0x1b,
  XFRM_MSG_FLUSHSA: 0x1c,
  XFRM_MSG_FLUSHPOLICY: 0x1d,
  XFRM_MSG_NEWAE: 0x1e,
  XFRM_MSG_GETAE: 0x1f,
  XFRM_MSG_REPORT: 0x20,
  XFRM_MSG_MIGRATE: 0x21,
  XFRM_MSG_MAPPING: 0x26,
  XFRM_MSG_GETDEFAULT: 0x28,
} as const;

export const {
  XFRM_MSG_NEWSA,
  XFRM_MSG_DELSA,
  XFRM_MSG_GETSA,
  XFRM_MSG_NEWPOLICY,
  XFRM_MSG_DELPOLICY,
  XFRM_MSG_GETPOLICY,
  XFRM_MSG_EXPIRE,
  XFRM_MSG_UPDPOLICY,
  XFRM_MSG_UPDSA,
  XFRM_MSG_POLEXPIRE,
  XFRM_MSG_FLUSHSA,
  XFRM_MSG_FLUSHPOLICY,
  XFRM_MSG_NEWAE,
  XFRM_MSG_GETAE,
  XFRM_MSG_MIGRATE,
  XFRM_MSG_GETDEFAULT,
} = XFRM_MESSAGES;

/** The C name of a message type, or `unknown(42)`. */
export function messageName(type: number): string {
  return Object.entries(XFRM_MESSAGES).find(([, value]) => value === type)?.[0] ?? `unknown(${type})`;
}

/** Attribute types. 6.1 ends at XFRMA_MTIMER_THRESH, 6.12 at XFRMA_SA_PCPU. */
export const XFRMA_ALG_AUTH = 1;
export const XFRMA_ALG_CRYPT = 2;
export const XFRMA_ALG_COMP = 3;
export const XFRMA_ENCAP = 4;
export const XFRMA_TMPL = 5;
export const XFRMA_SA = 6;
export const XFRMA_POLICY = 7;
export const XFRMA_SEC_CTX = 8;
export const XFRMA_LTIME_VAL = 9;
export const XFRMA_REPLAY_VAL = 10;
export const XFRMA_REPLAY_THRESH = 11;
export const XFRMA_ETIMER_THRESH = 12;
export const XFRMA_COADDR = 14;
export const XFRMA_LASTUSED = 15;
export const XFRMA_POLICY_TYPE = 16;
export const XFRMA_ALG_AEAD = 18;
export const XFRMA_ALG_AUTH_TRUNC = 20;
export const XFRMA_MARK = 21;
export const XFRMA_TFCPAD = 22;
export const XFRMA_REPLAY_ESN_VAL = 23;
export const XFRMA_SA_EXTRA_FLAGS = 24;
export const XFRMA_PAD = 27;
export const XFRMA_OFFLOAD_DEV = 28;
export const XFRMA_SET_MARK = 29;
export const XFRMA_SET_MARK_MASK = 30;
export const XFRMA_IF_ID = 31;
export const XFRMA_MTIMER_THRESH = 32;
export const XFRMA_SA_DIR = 33;
export const XFRMA_NAT_KEEPALIVE_INTERVAL = 34;
export const XFRMA_SA_PCPU = 35;
export const XFRMA_IPTFS_DROP_TIME = 36;
export const XFRMA_IPTFS_REORDER_WINDOW = 37;
export const XFRMA_IPTFS_DONT_FRAG = 38;
export const XFRMA_IPTFS_INIT_DELAY = 39;
export const XFRMA_IPTFS_MAX_QSIZE = 40;
export const XFRMA_IPTFS_PKT_SIZE = 41;

/** Multicast groups, by number; the mask of bind(2) has bit n − 1. */
export const XFRMNLGRP_EXPIRE = 2;
export const XFRMNLGRP_SA = 3;
export const XFRMNLGRP_POLICY = 4;
export const XFRMNLGRP_AEVENTS = 5;
export const XFRMNLGRP_MIGRATE = 7;

export const XFRM_SA_XFLAG_DONT_ENCAP_DSCP = 1;
export const XFRM_SA_XFLAG_OSEQ_MAY_WRAP = 2;

/** Flush of the IPsec protocols only (AH, ESP and IPCOMP). */
export const IPSEC_PROTO_ANY = 255;
/** Policies of this direction and beyond belong to sockets. */
export const XFRM_POLICY_MAX = 3;
/** No limit of bytes or packets. */
export const XFRM_INF = 0xffff_ffff_ffff_ffffn;

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_INET6 = 10;
