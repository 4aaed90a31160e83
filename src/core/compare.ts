/**
 * How two nodes find out what differs between their mirrors: one states the digests of its buckets, the other answers
 * with the digests of the records in those that differ. Both may change meanwhile: what is on its way shows as a
 * difference, so it is sent twice at worst.
 *
 * Digests are the upper halves when a slave joins for the first time: one change in 65,536 goes unseen, and shows in
 * the digest of the whole mirror. There it shows too when the answer was no longer about the mirror that was asked
 * about: the master's epoch rose and the slave asked once more, or a snapshot came first. Who asks whether mirrors are
 * equal hears of whole ones.
 */

import { MAX_LISTS_BYTES } from "../wire/native/catalog.ts";
import type {
  BucketList,
  BucketRange,
  Buckets as Answer,
  Digests,
  Purpose,
  WantRecords,
} from "../wire/native/message.ts";
import { bitsFor, type Buckets, MOST_BITS } from "./buckets.ts";
import type { Mirror } from "./mirror.ts";

/** A question is about so many records at most, so that the answer fits into a message even if all differ. */
const RECORDS_AT_ONCE = 8192;

/** Bytes of a digest at most, and of a list without its digests. */
const DIGEST_BYTES = 4;

/** What an answer shows. */
export interface Differences {
  /** Digests of records that the other node has, and this one not or not as many of. */
  readonly lacking: readonly BucketList[];
  /** Keys of records that this node has, and the other one has not like this. */
  readonly alone: readonly string[];
}

/** Questions about a whole mirror, in at least `parts` parts, each about the mirror as it is when it is asked for. */
export function* questionsOf(
  { buckets, size }: Mirror,
  purpose: Purpose,
  counted: number,
  parts = 1,
): Generator<Digests> {
  const bits = bitsFor(size);
  const mostBuckets = Math.max(1, 2 ** bits / parts);
  let digests: number[] = [];
  let records = 0;
  for (let bucket = 0, first = 0; bucket < 2 ** bits; bucket++) {
    const more = buckets.size(bits, bucket);
    if (digests.length >= mostBuckets || digests.length > 0 && records + more > RECORDS_AT_ONCE) {
      yield { type: "digests", purpose, counted, bits, first, digests };
      [first, records, digests] = [bucket, 0, []];
    }
    digests.push(told(buckets.digest(bits, bucket), purpose));
    records += more;
    if (bucket === 2 ** bits - 1) yield { type: "digests", purpose, counted, bits, first, digests };
  }
}

/** The answer to a question; undefined when so much differs that it does not fit into a message. */
export function answerTo(question: Digests, buckets: Buckets): Answer | undefined {
  const { purpose, bits, first, digests } = question;
  const lists: BucketList[] = [];
  let bytes = 0;
  for (const [i, theirs] of digests.entries()) {
    const bucket = first + i;
    if (told(buckets.digest(bits, bucket), purpose) === theirs) continue;
    bytes += DIGEST_BYTES * (1 + buckets.size(bits, bucket));
    if (bytes > MAX_LISTS_BYTES) return undefined;
    lists.push({ bucket, digests: recordsOf(buckets, question, bucket).map(([, digest]) => digest) });
  }
  return { type: "buckets", purpose, bits, first, count: digests.length, lists };
}

/**
 * What an answer shows of the own mirror as it is now. Where the nodes have not equally many records of a digest, all of
 * them are meant: which ones differ it does not tell.
 */
export function differencesIn(answer: Answer, buckets: Buckets): Differences {
  const lacking: BucketList[] = [];
  const alone: string[] = [];
  for (const { bucket, digests } of answer.lists) {
    const own = recordsOf(buckets, answer, bucket);
    const surplus = new Map<number, number>();
    for (const digest of digests) surplus.set(digest, (surplus.get(digest) ?? 0) + 1);
    for (const [, digest] of own) surplus.set(digest, (surplus.get(digest) ?? 0) - 1);
    const differs = (digest: number) => surplus.get(digest) !== 0;
    alone.push(...own.filter(([, digest]) => differs(digest)).map(([key]) => key));
    const wanted = [...new Set(digests)].filter(differs);
    if (wanted.length > 0) lacking.push({ bucket, digests: wanted });
  }
  return { lacking, alone };
}

/** The keys of the records that are meant by these digests, as far as they are still there. */
export function keysOf(want: WantRecords, buckets: Buckets): string[] {
  return want.lists.flatMap(({ bucket, digests }) => {
    const wanted = new Set(digests);
    return recordsOf(buckets, want, bucket).filter(([, digest]) => wanted.has(digest)).map(([key]) => key);
  });
}

/**
 * Whether a range lies within 2^`bits` buckets, they are not finer than the finest, and each has one list at most: each
 * list is looked up in all records of its bucket.
 */
export function isRange(
  { bits, first }: BucketRange,
  count: number,
  lists: readonly BucketList[] = [],
): boolean {
  return bits <= MOST_BITS && first + count <= 2 ** bits &&
    lists.every(({ bucket }, i) =>
      bucket >= (lists[i - 1]?.bucket ?? first - 1) + 1 && bucket < first + count
    );
}

/** As much of a digest as is told. */
function told(digest: number, purpose: Purpose): number {
  return purpose === "join" ? digest >>> 16 : digest;
}

/** Key and digest, as it is told, of each record of a bucket. */
function recordsOf(
  buckets: Buckets,
  { purpose, bits }: Pick<Answer, "purpose" | "bits">,
  bucket: number,
): (readonly [string, number])[] {
  return [...buckets.records(bits, bucket)].map(([key, digest]) => [key, told(digest, purpose)]);
}

/** Whether this is the last part of a comparison of all. */
export function isLast({ bits, first }: BucketRange, count: number): boolean {
  return first + count === 2 ** bits;
}
