import { assert, assertEquals, assertThrows } from "@std/assert";
import { PeerError } from "../../../src/errors.ts";
import { BlockCipher } from "../../../src/wire/classic/cipher.ts";
import { ClassicCodec } from "../../../src/wire/classic/codec.ts";
import { encodeFrame, FRAME_TYPE, FrameReader } from "../../../src/wire/classic/frames.ts";
import type { ClassicFrame } from "../../../src/wire/classic/frames.ts";
import {
  type ClassicMessage,
  CONTROL,
  decodeMessage,
  encodeMessage,
} from "../../../src/wire/classic/message.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { CLASSIC_VECTORS } from "../../vectors/classic_vectors.ts";

type Vector = (typeof CLASSIC_VECTORS)[number];

const KEY = new Uint8Array(16).fill(7);
const IV = new Uint8Array(16).fill(9);

function keyOf({ key }: Vector): Uint8Array {
  return key.startsWith("0x") ? decodeHex(key.slice(2)) : new TextEncoder().encode(key);
}

function typeOf({ type }: Vector): number {
  return type === "PFKEYDATA" ? FRAME_TYPE.PFKEY : FRAME_TYPE.CONTROL;
}

/** All frames of a stream in these pieces. */
function readAll(cipher: BlockCipher, ...chunks: Uint8Array[]): ClassicFrame[] {
  const reader = new FrameReader(cipher);
  const frames: ClassicFrame[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
  }
  return frames;
}

/** A frame around these blocks, whatever its header says. */
function forge(plain: Uint8Array, header: { type?: number; padLength?: number; hashed?: Uint8Array } = {}) {
  const cipher = new BlockCipher(KEY);
  const { type = FRAME_TYPE.PFKEY, padLength = 0, hashed = plain } = header;
  const frame = encodeFrame({ type, payload: hashed }, cipher, IV).slice(0, 48);
  const words = new DataView(frame.buffer);
  words.setUint32(0, 44 + plain.length);
  words.setUint32(8, padLength);
  return Uint8Array.from([...frame, ...cipher.encrypt(plain, IV)]);
}

const control = (...words: number[]) => {
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(i * 4, word));
  return bytes;
};

for (const vector of CLASSIC_VECTORS) {
  Deno.test(`FrameReader reads the captured frame: ${vector.note}`, () => {
    const [frame] = readAll(new BlockCipher(keyOf(vector)), decodeHex(vector.frame));
    assertEquals(frame, { type: typeOf(vector), payload: decodeHex(vector.plaintext) });
  });

  Deno.test(`encodeFrame() writes the captured frame: ${vector.note}`, () => {
    const frame = { type: typeOf(vector), payload: decodeHex(vector.plaintext) };
    const bytes = encodeFrame(frame, new BlockCipher(keyOf(vector)), decodeHex(vector.iv));
    assertEquals(encodeHex(bytes), vector.frame);
  });

  Deno.test(`FrameReader gives no other payload for a damaged frame: ${vector.note}`, () => {
    const cipher = new BlockCipher(keyOf(vector));
    const outcomes = { refused: 0, waiting: 0, same: 0 };
    for (const damaged of damages(decodeHex(vector.frame))) {
      try {
        const [frame] = readAll(cipher, damaged);
        if (frame !== undefined) assertEquals(encodeHex(frame.payload), vector.plaintext);
        outcomes[frame === undefined ? "waiting" : "same"]++;
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
        outcomes.refused++;
      }
    }
    assert(outcomes.refused > outcomes.same, "nearly every damage is found by the hash");
    assert(outcomes.same > 0, "the type is not protected: that is the protocol's, and the man page says so");
  });
}

Deno.test("FrameReader gives the same frames wherever the stream is cut, and byte by byte", () => {
  const [first, second] = [CLASSIC_VECTORS[6], CLASSIC_VECTORS[0]];
  const cipher = new BlockCipher(keyOf(first));
  const stream = decodeHex(first.frame + second.frame);
  const whole = readAll(cipher, stream);
  assertEquals(whole.length, 2);
  for (let cut = 1; cut < stream.length; cut++) {
    assertEquals(readAll(cipher, stream.subarray(0, cut), stream.subarray(cut)), whole, `cut at ${cut}`);
  }
  assertEquals(readAll(cipher, ...Array.from(stream, (byte) => Uint8Array.of(byte))), whole);
});

for (
  const [what, frame, payload] of [
    ["zeros for padding", forge(new Uint8Array(16), { padLength: 4, hashed: new Uint8Array(12) }), 12],
    [
      "padding of more than a block",
      forge(new Uint8Array(32), { padLength: 20, hashed: new Uint8Array(12) }),
      12,
    ],
    ["no padding length, all of it hashed", forge(new Uint8Array(16)), 16],
    ["the longest payload", forge(new Uint8Array(4096)), 4096],
  ] as const
) {
  Deno.test(`FrameReader takes what the original takes: ${what}`, () => {
    assertEquals(readAll(new BlockCipher(KEY), frame)[0]?.payload.length, payload);
  });
}

for (
  const [what, frame, error] of [
    ["a hash of something else", forge(new Uint8Array(16), { hashed: new Uint8Array(15) }), "wrong hash"],
    [
      "padding longer than the data",
      forge(new Uint8Array(16), { padLength: 17 }),
      "17 bytes of padding in 16",
    ],
    [
      "hugely long padding",
      forge(new Uint8Array(16), { padLength: 0xfffffff0 }),
      "4294967280 bytes of padding",
    ],
    ["an unknown type", forge(new Uint8Array(16), { type: 2 }), "frame of type 2"],
    ["no data", control(44), "44 bytes: 60 to 4140"],
    ["too much data", control(4156), "4156 bytes: 60 to 4140"],
    ["a part of a block", control(61), "not whole blocks"],
    ["nonsense", control(0xffffffff), "4294967295 bytes"],
  ] as const
) {
  Deno.test(`FrameReader refuses ${what}`, () => {
    assertThrows(() => readAll(new BlockCipher(KEY), frame), PeerError, error);
  });
}

for (const length of [0, 4097]) {
  Deno.test(`encodeFrame() refuses ${length} bytes, which the original would not take`, () => {
    const frame = { type: FRAME_TYPE.PFKEY, payload: new Uint8Array(length) };
    assertThrows(() => encodeFrame(frame, new BlockCipher(KEY), IV), RangeError, `${length} bytes`);
  });
}

for (const length of [15, 17, 0, 33]) {
  Deno.test(`BlockCipher refuses a key of ${length} bytes`, () => {
    assertThrows(() => new BlockCipher(new Uint8Array(length)), RangeError, `${length} bytes`);
  });
}

for (const length of [16, 24, 32]) {
  Deno.test(`BlockCipher refuses a part of a block, with a key of ${length} bytes`, () => {
    const cipher = new BlockCipher(new Uint8Array(length));
    assertThrows(() => cipher.encrypt(new Uint8Array(17), IV), RangeError);
    assertThrows(() => cipher.decrypt(new Uint8Array(17), IV), RangeError);
  });
}

for (
  const [message, words] of [
    [{ type: "state", role: "INIT" }, [1, 0, 0]],
    [{ type: "state", role: "SLAVE" }, [1, 1, 0]],
    [{ type: "state", role: "MASTER" }, [1, 2, 0]],
    [{ type: "state", role: "FAIL" }, [1, 3, 0]],
    [{ type: "error", cause: CONTROL.NONE }, [2, 0, 0]],
    [{ type: "error", cause: CONTROL.STATE }, [2, 1, 0]],
    [{ type: "ack", of: CONTROL.STATE, role: "MASTER" }, [3, 1, 2]],
    [{ type: "endsnap" }, [4, 0, 0]],
  ] satisfies [ClassicMessage, number[]][]
) {
  Deno.test(`control message ${words.join(" ")} is ${JSON.stringify(message)}, both ways`, () => {
    const frame = { type: FRAME_TYPE.CONTROL, payload: control(...words) };
    assertEquals(encodeMessage(message), frame);
    assertEquals(decodeMessage(frame), message);
    assertEquals(decodeMessage({ ...frame, payload: control(...words, 77) }), message, "longer is fine");
  });
}

for (
  const [payload, what, cause] of [
    [control(1, 2), "a control message of 8 bytes", CONTROL.UNKNOWN],
    [new Uint8Array(), "a control message of 0 bytes", CONTROL.UNKNOWN],
    [control(1, 4, 0), "run state 4", CONTROL.STATE],
    [control(3, 1, 99), "run state 99", CONTROL.STATE],
    [control(0, 0, 0), "a control message of type 0", undefined],
    [control(6, 0, 0), "a control message of type 6", undefined],
  ] as const
) {
  Deno.test(`decodeMessage() finds unclear: ${what}`, () => {
    assertEquals(decodeMessage({ type: FRAME_TYPE.CONTROL, payload }), { type: "unclear", what, cause });
  });
}

Deno.test("ClassicCodec takes a new vector for each frame and knows when one is incomplete", () => {
  let drawn = 0;
  const random = { bytes: (length: number) => new Uint8Array(length).fill(++drawn) };
  const codec = new ClassicCodec(KEY, random);
  const frames = [codec.seal({ type: "endsnap" }), codec.seal({ type: "endsnap" })];
  assertEquals(frames.map((frame) => frame[32]), [1, 2]);
  const stream = Uint8Array.from(frames.flatMap((frame) => [...frame]));
  assertEquals(codec.push(stream.subarray(0, 70)), [{ type: "endsnap" }]);
  assert(codec.isPartial);
  assertEquals(codec.push(stream.subarray(70)), [{ type: "endsnap" }]);
  assert(!codec.isPartial);
});
