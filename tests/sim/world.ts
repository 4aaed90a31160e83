/**
 * A small world of gateways for the simulator: virtual time, kernels that outlive their daemons, a wire that delays, holds
 * up and breaks. Everything random comes from one seed.
 */

import { Node } from "../../src/core/node.ts";
import { SyscallError } from "../../src/errors.ts";
import type { KernelResult, Role } from "../../src/ports.ts";
import { equalBytes, formatAddress } from "../../src/record/address.ts";
import type { Integrity } from "../../src/record/sa.ts";
import type { Message } from "../../src/wire/native/message.ts";
import { addr, sampleSa } from "../fakes/records.ts";
import { FrameWire } from "./frame_wire.ts";
import { Gateway, USUAL_SLOWNESS } from "./gateway.ts";
import { MessageWire } from "./message_wire.ts";
import { Paths } from "./paths.ts";
import { describeChange, describeEvent, describeMessage, type Trace } from "./trace.ts";
import { KEY_MARK, Watch } from "./watch.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** Address that makes an SA or policy local to the world's nodes. */
export const LOCAL_ENDPOINT = addr("203.0.113.1");

const START_MS = 1_000_000;

/** All nodes are compared so often. */
const COMPARE_MS = 500;

/** A kernel that has failed is asked again after so long. */
const RETRY_MS = 1000;
/** Events that a node reads in one turn. */
const MOST_EVENTS = 8;

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

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly flushMode: "startup" | "sync";
  /** Messages as they are, or the bytes of the protocol. */
  readonly wire: "messages" | "frames";
  readonly strictReplay: boolean;
  /** Data for one peer in one turn. */
  readonly collectBytes: number;
  readonly trace?: Trace;
}

export class World {
  nowMs = START_MS;
  readonly random: () => number;
  readonly gateways: readonly Gateway[];
  readonly paths: Paths;
  readonly watch = new Watch();
  readonly wire: Wire;
  /** Masters send. */
  hasTraffic = true;
  #later: { readonly atMs: number; readonly act: () => void }[] = [];
  #comparedMs = 0;
  #starts = 0;
  #keys = 0;

  constructor(private readonly options: WorldOptions) {
    const { seed, nodes, flushMode, wire } = options;
    this.random = randomOf(seed);
    this.paths = new Paths(this.random);
    const common = { nowMs: () => this.nowMs, random: this.random, sweeps: flushMode === "startup" };
    this.gateways = Array.from(
      { length: nodes },
      (_, i) => new Gateway(`gw${i}`, { ...common, refuses: nodes > 2 && i === nodes - 1 }),
    );
    const { gateways, paths, random } = this;
    const events = this.#wireEvents();
    const wireOptions = { nowMs: common.nowMs, random, gateways, paths, events };
    this.wire = wire === "frames" ? new FrameWire(wireOptions) : new MessageWire(wireOptions);
  }

  /** Adds to the trace, if somebody reads it. */
  tell(who: string, what: string): void {
    this.options.trace?.(
      `${((this.nowMs - START_MS) / 1000).toFixed(2).padStart(6)} ${who.padEnd(6)} ${what}`,
    );
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  /** Does something when the time has come. */
  later(ms: number, act: () => void): void {
    this.#later.push({ atMs: this.nowMs + ms, act });
  }

  /** What was to be done later is done now. */
  hurry(): void {
    for (const { act } of this.#later.splice(0)) act();
  }

  /** AES-GCM with a key that no other SA has. */
  freshKey(): Integrity {
    const key = new TextEncoder().encode(KEY_MARK + `${++this.#keys}`.padStart(20 - KEY_MARK.length, "0"));
    return { ...sampleSa().aead!, key };
  }

  start(gateway: Gateway): void {
    if (gateway.node !== undefined) return;
    this.tell(gateway.name, "starts");
    this.watch.starts(gateway, this.gateways);
    gateway.kernel.readEvents(Infinity); // a new socket hears nothing of the past
    this.paths.setDead(gateway.name, false);
    const nodeId = (++this.#starts * 7919 % 65536).toString(16).padStart(32, "0");
    gateway.node = new Node({
      nodeId,
      peers: this.gateways.filter((other) => other !== gateway).map(({ name }) => name),
      ownership: { local: [{ address: LOCAL_ENDPOINT, bits: 32 }], shared: [] },
      flushMode: this.options.flushMode,
      sharedPrefixes: [],
      takeover: () => "exact",
      canAdvance: true,
      canLimit: true,
      place: { index: this.gateways.indexOf(gateway), nodes: this.gateways.length },
      strictReplay: this.options.strictReplay,
    });
    gateway.guarded = undefined;
    gateway.node.start();
    gateway.node.setRole(gateway.role, "start", gateway.nowMs);
    if (gateway.role === "MASTER") this.watch.takesOver(gateway);
    this.wire.start(gateway, nodeId);
  }

  /** The daemon dies; with `power` off the machine does. */
  crash(gateway: Gateway, power: "on" | "off" = "on"): void {
    this.tell(gateway.name, power === "on" ? "crashes" : "has no power");
    const isRunning = gateway.node !== undefined;
    gateway.node = undefined;
    gateway.isCurrent = false;
    gateway.isBehind = false;
    gateway.dumpAtMs = undefined;
    gateway.frozenUntilMs = 0;
    if (power === "off") this.paths.setDead(gateway.name, true);
    if (isRunning) this.wire.stop(gateway);
  }

  setRole(gateway: Gateway, role: Role): void {
    if (role === gateway.role) return;
    this.tell(gateway.name, `role ${role}`);
    gateway.role = role;
    if (role === "MASTER" && gateway.node !== undefined) this.watch.takesOver(gateway);
    gateway.node?.setRole(role, "tracker", gateway.nowMs);
  }

  /** Virtual time goes on in steps of 20 ms. */
  run(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += 20) {
      this.wire.step();
      const due = this.#later.filter(({ atMs }) => atMs <= this.nowMs);
      if (due.length > 0) this.#later = this.#later.filter(({ atMs }) => atMs > this.nowMs);
      for (const { act } of due) act();
      for (const gateway of this.gateways) this.#turn(gateway);
      if (this.nowMs - this.#comparedMs < COMPARE_MS) continue;
      this.#comparedMs = this.nowMs;
      this.watch.compare(this.gateways);
    }
  }

  #turn(gateway: Gateway): void {
    const { node, kernel } = gateway;
    if (node === undefined || this.nowMs < gateway.frozenUntilMs || this.random() < gateway.slowness) return;
    const events = kernel.readEvents(MOST_EVENTS);
    for (const event of events) {
      if (this.options.trace) this.tell(gateway.name, `kernel: ${describeEvent(event)}`);
      node.kernelEvent(event, gateway.nowMs);
    }
    gateway.isBehind = events.length >= MOST_EVENTS;
    if (!gateway.isBehind) node.kernelDrained();
    this.wire.receive(gateway);
    if (gateway.dumpAtMs !== undefined && this.nowMs >= gateway.dumpAtMs) this.#finishDump(gateway, node);
    this.#apply(gateway, node);
    node.tick(gateway.nowMs);
    gateway.isCurrent ||= node.synced;
    const maySend = node.membership.role === "MASTER" && gateway.guarded?.size === 0 && gateway.isCurrent;
    if (this.hasTraffic && maySend && this.random() < 0.3) this.#traffic(gateway);
    this.#effects(gateway, node);
    for (const other of this.gateways) {
      if (other === gateway || !this.wire.hasRoom(gateway, other)) continue;
      this.#send(gateway, other, node.collect(other.name, gateway.nowMs, this.options.collectBytes));
    }
    this.watch.turned(gateway, this.gateways);
  }

  /** Counters first, then the guard, then changes, as the daemon does it. */
  #apply(gateway: Gateway, node: Node): void {
    const { kernel, nowMs } = gateway;
    if (node.advancing) node.advanced(kernel.advance(node.nextAdvances(4)));
    const guard = node.guardChange();
    if (guard !== undefined) gateway.guarded = new Set(guard.map(formatAddress));
    this.watch.guarded(gateway);
    const changes = node.nextChanges(4, nowMs);
    let results: readonly KernelResult[] | undefined;
    try {
      results = kernel.apply(changes);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.tell(gateway.name, `kernel fails: ${error.message}`);
    }
    if (this.options.trace && results) {
      changes.forEach((one, i) => this.tell(gateway.name, describeChange(one, results[i]!)));
    }
    node.applied(results);
    node.limited(kernel.limit(node.nextLimits(nowMs)));
    if (results === undefined) node.kernelEvent({ kind: "resync", reason: "changes have failed" }, nowMs);
  }

  /** Packets over one SA of a gateway that may send. */
  #traffic(gateway: Gateway): void {
    const { kernel } = gateway;
    const sas = kernel.records().flatMap((record) => record.kind === "sa" ? [record.sa] : []);
    const shared = sas.filter(({ dst }) => !equalBytes(dst, LOCAL_ENDPOINT));
    if (shared.length === 0) return;
    const sa = this.pick(shared);
    const packets = BigInt(Math.floor(this.random() ** 4 * 100_000));
    const { oseq } = sa.counters;
    this.tell(gateway.name, `sends ${oseq} to ${oseq + packets} on SPI ${sa.spi.toString(16)}`);
    this.watch.packets(gateway, sa, packets);
    kernel.traffic(sa, packets, packets / 2n);
  }

  #finishDump(gateway: Gateway, node: Node): void {
    if (gateway.kernel.isFailing && this.random() < 0.5) {
      gateway.kernel.beginDump();
      gateway.dumpAtMs = this.nowMs + RETRY_MS;
      return;
    }
    const records = gateway.kernel.continueDump();
    if (records === undefined) return;
    gateway.dumpAtMs = undefined;
    this.tell(gateway.name, `dump of ${records.length} records`);
    node.dumped(records, gateway.nowMs);
  }

  #effects(gateway: Gateway, node: Node): void {
    for (const effect of node.takeEffects()) {
      if (effect.kind === "dump") {
        gateway.kernel.beginDump();
        gateway.dumpAtMs = this.nowMs + this.random() * 200;
      } else if (effect.kind === "send") {
        this.#send(gateway, this.#named(effect.peer), [effect.message]);
      } else if (effect.kind === "close") {
        throw new Error(`${gateway.name} closes ${effect.peer}: ${effect.reason}`);
      } else {
        this.watch.text(gateway.name, effect.text);
        this.tell(gateway.name, `log: ${effect.text}`);
      }
    }
  }

  #send(from: Gateway, to: Gateway, messages: readonly Message[]): void {
    if (messages.length === 0 || !this.wire.isLive(from, to)) return;
    this.watch.sends(from, to, messages);
    this.wire.send(from, to, messages);
  }

  #wireEvents(): WireEvents {
    return {
      up: (at, peer, nodeId) => {
        this.tell(at.name, `session with ${peer.name}`);
        this.watch.session(at, peer);
        at.node!.peerUp(peer.name, nodeId, false);
      },
      down: (at, peer) => {
        this.tell(at.name, `session with ${peer.name} is gone`);
        this.watch.session(at, peer);
        at.node!.peerDown(peer.name, at.nowMs);
      },
      message: (at, peer, message, sentIn) => {
        if (this.options.trace) this.tell(at.name, `from ${peer.name}: ${describeMessage(message)}`);
        this.watch.receive(at, peer, message, sentIn, () => at.node!.receive(peer.name, message, at.nowMs));
      },
      said: (at, text) => {
        this.watch.text(at.name, text);
        this.tell(at.name, `log: ${text}`);
      },
      bytes: (from, bytes) => this.watch.bytes(from, bytes),
    };
  }

  #named(name: string): Gateway {
    return this.gateways.find((gateway) => gateway.name === name)!;
  }

  /** Nothing is in the way of anybody any more. */
  heal(): void {
    this.tell("world", "heals");
    this.paths.heal();
    this.wire.damage = 0;
    for (const gateway of this.gateways) {
      gateway.kernel.isFailing = false;
      gateway.slowness = USUAL_SLOWNESS;
      gateway.frozenUntilMs = 0;
    }
  }
}
