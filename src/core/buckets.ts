/**
 * The digests of a mirror's records, divided into buckets by a hash of the identity: by them two nodes find out what
 * differs without naming what does not. The finest division is kept; coarser ones are folded from it.
 */

import type { RecordIdentity } from "../record/record.ts";

/** There are 2^12 buckets at most, of 24 records each when there are 100,000. */
export const MOST_BITS = 12;

/** Fewer than 2^4 are not worth the while. */
const LEAST_BITS = 4;

const GOLDEN = 0x9e3779b1;

/** The records' digests by bucket and key. */
export class Buckets {
  readonly #records: (Map<string, number> | undefined)[] = new Array(2 ** MOST_BITS);
  /** The exclusive or of each bucket. */
  readonly #digests = new Int32Array(2 ** MOST_BITS);

  /** Adds or replaces a record's digest. */
  set(key: string, digest: number): void {
    const bucket = bucketOf(key);
    const records = this.#records[bucket] ??= new Map();
    this.#digests[bucket]! ^= (records.get(key) ?? 0) ^ digest;
    records.set(key, digest);
  }

  delete(key: string): void {
    const bucket = bucketOf(key);
    const records = this.#records[bucket];
    this.#digests[bucket]! ^= records?.get(key) ?? 0;
    records?.delete(key);
    if (records?.size === 0) this.#records[bucket] = undefined;
  }

  /** The digest of one of 2^`bits` buckets. */
  digest(bits: number, bucket: number): number {
    let digest = 0;
    for (const fine of finest(bits, bucket)) digest ^= this.#digests[fine]!;
    return digest;
  }

  /** How many records one of 2^`bits` buckets has. */
  size(bits: number, bucket: number): number {
    let size = 0;
    for (const fine of finest(bits, bucket)) size += this.#records[fine]?.size ?? 0;
    return size;
  }

  /** Key and digest of each record of one of 2^`bits` buckets. */
  *records(bits: number, bucket: number): Generator<readonly [string, number]> {
    for (const fine of finest(bits, bucket)) yield* this.#records[fine] ?? [];
  }
}

function* finest(bits: number, bucket: number): Generator<number> {
  const first = bucket * 2 ** (MOST_BITS - bits);
  for (let i = 0; i < 2 ** (MOST_BITS - bits); i++) yield first + i;
}

/**
 * The bucket of a key in the finest division: the upper bits of its FNV-1a hash, mixed. Peers have to agree on it, and
 * so on the keys of identities.
 */
export function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), GOLDEN);
  return (hash ^ (hash >>> 13)) >>> (32 - MOST_BITS);
}

/**
 * How many buckets, as a power of two, cost least for a mirror of so many records in which some hundred differ: one
 * digest for each bucket is told, and one for each record of those that differ.
 */
export function bitsFor(records: number): number {
  const best = Math.round(Math.log2(10 * Math.sqrt(Math.max(1, records))));
  return Math.min(MOST_BITS, Math.max(LEAST_BITS, best));
}

/**
 * The short digest of a record, from its whole one (record/digest.ts). SAs that differ in their mark only are found in
 * the order of their ranks, so with a mark the rank counts. That two differing records have the same one is rare, and
 * shows at the end of a join in the digest of the whole mirror.
 */
export function shortDigest(digest: Uint8Array, { kind, id }: RecordIdentity, rank: number): number {
  const short = digest[0]! << 24 | digest[1]! << 16 | digest[2]! << 8 | digest[3]!;
  return kind === "sa" && id.mark.mask !== 0 ? short ^ Math.imul(rank, GOLDEN) : short;
}
