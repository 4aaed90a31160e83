/** The status as people read it, line by line. */

import { assert, assertEquals } from "@std/assert";
import { printPeers, printStatus } from "../../../src/status/print_status.ts";
import { COLOUR, PLAIN } from "../../../src/status/text.ts";
import {
  CONNECTED_PEER as PEER,
  LONELY_SLAVE as SLAVE,
  LOST_PEER as GONE,
  MASTER_VIEW as MASTER,
} from "../../fakes/status.ts";

const MASTER_TEXT = `\
role        MASTER for 3 min 20 s: 203.0.113.1 is on eth0
epoch       7
kernel      xfrm: 120 SAs and 60 policies shared, 1 SA and 1 policy local
mirror      120 SAs and 60 policies, 0 changes waiting
demotion    none: master
inherited   40 SAs, the first ends in 47 min 11 s

peer 192.0.2.2
session     connected for 1 h 2 min, native, linux
role        SLAVE in epoch 7
lag         2 changes, 14 ms
changes     1200 sent, 1198 applied; 0 received
refuses     2 records: Kernel refused XFRM_MSG_NEWSA: ENOSYS (no such algorithm
            here, and a longer text than a line holds)
            1 record: ESN
snapshot    3 min 20 s ago
lost if     it took over now: 2 changes, 3 records refused

peer 2001:db8:1234:5678:9abc:def0:1234:5678
session     not connected for 5 s, classic: cannot connect: ECONNREFUSED
changes     0 sent, 0 applied; 0 received`;

const SLAVE_TEXT = `\
role        SLAVE for 3 min 20 s: 203.0.113.1 is not on eth0
epoch       6, the greatest heard of is 7
following   192.0.2.2, synchronised
kernel      xfrm: 120 SAs and 60 policies shared, 0 SAs and 0 policies local
mirror      120 SAs and 60 policies, 1 change waiting
refused     1 record: ESN
demotion    demoted: handover
handover    done
two masters seen 1 time
lost if     this gateway took over now: what it has not been given yet, 1
            change, 1 record refused; 120 stale leases to be moved on first`;

for (const [what, view, text] of [["master", MASTER, MASTER_TEXT], ["slave", SLAVE, SLAVE_TEXT]] as const) {
  Deno.test(`printStatus() of a ${what} fits 80 columns`, () => {
    const lines = printStatus(view, PLAIN);
    assertEquals(lines.join("\n"), text);
    assert(lines.every((line) => line.length <= 80));
  });
}

Deno.test("printStatus() asks whether the address is stale beside a later master", () => {
  const lines = printStatus({ ...MASTER, laterMaster: "192.0.2.2" }, PLAIN);
  assert(lines.includes("address     stale address? 192.0.2.2 is master in a later epoch"));
});

Deno.test("printStatus() says of a starting master and of a lonely slave what they are", () => {
  const starting = printStatus({ ...MASTER, acting: false, peers: [] }, PLAIN);
  assertEquals(starting[0], "role        MASTER (starting) for 3 min 20 s: 203.0.113.1 is on eth0");
  const loss = { synchronised: true, changes: 0, refused: [] };
  const lonely = printStatus({ ...SLAVE, following: undefined, staleLeases: 0, loss }, PLAIN);
  assertEquals(lonely[2], "following   nobody");
  assertEquals(lonely.at(-1), "lost if     this gateway took over now: nothing");
});

Deno.test("printStatus() colours what must not be overlooked, line by line", () => {
  const lines = printStatus(MASTER, COLOUR);
  const plain = ["\x1b[1m", "\x1b[31m", "\x1b[0m"].reduce(
    (text, code) => text.replaceAll(code, ""),
    lines.join("\n"),
  );
  assertEquals(plain, MASTER_TEXT);
  const red = lines.filter((line) => line.startsWith("\x1b[31m")).map((line) => line.slice(5, 12).trim());
  assertEquals(red, ["refuses", "", "", "lost if", "session"]);
});

Deno.test("printPeers() is a table of 80 columns", () => {
  const busy = { ...GONE, seconds: 86_399, lagChanges: 1_000_000, refused: PEER.refused };
  const lines = printPeers([PEER, busy]);
  assertEquals(lines, [
    "PEER                                    SESSION    ROLE   LAG      REFUSED",
    "192.0.2.2                               up 1 h     SLAVE  2        3",
    "2001:db8:1234:5678:9abc:def0:1234:5678  down 23 h  -      1000000  3",
  ]);
});
