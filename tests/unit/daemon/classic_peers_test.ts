/** Whole daemons that speak the classic protocol, in virtual time: two of ours, and slaves of both kinds. */

import { assertEquals, assertThrows } from "@std/assert";
import type { KernelChange, RoleTracker } from "../../../src/ports.ts";
import { identityOf, type IpsecRecord } from "../../../src/record/record.ts";
import { ClassicLink } from "../../../src/daemon/classic_link.ts";
import { HOST_ORDER } from "../../../src/layout/byte_order.ts";
import { PeerError } from "../../../src/errors.ts";
import { ClassicCodec } from "../../../src/wire/classic/codec.ts";
import type { ClassicMessage, ReceivedMessage } from "../../../src/wire/classic/message.ts";
import { rawRecord, rawVector, RECORD_NAMES } from "../../fakes/classic.ts";
import { contentsOf, FakeDaemon } from "../../fakes/gateways.ts";
import { openbsdGateway } from "../../fakes/mixed_gateways.ts";
import type { FakeConnection, FakeListener } from "../../fakes/network.ts";
import { addr } from "../../fakes/records.ts";
import { MovedTracker } from "../../fakes/roles.ts";
import { seededRandom } from "../../fakes/sessions.ts";
import { World } from "../../fakes/world.ts";

const M = "10.0.0.1";
const S = "10.0.0.2";
const T = "10.0.0.3";
const CLASSIC = "protocol classic\nkernel memory openbsd";
const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);

const put = (record: IpsecRecord): KernelChange => ({ kind: "put", record });
const RECORDS = ["ESP with AES-128", "flow out, use", "flow in, use", "AH transport", "ESP with AES-192"];
const HELD = RECORDS.map((name) => put(rawRecord(name)));
/** But one whose limits of time are others on a slave, and one that no kernel takes yet. */
const MANY = RECORD_NAMES.filter((name) => !/^used before it was made|of the future$/.test(name));
const LATER = rawRecord("ESP with AES-256");

/** CLOCK_REALTIME when CLOCK_BOOTTIME is 0, as the kernels of other tests have it. */
const BOOTED_SECONDS = 1_700_000_000;

/** A world with a wall clock, by which OpenBSD dates SAs. */
function newWorld(): World {
  const world = new World();
  world.clock.wallSeconds = () => BOOTED_SECONDS + Math.floor(world.clock.nowMs / 1000);
  return world;
}

function daemon(world: World, address: string, mode: "master" | "slave", ...peers: string[]): FakeDaemon {
  return new FakeDaemon(world, { address, peers, mode, more: CLASSIC });
}

function deleted(record: IpsecRecord): KernelChange {
  const identity = identityOf(record);
  return identity.kind === "sa"
    ? { kind: "delete-sa", id: identity.id }
    : { kind: "delete-policy", id: identity.id };
}

Deno.test("two daemons of ours in classic mode: snapshot, changes, deletions", async () => {
  const world = newWorld();
  const master = daemon(world, M, "master", S);
  master.kernel.apply(MANY.map((name) => put(rawRecord(name))));
  const slave = daemon(world, S, "slave", M);
  slave.kernel.apply([put(LATER)]);
  await world.run(8000);
  assertEquals(slave.contents(), master.contents());
  assertEquals(slave.log.count(/synchronised with 10.0.0.1: \d+ records/), 1, slave.log.lines.join("\n"));
  master.disturb(deleted(rawRecord("ESP with AES-128")), put(rawRecord("ESP with AES-CTR")));
  master.disturb(deleted(rawRecord("flow out, use")));
  await world.run(100);
  assertEquals(slave.contents(), master.contents());
  master.kernel.flushSas(50);
  master.poller.wake();
  await world.run(100);
  assertEquals(slave.contents(), master.contents());
  for (const { log } of [master, slave]) assertEquals(log.count(/^error/), 0, log.lines.join("\n"));
});

Deno.test("two gateways of OpenBSD in classic mode: snapshot, changes, and nothing to repair", async () => {
  const world = newWorld();
  const start = openbsdGateway(HOST_ORDER);
  const more = CLASSIC;
  const from = start(world, { address: M, peers: [S], mode: "master", more });
  const to = start(world, { address: S, peers: [M], mode: "slave", more });
  from.change(...MANY.map((name) => put(rawRecord(name))));
  to.change(put(LATER));
  await world.run(10_000);
  assertEquals(contentsOf(to.records()), contentsOf(from.records()));
  from.change(deleted(rawRecord("ESP with AES-128")), deleted(rawRecord("flow out, use")), put(LATER));
  await world.run(2000);
  assertEquals(contentsOf(to.records()), contentsOf(from.records()));
  const changes = to.changes();
  await world.run(200_000);
  assertEquals(to.changes(), changes);
  from.change(...MANY.map((name) => deleted(rawRecord(name))), deleted(LATER));
  await world.run(2000);
  assertEquals([from.records(), to.records()], [[], []]);
  for (const { daemon: { log } } of [from, to]) assertEquals(log.count(/^error/), 0, log.lines.join("\n"));
});

Deno.test("a daemon says once at its start what the classic protocol is worth", async () => {
  const world = newWorld();
  const slave = daemon(world, S, "slave", M, T);
  await world.run(20_000);
  assertEquals(
    slave.log.count(/^notice: protocol classic with 10.0.0.1, 10.0.0.3: it hides what is sent/),
    1,
  );
});

Deno.test("classic and native slaves of one master have the same", async () => {
  const world = newWorld();
  const master = new FakeDaemon(world, {
    address: M,
    peers: [S, `${T} protocol classic`],
    mode: "master",
    more: "kernel memory openbsd",
  });
  master.kernel.apply(HELD);
  const native = new FakeDaemon(world, { address: S, peers: [M, T], mode: "slave" });
  const classic = daemon(world, T, "slave", M, S);
  await world.run(8000);
  master.disturb(put(LATER), deleted(rawRecord("flow in, use")));
  await world.run(1000);
  assertEquals(native.contents(), master.contents());
  assertEquals(classic.contents(), master.contents());
});

for (const victim of [M, S]) {
  Deno.test(`two daemons of ours in classic mode find each other again when ${victim} comes back`, async () => {
    const world = newWorld();
    const start = (address: string) =>
      address === M ? daemon(world, M, "master", S) : daemon(world, S, "slave", M);
    let master = start(M);
    master.kernel.apply(HELD);
    let slave = start(S);
    await world.run(8000);
    (victim === M ? master : slave).gateway.stop("test");
    await world.run(1000);
    if (victim === M) master = start(M);
    else slave = start(S);
    master.disturb(...HELD, put(LATER));
    await world.run(20_000);
    assertEquals(slave.contents(), master.contents());
  });
}

Deno.test("two daemons of ours in classic mode change roles and stay the same", async () => {
  const world = newWorld();
  const trackers = [
    new MovedTracker(world.network, "MASTER"),
    new MovedTracker(world.network, "SLAVE"),
  ] as const;
  const start = (address: string, peer: string, tracker: RoleTracker) =>
    new FakeDaemon(world, { address, peers: [peer], mode: "slave", more: CLASSIC, tracker });
  const [one, two] = [start(M, S, trackers[0]), start(S, M, trackers[1])];
  one.kernel.apply(HELD);
  await world.run(8000);
  assertEquals(two.contents(), one.contents());
  trackers[1].move("MASTER");
  await world.run(100);
  trackers[0].move("SLAVE");
  await world.run(8000);
  two.disturb(put(LATER), deleted(rawRecord("AH transport")));
  await world.run(8000);
  assertEquals(one.contents(), two.contents());
  assertEquals(Object.keys(one.contents()).length, HELD.length);
  trackers[0].move("MASTER");
  trackers[1].move("SLAVE");
  await world.run(8000);
  one.disturb(deleted(LATER));
  await world.run(8000);
  assertEquals(two.contents(), one.contents());
});

/** A peer of which the test does everything by hand. */
class Stranger {
  readonly #listener: FakeListener;
  readonly #codec = new ClassicCodec(KEY, seededRandom(1));

  constructor(private readonly world: World) {
    this.#listener = world.network.listen({ address: addr(S), port: 500 });
  }

  accept(): FakeConnection {
    return this.#listener.accept()!;
  }

  async dial(): Promise<FakeConnection> {
    const connection = this.world.network.connect(addr(S), { address: addr(M), port: 500 });
    await this.world.run(1);
    assertEquals(connection.finishConnect(), undefined);
    return connection;
  }

  say(connection: FakeConnection, ...messages: ClassicMessage[]): void {
    for (const message of messages) connection.send(this.#codec.seal(message));
  }

  /** What has come on a connection, and how it ended. */
  hear(connection: FakeConnection): string[] {
    const codec = new ClassicCodec(KEY, seededRandom(1));
    const heard: string[] = [];
    for (;;) {
      const received = connection.receive(10_000);
      if (received.kind === "closed") return [...heard, received.reason];
      if (received.kind !== "data") return heard;
      heard.push(...codec.push(received.bytes).map(nameOf));
    }
  }
}

function nameOf(message: ReceivedMessage): string {
  return "role" in message ? `${message.type} ${message.role}` : message.type;
}

Deno.test("a daemon ends a connection in order: it reads on until the peer has ended it, too", async () => {
  const world = newWorld();
  const stranger = new Stranger(world);
  const { gateway } = daemon(world, M, "slave", S);
  await world.run(100);
  const connection = stranger.accept();
  stranger.say(connection, { type: "state", role: "MASTER" });
  await world.run(100);
  gateway.stop("test");
  await world.run(10);
  assertEquals(stranger.hear(connection), ["state SLAVE", "ack SLAVE", "EOF"]);
  for (let i = 0; i < 10; i++) {
    stranger.say(connection, { type: "pfkey", bytes: rawVector("EXPIRE soft") });
    await world.run(10);
  }
  assertEquals(stranger.hear(connection), ["EOF"], "not reset by what was sent");
  connection.close();
  await world.run(10);
  assertEquals(world.network.openFds.length, 1, "the stranger's listener");
});

Deno.test("a daemon waits for the end of a connection for five seconds at most", async () => {
  const world = newWorld();
  const stranger = new Stranger(world);
  daemon(world, M, "slave", S);
  await world.run(100);
  const connection = stranger.accept();
  connection.send(new Uint8Array(64).fill(0xff));
  await world.run(1);
  assertEquals(stranger.hear(connection), ["state SLAVE", "EOF"]);
  const before = world.network.openFds;
  await world.run(4900);
  assertEquals(before.filter((fd) => !world.network.isOpen(fd)), []);
  await world.run(200);
  assertEquals(before.filter((fd) => !world.network.isOpen(fd)).length, 1);
});

Deno.test("a daemon uses the connection of a peer that has come back without a word", async () => {
  const world = newWorld();
  const stranger = new Stranger(world);
  daemon(world, M, "slave", S);
  await world.run(100);
  const before = stranger.accept();
  await world.run(5000);
  const after = await stranger.dial();
  stranger.say(after, { type: "state", role: "SLAVE" });
  await world.run(10);
  assertEquals(stranger.hear(after), [], "what the daemon says goes to the connection that it has dialled");
  before.drop();
  await world.run(10);
  assertEquals(stranger.hear(after), ["state SLAVE"]);
});

Deno.test("a daemon survives a reset that it finds while it answers", async () => {
  const world = newWorld();
  const stranger = new Stranger(world);
  const { log } = daemon(world, M, "slave", S);
  await world.run(100);
  const connection = stranger.accept();
  stranger.say(connection, { type: "state", role: "MASTER" });
  connection.drop();
  await world.run(100);
  assertEquals(log.count(/disconnected, connection closed while sending/), 1);
  await world.run(10_000);
  assertEquals(stranger.hear(stranger.accept()), ["state SLAVE"]);
});

Deno.test("a daemon keeps few connections of one peer", async () => {
  const world = newWorld();
  const stranger = new Stranger(world);
  const { log } = daemon(world, M, "slave", S);
  await world.run(100);
  const before = world.network.openFds.length;
  const dialled: FakeConnection[] = [];
  for (let i = 0; i < 30; i++) dialled.push(await stranger.dial());
  await world.run(100);
  assertEquals(world.network.openFds.length - before - dialled.length, 5);
  stranger.say(dialled.at(-1)!, { type: "state", role: "SLAVE" });
  await world.run(100);
  assertEquals(log.count(/^error/), 0);
});

Deno.test("a classic slave that does not read does not hold up another one", async () => {
  const world = newWorld();
  const stranger = new Stranger(world);
  world.network.capacity = 1000;
  const master = daemon(world, M, "master", S, T);
  const slave = daemon(world, T, "slave", M);
  const { sa } = rawRecord("ESP with AES-128") as IpsecRecord & { kind: "sa" }; // its name says so
  master.kernel.apply(
    Array.from({ length: 500 }, (_, i) => put({ kind: "sa", sa: { ...sa, spi: 0x5000 + i } })),
  );
  await world.run(100);
  stranger.say(stranger.accept(), { type: "ack", of: 1, role: "SLAVE" });
  await world.run(10_000);
  assertEquals(Object.keys(slave.contents()).length, 500);
});

Deno.test("ClassicLink.send() finds out that the peer does not read", () => {
  const world = newWorld();
  world.network.capacity = 100;
  world.network.listen({ address: addr(S), port: 500 });
  const connection = world.network.connect(addr(M), { address: addr(S), port: 500 });
  const random = seededRandom(1);
  const link = new ClassicLink({ connection, dialled: true, key: KEY, random, nowMs: 0 });
  link.finishConnect(0);
  const message: ClassicMessage = { type: "pfkey", bytes: new Uint8Array(4096) };
  for (let sent = 0; sent < 250; sent++) link.send(message);
  assertEquals([link.hasRoom, link.wantsWrite], [false, true]);
  assertThrows(
    () => {
      for (let sent = 0; sent < 10; sent++) link.send(message);
    },
    PeerError,
    "does not read",
  );
});
