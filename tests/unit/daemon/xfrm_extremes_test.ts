/** A node over the XFRM back end: no number that a peer says ends the daemon, at a takeover least of all. */

import fc from "fast-check";
import { Node } from "../../../src/core/node.ts";
import { XfrmKernel } from "../../../src/daemon/xfrm_kernel.ts";
import { DecodeError, PeerError } from "../../../src/errors.ts";
import {
  encodeContent,
  encodeIdentity,
  encodeSaCounters,
  encodeVolatile,
} from "../../../src/record/encoding.ts";
import { identityOf, type IpsecRecord } from "../../../src/record/record.ts";
import { SA_FLAG, type SaCounters } from "../../../src/record/sa.ts";
import type { Message } from "../../../src/wire/native/message.ts";
import { arbitraryRecord } from "../../fakes/record_arbitraries.ts";
import { VECTOR_SURROUNDINGS } from "../../fakes/xfrm_bodies.ts";
import { FakeXfrm } from "../../fakes/xfrm_sockets.ts";
import { nodeId, OWNERSHIP, sa, stateOf } from "../core/support.ts";

const LAST = 2n ** 64n - 1n;

const number = fc.oneof(
  fc.constantFrom(0n, 5n, 2n ** 32n - 1n, 2n ** 32n, LAST - 1n, LAST),
  fc.bigInt(0n, LAST),
);
const age = fc.constantFrom(0, 5, 0xffffffff);
const counters: fc.Arbitrary<SaCounters> = fc.record({
  oseq: number,
  seq: number,
  bytes: number,
  packets: number,
  bitmap: fc.array(fc.nat(0xffffffff), { maxLength: 200 }),
  ageSeconds: age,
  usedSeconds: fc.option(age, { nil: undefined }),
});
const record: fc.Arbitrary<IpsecRecord> = fc.oneof(
  arbitraryRecord,
  fc.tuple(fc.nat(3), counters, fc.constantFrom(0, SA_FLAG.ESN, SA_FLAG.LONG_REPLAY)).map(
    ([n, counters, flags]) => sa(n + 1, { counters, flags }),
  ),
);
/** What the master says of a record, how much later it reports counters of it, and whether there was a turn before. */
const step = fc.record({ record, counters, passedMs: fc.nat(3000), hasTurn: fc.boolean() });

class Slave {
  nowMs = 1_000_000;
  readonly #kernel: XfrmKernel;
  readonly #node: Node;

  constructor(strictReplay: boolean) {
    const { interfaces, nowSeconds } = VECTOR_SURROUNDINGS;
    const clock = { wallSeconds: () => nowSeconds };
    this.#kernel = new XfrmKernel({ open: new FakeXfrm().open, clock, interfaces });
    this.#node = new Node({
      nodeId: nodeId(1),
      peers: ["p"],
      ownership: OWNERSHIP,
      flushMode: "startup",
      sharedPrefixes: [],
      takeover: () => "exact",
      canAdvance: true,
      canLimit: true,
      place: { index: 1, nodes: 3 },
      strictReplay,
    });
    this.#node.start();
    this.become("SLAVE");
    this.#node.peerUp("p", nodeId(9), false);
  }

  become(role: "MASTER" | "SLAVE"): void {
    this.#node.setRole(role, "test", this.nowMs);
    this.turn();
  }

  hear(message: Message): void {
    try {
      this.#node.receive("p", message, this.nowMs);
      this.#node.heard("p", this.nowMs);
    } catch (error) { // a daemon ends the session
      if (!(error instanceof PeerError || error instanceof DecodeError)) throw error;
    }
  }

  /** Everything that a turn of the daemon does, a dump included. */
  turn(): void {
    const node = this.#node;
    if (node.takeEffects().some(({ kind }) => kind === "dump")) this.#dump();
    for (const event of this.#kernel.readEvents(100)) node.kernelEvent(event, this.nowMs);
    for (let times = 0; times < 20 && (node.busy || node.advancing); times++) {
      if (node.advancing) node.advanced(this.#kernel.advance(node.nextAdvances(64)));
      const changes = node.nextChanges(64, this.nowMs);
      if (changes.length > 0) node.applied(this.#kernel.apply(changes));
    }
    node.tick(this.nowMs);
    node.collect("p", this.nowMs, 1_000_000);
  }

  #dump(): void {
    this.#kernel.beginDump();
    let records = this.#kernel.continueDump();
    while (records === undefined) records = this.#kernel.continueDump();
    this.#node.dumped(records, this.nowMs);
  }
}

for (const strictReplay of [false, true]) {
  Deno.test(`Node survives every number that a peer can say, replay ${strictReplay ? "strict" : "exact"}`, () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const slave = new Slave(strictReplay);
        slave.hear(stateOf("MASTER", 5, { master: 9, following: true }));
        slave.hear({ type: "snapshot-begin", change: 1, epoch: 5 });
        for (const [i, { record, counters, passedMs, hasTurn }] of steps.entries()) {
          const { kind } = record;
          const [content, volatile] = [encodeContent(record), encodeVolatile(record)];
          slave.hear({ type: "put", change: i + 2, rank: i + 2, kind, content, volatile });
          if (hasTurn) slave.turn();
          slave.nowMs += passedMs;
          const identity = encodeIdentity(identityOf(record));
          slave.hear({ type: "counters", identity, volatile: encodeSaCounters(counters) });
        }
        slave.turn();
        for (const role of ["MASTER", "SLAVE", "MASTER"] as const) {
          slave.nowMs += 60_000;
          slave.become(role);
        }
      }),
      { numRuns: 200 },
    );
  });
}
