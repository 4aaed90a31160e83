/**
 * Whatever a peer says and the kernel shows, a node answers with typed errors only, says nothing that has no form
 * on the wire, and a good master makes it well again.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DecodeError, PeerError } from "../../../src/errors.ts";
import { encodeContent, encodeIdentity, encodeVolatile } from "../../../src/record/encoding.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { encodeMessage } from "../../../src/wire/native/catalog.ts";
import { DEMOTION_CAUSES, type Message } from "../../../src/wire/native/message.ts";
import { arbitraryRecord } from "../../fakes/record_arbitraries.ts";
import { Host, mirrorOf, nodeId, policy, sa, snapshotOf, stateOf, TestClock } from "./support.ts";

const counter = fc.oneof(fc.nat(20), fc.nat(Number.MAX_SAFE_INTEGER));
const kind = fc.constantFrom("sa" as const, "policy" as const);
const digest = fc.uint8Array({ minLength: 16, maxLength: 16 });
const selector = fc.nat(255);
const role = fc.constantFrom("INIT" as const, "SLAVE" as const, "MASTER" as const, "FAIL" as const);

/** Records that meet each other, and records of every shape. */
const record: fc.Arbitrary<IpsecRecord> = fc.oneof(
  fc.nat(3).map((spi) => sa(spi + 1)),
  fc.nat(3).map((n) => policy(`10.2.${n}.0/24`)),
  arbitraryRecord,
);

/** Bytes as they were encoded, or damaged in one place. */
function bytesOf(encode: (record: IpsecRecord) => Uint8Array): fc.Arbitrary<Uint8Array> {
  return fc.tuple(record.map(encode), fc.nat(), fc.nat(255), fc.nat(9)).map(([bytes, at, value, dice]) =>
    dice < 7 || bytes.length === 0
      ? bytes
      : dice < 8
      ? bytes.slice(0, at % (bytes.length + 1))
      : bytes.with(at % bytes.length, value)
  );
}

const content = bytesOf(encodeContent);
const identity = bytesOf((one) => encodeIdentity(identityOf(one)));
const volatile = fc.oneof(fc.constant(new Uint8Array()), bytesOf(encodeVolatile));
const put = fc.record({
  type: fc.constant("put" as const),
  change: counter,
  rank: counter,
  content,
  volatile,
  kind,
});

/** Half of the PUTs are right. */
const goodPut = fc.record({ change: counter, rank: fc.nat(20), record }).map((
  { change, rank, record },
): Message => ({
  type: "put",
  change,
  rank,
  kind: record.kind,
  content: encodeContent(record),
  volatile: encodeVolatile(record),
}));

const message: fc.Arbitrary<Message> = fc.oneof(
  put,
  goodPut,
  fc.record({ type: fc.constant("delete" as const), change: counter, kind, identity }),
  fc.record({ type: fc.constant("flush" as const), change: counter, kind, selector }),
  fc.record({ type: fc.constant("snapshot-begin" as const), change: counter, epoch: counter }),
  fc.record({ type: fc.constant("snapshot-end" as const), change: counter, count: counter, digest }),
  fc.record({
    type: fc.constant("want" as const),
    identities: fc.array(fc.record({ kind, identity }), { maxLength: 3 }),
  }),
  fc.record({ type: fc.constant("ack" as const), change: counter }),
  fc.record({ type: fc.constant("refused" as const), kind, identity, reason: fc.string() }),
  fc.record({ type: fc.constant("counters" as const), identity, volatile }),
  fc.record({
    type: fc.constant("state" as const),
    role,
    epoch: counter,
    greatestEpoch: counter,
    master: digest,
    following: fc.boolean(),
    demotion: fc.constantFrom(...DEMOTION_CAUSES),
  }),
);

const good = [sa(1), policy("10.2.0.0/16")].map(recordKey);

type Act = (host: Host) => void;

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: message.map((said): Act => (host) => hear(host, said)) },
  fc.constant<Act>((host) =>
    hear(host, stateOf("MASTER", host.node.membership.epoch, { master: 9, following: true }))
  ),
  fc.constant<Act>((host) => hear(host, { type: "snapshot-begin", change: 1, epoch: 1 })),
  role.map((one): Act => (host) => host.node.setRole(one, "test", host.clock.nowMs)),
  record.map((one): Act => (host) => void host.kernel.disturb({ kind: "put", record: one })),
  selector.map((one): Act => (host) => host.kernel.flushSas(one)),
  fc.constant<Act>((host) => host.kernel.overrun()),
  fc.nat(3).map((n): Act => (host) =>
    void host.refuses.add(`put sa ${n + 1}`).add(`put policy 10.2.${n}.0/24`)
  ),
  fc.nat(3).map((n): Act => (host) => {
    const { node, clock } = host;
    node.applied(node.nextChanges(n + 1, clock.nowMs).map(() => ({ ok: false, reason: "ENOSYS" })));
  }),
  fc.constant<Act>((host) => host.perform()),
  fc.constant<Act>((host) => host.turn()),
  fc.nat(2 ** 33).map((seconds): Act => (host) => void (host.clock.nowMs += seconds * 1000)),
);

/** As the daemon does it: a typed error ends the session, and there is another. */
function hear(host: Host, said: Message): void {
  try {
    host.node.receive("p", said, host.clock.nowMs);
  } catch (error) {
    if (!(error instanceof PeerError || error instanceof DecodeError)) throw error;
    host.node.peerDown("p", host.clock.nowMs);
    host.node.peerUp("p", nodeId(9), false);
  }
}

/** Everything that the node says has a form on the wire. */
function speak(host: Host): void {
  const { sent } = host;
  for (const { message } of sent.splice(0)) encodeMessage(message);
  for (const change of host.node.collect("p", host.clock.nowMs, 1 << 16)) encodeMessage(change);
}

Deno.test("Node answers whatever comes with typed errors, and a good master makes it well again", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const host = new Host("gw1", 1, new TestClock()).start("SLAVE");
      host.node.peerUp("p", nodeId(9), false);
      for (const one of acts) {
        one(host);
        speak(host);
      }
      host.refuses.clear();
      host.node.setRole("SLAVE", "test", host.clock.nowMs);
      for (let i = 0; i < 4; i++) host.turn(); // an overrun and a flush each begin another dump
      const epoch = host.node.membership.greatestEpoch + 1;
      hear(host, stateOf("MASTER", epoch, { master: 9, following: true }));
      for (const change of snapshotOf(mirrorOf(sa(1), policy("10.2.0.0/16")))) hear(host, change);
      host.turn();
      assert(host.node.synced);
      const ours = host.kernel.records().map(recordKey).filter((key) => key === good[0] || key === good[1]);
      assertEquals(ours, good, "others may have marks that a kernel never finds again");
    }),
    { numRuns: 1000 },
  );
});
