/**
 * What the PF_KEY back end has to remember because the kernel does not tell it: records in full, the sources of SAs,
 * the order of policies.
 */

import type { Dialect, Meaning, Reading } from "../pfkey/dialect.ts";
import type { KernelChange } from "../ports.ts";
import type { Address } from "../record/address.ts";
import { policyKey } from "../record/policy.ts";
import { type IpsecRecord, recordKey } from "../record/record.ts";
import { type SaIdentity, saKey } from "../record/sa.ts";
import { KnownOrder } from "./known_order.ts";
import { PolicyPlaces } from "./policy_places.ts";
import { UntoldRecords } from "./untold_records.ts";

type Told = Extract<Reading, { kind: "record" }>;

/** A policy of a dump. */
interface Placed {
  readonly record: IpsecRecord;
  readonly index: number;
  readonly priority: number;
}

export class PfkeyMemory {
  readonly #untold: UntoldRecords;
  /** By key; empty where requests do not name them. */
  readonly #sources = new Map<string, Address>();
  readonly #places = new PolicyPlaces();
  readonly #order = new KnownOrder();

  constructor(readonly dialect: Dialect) {
    this.#untold = new UntoldRecords(dialect);
  }

  /** An own change has been done. */
  done(change: KernelChange): void {
    if (change.kind !== "put") {
      return this.forget(change.kind === "delete-sa" ? saKey(change.id) : policyKey(change.id));
    }
    const { record } = change;
    this.#untold.put(record);
    this.#noteSource(record);
    if (record.kind === "policy") this.#order.put(policyKey(record.policy));
  }

  /** What is told of policies, in events and in answers to own changes: where they stand from now on. */
  learnPlace(meaning: Meaning): void {
    if (meaning.kind === "policy-flush") this.#places.clear();
    if (meaning.kind === "policy-gone") {
      this.#order.delete(policyKey(meaning.id));
      if (meaning.index !== undefined) this.#places.delete(meaning.index);
    }
    if (meaning.kind !== "changed" || meaning.reading.kind !== "record") return;
    const { record, index } = meaning.reading;
    if (record.kind !== "policy") return;
    this.#order.learn(policyKey(record.policy));
    if (index !== undefined) this.#places.put({ index, priority: record.policy.priority });
  }

  /** The record that is told, as it is. */
  complete({ record }: Told): IpsecRecord {
    this.#noteSource(record);
    return this.#untold.restore(record);
  }

  /** What has this key is gone. */
  forget(key: string): void {
    this.#untold.delete(key);
    this.#sources.delete(key);
  }

  sourceOf(id: SaIdentity): Address | undefined {
    return this.#sources.get(saKey(id));
  }

  /** A whole dump, oldest first. @returns the records as they are, in the order in which they count. */
  completeAll(readings: readonly Told[]): IpsecRecord[] {
    this.#untold.dumped(new Set(readings.map(({ record }) => recordKey(record))));
    const policies: Placed[] = [];
    const records: IpsecRecord[] = [];
    for (const reading of readings) {
      const record = this.complete(reading);
      if (record.kind === "sa") records.push(record);
      else policies.push({ record, index: reading.index ?? 0, priority: record.policy.priority });
    }
    return [...records, ...this.#inOrder(policies).map(({ record }) => record)];
  }

  #inOrder(policies: readonly Placed[]): readonly Placed[] {
    if (this.dialect.dump.kind === "sysctl") {
      return this.#order.sort(policies, ({ record }) => recordKey(record));
    }
    return policies.every(({ index }) => index > 0) ? this.#places.sort(policies) : policies;
  }

  #noteSource(record: IpsecRecord): void {
    if (this.dialect.namesBySource !== true || record.kind !== "sa") return;
    this.#sources.set(saKey(record.sa), record.sa.src);
  }
}
