/** What the network process may say to charon through the helper, and what not. */

import { assertEquals, assertThrows } from "@std/assert";
import type { HelperAnswer } from "../../../src/daemon/helper_messages.ts";
import { ViciRelay } from "../../../src/daemon/vici_relay.ts";
import { DecodeError } from "../../../src/errors.ts";
import { CMD_REQUEST, encodeViciPacket, EVENT_REGISTER } from "../../../src/link/vici.ts";
import { Writer } from "../../../src/layout/writer.ts";
import { FakeCharon, FakeDoors } from "../../fakes/ike.ts";

const SOCKET = "/run/charon.vici";

function setUp() {
  const doors = new FakeDoors();
  const charon = new FakeCharon("net");
  doors.servers.set(SOCKET, charon);
  const told: HelperAnswer[] = [];
  const relay = new ViciRelay({ doors, path: SOCKET, tell: (answer) => told.push(answer) });
  const say = (type: number, name: string) =>
    relay.send(
      1,
      encodeViciPacket({
        type,
        name,
        message: new Map([["child", "net"], ["timeout", "-1"], ["child-id", "7"]]),
      }),
    );
  return { charon, relay, say };
}

/** All that negotiating anew and rekeying in time say, in their order. */
const SAID = [
  [EVENT_REGISTER, "list-conn"],
  [CMD_REQUEST, "list-conns"],
  [EVENT_REGISTER, "list-sa"],
  [CMD_REQUEST, "list-sas"],
  [CMD_REQUEST, "initiate"],
  [CMD_REQUEST, "rekey"],
] as const;

Deno.test("ViciRelay.send() passes on what negotiating anew and rekeying say", () => {
  const { charon, say } = setUp();
  for (const [type, name] of SAID) say(type, name);
  assertEquals([charon.asked, charon.done], [SAID.length, ["initiate net -1", "rekey 7"]]);
});

for (const name of ["load-conn", "terminate", "install", "load-shared", "reload-settings"]) {
  Deno.test(`ViciRelay.send() does not pass ${name} on`, () => {
    const { charon, say } = setUp();
    assertThrows(() => say(CMD_REQUEST, name), DecodeError);
    assertEquals(charon.asked, 0);
  });
}

/** A frame of `initiate` with this message. */
function initiate(message: readonly number[]): Uint8Array {
  const name = new TextEncoder().encode("initiate");
  const body = [CMD_REQUEST, name.length, ...name, ...message];
  return new Writer("big").u32be(body.length).bytes(Uint8Array.from(body)).finish();
}

const DEEP = 100_000;
const FORMLESS = {
  "a name that is not UTF-8": [3, 255, ...new Array<number>(255).fill(0xff), 0, 0],
  "sections within sections": [
    ...new Array<number[]>(DEEP).fill([1, 0]).flat(),
    ...new Array<number>(DEEP).fill(2),
  ],
};

for (const [what, message] of Object.entries(FORMLESS)) {
  Deno.test(`ViciRelay.send() does not pass ${what} on`, () => {
    const { charon, relay } = setUp();
    assertThrows(() => relay.send(1, initiate(message)), DecodeError, "has no form");
    assertEquals(charon.asked, 0);
  });
}
