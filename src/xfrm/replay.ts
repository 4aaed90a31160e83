/** The replay state of an SA: REPLAY_VAL, REPLAY_ESN_VAL and the old window field ↔ window and counters. */

import { DecodeError } from "../errors.ts";
import { attributeHead, type NetlinkAttributes } from "../layout/netlink.ts";
import { Reader } from "../layout/reader.ts";
import type { Writer } from "../layout/writer.ts";
import { type Sa, SA_DIRECTION, SA_FLAG, type SaCounters } from "../record/sa.ts";
import { XFRMA_REPLAY_ESN_VAL, XFRMA_REPLAY_VAL } from "./constants.ts";
import { Refusal } from "./refusal.ts";
import { xfrmReplayState, xfrmReplayStateEsn } from "./structs.ts";

/** The members of an SA that the replay state holds. */
interface Replay extends Pick<SaCounters, "oseq" | "seq" | "bitmap"> {
  readonly window: number;
  /** Kept as REPLAY_ESN_VAL. */
  readonly long: boolean;
}

/** How the kernel keeps the replay state of an SA. */
export interface ReplayForm {
  /** Packets; of the long form only. */
  readonly window: number;
  /** REPLAY_ESN_VAL, not REPLAY_VAL. */
  readonly long: boolean;
  /** Words of the bitmap. */
  readonly words: number;
}

const LOW_BITS = 32n;
const LOW_MASK = 0xffff_ffffn;
/** What REPLAY_VAL has room for. */
const SHORT_WINDOW = 32;
/** More than this the kernel refuses, in packets. */
const LONGEST_WINDOW = 4096;

/** The replay state; `shortWindow` is the window field of usersa_info. @throws {DecodeError} */
export function readReplay(attributes: NetlinkAttributes, shortWindow: number): Replay {
  const long = attributes.get(XFRMA_REPLAY_ESN_VAL);
  if (long !== undefined) return readLong(long);
  const short = attributes.get(XFRMA_REPLAY_VAL);
  if (short === undefined) return { oseq: 0n, seq: 0n, bitmap: [0], window: shortWindow, long: false };
  const { oseq, seq, bitmap } = xfrmReplayState.read(new Reader(short, xfrmReplayState.name));
  return { oseq: BigInt(oseq), seq: BigInt(seq), bitmap: [bitmap], window: shortWindow, long: false };
}

function readLong(value: Uint8Array): Replay {
  const reader = new Reader(value, xfrmReplayStateEsn.name);
  const state = xfrmReplayStateEsn.read(reader);
  if (state.bmpLen * 4 > reader.remaining) {
    throw new DecodeError(reader.struct, `bitmap of ${state.bmpLen} words in ${reader.remaining} bytes`);
  }
  return {
    oseq: join(state.oseqHi, state.oseq),
    seq: join(state.seqHi, state.seq),
    bitmap: Array.from({ length: state.bmpLen }, () => reader.u32()),
    window: state.replayWindow,
    long: true,
  };
}

/**
 * Whether the SA's replay state needs REPLAY_ESN_VAL: it came so, or no other form can hold it (ESN of another
 * system, a window of more than 32 packets).
 */
export function isLongReplay({ flags, replayWindow }: Sa): boolean {
  return (flags & (SA_FLAG.LONG_REPLAY | SA_FLAG.ESN)) !== 0 || replayWindow > SHORT_WINDOW;
}

/**
 * Appends the replay state. With a direction the kernel insists on zeros for the other one.
 *
 * @throws {Refusal} when the window is too long.
 */
export function writeReplay(writer: Writer, sa: Sa): void {
  const window = sa.replayWindow;
  const long = isLongReplay(sa);
  if (long && window > LONGEST_WINDOW) throw new Refusal(`Linux has no replay window of ${window} packets`);
  const least = long ? Math.ceil(window / 32) : 1;
  const isOut = sa.direction === SA_DIRECTION.OUT;
  const words = isOut ? 0 : Math.max(least, long ? sa.counters.bitmap.length : 1);
  writeReplayState(writer, { window, long, words }, {
    oseq: sa.direction === SA_DIRECTION.IN ? 0n : sa.counters.oseq,
    seq: isOut ? 0n : sa.counters.seq,
    bitmap: isOut ? [] : sa.counters.bitmap,
  });
}

/** Appends the replay state in that form. */
export function writeReplayState(
  writer: Writer,
  { window, long, words }: ReplayForm,
  { oseq, seq, bitmap }: Pick<SaCounters, "oseq" | "seq" | "bitmap">,
): void {
  if (!long) {
    attributeHead(writer, XFRMA_REPLAY_VAL, xfrmReplayState.size);
    xfrmReplayState.write(writer, { oseq: Number(oseq), seq: Number(seq), bitmap: bitmap[0] ?? 0 });
    return;
  }
  attributeHead(writer, XFRMA_REPLAY_ESN_VAL, xfrmReplayStateEsn.size + words * 4);
  xfrmReplayStateEsn.write(writer, {
    bmpLen: words,
    oseq: low(oseq),
    seq: low(seq),
    oseqHi: high(oseq),
    seqHi: high(seq),
    replayWindow: window,
  });
  for (let i = 0; i < words; i++) writer.u32(bitmap[i] ?? 0);
}

function join(high: number, low: number): bigint {
  return (BigInt(high) << LOW_BITS) | BigInt(low);
}

function low(value: bigint): number {
  return Number(value & LOW_MASK);
}

function high(value: bigint): number {
  return Number(value >> LOW_BITS);
}
