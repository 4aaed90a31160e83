/** The raw messages of the classic protocol as OpenBSD's PF_KEY has them: the only system that speaks it. */

import type { ByteOrder } from "../layout/byte_order.ts";
import type { Meaning, Planned, Reading } from "../pfkey/dialect.ts";
import { decodeMessage, encodeMessage } from "../pfkey/message.ts";
import { openbsdDialect } from "../pfkey/openbsd.ts";
import { OPENBSD_MESSAGES } from "../pfkey/openbsd_constants.ts";
import { satypeOf } from "../pfkey/openbsd_identity.ts";
import { identityOfPolicy, identityOfSa } from "../record/record.ts";
import type { RawEncoded, RawMeaning, RawMessages } from "./raw_messages.ts";

const { SADB_FLUSH } = OPENBSD_MESSAGES;
const NONE: RawMeaning = { kind: "none" };

/**
 * Messages in this byte order, that of the host. `wallSeconds`: seconds since 1970, by which the kernel dates SAs. The
 * receiver overwrites process id and sequence number.
 */
export function openbsdMessages(order: ByteOrder, wallSeconds: () => number): RawMessages {
  const dialect = openbsdDialect(order);
  const { platform } = dialect;
  const encode = (type: number, satype: number, body: Uint8Array) =>
    encodeMessage({ type, satype, seq: 0, pid: 0 }, body, platform);
  /** The first request alone: what else a plan holds is for a kernel that answers. */
  const encodePlanned = (planned: Planned): RawEncoded => {
    if (!planned.ok) return planned;
    const { type, satype, body } = planned.plan.requests[0]!;
    return { ok: true, bytes: encode(type, satype, body) };
  };
  const surroundings = () => ({ nowSeconds: wallSeconds() });
  return {
    put: (record) => encodePlanned(dialect.encode({ kind: "put", record }, surroundings())),
    remove: (identity) =>
      encodePlanned(
        dialect.encode(
          identity.kind === "sa"
            ? { kind: "delete-sa", id: identity.id }
            : { kind: "delete-policy", id: identity.id },
          surroundings(),
        ),
      ),
    flush: (protocol) => encode(SADB_FLUSH, protocol === 0 ? 0 : satypeOf(protocol), new Uint8Array()),
    read(bytes) {
      const message = decodeMessage(bytes, platform);
      if (message.errno === 0 && message.type === SADB_FLUSH && message.satype === 0) {
        return { kind: "flush", protocol: 0 };
      }
      return meaningOf(dialect.decode(message, surroundings()), dialect.messageName(message.type));
    },
  };
}

/** `what` names the message where it does not say itself what it is about. */
function meaningOf(meaning: Meaning, what: string): RawMeaning {
  switch (meaning.kind) {
    case "changed":
      return readingOf(meaning.reading);
    case "sa-gone":
      return { kind: "delete", identity: identityOfSa(meaning.id) };
    case "policy-gone":
      return { kind: "delete", identity: identityOfPolicy(meaning.id) };
    case "sa-flush":
      return { kind: "flush", protocol: meaning.protocol };
    case "resync":
      return { kind: "refused", what, reason: meaning.reason };
    default: // failed requests of somebody over there, dumps, questions
      return NONE;
  }
}

function readingOf(reading: Reading): RawMeaning {
  if (reading.kind === "record") return { kind: "put", record: reading.record };
  return reading.kind === "refused" ? reading : NONE;
}
