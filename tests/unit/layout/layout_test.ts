import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { bytes, i32, Layout, pad, u16, u16be, u32, u32be, u64, u8 } from "../../../src/layout/layout.ts";
import { Reader } from "../../../src/layout/reader.ts";
import { Writer } from "../../../src/layout/writer.ts";

const inner = new Layout("inner", 8, { a: u8, reserved: pad(3), b: u32 });
const outer = new Layout("outer", 40, {
  port: u16be,
  length: u16,
  address: u32be,
  inner: inner.nested(),
  count: u64,
  name: bytes(4),
  delta: i32,
  hole: pad(8),
});

const values = {
  port: 0x0102,
  length: 0x0102,
  address: 0x01020304,
  inner: { a: 1, b: 2 },
  count: 3n,
  name: Uint8Array.of(9, 8, 7, 6),
  delta: -1,
};

const LITTLE = Uint8Array.from([
  ...[1, 2], // port
  ...[2, 1], // length
  ...[1, 2, 3, 4], // address
  ...[1, 0, 0, 0, 2, 0, 0, 0], // inner
  ...[3, 0, 0, 0, 0, 0, 0, 0], // count
  ...[9, 8, 7, 6], // name
  ...[255, 255, 255, 255], // delta
  ...[0, 0, 0, 0, 0, 0, 0, 0], // hole
]);

Deno.test("Layout.write() lays out fields and padding", () => {
  const writer = new Writer("little");
  outer.write(writer, values);
  assertEquals(writer.finish(), LITTLE);
});

Deno.test("Layout.read() gives the fields without padding", () => {
  const reader = new Reader(LITTLE, "outer", "little");
  assertEquals(outer.read(reader), values);
  reader.end();
});

Deno.test("Layout.read() copies byte runs", () => {
  const source = LITTLE.slice();
  const { name } = outer.read(new Reader(source, "outer", "little"));
  source.fill(0);
  assertEquals(name, values.name);
});

Deno.test("Layout.read() refuses every cut", () => {
  for (let length = 0; length < LITTLE.length; length++) {
    assertThrows(() => outer.read(new Reader(LITTLE.subarray(0, length), "outer")), DecodeError);
  }
});

Deno.test("Layout.write() refuses values that do not fit", () => {
  assertThrows(() => outer.write(new Writer(), { ...values, port: 65536 }), RangeError);
  assertThrows(() => outer.write(new Writer(), { ...values, name: new Uint8Array(5) }), RangeError);
});

Deno.test("Layout.offsetOf() counts padding", () => {
  assertEquals([inner.offsetOf("b"), outer.offsetOf("count"), outer.offsetOf("delta")], [4, 16, 28]);
});

const wrong: readonly [string, () => unknown, string][] = [
  ["a size that is not the sum", () => new Layout("s", 3, { a: u16 }), "take 2 bytes, not 3"],
  ["a field off its alignment", () => new Layout("s", 5, { a: u8, b: u32 }), '"b" at offset 1'],
  [
    "a nested struct off its alignment",
    () => new Layout("s", 9, { a: u8, b: inner.nested() }),
    '"b" at offset 1',
  ],
];

for (const [name, make, message] of wrong) {
  Deno.test(`Layout refuses ${name} when it is made`, () => {
    assertThrows(make, RangeError, message);
  });
}
