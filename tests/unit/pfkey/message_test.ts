import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import {
  decodeMessage,
  encodeMessage,
  ExtensionWriter,
  type Platform,
  readExtensions,
  splitMessages,
} from "../../../src/pfkey/message.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";

const little: Platform = { order: "little", saLen: false, afInet6: 10 };
const big: Platform = { order: "big", saLen: true, afInet6: 24 };
const HEAD = { type: 3, satype: 2, seq: 0x01020304, pid: 5 };

/** version, type, errno, satype · words · reserved · seq · pid · extension 9 of two words, extension 1 of one. */
const MESSAGE = {
  little: "02030002" + "0500" + "0000" + "04030201" + "05000000" + "02000900aabbccdd0100000000000000" +
    "0100010011223344",
  big: "02030002" + "0005" + "0000" + "01020304" + "00000005" + "00020009aabbccdd0100000000000000" +
    "0001000111223344",
};

for (const platform of [little, big]) {
  const bytes = decodeHex(MESSAGE[platform.order]);

  Deno.test(`encodeMessage() lays a message out, ${platform.order}-endian`, () => {
    const writer = new ExtensionWriter(platform)
      .add(9, (w) => w.zeros(4).bytes(decodeHex("aabbccdd01")))
      .add(1, (w) => w.zeros(4).bytes(decodeHex("11223344")));
    assertEquals(encodeHex(encodeMessage(HEAD, writer.finish(), platform)), MESSAGE[platform.order]);
  });

  Deno.test(`decodeMessage() and readExtensions() find what is there, ${platform.order}-endian`, () => {
    const { body, ...head } = decodeMessage(bytes, platform);
    assertEquals(head, { ...HEAD, errno: 0 });
    assertEquals(
      [...readExtensions(body, platform)].map(([type, value]) => [type, encodeHex(value).slice(8)]),
      [[9, "aabbccdd0100000000000000"], [1, "11223344"]],
    );
  });

  Deno.test(`decodeMessage() answers every damage with a value or a DecodeError, ${platform.order}-endian`, () => {
    for (const damaged of damages(bytes)) {
      try {
        readExtensions(decodeMessage(damaged, platform).body, platform);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  });
}

const broken: readonly (readonly [name: string, hex: string, detail: string])[] = [
  ["a version that is not 2", "03030002020000000000000000000000", "version 3"],
  ["a length of no header", "02030002010000000000000000000000", "length of 1 words"],
  ["a length of nothing", "02030002000000000000000000000000", "length of 0 words"],
  ["a length beyond the end", "02030002030000000000000000000000", "need 8 bytes at offset 16, have 0"],
  ["bytes behind the end", "02030002020000000000000000000000" + "0000000000000000", "8 bytes left over"],
  ["less than a header", "020300020200000000000000000000", "need 4 bytes at offset 12, have 3"],
];

for (const [name, hex, detail] of broken) {
  Deno.test(`decodeMessage() refuses ${name}`, () => {
    assertThrows(() => decodeMessage(decodeHex(hex), little), DecodeError, detail);
  });
}

const brokenBodies: readonly (readonly [name: string, hex: string, detail: string])[] = [
  ["an extension of length 0", "0000010000000000", "extension 1 has length 0"],
  ["two extensions of a type", "0100010000000000" + "0100010000000000", "extension 1 is there twice"],
  ["an extension beyond the end", "0200010000000000", "need 12 bytes at offset 4, have 4"],
  ["a cut header", "010001", "need 2 bytes at offset 2, have 1"],
];

for (const [name, hex, detail] of brokenBodies) {
  Deno.test(`readExtensions() refuses ${name}`, () => {
    assertThrows(() => readExtensions(decodeHex(hex), little), DecodeError, detail);
  });
}

Deno.test("splitMessages() cuts what sysctl(2) gives", () => {
  const one = decodeHex(MESSAGE.big);
  const messages = splitMessages(Uint8Array.from([...one, ...one]), big);
  assertEquals(messages.map(({ type, body }) => [type, body.length]), [[3, 24], [3, 24]]);
  assertThrows(() => splitMessages(Uint8Array.from([...one, 2]), big), DecodeError);
});
