/**
 * The binary form of records, in three parts: identity, content (all but counters and ages), volatile (those).
 * Used by the mirror, which compares and stores content, and by the native wire.
 */

import type { Decoded } from "./attribute_table.ts";
import {
  policyAgeTable,
  policyIdentityTable,
  policyTable,
  saCountersTable,
  saIdentityTable,
  saTable,
} from "./attributes.ts";
import { identityOfPolicy, identityOfSa, type IpsecRecord, type RecordIdentity } from "./record.ts";
import { SA_FLAG, type SaCounters } from "./sa.ts";

/** A record, and why it cannot be honoured in full: critical attributes or flags that this version knows not. */
export interface DecodedRecord {
  readonly record: IpsecRecord;
  readonly refusal: string | undefined;
}

/** All of a record but counters and ages. Equal records give equal bytes. @throws {RangeError} on values without a form. */
export function encodeContent(record: IpsecRecord): Uint8Array {
  return record.kind === "sa"
    ? saTable.encode(record.sa, record.sa.opaque)
    : policyTable.encode(record.policy, record.policy.opaque);
}

/** Counters and ages of a record. @throws {RangeError} on values without a form. */
export function encodeVolatile(record: IpsecRecord): Uint8Array {
  return record.kind === "sa" ? encodeSaCounters(record.sa.counters) : policyAgeTable.encode(record.policy);
}

/** The volatile part of an SA. Seconds are whole. @throws {RangeError} */
export function encodeSaCounters(counters: SaCounters): Uint8Array {
  return saCountersTable.encode(counters);
}

/** The volatile part of a policy. Seconds are whole. @throws {RangeError} */
export function encodePolicyAge(ageSeconds: number, usedSeconds: number | undefined): Uint8Array {
  return policyAgeTable.encode({ ageSeconds, usedSeconds });
}

/** The volatile part of an SA alone, as COUNTERS messages carry it. @throws {DecodeError} */
export function decodeSaCounters(volatile: Uint8Array): SaCounters {
  return countersOf(saCountersTable.decode(volatile));
}

/** Puts a record together from its two parts. Its byte runs are views of `content`. @throws {DecodeError} when they are malformed. */
export function decodeRecord(
  kind: "sa" | "policy",
  content: Uint8Array,
  volatile: Uint8Array,
): DecodedRecord {
  return kind === "sa" ? decodeSa(content, volatile) : decodePolicy(content, volatile);
}

/**
 * Which record, without its content. Identities have no room for attributes that this version does not know.
 *
 * @throws {RangeError} on values without a form.
 */
export function encodeIdentity(identity: RecordIdentity): Uint8Array {
  return identity.kind === "sa"
    ? saIdentityTable.encode(identity.id)
    : policyIdentityTable.encode(identity.id);
}

/** @throws {DecodeError} when the bytes are malformed or have attributes that identities have not. */
export function decodeIdentity(kind: "sa" | "policy", bytes: Uint8Array): RecordIdentity {
  return kind === "sa"
    ? identityOfSa(saIdentityTable.decodeClosed(bytes))
    : identityOfPolicy(policyIdentityTable.decodeClosed(bytes));
}

const KNOWN_SA_FLAGS = Object.values(SA_FLAG).reduce((all, flag) => all | flag, 0);

function decodeSa(content: Uint8Array, volatile: Uint8Array): DecodedRecord {
  const { values, opaque, unknown } = saTable.decode(content);
  const counters = saCountersTable.decode(volatile);
  const strange = (values.flags & ~KNOWN_SA_FLAGS) >>> 0;
  const flags = strange === 0 ? [] : [`SA flags 0x${strange.toString(16)}`];
  return {
    record: { kind: "sa", sa: { ...values, counters: countersOf(counters), opaque } },
    refusal: refusalOf([...unknown, ...counters.unknown, ...flags]),
  };
}

/** `usedSeconds` is a member also when it is undefined. */
function countersOf({ values }: Decoded<SaCounters>): SaCounters {
  return { ...values, usedSeconds: values.usedSeconds };
}

function decodePolicy(content: Uint8Array, volatile: Uint8Array): DecodedRecord {
  const { values, opaque, unknown } = policyTable.decode(content);
  const age = policyAgeTable.decode(volatile);
  const { ageSeconds, usedSeconds } = age.values;
  return {
    record: { kind: "policy", policy: { ...values, ageSeconds, usedSeconds, opaque } },
    refusal: refusalOf([...unknown, ...age.unknown]),
  };
}

function refusalOf(unknown: readonly string[]): string | undefined {
  return unknown.length === 0 ? undefined : `unknown critical ${unknown.join(", ")}`;
}
