/**
 * Records that a kernel holds and does not tell whole: what it shows of them is recognised, so that they do not look
 * changed. Used by the PF_KEY back end for what it has put itself.
 */

import type { Dialect } from "../pfkey/dialect.ts";
import { equalBytes } from "../record/address.ts";
import { encodeContent } from "../record/encoding.ts";
import { type IpsecRecord, recordKey } from "../record/record.ts";

interface Untold {
  readonly record: IpsecRecord;
  /** Content of it as the kernel tells it. */
  readonly told: Uint8Array;
  /** In a row, that have not shown it. */
  dumps: number;
}

export class UntoldRecords {
  readonly #records = new Map<string, Untold>();

  constructor(readonly dialect: Pick<Dialect, "told">) {}

  /** A record was put. */
  put(record: IpsecRecord): void {
    const shown = this.dialect.told(record);
    const told = shown === record ? undefined : encodeContent(shown);
    if (told === undefined || equalBytes(told, encodeContent(record))) {
      this.#records.delete(recordKey(record));
    } else this.#records.set(recordKey(record), { record, told, dumps: 0 });
  }

  /** A whole dump has shown these. It may be older than what was put last: only a second one makes sure. */
  dumped(keys: ReadonlySet<string>): void {
    for (const [key, untold] of this.#records) {
      untold.dumps = keys.has(key) ? 0 : untold.dumps + 1;
      if (untold.dumps >= 2) this.#records.delete(key);
    }
  }

  delete(key: string): void {
    this.#records.delete(key);
  }

  /** The record that was put, with the counters and ages that the kernel tells; any other as it is told. */
  restore(told: IpsecRecord): IpsecRecord {
    const known = this.#records.get(recordKey(told));
    if (known === undefined || !equalBytes(known.told, encodeContent(told))) return told;
    const { record } = known;
    if (record.kind === "sa" && told.kind === "sa") {
      return { kind: "sa", sa: { ...record.sa, counters: told.sa.counters } };
    }
    if (record.kind === "policy" && told.kind === "policy") {
      const { ageSeconds, usedSeconds } = told.policy;
      return { kind: "policy", policy: { ...record.policy, ageSeconds, usedSeconds } };
    }
    return told;
  }
}
