import { assertEquals, assertThrows } from "@std/assert";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { PeerError } from "../../../src/errors.ts";
import { Handshake, HANDSHAKE_MESSAGE_BYTES } from "../../../src/wire/native/noise.ts";
import { NOISE_VECTOR } from "../../vectors/noise_vector.ts";

const prologue = decodeHex(NOISE_VECTOR.prologue);
const psk = decodeHex(NOISE_VECTOR.psk);
const NOTHING = new Uint8Array(0);

function vectorPair(): readonly [Handshake, Handshake] {
  return [
    new Handshake({ initiator: true, prologue, psk, ephemeral: decodeHex(NOISE_VECTOR.initiatorEphemeral) }),
    new Handshake({ initiator: false, prologue, psk, ephemeral: decodeHex(NOISE_VECTOR.responderEphemeral) }),
  ];
}

Deno.test("Handshake passes the published vector", () => {
  const [initiator, responder] = vectorPair();
  const [first, second, ...transport] = NOISE_VECTOR.messages;
  assertEquals(encodeHex(initiator.writeMessage(decodeHex(first.payload))), first.ciphertext);
  assertEquals(encodeHex(responder.readMessage(decodeHex(first.ciphertext))), first.payload);
  assertEquals(encodeHex(responder.writeMessage(decodeHex(second.payload))), second.ciphertext);
  assertEquals(encodeHex(initiator.readMessage(decodeHex(second.ciphertext))), second.payload);
  assertEquals(encodeHex(initiator.hash), NOISE_VECTOR.handshakeHash);
  assertEquals(encodeHex(responder.hash), NOISE_VECTOR.handshakeHash);
  const [mine, theirs] = [initiator.split(), responder.split()];
  for (const [i, { payload, ciphertext }] of transport.entries()) {
    const [sender, receiver] = i % 2 === 0 ? [mine, theirs] : [theirs, mine];
    assertEquals(encodeHex(sender.send.encrypt(decodeHex(payload))), ciphertext);
    assertEquals(encodeHex(receiver.receive.decrypt(decodeHex(ciphertext))), payload);
  }
});

Deno.test("Handshake.writeMessage() gives exactly 48 bytes without a payload", () => {
  const [initiator, responder] = vectorPair();
  const first = initiator.writeMessage(NOTHING);
  responder.readMessage(first);
  assertEquals([first.length, responder.writeMessage(NOTHING).length], [48, 48]);
});

const foreign: readonly [string, Partial<{ prologue: Uint8Array; psk: Uint8Array }>][] = [
  ["another pre-shared key", { psk: new Uint8Array(32) }],
  ["another prologue", { prologue: new TextEncoder().encode("sasyncd native 3") }],
];

for (const [name, difference] of foreign) {
  Deno.test(`Handshake.readMessage() refuses ${name}`, () => {
    const ephemeral = new Uint8Array(32).fill(1);
    const stranger = new Handshake({ initiator: true, prologue, psk, ephemeral, ...difference });
    const [, responder] = vectorPair();
    assertThrows(
      () => responder.readMessage(stranger.writeMessage(NOTHING)),
      PeerError,
      "shared keys differ",
    );
  });
}

// points of low order, also as numbers from the prime on (RFC 7748 section 6.1 asks for the check)
const lowOrder = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

for (const key of lowOrder) {
  Deno.test(`Handshake.readMessage() refuses the low-order key ${key.slice(0, 8)}…`, () => {
    const [initiator] = vectorPair();
    initiator.writeMessage(NOTHING);
    const message = new Uint8Array(HANDSHAKE_MESSAGE_BYTES);
    message.set(decodeHex(key));
    assertThrows(() => initiator.readMessage(message), PeerError, "low order");
  });
}

Deno.test("CipherState.decrypt() refuses what is damaged, cut, replayed or out of order", () => {
  const [initiator, responder] = vectorPair();
  responder.readMessage(initiator.writeMessage(NOTHING));
  initiator.readMessage(responder.writeMessage(NOTHING));
  const { send } = initiator.split();
  const [one, two] = [send.encrypt(Uint8Array.of(1)), send.encrypt(Uint8Array.of(2))];
  assertEquals(responder.split().receive.decrypt(one), Uint8Array.of(1));
  assertThrows(() => responder.split().receive.decrypt(two), PeerError);
  assertThrows(() => responder.split().receive.decrypt(one.subarray(0, 15)), PeerError, "too short");
  for (let bit = 0; bit < one.length * 8; bit++) {
    const damaged = one.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assertThrows(() => responder.split().receive.decrypt(damaged), PeerError, "not authentic");
  }
  const { receive } = responder.split();
  receive.decrypt(one);
  assertThrows(() => receive.decrypt(one), PeerError);
});

Deno.test("CipherState.rekey() keeps both sides together and the nonce going", () => {
  const [initiator, responder] = vectorPair();
  responder.readMessage(initiator.writeMessage(NOTHING));
  initiator.readMessage(responder.writeMessage(NOTHING));
  const [{ send }, { receive }] = [initiator.split(), responder.split()];
  const before = send.encrypt(NOTHING);
  receive.decrypt(before);
  send.rekey();
  const after = send.encrypt(NOTHING);
  assertThrows(() => responder.split().receive.decrypt(after), PeerError);
  receive.rekey();
  assertEquals(receive.decrypt(after), NOTHING);
});
