import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  decodeIdentity,
  decodeRecord,
  encodeContent,
  encodeIdentity,
  encodeVolatile,
} from "../../../src/record/encoding.ts";
import { identityOf, recordKey } from "../../../src/record/record.ts";
import { arbitraryRecord } from "../../fakes/record_arbitraries.ts";

Deno.test("decodeRecord() gives back what was encoded", () => {
  fc.assert(fc.property(arbitraryRecord, (record) => {
    const decoded = decodeRecord(record.kind, encodeContent(record), encodeVolatile(record));
    assertEquals(decoded, { record, refusal: undefined });
  }));
});

Deno.test("decodeIdentity() gives back the record's key", () => {
  fc.assert(fc.property(arbitraryRecord, (record) => {
    const identity = decodeIdentity(record.kind, encodeIdentity(identityOf(record)));
    assertEquals(identity.key, recordKey(record));
  }));
});
