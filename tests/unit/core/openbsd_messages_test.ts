import { assert, assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { identityOf, recordKey } from "../../../src/record/record.ts";
import { damages } from "../../fakes/damage.ts";
import { RAW, rawRecord, rawVector, RECORD_NAMES } from "../../fakes/classic.ts";
import { encodeHex } from "../../fakes/hex.ts";
import { sampleSa } from "../../fakes/records.ts";

Deno.test("openbsdMessages() has records to carry", () => {
  assert(RECORD_NAMES.length > 40);
});

for (const name of RECORD_NAMES) {
  Deno.test(`openbsdMessages() carries: ${name}`, () => {
    const record = rawRecord(name);
    const encoded = RAW.put(record);
    if (!encoded.ok) throw new Error(encoded.reason);
    const meaning = RAW.read(encoded.bytes);
    assert(meaning.kind === "put");
    assertEquals(encodeContent(meaning.record), encodeContent(record));
    const removed = RAW.remove(identityOf(record));
    assert(removed.ok);
    const gone = RAW.read(removed.bytes);
    assert(gone.kind === "delete");
    assertEquals(gone.identity.key, recordKey(record));
  });
}

for (
  const [name, kind] of [
    ["larval", "refused"],
    ["same routing domain inside", "none"],
    ["IP in IP", "none"],
    ["EEXIST of ADD", "none"],
    ["ACQUIRE", "none"],
    ["EXPIRE soft", "none"],
    ["EXPIRE hard", "delete"],
    ["reply to REGISTER", "none"],
    ["reply to X_PROMISC", "none"],
    ["reply to GRPSPIS", "refused"],
    ["ESP with DES, of 2010", "refused"],
    ["reply to ADD, without keys", "refused"],
    ["a message of the future", "none"],
  ] as const
) {
  Deno.test(`openbsdMessages() reads as ${kind}: ${name}`, () => {
    assertEquals(RAW.read(rawVector(name)).kind, kind);
  });
}

for (const [protocol, satype] of [[0, 0], [50, 2], [51, 1], [108, 9]] as const) {
  Deno.test(`openbsdMessages().flush(${protocol}) is a header with satype ${satype}`, () => {
    const bytes = RAW.flush(protocol);
    assertEquals(encodeHex(bytes), `0209000${satype}020000000000000000000000`);
    assertEquals(RAW.read(bytes), { kind: "flush", protocol });
  });
}

Deno.test("openbsdMessages() says why a record has no message", () => {
  const encoded = RAW.put({ kind: "sa", sa: sampleSa({ spi: 7, mark: { value: 1, mask: 1 } }) });
  assert(!encoded.ok && encoded.reason.includes("mark"), JSON.stringify(encoded));
});

Deno.test("openbsdMessages() reads no message as DecodeError, whatever is damaged", () => {
  assertThrows(() => RAW.read(new Uint8Array()), DecodeError);
  for (const name of ["ESP with AES-128", "flow out, use", "EXPIRE hard"]) {
    for (const damaged of damages(rawVector(name))) {
      try {
        RAW.read(damaged);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  }
});
