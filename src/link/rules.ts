/** Routing rules `from ADDRESS unreachable` (ip-rule(8)) over NETLINK_ROUTE: the guard's means on Linux. */

import {
  attributeHead,
  type NetlinkAttributes,
  readBody,
  writeAttribute,
  writeAttributeU32,
} from "../layout/netlink.ts";
import { Layout, pad, u32, u8 } from "../layout/layout.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";
import { type Address, addressBits, familyOf } from "../record/address.ts";

export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;

const FRA_SRC = 2;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_FWMASK = 16;
const FRA_PROTOCOL = 21;
/** Packets that match are dropped with ENETUNREACH. */
const FR_ACT_UNREACHABLE = 7;
const AF_INET = 2;
const AF_INET6 = 10;

/**
 * Whose rule it is (`ip rule` shows `proto 83`), so that what a dead daemon has left is found. No routing daemon
 * of iproute2's rt_protos has this number.
 */
const RTPROT_SASYNCD = 83;

/** Comes after the rule for local addresses (0) and before any that administrators make (from 32765 down). */
const PRIORITY = 1;

/** `struct fib_rule_hdr`, 12 bytes. */
const fibRuleHdr = new Layout("fib_rule_hdr", 12, {
  family: u8,
  dstLen: u8,
  srcLen: u8,
  tos: u8,
  table: u8,
  reserved: pad(2),
  action: u8,
  flags: u32,
});

/** A rule of the guard's. */
export interface GuardRule {
  /** Packets from here stay in. */
  readonly address: Address;
  /** Which daemon's it is, 32 bits, not 0: a mark that is compared under the mask 0 fits every packet. */
  readonly owner: number;
}

/** Payload of RTM_NEWRULE and RTM_DELRULE for a rule of the guard's. */
export function encodeGuardRule({ address, owner }: GuardRule): Uint8Array {
  const writer = new Writer(undefined, 64);
  const family = familyOf(address);
  fibRuleHdr.write(writer, {
    family: family === 4 ? AF_INET : AF_INET6,
    dstLen: 0,
    srcLen: addressBits(family),
    tos: 0,
    table: 0,
    action: FR_ACT_UNREACHABLE,
    flags: 0,
  });
  writeAttribute(writer, FRA_SRC, address);
  writeAttributeU32(writer, FRA_PRIORITY, PRIORITY);
  writeAttributeU32(writer, FRA_FWMARK, owner);
  writeAttributeU32(writer, FRA_FWMASK, 0);
  attributeHead(writer, FRA_PROTOCOL, 1).u8(RTPROT_SASYNCD).align(4);
  return writer.finish();
}

/** Payload of RTM_GETRULE that dumps the rules of a family. */
export function encodeRuleDump(family: 4 | 6): Uint8Array {
  return new Writer().u8(family === 4 ? AF_INET : AF_INET6).zeros(fibRuleHdr.size - 1).finish();
}

/**
 * Looks whether a dumped rule is one of the guard's.
 *
 * @returns the rule; undefined for the rule of somebody else.
 * @throws {DecodeError} when the bytes have not the shape that the kernel gives them.
 */
export function decodeGuardRule(body: Uint8Array): GuardRule | undefined {
  const { head, attributes } = readBody(body, fibRuleHdr);
  const source = attributes.get(FRA_SRC);
  const own = head.action === FR_ACT_UNREACHABLE && readProtocol(attributes) === RTPROT_SASYNCD;
  if (!own || source?.length !== 4 && source?.length !== 16) return undefined;
  return { address: source.slice(), owner: readU32(attributes, FRA_FWMARK) };
}

function readProtocol(attributes: NetlinkAttributes): number {
  const value = attributes.get(FRA_PROTOCOL);
  return value === undefined ? 0 : new Reader(value, "FRA_PROTOCOL").u8();
}

function readU32(attributes: NetlinkAttributes, type: number): number {
  const value = attributes.get(type);
  return value === undefined ? 0 : new Reader(value, "rule attribute").u32();
}
