import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { Writer } from "../../../src/layout/mod.ts";
import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_DONE,
  NLMSG_ERROR,
  readAttributes,
  readDone,
  readVerdict,
  splitDatagram,
  writeAttribute,
  writeAttributeU32,
  writeMessage,
} from "../../../src/layout/netlink.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex } from "../../fakes/hex.ts";

const head = { type: 0x10, flags: 5, seq: 7, pid: 99 };

/** The answer to a GETSA of nothing, from Linux 6.1.176 (x86_64) without NETLINK_CAP_ACK and NETLINK_EXT_ACK. */
const NO_SUCH_PROCESS = decodeHex(
  "3c0000000200000001000000772714ecfdffffff" + "28000000120005000100000000000000" +
    "c63364070000000000000000000000000000000102003200",
);

Deno.test("splitDatagram() gives what writeMessage() has put together", () => {
  const writer = new Writer();
  writeMessage(writer, head, Uint8Array.of(1, 2, 3));
  writeMessage(writer, { ...head, seq: 8 }, new Uint8Array());
  assertEquals(splitDatagram(writer.finish()), [
    { ...head, body: Uint8Array.of(1, 2, 3) },
    { ...head, seq: 8, body: new Uint8Array() },
  ]);
});

Deno.test("splitDatagram() takes a last message without its padding", () => {
  const writer = new Writer();
  writeMessage(writer, head, Uint8Array.of(1, 2, 3));
  assertEquals(splitDatagram(writer.finish().slice(0, 19)).length, 1);
});

Deno.test("splitDatagram() refuses lengths that do not fit", () => {
  for (const length of [0, 15, 17, 0xffffffff]) {
    const bytes = new Writer().u32(length).zeros(12).finish();
    assertThrows(() => splitDatagram(bytes), DecodeError);
  }
});

interface VerdictRow {
  readonly name: string;
  readonly flags: number;
  /** What stands behind error and header. */
  readonly rest: Uint8Array;
  readonly text: string;
}

const text = new TextEncoder().encode("No such\n thing\0");
const tlvs = new Writer();
writeAttributeU32(tlvs, 2, 40);
writeAttribute(tlvs, 1, text);
const requestBody = new Uint8Array(5).fill(0xee);

const verdictRows: readonly VerdictRow[] = [
  { name: "without text", flags: 0, rest: requestBody, text: "" },
  {
    name: "with the text alone",
    flags: NLM_F_CAPPED | NLM_F_ACK_TLVS,
    rest: tlvs.finish(),
    text: "No such? thing",
  },
  {
    name: "with request and text",
    flags: NLM_F_ACK_TLVS,
    rest: new Writer().bytes(requestBody).align(4).bytes(tlvs.finish()).finish(),
    text: "No such? thing",
  },
];

for (const { name, flags, rest, text } of verdictRows) {
  Deno.test(`readVerdict() reads an error ${name}`, () => {
    const body = new Writer().i32(-17).u32(16 + 5).u16(0x10).u16(5).u32(7).u32(99).bytes(rest).finish();
    assertEquals(readVerdict({ ...head, type: NLMSG_ERROR, flags, body }), { errno: 17, text });
    for (const damaged of damages(body)) {
      try {
        readVerdict({ ...head, type: NLMSG_ERROR, flags, body: damaged });
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  });
}

Deno.test("readVerdict() reads an acknowledgement", () => {
  const body = new Writer().i32(0).zeros(16).finish();
  assertEquals(readVerdict({ ...head, flags: NLM_F_CAPPED, body }), { errno: 0, text: "" });
});

Deno.test("readVerdict() reads what a kernel said", () => {
  const [message] = splitDatagram(NO_SUCH_PROCESS);
  assertEquals(readVerdict(message!), { errno: 3, text: "" });
});

Deno.test("readDone() gives the errno of a dump", () => {
  const done = (body: Uint8Array) => readDone({ ...head, type: NLMSG_DONE, body });
  assertEquals(done(new Uint8Array(4)), 0);
  assertEquals(done(new Uint8Array()), 0);
  assertEquals(done(new Writer().i32(-4).finish()), 4);
});

Deno.test("readAttributes() gives values by type, without the bits for nesting and byte order", () => {
  const writer = new Writer();
  writeAttribute(writer, 0x8000 | 5, Uint8Array.of(1));
  writeAttributeU32(writer, 6, 2);
  writeAttribute(writer, 7, new Uint8Array());
  const attributes = readAttributes(writer.finish(), "test");
  assertEquals([...attributes.keys()], [5, 6, 7]);
  assertEquals(attributes.get(5), Uint8Array.of(1));
  assertEquals(attributes.get(7), new Uint8Array());
});

Deno.test("readAttributes() refuses lengths that do not fit", () => {
  for (const length of [0, 3, 9]) {
    const bytes = new Writer().u16(length).u16(1).zeros(4).finish();
    assertThrows(() => readAttributes(bytes, "test"), DecodeError);
  }
  assertThrows(() => readAttributes(new Uint8Array(3), "test"), DecodeError);
});
