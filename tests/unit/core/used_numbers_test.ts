import { assertEquals } from "@std/assert";
import { UsedNumbers } from "../../../src/core/used_numbers.ts";

Deno.test("UsedNumbers.of() is the greatest number of an SA, also when that has gone and come back", () => {
  const used = new UsedNumbers();
  assertEquals(used.of("a"), 0n);
  for (const oseq of [5n, 3n]) used.reach("a", oseq);
  used.end("a");
  assertEquals(used.of("a"), 5n);
  used.reach("a", 4n);
  assertEquals(used.of("a"), 5n);
  used.reach("a", 6n);
  assertEquals(used.of("a"), 6n);
});

Deno.test("UsedNumbers.end() remembers the latest ten thousand", () => {
  const used = new UsedNumbers();
  for (let i = 0; i < 10_001; i++) {
    used.reach(`${i}`, 1n);
    used.end(`${i}`);
    if (i === 5000) used.end("0"); // once more: it is the latest now
  }
  assertEquals(["0", "1", "2", "10000"].map((key) => used.of(key)), [1n, 0n, 1n, 1n]);
});
