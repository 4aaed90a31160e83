/** Rekeying in time over vici: what is asked of charon, once for each SA. */

import { assert, assertEquals } from "@std/assert";
import { RekeyControl } from "../../../src/daemon/ike_rekey.ts";
import { IkeSwitch } from "../../../src/daemon/ike_switch.ts";
import { FakeCharon, FakeDoors } from "../../fakes/ike.ts";
import { FakeLog } from "../../fakes/log.ts";

const SOCKET = "/run/charon.vici";

/** A master, and a charon that has two children of its own: 10 with SPI 1 and 11 with SPI c0ffee01. */
function setUp() {
  const doors = new FakeDoors();
  const charon = new FakeCharon();
  charon.sas = [{ id: "1", state: "ESTABLISHED", initiator: false, spisOut: ["00000001", "c0ffee01"] }];
  doors.servers.set(SOCKET, charon);
  const connect = doors.connect.bind(doors);
  doors.connect = (path) => (charon.reset(), connect(path));
  const due = new Set<number>();
  const numberEnd = {
    dueSpis: due,
    asked: (spis: ReadonlySet<number>) => spis.forEach((spi) => due.delete(spi)),
  };
  const log = new FakeLog();
  const ike = new IkeSwitch(new RekeyControl({ numberEnd, path: SOCKET, doors, log }), log);
  ike.give({ duty: "active", epoch: 1 }, 0);
  let nowMs = 0;
  const run = (ms: number) => {
    for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 100) {
      for (let turns = 0; turns === 0 || turns < 1000 && ike.interests.length > 0; turns++) {
        ike.tick(nowMs);
      }
    }
  };
  return { charon, doors, due, ike, log, run };
}

for (const chop of [1, Infinity]) {
  Deno.test(`RekeyControl asks once for each SA that charon has, ${chop} bytes at a time`, () => {
    const { charon, doors, due, log, run } = setUp();
    doors.chop = chop;
    run(30_000);
    assertEquals([charon.asked, doors.connects], [0, 0], "nothing is due");
    due.add(0xc0ffee01).add(0xbad);
    run(60_000);
    assertEquals(charon.done, ["rekey 11"]);
    assertEquals([due.size, doors.connects, doors.open.size], [0, 1, 0]);
    assertEquals(log.count(/the SA with SPI 0xc0ffee01 is rekeyed/), 1);
    assertEquals(log.count(/the SA with SPI 0x00000bad is not charon's own/), 1);
  });
}

Deno.test("RekeyControl says that charon refuses, and goes on with the next SA", () => {
  const { charon, due, log, run } = setUp();
  charon.refuses.add("10");
  due.add(1).add(0xc0ffee01);
  run(30_000);
  assertEquals([charon.done, due.size], [["rekey 11"], 0]);
  assertEquals(log.count(/error: strongswan: charon does not rekey the SA with SPI 0x00000001: busy/), 1);
});

Deno.test("RekeyControl asks a charon that was not there as soon as it is", () => {
  const { charon, doors, due, run } = setUp();
  due.add(1);
  doors.errno = "ENOENT";
  run(60_000);
  assertEquals(due.size, 1);
  doors.errno = undefined;
  run(30_000);
  assertEquals(charon.done, ["rekey 10"]);
});

Deno.test("RekeyControl gives up a charon that is silent, however often its descriptor is ready for others", () => {
  const { charon, due, log, run } = setUp();
  charon.isSilent = true;
  due.add(1);
  run(5000);
  assertEquals([charon.asked, log.count(/no answer for 5 s/)], [1, 0]);
  run(1000);
  assertEquals([charon.asked, log.count(/no answer for 5 s/)], [2, 1]);
});

Deno.test("RekeyControl asks for nothing on a slave", () => {
  const { charon, due, ike, run } = setUp();
  ike.give({ duty: "passive", epoch: 1 }, 0);
  due.add(1);
  run(60_000);
  assertEquals(charon.done, []);
  assert(due.has(1));
});
