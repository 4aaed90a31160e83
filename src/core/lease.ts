/**
 * Leases: from which sequence number a slave would go on. A master tells of its SAs now and then; what it sends after
 * its last report must not be sent again by whoever takes over, so that one starts well above (DESIGN section 7).
 * Two slaves of one master may take over one after the other without having heard of each other: each has a place of its
 * own above the report. What they know may differ too, so every start is at the beginning of a block of `LEAST_MARGIN`
 * numbers, and no two nodes begin in the same one. Pure figures; `leases.ts` keeps them.
 */

import type { Progress } from "../record/progress.ts";
import { SA_FLAG } from "../record/sa.ts";

/** Masters report an SA that is in use at least this often. */
const REPORT_MS = 1000;

/** A lease is good while what is known of the master is younger than this. */
export const GOOD_MS = 2 * REPORT_MS;

/** What a lease is above the last report, at least, and the size of a block, in packets. */
export const LEAST_MARGIN = 2n ** 20n;

/** A receiver with ESN guesses the high word of a number that is further than 2^32 ahead wrongly. */
const MOST_MARGIN = 2n ** 31n;

/** The last sequence number without ESN: the kernel stops sending there. */
const LAST_SHORT = 2n ** 32n - 1n;

/** The last one with ESN. */
const LAST_LONG = 2n ** 64n - 1n;

/** Packets a second when nothing is known: 10 Gbit/s of the smallest Ethernet frames. */
export const LINE_RATE = 14_880_952;

/** Reports that follow each other faster say nothing of a rate. */
const LEAST_PERIOD_MS = 100;

/** Which of all nodes this one is, counted from 0, the same for all. */
export interface Place {
  readonly index: number;
  readonly nodes: number;
}

/** What is known of one SA. */
export interface Lease {
  /** As of the last report. */
  readonly oseq: bigint;
  readonly seq: bigint;
  readonly atMs: number;
  /** Greatest rates seen, in packets a second. */
  readonly sendRate: number;
  readonly receiveRate: number;
  /** Where a slave's kernel stands now. */
  readonly start: bigint;
}

/** The last sequence number of an SA with these flags. */
export function lastNumber(flags: number): bigint {
  return (flags & SA_FLAG.ESN) !== 0 ? LAST_LONG : LAST_SHORT;
}

/**
 * Where to start above `oseq`. `ageMs`: how long ago the master was heard last, when that is too long: then above all
 * that another node may have used that took over before. `missed`: packets that may have gone out in that time. It
 * takes at most half of the numbers that are left.
 */
export function startAbove(
  oseq: bigint,
  rate: number,
  flags: number,
  place: Place,
  ageMs = 0,
  missed = packetsIn(rate, ageMs),
): bigint {
  const start = oseq + leapOf(oseq, rate, flags, place, ageMs, missed);
  const block = ownBlock(start, place);
  return block - oseq <= mostAbove(oseq, flags) ? block : start;
}

/** How far above `oseq` the start has to be at least, and the own block is within reach. */
function leapOf(
  oseq: bigint,
  rate: number,
  flags: number,
  place: Place,
  ageMs: number,
  missed: bigint,
): bigint {
  const margin = greater(LEAST_MARGIN, packetsIn(8 * rate, REPORT_MS + 1000));
  const places = BigInt(1 + place.index + (ageMs > 0 ? place.nodes : 0));
  const most = mostAbove(oseq, flags);
  const round = LEAST_MARGIN * BigInt(place.nodes);
  return lesser(margin * places + missed, most > 2n * round ? most - round : most);
}

function mostAbove(oseq: bigint, flags: number): bigint {
  const half = greater(0n, lastNumber(flags) - oseq) / 2n;
  return (flags & SA_FLAG.ESN) !== 0 ? lesser(MOST_MARGIN, half) : half;
}

/** The beginning of the first block from this number on in which no other node starts. */
function ownBlock(oseq: bigint, { index, nodes }: Place): bigint {
  const block = (oseq + LEAST_MARGIN - 1n) / LEAST_MARGIN;
  const count = BigInt(nodes);
  const ahead = (BigInt(1 + index) - block % count + count) % count;
  return (block + ahead) * LEAST_MARGIN;
}

/** The first lease of an SA, from the counters that came with it. */
export function firstLease({ oseq, seq }: Progress, flags: number, place: Place, nowMs: number): Lease {
  const start = startAbove(oseq, 0, flags, place);
  return { oseq, seq, atMs: nowMs, sendRate: 0, receiveRate: 0, start };
}

/** The lease after a report. It is renewed, with another `start`, when half of it has been used. */
export function reported(
  lease: Lease,
  { oseq, seq }: Progress,
  flags: number,
  place: Place,
  nowMs: number,
): Lease {
  const passedMs = nowMs - lease.atMs;
  const isRate = passedMs >= LEAST_PERIOD_MS;
  const rateOf = (packets: bigint) => isRate ? Number(packets) * 1000 / passedMs : 0;
  const sendRate = Math.max(lease.sendRate, rateOf(oseq - lease.oseq));
  const receiveRate = Math.max(lease.receiveRate, rateOf(seq - lease.seq));
  const leap = leapOf(oseq, sendRate, flags, place, 0, 0n);
  const isUsed = oseq + leap - lease.start > leap / BigInt(2 * (1 + place.index));
  return {
    ...(isRate ? { oseq, seq, atMs: nowMs } : lease),
    sendRate,
    receiveRate,
    start: isUsed ? startAbove(oseq, sendRate, flags, place) : lease.start,
  };
}

/**
 * Where to start when the master was last heard `ageMs` ago: no earlier than the lease. An SA that was never reported may
 * have begun since, at any rate.
 */
export function staleStart(lease: Lease, oseq: bigint, flags: number, place: Place, ageMs: number): bigint {
  const { sendRate } = lease;
  const missed = sendRate > 0 ? packetsIn(sendRate, ageMs) : packetsIn(LINE_RATE, ageMs + GOOD_MS);
  return greater(startAbove(oseq, sendRate, flags, place, Math.max(1, ageMs), missed), lease.start);
}

/**
 * A window that nothing that was sent until now passes (`replay strict`): its top is moved over what may have come
 * since the last report, and all in it counts as seen.
 */
export function strictWindow(
  { receiveRate }: Lease,
  progress: Progress,
  flags: number,
  ageMs: number,
): Progress {
  const missed = packetsIn(receiveRate, ageMs + REPORT_MS);
  const bitmap = progress.bitmap.map(() => 0xffffffff);
  return { ...progress, seq: lesser(progress.seq + missed, lastNumber(flags)), bitmap };
}

/** Counters with numbers that an SA with these flags can have, whatever a peer says. */
export function possible(progress: Progress, flags: number): Progress {
  const last = lastNumber(flags);
  return { ...progress, oseq: lesser(progress.oseq, last), seq: lesser(progress.seq, last) };
}

function packetsIn(rate: number, ms: number): bigint {
  return BigInt(Math.ceil(rate * ms / 1000));
}

function lesser(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
