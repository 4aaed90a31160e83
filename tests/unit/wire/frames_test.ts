import { assertEquals, assertThrows } from "@std/assert";
import { PeerError } from "../../../src/errors.ts";
import { encodeFrame, FrameReader } from "../../../src/wire/native/frames.ts";

const bounds = { min: 1, max: 3000 };

function framesOf(reader: FrameReader): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let frame = reader.next(bounds); frame !== undefined; frame = reader.next(bounds)) {
    frames.push(frame.slice());
  }
  return frames;
}

Deno.test("FrameReader gives the same frames wherever the stream is cut", () => {
  const frames = [Uint8Array.of(1), Uint8Array.of(2, 2), new Uint8Array(3000).fill(3), Uint8Array.of(4)];
  const stream = Uint8Array.from(frames.flatMap((frame) => [...encodeFrame(frame)]));
  for (let cut = 0; cut <= stream.length; cut++) {
    const reader = new FrameReader();
    reader.push(stream.subarray(0, cut));
    const got = framesOf(reader);
    reader.push(stream.subarray(cut));
    assertEquals([...got, ...framesOf(reader)], frames, `cut at ${cut}`);
  }
});

Deno.test("FrameReader gives the same frames byte by byte", () => {
  const frames = [new Uint8Array(2500).fill(5), Uint8Array.of(6), new Uint8Array(2999).fill(7)];
  const reader = new FrameReader();
  const got = frames.flatMap((frame) =>
    [...encodeFrame(frame)].flatMap((byte) => {
      reader.push(Uint8Array.of(byte));
      return framesOf(reader);
    })
  );
  assertEquals(got, frames);
});

for (const [name, length] of [["below", 0], ["above", 3001]] as const) {
  Deno.test(`FrameReader.next() refuses a length ${name} its bounds before the frame is there`, () => {
    const reader = new FrameReader();
    reader.push(Uint8Array.of(length >> 8, length & 0xff));
    assertThrows(() => reader.next(bounds), PeerError, `Frame of ${length} bytes`);
  });
}

Deno.test("FrameReader.next() waits for the second byte of a length", () => {
  const reader = new FrameReader();
  reader.push(Uint8Array.of(0xff));
  assertEquals(reader.next(bounds), undefined);
});

Deno.test("encodeFrame() refuses more than a length can say", () => {
  assertThrows(() => encodeFrame(new Uint8Array(65536)), RangeError);
});
