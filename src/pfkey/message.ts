/**
 * PF_KEY framing (RFC 2367): the header, messages in a buffer, extensions in a message. Lengths count words of 64
 * bits and include the header they stand in. Shared by all dialects.
 */

import { DecodeError } from "../errors.ts";
import type { ByteOrder } from "../layout/byte_order.ts";
import { Layout, pad, u16, u32, u8 } from "../layout/layout.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";

/** What a kernel's messages depend on besides its dialect's numbers. Word size does not matter: all members are fixed. */
export interface Platform {
  /** Byte order of host-order members. */
  readonly order: ByteOrder;
  /** Whether `struct sockaddr` begins with its own length (the BSDs), which the kernel checks. */
  readonly saLen: boolean;
  /** AF_INET6: 10 Linux, 24 OpenBSD and NetBSD, 28 FreeBSD. AF_INET is 2 everywhere. */
  readonly afInet6: number;
}

export const PF_KEY_V2 = 2;
/** The unit of lengths, and what extensions are padded to, in bytes. */
export const WORD_BYTES = 8;

/** `struct sadb_msg`, 16 bytes. Kernels keep a reference count in `reserved`: not read. */
export const sadbMsg = new Layout("sadb_msg", 16, {
  version: u8,
  type: u8,
  errno: u8,
  satype: u8,
  lenWords: u16,
  reserved: pad(2),
  seq: u32,
  pid: u32,
});

/** `struct sadb_ext`, 4 bytes: what every extension begins with. */
export const sadbExt = new Layout("sadb_ext", 4, { lenWords: u16, type: u16 });

/** What a header says of its message. */
export interface PfkeyHead {
  readonly type: number;
  /** 0, or an error number of the system that the message comes from. */
  readonly errno: number;
  readonly satype: number;
  readonly seq: number;
  readonly pid: number;
}

/** One message; `body` is a view of what follows the header: extensions, or a whole message (X_PROMISC). */
export interface PfkeyMessage extends PfkeyHead {
  readonly body: Uint8Array;
}

/** Extensions by type, each whole with its header, in their order; values are views. */
export type Extensions = ReadonlyMap<number, Uint8Array>;

/** The one message that fills `bytes`. @throws {DecodeError} when the header or the stated length is wrong. */
export function decodeMessage(bytes: Uint8Array, { order }: Platform): PfkeyMessage {
  const reader = new Reader(bytes, sadbMsg.name, order);
  const message = readMessage(reader);
  reader.end();
  return message;
}

/** Messages one after the other, as sysctl(2) dumps them. @throws {DecodeError} */
export function splitMessages(bytes: Uint8Array, { order }: Platform): PfkeyMessage[] {
  const reader = new Reader(bytes, sadbMsg.name, order);
  const messages: PfkeyMessage[] = [];
  while (reader.remaining > 0) messages.push(readMessage(reader));
  return messages;
}

function readMessage(reader: Reader): PfkeyMessage {
  const { version, lenWords, ...head } = sadbMsg.read(reader);
  if (version !== PF_KEY_V2) throw new DecodeError(sadbMsg.name, `version ${version}`);
  const length = lenWords * WORD_BYTES - sadbMsg.size;
  if (length < 0) throw new DecodeError(sadbMsg.name, `length of ${lenWords} words`);
  return { ...head, body: reader.bytes(length) };
}

/** The extensions that fill a message's body. @throws {DecodeError} for a wrong length or two of a type. */
export function readExtensions(body: Uint8Array, { order }: Platform): Extensions {
  const reader = new Reader(body, sadbExt.name, order);
  const extensions = new Map<number, Uint8Array>();
  while (reader.remaining > 0) {
    const start = reader.offset;
    const { lenWords, type } = sadbExt.read(reader);
    if (lenWords === 0) throw new DecodeError(sadbExt.name, `extension ${type} has length 0`);
    if (extensions.has(type)) throw new DecodeError(sadbExt.name, `extension ${type} is there twice`);
    reader.skip(lenWords * WORD_BYTES - sadbExt.size);
    extensions.set(type, body.subarray(start, reader.offset));
  }
  return extensions;
}

/** A message with these extensions (`extensions` is the body that `ExtensionWriter` made). @throws {RangeError} */
export function encodeMessage(
  head: Omit<PfkeyHead, "errno">,
  extensions: Uint8Array,
  { order }: Platform,
): Uint8Array<ArrayBuffer> {
  const lengthBytes = sadbMsg.size + extensions.length;
  const writer = new Writer(order, lengthBytes);
  sadbMsg.write(writer, { version: PF_KEY_V2, errno: 0, lenWords: lengthBytes / WORD_BYTES, ...head });
  return writer.bytes(extensions).finish();
}

/** Puts a message's body together. */
export class ExtensionWriter {
  readonly #writer: Writer;

  constructor(readonly platform: Platform) {
    this.#writer = new Writer(platform.order, 512);
  }

  /** Appends an extension; `write` writes all of it, four bytes (padding) for its header first. @throws {RangeError} */
  add(type: number, write: (writer: Writer) => void): this {
    const start = this.#writer.length;
    write(this.#writer);
    this.#writer.align(WORD_BYTES);
    this.#writer.patch(start, "u16", (this.#writer.length - start) / WORD_BYTES);
    this.#writer.patch(start + 2, "u16", type);
    return this;
  }

  /** The body so far, a copy. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#writer.finish();
  }
}
