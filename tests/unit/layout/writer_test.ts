import { assertEquals, assertThrows } from "@std/assert";
import { Writer } from "../../../src/layout/writer.ts";

// each integer once moved the growth past a view that had been looked at before
const growing: Readonly<Record<string, (writer: Writer) => unknown>> = {
  u8: (w) => w.u8(1),
  u16: (w) => w.u16(0x0100),
  u32: (w) => w.u32(0x01000000),
  i32: (w) => w.i32(0x01000000),
  u64: (w) => w.u64(1n << 56n),
  u16be: (w) => w.u16be(0x0001),
  u32be: (w) => w.u32be(1),
  u64be: (w) => w.u64be(1n),
  bytes: (w) => w.bytes(Uint8Array.of(1)),
};

for (const [name, write] of Object.entries(growing)) {
  Deno.test(`Writer.${name}() grows the buffer`, () => {
    const writer = new Writer("little", 1).u8(0xaa);
    write(writer);
    const written = writer.finish();
    assertEquals(written[0], 0xaa);
    assertEquals(written.at(-1), 1);
  });
}

const outOfRange: readonly [string, (writer: Writer) => unknown][] = [
  ["u8(256)", (w) => w.u8(256)],
  ["u8(-1)", (w) => w.u8(-1)],
  ["u8(1.5)", (w) => w.u8(1.5)],
  ["u16(65536)", (w) => w.u16(65536)],
  ["u16be(65536)", (w) => w.u16be(65536)],
  ["u32(2 ** 32)", (w) => w.u32(2 ** 32)],
  ["u32be(-1)", (w) => w.u32be(-1)],
  ["u32be(NaN)", (w) => w.u32be(NaN)],
  ["i32(2 ** 31)", (w) => w.i32(2 ** 31)],
  ["u64(2n ** 64n)", (w) => w.u64(2n ** 64n)],
  ["u64be(-1n)", (w) => w.u64be(-1n)],
  ["patch past the end", (w) => w.u8(0).patch(0, "u16", 1)],
];

for (const [name, write] of outOfRange) {
  Deno.test(`Writer.${name} throws`, () => {
    assertThrows(() => write(new Writer()), RangeError);
  });
}

Deno.test("Writer.patch() overwrites in the order of its kind", () => {
  const writer = new Writer("little").zeros(12);
  writer.patch(0, "u16", 0x0102);
  writer.patch(2, "u16be", 0x0102);
  writer.patch(4, "u32", 0x01020304);
  writer.patch(8, "u32be", 0x01020304);
  assertEquals(writer.finish(), Uint8Array.of(2, 1, 1, 2, 4, 3, 2, 1, 1, 2, 3, 4));
});

Deno.test("Writer.align() adds zeros up to the next multiple", () => {
  assertEquals(new Writer().u8(1).align(4).align(4).finish(), Uint8Array.of(1, 0, 0, 0));
});
