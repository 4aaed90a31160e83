/** How the codecs say that a record cannot be expressed: thrown inside, a reason string outside. */

import type { Writer } from "../layout/writer.ts";

/** A record that XFRM, or the portable record, has no form for. Never leaves `src/xfrm`. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** What encoding a record gave: the message's payload, or why there is none. `body` is a view. */
export type Encoded =
  | { readonly ok: true; readonly body: Uint8Array }
  | { readonly ok: false; readonly reason: string };

/**
 * Runs an encoder on `writer`. A RangeError is a value, from a peer of another system, that its kernel field
 * cannot hold.
 *
 * @returns a view of the bytes, or why the record cannot be expressed.
 */
export function encodeOrRefuse(writer: Writer, encode: () => void): Encoded {
  const start = writer.align(4).length; // a refused one may have ended anywhere
  try {
    encode();
    return { ok: true, body: writer.viewFrom(start) };
  } catch (error) {
    if (error instanceof Refusal || error instanceof RangeError) return { ok: false, reason: error.message };
    throw error;
  }
}
