/**
 * What PF_KEY of Linux, FreeBSD and NetBSD has from KAME beyond RFC 2367: message and extension numbers and structs.
 * What differs among them is in their dialects.
 */

import { Layout, pad, u16, u16be, u32, u8 } from "../layout/layout.ts";
import { SADB_MESSAGES } from "./dialect.ts";

/** Message numbers up to the last that all of them have. */
export const KAME_MESSAGES = {
  ...SADB_MESSAGES,
  SADB_X_PCHANGE: 12,
  SADB_X_SPDUPDATE: 13,
  SADB_X_SPDADD: 14,
  SADB_X_SPDDELETE: 15,
  SADB_X_SPDGET: 16,
  SADB_X_SPDACQUIRE: 17,
  SADB_X_SPDDUMP: 18,
  SADB_X_SPDFLUSH: 19,
  SADB_X_SPDSETIDX: 20,
  SADB_X_SPDEXPIRE: 21,
  SADB_X_SPDDELETE2: 22,
} as const;

/** Extension numbers that all of them have. */
export const KAME_EXT = {
  SADB_X_EXT_KMPRIVATE: 17,
  SADB_X_EXT_POLICY: 18,
  SADB_X_EXT_SA2: 19,
  SADB_X_EXT_NAT_T_TYPE: 20,
  SADB_X_EXT_NAT_T_SPORT: 21,
  SADB_X_EXT_NAT_T_DPORT: 22,
} as const;

export const IPSEC_POLICY = { DISCARD: 0, NONE: 1, IPSEC: 2 } as const;
export const IPSEC_MODE = { ANY: 0, TRANSPORT: 1, TUNNEL: 2 } as const;
export const IPSEC_LEVEL = { DEFAULT: 0, USE: 1, REQUIRE: 2, UNIQUE: 3 } as const;
/** Upper-layer protocol "any" in addresses of policies. */
export const ANY_PROTOCOL = 255;
/** A greater reqid is replaced by the kernel, in silence, in a policy of level UNIQUE. */
export const IPSEC_MANUAL_REQID_MAX = 0x3fff;

/** `struct sadb_x_policy`; structs `sadb_x_ipsecrequest` follow. `scope` is reserved on Linux. */
export const sadbXPolicy = new Layout("sadb_x_policy", 16, {
  head: pad(4),
  type: u16,
  dir: u8,
  scope: u8,
  id: u32,
  priority: u32,
});

/** `struct sadb_x_sa2`. */
export const sadbXSa2 = new Layout("sadb_x_sa2", 16, {
  head: pad(4),
  mode: u8,
  reserved: pad(3),
  sequence: u32,
  reqid: u32,
});

/** `struct sadb_x_nat_t_type`. */
export const sadbXNatTType = new Layout("sadb_x_nat_t_type", 8, { head: pad(4), type: u8, reserved: pad(3) });

/** `struct sadb_x_nat_t_port`; in network order. */
export const sadbXNatTPort = new Layout("sadb_x_nat_t_port", 8, {
  head: pad(4),
  port: u16be,
  reserved: pad(2),
});
