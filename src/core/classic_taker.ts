/**
 * Takes what a classic master sends: raw messages become the changes of a native master. A snapshot there begins with
 * a flush, or with nothing, and the flush is not carried out: what the snapshot has not named at its end goes then,
 * so there is no empty moment.
 */

import { DecodeError } from "../errors.ts";
import { encodeContent, encodeIdentity, encodeVolatile } from "../record/encoding.ts";
import { type IpsecRecord, type RecordIdentity, recordKey } from "../record/record.ts";
import type { Change } from "../wire/native/message.ts";
import type { ClassicPort } from "./classic_port.ts";
import type { RawMessages } from "./raw_messages.ts";

/** A flush without ENDSNAP was no snapshot's when nothing has followed for this long. */
export const FLUSH_QUIET_MS = 5000;

/** A snapshot that is being taken in. */
interface List {
  /** It began with a flush: what it does not name is gone at its end. */
  readonly whole: boolean;
  heardMs: number;
}

export class ClassicTaker {
  #list: List | undefined;
  #change = 0;

  constructor(private readonly raw: RawMessages, private readonly port: ClassicPort) {}

  /** When `tick` has something to do; Infinity: never. */
  get dueMs(): number {
    return this.#list?.whole === true ? this.#list.heardMs + FLUSH_QUIET_MS : Infinity;
  }

  /** From now on the node takes what comes. */
  begin(nowMs: number): void {
    this.#beginList(false, nowMs);
  }

  /** The rest of a snapshot that has begun will not come. */
  interrupt(nowMs: number): void {
    this.#endList(false, nowMs);
  }

  /** The node does not take anything any more. */
  forget(): void {
    this.#list = undefined;
  }

  /** Time goes by: a flush that nothing has followed is carried out. */
  tick(nowMs: number): void {
    if (nowMs >= this.dueMs) this.#endList(true, nowMs);
  }

  /** The master says that its snapshot is complete. */
  endSnapshot(nowMs: number): void {
    this.#endList(this.#list?.whole === true, nowMs);
  }

  /** One raw message. @throws {PeerError} */
  take(bytes: Uint8Array, nowMs: number): void {
    if (this.#list !== undefined) this.#list.heardMs = nowMs;
    try {
      this.#read(bytes, nowMs);
    } catch (error) {
      if (!(error instanceof DecodeError || error instanceof RangeError)) throw error;
      this.port.warn("unreadable", `sends what cannot be read: ${error.message}`);
    }
  }

  #read(bytes: Uint8Array, nowMs: number): void {
    const meaning = this.raw.read(bytes);
    if (meaning.kind === "put") this.port.tell(this.#put(meaning.record), nowMs);
    else if (meaning.kind === "delete") this.port.tell(this.#delete(meaning.identity), nowMs);
    else if (meaning.kind === "flush") this.#flush(meaning.protocol, nowMs);
    else if (meaning.kind === "refused") {
      this.port.warn(meaning.reason, `sends ${meaning.what}, which cannot be taken: ${meaning.reason}`);
    }
  }

  #put(record: IpsecRecord): Change {
    return {
      type: "put",
      change: ++this.#change,
      kind: record.kind,
      rank: this.port.rankOf(recordKey(record)),
      content: encodeContent(record),
      volatile: encodeVolatile(record),
    };
  }

  #delete(identity: RecordIdentity): Change {
    const { kind } = identity;
    return { type: "delete", change: ++this.#change, kind, identity: encodeIdentity(identity) };
  }

  /** A flush of everything begins a snapshot, or is followed by nothing. */
  #flush(protocol: number, nowMs: number): void {
    if (protocol === 0) return this.#beginList(true, nowMs);
    this.port.tell({ type: "flush", change: ++this.#change, kind: "sa", selector: protocol }, nowMs);
  }

  #beginList(whole: boolean, nowMs: number): void {
    this.#list = { whole, heardMs: nowMs };
    this.port.tell({ type: "snapshot-begin", change: ++this.#change, epoch: 0 }, nowMs);
  }

  #endList(whole: boolean, nowMs: number): void {
    if (this.#list === undefined) return;
    this.#list = undefined;
    this.port.tell({ type: "list-end", change: ++this.#change, whole }, nowMs);
  }
}
