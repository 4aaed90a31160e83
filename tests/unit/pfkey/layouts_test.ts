import { assertEquals } from "@std/assert";
import {
  sadbAddress,
  sadbIdent,
  sadbKey,
  sadbLifetime,
  sadbSa,
  sadbSpirange,
} from "../../../src/pfkey/extensions.ts";
import { sadbExt, sadbMsg } from "../../../src/pfkey/message.ts";

/** Sizes and offsets as gcc gives them for linux/pfkeyv2.h (x86_64 and i386); the BSDs' headers agree. */
const structs = [
  {
    layout: sadbMsg,
    size: 16,
    offsets: { version: 0, type: 1, errno: 2, satype: 3, lenWords: 4, reserved: 6, seq: 8, pid: 12 },
  },
  { layout: sadbExt, size: 4, offsets: { lenWords: 0, type: 2 } },
  {
    layout: sadbSa,
    size: 16,
    offsets: { spi: 4, replay: 8, state: 9, auth: 10, encrypt: 11, flags: 12 },
  },
  { layout: sadbLifetime, size: 32, offsets: { allocations: 4, bytes: 8, addtime: 16, usetime: 24 } },
  { layout: sadbAddress, size: 8, offsets: { proto: 4, prefixlen: 5, reserved: 6 } },
  { layout: sadbKey, size: 8, offsets: { bits: 4, reserved: 6 } },
  { layout: sadbIdent, size: 16, offsets: { type: 4, reserved: 6, id: 8 } },
  { layout: sadbSpirange, size: 16, offsets: { min: 4, max: 8, reserved: 12 } },
];

for (const { layout, size, offsets } of structs) {
  Deno.test(`${layout.name} has the size and offsets of the C struct`, () => {
    assertEquals(layout.size, size);
    const offsetOf: (key: string) => number = layout.offsetOf.bind(layout) as never; // keys differ by layout
    for (const [key, offset] of Object.entries(offsets)) assertEquals(offsetOf(key), offset, key);
  });
}
