/** What the classic protocol carries, for tests: raw messages of OpenBSD made of the vectors of its dumps. */

import { openbsdMessages } from "../../src/core/openbsd_messages.ts";
import { OPENBSD_MESSAGES } from "../../src/pfkey/openbsd_constants.ts";
import type { IpsecRecord } from "../../src/record/record.ts";
import { OPENBSD_VECTORS, TAKEN_SECONDS } from "../vectors/openbsd_vectors.ts";
import { decodeHex } from "./hex.ts";

const { SADB_ADD, SADB_DUMP, SADB_X_ADDFLOW } = OPENBSD_MESSAGES;

/** The dialect of a little-endian OpenBSD, at the time of the vectors. */
export const RAW = openbsdMessages("little", () => TAKEN_SECONDS);

/** Names of the dumped records that can be expressed, those of other routing domains left out. */
export const RECORD_NAMES = OPENBSD_VECTORS
  .filter(({ order, record, head }) => order === "little" && record !== undefined && isDump(head.type))
  .map(({ name }) => name)
  .filter((name) => RAW.read(rawVector(name)).kind === "put");

/** A vector as OpenBSD's sasyncd sends it: what a dump shows as ADD or X_ADDFLOW, all else as it is. */
export function rawVector(name: string): Uint8Array {
  const vector = OPENBSD_VECTORS.find((one) => one.name === name && one.order === "little");
  if (vector === undefined) throw new Error(`no vector "${name}"`);
  const bytes = decodeHex(vector.hex);
  if (isDump(bytes[1]!)) bytes[1] = bytes[1] === SADB_DUMP ? SADB_ADD : SADB_X_ADDFLOW;
  return bytes;
}

/** The record of a vector. */
export function rawRecord(name: string): IpsecRecord {
  const meaning = RAW.read(rawVector(name));
  if (meaning.kind !== "put") throw new Error(`"${name}" is ${meaning.kind}`);
  return meaning.record;
}

function isDump(type: number): boolean {
  return type === SADB_DUMP || type === OPENBSD_MESSAGES.SADB_X_SPDDUMP;
}
