/**
 * vici, the control protocol of strongSwan's charon (README.md of its vici plugin): packets of a type, a name and a
 * message, in frames on a Unix stream socket. A message is a tree of sections, lists and values; all integers are in
 * network order. Used by the control of strongSwan.
 */

import { DecodeError } from "../errors.ts";
import { concat } from "../layout/concat.ts";
import { Reader } from "../layout/reader.ts";
import { Writer } from "../layout/writer.ts";

/** A value as text (charon sends no other), a list of values, or a section within. */
export type ViciValue = string | readonly string[] | ViciSection;

/** Values by name. Of two with one name the later one counts. */
export type ViciSection = ReadonlyMap<string, ViciValue>;

export const CMD_REQUEST = 0;
export const CMD_RESPONSE = 1;
export const CMD_UNKNOWN = 2;
export const EVENT_REGISTER = 3;
export const EVENT_UNREGISTER = 4;
export const EVENT_CONFIRM = 5;
export const EVENT_UNKNOWN = 6;
export const EVENT = 7;

/** A packet; `name` and `message` are empty where its type has none. */
export interface ViciPacket {
  readonly type: number;
  readonly name: string;
  readonly message: ViciSection;
}

/** What follows the type of each packet. */
const SHAPES: Readonly<Record<number, { readonly hasName: boolean; readonly hasMessage: boolean }>> = {
  [CMD_REQUEST]: { hasName: true, hasMessage: true },
  [CMD_RESPONSE]: { hasName: false, hasMessage: true },
  [CMD_UNKNOWN]: { hasName: false, hasMessage: false },
  [EVENT_REGISTER]: { hasName: true, hasMessage: false },
  [EVENT_UNREGISTER]: { hasName: true, hasMessage: false },
  [EVENT_CONFIRM]: { hasName: false, hasMessage: false },
  [EVENT_UNKNOWN]: { hasName: false, hasMessage: false },
  [EVENT]: { hasName: true, hasMessage: true },
};

const SECTION_START = 1;
const SECTION_END = 2;
const KEY_VALUE = 3;
const LIST_START = 4;
const LIST_ITEM = 5;
const LIST_END = 6;

const LENGTH_BYTES = 4;

const text = new TextDecoder("utf-8", { ignoreBOM: true });
const bytesOf = new TextEncoder();

/** The longest frame that charon sends or takes, without its length. */
export const MAX_VICI_FRAME = 512 * 1024;

/** @throws {RangeError} when a name is longer than 255 bytes, a value longer than 65535, or the type is none. */
export function encodeViciPacket({ type, name, message }: ViciPacket): Uint8Array {
  const shape = SHAPES[type];
  if (shape === undefined) throw new RangeError(`Cannot encode a vici packet of type ${type}`);
  const writer = new Writer("big").u32be(0).u8(type);
  if (shape.hasName) writeName(writer, name);
  if (shape.hasMessage) writeSection(writer, message);
  writer.patch(0, "u32be", writer.length - LENGTH_BYTES);
  return writer.finish();
}

function writeSection(writer: Writer, section: ViciSection): void {
  for (const [name, value] of section) {
    if (typeof value === "string") {
      writeName(writer.u8(KEY_VALUE), name);
      writeValue(writer, value);
    } else if (isList(value)) {
      writeName(writer.u8(LIST_START), name);
      for (const item of value) writeValue(writer.u8(LIST_ITEM), item);
      writer.u8(LIST_END);
    } else {
      writeName(writer.u8(SECTION_START), name);
      writeSection(writer, value);
      writer.u8(SECTION_END);
    }
  }
}

function isList(value: readonly string[] | ViciSection): value is readonly string[] {
  return Array.isArray(value);
}

function writeName(writer: Writer, name: string): void {
  const bytes = bytesOf.encode(name);
  writer.u8(bytes.length).bytes(bytes);
}

function writeValue(writer: Writer, value: string): void {
  const bytes = bytesOf.encode(value);
  writer.u16be(bytes.length).bytes(bytes);
}

/** @param frame without its length. @throws {DecodeError} */
export function decodeViciPacket(frame: Uint8Array): ViciPacket {
  const reader = new Reader(frame, "vici packet", "big");
  const type = reader.u8();
  const shape = SHAPES[type];
  if (shape === undefined) throw new DecodeError("vici packet", `type ${type} is unknown`);
  const name = shape.hasName ? readName(reader) : "";
  const message = shape.hasMessage ? readMessage(reader) : new Map();
  reader.end();
  return { type, name, message };
}

/** Reads to the end. Without recursion, for sections can be nested a hundred thousand deep in one frame. */
function readMessage(reader: Reader): ViciSection {
  const root = new Map<string, ViciValue>();
  const open = [root];
  while (reader.remaining > 0) {
    const section = open.at(-1);
    const type = reader.u8();
    if (section === undefined) throw new DecodeError("vici message", "a section ends that has not begun");
    if (type === KEY_VALUE) section.set(readName(reader), readValue(reader));
    else if (type === LIST_START) section.set(readName(reader), readList(reader));
    else if (type === SECTION_END) open.pop();
    else if (type === SECTION_START) {
      const inner = new Map<string, ViciValue>();
      section.set(readName(reader), inner);
      open.push(inner);
    } else throw new DecodeError("vici message", `element ${type} cannot stand in a section`);
  }
  if (open.length !== 1) throw new DecodeError("vici message", "sections do not end as often as they begin");
  return root;
}

function readList(reader: Reader): readonly string[] {
  const items: string[] = [];
  for (let type = reader.u8(); type !== LIST_END; type = reader.u8()) {
    if (type !== LIST_ITEM) throw new DecodeError("vici message", `element ${type} cannot stand in a list`);
    items.push(readValue(reader));
  }
  return items;
}

function readName(reader: Reader): string {
  return text.decode(reader.bytes(reader.u8()));
}

function readValue(reader: Reader): string {
  return text.decode(reader.bytes(reader.u16be()));
}

/** Cuts the stream into frames: u32be length, then that many bytes. Holds one unfinished frame. */
export class ViciFrames {
  #bytes = new Uint8Array(0);

  /** Appends bytes of the stream; they are copied. */
  push(chunk: Uint8Array): void {
    this.#bytes = concat(this.#bytes, chunk);
  }

  /**
   * The next frame without its length; undefined: it has not arrived in full.
   *
   * @throws {DecodeError} as soon as a length is seen that no frame has.
   */
  next(): Uint8Array | undefined {
    if (this.#bytes.length < LENGTH_BYTES) return undefined;
    const length = new Reader(this.#bytes, "vici frame", "big").u32be();
    if (length === 0 || length > MAX_VICI_FRAME) {
      throw new DecodeError("vici frame", `${length} bytes long: 1 to ${MAX_VICI_FRAME} are legal`);
    }
    const end = LENGTH_BYTES + length;
    if (this.#bytes.length < end) return undefined;
    const frame = this.#bytes.subarray(LENGTH_BYTES, end);
    this.#bytes = this.#bytes.subarray(end);
    return frame;
  }
}
