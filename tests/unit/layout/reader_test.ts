import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { Reader } from "../../../src/layout/reader.ts";

const EIGHT = Uint8Array.of(0x81, 2, 3, 4, 5, 6, 7, 8);

const reads: readonly [
  string,
  (reader: Reader) => number | bigint,
  number | bigint,
  number | bigint,
  number,
][] = [
  ["u8", (r) => r.u8(), 0x81, 0x81, 1],
  ["u16", (r) => r.u16(), 0x0281, 0x8102, 2],
  ["u32", (r) => r.u32(), 0x04030281, 0x81020304, 4],
  ["i32", (r) => r.i32(), 0x04030281, 0x81020304 - 2 ** 32, 4],
  ["u64", (r) => r.u64(), 0x0807060504030281n, 0x8102030405060708n, 8],
  ["u16be", (r) => r.u16be(), 0x8102, 0x8102, 2],
  ["u32be", (r) => r.u32be(), 0x81020304, 0x81020304, 4],
  ["u64be", (r) => r.u64be(), 0x8102030405060708n, 0x8102030405060708n, 8],
];

for (const [name, read, little, big, size] of reads) {
  Deno.test(`Reader.${name}() reads in its order and goes on`, () => {
    for (const [order, value] of [["little", little], ["big", big]] as const) {
      const reader = new Reader(EIGHT, "sample", order);
      assertEquals(read(reader), value);
      assertEquals([reader.offset, reader.remaining], [size, 8 - size]);
    }
  });

  Deno.test(`Reader.${name}() stays within its bytes`, () => {
    // the bytes behind the view are there, but are none of its business
    const reader = new Reader(EIGHT.subarray(0, size - 1), "sample");
    const error = assertThrows(() => read(reader), DecodeError);
    assertEquals(error.detail, `need ${size} bytes at offset 0, have ${size - 1}`);
  });
}

const outside: readonly [string, (reader: Reader) => unknown][] = [
  ["bytes(9)", (r) => r.bytes(9)],
  ["bytes(-1)", (r) => r.bytes(-1)],
  ["skip(9)", (r) => r.skip(9)],
  ["skip(-1)", (r) => r.skip(-1)],
  ["end() with bytes left", (r) => r.end()],
];

for (const [name, read] of outside) {
  Deno.test(`Reader.${name} throws`, () => {
    assertThrows(() => read(new Reader(EIGHT, "sample")), DecodeError, "Cannot decode sample");
  });
}

Deno.test("Reader.bytes() and rest() are views of a view", () => {
  const reader = new Reader(EIGHT.subarray(2, 6), "sample");
  assertEquals([...reader.bytes(1)], [3]);
  assertEquals([...reader.rest()], [4, 5, 6]);
  reader.end();
});

Deno.test("Reader.align() goes to the next multiple, or to the end where padding is missing", () => {
  const reader = new Reader(EIGHT.subarray(0, 6), "sample");
  reader.align(4);
  assertEquals(reader.offset, 0);
  reader.skip(1);
  reader.align(4);
  assertEquals(reader.offset, 4);
  reader.skip(1);
  reader.align(4);
  assertEquals(reader.remaining, 0);
});
