import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError, PeerError } from "../../../src/errors.ts";
import {
  CATALOG,
  decodeMessages,
  encodeMessage,
  encodeMessages,
  MAX_PAYLOAD_BYTES,
  type WireMessage,
} from "../../../src/wire/native/catalog.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { addr } from "../../fakes/records.ts";
import { MESSAGE_VECTORS } from "../../vectors/native_vectors.ts";
import { RECORD_VECTORS } from "../../vectors/record_vectors.ts";

const idA = new Uint8Array(16).fill(0xa1);
const idB = new Uint8Array(16).fill(0xb2);
const identity = decodeHex(RECORD_VECTORS.saIdentity);
const policyIdentity = decodeHex(RECORD_VECTORS.policyIdentity);
const volatile = decodeHex(RECORD_VECTORS.saCounters);
const content = decodeHex(RECORD_VECTORS.saSmall);

const vectors: { readonly [K in keyof typeof MESSAGE_VECTORS]: WireMessage } = {
  hello: {
    type: "hello",
    revision: 1,
    nodeId: idA,
    os: "linux",
    capabilities: 0,
    settingsDigest: idB,
    addresses: [addr("192.0.2.1"), addr("2001:db8::1")],
  },
  state: {
    type: "state",
    role: "MASTER",
    epoch: 5,
    greatestEpoch: Number.MAX_SAFE_INTEGER,
    master: idA,
    following: true,
    demotion: "other",
  },
  snapshotBegin: { type: "snapshot-begin", change: 1, epoch: 5 },
  snapshotEnd: { type: "snapshot-end", change: 9, count: 7, digest: idB },
  put: { type: "put", change: 2, kind: "sa", rank: 3, content, volatile },
  delete: { type: "delete", change: 3, kind: "policy", identity: policyIdentity },
  flush: { type: "flush", change: 4, kind: "sa", selector: 50 },
  counters: { type: "counters", identity, volatile },
  want: {
    type: "want",
    identities: [{ kind: "sa", identity }, { kind: "policy", identity: policyIdentity }],
  },
  wantAll: { type: "want", identities: [] },
  ack: { type: "ack", change: 0 },
  refused: { type: "refused", kind: "sa", identity, reason: "no such µ" },
  rekey: { type: "rekey" },
  ping: { type: "ping", token: 77 },
  pong: { type: "pong", token: 77 },
  bye: { type: "bye", reason: "going down" },
  digests: { type: "digests", purpose: "check", counted: 6, bits: 7, first: 64, digests: [1, -2] },
  digestsJoin: { type: "digests", purpose: "join", counted: 6, bits: 7, first: 64, digests: [1, 0xfffe] },
  buckets: {
    type: "buckets",
    purpose: "join",
    bits: 7,
    first: 64,
    count: 2,
    lists: [{ bucket: 65, digests: [0x0102, 0xffff] }, { bucket: 66, digests: [] }],
  },
  bucketsAgain: {
    type: "buckets",
    purpose: "join-again",
    bits: 7,
    first: 64,
    count: 2,
    lists: [{ bucket: 65, digests: [0x01020304, -1] }, { bucket: 66, digests: [] }],
  },
  wantRecords: {
    type: "want-records",
    purpose: "check",
    bits: 7,
    first: 64,
    count: 2,
    lists: [{ bucket: 65, digests: [-1] }],
  },
  catchUp: { type: "catch-up", change: 1, epoch: 5 },
  counted: { type: "counted", serial: 9 },
  askPremises: { type: "ask-premises" },
  premises: { type: "premises", lines: ["file /a: none", ""], last: true },
};

for (const [name, message] of Object.entries(vectors)) {
  const hex = MESSAGE_VECTORS[name as keyof typeof MESSAGE_VECTORS]; // the keys of `vectors`

  Deno.test(`encodeMessage() gives vector ${name}`, () =>
    assertEquals(encodeHex(encodeMessage(message)), hex));

  Deno.test(`decodeMessages() reads vector ${name}`, () =>
    assertEquals(decodeMessages(decodeHex(hex)), [message]));

  Deno.test(`decodeMessages() answers every damage of vector ${name} with a value or a typed error`, () => {
    for (const damaged of damages(decodeHex(hex))) checkAccepted(damaged);
  });
}

Deno.test("MESSAGE_VECTORS has every type of the catalog", () => {
  assertEquals(new Set(Object.values(vectors).map(({ type }) => type)), new Set(Object.keys(CATALOG)));
});

const refused: readonly [string, string, new (what: string, detail: string) => Error, string][] = [
  ["an unknown critical message", "ffff0000", PeerError, "Unknown critical message 32767"],
  ["a wrong critical bit", "000a00080000000000000001", DecodeError, "critical bit"],
  ["a body too short, before it has arrived", "800a0007", DecodeError, "body of 7 bytes"],
  ["a body too long, before it has arrived", "800a0009", DecodeError, "body of 9 bytes"],
  ["a header cut short", "800a00", DecodeError, "need 2 bytes"],
  ["a body cut short", "800a000800", DecodeError, "need 8 bytes"],
  ["a change number above 2^53 - 1", "800a00080020000000000000", DecodeError, "number 9007199254740992"],
  ["an unknown kind", "8007000a00000000000000040232", DecodeError, "no meaning for 2"],
  ["a list longer than its bound", "80090004ffff0000", DecodeError, "list of 65535"],
  [
    "a purpose that there is not",
    "8010000e03000000000000000607000000000000",
    DecodeError,
    "no meaning for 3",
  ],
  [
    "wide digests at a join",
    "801000120000000000000000060700000001 00000001".replace(" ", ""),
    DecodeError,
    "2 bytes left",
  ],
  [
    "narrow digests at a check",
    "801000100100000000000000060700000001 0001".replace(" ", ""),
    DecodeError,
    "need 4 bytes",
  ],
  ["control characters in a reason", "000f00030001 0a".replace(" ", ""), DecodeError, "control"],
  ["bytes behind the last member", "000f0005000161 6262".replace(" ", ""), DecodeError, "2 bytes left over"],
];

for (const [name, hex, kind, text] of refused) {
  Deno.test(`decodeMessages() refuses ${name}`, () => {
    assertThrows(() => decodeMessages(decodeHex(hex)), kind, text);
  });
}

Deno.test("decodeMessages() skips unknown messages without the critical bit", () => {
  const payload = decodeHex(`7fff0003010203${MESSAGE_VECTORS.ping}7ffe0000`);
  assertEquals(decodeMessages(payload), [vectors.ping]);
});

Deno.test("decodeMessages() gives nothing for nothing", () =>
  assertEquals(decodeMessages(new Uint8Array(0)), []));

Deno.test("decodeMessages() owns its bytes", () => {
  const payload = decodeHex(MESSAGE_VECTORS.put);
  const messages = decodeMessages(payload);
  payload.fill(0);
  assertEquals(messages, [vectors.put]);
});

Deno.test("encodeMessages() fills payloads up to the bound, in order", () => {
  const pings = Array.from({ length: 10 }, (_, token): WireMessage => ({ type: "ping", token }));
  const payloads = encodeMessages(pings, 12 * 3 + 1);
  assertEquals(payloads.map((payload) => payload.length), [36, 36, 36, 12]);
  assertEquals(payloads.flatMap(decodeMessages), pings);
});

Deno.test("encodeMessages() gives a long message a payload of its own", () => {
  const long: WireMessage = { ...vectors.put, content: new Uint8Array(0xe000) } as WireMessage; // a put
  const payloads = encodeMessages([vectors.ping, long, vectors.ping], 100);
  assertEquals(payloads.flatMap(decodeMessages), [vectors.ping, long, vectors.ping]);
  assertEquals(payloads.length, 3);
  assertEquals(payloads.every((payload) => payload.length <= MAX_PAYLOAD_BYTES), true);
});

const unwritable: readonly [string, WireMessage][] = [
  ["a change number above 2^53 - 1", { type: "ack", change: 2 ** 53 }],
  ["a change number below 0", { type: "ack", change: -1 }],
  ["a wide digest at a join", { ...vectors.digestsJoin, digests: [0x10000] } as WireMessage], // a digests
  ["a signed digest at a join", { ...vectors.digestsJoin, digests: [-1] } as WireMessage], // a digests
  ["a node id of 15 bytes", { ...vectors.hello, nodeId: new Uint8Array(15) } as WireMessage], // a hello
  ["a content longer than a frame", { ...vectors.put, content: new Uint8Array(0xe001) } as WireMessage], // a put
];

for (const [name, message] of unwritable) {
  Deno.test(`encodeMessage() refuses ${name}`, () => {
    assertThrows(() => encodeMessage(message), RangeError);
  });
}

const reasons: readonly [string, string, string][] = [
  ["turns control characters into spaces", "a\nb\x7f", "a b "],
  ["mends unpaired surrogates", "a\ud800", "a\ufffd"],
  ["cuts what is too long between characters", `${"a".repeat(511)}µ`, "a".repeat(511)],
];

for (const [name, reason, sent] of reasons) {
  Deno.test(`encodeMessage() ${name} in a reason`, () => {
    assertEquals(decodeMessages(encodeMessage({ type: "bye", reason })), [{ type: "bye", reason: sent }]);
  });
}

/** Accepted bytes have one form, but for messages that were skipped. */
function checkAccepted(bytes: Uint8Array): void {
  let encoded: Uint8Array | undefined;
  try {
    [encoded = new Uint8Array(0)] = encodeMessages(decodeMessages(bytes), MAX_PAYLOAD_BYTES);
  } catch (error) {
    if (error instanceof DecodeError || error instanceof PeerError) return;
    throw error;
  }
  if (encoded.length === bytes.length) assertEquals(encoded, bytes);
}
