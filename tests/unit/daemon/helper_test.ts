/** The helper and the network process: what passes between them, and what the helper does not do. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { HelperClient } from "../../../src/daemon/helper_client.ts";
import { parseHelperCommand } from "../../../src/daemon/helper_messages.ts";
import { giveBack, HelperServer, logOver } from "../../../src/daemon/helper_server.ts";
import { LineStream } from "../../../src/daemon/line_stream.ts";
import { ViciRelay } from "../../../src/daemon/vici_relay.ts";
import { ConfigError, DecodeError, SyscallError } from "../../../src/errors.ts";
import { CMD_REQUEST, encodeViciPacket, EVENT_REGISTER } from "../../../src/link/vici.ts";
import type { IkeCommander, IkeOrder, Interest, Poller, Readiness } from "../../../src/ports.ts";
import { FakeCharon, FakeDoors } from "../../fakes/ike.ts";
import { FakeLocalStream } from "../../fakes/local_streams.ts";
import { FakeLog } from "../../fakes/log.ts";
import { HEX_KEY } from "../../fakes/config.ts";
import { addr } from "../../fakes/records.ts";
import { VirtualClock } from "../../fakes/world.ts";

const GOOD = [
  { command: "read" },
  { command: "leave" },
  { command: "demote", demoted: true, isMaster: false },
  { command: "ike", duty: "passive", epoch: 7 },
  { command: "vici", id: 1, bytes: "00ff" },
  { command: "hang up", id: 1 },
  { command: "look", id: 3, at: "spd" },
];

for (const command of GOOD) {
  Deno.test(`parseHelperCommand() takes ${JSON.stringify(command)}`, () => {
    assertEquals<unknown>(parseHelperCommand({ ...command, file: "/etc/shadow" }), command);
  });
}

const BAD = [
  null,
  7,
  "read",
  [],
  {},
  { command: "exec", path: "/bin/sh" },
  { command: "constructor" },
  { command: "demote", demoted: "yes", isMaster: false },
  { command: "demote", demoted: true },
  { command: "ike", duty: "left", epoch: 1 },
  { command: "ike", duty: "active", epoch: -1 },
  { command: "ike", duty: "active", epoch: 1.5 },
  { command: "ike", duty: "active", epoch: "1; reboot" },
  { command: "vici", id: 1, bytes: "0" },
  { command: "vici", id: 1, bytes: "zz" },
  { command: "vici", id: -1, bytes: "" },
  { command: "look", id: 1, at: "/etc/shadow" },
];

for (const command of BAD) {
  Deno.test(`parseHelperCommand() refuses ${JSON.stringify(command)}`, () => {
    assertThrows(() => parseHelperCommand(command), DecodeError);
  });
}

for (const chop of [1, 2, 7, Infinity]) {
  Deno.test(`LineStream carries values in both directions, ${chop} bytes at a time`, () => {
    const stream = new FakeLocalStream(5);
    stream.chop = chop;
    const lines = new LineStream(stream, 100, 1000);
    const values = [{ a: 1 }, ["u", null], "x".repeat(90)];
    for (const value of values) lines.send(value);
    while (lines.interest.write) lines.flush();
    stream.say(stream.answers);
    const received: unknown[] = [];
    while (stream.unread > 0) received.push(...lines.receive());
    assertEquals(received, values);
  });
}

for (
  const [what, text] of [["no JSON", "nonsense\n"], ["no end", "7".repeat(200)], [
    "a line too long",
    `"${"7".repeat(200)}"\n`,
  ]]
) {
  Deno.test(`LineStream refuses ${what}`, () => {
    const lines = new LineStream(new FakeLocalStream(5).say(text!), 100, 1000);
    assertThrows(() => lines.receive(), DecodeError);
  });
}

Deno.test("LineStream takes who lets too much wait for it for dead, and keeps no more", () => {
  const stream = new FakeLocalStream(5);
  stream.isStuck = true;
  const lines = new LineStream(stream, 100, 1000);
  for (let i = 0; i < 100; i++) lines.send("x".repeat(90));
  assert(lines.isClosed);
  stream.isStuck = false;
  lines.flush();
  assertEquals(stream.answers, "");
});

/** IKE daemons that keep what they are ordered. */
class FakeCommander implements IkeCommander {
  readonly orders: IkeOrder[] = [];
  readonly interests: readonly Interest[] = [];
  give(order: IkeOrder): void {
    this.orders.push(order);
  }
  tick(): number {
    return Infinity;
  }
  async leave(): Promise<void> {}
}

/** Says that the stream is readable, as often as it is asked. */
class EagerPoller implements Poller {
  wait(interests: readonly Interest[]): Promise<readonly Readiness[]> {
    return Promise.resolve(interests.map((one) => ({ ...one, error: false })));
  }
  wake(): void {}
}

function serverOf(stream: FakeLocalStream, failure?: SyscallError) {
  const lines = new LineStream(stream, 1000, 1000);
  const [ike, log, demotions] = [new FakeCommander(), logOver(lines, new FakeLog()), [] as string[]];
  const server = new HelperServer({
    ...{ lines, log, ike, poller: new EagerPoller(), clock: new VirtualClock() },
    demoter: {
      set(demoted, isMaster) {
        if (failure !== undefined) throw failure;
        demotions.push(`${demoted} ${isMaster}`);
      },
      leave() {},
    },
    vici: new ViciRelay({ doors: new FakeDoors(), path: undefined, tell: (answer) => lines.send(answer) }),
    look: (at) => new TextEncoder().encode(at),
    checkFiles: () => ["file /a: ENOENT"],
    read: () => Promise.resolve({ mistakes: [] }),
  });
  return { server, ike, demotions };
}

const said = (...commands: readonly unknown[]) =>
  commands.map((command) => `${JSON.stringify(command)}\n`).join("");

Deno.test("logOver() tells the network process while it is there, and then for itself", () => {
  const stream = new FakeLocalStream(5);
  const alone = new FakeLog();
  const log = logOver(new LineStream(stream, 1000, 1000), alone);
  log.notice("with it");
  stream.hangUp = "whole";
  log.error("without it");
  log.state(() => "and after");
  assertEquals(stream.answers, '{"answer":"log","level":"notice","text":"with it"}\n');
  assertEquals(alone.lines, ["error: without it", "state: and after"]);
});

Deno.test("HelperServer does what it is told, until the network process leaves", async () => {
  const stream = new FakeLocalStream(5).say(said(...GOOD.slice(2, 4), GOOD[6], GOOD[1]));
  const { server, ike, demotions } = serverOf(stream);
  assertEquals(await server.run(), true);
  assertEquals([ike.orders, demotions], [[{ duty: "passive", epoch: 7 }], ["true false"]]);
  assertEquals(stream.answers, said({ answer: "seen", id: 3, bytes: "737064" }));
});

Deno.test("HelperServer says of the files of its configuration what they are", async () => {
  const stream = new FakeLocalStream(5).say(said({ command: "check files", path: "/etc/shadow" }, GOOD[1]));
  assertEquals(await serverOf(stream).server.run(), true);
  assertEquals(stream.answers, said({ answer: "checked", lines: ["file /a: ENOENT"] }));
});

Deno.test("HelperServer knows a network process that has died from one that leaves", async () => {
  const stream = new FakeLocalStream(5);
  stream.hangUp = "half";
  assertEquals(await serverOf(stream).server.run(), false);
});

Deno.test("HelperServer does nothing more for who asks for what is not in its list", async () => {
  const stream = new FakeLocalStream(5).say(said({ command: "exec" }, GOOD[2]));
  const { server, demotions } = serverOf(stream);
  assertEquals([await server.run(), demotions], [false, []]);
  assert(stream.answers.includes("the helper ends"), stream.answers);
});

Deno.test("HelperServer ends when its answers are not read", async () => {
  const stream = new FakeLocalStream(5).say(said(...new Array<unknown>(100).fill(GOOD[6])));
  stream.isStuck = true;
  assertEquals(await serverOf(stream).server.run(), false);
});

Deno.test("giveBack() does all, whatever fails", async () => {
  const [log, done] = [new FakeLog(), [] as number[]];
  await giveBack([
    { what: "demote", act: () => assert(done.push(1) === 2, "no space") },
    { what: "sweep", act: () => Promise.reject(Error("ENOBUFS")) },
    { what: "leave", act: () => done.push(3) },
  ], log);
  assertEquals(done, [1, 3]);
  assertEquals(log.lines, ["error: cannot demote: no space", "error: cannot sweep: ENOBUFS"]);
});

Deno.test("HelperServer says once that it cannot demote", async () => {
  const stream = new FakeLocalStream(5).say(said(GOOD[2], GOOD[2], GOOD[1]));
  assertEquals(await serverOf(stream, new SyscallError("write", "ENOSPC", 28)).server.run(), true);
  assertEquals(stream.answers.match(/cannot demote this node: Cannot write: ENOSPC/g)?.length, 1);
});

function clientOf(stream: FakeLocalStream) {
  const log = new FakeLog();
  const gone: string[] = [];
  const client = new HelperClient({
    ...{ lines: new LineStream(stream, 100_000, 1000), clock: new VirtualClock(), log },
    waitReadable: () => stream.canRead,
    gone: (reason) => gone.push(reason),
  });
  const tick = () => client.tick(new Map([[5, { fd: 5, read: true, write: false, error: false }]]));
  return { client, log, gone, tick };
}

Deno.test("HelperClient makes a configuration of what the helper has read", async () => {
  const stream = new FakeLocalStream(5);
  const { client, tick } = clientOf(stream);
  const reading = client.readConfig();
  assertEquals(stream.answers, said({ command: "read" }));
  const text = `mode master\npeer gw2.example\nsharedkey file /etc/key\n`;
  const contents = {
    "/etc/sasyncd.conf": new TextEncoder().encode(text).toHex(),
    "/etc/key": new TextEncoder().encode(`${HEX_KEY}\n`).toHex(),
  };
  const hosts = { "gw2.example": ["c0000202"], "gw3.example": { error: "no such host" } };
  stream.say(said({ answer: "configuration", reading: { file: "/etc/sasyncd.conf", contents, hosts } }));
  tick();
  const { config, host } = await reading;
  assertEquals([config.mode, config.sharedKey.kind], ["master", "file"]);
  assertEquals(host("gw2.example"), [addr("192.0.2.2")]);
  assertThrows(() => host("gw3.example"), Error, "no such host");
});

Deno.test("HelperClient brings what the helper says of files", async () => {
  const stream = new FakeLocalStream(5);
  const { client, tick } = clientOf(stream);
  const checked = client.checkFiles();
  assertEquals(stream.answers, said({ command: "check files" }));
  stream.say(said({ answer: "checked", lines: ["file /a: ENOENT"] }));
  tick();
  assertEquals(await checked, ["file /a: ENOENT"]);
});

Deno.test("HelperClient tells the mistakes of a configuration, and that the helper is gone", async () => {
  const stream = new FakeLocalStream(5);
  const { client, gone, tick } = clientOf(stream);
  const mistakes = [{ file: "a", line: 3, message: "wrong" }];
  const [first, second] = [client.readConfig(), client.readConfig()];
  stream.say(said({ answer: "configuration", reading: { mistakes } }));
  tick();
  await assertRejects(() => first, ConfigError, "a:3: wrong");
  stream.hangUp = "whole";
  tick();
  await assertRejects(() => second, SyscallError, "EPIPE");
  assertEquals(gone, ["the helper has ended"]);
  assertEquals(client.interests, []);
});

Deno.test("HelperClient takes a helper that reads nothing for dead", () => {
  const stream = new FakeLocalStream(5);
  stream.isStuck = true;
  const { client, gone } = clientOf(stream);
  for (let i = 0; i < 100; i++) client.demoter.set(true, false);
  client.tick(new Map());
  assertEquals(gone, ["the helper has ended"]);
});

Deno.test("HelperClient orders once, and logs what the helper says", () => {
  const stream = new FakeLocalStream(5);
  const { client, log, tick } = clientOf(stream);
  for (const epoch of [1, 2]) client.give({ duty: "passive", epoch });
  client.give({ duty: "active", epoch: 3 });
  assertEquals(
    stream.answers,
    said({ command: "ike", duty: "passive", epoch: 1 }, { command: "ike", duty: "active", epoch: 3 }),
  );
  stream.say(said({ answer: "log", level: "state", text: "strongswan is active" }));
  tick();
  assertEquals(log.count(/state: strongswan is active/), 1);
});

Deno.test("HelperClient.look() waits for its own answer", () => {
  const stream = new FakeLocalStream(5);
  const { client, gone } = clientOf(stream);
  assertThrows(() => client.look("link"), SyscallError, "ETIMEDOUT");
  stream.say(said({ answer: "seen", id: 1, bytes: "01" }, { answer: "seen", id: 2, bytes: "02" }));
  assertEquals(client.look("link"), new Uint8Array([2]));
  stream.say(said({ answer: "unseen", id: 3, call: "ioctl", errno: "ENXIO" }));
  assertThrows(() => client.look("link"), SyscallError, "Cannot ioctl: ENXIO");
  stream.hangUp = "whole";
  for (let i = 0; i < 2; i++) assertThrows(() => client.look("link"), SyscallError, "ETIMEDOUT");
  assertEquals(gone, ["the helper has ended"]);
});

const SOCKET = "/run/charon.vici";

function relayOf(path: string | undefined) {
  const [doors, charon, told] = [new FakeDoors(), new FakeCharon("net"), [] as unknown[]];
  doors.servers.set(SOCKET, charon);
  const relay = new ViciRelay({ doors, path, tell: (answer) => told.push(answer) });
  const turn = () => {
    for (const { fd } of relay.interests) {
      relay.tick(new Map([[fd, { fd, read: true, write: true, error: false }]]));
    }
  };
  return { relay, charon, doors, told, turn };
}

const packet = (type: number, name: string) => encodeViciPacket({ type, name, message: new Map() });

Deno.test("ViciRelay passes on what asks for the connections, in any pieces, and the answer", () => {
  const { relay, charon, told, turn } = relayOf(SOCKET);
  const bytes = packet(EVENT_REGISTER, "list-conn");
  for (const byte of bytes) relay.send(1, new Uint8Array([byte]));
  turn();
  assertEquals(charon.asked, 1);
  assertEquals(told, [{ answer: "vici", id: 1, bytes: "0000000105" }]); // EVENT_CONFIRM
});

for (
  const [type, name] of [[CMD_REQUEST, "load-conn"], [CMD_REQUEST, "terminate"], [EVENT_REGISTER, "log"], [
    1,
    "",
  ]] as const
) {
  Deno.test(`ViciRelay does not pass on "${name}" of type ${type}`, () => {
    const { relay, charon } = relayOf(SOCKET);
    assertThrows(() => relay.send(1, packet(type, name)), DecodeError, "not passed on");
    assertEquals(charon.asked, 0);
  });
}

Deno.test("ViciRelay has no charon to talk with that is not configured", () => {
  assertThrows(() => relayOf(undefined).relay.send(1, packet(CMD_REQUEST, "list-conns")), DecodeError);
});

Deno.test("ViciRelay says when charon is not there, and holds two conversations at a time", () => {
  const { relay, doors, told } = relayOf(SOCKET);
  for (const id of [1, 2]) relay.send(id, new Uint8Array());
  assertEquals([doors.open.size, told], [2, []]);
  relay.send(3, new Uint8Array());
  assertEquals(told.splice(0), [{ answer: "vici closed", id: 1, reason: "too many conversations" }]);
  assertEquals(doors.open.size, 2);
  for (const id of [1, 2, 3]) relay.hangUp(id);
  assertEquals([doors.open.size, told], [0, []]);
  doors.servers.delete(SOCKET);
  relay.send(4, new Uint8Array());
  assertEquals(told.length, 1);
});

Deno.test("HelperClient has two conversations with charon, and each its own answers and end", () => {
  const stream = new FakeLocalStream(5);
  const { client, tick } = clientOf(stream);
  const [one, two] = [client.doors.connect(SOCKET), client.doors.connect(SOCKET)];
  stream.say(said({ answer: "vici", id: 2, bytes: "02" }, { answer: "vici", id: 1, bytes: "01" }));
  stream.say(said({ answer: "vici closed", id: 1, reason: "EOF" }));
  tick();
  assertEquals(one.receive(9), { kind: "data", bytes: Uint8Array.of(1) });
  assertEquals(one.receive(9), { kind: "closed", reason: "EOF" });
  assertEquals(two.receive(9), { kind: "data", bytes: Uint8Array.of(2) });
  for (const stream of [one, two]) stream.close();
  assertEquals(stream.answers, said({ command: "hang up", id: 2 }));
});
