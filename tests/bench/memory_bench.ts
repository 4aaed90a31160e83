/**
 * Master and slave in one process, memory back ends, sealed sessions in between. The snapshot of 10,000 SAs against
 * encoding and decoding the same records alone; what a slave costs that comes back after 100 changes, against its
 * snapshot.
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
/** New SAs, and as many that go, while a slave is away. */
const RENEWED = 50;

const now = () => Math.floor(performance.now());
const clock: Clock = { bootMs: now, look: now, wallSeconds: () => 0 };

/** A gateway of the pair: what src/daemon/gateway.ts does in a turn, without sockets. */
class Side {
  readonly kernel = new MemoryKernel(clock);
  readonly node: Node;
  #dumping = false;

  constructor(readonly name: string, readonly other: string, public session: NativeSession) {
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
    for (const event of kernel.readEvents(CHANGES_PER_CALL)) node.kernelEvent(event, now);
    node.kernelDrained();
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

/** What a meeting has cost. */
interface Cost {
  readonly ms: number;
  /** On the wire, both ways. */
  readonly bytes: number;
}

/** A master with these records and a slave with nothing, which have read their kernels and not met yet. */
function prepare(records: readonly IpsecRecord[]): readonly [Side, Side] {
  const { initiator, responder } = openPair();
  const sides = [new Side("m", "s", initiator), new Side("s", "m", responder)] as const;
  sides[0].kernel.apply(records.map((record) => ({ kind: "put", record })));
  for (const [i, role] of (["MASTER", "SLAVE"] as const).entries()) {
    sides[i]!.node.setRole(role, "bench", clock.bootMs());
    sides[i]!.node.start();
  }
  for (let i = 0; i < records.length; i++) for (const side of sides) side.turn();
  return sides;
}

/** From the session's beginning until the slave's kernel has everything. */
function meet([master, slave]: readonly [Side, Side]): Cost {
  let bytes = 0;
  const give = (from: Side, to: Side) => {
    const sealed = from.turn();
    bytes += sealed?.length ?? 0;
    to.take(sealed);
  };
  const start = performance.now();
  for (const side of [master, slave]) side.node.peerUp(side.other, idOf(side.other), false);
  let isBegun = false;
  for (let turns = 0; !isBegun || !slave.node.synced; turns++) {
    if (turns === MOST_TURNS) throw new Error(`not equal after ${turns} turns`);
    give(master, slave);
    give(slave, master);
    isBegun ||= !slave.node.synced;
  }
  const ms = performance.now() - start;
  const [wanted, found] = [master, slave].map(({ kernel }) => kernel.records().length);
  if (found !== wanted) throw new Error(`the slave has ${found} of ${wanted} records`);
  return { ms, bytes };
}

function snapshot(records: readonly IpsecRecord[]): Cost {
  return meet(prepare(records));
}

/** A slave joins, is away while SAs are renewed, and comes back. */
function rejoin(sas: number): { readonly first: Cost; readonly again: Cost } {
  const sides = prepare(Array.from({ length: sas }, (_, i) => ({ kind: "sa", sa: saOf(i) })));
  const first = meet(sides);
  const { initiator, responder } = openPair();
  for (const [i, session] of [initiator, responder].entries()) {
    sides[i]!.node.peerDown(sides[i]!.other, clock.bootMs());
    sides[i]!.session = session;
  }
  const { kernel } = sides[0];
  for (let i = 0; i < RENEWED; i++) {
    kernel.disturb({ kind: "put", record: { kind: "sa", sa: saOf(sas + i) } });
    kernel.disturb({ kind: "delete-sa", id: saOf(Math.floor(i * sas / RENEWED)) });
  }
  for (let i = 0; i < RENEWED; i++) sides[0].turn();
  return { first, again: meet(sides) };
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
const reached = perSecond(Math.min(...rounds.map(({ snapshot }) => snapshot.ms)));
console.log(formatTable([
  [`${grouped(COUNT)} SAs, memory back ends, best of ${ROUNDS} rounds`, "records/s", "ratio"],
  ["encode and decode alone (baseline)", grouped(baseline), "1.00"],
  ["snapshot master -> slave", grouped(reached), (reached / baseline).toFixed(2)],
]));
console.log(formatTable([
  [`a slave comes back, ${2 * RENEWED} changes missed`, "snapshot", "rejoin", "ratio"],
  ...[COUNT, 10 * COUNT].flatMap((sas) => {
    const { first, again } = rejoin(sas);
    const percent = (of: (cost: Cost) => number) => `${(100 * of(again) / of(first)).toFixed(2)} %`;
    return [
      [
        `${grouped(sas)} SAs: bytes`,
        grouped(first.bytes),
        grouped(again.bytes),
        percent(({ bytes }) => bytes),
      ],
      ["  ms", grouped(first.ms), grouped(again.ms), percent(({ ms }) => ms)],
    ];
  }),
]));
