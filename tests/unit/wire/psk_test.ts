import { assertEquals } from "@std/assert";
import { derivePsk } from "../../../src/wire/native/psk.ts";
import { encodeHex } from "../../fakes/hex.ts";
import { PSK_VECTORS } from "../../vectors/native_vectors.ts";

Deno.test("derivePsk() gives the vector of a key of full entropy", () => {
  const bytes = Uint8Array.from({ length: 24 }, (_, i) => i);
  assertEquals(encodeHex(derivePsk({ stretch: false, bytes })), PSK_VECTORS.bytes);
});

Deno.test("derivePsk() gives the vector of a stretched key", () => {
  const bytes = new TextEncoder().encode("correct horse battery staple");
  assertEquals(encodeHex(derivePsk({ stretch: true, bytes })), PSK_VECTORS.ascii);
});
