/** What a verification has found, as people read it. */

import { assert, assertEquals } from "@std/assert";
import { printVerify } from "../../../src/status/print_verify.ts";
import { PLAIN } from "../../../src/status/text.ts";
import { type PeerComparison, resultOf, type VerifyView } from "../../../src/status/verify_view.ts";

const EQUAL: PeerComparison = {
  address: "192.0.2.2",
  state: "equal",
  records: [],
  others: 0,
  premises: "equal",
  here: [],
  there: [],
};

const VIEW: Omit<VerifyView, "result"> = { kernel: [], refused: 0, peers: [EQUAL] };

const RESULTS:
  readonly (readonly [what: string, view: Omit<VerifyView, "result">, result: VerifyView["result"]])[] = [
    ["nothing differs", VIEW, "equal"],
    ["there are no peers", { ...VIEW, peers: [] }, "equal"],
    ["the kernel differed", { ...VIEW, kernel: ["SA 1"] }, "different"],
    ["records are refused", { ...VIEW, refused: 1 }, "different"],
    ["a peer differs", { ...VIEW, peers: [EQUAL, { ...EQUAL, state: "different" }] }, "different"],
    ["a file differs", { ...VIEW, peers: [{ ...EQUAL, premises: "different" }] }, "different"],
    ["a peer is not there", { ...VIEW, peers: [EQUAL, { ...EQUAL, state: "unknown" }] }, "unknown"],
    ["premises are not told", { ...VIEW, peers: [{ ...EQUAL, premises: "unknown" }] }, "unknown"],
    ["premises are not asked for", { ...VIEW, peers: [{ ...EQUAL, premises: "not compared" }] }, "equal"],
    [
      "one differs and one is not there",
      { ...VIEW, peers: [{ ...EQUAL, state: "unknown" }, { ...EQUAL, state: "different" }] },
      "different",
    ],
  ];

for (const [what, view, result] of RESULTS) {
  Deno.test(`resultOf() is ${result} when ${what}`, () => assertEquals(resultOf(view), result));
}

Deno.test("printVerify() lists what differs in 80 columns, and counts the rest", () => {
  const records = Array.from(
    { length: 22 },
    (_, i) => `SA esp 0x0000100${i} to 2001:db8:1234:5678:9abc:def0:1:2`,
  );
  const there = [`file /etc/swanctl/swanctl.conf: sha256 ${"0f".repeat(32)}`];
  const peer: PeerComparison = {
    ...EQUAL,
    state: "different",
    records,
    others: 1,
    premises: "different",
    here: ["default policy: in accept, fwd accept, out accept", "way to 10.2.0.0/16: dev pub"],
    there,
  };
  const absent = {
    ...EQUAL,
    address: "192.0.2.3",
    state: "unknown",
    reason: "not connected",
    premises: "unknown",
  } as const;
  const found = { kernel: ["SA esp 0x00000007 to 198.51.100.1"], refused: 2, peers: [peer, absent] };
  const lines = printVerify({ ...found, result: resultOf(found) }, PLAIN);
  assertEquals(
    lines.slice(0, 8).join("\n"),
    `\
kernel      differed in 1 record
  SA esp 0x00000007 to 198.51.100.1
refused     2 records

peer 192.0.2.2
records     22 records here that are not like this there, 1 record there that
            are not like this here
  SA esp 0x00001000 to 2001:db8:1234:5678:9abc:def0:1:2`,
  );
  assertEquals(
    lines.slice(27).join("\n"),
    `\
  and 2 more
otherwise   different
  here      default policy: in accept, fwd accept, out accept
  here      way to 10.2.0.0/16: dev pub
  there     file /etc/swanctl/swanctl.conf: sha256
            ${"0f".repeat(32)}

peer 192.0.2.3
records     unknown: not connected
otherwise   unknown

different`,
  );
  assert(lines.every((line) => line.length <= 80));
});
