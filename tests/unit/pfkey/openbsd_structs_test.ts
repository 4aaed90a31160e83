import { assertEquals } from "@std/assert";
import * as structs from "../../../src/pfkey/openbsd_constants.ts";

interface Struct {
  readonly name: string;
  readonly size: number;
  offsetOf(key: never): number;
}

/** Sizes and offsets as net/pfkeyv2.h 1.95 has them. */
const ROWS: readonly [layout: Struct, size: number, offsets: Readonly<Record<string, number>>][] = [
  [structs.sadbProtocol, 8, { proto: 4, direction: 5, flags: 6 }],
  [structs.sadbXUdpencap, 8, { port: 4 }],
  [structs.sadbXTag, 8, { taglen: 4 }],
  [structs.sadbXTap, 8, { unit: 4 }],
  [structs.sadbXRdomain, 8, { dom1: 4, dom2: 6 }],
  [structs.sadbXReplay, 16, { count: 8 }],
  [structs.sadbXIface, 16, { unit: 4, direction: 8 }],
  [structs.sadbXCounter, 72, {
    ipackets: 8,
    opackets: 16,
    ibytes: 24,
    obytes: 32,
    idrops: 40,
    odrops: 48,
    idecompbytes: 56,
    ouncompbytes: 64,
  }],
];

for (const [layout, size, offsets] of ROWS) {
  Deno.test(`${layout.name} is laid out as the kernel's`, () => {
    assertEquals(layout.size, size);
    for (const [key, offset] of Object.entries(offsets)) {
      assertEquals(layout.offsetOf(key as never), offset, key); // the rows name fields of their layout
    }
  });
}
