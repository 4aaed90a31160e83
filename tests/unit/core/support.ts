/**
 * Help for the tests of the core: short names for records and kernel changes, the messages of a snapshot, and a
 * `Host`, which is a node with a memory kernel whose every step the test takes itself.
 */

import type { Effect } from "../../../src/core/effect.ts";
import { entryOf, Mirror, volatileOf } from "../../../src/core/mirror.ts";
import { Node } from "../../../src/core/node.ts";
import type { NodeSettings } from "../../../src/core/parts.ts";
import { MemoryKernel } from "../../../src/daemon/memory_kernel.ts";
import type { KernelChange, KernelResult, Role } from "../../../src/ports.ts";
import { formatAddress } from "../../../src/record/address.ts";
import { encodeContent, encodeIdentity, encodeVolatile } from "../../../src/record/encoding.ts";
import {
  identityOf,
  identityOfPolicy,
  identityOfSa,
  type IpsecRecord,
  type RecordIdentity,
} from "../../../src/record/record.ts";
import type { Policy } from "../../../src/record/policy.ts";
import type { Sa } from "../../../src/record/sa.ts";
import type { Change, DemotionCause, Message, State } from "../../../src/wire/native/message.ts";
import { addr, samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../../fakes/records.ts";

/** Endpoint of local records in these tests. */
export const LOCAL = addr("203.0.113.1");

/** Ownership by which `LOCAL` alone is local. */
export const OWNERSHIP = { local: [{ address: LOCAL, bits: 32 }], shared: [] };

/** A shared SA, `sa 7` by its name. */
export function sa(spi: number, overrides: Partial<Sa> = {}): IpsecRecord & { kind: "sa" } {
  return { kind: "sa", sa: sampleSa({ spi, ...overrides }) };
}

/** A shared outbound policy, `policy 10.2.0.0/16` by its name. */
export function policy(net: string, overrides: Partial<Policy> = {}): IpsecRecord & { kind: "policy" } {
  const [dst, bits] = net.split("/");
  const selector = sampleSelector({ dst: addr(dst!), dstBits: Number(bits) });
  return { kind: "policy", policy: samplePolicy({ selector, ...overrides }) };
}

/** The same policy, made by this node's own IKE daemon: local. */
export function localPolicy(net: string): IpsecRecord & { kind: "policy" } {
  return policy(net, { templates: [sampleTemplate({ dst: LOCAL })] });
}

/** A mark under its full mask. */
export function mark(value: number, mask = 0xff) {
  return { value, mask };
}

/** `sa 7`, `sa 7 mark 1/ff` or `policy 10.2.0.0/16`. */
export function nameOf(identity: RecordIdentity): string {
  if (identity.kind === "policy") {
    const { dst, dstBits } = identity.id.selector;
    return `policy ${formatAddress(dst)}/${dstBits}`;
  }
  const { spi, mark } = identity.id;
  return `sa ${spi}${mark.mask === 0 ? "" : ` mark ${mark.value.toString(16)}/${mark.mask.toString(16)}`}`;
}

/** `put sa 7` or `delete policy 10.2.0.0/16`. */
export function nameOfChange(change: KernelChange): string {
  if (change.kind === "put") return `put ${nameOf(identityOf(change.record))}`;
  return `delete ${
    nameOf(change.kind === "delete-sa" ? identityOfSa(change.id) : identityOfPolicy(change.id))
  }`;
}

/** A mirror with these records, ranks from 1. */
export function mirrorOf(...records: readonly IpsecRecord[]): Mirror {
  const mirror = new Mirror();
  for (const record of records) mirror.set(entryOf(record, encodeContent(record), mirror.nextRank(), 0));
  return mirror;
}

export function put(record: IpsecRecord, change: number, rank = change): Change {
  const { kind } = record;
  return {
    type: "put",
    change,
    kind,
    rank,
    content: encodeContent(record),
    volatile: encodeVolatile(record),
  };
}

export function gone(record: IpsecRecord, change: number): Change {
  return { type: "delete", change, kind: record.kind, identity: encodeIdentity(identityOf(record)) };
}

/** BEGIN, the records of a mirror, END; change numbers from `first`. */
export function snapshotOf(mirror: Mirror, first = 1): Change[] {
  const entries = [...mirror.values()];
  return [
    { type: "snapshot-begin", change: first, epoch: 1 },
    ...entries.map((entry, i): Change => ({
      type: "put",
      change: first + 1 + i,
      kind: entry.identity.kind,
      rank: entry.rank,
      content: entry.content,
      volatile: volatileOf(entry, 0),
    })),
    { type: "snapshot-end", change: first + 1 + entries.length, count: mirror.size, digest: mirror.digest },
  ];
}

/** 16 bytes of node id. */
export function nodeId(n: number): string {
  return n.toString(16).padStart(32, "0");
}

/** A STATE message; `master` is the number of a node. */
export function stateOf(
  role: Role,
  epoch: number,
  { greatestEpoch = epoch, master = 0, following = false, demotion = "none" as DemotionCause } = {},
): State {
  const id = Uint8Array.fromHex(nodeId(master));
  return { type: "state", role, epoch, greatestEpoch, master: id, following, demotion };
}

/** Virtual time that hosts share. */
export class TestClock {
  nowMs = 1_000_000;

  bootMs(): number {
    return this.nowMs;
  }

  look(): number {
    return this.nowMs;
  }

  wallSeconds(): number {
    return Math.floor(this.nowMs / 1000);
  }
}

/** A node and its kernel. Nothing happens by itself: the test reads, works and delivers. */
export class Host {
  readonly kernel: MemoryKernel;
  readonly node: Node;
  /** What the node wanted sent, as `peer` and `message`. */
  readonly sent: { readonly peer: string; readonly message: Message }[] = [];
  readonly logs: string[] = [];
  readonly closed: string[] = [];
  /** Everything that was done to the kernel, by name. */
  readonly done: string[] = [];
  /** Names of changes that the kernel refuses. */
  readonly refuses = new Set<string>();
  dumps = 0;

  constructor(
    readonly name: string,
    readonly id: number,
    readonly clock: TestClock,
    settings: Partial<NodeSettings> = {},
    records: readonly IpsecRecord[] = [],
  ) {
    this.kernel = new MemoryKernel(clock);
    this.kernel.apply(records.map((record) => ({ kind: "put", record })));
    this.node = new Node({
      nodeId: nodeId(id),
      peers: [],
      ownership: OWNERSHIP,
      flushMode: "startup",
      sharedPrefixes: [],
      takeover: () => "exact",
      canAdvance: true,
      canLimit: true,
      place: { index: 0, nodes: 2 },
      strictReplay: false,
      ...settings,
    });
  }

  /** Takes the effects, and begins the dump that they ask for. */
  perform(): void {
    for (const effect of this.node.takeEffects()) this.#do(effect);
  }

  /** Reads the kernel's events. */
  read(): void {
    for (const event of this.kernel.readEvents(Infinity)) this.node.kernelEvent(event, this.clock.nowMs);
    this.node.kernelDrained();
  }

  /** Lets the dump under way come to its end. */
  finishDump(): void {
    let records = this.kernel.continueDump();
    for (let i = 0; records === undefined && i < 100; i++) records = this.kernel.continueDump();
    if (records !== undefined) this.node.dumped(records, this.clock.nowMs);
  }

  /** Brings the kernel to what the node wants. */
  apply(limit = 64): void {
    do {
      if (this.node.advancing) this.node.advanced(this.kernel.advance(this.node.nextAdvances(limit)));
      const changes = this.node.nextChanges(limit, this.clock.nowMs);
      if (changes.length > 0) this.node.applied(changes.map((change) => this.#apply(change)));
    } while (this.node.busy || this.node.advancing);
    this.node.limited(this.kernel.limit(this.node.nextLimits(this.clock.nowMs)));
  }

  /** Everything that a turn of the daemon does, dump included. */
  turn(): void {
    this.perform();
    this.read();
    this.finishDump();
    this.apply();
    this.node.tick(this.clock.nowMs);
    this.perform();
  }

  /** Starts as this role, its kernel read. */
  start(role: Role): this {
    this.node.start();
    this.node.setRole(role, "test", this.clock.nowMs);
    this.turn();
    return this;
  }

  /** What was sent since the last call. */
  takeSent(): Message[] {
    this.perform();
    return this.sent.splice(0).map(({ message }) => message);
  }

  /** The records in the kernel by name, oldest first. */
  holds(): string[] {
    return this.kernel.records().map((record) => nameOf(identityOf(record)));
  }

  #apply(change: KernelChange): KernelResult {
    const name = nameOfChange(change);
    this.done.push(name);
    return this.refuses.has(name) ? { ok: false, reason: "ENOSYS" } : this.kernel.apply([change])[0]!;
  }

  #do(effect: Effect): void {
    if (effect.kind === "send") this.sent.push(effect);
    else if (effect.kind === "log") this.logs.push(effect.text);
    else if (effect.kind === "close") this.closed.push(effect.reason);
    else {
      this.dumps++;
      this.kernel.beginDump();
    }
  }
}

/** Opens a session between two hosts. */
export function connect(a: Host, b: Host): void {
  a.node.peerUp(b.name, nodeId(b.id), false);
  b.node.peerUp(a.name, nodeId(a.id), false);
}

export function disconnect(a: Host, b: Host): void {
  a.node.peerDown(b.name, a.clock.nowMs);
  b.node.peerDown(a.name, b.clock.nowMs);
}

/** Turns and deliveries between hosts that all are connected, until nothing happens any more. */
export function settle(...hosts: readonly Host[]): void {
  for (let round = 0; round < 200; round++) {
    for (const host of hosts) host.turn();
    const moved = hosts.map((host) => deliverFrom(host, hosts));
    if (!moved.includes(true)) return;
  }
  throw new Error("the hosts never come to rest");
}

function deliverFrom(from: Host, hosts: readonly Host[]): boolean {
  const flying = from.sent.splice(0);
  for (const { name } of hosts) {
    const data = from.node.collect(name, from.clock.nowMs, 16 * 1024);
    flying.push(...data.map((message) => ({ peer: name, message })));
  }
  for (const { peer, message } of flying) {
    hosts.find(({ name }) => name === peer)?.node.receive(from.name, message, from.clock.nowMs);
  }
  return flying.length > 0;
}
