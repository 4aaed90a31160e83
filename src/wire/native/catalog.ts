/**
 * The bytes of the native protocol's messages: one table gives number, critical bit, bounds, encoder and decoder.
 *
 * A message is u16be type (bit 15: receivers that do not know it close the session), u16be length of the body,
 * body. Messages follow each other in the payload of a frame.
 */

import { DecodeError, PeerError } from "../../errors.ts";
import { bytes } from "../../layout/layout.ts";
import { Reader } from "../../layout/reader.ts";
import { Writer } from "../../layout/writer.ts";
import type { Address } from "../../record/address.ts";
import {
  block,
  byte,
  choice,
  counter,
  digest32,
  fixed,
  flag,
  list,
  short,
  struct,
  text,
  type WireField,
  type WireFields,
  word,
} from "./fields.ts";
import { type BucketList, DEMOTION_CAUSES, type Message, type Purpose, PURPOSES } from "./message.ts";

/** The sender's next frame uses its next key. Made and taken by the session, never seen outside of it. */
export interface Rekey {
  readonly type: "rekey";
}

/** What a frame can hold. */
export type WireMessage = Message | Rekey;
type TypeName = WireMessage["type"];
type OfType<T extends TypeName> = Extract<WireMessage, { readonly type: T }>;
type BodyOf<T extends TypeName> = Omit<OfType<T>, "type">;

/** Greatest payload of a Noise frame: 65535 bytes less the tag. */
export const MAX_PAYLOAD_BYTES = 65535 - 16;

const HEADER_BYTES = 4;
const MAX_BODY_BYTES = MAX_PAYLOAD_BYTES - HEADER_BYTES;
const MAX_CONTENT_BYTES = 0xe000;
const MAX_VOLATILE_BYTES = 0x1000;
const MAX_IDENTITY_BYTES = 0x200;
const MAX_REASON_BYTES = 0x200;

/** Most identities in one WANT; more are asked for by more messages. */
export const MAX_WANTED = 64;
/** Most buckets in one DIGESTS. */
export const MAX_BUCKETS = 4096;
/** Most bytes of all lists of one BUCKETS or WANT RECORDS, at 4 for each bucket and each record, narrow or not. */
export const MAX_LISTS_BYTES = 0xe000;
/** Most lines in one PREMISES, and the longest. */
export const MAX_LINES = 64;
const MAX_LINE_BYTES = 0x200;
/** Most addresses in HELLO. */
export const MAX_ADDRESSES = 256;

const CRITICAL = 0x8000;

interface Entry<B> {
  readonly number: number;
  readonly critical: boolean;
  readonly body: WireField<B>;
}

function critical<B extends object>(number: number, fields: WireFields<B>): Entry<B> {
  return { number, critical: true, body: struct(fields) };
}

function advisory<B extends object>(number: number, fields: WireFields<B>): Entry<B> {
  return { number, critical: false, body: struct(fields) };
}

const kind = choice(["sa", "policy"]);
const id16 = fixed(bytes(16));
const identity = block(MAX_IDENTITY_BYTES);
const reason = text(MAX_REASON_BYTES);

/** u8 length, then 4 or 16 bytes. */
const address: WireField<Address> = {
  minBytes: 5,
  maxBytes: 17,
  read(reader) {
    const length = reader.u8();
    if (length !== 4 && length !== 16) throw new DecodeError(reader.struct, `address of ${length} bytes`);
    return reader.bytes(length).slice();
  },
  write(writer, value) {
    if (value.length !== 4 && value.length !== 16) {
      throw new RangeError(`Cannot write an address of ${value.length} bytes`);
    }
    writer.u8(value.length).bytes(value);
  },
};

const purpose = choice(PURPOSES);

/** u8 purpose, then the other members: it says how wide their digests are. */
function comparison<B extends { readonly purpose: Purpose }>(
  fieldsOf: (digest: WireField<number>) => WireFields<Omit<B, "purpose">>,
): WireField<B> {
  const [narrow, wide] = [struct(fieldsOf(short)), struct(fieldsOf(digest32))];
  const rest = (of: Purpose) => of === "join" ? narrow : wide;
  return {
    minBytes: purpose.minBytes + narrow.minBytes,
    maxBytes: purpose.maxBytes + wide.maxBytes,
    read(reader) {
      const of = purpose.read(reader);
      return { purpose: of, ...rest(of).read(reader) } as B; // the purpose and all others
    },
    write(writer, value) {
      purpose.write(writer, value.purpose);
      rest(value.purpose).write(writer, value);
    },
  };
}

/** BUCKETS and WANT RECORDS. Many short lists or a few long ones: together they fit. */
const lists = comparison<BodyOf<"buckets">>((digest) => {
  const bucketList = struct<BucketList>({ bucket: short, digests: list(digest, MAX_LISTS_BYTES / 4) });
  return {
    bits: byte,
    first: short,
    count: short,
    lists: { ...list(bucketList, MAX_BUCKETS), maxBytes: MAX_LISTS_BYTES + 2 },
  };
});

/** Every message of the protocol. */
export const CATALOG: { readonly [T in TypeName]: Entry<BodyOf<T>> } = {
  hello: critical(1, {
    revision: short,
    nodeId: id16,
    capabilities: word,
    settingsDigest: id16,
    os: text(64),
    addresses: list(address, MAX_ADDRESSES),
  }),
  state: critical(2, {
    role: choice(["INIT", "SLAVE", "MASTER", "FAIL"]),
    epoch: counter,
    greatestEpoch: counter,
    master: id16,
    following: flag,
    demotion: choice(DEMOTION_CAUSES),
  }),
  "snapshot-begin": critical(3, { change: counter, epoch: counter }),
  "snapshot-end": critical(4, { change: counter, count: counter, digest: id16 }),
  put: critical(5, {
    change: counter,
    kind,
    rank: counter,
    content: block(MAX_CONTENT_BYTES),
    volatile: block(MAX_VOLATILE_BYTES),
  }),
  delete: critical(6, { change: counter, kind, identity }),
  flush: critical(7, { change: counter, kind, selector: byte }),
  counters: advisory(8, { identity, volatile: block(MAX_VOLATILE_BYTES) }),
  want: critical(9, { identities: list(struct({ kind, identity }), MAX_WANTED) }),
  ack: critical(10, { change: counter }),
  refused: advisory(11, { kind, identity, reason }),
  rekey: critical(12, {}),
  ping: critical(13, { token: counter }),
  pong: advisory(14, { token: counter }),
  bye: advisory(15, { reason }),
  digests: {
    number: 16,
    critical: true,
    body: comparison((digest) => ({
      counted: counter,
      bits: byte,
      first: short,
      digests: list(digest, MAX_BUCKETS),
    })),
  },
  buckets: { number: 17, critical: true, body: lists },
  "want-records": { number: 18, critical: true, body: lists },
  "catch-up": critical(19, { change: counter, epoch: counter }),
  counted: advisory(20, { serial: counter }),
  "ask-premises": advisory(21, {}),
  premises: advisory(22, { lines: list(text(MAX_LINE_BYTES), MAX_LINES), last: flag }),
};

const byNumber = new Map(
  Object.entries(CATALOG).map(([type, entry]) => [entry.number, { type, ...entry }]),
);

checkCatalog();

/** One payload is filled after the other. */
const payload = new Writer("big", MAX_PAYLOAD_BYTES);

/** One message is encoded after the other. */
const scratch = new Writer("big", MAX_PAYLOAD_BYTES);

/** One message with its header. @throws {RangeError} when a member does not fit. */
export function encodeMessage(message: WireMessage): Uint8Array {
  writeMessage(scratch.clear(), message);
  return scratch.finish();
}

function writeMessage(writer: Writer, message: WireMessage): void {
  // The table has for each type the codec of its body; the compiler cannot follow that through the lookup.
  const { number, critical, body } = CATALOG[message.type] as Entry<WireMessage>;
  writer.u16be((critical ? CRITICAL : 0) | number).u16be(0);
  body.write(writer, message);
  writer.patch(2, "u16be", writer.length - HEADER_BYTES);
}

/**
 * Payloads of frames with all `messages` in their order, each payload at most `maxBytes` long unless a single
 * message is longer.
 *
 * @throws {RangeError} when a member of a message does not fit.
 */
export function encodeMessages(messages: Iterable<WireMessage>, maxBytes: number): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  const writer = payload.clear();
  for (const message of messages) {
    writeMessage(scratch.clear(), message);
    if (writer.length > 0 && writer.length + scratch.length > maxBytes) {
      payloads.push(writer.finish());
      writer.clear();
    }
    writer.bytes(scratch.viewFrom(0));
  }
  if (writer.length > 0) payloads.push(writer.finish());
  return payloads;
}

/**
 * The messages of one frame's payload; unknown ones without the critical bit are left out.
 *
 * @throws {DecodeError} when one is malformed.
 * @throws {PeerError} when one is critical and unknown.
 */
export function decodeMessages(payload: Uint8Array): WireMessage[] {
  const reader = new Reader(payload, "message", "big");
  const messages: WireMessage[] = [];
  while (reader.remaining > 0) {
    const message = decodeMessage(reader);
    if (message !== undefined) messages.push(message);
  }
  return messages;
}

function decodeMessage(reader: Reader): WireMessage | undefined {
  const head = reader.u16be();
  const length = reader.u16be();
  const number = head & ~CRITICAL;
  const entry = byNumber.get(number);
  if (entry === undefined) {
    if ((head & CRITICAL) !== 0) throw new PeerError(`Unknown critical message ${number}`);
    reader.skip(length);
    return undefined;
  }
  const { type, critical, body } = entry;
  if (critical !== ((head & CRITICAL) !== 0)) throw new DecodeError(type, "critical bit is wrong");
  if (length < body.minBytes || length > body.maxBytes) {
    throw new DecodeError(type, `body of ${length} bytes`);
  }
  return { type, ...reader.within(length, type, body) } as WireMessage; // the entry's codec gives the members of that type
}

function checkCatalog(): void {
  const entries = Object.entries(CATALOG);
  if (byNumber.size !== entries.length) throw new RangeError("Catalog: message number used twice");
  for (const [type, { body }] of entries) {
    if (body.maxBytes > MAX_BODY_BYTES) throw new RangeError(`Catalog: ${type} can be longer than a frame`);
  }
}
