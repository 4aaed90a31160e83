import { assertEquals } from "@std/assert";
import { Slab } from "../../../src/layout/slab.ts";

Deno.test("Slab.copy() gives bytes that nothing changes later", () => {
  const slab = new Slab();
  const lengths = [0, 1, 100, 512, 513, 2048, 5000, 300, 300, 300, 300, 300, 300, 300];
  const copies = lengths.map((length, i) => {
    const source = new Uint8Array(length).fill(i + 1);
    const copy = slab.copy(source);
    source.fill(0);
    return copy;
  });
  assertEquals(copies, lengths.map((length, i) => new Uint8Array(length).fill(i + 1)));
});

Deno.test("Slab.copy() keeps at most 2 KiB alive for a short run", () => {
  const slab = new Slab();
  for (const length of [1, 100, 512, 300]) {
    assertEquals(slab.copy(new Uint8Array(length)).buffer.byteLength, 2048);
  }
  assertEquals(slab.copy(new Uint8Array(600)).buffer.byteLength, 600);
});
