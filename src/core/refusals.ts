/** What a slave has refused and its master has still to be told: the latest state, not a list of messages. */

import { encodeIdentity } from "../record/encoding.ts";
import type { RecordIdentity } from "../record/record.ts";
import type { Refused } from "../wire/native/message.ts";

export class Refusals {
  readonly #untold = new Map<string, { readonly identity: RecordIdentity; readonly reason: string }>();

  get size(): number {
    return this.#untold.size;
  }

  add(identity: RecordIdentity, reason: string): void {
    this.#untold.set(identity.key, { identity, reason });
  }

  /** Something else stands there now: nothing is to be told any more. */
  delete(key: string): void {
    this.#untold.delete(key);
  }

  clear(): void {
    this.#untold.clear();
  }

  /** Takes up to `limit` of them, in the order in which they came. */
  take(limit: number): Refused[] {
    return this.#untold.entries().take(limit).map(([key, { identity, reason }]): Refused => {
      this.#untold.delete(key);
      return { type: "refused", kind: identity.kind, identity: encodeIdentity(identity), reason };
    }).toArray();
  }
}
