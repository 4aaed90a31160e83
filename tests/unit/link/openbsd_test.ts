/** OpenBSD's routing messages and ioctl structures. */

import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import {
  decodeLinkState,
  encodeIfgroupreq,
  encodeIfreq,
  nameOfLinkState,
  roleOfLinkState,
} from "../../../src/link/interface_requests.ts";
import { splitRouteMessages } from "../../../src/link/route_messages.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { OPENBSD_DESYNC, OPENBSD_IFANNOUNCE, OPENBSD_IFINFO } from "../../vectors/link_vectors.ts";

Deno.test("splitRouteMessages() reads what tells of interfaces, one or several at a time", () => {
  assertEquals(splitRouteMessages(decodeHex(OPENBSD_IFINFO)), [{ kind: "info", index: 7 }]);
  const all = [OPENBSD_DESYNC, OPENBSD_IFANNOUNCE, OPENBSD_IFINFO].join("");
  assertEquals(splitRouteMessages(decodeHex(all)), [
    { kind: "desync" },
    { kind: "announce", index: 9, name: "carp0" },
    { kind: "info", index: 7 },
  ]);
});

Deno.test("splitRouteMessages() passes over other types and versions", () => {
  const other = OPENBSD_IFINFO.replace("a800050e", "a800050c");
  const newer = OPENBSD_IFINFO.replace("a800050e", "a800060e");
  assertEquals(splitRouteMessages(decodeHex(other + newer + OPENBSD_DESYNC)), [{ kind: "desync" }]);
});

Deno.test("splitRouteMessages() survives every damage", () => {
  for (const vector of [OPENBSD_DESYNC, OPENBSD_IFANNOUNCE, OPENBSD_IFINFO]) {
    for (const damaged of damages(decodeHex(vector))) {
      try {
        splitRouteMessages(damaged);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  }
  assertThrows(() => splitRouteMessages(decodeHex("0000050e00000000")), DecodeError, "length 0");
});

Deno.test("encodeIfreq() and encodeIfgroupreq() are the kernel's structures", () => {
  assertEquals(encodeHex(encodeIfreq("carp0")), "6361727030" + "00".repeat(27));
  const carp = "63617270" + "00".repeat(12);
  assertEquals(encodeHex(encodeIfgroupreq("carp", 1)), carp + "00".repeat(8) + "01000000" + "00".repeat(12));
  assertEquals(encodeHex(encodeIfgroupreq("carp", -1)), carp + "00".repeat(8) + "ffffffff" + "00".repeat(12));
  assertThrows(() => encodeIfreq("a".repeat(16)), RangeError);
});

for (
  const [state, name, role] of [
    [0, "LINK_STATE_UNKNOWN", "INIT"],
    [1, "LINK_STATE_INVALID", "FAIL"],
    [2, "LINK_STATE_DOWN", "SLAVE"],
    [3, "LINK_STATE_KALIVE_DOWN", "FAIL"],
    [4, "LINK_STATE_UP", "MASTER"],
    [5, "LINK_STATE_HALF_DUPLEX", "MASTER"],
    [6, "LINK_STATE_FULL_DUPLEX", "MASTER"],
    [7, "unknown(7)", "FAIL"],
  ] as const
) {
  Deno.test(`roleOfLinkState() of ${name} is ${role}`, () => {
    assertEquals([nameOfLinkState(state), roleOfLinkState(state)], [name, role]);
  });
}

Deno.test("decodeLinkState() reads it of if_data of any length that has it", () => {
  assertEquals(decodeLinkState(Uint8Array.of(0xf7, 6, 0, 4)), 4);
  assertThrows(() => decodeLinkState(Uint8Array.of(0xf7, 6, 0)), DecodeError);
});
