/** Every small damage of a byte string, for decoders: they answer with a value or a typed error, nothing else. */

/** Every bit flip, every byte as 0, 255 and its complement, every cut at the end, and one byte too many. */
export function* damages(bytes: Uint8Array): Generator<Uint8Array> {
  for (const [i, byte] of bytes.entries()) {
    for (let bit = 0; bit < 8; bit++) yield withByte(bytes, i, byte ^ (1 << bit));
    for (const value of [0, 0xff, byte ^ 0xff]) if (value !== byte) yield withByte(bytes, i, value);
    yield bytes.slice(0, i);
  }
  yield Uint8Array.from([...bytes, 0]);
}

function withByte(bytes: Uint8Array, index: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[index] = value;
  return copy;
}
