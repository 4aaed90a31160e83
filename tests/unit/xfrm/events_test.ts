import { assert, assertEquals } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { splitDatagram } from "../../../src/layout/netlink.ts";
import { DIRECTION } from "../../../src/record/policy.ts";
import { NO_MARK, PROTOCOL, type SaIdentity } from "../../../src/record/sa.ts";
import { decodeEvent, type XfrmEvent } from "../../../src/xfrm/events.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex } from "../../fakes/hex.ts";
import { addr, sampleSelector } from "../../fakes/records.ts";
import { VECTOR_SURROUNDINGS } from "../../fakes/xfrm_bodies.ts";
import { EVENT_VECTORS } from "../../vectors/xfrm_vectors.ts";

function decode(datagram: Uint8Array): XfrmEvent | undefined {
  return decodeEvent(splitDatagram(datagram)[0]!, VECTOR_SURROUNDINGS);
}

/** What the kernel tells of the only command that begins like this. */
function told(command: string): (XfrmEvent | undefined)[] {
  return EVENT_VECTORS.filter(([candidate]) => candidate.startsWith(command)).map(([, hex]) =>
    decode(decodeHex(hex))
  );
}

function esp(spi: number, mark = NO_MARK): SaIdentity {
  return { dst: addr("198.51.100.7"), protocol: PROTOCOL.ESP, spi, mark, rdomain: 0 };
}

function policyId(src: string) {
  return {
    direction: DIRECTION.OUT,
    selector: sampleSelector({ src: addr(src), dst: addr("10.8.0.0"), srcBits: 24, dstBits: 24 }),
    type: 0,
    mark: NO_MARK,
    interfaceId: 0,
  };
}

/** The kernel gives a mark without mask the whole one. */
const MARK_5 = { value: 5, mask: 0xffffffff };

const rows: readonly [command: string, events: readonly (XfrmEvent | undefined)[]][] = [
  ["state update", [{ kind: "sa-updated", id: esp(0x1001) }]],
  ["state delete src 192.0.2.1 dst 198.51.100.7 proto esp spi 0x1002", [
    { kind: "sa-gone", id: esp(0x1002), expired: false },
  ]],
  ["state delete src 192.0.2.1 dst 198.51.100.7 proto esp spi 0x3007", [
    // the command named the SA with mark 7; the newest that matches is the one without
    { kind: "sa-gone", id: esp(0x3007), expired: false },
  ]],
  ["policy delete src", [{
    kind: "policy-gone",
    id: { ...policyId("10.9.0.0"), mark: { value: 3, mask: 15 }, interfaceId: 0x55 },
    index: 41,
    expired: false,
  }]],
  ["policy delete index", [{ kind: "policy-gone", id: policyId("10.9.2.0"), index: 57, expired: false }]],
  ["WAIT", [
    undefined, // a soft limit
    { kind: "sa-gone", id: esp(0x5002, MARK_5), expired: true },
    { kind: "policy-gone", id: policyId("10.9.9.0"), index: 89, expired: true },
    { kind: "sa-gone", id: esp(0x5001), expired: true },
  ]],
  ["state flush proto ah", [{ kind: "sa-flush", protocol: PROTOCOL.AH }]],
  ["state flush proto hao", [undefined]],
  ["policy flush ptype sub", [{ kind: "policy-flush", type: 1 }]],
];

for (const [command, events] of rows) {
  Deno.test(`decodeEvent() reads what "${command}" causes`, () => assertEquals(told(command), events));
}

Deno.test("decodeEvent() reads a flush of everything", () => {
  const last = EVENT_VECTORS.slice(-2).map(([, hex]) => decode(decodeHex(hex)));
  assertEquals(last, [{ kind: "policy-flush", type: 0 }, { kind: "sa-flush", protocol: 0 }]);
});

Deno.test("decodeEvent() reads what was added", () => {
  const [event] = told("state add");
  assert(event?.kind === "sa" && event.reading.kind === "sa");
  assertEquals(event.reading.sa.hard, { addSeconds: 2n });
  const [policy] = told("policy update");
  assert(policy?.kind === "policy" && policy.reading.kind === "policy");
  assertEquals(policy.reading.policy.priority, 50);
});

const MIGRATE = "10000000210000000000000000000000";
const MAPPING = "10000000260000000000000000000000";

Deno.test("decodeEvent() asks for a dump after MIGRATE and ignores MAPPING", () => {
  assertEquals(decode(decodeHex(MIGRATE))?.kind, "resync");
  assertEquals(decode(decodeHex(MAPPING)), undefined);
});

Deno.test("decodeEvent() takes a flush of the IPsec protocols for one of all", () => {
  const datagram = decodeHex("110000001c000000000000000000000000000000".slice(0, 32) + "ff");
  assertEquals(decode(datagram), { kind: "sa-flush", protocol: 0 });
});

Deno.test("decodeEvent() asks for a dump when the policy of an interface that is gone is deleted", () => {
  const [, hex] = EVENT_VECTORS.find(([command]) => command.startsWith("policy delete src"))!;
  const datagram = decodeHex(hex);
  const sel = 16 + 64 + 4; // header, userpolicy_id, head of XFRMA_POLICY
  datagram[sel + 48] = 9;
  assertEquals(decode(datagram)?.kind, "resync");
});

Deno.test("splitDatagram() and decodeEvent() survive every damage of every vector", () => {
  for (const [, hex] of EVENT_VECTORS) {
    for (const damaged of damages(decodeHex(hex))) {
      try {
        for (const message of splitDatagram(damaged)) decodeEvent(message, VECTOR_SURROUNDINGS);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  }
});
