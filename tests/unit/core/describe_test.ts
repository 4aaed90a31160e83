/** Records as the log names them. */

import { assertEquals } from "@std/assert";
import { describe } from "../../../src/core/describe.ts";
import { DIRECTION } from "../../../src/record/policy.ts";
import { identityOf, type IpsecRecord } from "../../../src/record/record.ts";
import { PROTOCOL } from "../../../src/record/sa.ts";
import { addr } from "../../fakes/records.ts";
import { mark, policy, sa } from "./support.ts";

const rows: [text: string, record: IpsecRecord][] = [
  ["SA esp 0x00000007 to 198.51.100.1", sa(7)],
  ["SA ah 0xc0ffee01 to 2001:db8::1", sa(0xc0ffee01, { protocol: PROTOCOL.AH, dst: addr("2001:db8::1") })],
  ["SA esp 0x00000007 to 198.51.100.1 mark 0x1/0xff", sa(7, { mark: mark(1) })],
  ["policy out 10.1.0.0/16 to 10.2.0.0/16", policy("10.2.0.0/16")],
  ["policy fwd 10.1.0.0/16 to 10.2.0.0/16", policy("10.2.0.0/16", { direction: DIRECTION.FWD })],
  ["policy unknown(9) 10.1.0.0/16 to 10.2.0.0/16", policy("10.2.0.0/16", { direction: 9 })],
];

for (const [text, record] of rows) {
  Deno.test(`describe() says "${text}"`, () => assertEquals(describe(identityOf(record)), text));
}
