/**
 * A small world of gateways for the simulator: virtual time, memory kernels that outlive their daemon, sessions
 * that keep order and lose what is in flight when they break. Everything random comes from one seed.
 */

import { Node } from "../../src/core/node.ts";
import { DecodeError, PeerError } from "../../src/errors.ts";
import { MemoryKernel } from "../../src/daemon/memory_kernel.ts";
import type { Clock, KernelChange, KernelResult, Role } from "../../src/ports.ts";
import type { Message } from "../../src/wire/native/message.ts";
import { equalBytes } from "../../src/record/address.ts";
import type { Integrity } from "../../src/record/sa.ts";
import { addr, sampleSa } from "../fakes/records.ts";
import { describeChange, describeEvent, describeMessage, type Trace } from "./trace.ts";

/** Address that makes an SA or policy local to the world's nodes. */
export const LOCAL_ENDPOINT = addr("203.0.113.1");

const START_MS = 1_000_000;

/** reqid that the kernel of the last node refuses. */
export const REFUSED_REQID = 13;

/** Small, fast, good enough: mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

class SimKernel extends MemoryKernel {
  constructor(clock: Clock, private readonly refuses: boolean) {
    super(clock);
  }

  override apply(changes: readonly KernelChange[]): readonly KernelResult[] {
    return changes.map((change) => {
      const sa = change.kind === "put" && change.record.kind === "sa" ? change.record.sa : undefined;
      if (this.refuses && sa?.reqid === REFUSED_REQID) {
        super.apply([{ kind: "delete-sa", id: sa }]);
        return { ok: false, reason: "ENOSYS" };
      }
      return super.apply([change])[0]!;
    });
  }
}

interface Flying {
  readonly atMs: number;
  readonly message: Message;
  /** Epoch in which the sender stood. */
  readonly epoch: number;
}

interface Session {
  readonly flying: Map<string, Flying[]>;
}

/** A machine: its kernel lives as long as it does, the daemon comes and goes. */
export class Gateway {
  readonly kernel: SimKernel;
  node: Node | undefined;
  role: Role = "SLAVE";
  dumpAtMs: number | undefined;
  /**
   * Since its start the daemon has been equal to a master: what a kernel sends whose daemon was dead while others sent
   * is beyond its power; demotion keeps such a node from becoming master.
   */
  isCurrent = true;

  constructor(readonly name: string, readonly clock: Clock, refuses: boolean, readonly sweeps: boolean) {
    this.kernel = new SimKernel(clock, refuses);
  }
}

export class World {
  nowMs = START_MS;
  readonly random: () => number;
  readonly gateways: Gateway[];
  readonly #sessions = new Map<string, Session>();
  /** Masters send. */
  hasTraffic = true;
  readonly #cut = new Set<string>();
  /** The sequence numbers that went out, by the key of the SA. */
  readonly #used = new Map<string, { readonly from: bigint; readonly to: bigint }[]>();
  #starts = 0;
  #keys = 0;

  constructor(
    seed: number,
    count: number,
    readonly flushMode: "startup" | "sync",
    private readonly trace?: Trace,
  ) {
    this.random = randomOf(seed);
    const bootMs = () => this.nowMs;
    const clock = { bootMs, look: bootMs, wallSeconds: () => Math.floor(this.nowMs / 1000) };
    const sweeps = flushMode === "startup";
    this.gateways = Array.from(
      { length: count },
      (_, i) => new Gateway(`gw${i}`, clock, i === count - 1, sweeps),
    );
  }

  /** Adds to the trace, if somebody reads it. */
  tell(who: string, what: string): void {
    this.trace?.(`${((this.nowMs - START_MS) / 1000).toFixed(2).padStart(6)} ${who.padEnd(6)} ${what}`);
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  /** AES-GCM with a key that no other SA has. */
  freshKey(): Integrity {
    const key = new TextEncoder().encode(`${++this.#keys}`.padStart(20, "0"));
    return { ...sampleSa().aead!, key };
  }

  start(gateway: Gateway): void {
    if (gateway.node !== undefined) return;
    this.tell(gateway.name, "starts");
    gateway.kernel.readEvents(Infinity); // a new socket hears nothing of the past
    gateway.node = new Node({
      nodeId: (++this.#starts * 7919 % 65536).toString(16).padStart(32, "0"),
      peers: this.gateways.filter((other) => other !== gateway).map(({ name }) => name),
      ownership: { local: [{ address: LOCAL_ENDPOINT, bits: 32 }], shared: [] },
      flushMode: this.flushMode,
      sharedPrefixes: [],
      takeover: () => "exact",
      canAdvance: true,
      place: { index: this.gateways.indexOf(gateway), nodes: this.gateways.length },
      strictReplay: false,
    });
    gateway.node.start();
    gateway.node.setRole(gateway.role, "start", this.nowMs);
  }

  crash(gateway: Gateway): void {
    this.tell(gateway.name, "crashes");
    gateway.node = undefined;
    gateway.isCurrent = false;
    gateway.dumpAtMs = undefined;
    for (const other of this.gateways) if (other !== gateway) this.#breakSession(gateway, other);
  }

  setRole(gateway: Gateway, role: Role): void {
    this.tell(gateway.name, `role ${role}`);
    gateway.role = role;
    gateway.node?.setRole(role, "tracker", this.nowMs);
  }

  cut(a: Gateway, b: Gateway): void {
    this.tell("world", `cuts ${linkOf(a, b)}`);
    this.#cut.add(linkOf(a, b));
  }

  healAll(): void {
    this.tell("world", "heals all links");
    this.#cut.clear();
  }

  /** Virtual time goes on in steps of 20 ms. */
  run(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += 20) {
      this.#connect();
      for (const gateway of this.gateways) this.#turn(gateway);
    }
  }

  #connect(): void {
    for (const [i, a] of this.gateways.entries()) {
      for (const b of this.gateways.slice(i + 1)) {
        const link = linkOf(a, b);
        if (this.#cut.has(link)) {
          if (this.random() < 0.05) this.#breakSession(a, b); // noticed after a while, not at once
        } else if (this.#sessions.has(link)) {
          a.node?.heard(b.name, this.nowMs);
          b.node?.heard(a.name, this.nowMs);
        } else if (a.node && b.node && !this.#sessions.has(link) && this.random() < 0.1) {
          this.tell("world", `session ${link}`);
          this.#sessions.set(link, { flying: new Map([[a.name, []], [b.name, []]]) });
          a.node.peerUp(b.name, b.node.settings.nodeId, false);
          b.node.peerUp(a.name, a.node.settings.nodeId, false);
        }
      }
    }
  }

  #breakSession(a: Gateway, b: Gateway): void {
    if (!this.#sessions.delete(linkOf(a, b))) return;
    this.tell("world", `session ${linkOf(a, b)} breaks`);
    a.node?.peerDown(b.name, this.nowMs);
    b.node?.peerDown(a.name, this.nowMs);
  }

  #turn(gateway: Gateway): void {
    const { node, kernel } = gateway;
    if (node === undefined || this.random() < 0.2) return; // a slow turn
    for (const other of this.gateways) if (other !== gateway) this.#deliver(gateway, other);
    if (gateway.node !== node) return;
    for (const event of kernel.readEvents(8)) {
      if (this.trace) this.tell(gateway.name, `kernel: ${describeEvent(event)}`);
      node.kernelEvent(event, this.nowMs);
    }
    if (gateway.dumpAtMs !== undefined && this.nowMs >= gateway.dumpAtMs) this.#finishDump(gateway, node);
    if (node.advancing) node.advanced(kernel.advance(node.nextAdvances(4)));
    const changes = node.nextChanges(4, this.nowMs);
    const results = kernel.apply(changes);
    if (this.trace) changes.forEach((one, i) => this.tell(gateway.name, describeChange(one, results[i]!)));
    node.applied(results);
    node.tick(this.nowMs);
    gateway.isCurrent ||= node.synced;
    const maySend = node.membership.role === "MASTER" && !node.advancing && gateway.isCurrent;
    if (this.hasTraffic && maySend && this.random() < 0.3) this.#traffic(gateway);
    this.#effects(gateway, node);
    for (const other of this.gateways) {
      for (const message of node.collect(other.name, this.nowMs, 2000)) this.#send(gateway, other, message);
    }
  }

  /** Packets over one SA of a gateway that may send. No number goes out twice with one key. */
  #traffic({ name, kernel }: Gateway): void {
    const sas = kernel.records().flatMap((record) => record.kind === "sa" ? [record.sa] : []);
    const shared = sas.filter(({ dst }) => !equalBytes(dst, LOCAL_ENDPOINT));
    if (shared.length === 0) return;
    const sa = this.pick(shared);
    const key = sa.aead!.key.toHex();
    const { oseq } = sa.counters;
    const used = this.#used.get(key) ?? [];
    const packets = BigInt(Math.floor(this.random() ** 4 * 100_000));
    const twice = used.find(({ from, to }) => oseq < to && oseq + packets > from);
    if (twice !== undefined) {
      throw new Error(
        `${name} sends ${oseq} to ${oseq + packets} again: ${twice.from} to ${twice.to} went out`,
      );
    }
    this.#used.set(key, [...used, { from: oseq, to: oseq + packets }]);
    kernel.traffic(sa, packets, packets / 2n);
  }

  #finishDump(gateway: Gateway, node: Node): void {
    const records = gateway.kernel.continueDump();
    if (records === undefined) return;
    gateway.dumpAtMs = undefined;
    this.tell(gateway.name, `dump of ${records.length} records`);
    node.dumped(records, this.nowMs);
  }

  #effects(gateway: Gateway, node: Node): void {
    for (const effect of node.takeEffects()) {
      if (effect.kind === "dump") {
        gateway.kernel.beginDump();
        gateway.dumpAtMs = this.nowMs + this.random() * 200;
      } else if (effect.kind === "send") {
        this.#send(gateway, this.#named(effect.peer), effect.message);
      } else if (effect.kind === "close") {
        throw new Error(`${gateway.name} closes ${effect.peer}: ${effect.reason}`);
      } else this.tell(gateway.name, `log: ${effect.text}`);
    }
  }

  #send(from: Gateway, to: Gateway, message: Message): void {
    const queue = this.#sessions.get(linkOf(from, to))?.flying.get(to.name);
    const atMs = Math.max(this.nowMs + this.random() * 60, queue?.at(-1)?.atMs ?? 0);
    queue?.push({ atMs, message, epoch: from.node?.membership.epoch ?? 0 });
  }

  #deliver(to: Gateway, from: Gateway): void {
    const link = linkOf(to, from);
    const queue = this.#sessions.get(link)?.flying.get(to.name);
    while (queue?.[0] !== undefined && queue[0].atMs <= this.nowMs && !this.#cut.has(link)) {
      const { message, epoch } = queue.shift()!;
      if (this.trace) this.tell(to.name, `from ${from.name}: ${describeMessage(message)}`);
      try {
        this.#receive(to, from, message, epoch);
      } catch (error) {
        if (!(error instanceof PeerError || error instanceof DecodeError)) throw error;
        this.#breakSession(to, from);
      }
    }
  }

  /** A slave never applies data of a smaller epoch than the one that it stands in. */
  #receive(to: Gateway, from: Gateway, message: Message, epoch: number): void {
    const node = to.node!;
    const before = node.mirror.digest.join();
    node.receive(from.name, message, this.nowMs);
    // a master takes what one of before offers, if it is new
    const isSlave = node.membership.role !== "MASTER";
    if (isSlave && node.mirror.digest.join() !== before && epoch < node.membership.epoch) {
      throw new Error(`${to.name} took ${message.type} of epoch ${epoch} in epoch ${node.membership.epoch}`);
    }
  }

  #named(name: string): Gateway {
    return this.gateways.find((gateway) => gateway.name === name)!;
  }
}

function linkOf(a: Gateway, b: Gateway): string {
  return [a.name, b.name].toSorted().join(" ");
}
