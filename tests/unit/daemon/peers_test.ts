/** Connections with peers in virtual time: dialling, accepting, which session stays, life and death. */

import { assert, assertEquals } from "@std/assert";
import { helloOf as hello, Party, type PartyOptions, Stranger } from "../../fakes/peers.ts";
import { World } from "../../fakes/world.ts";
import { randomOf } from "../../sim/world.ts";
import { PeerError } from "../../../src/errors.ts";

const A = "10.0.0.1";
const B = "10.0.0.2";
const C = "10.0.0.3";
const X = "10.0.0.99";

/** Node `id` at `address` with these peers. */
function party(world: World, address: string, id: number, peers: string[], more: Partial<PartyOptions> = {}) {
  return new Party(world, { address, id, peers, ...more });
}

/** A and B, each the other's peer. */
function pair(world: World, idA = 1, idB = 2): [Party, Party] {
  return [party(world, A, idA, [B]), party(world, B, idB, [A])];
}

/** A day goes by at once, while something is on its way to both, so that neither takes the other for dead. */
async function leapDay(world: World, [a, b]: readonly Party[]): Promise<void> {
  const { latencyMs } = world.network;
  world.network.latencyMs = () => 20;
  await a!.act((peers) => peers.send(B, [{ type: "ack", change: 1 }]));
  await b!.act((peers) => peers.send(A, [{ type: "ack", change: 1 }]));
  world.clock.nowMs += 24 * 3600_000;
  await world.run(0);
  world.network.latencyMs = latencyMs;
  for (const { events } of [a!, b!]) events.length = 0;
}

/** Seconds of the dials from an address, the first of them at 0. */
function dialTimes({ network }: World, from: string): number[] {
  const times = network.dials.filter((dial) => dial.from === from).map(({ atMs }) => atMs);
  return times.map((atMs) => (atMs - times[0]!) / 1000);
}

Deno.test("Peers dials and says hello on both sides", async () => {
  const world = new World();
  const [a, b] = pair(world);
  await world.run(1000);
  assertEquals(a.events.at(-1), `up ${B} 02`);
  assertEquals(b.events.at(-1), `up ${A} 01`);
});

Deno.test("Peers dials nobody but its peers, from the address that it listens on", async () => {
  const world = new World();
  party(world, A, 1, [B, C]);
  party(world, X, 9, []);
  await world.run(30_000);
  assertEquals(
    new Set(world.network.dials.map(({ from, to }) => `${from} ${to}`)),
    new Set([
      `${A} ${B}`,
      `${A} ${C}`,
    ]),
  );
});

Deno.test("Peers refuses an unknown address at once, and says so once a minute", async () => {
  const world = new World();
  const a = party(world, A, 1, []);
  for (let i = 0; i < 5; i++) {
    const stranger = await Stranger.dial(world, X, A);
    await stranger.read();
    assertEquals(stranger.closed, "ECONNRESET");
    assertEquals(stranger.bytes, []);
  }
  await world.run(1000);
  assertEquals(a.log.lines, [`error: peer ${X}: is no configured peer, connection refused`]);
  await world.run(60_000);
  assertEquals(a.log.lines.length, 2);
  assert(a.log.lines[1]!.endsWith("(and 4 times more)"));
});

for (
  const [what, prepare, waitMs] of [
    ["is refused", () => {}, 0],
    ["has no route", ({ network }: World) => void network.unreachable.add(B), 0],
    ["hangs for 3 s", ({ network }: World) => void network.hanging.add(B), 3],
  ] as const
) {
  Deno.test(`Peers dials again after 0.5 s, doubling to 10 s, when a connect ${what}`, async () => {
    const world = new World();
    prepare(world);
    const a = party(world, A, 1, [B]);
    await world.run(80_000);
    const waits = [0.5, 1, 2, 4, 8, 10, 10];
    let atSeconds = 0;
    const expected = [0, ...waits.map((wait) => atSeconds += wait + waitMs)];
    assertEquals(dialTimes(world, A).slice(0, expected.length), expected);
    assertEquals(a.log.count(/^error/), 0, "a peer that is not there is no fault");
    assertEquals(a.log.count(/^state/), 2, "said once a minute");
  });
}

Deno.test("Peers starts again at 0.5 s after a session", async () => {
  const world = new World();
  party(world, A, 1, [B]);
  await world.run(20_000); // the wait has grown to 10 s
  const stranger = await Stranger.meet(world, B, A, 2);
  await world.run(100);
  const before = world.network.dials.length;
  stranger.connection.drop();
  await world.run(400);
  assertEquals(world.network.dials.length, before);
  await world.run(110);
  assertEquals(world.network.dials.length, before + 1);
});

Deno.test("Peers does not put off its dial for connections that come in and fail", async () => {
  const world = new World();
  party(world, A, 1, [B]);
  for (let i = 0; i < 100; i++) {
    const stranger = await Stranger.dial(world, B, A);
    stranger.connection.drop();
    await world.run(100);
  }
  assertEquals(dialTimes(world, A), [0, 0.5, 1.5, 3.5, 7.5]);
});

Deno.test("Peers with a live session dials no more, and waits without running in circles", async () => {
  const world = new World();
  const [a, b] = pair(world);
  await world.run(2000);
  const dials = world.network.dials.length;
  const waits = a.poller.waits;
  const events = [...a.events, ...b.events];
  await world.run(600_000);
  assertEquals(world.network.dials.length, dials);
  assert(a.poller.waits - waits < 4 * 600, `${a.poller.waits - waits} waits in ten minutes`);
  assertEquals([...a.events, ...b.events], events);
});

for (let first = 0; first < 200; first += 50) {
  Deno.test(`Peers of a pair that dial at once keep one session, seeds ${first} to ${first + 49}`, async () => {
    for (let seed = first; seed < first + 50; seed++) await dialAtOnce(seed);
  });
}

/** Random latencies and cuts: in the end both hold the same single connection, dialled by the greater id. */
async function dialAtOnce(seed: number): Promise<void> {
  const world = new World();
  const random = randomOf(seed);
  world.network.latencyMs = () => Math.floor(random() * 80);
  world.network.chop = () => 1 + Math.floor(random() * 60);
  const ids = seed % 2 === 0 ? [1, 2] as const : [2, 1] as const;
  const [a, b] = pair(world, ...ids);
  await world.run(10_000);
  const what = `seed ${seed}`;
  assertEquals([a.peers.live(), b.peers.live()], [[B], [A]], what);
  assertEquals(world.network.openFds.length, 4, `${what}: two listeners, two ends of a connection`);
  for (const { events } of [a, b]) assert(events.at(-1)!.startsWith("up "), what);
  assertEquals(a.log.count(/^error/) + b.log.count(/^error/), 0, `${what}: ${a.log.lines} ${b.log.lines}`);
}

for (const [idA, idB, winner] of [[1, 2, B], [2, 1, A]] as const) {
  Deno.test(`Peers ${idA} and ${idB} that dial at once keep the session of the greater`, async () => {
    const world = new World();
    world.network.latencyMs = () => 10; // both connects are under way before either arrives
    const [a, b] = pair(world, idA, idB);
    await world.run(1000);
    assertEquals(world.network.dials.length, 2);
    assertEquals(a.peers.interests().length + b.peers.interests().length, 4);
    await leapDay(world, [a, b]);
    await world.run(1000);
    assertEquals(world.network.dials.at(-1)?.from, winner, "who dialled the session renews it");
  });
}

Deno.test("Peers takes the newer of two sessions of one dialler", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const older = await Stranger.meet(world, B, A, 2);
  const newer = await Stranger.meet(world, B, A, 2);
  assertEquals(a.events, [`up ${B} 02`, `down ${B}`, `up ${B} 02`]);
  await world.run(1000);
  newer.send([{ type: "ack", change: 1 }]);
  older.send([{ type: "ack", change: 2 }]);
  await newer.read();
  assertEquals(a.events.slice(3), [`ack ${B}`], "only the newer is used");
});

Deno.test("Peers refuses its own node id", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const stranger = await Stranger.meet(world, B, A, 1);
  assertEquals(stranger.heard.at(-1)?.type, "bye");
  assertEquals(stranger.closed, "EOF");
  assertEquals(a.events, []);
  assertEquals(a.log.count(/error: peer 10.0.0.2: .*own node id/), 1);
});

Deno.test("Peers refuses a node id that is live under another peer's address", async () => {
  const world = new World();
  const a = party(world, A, 1, [B, C]);
  await Stranger.meet(world, B, A, 2);
  const double = await Stranger.meet(world, C, A, 2);
  assertEquals(double.closed, "EOF");
  assertEquals(a.events, [`up ${B} 02`]);
  assertEquals(a.log.count(/error: peer 10.0.0.3: is the node that is connected as 10.0.0.2/), 1);
});

Deno.test("Peers takes a restarted peer's session at once and closes the old one", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const old = await Stranger.meet(world, B, A, 9);
  await Stranger.meet(world, B, A, 3);
  assertEquals(a.events, [`up ${B} 09`, `down ${B}`, `up ${B} 03`]);
  await old.read();
  assertEquals(old.closed, "EOF");
});

Deno.test("Peers refuses another revision and a second HELLO", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const later = await Stranger.dial(world, B, A);
  await later.shake();
  later.send([{ ...hello(2), revision: 7 }]);
  await later.read();
  assertEquals(later.closed, "EOF");
  assertEquals(a.log.count(/error: .*speaks revision 7, not 1/), 1);
  const twice = await Stranger.meet(world, B, A, 2);
  twice.send([hello(2)]);
  await twice.read();
  assertEquals(a.events, [`up ${B} 02`, `down ${B}`]);
});

// --- handshakes that do not come to an end ---

const unfinished: [what: string, act: (stranger: Stranger) => Promise<void>][] = [
  ["nothing is said", () => Promise.resolve()],
  ["half a message is sent", (stranger) => {
    stranger.session.takeOutput();
    stranger.raw(new Uint8Array([0, 48, 1, 2, 3]));
    return Promise.resolve();
  }],
  ["the handshake is done, but nothing follows", (stranger) => stranger.shake()],
];

for (const [what, act] of unfinished) {
  Deno.test(`Peers drops a connection after 5 s when ${what}`, async () => {
    const world = new World();
    const a = party(world, A, 1, [B]);
    const stranger = await Stranger.dial(world, B, A);
    await act(stranger);
    await world.run(4900);
    await stranger.read();
    assertEquals(stranger.closed, undefined);
    await world.run(200);
    await stranger.read();
    assertEquals(stranger.closed, "ECONNRESET");
    assertEquals(a.events, []);
    assertEquals(a.log.count(/error: peer 10.0.0.2: handshake takes too long/), 1);
  });

  Deno.test(`Peers gives up a dial after 5 s when ${what}`, async () => {
    const world = new World();
    const listener = world.network.listen({ address: new Uint8Array([10, 0, 0, 2]), port: 500 });
    party(world, A, 1, [B]);
    await world.run(1);
    const stranger = new Stranger(world, listener.accept()!, false);
    await act(stranger);
    await world.run(4900);
    await stranger.read();
    assertEquals(stranger.closed, undefined);
    await world.run(200);
    await stranger.read();
    assert(stranger.closed !== undefined);
  });
}

Deno.test("Peers drops who dribbles a byte a second in the place of HELLO", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const stranger = await Stranger.dial(world, B, A);
  await stranger.shake();
  for (let second = 0; second < 6; second++) {
    stranger.raw(new Uint8Array([second === 0 ? 0x10 : 0]));
    await world.run(1000);
  }
  await stranger.read();
  assertEquals(stranger.closed, "ECONNRESET");
  assertEquals(a.events, []);
});

Deno.test("Peers takes few connections a second of one peer, and few of them wait at a time", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  let refused = 0;
  for (let i = 0; i < 100; i++) {
    const stranger = await Stranger.dial(world, B, A);
    await world.run(1);
    assert(a.peers.interests().length <= 1 + 1 + 4, "four wait besides the listener and the dial");
    await stranger.read();
    if (stranger.closed !== undefined) refused++;
  }
  assert(refused >= 80, `${refused} of 100 are refused at once`);
  assertEquals(a.log.count(/error: peer 10\.0\.0\.2/), 1, "the others are counted");
  await world.run(1000);
  const late = await Stranger.dial(world, B, A);
  await world.run(1);
  await late.read();
  assertEquals(late.closed, undefined, "a second later it is heard again");
});

Deno.test("Peers with replayed handshakes keeps its session, and few of them", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const true_ = await Stranger.meet(world, B, A, 2);
  const recorded = new Stranger(world, true_.connection, true, undefined, 77).session.takeOutput();
  const replays: Stranger[] = [];
  for (let i = 0; i < 100; i++) {
    const replay = await Stranger.dial(world, B, A);
    replay.session.takeOutput();
    for (const frame of recorded) replay.raw(frame);
    await world.run(1);
    replays.push(replay);
  }
  const counts = replays.map(({ connection }) => connection.inboxBytes);
  assert(counts.every((count) => count <= 50), "no more than the handshake's answer goes to a replay");
  const mine = a.peers.interests().length;
  assert(mine <= 1 + 1 + 4, `${mine} descriptors`);
  assertEquals(a.events, [`up ${B} 02`]);
  true_.send([{ type: "ack", change: 5 }]);
  await true_.read();
  assertEquals(a.events.at(-1), `ack ${B}`);
  assertEquals(a.log.count(/^error: peer/), 1);
});

// --- life ---

Deno.test("Peers pings each second and drops who is silent for 3 s", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const stranger = await Stranger.meet(world, B, A, 2);
  await world.run(2950);
  await stranger.read();
  assertEquals(stranger.heard.filter(({ type }) => type === "ping").length, 2);
  assertEquals(a.events, [`up ${B} 02`]);
  await world.run(60);
  await stranger.read();
  assertEquals(a.events, [`up ${B} 02`, `down ${B}`]);
  assertEquals(stranger.heard.at(-1), { type: "bye", reason: "silent for 3 s" });
});

Deno.test("Peers.tick() takes nobody for silent before it has looked: it may have been held up itself", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  await Stranger.meet(world, B, A, 2);
  const up = [`up ${B} 02`];
  await a.act((peers) => {
    const polledMs = world.clock.nowMs;
    world.clock.nowMs += 5000;
    peers.tick(polledMs);
    assertEquals(a.events, up);
    peers.tick(world.clock.nowMs);
    assertEquals(a.events, [...up, `down ${B}`]);
  });
});

Deno.test("Peers answers a ping, and takes any byte for life", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const stranger = await Stranger.meet(world, B, A, 2);
  for (let i = 0; i < 10; i++) {
    await world.run(1000);
    stranger.send([{ type: "ping", token: i }]);
    await stranger.read();
  }
  assertEquals(a.events, [`up ${B} 02`]);
  const pongs = stranger.heard.flatMap((message) => message.type === "pong" ? [message.token] : []);
  assertEquals(pongs, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("Peers says goodbye to all and closes everything when it stops", async () => {
  const world = new World();
  const a = party(world, A, 1, [B, C]);
  const strangers = [await Stranger.meet(world, B, A, 2), await Stranger.meet(world, C, A, 3)];
  const half = await Stranger.dial(world, B, A);
  await world.run(10);
  a.stop("received SIGTERM");
  for (const stranger of strangers) {
    await stranger.read();
    assertEquals(stranger.heard.at(-1), { type: "bye", reason: "received SIGTERM" });
    assertEquals(stranger.closed, "EOF");
  }
  assertEquals(world.network.openFds.length, 3, "only the strangers' own ends are open");
  await half.read();
  assertEquals(half.closed, "ECONNRESET");
});

Deno.test("Peers renews a session after 24 h without a moment without one", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = new World();
    const random = randomOf(seed);
    world.network.latencyMs = () => 1 + Math.floor(random() * 80);
    const parties = pair(world);
    await world.run(2000);
    const dials = world.network.dials.length;
    await leapDay(world, parties);
    for (let i = 0; i < 300; i++) {
      await world.run(10);
      assertEquals(parties.map(({ peers }) => peers.live().length), [1, 1], `seed ${seed} at ${i * 10} ms`);
    }
    assertEquals(world.network.dials.length, dials + 1, "one side renews, once");
    for (const { events } of parties) {
      assertEquals(events.map((event) => event.split(" ")[0]), ["down", "up"]);
    }
    assertEquals(world.network.openFds.length, 4);
  }
});

Deno.test("Peers whose renewal fails keeps the old session and tries again without haste", async () => {
  const world = new World();
  const [a, b] = pair(world);
  await world.run(1000);
  world.network.hanging.add(A).add(B);
  const dials = world.network.dials.length;
  await leapDay(world, [a, b]);
  await world.run(60_000);
  assertEquals([...a.events, ...b.events], []);
  const tries = world.network.dials.length - dials;
  assert(tries >= 4 && tries <= 9, `${tries} tries in a minute`);
});

// --- attacks and misfortunes ---

const garbage: [what: string, bytes: Uint8Array][] = [
  ["a length of 0", new Uint8Array(100)],
  ["a length that is too great", new Uint8Array(100).fill(0xff)],
  ["a handshake that does not verify", new Uint8Array([0, 48, ...new Uint8Array(48).fill(7)])],
  ["HTTP", new TextEncoder().encode("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")],
];

for (const [what, bytes] of garbage) {
  Deno.test(`Peers refuses ${what}, once in the log, and nobody else is disturbed`, async () => {
    const world = new World();
    const a = party(world, A, 1, [B, C]);
    const good = await Stranger.meet(world, C, A, 3);
    for (let i = 0; i < 20; i++) {
      const stranger = await Stranger.dial(world, B, A);
      stranger.session.takeOutput();
      stranger.raw(bytes);
      await stranger.read();
      assertEquals(stranger.closed, "ECONNRESET");
    }
    good.send([{ type: "ack", change: 5 }]);
    await good.read();
    assertEquals(a.events, [`up ${C} 03`, `ack ${C}`]);
    assertEquals(a.log.count(/^error/), 1, a.log.lines.join("\n"));
  });
}

Deno.test("Peers refuses 1 MB of random bytes after the first frame", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const random = randomOf(4711);
  const bytes = Uint8Array.from({ length: 1 << 20 }, () => random() * 256);
  const stranger = await Stranger.dial(world, B, A);
  stranger.session.takeOutput();
  let sent = 0;
  for (let rest = bytes; rest.length > 0;) {
    const taken = stranger.connection.send(rest.subarray(0, 60_000));
    if (taken === "closed") break;
    sent += taken;
    rest = rest.subarray(taken);
    await world.run(0);
  }
  assert(sent <= 130_000, `${sent} bytes were taken`);
  assertEquals(a.log.count(/^error/), 1);
  assertEquals(a.events, []);
});

Deno.test("Peers with another key than its peer refuses it on both sides, once in the log", async () => {
  const world = new World();
  const a = party(world, A, 1, [B, C]);
  const b = party(world, B, 2, [A], { psk: new Uint8Array(32).fill(9) });
  party(world, C, 3, [A]);
  await world.run(50_000);
  assertEquals(a.events, [`up ${C} 03`]);
  assertEquals(b.events, []);
  for (const { log } of [a, b]) assertEquals(log.count(/^error/), 1, log.lines.join("\n"));
});

Deno.test("Peers takes each peer with its own key, and not with another one's", async () => {
  const world = new World();
  const keyB = new Uint8Array(32).fill(11);
  const a = party(world, A, 1, [B, C], { psks: { [B]: keyB } });
  party(world, B, 2, [A], { psk: keyB });
  party(world, C, 3, [A], { psk: keyB });
  await world.run(5000);
  assertEquals(a.events, [`up ${B} 02`]);
});

const OLD = new Uint8Array(32).fill(21);
const NEW = new Uint8Array(32).fill(22);

Deno.test("Peers goes over to the next key one node after the other, and is never without a session", async () => {
  for (const [idA, idB] of [[1, 2], [2, 1]] as const) {
    const world = new World();
    const a = party(world, A, idA, [B], { psk: OLD });
    const b = party(world, B, idB, [A], { psk: OLD });
    await world.run(5000);
    for (const { events } of [a, b]) events.length = 0;
    for (const step of [a, b]) {
      await step.configure({ psk: OLD, nextPsk: NEW });
      await world.run(5000);
    }
    for (const { events } of [a, b]) assertEquals(events, [], "the first session stays");
    await a.configure({ psk: NEW });
    await world.run(20_000);
    const replaced = (peer: string, id: number) => [`down ${peer}`, `up ${peer} 0${id}`];
    assertEquals(a.events.splice(0), replaced(B, idB));
    assertEquals(b.events.splice(0), replaced(A, idA));
    await b.configure({ psk: NEW });
    await world.run(60_000);
    for (const { events, log } of [a, b]) {
      assertEquals(events, [], "the session has the new key already");
      assertEquals(log.count(/^error/), 0, log.lines.join("\n"));
    }
  }
});

Deno.test("Peers dials with the next key when the present one fails", async () => {
  const world = new World();
  const a = party(world, A, 1, [B], { psk: OLD, nextPsk: NEW });
  const b = new Party(world, { address: B, id: 2, peers: [A], psk: NEW });
  await world.run(5000);
  assertEquals(a.peers.live(), [B]);
  assertEquals(b.peers.live(), [A]);
});

Deno.test("Peers ends a session whose key is not configured any more, when the peer does not have the new one", async () => {
  const world = new World();
  const a = party(world, A, 1, [B], { psk: OLD });
  party(world, B, 2, [A], { psk: OLD });
  await world.run(5000);
  await a.configure({ psk: NEW });
  await world.run(5000);
  assertEquals(a.peers.live(), [B], "a while for the peer to change");
  await world.run(6000);
  assertEquals(a.peers.live(), []);
});

Deno.test("Peers.configure() meets new peers and leaves old ones, other sessions untouched", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  party(world, B, 2, [A]);
  const c = party(world, C, 3, [A]);
  await world.run(3000);
  assertEquals(a.events.splice(0), [`up ${B} 02`]);
  await a.configure({ peers: [B, C] });
  await world.run(11_000);
  assertEquals(a.events.splice(0), [`up ${C} 03`]);
  await a.configure({ peers: [B] });
  await world.run(3000);
  assertEquals(a.events, [`down ${C}`]);
  assertEquals(c.peers.live(), []);
  assertEquals(a.peers.live(), [B]);
});

Deno.test("Peers drops a peer that does not read, its queue bounded, while others are served", async () => {
  const world = new World();
  const a = party(world, A, 1, [B, C]);
  const deaf = await Stranger.meet(world, B, A, 2);
  const good = await Stranger.meet(world, C, A, 3);
  let sent = 0;
  const content = new Uint8Array(30_000);
  for (; a.peers.live().length === 2 && sent < 100; sent++) {
    const put = { type: "put", change: 1, kind: "sa", rank: 1, content, volatile: new Uint8Array() } as const;
    await a.act((peers) => {
      peers.send(B, [put]);
      peers.send(C, [{ type: "ack", change: sent }]);
    });
    deaf.send([{ type: "ping", token: 1 }]); // it is alive
    await world.run(1);
  }
  assert(
    sent * content.length > 1 << 20 && sent * content.length < 1.2 * (1 << 20) + deaf.connection.inboxBytes,
  );
  assertEquals(a.events, [`up ${B} 02`, `up ${C} 03`, `down ${B}`]);
  await good.read();
  assertEquals(good.heard.filter(({ type }) => type === "ack").length, sent);
});

Deno.test("Peers tells when there is room for more data", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const stranger = await Stranger.meet(world, B, A, 2);
  assertEquals([a.peers.hasRoom(B), a.peers.hasRoom(C)], [true, false]);
  const content = new Uint8Array(50_000);
  for (let change = 1; change <= 3; change++) {
    const put = { type: "put", change, kind: "sa", rank: 1, content, volatile: new Uint8Array() } as const;
    await a.act((peers) => peers.send(B, [put]));
  }
  assertEquals(a.peers.hasRoom(B), false);
  await stranger.read();
  await stranger.read();
  await stranger.read();
  assertEquals(a.peers.hasRoom(B), true);
  assertEquals(stranger.heard.filter(({ type }) => type === "put").length, 3);
});

Deno.test("Peers waits a second when there is no descriptor left, and says so once", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  world.network.acceptErrno = "EMFILE";
  const stranger = await Stranger.dial(world, B, A);
  const waits = a.poller.waits;
  await world.run(4500);
  assert(a.poller.waits - waits < 30, `${a.poller.waits - waits} waits`);
  assertEquals(a.log.count(/^error: .*EMFILE/), 1);
  world.network.acceptErrno = undefined;
  await world.run(1000);
  await stranger.shake();
  assert(stranger.bytes.length > 0, "it was taken in the end");
});

Deno.test("Peers leaves out a message that has no form, and sends the others", async () => {
  const world = new World();
  const a = party(world, A, 1, [B]);
  const stranger = await Stranger.meet(world, B, A, 2);
  await a.act((peers) => peers.send(B, [1, 2 ** 53, 2].map((change) => ({ type: "ack", change }))));
  await stranger.read();
  assertEquals(stranger.heard.flatMap((message) => message.type === "ack" ? [message.change] : []), [1, 2]);
  assertEquals(a.log.count(/error: peer 10.0.0.2: cannot be sent ack/), 1);
});

Deno.test("Peers ends a session whose message its owner does not take, and meets the peer again", async () => {
  const world = new World();
  let faults = 0;
  const a = party(world, A, 1, [B], {
    events: {
      message() {
        if (faults++ === 0) throw new PeerError("makes no sense");
      },
    },
  });
  const stranger = await Stranger.meet(world, B, A, 2);
  stranger.send([{ type: "ack", change: 1 }, { type: "ack", change: 2 }]);
  await stranger.read();
  assertEquals(stranger.heard.at(-1), { type: "bye", reason: "makes no sense" });
  assertEquals(a.events, [`up ${B} 02`, `ack ${B}`, `down ${B}`]);
  await Stranger.meet(world, B, A, 2);
  assertEquals(a.events.at(-1), `up ${B} 02`);
});

Deno.test("Peers works when every read and write moves one byte", async () => {
  const world = new World();
  world.network.chop = () => 1;
  const [a, b] = pair(world);
  await world.run(1000);
  await a.act((peers) => peers.send(B, [{ type: "ack", change: 42 }]));
  await world.run(100);
  assertEquals(b.events.slice(-2), [`up ${A} 01`, `ack ${A}`]);
});

Deno.test("Peers lives through a reset at every byte of a stream, and leaves no descriptor open", async () => {
  const whole = await streamOfSession();
  for (let cut = 0; cut <= whole; cut++) {
    const world = new World();
    const a = party(world, A, 1, [B]);
    const stranger = await Stranger.dial(world, B, A);
    await talk(stranger, cut);
    if (cut % 2 === 0) stranger.connection.drop();
    else stranger.connection.close();
    await world.run(10);
    assertEquals(a.peers.interests().length, 1, `cut at ${cut}: only the listener is left`);
    const ups = a.events.filter((event) => event.startsWith("up")).length;
    assertEquals(a.events.filter((event) => event.startsWith("down")).length, ups, `cut at ${cut}`);
    await Stranger.meet(world, B, A, 2);
    assertEquals(a.peers.live(), [B], `cut at ${cut}: the next one is met`);
  }
});

/** Says at most `limit` bytes of a whole session. @returns how many the whole has. */
async function talk(stranger: Stranger, limit: number): Promise<number> {
  let said = 0;
  const say = (bytes: Uint8Array) => {
    stranger.raw(bytes.subarray(0, Math.max(0, limit - said)));
    said += bytes.length;
  };
  for (const frame of stranger.session.takeOutput()) say(frame);
  await stranger.read();
  if (said >= limit) return said;
  say(stranger.session.seal([hello(2)], stranger.world.clock.nowMs));
  await stranger.read();
  say(stranger.session.seal([{ type: "ack", change: 1 }], stranger.world.clock.nowMs));
  await stranger.read();
  return said;
}

async function streamOfSession(): Promise<number> {
  const world = new World();
  party(world, A, 1, [B]);
  return await talk(await Stranger.dial(world, B, A), Infinity);
}
