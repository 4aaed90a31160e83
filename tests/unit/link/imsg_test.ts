import { assertEquals } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { HOST_ORDER, Reader } from "../../../src/layout/mod.ts";
import { encodeImsg, IMSG_CTL_ACTIVE, IMSG_CTL_PASSIVE, imsgHdr } from "../../../src/link/imsg.ts";
import { damages } from "../../fakes/damage.ts";
import { encodeHex } from "../../fakes/hex.ts";

for (
  const [name, type, little] of [
    ["ACTIVE", IMSG_CTL_ACTIVE, "09000000100000000000000000000000"],
    ["PASSIVE", IMSG_CTL_PASSIVE, "0a000000100000000000000000000000"],
  ] as const
) {
  Deno.test(`encodeImsg() writes ${name} as iked reads it`, () => {
    const bytes = encodeImsg(type);
    if (HOST_ORDER === "little") assertEquals(encodeHex(bytes), little);
    const header = imsgHdr.read(new Reader(bytes, "imsg"));
    assertEquals(header, { type, lenBytes: 16, flags: 0, peerid: 0, pid: 0 });
  });
}

Deno.test("imsgHdr reads any 16 bytes, and refuses fewer", () => {
  for (const damaged of damages(encodeImsg(IMSG_CTL_ACTIVE))) {
    let error: unknown;
    try {
      imsgHdr.read(new Reader(damaged, "imsg"));
    } catch (thrown) {
      error = thrown;
    }
    assertEquals(error instanceof DecodeError, damaged.length < 16);
  }
});
