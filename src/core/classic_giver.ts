/** Says a master's changes to a classic slave: SADB_ADD, X_ADDFLOW, DELETE, X_DELFLOW, FLUSH and ENDSNAP. */

import { decodeIdentity, decodeRecord } from "../record/encoding.ts";
import { identityOf, type IpsecRecord, type RecordIdentity } from "../record/record.ts";
import { PROTOCOL } from "../record/sa.ts";
import { MAX_PLAIN_BYTES } from "../wire/classic/frames.ts";
import type { Change, Flush } from "../wire/native/message.ts";
import type { ClassicPort } from "./classic_port.ts";
import { describe } from "./describe.ts";
import { covers, FLUSH_ALL } from "./master.ts";
import type { RawEncoded, RawMessages } from "./raw_messages.ts";

/** What the peer has been told of a record. */
interface Told {
  readonly identity: RecordIdentity;
  readonly rank: number;
}

export class ClassicGiver {
  readonly #told = new Map<string, Told>();

  /** `flushes`: a snapshot begins with a flush (`flushmode startup`). */
  constructor(
    private readonly raw: RawMessages,
    private readonly port: ClassicPort,
    private readonly flushes: boolean,
  ) {}

  /** The peer may have been told, or not: it will be told everything. */
  forget(): void {
    this.#told.clear();
  }

  say(change: Change): void {
    switch (change.type) {
      case "snapshot-begin":
        this.forget();
        if (this.flushes) this.#send(this.raw.flush(0));
        return;
      case "snapshot-end":
        return this.port.send({ type: "endsnap" });
      case "put":
        return this.#put(decodeRecord(change.kind, change.content, change.volatile).record, change.rank);
      case "delete":
        return this.#delete(decodeIdentity(change.kind, change.identity));
      case "flush":
        return change.kind === "sa" ? this.#flushSas(change) : this.#flushPolicies();
    }
  }

  /** An SA that was made anew is deleted first: the peer's kernel refuses to add it again and would keep the old one. */
  #put(record: IpsecRecord, rank: number): void {
    const identity = identityOf(record);
    const key = identity.key;
    const before = this.#told.get(key);
    if (record.kind === "sa" && before !== undefined && before.rank !== rank) this.#delete(identity);
    this.#told.set(key, { identity, rank });
    this.#sendEncoded(identity, this.raw.put(record));
  }

  #delete(identity: RecordIdentity): void {
    this.#told.delete(identity.key);
    this.#sendEncoded(identity, this.raw.remove(identity));
  }

  /** The flush of everything would take policies too, and what the peer has of its own. */
  #flushSas({ selector }: Flush): void {
    for (const [key, { identity }] of this.#told) {
      if (covers("sa", selector, identity)) this.#told.delete(key);
    }
    for (const protocol of Object.values(PROTOCOL)) {
      if (selector === FLUSH_ALL.SA || selector === protocol) this.#send(this.raw.flush(protocol));
    }
  }

  /** There is no message that takes policies alone. */
  #flushPolicies(): void {
    for (const [key, { identity }] of this.#told) {
      if (identity.kind === "policy" && !this.port.holds(key)) this.#delete(identity);
    }
  }

  #sendEncoded(identity: RecordIdentity, encoded: RawEncoded): void {
    if (encoded.ok && encoded.bytes.length <= MAX_PLAIN_BYTES) return this.#send(encoded.bytes);
    const reason = encoded.ok ? "it is too long for the classic protocol" : encoded.reason;
    this.port.warn(reason, `cannot be sent ${describe(identity)}: ${reason}`);
  }

  #send(bytes: Uint8Array): void {
    this.port.send({ type: "pfkey", bytes });
  }
}
