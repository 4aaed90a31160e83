/** Route lookups: answers of a Linux 6.18 kernel (23 November 2026, RTM_GETROUTE for 127.0.0.9, 8.8.8.8 and ::1). */

import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { decodeRoute, encodeRouteRequest } from "../../../src/link/routes.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { addr } from "../../fakes/records.ts";

const LOCAL = "02200000fe0000020002008008000f00fe000000080001007f0000090800040001000000080007007f000001" +
  "080019000000000024000c00020000009c352800000000000000000000000000000000000000000000000000";
const REMOTE = "02200000fe0000010002000008000f00fe0000000800010008080808080004000400000008000700c0000202" +
  "08000500c0000201080019000000000024000c000200000069342800000000000000000000000000000000000000000000000000";
const LOCAL_V6 = "0a808000ff0200020000000008000f00ff000000140001000000000000000000000000000000000114000200" +
  "0000000000000000000000000000000014000700000000000000000000000000000000010800060000000000080004000100" +
  "000024000c000200000034c624000000000000000000000000000000000000000000000000000500140000000000";

const ROWS = [
  [LOCAL, { type: "local", interfaceIndex: 1 }],
  [REMOTE, { type: "unicast", interfaceIndex: 4 }],
  [LOCAL_V6, { type: "local", interfaceIndex: 1 }],
] as const;

for (const [vector, route] of ROWS) {
  Deno.test(`decodeRoute() of a kernel's answer is ${route.type} by ${route.interfaceIndex}`, () => {
    assertEquals(decodeRoute(decodeHex(vector)), route);
    for (const damaged of damages(decodeHex(vector))) {
      try {
        decodeRoute(damaged);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  });
}

Deno.test("encodeRouteRequest() asks for one address", () => {
  assertEquals(
    encodeHex(encodeRouteRequest(addr("8.8.8.8"))),
    "022000000000000000000000" + "0800010008080808",
  );
  assertEquals(encodeRouteRequest(addr("::1")).subarray(0, 2), Uint8Array.of(10, 128));
  assertThrows(() => decodeRoute(new Uint8Array(11)), DecodeError);
});
