import { assertEquals } from "@std/assert";
import { nearestWord } from "../../../src/config/nearest.ts";

const KNOWN = ["peer", "port", "group", "listen", "flushmode", "sharedkey", "shared"];

const ROWS: readonly (readonly [word: string, nearest: string | undefined])[] = [
  ["pear", "peer"],
  ["peers", "peer"],
  ["eer", "peer"],
  ["epre", undefined],
  ["prot", "port"],
  ["PEER", "peer"],
  ["lisen", "listen"],
  ["flushmdoe", "flushmode"],
  ["sharedky", "sharedkey"],
  ["share", "shared"],
  ["sharedkeyss", "sharedkey"],
  ["x", undefined],
  ["", undefined],
  ["peer", "peer"],
  ["0123456789abcdef", undefined],
];

for (const [word, nearest] of ROWS) {
  Deno.test(`nearestWord() of "${word}" is ${nearest}`, () =>
    assertEquals(nearestWord(word, KNOWN), nearest));
}
