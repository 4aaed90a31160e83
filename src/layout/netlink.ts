/**
 * Netlink framing: messages in a datagram, attributes in a message, acknowledgements. Shared by `src/xfrm` and
 * `src/link`. Everything is in host order and aligned to 4 bytes (linux/netlink.h).
 */

import { DecodeError } from "../errors.ts";
import { Layout, u16, u32 } from "./layout.ts";
import { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_MULTI = 0x2;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
/** Of requests that make something. */
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
/** Flags of an NLMSG_ERROR message: the request's payload is left out; text follows. */
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

const NLMSGERR_ATTR_MSG = 1;
const NLA_TYPE_MASK = 0x3fff;
const ALIGNMENT = 4;

/** `struct nlmsghdr`, 16 bytes. `len` counts the header. */
export const nlmsghdr = new Layout("nlmsghdr", 16, { len: u32, type: u16, flags: u16, seq: u32, pid: u32 });

/** What a header says of its message. */
export interface NetlinkHead {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  /** Port id of whom the message answers or whose request caused it. */
  readonly pid: number;
}

/** One message; `body` is a view of the datagram. */
export interface NetlinkMessage extends NetlinkHead {
  readonly body: Uint8Array;
}

/** How the kernel ended a request: 0 or a positive errno, and what it says of it (often nothing). */
export interface NetlinkVerdict {
  readonly errno: number;
  readonly text: string;
}

/** Attributes by type, the flag bits of the type cleared; values are views. The last of a type counts. */
export type NetlinkAttributes = ReadonlyMap<number, Uint8Array>;

/** The messages of a datagram. @throws {DecodeError} when a stated length does not fit. */
export function splitDatagram(datagram: Uint8Array): NetlinkMessage[] {
  const reader = new Reader(datagram, nlmsghdr.name);
  const messages: NetlinkMessage[] = [];
  while (reader.remaining > 0) {
    const { len, type, flags, seq, pid } = nlmsghdr.read(reader);
    if (len < nlmsghdr.size) throw new DecodeError(nlmsghdr.name, `length ${len}`);
    messages.push({ type, flags, seq, pid, body: reader.bytes(len - nlmsghdr.size) });
    reader.align(ALIGNMENT);
  }
  return messages;
}

/**
 * What an NLMSG_ERROR message says (`struct nlmsgerr`: i32 error, 0 or a negative errno; the request's header;
 * its payload unless capped; attributes). An acknowledgement is errno 0.
 *
 * @throws {DecodeError}
 */
export function readVerdict({ flags, body }: NetlinkMessage): NetlinkVerdict {
  const reader = new Reader(body, "nlmsgerr");
  const errno = -reader.i32();
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, text: "" };
  const request = nlmsghdr.read(reader);
  if ((flags & NLM_F_CAPPED) === 0) {
    reader.skip(request.len - nlmsghdr.size);
    reader.align(ALIGNMENT);
  }
  const text = readAttributes(reader.rest(), "nlmsgerr").get(NLMSGERR_ATTR_MSG);
  return { errno, text: text === undefined ? "" : printable(text) };
}

/** The errno that an NLMSG_DONE message carries, 0 when all went well. @throws {DecodeError} */
export function readDone({ body }: NetlinkMessage): number {
  return body.length === 0 ? 0 : -new Reader(body, "NLMSG_DONE").i32();
}

/** The attributes that fill `bytes`. @throws {DecodeError} naming `struct` when a stated length does not fit. */
export function readAttributes(bytes: Uint8Array, struct: string): NetlinkAttributes {
  const reader = new Reader(bytes, struct);
  const attributes = new Map<number, Uint8Array>();
  while (reader.remaining > 0) {
    const length = reader.u16();
    const type = reader.u16() & NLA_TYPE_MASK;
    if (length < 4) throw new DecodeError(struct, `attribute ${type} has length ${length}`);
    attributes.set(type, reader.bytes(length - 4));
    reader.align(ALIGNMENT);
  }
  return attributes;
}

/** A fixed struct at the front of `body` and the attributes behind it. @throws {DecodeError} */
export function readBody<T>(
  body: Uint8Array,
  layout: { readonly name: string; read(reader: Reader): T },
): { head: T; attributes: NetlinkAttributes } {
  const reader = new Reader(body, layout.name);
  const head = layout.read(reader);
  reader.align(ALIGNMENT);
  return { head, attributes: readAttributes(reader.rest(), layout.name) };
}

/** Appends one message. @throws {RangeError} when a field does not fit. */
export function writeMessage(writer: Writer, head: NetlinkHead, body: Uint8Array): void {
  nlmsghdr.write(writer, { len: nlmsghdr.size + body.length, ...head });
  writer.bytes(body).align(ALIGNMENT);
}

/** Appends an attribute with these bytes as value. @throws {RangeError} when it is too long. */
export function writeAttribute(writer: Writer, type: number, value: Uint8Array): void {
  attributeHead(writer, type, value.length).bytes(value).align(ALIGNMENT);
}

/** Appends an attribute with a u32 value. */
export function writeAttributeU32(writer: Writer, type: number, value: number): void {
  attributeHead(writer, type, 4).u32(value);
}

/** Begins an attribute whose `length` bytes of value the caller appends, a multiple of 4 in all. */
export function attributeHead(writer: Writer, type: number, length: number): Writer {
  return writer.u16(4 + length).u16(type);
}

function printable(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  const text = new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  return text.replaceAll(/\p{Cc}/gu, "?");
}
