/** Interfaces and their addresses over NETLINK_ROUTE (rtnetlink(7)): by them a Linux gateway sees that it is master. */

import { Layout, pad, u16, u32, u8 } from "../layout/layout.ts";
import { type NetlinkAttributes, readBody, writeAttribute } from "../layout/netlink.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import type { Address } from "../record/address.ts";

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;

export const RTNLGRP_LINK = 1;
export const RTNLGRP_IPV4_IFADDR = 5;
export const RTNLGRP_IPV6_IFADDR = 9;

/** Flags of an address: it is another host's, and it is not yet known whether it is. */
export const IFA_F_DADFAILED = 0x08;
export const IFA_F_TENTATIVE = 0x40;

const IFLA_IFNAME = 3;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const AF_INET = 2;
const AF_INET6 = 10;

/** Switched on by the administrator, and able to send (linux/if.h). */
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;

/** `struct ifinfomsg`, 16 bytes. */
export const ifinfomsg = new Layout("ifinfomsg", 16, {
  family: u8,
  reserved: pad(1),
  type: u16,
  index: u32,
  flags: u32,
  change: u32,
});

/** `struct ifaddrmsg`, 8 bytes. */
export const ifaddrmsg = new Layout("ifaddrmsg", 8, {
  family: u8,
  prefixLen: u8,
  flags: u8,
  scope: u8,
  index: u32,
});

/** An interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  /** It has a carrier, or is of a kind that has none (dummy, loopback). */
  readonly isRunning: boolean;
}

/** An address of an interface. */
export interface LinkAddress {
  readonly index: number;
  readonly address: Address;
  /** IFA_F_*. */
  readonly flags: number;
}

/** Payload of RTM_NEWLINK and RTM_DELLINK. @throws {DecodeError} */
export function decodeLink(body: Uint8Array): Link {
  const { head: { index, flags }, attributes } = readBody(body, ifinfomsg);
  const name = readText(attributes.get(IFLA_IFNAME));
  return { index, name, isUp: (flags & IFF_UP) !== 0, isRunning: (flags & IFF_RUNNING) !== 0 };
}

/**
 * Payload of RTM_NEWADDR and RTM_DELADDR.
 *
 * @returns undefined for an address that is neither IPv4 nor IPv6.
 * @throws {DecodeError}
 */
export function decodeLinkAddress(body: Uint8Array): LinkAddress | undefined {
  const { head, attributes } = readBody(body, ifaddrmsg);
  const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS); // IFA_ADDRESS may be the other end's
  if (address?.length !== 4 && address?.length !== 16) return undefined;
  return { index: head.index, address: address.slice(), flags: readFlags(attributes) ?? head.flags };
}

/** Payload of RTM_GETLINK for one interface; the answer is RTM_NEWLINK, or ENODEV. */
export function encodeLinkRequest(name: string): Uint8Array {
  const writer = new Writer().zeros(ifinfomsg.size);
  writeAttribute(writer, IFLA_IFNAME, new TextEncoder().encode(`${name}\0`));
  return writer.finish();
}

/** Payload of RTM_GETADDR that dumps the addresses of a family, of all interfaces. */
export function encodeAddressDump(family: 4 | 6): Uint8Array {
  return new Writer().u8(family === 4 ? AF_INET : AF_INET6).zeros(ifaddrmsg.size - 1).finish();
}

/** All flags; those of `ifaddrmsg` have only 8 bits. */
function readFlags(attributes: NetlinkAttributes): number | undefined {
  const value = attributes.get(IFA_FLAGS);
  return value === undefined ? undefined : new Reader(value, "IFA_FLAGS").u32();
}

function readText(value: Uint8Array | undefined): string {
  const end = value?.indexOf(0) ?? 0;
  return new TextDecoder().decode(end < 0 ? value : value?.subarray(0, end));
}
