/** How the codecs say that a record cannot be expressed: thrown inside, a reason outside. */

/** A record that the dialect, or the portable record, has no form for. Never leaves `src/pfkey`. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/**
 * Why `work` cannot be done. A RangeError is a value, from a peer of another system, that its kernel field cannot
 * hold.
 *
 * @returns what `work` gives, or the reason.
 */
export function orReason<T>(work: () => T): { readonly ok: true; readonly value: T } | {
  readonly ok: false;
  readonly reason: string;
} {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    if (error instanceof Refusal || error instanceof RangeError) return { ok: false, reason: error.message };
    throw error;
  }
}
