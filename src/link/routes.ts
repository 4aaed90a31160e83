/** Which way packets to an address take, over NETLINK_ROUTE: one lookup, not the table, which may be large. */

import { type NetlinkAttributes, readBody, writeAttribute } from "../layout/netlink.ts";
import { Layout, pad, u8 } from "../layout/layout.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import { type Address, addressBits, familyOf } from "../record/address.ts";

export const RTM_GETROUTE = 26;

const RTA_DST = 1;
const RTA_OIF = 4;
const AF_INET = 2;
const AF_INET6 = 10;

/** What becomes of packets (rtm_type, linux/rtnetlink.h). */
const ROUTE_TYPES = {
  unicast: 1,
  local: 2,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
} as const;

/** `struct rtmsg`, 12 bytes. */
export const rtmsg = new Layout("rtmsg", 12, {
  family: u8,
  dstLen: u8,
  srcLen: u8,
  tos: u8,
  table: u8,
  protocol: u8,
  scope: u8,
  type: u8,
  flags: pad(4),
});

/** The way to an address. */
export interface Route {
  /** `unicast`, `unreachable` …, or a number. */
  readonly type: string;
  /** Index of the interface that packets leave by; 0: none. */
  readonly interfaceIndex: number;
}

/** Payload of RTM_GETROUTE for one address; the answer is RTM_NEWROUTE, or ENETUNREACH and the like. */
export function encodeRouteRequest(address: Address): Uint8Array {
  const writer = new Writer();
  const family = familyOf(address);
  const dstLen = addressBits(family);
  rtmsg.write(writer, {
    family: family === 4 ? AF_INET : AF_INET6,
    dstLen,
    srcLen: 0,
    tos: 0,
    table: 0,
    protocol: 0,
    scope: 0,
    type: 0,
  });
  writeAttribute(writer, RTA_DST, address);
  return writer.finish();
}

/** Payload of RTM_NEWROUTE. @throws {DecodeError} */
export function decodeRoute(body: Uint8Array): Route {
  const { head, attributes } = readBody(body, rtmsg);
  const type = Object.entries(ROUTE_TYPES).find(([, value]) => value === head.type)?.[0] ?? `${head.type}`;
  return { type, interfaceIndex: readIndex(attributes) };
}

function readIndex(attributes: NetlinkAttributes): number {
  const value = attributes.get(RTA_OIF);
  return value === undefined ? 0 : new Reader(value, "RTA_OIF").u32();
}
