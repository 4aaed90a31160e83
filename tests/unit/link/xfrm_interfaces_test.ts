/** Interfaces of kind xfrm, from bytes laid out by linux/if_link.h; the laboratory reads real ones. */

import { assertEquals } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { decodeXfrmInterface, encodeLinkDump } from "../../../src/link/xfrm_interfaces.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex } from "../../fakes/hex.ts";

const HEAD = "0000" + "feff" + "05000000" + "c1000100" + "00000000"; // ifinfomsg: index 5, IFF_UP, IFF_RUNNING
const NAME = "0b000300" + "697073656330" + "00" + "00"; // IFLA_IFNAME ipsec0
const KIND = "09000100" + "7866726d00" + "000000"; // IFLA_INFO_KIND xfrm
const DATA = "14000200" + "08000100" + "02000000" + "08000200" + "07000000"; // IFLA_XFRM_LINK 2, IFLA_XFRM_IF_ID 7
const XFRM = HEAD + NAME + "24001200" + KIND + DATA; // IFLA_LINKINFO

Deno.test("decodeXfrmInterface() reads name, state and number", () => {
  assertEquals(decodeXfrmInterface(decodeHex(XFRM)), { name: "ipsec0", isUp: true, interfaceId: 7 });
  const withoutData = HEAD + NAME + "10001200" + KIND;
  assertEquals(decodeXfrmInterface(decodeHex(withoutData))?.interfaceId, 0);
});

Deno.test("decodeXfrmInterface() has nothing to say of other interfaces", () => {
  assertEquals(decodeXfrmInterface(decodeHex(HEAD + NAME)), undefined);
  assertEquals(decodeXfrmInterface(decodeHex(XFRM.replace("7866726d", "76657468"))), undefined);
});

Deno.test("decodeXfrmInterface() survives every damage", () => {
  for (const damaged of damages(decodeHex(XFRM))) {
    try {
      decodeXfrmInterface(damaged);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
    }
  }
  assertEquals(encodeLinkDump().length, 16);
});
