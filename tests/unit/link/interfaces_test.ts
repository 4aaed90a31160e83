/** rtnetlink's messages about interfaces and addresses. */

import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import {
  decodeLink,
  decodeLinkAddress,
  encodeAddressDump,
  encodeLinkRequest,
  IFA_F_DADFAILED,
} from "../../../src/link/interfaces.ts";
import { formatAddress } from "../../../src/record/address.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { LINUX_ADDRESSES, LINUX_LO } from "../../vectors/link_vectors.ts";

Deno.test("decodeLink() reads number, name and flags", () => {
  assertEquals(decodeLink(decodeHex(LINUX_LO)), { index: 1, name: "lo", isUp: true, isRunning: true });
  const flags = (hex: string) => decodeLink(decodeHex(LINUX_LO.replace("49000100", hex)));
  assertEquals(flags("48000100").isUp, false);
  assertEquals(flags("09000000"), { index: 1, name: "lo", isUp: true, isRunning: false });
});

for (const [family, text] of [["v4", "127.0.0.1"], ["v6", "::1"]] as const) {
  Deno.test(`decodeLinkAddress() reads ${text}`, () => {
    const found = decodeLinkAddress(decodeHex(LINUX_ADDRESSES[family]))!;
    assertEquals([found.index, formatAddress(found.address), found.flags], [1, text, 0x80]);
  });
}

/** Attributes after `struct ifaddrmsg` of interface 4 with flags 0x80, and what they say. */
const ADDRESSES: readonly (readonly [name: string, attributes: string, expected: string | undefined])[] = [
  ["the own end of a point-to-point link", "08000100c0000202" + "08000200c0000201", "192.0.2.1 128"],
  ["the only address that there is", "08000100c0000202", "192.0.2.2 128"],
  [
    "flags beyond the eighth bit",
    "08000200c0000201" + "0800080008010000",
    `192.0.2.1 ${0x100 | IFA_F_DADFAILED}`,
  ],
  ["no address", "", undefined],
  ["an address of another family", "0a000100" + "112233445566" + "0000", undefined],
];

for (const [name, attributes, expected] of ADDRESSES) {
  Deno.test(`decodeLinkAddress() takes ${name}`, () => {
    const found = decodeLinkAddress(decodeHex("0218800004000000" + attributes));
    assertEquals(found && `${formatAddress(found.address)} ${found.flags}`, expected);
  });
}

Deno.test("encodeLinkRequest() asks by name", () => {
  assertEquals(encodeHex(encodeLinkRequest("eth0")), "00".repeat(16) + "0900030065746830" + "00000000");
});

Deno.test("encodeAddressDump() asks for a family", () => {
  assertEquals([4, 6].map((family) => encodeHex(encodeAddressDump(family as 4 | 6))), [
    "0200000000000000",
    "0a00000000000000",
  ]);
});

Deno.test("decodeLink() and decodeLinkAddress() survive every damage", () => {
  for (const vector of [LINUX_LO, ...Object.values(LINUX_ADDRESSES)]) {
    for (const damaged of damages(decodeHex(vector))) {
      for (const decode of [decodeLink, decodeLinkAddress]) {
        try {
          decode(damaged);
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      }
    }
  }
  assertThrows(() => decodeLink(new Uint8Array(15)), DecodeError);
});
