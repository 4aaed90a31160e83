/** Makes new inputs of old ones: by bits, bytes, numbers at any width and order, runs, and pieces of other inputs. */

/** A number from 0 to 1, 1 excluded. */
export type Dice = () => number;

/** Numbers at which lengths, counts and signs go over. */
const EDGES = [
  0,
  1,
  2,
  3,
  4,
  7,
  8,
  15,
  16,
  31,
  32,
  63,
  64,
  127,
  128,
  255,
  256,
  4095,
  32767,
  32768,
  65535,
  65536,
];
const MORE_EDGES = [0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];

/** Inputs do not grow without end. */
const MOST_BYTES = 70_000;

type Mutation = (
  bytes: Uint8Array<ArrayBuffer>,
  dice: Dice,
  others: readonly Uint8Array[],
) => Uint8Array<ArrayBuffer>;

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, dice) {
    const at = below(bytes.length, dice);
    return bytes.with(at, bytes[at]! ^ (1 << below(8, dice)));
  },
  (bytes, dice) => bytes.with(below(bytes.length, dice), below(256, dice)),
  function setNumber(bytes, dice) {
    const width = [1, 2, 4, 8][below(4, dice)]!;
    if (bytes.length < width) return bytes;
    const view = new DataView(bytes.buffer);
    const at = below(bytes.length - width + 1, dice);
    const isLittle = dice() < 0.5;
    const value = pick(dice() < 0.8 ? EDGES : MORE_EDGES, dice) + (dice() < 0.2 ? bytes.length : 0);
    if (width === 1) view.setUint8(at, value);
    else if (width === 2) view.setUint16(at, value, isLittle);
    else if (width === 4) view.setUint32(at, value, isLittle);
    else view.setBigUint64(at, BigInt(value), isLittle);
    return bytes;
  },
  function addToByte(bytes, dice) {
    const at = below(bytes.length, dice);
    return bytes.with(at, bytes[at]! + below(9, dice) - 4);
  },
  (bytes, dice) => bytes.slice(0, below(bytes.length, dice)),
  function remove(bytes, dice) {
    const [from, to] = span(bytes, dice);
    return join(bytes.subarray(0, from), bytes.subarray(to));
  },
  function repeat(bytes, dice) {
    const [from, to] = span(bytes, dice);
    return join(bytes.subarray(0, to), bytes.subarray(from));
  },
  function insert(bytes, dice) {
    const at = below(bytes.length + 1, dice);
    const fill = pick([0, 0xff, 0x20, 0x0a, below(256, dice)], dice);
    return join(bytes.subarray(0, at), new Uint8Array(1 + below(8, dice)).fill(fill), bytes.subarray(at));
  },
  function splice(bytes, dice, others) {
    const other = pick(others, dice);
    const [from, to] = span(other, dice);
    const at = below(bytes.length + 1, dice);
    const rest = dice() < 0.5 ? bytes.subarray(at) : bytes.subarray(Math.min(bytes.length, at + to - from));
    return join(bytes.subarray(0, at), other.subarray(from, to), rest);
  },
];

/** One to a few changes of `input`. */
export function mutate(input: Uint8Array, dice: Dice, others: readonly Uint8Array[]): Uint8Array {
  let bytes = Uint8Array.from(input);
  for (let left = 1 + below(4, dice); left > 0; left--) {
    const mutation = bytes.length === 0 ? MUTATIONS.at(-1)! : pick(MUTATIONS, dice);
    bytes = mutation(bytes, dice, others);
  }
  return bytes.subarray(0, MOST_BYTES);
}

/** One of them. */
export function pick<T>(list: readonly T[], dice: Dice): T {
  return list[below(list.length, dice)]!;
}

function below(limit: number, dice: Dice): number {
  return Math.floor(dice() * Math.max(1, limit));
}

/** A short run of bytes, where there are any. */
function span(bytes: Uint8Array, dice: Dice): [from: number, to: number] {
  const from = below(bytes.length, dice);
  return [from, Math.min(bytes.length, from + 1 + below(dice() < 0.7 ? 16 : bytes.length, dice))];
}

function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
