import { assert, assertEquals, assertThrows } from "@std/assert";
import { DecodeError, PeerError } from "../../../src/errors.ts";
import { encodeMessages, type WireMessage } from "../../../src/wire/native/catalog.ts";
import { encodeFrame } from "../../../src/wire/native/frames.ts";
import type { Message } from "../../../src/wire/native/message.ts";
import { Handshake } from "../../../src/wire/native/noise.ts";
import { NativeSession } from "../../../src/wire/native/session.ts";
import { damages } from "../../fakes/damage.ts";
import {
  newPair,
  openPair,
  outputOf,
  pings,
  sampleHello,
  seededRandom,
  shakenPair,
  splitFrames,
  TEST_PSK,
} from "../../fakes/sessions.ts";

const NOTHING = new Uint8Array(0);

Deno.test("NativeSession goes from handshake through half-open to open", () => {
  const { initiator, responder } = newPair();
  assertEquals([initiator.phase, responder.phase], ["handshake", "handshake"]);
  assertEquals(responder.takeOutput(), []);
  const first = outputOf(initiator);
  assertEquals(first.length, 50);
  responder.push(first, 0);
  assertEquals(responder.phase, "half-open");
  const second = outputOf(responder);
  assertEquals(second.length, 50);
  initiator.push(second, 0);
  assertEquals(initiator.phase, "open");
  assertEquals(responder.push(initiator.seal([sampleHello], 0), 0), [sampleHello]);
  assertEquals(responder.phase, "open");
  assertEquals(initiator.push(responder.seal([sampleHello], 0), 0), [sampleHello]);
  assertEquals([outputOf(initiator), outputOf(responder)], [NOTHING, NOTHING]);
});

Deno.test("NativeSession.push() gives the same messages wherever the stream is cut", () => {
  const { initiator: source, responder: sink } = newPair();
  const first = outputOf(source);
  sink.push(first, 0);
  source.push(outputOf(sink), 0);
  const sent: Message[] = [sampleHello, ...pings(1, 2), { type: "bye", reason: "done" }];
  const stream = Uint8Array.from([
    ...first,
    ...source.seal(sent.slice(0, 2), 0),
    ...source.seal(sent.slice(2), 0),
  ]);
  for (let cut = 0; cut <= stream.length; cut++) {
    const { responder } = newPair(); // the same seed, so the same keys
    const got = [...responder.push(stream.subarray(0, cut), 0), ...responder.push(stream.subarray(cut), 0)];
    assertEquals(got, sent, `cut at ${cut}`);
  }
  const { responder } = newPair();
  assertEquals([...stream].flatMap((byte) => responder.push(Uint8Array.of(byte), 0)), sent);
});

Deno.test("NativeSession.seal() packs many messages into few frames", () => {
  const { initiator, responder } = openPair({ limits: { frameBytes: 1000 } });
  const messages = pings(...Array(1000).keys());
  const bytes = initiator.seal(messages, 0);
  assertEquals(splitFrames(bytes).length, Math.ceil(1000 / Math.floor(1000 / 12)));
  assertEquals(responder.push(bytes, 0), messages);
});

Deno.test("NativeSession.seal() of nothing is nothing", () => {
  assertEquals(openPair().initiator.seal([], 0), NOTHING);
});

Deno.test("NativeSession.seal() that fails leaves the session as it was", () => {
  const { initiator, responder } = openPair();
  assertThrows(() => initiator.seal([...pings(1), { type: "ack", change: -1 }], 0), RangeError);
  assertEquals(responder.push(initiator.seal(pings(2), 0), 0), pings(2));
});

Deno.test("NativeSession.seal() refuses to speak before the session is open", () => {
  const { initiator, responder } = newPair();
  assertThrows(() => initiator.seal([sampleHello], 0), PeerError, "not open");
  responder.push(outputOf(initiator), 0);
  assertThrows(() => responder.seal([sampleHello], 0), PeerError, "not open");
});

Deno.test("NativeSession states its deadlines on the caller's clock", () => {
  const { handshakeDeadlineMs, renewAtMs } = new NativeSession({
    initiator: true,
    psk: TEST_PSK,
    random: seededRandom(1),
    nowMs: 1_000_000,
  });
  assertEquals([handshakeDeadlineMs, renewAtMs], [1_005_000, 1_000_000 + 86_400_000]);
});

Deno.test("NativeSession stays half open and silent when the initiator's bytes are replayed", () => {
  const { initiator, responder } = newPair();
  const first = outputOf(initiator);
  responder.push(first, 0);
  initiator.push(outputOf(responder), 0);
  const recorded = initiator.seal([sampleHello], 0);
  const victim = newPair({ seed: 99 }).responder;
  assertEquals(victim.push(first, 0), []);
  assertEquals(outputOf(victim).length, 50);
  assertThrows(() => victim.push(recorded, 0), PeerError, "not authentic");
  assertEquals([victim.phase, outputOf(victim)], ["half-open", NOTHING]);
  assertThrows(() => victim.seal([sampleHello], 0), PeerError, "not open");
});

Deno.test("NativeSession refuses another shared key, on the responder's side first", () => {
  const { initiator, responder } = newPair({ initiatorPsk: new Uint8Array(32) });
  assertThrows(() => responder.push(outputOf(initiator), 0), PeerError, "shared keys differ");
  assertEquals([responder.phase, outputOf(responder)], ["handshake", NOTHING]);
});

Deno.test("NativeSession refuses its own handshake reflected", () => {
  const { initiator } = newPair();
  const first = outputOf(initiator);
  assertThrows(() => initiator.push(first, 0), PeerError);
});

Deno.test("NativeSession refuses a handshake with a payload", () => {
  const prologue = new TextEncoder().encode("sasyncd native 2");
  const handshake = new Handshake({
    initiator: true,
    prologue,
    psk: TEST_PSK,
    ephemeral: new Uint8Array(32).fill(3),
  });
  const { responder } = newPair();
  const frame = encodeFrame(handshake.writeMessage(Uint8Array.of(1)));
  assertThrows(() => responder.push(frame, 0), PeerError, "Frame of 49 bytes");
});

Deno.test("NativeSession refuses every damage of both handshake frames", () => {
  const first = outputOf(newPair().initiator);
  for (const damaged of damages(first)) checkNotOpened(newPair().responder, damaged);
  const { initiator, responder } = newPair();
  responder.push(outputOf(initiator), 0);
  for (const damaged of damages(outputOf(responder))) {
    const victim = newPair().initiator;
    victim.takeOutput();
    checkNotOpened(victim, damaged);
  }
});

Deno.test("NativeSession refuses every damage of its first transport frame", () => {
  const { initiator, responder } = newPair();
  const first = outputOf(initiator);
  responder.push(first, 0);
  initiator.push(outputOf(responder), 0);
  const hello = initiator.seal([sampleHello], 0);
  for (const damaged of damages(hello.subarray(0, 40))) {
    const stream = Uint8Array.from([...first, ...damaged, ...hello.subarray(40)]);
    const victim = newPair().responder;
    if (damaged.length === 41) continue; // a byte put in the middle of the frame, not a damage of its own
    try {
      assertEquals(victim.push(stream, 0), []);
    } catch (error) {
      if (!(error instanceof PeerError || error instanceof DecodeError)) throw error;
    }
    assertEquals(victim.phase, "half-open");
  }
});

const garbage: readonly [string, Uint8Array][] = [
  ["an HTTP request", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")],
  ["a length of zero", Uint8Array.of(0, 0)],
  ["a length of 47", Uint8Array.of(0, 47)],
  ["a length of 49", Uint8Array.of(0, 49)],
  ["the greatest length", Uint8Array.of(255, 255)],
  ["a frame of zeros", Uint8Array.from([0, 48, ...new Uint8Array(48)])],
  ["1 MB of random bytes", seededRandom(7).bytes(1 << 20)],
  ["1 MB of random bytes after a right length", Uint8Array.from([0, 48, ...seededRandom(8).bytes(1 << 20)])],
];

for (const [name, bytes] of garbage) {
  Deno.test(`NativeSession.push() refuses ${name} instead of a handshake`, () => {
    for (const session of Object.values(newPair())) {
      session.takeOutput();
      assertThrows(() => session.push(bytes, 0), PeerError);
      assertEquals(outputOf(session), NOTHING);
    }
  });
}

Deno.test("NativeSession.push() refuses 1 MB of random bytes on an open session", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const bytes = seededRandom(seed).bytes(1 << 20);
    assertThrows(() => openPair().responder.push(bytes, 0), PeerError);
  }
});

const misorders: readonly [string, (frames: readonly Uint8Array[]) => readonly (Uint8Array | undefined)[]][] =
  [
    ["exchanged", ([a, b, c]) => [b, a, c]],
    ["doubled", ([a, b, c]) => [a, a, b, c]],
    ["left out", ([, b, c]) => [b, c]],
  ];

for (const [name, arrange] of misorders) {
  Deno.test(`NativeSession.push() refuses frames that are ${name}`, () => {
    const { initiator, responder } = openPair();
    const frames = [1, 2, 3].map((token) => initiator.seal(pings(token), 0));
    assertThrows(
      () => {
        for (const frame of arrange(frames)) responder.push(frame!, 0);
      },
      PeerError,
      "not authentic",
    );
  });
}

Deno.test("NativeSession.push() refuses frames of the other direction", () => {
  const { initiator } = openPair();
  assertThrows(() => initiator.push(initiator.seal(pings(1), 0), 0), PeerError, "not authentic");
});

Deno.test("NativeSession.push() refuses another first message than hello", () => {
  const { initiator, responder } = shakenPair();
  assertThrows(() => responder.push(initiator.seal(pings(1), 0), 0), PeerError, "not hello");
  assertEquals(responder.phase, "half-open");
  const other = shakenPair();
  other.responder.push(other.initiator.seal([sampleHello], 0), 0);
  const early = other.responder.seal(pings(1), 0);
  assertThrows(() => other.initiator.push(early, 0), PeerError, "not hello");
});

Deno.test("NativeSession.seal() ends a key with its last frame", () => {
  const { initiator, responder } = openPair({ limits: { rekeyFrames: 4 } }); // hello was the first of 4
  const counts = [1, 2, 3, 4, 5, 6].map((token) => {
    const bytes = initiator.seal(pings(token), 0);
    assertEquals(responder.push(bytes, 0), pings(token));
    return splitFrames(bytes).length;
  });
  assertEquals(counts, [1, 1, 2, 1, 1, 2]); // REKEY is the fourth frame of every key
});

Deno.test("NativeSession.seal() ends keys within one call", () => {
  const { initiator, responder } = openPair({ limits: { rekeyFrames: 3, frameBytes: 24 } });
  const messages = pings(...Array(101).keys());
  const bytes = initiator.seal(messages, 0);
  assertEquals(splitFrames(bytes).length, 51 + 25);
  assertEquals(responder.push(bytes, 0), messages);
});

Deno.test("NativeSession.seal() ends a key that is old, each direction by itself", () => {
  const { initiator, responder } = openPair({ limits: { rekeyMs: 1000 } });
  const counts = [999, 1000, 1001, 1999, 2000].map((nowMs) => {
    const bytes = initiator.seal(pings(nowMs), nowMs);
    assertEquals(responder.push(bytes, nowMs), pings(nowMs));
    return splitFrames(bytes).length;
  });
  assertEquals(counts, [1, 2, 1, 1, 2]);
  const answer = responder.seal(pings(1), 999);
  assertEquals([splitFrames(answer).length, initiator.push(answer, 999)], [1, pings(1)]);
});

Deno.test("NativeSession.push() closes a peer that does not change its key", () => {
  const { initiator, responder } = openPair({ limits: { maxFrames: 4 } }); // hello was the first of 4
  for (const token of [2, 3, 4]) responder.push(initiator.seal(pings(token), 0), 0);
  assertThrows(() => responder.push(initiator.seal(pings(5), 0), 0), PeerError, "does not change its key");
});

Deno.test("NativeSession.push() goes on for a peer that changes its key in time", () => {
  const { initiator, responder } = openPair({ limits: { maxFrames: 4, rekeyFrames: 4 } });
  for (let token = 0; token < 50; token++) {
    assertEquals(responder.push(initiator.seal(pings(token), 0), 0), pings(token));
  }
});

const badPayloads: readonly [string, readonly WireMessage[], string][] = [
  ["REKEY that shares its frame", [{ type: "rekey" }, ...pings(1)], "not alone"],
  ["REKEY before hello", [{ type: "rekey" }], "not hello"],
];

for (const [name, messages, text] of badPayloads) {
  Deno.test(`NativeSession.push() refuses ${name}`, () => {
    const { responder, send } = rawPeer();
    assertThrows(() => responder.push(send(encodeMessages(messages, 1000)[0]!), 0), PeerError, text);
  });
}

Deno.test("NativeSession.push() lets no plaintext or key into its errors", () => {
  const { responder, send } = rawPeer();
  const secret = "800500020000".padEnd(60, "5e");
  const payload = Uint8Array.from(secret.match(/../g)!, (pair) => parseInt(pair, 16));
  const error = assertThrows(() => responder.push(send(payload), 0), DecodeError);
  assert(!/5e5e|94,94|Z{4}|5a5a|90,90/.test(`${error.message} ${error.stack}`));
});

/** A peer that knows the key, but says what it likes. */
function rawPeer(): { responder: NativeSession; send: (payload: Uint8Array) => Uint8Array } {
  const prologue = new TextEncoder().encode("sasyncd native 2");
  const handshake = new Handshake({
    initiator: true,
    prologue,
    psk: TEST_PSK,
    ephemeral: new Uint8Array(32).fill(3),
  });
  const { responder } = newPair();
  responder.push(encodeFrame(handshake.writeMessage(NOTHING)), 0);
  handshake.readMessage(outputOf(responder).subarray(2));
  const { send } = handshake.split();
  return { responder, send: (payload) => encodeFrame(send.encrypt(payload)) };
}

/** Either a typed error, or nothing came of it. */
function checkNotOpened(session: NativeSession, bytes: Uint8Array): void {
  try {
    session.push(bytes, 0);
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    assertEquals([session.phase, outputOf(session)], ["handshake", NOTHING]);
    return;
  }
  // cut short: waits; a byte too many: that of the next frame
  assert(bytes.length !== 50);
}
