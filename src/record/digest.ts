/** Digests of records, by which nodes find out whether their mirrors are equal. */

import { createHash } from "node:crypto";
import { Writer } from "../layout/writer.ts";

/** Bytes of a digest. */
export const DIGEST_BYTES = 16;

/** Records are hashed one after the other. */
const scratch = new Writer("big", 1024);

/**
 * The first 16 bytes of SHA-256 over the encoded content and the rank (u64be).
 *
 * @throws {RangeError} when the rank is not a whole number from 0.
 */
export function digestOf(content: Uint8Array, rank: number): Uint8Array {
  const whole = scratch.clear().bytes(content).u64be(BigInt(rank)).viewFrom(0);
  return new Uint8Array(createHash("sha256").update(whole).digest().buffer, 0, DIGEST_BYTES);
}
