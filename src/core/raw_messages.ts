/**
 * What the classic protocol needs of a PF_KEY dialect: records as raw messages of its kernel, and back. The talk with
 * a classic peer is written against this; `pfkeyMessages` makes one of a dialect.
 */

import type { IpsecRecord, RecordIdentity } from "../record/record.ts";

/** What a raw message means to who takes it from a master. */
export type RawMeaning =
  | { readonly kind: "put"; readonly record: IpsecRecord }
  | { readonly kind: "delete"; readonly identity: RecordIdentity }
  /** All SAs of a protocol are to go; 0: all SAs and all policies. */
  | { readonly kind: "flush"; readonly protocol: number }
  /** Changes nothing: larval SAs, soft expiries, questions. */
  | { readonly kind: "none" }
  /** Cannot be done; `what` is its identity as far as it is known. */
  | { readonly kind: "refused"; readonly what: string; readonly reason: string };

/** The raw message of a record, or why there is none. */
export type RawEncoded = { readonly ok: true; readonly bytes: Uint8Array } | {
  readonly ok: false;
  readonly reason: string;
};

export interface RawMessages {
  /** What adds the record to a kernel that has it not. */
  put(record: IpsecRecord): RawEncoded;
  remove(identity: RecordIdentity): RawEncoded;
  /** `protocol` 0: all SAs and all policies. */
  flush(protocol: number): Uint8Array;
  /** @throws {DecodeError} for what is no message of the dialect. */
  read(bytes: Uint8Array): RawMeaning;
}
