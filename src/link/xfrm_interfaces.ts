/** Interfaces of kind xfrm (ip-link(8)) over NETLINK_ROUTE: policies and SAs belong to them by a number. */

import { type NetlinkAttributes, readAttributes, readBody } from "../layout/netlink.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import { decodeLink, ifinfomsg } from "./interfaces.ts";

const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_XFRM_IF_ID = 2;

/** One of them. */
export interface XfrmInterface {
  readonly name: string;
  readonly isUp: boolean;
  /** What `if_id` of policies and SAs refers to. */
  readonly interfaceId: number;
}

/** Payload of RTM_GETLINK that dumps all interfaces. */
export function encodeLinkDump(): Uint8Array {
  return new Writer().zeros(ifinfomsg.size).finish();
}

/** Payload of RTM_NEWLINK. @returns undefined for interfaces of another kind. @throws {DecodeError} */
export function decodeXfrmInterface(body: Uint8Array): XfrmInterface | undefined {
  const info = nested(readBody(body, ifinfomsg).attributes, IFLA_LINKINFO);
  const kind = new TextDecoder().decode(info?.get(IFLA_INFO_KIND)).replace(/\0.*$/s, "");
  if (info === undefined || kind !== "xfrm") return undefined;
  const id = nested(info, IFLA_INFO_DATA)?.get(IFLA_XFRM_IF_ID);
  const { name, isUp } = decodeLink(body);
  return { name, isUp, interfaceId: id === undefined ? 0 : new Reader(id, "IFLA_XFRM_IF_ID").u32() };
}

function nested(attributes: NetlinkAttributes, type: number): NetlinkAttributes | undefined {
  const value = attributes.get(type);
  return value === undefined ? undefined : readAttributes(value, "rtattr");
}
