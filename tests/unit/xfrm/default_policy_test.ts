import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { decodeDefault, encodeGetDefault } from "../../../src/xfrm/default_policy.ts";

const ROWS = [
  [[2, 2, 2], "in accept, fwd accept, out accept"],
  [[1, 0, 2], "in block, fwd unspecified, out accept"],
  [[2, 2, 9], "in accept, fwd accept, out 9"],
] as const;

for (const [bytes, text] of ROWS) {
  Deno.test(`decodeDefault() says "${text}"`, () =>
    assertEquals(decodeDefault(Uint8Array.from(bytes)), text));
}

Deno.test("decodeDefault() refuses what is cut", () => {
  assertThrows(() => decodeDefault(new Uint8Array(2)), DecodeError);
  assertEquals(encodeGetDefault(), new Uint8Array(3));
});
