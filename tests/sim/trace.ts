/** What happens in a simulated world, in words: for the trace of a single seed. */

import { describe } from "../../src/core/describe.ts";
import type { KernelChange, KernelEvent, KernelResult } from "../../src/ports.ts";
import { decodeIdentity, decodeRecord } from "../../src/record/encoding.ts";
import { identityOf, identityOfPolicy, identityOfSa } from "../../src/record/record.ts";
import type { Message } from "../../src/wire/native/message.ts";

/** Takes a line of the trace. */
export type Trace = (line: string) => void;

export function describeEvent(event: KernelEvent): string {
  switch (event.kind) {
    case "record":
      return `${describe(identityOf(event.record))} ${event.created ? "made" : "changed"}`;
    case "sa-gone":
      return `${describe(identityOfSa(event.id))} ${event.expired ? "expired" : "gone"}`;
    case "policy-gone":
      return `${describe(identityOfPolicy(event.id))} ${event.expired ? "expired" : "gone"}`;
    case "progress":
      return `${describe(identityOfSa(event.id))} at ${event.progress.oseq}/${event.progress.seq}`;
    case "sa-flush":
      return `SAs of protocol ${event.protocol} flushed`;
    case "policy-flush":
      return `policies of type ${event.type} flushed`;
    case "unreadable":
      return `${event.what} cannot be read: ${event.reason}`;
    case "resync":
      return event.reason;
  }
}

export function describeChange(change: KernelChange, result: KernelResult): string {
  const identity = change.kind === "put"
    ? identityOf(change.record)
    : change.kind === "delete-sa"
    ? identityOfSa(change.id)
    : identityOfPolicy(change.id);
  const verb = change.kind === "put" ? "put" : "delete";
  return `${verb} ${describe(identity)}${result.ok ? "" : `: ${result.reason}`}`;
}

export function describeMessage(message: Message): string {
  switch (message.type) {
    case "put": {
      const { record } = decodeRecord(message.kind, message.content, message.volatile);
      return `put ${describe(identityOf(record))}, change ${message.change}, rank ${message.rank}`;
    }
    case "delete":
      return `delete ${describeIdentity(message)}, change ${message.change}`;
    case "refused":
      return `refused ${describeIdentity(message)}: ${message.reason}`;
    case "want":
      return `want ${message.identities.map(describeIdentity).join(", ") || "everything"}`;
    case "counters":
      return `counters of ${describeIdentity({ kind: "sa", identity: message.identity })}`;
    default: {
      const members = Object.entries(message).filter(([name]) => name !== "type").map(([name, value]) =>
        `${name} ${value instanceof Uint8Array ? value.toHex() : value}`
      );
      return [message.type, ...members].join(" ");
    }
  }
}

function describeIdentity({ kind, identity }: { kind: "sa" | "policy"; identity: Uint8Array }): string {
  return describe(decodeIdentity(kind, identity));
}
