import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DecodeError } from "../../../src/errors.ts";
import {
  CMD_REQUEST,
  CMD_RESPONSE,
  CMD_UNKNOWN,
  decodeViciPacket,
  encodeViciPacket,
  EVENT,
  EVENT_CONFIRM,
  EVENT_REGISTER,
  EVENT_UNKNOWN,
  EVENT_UNREGISTER,
  MAX_VICI_FRAME,
  ViciFrames,
  type ViciPacket,
  type ViciSection,
  type ViciValue,
} from "../../../src/link/vici.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { VICI_EXAMPLE, VICI_VECTORS } from "../../vectors/vici_vectors.ts";

const NOTHING: ViciSection = new Map();

function section(values: Readonly<Record<string, ViciValue>>): ViciSection {
  return new Map(Object.entries(values));
}

const PACKETS: Readonly<Record<string, readonly [frame: string, packet: ViciPacket]>> = {
  confirm: [VICI_VECTORS.confirm, { type: EVENT_CONFIRM, name: "", message: NOTHING }],
  "an event": [VICI_VECTORS.listPolicy, {
    type: EVENT,
    name: "list-policy",
    message: section({
      "lab/net": section({
        child: "net",
        ike: "lab",
        mode: "TUNNEL",
        "local-ts": ["10.1.0.0/24"],
        "remote-ts": ["10.2.0.0/24"],
      }),
    }),
  }],
  "an empty response": [VICI_VECTORS.end, { type: CMD_RESPONSE, name: "", message: NOTHING }],
  "a refusal": [VICI_VECTORS.refused, {
    type: CMD_RESPONSE,
    name: "",
    message: section({ success: "no", errmsg: "configuration name not found" }),
  }],
  "an unknown command": [VICI_VECTORS.unknownCommand, { type: CMD_UNKNOWN, name: "", message: NOTHING }],
  "an unknown event": [VICI_VECTORS.unknownEvent, { type: EVENT_UNKNOWN, name: "", message: NOTHING }],
  "a registration": ["03046c697374", { type: EVENT_REGISTER, name: "list", message: NOTHING }],
  "the end of one": ["04046c697374", { type: EVENT_UNREGISTER, name: "list", message: NOTHING }],
  "the document's example": [`000178${VICI_EXAMPLE}`, {
    type: CMD_REQUEST,
    name: "x",
    message: section({
      key1: "value1",
      section1: section({ "sub-section": section({ key2: "value2" }), list1: ["item1", "item2"] }),
    }),
  }],
};

for (const [what, [frame, packet]] of Object.entries(PACKETS)) {
  Deno.test(`decodeViciPacket() reads ${what}`, () => {
    assertEquals(decodeViciPacket(decodeHex(frame)), packet);
  });

  Deno.test(`encodeViciPacket() writes ${what}`, () => {
    const length = (frame.length / 2).toString(16).padStart(8, "0");
    assertEquals(encodeHex(encodeViciPacket(packet)), length + frame);
  });

  Deno.test(`decodeViciPacket() gives a packet or a DecodeError whatever has happened to ${what}`, () => {
    for (const damaged of damages(decodeHex(frame))) {
      try {
        decodeViciPacket(damaged);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  });
}

const BAD: readonly (readonly [what: string, frame: string, reason: RegExp])[] = [
  ["nothing", "", /need 1 bytes/],
  ["a type beyond the last", "08", /type 8 is unknown/],
  ["a name that is cut", "0305616263", /need 5 bytes/],
  ["bytes after a packet without message", "0500", /1 bytes left over/],
  ["an element that is none", "0100", /element 0 cannot stand in a section/],
  ["an item outside a list", "0105000161", /element 5 cannot stand in a section/],
  ["a key in a list", "0104016103", /element 3 cannot stand in a list/],
  ["a list without end", "010401610500016105", /need 2 bytes/],
  ["a section without end", "01010161", /sections do not end as often/],
  ["the end of no section", "0102", /sections do not end as often/],
  ["a section after the end of the root", "0102010161", /has not begun/],
  ["a value that is cut", "0103016100056162", /need 5 bytes/],
];

for (const [what, frame, reason] of BAD) {
  Deno.test(`decodeViciPacket() refuses ${what}`, () => {
    const { message } = assertThrows(() => decodeViciPacket(decodeHex(frame)), DecodeError);
    assertEquals(reason.test(message), true, message);
  });
}

Deno.test("decodeViciPacket() reads sections nested as deep as a frame has room for", () => {
  const depth = 100_000;
  const frame = new Uint8Array(1 + depth * 3);
  frame[0] = CMD_RESPONSE;
  for (let i = 0; i < depth; i++) {
    frame[1 + 2 * i] = 1; // with an empty name
    frame[1 + 2 * depth + i] = 2;
  }
  assertEquals(decodeViciPacket(frame).message.size, 1);
});

Deno.test("decodeViciPacket() keeps the later of two values with one name, and takes any name", () => {
  const frame = decodeHex("01" + "0301610001" + "62" + "0301610001" + "63" + "03095f5f70726f746f5f5f0000");
  assertEquals([...decodeViciPacket(frame).message], [["a", "c"], ["__proto__", ""]]);
});

const value = fc.string({ maxLength: 40, unit: "grapheme" });
const name = fc.string({ maxLength: 20 });
const { tree } = fc.letrec<{ tree: ViciSection; node: ViciValue }>((tie) => ({
  node: fc.oneof({ maxDepth: 4 }, value, fc.array(value, { maxLength: 4 }), tie("tree")),
  tree: fc.array(fc.tuple(name, tie("node")), { maxLength: 4 }).map((entries) => new Map(entries)),
}));

Deno.test("decodeViciPacket() reads what encodeViciPacket() wrote, through any cuts of the stream", () => {
  fc.assert(fc.property(fc.array(tree, { maxLength: 4 }), fc.integer({ min: 1, max: 50 }), (trees, step) => {
    const packets = trees.map((message): ViciPacket => ({ type: EVENT, name: "e", message }));
    const stream = packets.flatMap((packet) => [...encodeViciPacket(packet)]);
    const frames = new ViciFrames();
    const read: ViciPacket[] = [];
    for (let at = 0; at < stream.length; at += step) {
      const chunk = Uint8Array.from(stream.slice(at, at + step));
      frames.push(chunk);
      chunk.fill(0xee); // the caller uses its buffer again
      for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
        read.push(decodeViciPacket(frame));
      }
    }
    assertEquals(read, packets);
  }));
});

Deno.test("encodeViciPacket() refuses what has no room in a length", () => {
  const packet = (message: ViciSection): ViciPacket => ({ type: CMD_REQUEST, name: "x", message });
  assertThrows(() => encodeViciPacket({ type: 8, name: "", message: NOTHING }), RangeError);
  assertThrows(() => encodeViciPacket(packet(section({ ["a".repeat(256)]: "" }))), RangeError);
  assertThrows(() => encodeViciPacket(packet(section({ a: "b".repeat(65_536) }))), RangeError);
});

for (const [what, length] of [["no bytes", 0], ["more than 512 KiB", MAX_VICI_FRAME + 1]] as const) {
  Deno.test(`ViciFrames refuses a frame of ${what} as soon as its length is there`, () => {
    const frames = new ViciFrames();
    const header = Uint8Array.from([length >>> 24, length >>> 16, length >>> 8, length]);
    frames.push(header.subarray(0, 3));
    assertEquals(frames.next(), undefined);
    frames.push(header.subarray(3));
    assertThrows(() => frames.next(), DecodeError, "are legal");
  });
}
