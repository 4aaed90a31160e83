/**
 * The snapshot without kernels: 10,000 SAs from a master to a slave in one process, memory back ends, sealed sessions
 * in between. Baseline: encoding and decoding the same records alone.
 */

import { Node } from "../../src/core/node.ts";
import { MemoryKernel } from "../../src/daemon/memory_kernel.ts";
import type { Clock } from "../../src/ports.ts";
import { decodeRecord, encodeContent, encodeVolatile } from "../../src/record/encoding.ts";
import type { IpsecRecord } from "../../src/record/record.ts";
import type { NativeSession } from "../../src/wire/native/session.ts";
import { openPair } from "../fakes/sessions.ts";
import { saOf } from "./load.ts";
import { formatTable, grouped } from "./table.ts";

const COUNT = 10_000;
/** The first rounds warm the compiler up; the best one counts. */
const ROUNDS = 5;
/** As the gateway has them. */
const COLLECT_BYTES = 32 * 1024;
const CHANGES_PER_CALL = 64;
const MOST_TURNS = 100_000;

const now = () => Math.floor(performance.now());
const clock: Clock = { bootMs: now, look: now, wallSeconds: () => 0 };

/** A gateway of the pair: what src/daemon/gateway.ts does in a turn, without sockets. */
class Side {
  readonly kernel = new MemoryKernel(clock);
  readonly node: Node;
  #dumping = false;

  constructor(readonly name: string, readonly other: string, readonly session: NativeSession) {
    this.node = new Node({
      nodeId: idOf(name),
      peers: [other],
      ownership: { local: [], shared: [] },
      flushMode: "startup",
      sharedPrefixes: [],
      takeover: () => "exact",
      canAdvance: true,
      canLimit: true,
      place: { index: 0, nodes: 2 },
      strictReplay: false,
    });
  }

  /** @returns what goes to the other side; nothing when there is nothing */
  turn(): Uint8Array | undefined {
    const { node, kernel } = this;
    const now = clock.bootMs();
    const records = this.#dumping ? kernel.continueDump() : undefined;
    if (records !== undefined) {
      this.#dumping = false;
      node.dumped(records, now);
    }
    const changes = node.nextChanges(CHANGES_PER_CALL, now);
    node.guardChange();
    if (changes.length > 0) node.applied(kernel.apply(changes));
    node.tick(now);
    const messages = node.takeEffects().flatMap((effect) => {
      if (effect.kind === "close") throw new Error(`${this.name}: ${effect.reason}`);
      if (effect.kind === "dump") this.#beginDump();
      return effect.kind === "send" ? [effect.message] : [];
    });
    messages.push(...node.collect(this.other, now, COLLECT_BYTES));
    return messages.length === 0 ? undefined : this.session.seal(messages, now);
  }

  take(bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return;
    const now = clock.bootMs();
    for (const message of this.session.push(bytes, now)) this.node.receive(this.other, message, now);
  }

  #beginDump(): void {
    this.kernel.beginDump();
    this.#dumping = true;
  }
}

function idOf(name: string): string {
  return name.charCodeAt(0).toString(16).padStart(32, "0");
}

/** Milliseconds from the session's beginning until the slave's kernel has everything. */
function snapshot(records: readonly IpsecRecord[]): number {
  const { initiator, responder } = openPair();
  const master = new Side("m", "s", initiator);
  const slave = new Side("s", "m", responder);
  master.kernel.apply(records.map((record) => ({ kind: "put", record })));
  for (const [side, role] of [[master, "MASTER"], [slave, "SLAVE"]] as const) {
    side.node.setRole(role, "bench", clock.bootMs());
    side.node.start();
  }
  // both have read their kernels before they meet
  for (let i = 0; i < COUNT; i++) for (const side of [master, slave]) side.turn();
  const start = performance.now();
  for (const side of [master, slave]) side.node.peerUp(side.other, idOf(side.other), false);
  for (let turns = 0; !slave.node.synced; turns++) {
    if (turns === MOST_TURNS) throw new Error(`no snapshot after ${turns} turns`);
    slave.take(master.turn());
    master.take(slave.turn());
  }
  const ms = performance.now() - start;
  const found = slave.kernel.records().length;
  if (found !== records.length) throw new Error(`the slave has ${found} of ${records.length} records`);
  return ms;
}

/** Milliseconds for each record's way into bytes and back. */
function codec(records: readonly IpsecRecord[]): number {
  const start = performance.now();
  for (const record of records) decodeRecord(record.kind, encodeContent(record), encodeVolatile(record));
  return performance.now() - start;
}

const records = Array.from({ length: COUNT }, (_, i): IpsecRecord => ({ kind: "sa", sa: saOf(i) }));
const rounds = Array.from({ length: ROUNDS }, () => ({ snapshot: snapshot(records), codec: codec(records) }));
const perSecond = (ms: number) => COUNT / ms * 1000;
const baseline = perSecond(Math.min(...rounds.map(({ codec }) => codec)));
const reached = perSecond(Math.min(...rounds.map(({ snapshot }) => snapshot)));
console.log(formatTable([
  [`${grouped(COUNT)} SAs, memory back ends, best of ${ROUNDS} rounds`, "records/s", "ratio"],
  ["encode and decode alone (baseline)", grouped(baseline), "1.00"],
  ["snapshot master -> slave", grouped(reached), (reached / baseline).toFixed(2)],
]));
