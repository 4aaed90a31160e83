import { assertEquals } from "@std/assert";
import { estimateKeyBits } from "../../../src/config/key_strength.ts";

/** Characters that count, and the size of the alphabet. */
const ROWS: readonly (readonly [key: string, counted: number, alphabet: number])[] = [
  ["", 0, 1],
  ["a", 1, 26],
  ["aa", 2, 26],
  ["aaaaaaaaaaaaaaaa", 5, 26],
  ["abcdefghijklmnop", 2, 26],
  ["0123456789012345", 3, 10],
  ["ponmlkjihgfedcba", 2, 26],
  ["passwordpassword", 9, 26],
  ["password12345678", 10, 36],
  ["pQ7xLm2Zr9Tb4KwN", 16, 62],
  ["a!", 2, 59],
  ["a b", 3, 59],
];

for (const [key, counted, alphabet] of ROWS) {
  Deno.test(`estimateKeyBits() counts ${counted} of ${alphabet} in "${key}"`, () => {
    assertEquals(estimateKeyBits(key), counted * Math.log2(alphabet));
  });
}
