/** Algorithm numbers of a dialect ↔ IANA numbers of the record. Each dialect gives its own rows. */

import { type AlgorithmId, algorithmName } from "../record/algorithms.ts";
import { Refusal } from "./refusal.ts";

/** An algorithm of a dialect. */
export interface AlgorithmRow {
  /** The constant's C name, the dialect's `SADB_…ALG_…`. */
  readonly name: string;
  /** The dialect's number. */
  readonly number: number;
  readonly id: AlgorithmId;
  /** The only length of an ICV that goes with this number; undefined: no ICV, or the number does not decide. */
  readonly icvBits?: number;
}

/** One kind of algorithm in one dialect. */
export class AlgorithmTable {
  /** @param kind completes "… is not known", e.g. "integrity"; `names` is the registry's, ENCR, AUTH or IPCOMP. */
  constructor(
    readonly kind: string,
    readonly names: Readonly<Record<string, number>>,
    readonly rows: readonly AlgorithmRow[],
  ) {}

  /** @throws {Refusal} for a number without a row. */
  fromKernel(number: number): AlgorithmRow {
    const row = this.rows.find((candidate) => candidate.number === number);
    if (row === undefined) throw new Refusal(`${this.kind} algorithm ${number} is not known`);
    return row;
  }

  /** @throws {Refusal} when the dialect has no number for it, or not with this length of its ICV. */
  toKernel(id: AlgorithmId, icvBits?: number): AlgorithmRow {
    const rows = this.rows.filter((row) => row.id === id);
    const name = algorithmName(this.names, id);
    if (rows.length === 0) throw new Refusal(`${this.kind} ${name} cannot be expressed by PF_KEY here`);
    const row = rows.find((candidate) => candidate.icvBits === undefined || candidate.icvBits === icvBits);
    if (row === undefined) {
      throw new Refusal(`${this.kind} ${name} cannot have an ICV of ${icvBits} bits here`);
    }
    return row;
  }
}
