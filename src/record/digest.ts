/**
 * Digests of records, by which nodes find out whether their mirrors are equal: MurmurHash3 (x86, 128 bits, seed 0).
 * They tell accidents, not forgeries: who could forge has the key. SHA-256 took a third of a slave's time.
 */

import { Slab } from "../layout/slab.ts";
import { Writer } from "../layout/writer.ts";

/** Bytes of a digest. */
export const DIGEST_BYTES = 16;

/** A multiplier for each lane; a lane also uses the next one's. */
const [C1, C2, C3, C4] = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93];

/**
 * The digest over the encoded content and, appended to it, the rank (u64be).
 *
 * @throws {RangeError} when the rank is not a whole number from 0.
 */
export function digestOf(content: Uint8Array, rank: number): Uint8Array {
  return murmur128(
    scratch.clear().bytes(content).u32be(Math.floor(rank / 2 ** 32)).u32be(rank % 2 ** 32).viewFrom(0),
  );
}

/** Records are hashed one after the other. */
const scratch = new Writer("big", 1024);
const slab = new Slab();

/** MurmurHash3_x86_128 with seed 0: its four words, each big-endian. */
export function murmur128(data: Uint8Array): Uint8Array {
  const whole = data.length & ~15;
  let h1 = 0, h2 = 0, h3 = 0, h4 = 0;
  for (let at = 0; at < whole; at += 16) {
    h1 = (Math.imul(rotate(h1 ^ scramble(data, at, C1, 15, C2), 19) + h2, 5) + 0x561ccd1b) | 0;
    h2 = (Math.imul(rotate(h2 ^ scramble(data, at + 4, C2, 16, C3), 17) + h3, 5) + 0x0bcaa747) | 0;
    h3 = (Math.imul(rotate(h3 ^ scramble(data, at + 8, C3, 17, C4), 15) + h4, 5) + 0x96cd1c35) | 0;
    h4 = (Math.imul(rotate(h4 ^ scramble(data, at + 12, C4, 18, C1), 13) + h1, 5) + 0x32ac3b17) | 0;
  }
  h1 ^= scramble(data, whole, C1, 15, C2) ^ data.length;
  h2 ^= scramble(data, whole + 4, C2, 16, C3) ^ data.length;
  h3 ^= scramble(data, whole + 8, C3, 17, C4) ^ data.length;
  h4 ^= scramble(data, whole + 12, C4, 18, C1) ^ data.length;
  const sum = h1 + h2 + h3 + h4;
  const first = finish(sum), second = finish(h2 + sum), third = finish(h3 + sum), fourth = finish(h4 + sum);
  const total = first + second + third + fourth;
  return bytesOf([total, second + total, third + total, fourth + total]);
}

/** One little-endian word of the data, zero beyond its end, as a lane takes it in. */
function scramble(data: Uint8Array, at: number, before: number, bits: number, after: number): number {
  const word = data[at]! | data[at + 1]! << 8 | data[at + 2]! << 16 | data[at + 3]! << 24;
  const product = Math.imul(word, before);
  return Math.imul(rotate(product, bits), after);
}

function rotate(word: number, bits: number): number {
  return word << bits | word >>> (32 - bits);
}

/** The last mixing of a word (fmix32). */
function finish(word: number): number {
  let mixed = Math.imul(word ^ word >>> 16, 0x85ebca6b);
  mixed = Math.imul(mixed ^ mixed >>> 13, 0xc2b2ae35);
  return mixed ^ mixed >>> 16;
}

function bytesOf(words: readonly number[]): Uint8Array {
  scratch.clear();
  for (const word of words) scratch.u32be(word >>> 0);
  return slab.copy(scratch.viewFrom(0));
}
