/**
 * Numbers and structs that only OpenBSD's PF_KEY has (net/pfkeyv2.h 1.95), under their C names. Every layout is the
 * whole C struct with its header of four bytes.
 */

import { Layout, pad, u16, u16be, u32, u64, u8 } from "../layout/layout.ts";
import { SADB_MESSAGES } from "./dialect.ts";

/** Message types; 16 only comes out of sysctl(2). */
export const OPENBSD_MESSAGES = {
  ...SADB_MESSAGES,
  SADB_X_ADDFLOW: 12,
  SADB_X_DELFLOW: 13,
  SADB_X_GRPSPIS: 14,
  SADB_X_ASKPOLICY: 15,
  SADB_X_SPDDUMP: 16,
} as const;

/** Extensions beyond those of RFC 2367, as far as they are looked at. */
export const OPENBSD_EXT = {
  SADB_X_EXT_SRC_MASK: 17,
  SADB_X_EXT_DST_MASK: 18,
  SADB_X_EXT_PROTOCOL: 19,
  SADB_X_EXT_FLOW_TYPE: 20,
  SADB_X_EXT_SRC_FLOW: 21,
  SADB_X_EXT_DST_FLOW: 22,
  SADB_X_EXT_SA2: 23,
  SADB_X_EXT_DST2: 24,
  SADB_X_EXT_UDPENCAP: 31,
  SADB_X_EXT_LIFETIME_LASTUSE: 32,
  SADB_X_EXT_TAG: 33,
  SADB_X_EXT_TAP: 34,
  SADB_X_EXT_SATYPE2: 35,
  SADB_X_EXT_COUNTER: 36,
  SADB_X_EXT_RDOMAIN: 37,
  SADB_X_EXT_MTU: 38,
  SADB_X_EXT_REPLAY: 39,
  SADB_X_EXT_IFACE: 40,
} as const;

/** The greatest extension number that is known (SADB_EXT_MAX); later kernels may have more. */
export const SADB_EXT_MAX = 40;

/** Types of SAs; not RFC 2367's numbers. Others, IP in IP and TCP signatures among them, are not synchronised. */
export const OPENBSD_SATYPE = {
  SADB_SATYPE_UNSPEC: 0,
  SADB_SATYPE_AH: 1,
  SADB_SATYPE_ESP: 2,
  SADB_X_SATYPE_IPCOMP: 9,
} as const;

/** Bits of `sadb_sa.flags`. */
export const OPENBSD_SAFLAGS = {
  SADB_SAFLAGS_PFS: 0x001,
  SADB_X_SAFLAGS_TUNNEL: 0x004,
  SADB_X_SAFLAGS_UDPENCAP: 0x200,
  SADB_X_SAFLAGS_ESN: 0x400,
} as const;

/** Types of flows. */
export const FLOW_TYPE = {
  SADB_X_FLOW_TYPE_USE: 1,
  SADB_X_FLOW_TYPE_ACQUIRE: 2,
  SADB_X_FLOW_TYPE_REQUIRE: 3,
  SADB_X_FLOW_TYPE_BYPASS: 4,
  SADB_X_FLOW_TYPE_DENY: 5,
  SADB_X_FLOW_TYPE_DONTACQ: 6,
} as const;

/** Directions of flows. */
export const FLOW_DIRECTION = { IPSP_DIRECTION_IN: 1, IPSP_DIRECTION_OUT: 2 } as const;

/** A flow with this flag yields only to requests with this flag. */
export const SADB_X_POLICYFLAGS_POLICY = 1;

/** Names for sysctl(3): CTL_NET, PF_KEY, PF_KEY_V2, and NET_KEY_SADB_DUMP or NET_KEY_SPD_DUMP. */
export const SADB_DUMP_NAME = [4, 30, 2, 1] as const;
export const SPD_DUMP_NAME = [4, 30, 2, 2] as const;

/** `struct sadb_protocol`: PROTOCOL, FLOW_TYPE, SATYPE2. */
export const sadbProtocol = new Layout("sadb_protocol", 8, {
  head: pad(4),
  proto: u8,
  direction: u8,
  flags: u8,
  reserved: pad(1),
});

/** `struct sadb_x_udpencap`: the port of the other side, 0 for none stated. */
export const sadbXUdpencap = new Layout("sadb_x_udpencap", 8, {
  head: pad(4),
  port: u16be,
  reserved: pad(2),
});

/** `struct sadb_x_tag`; the name of a pf(4) tag with its zero byte follows, `taglen` bytes. */
export const sadbXTag = new Layout("sadb_x_tag", 8, { head: pad(4), taglen: u32 });

/** `struct sadb_x_tap`: the unit of an enc(4) interface. */
export const sadbXTap = new Layout("sadb_x_tap", 8, { head: pad(4), unit: u32 });

/** `struct sadb_x_rdomain`: the routing domains outside and inside of the tunnel. */
export const sadbXRdomain = new Layout("sadb_x_rdomain", 8, { head: pad(4), dom1: u16, dom2: u16 });

/** `struct sadb_x_counter`. */
export const sadbXCounter = new Layout("sadb_x_counter", 72, {
  head: pad(4),
  padding: pad(4),
  ipackets: u64,
  opackets: u64,
  ibytes: u64,
  obytes: u64,
  idrops: u64,
  odrops: u64,
  idecompbytes: u64,
  ouncompbytes: u64,
});

/** `struct sadb_x_replay`: the number that is sent next, or the greatest received. */
export const sadbXReplay = new Layout("sadb_x_replay", 16, { head: pad(4), reserved: pad(4), count: u64 });

/** `struct sadb_x_iface`: the unit of a sec(4) interface. */
export const sadbXIface = new Layout("sadb_x_iface", 16, {
  head: pad(4),
  unit: u32,
  direction: u8,
  reserved: pad(7),
});
