/**
 * One gateway: joins roles, mirror, master's and slave's side. Events come in with the time, effects and kernel
 * steps come out; no clock, no I/O. The daemon and the simulator drive it in the same way:
 * events → `takeEffects`, `nextChanges` → kernel → `applied`, `collect` → peers.
 */

import {
  decodeIdentity,
  decodeRecord,
  decodeSaCounters,
  encodePolicyAge,
  encodeSaCounters,
} from "../record/encoding.ts";
import { identityOf, type IpsecRecord } from "../record/record.ts";
import type { Address, Prefix } from "../record/address.ts";
import type { Sa } from "../record/sa.ts";
import type { Advance, Counters, KernelChange, KernelEvent, KernelResult, Role, Takeover } from "../ports.ts";
import type { Change, CountersMessage, Message, Put } from "../wire/native/message.ts";
import { Demotion } from "./demotion.ts";
import { describe } from "./describe.ts";
import { type Effect, Effects } from "./effect.ts";
import { Follower, type ListEnd } from "./follower.ts";
import { GuardBook } from "./guard_book.ts";
import { Handover, type HandoverSituation } from "./handover.ts";
import { type Inheritance, Inherited } from "./inherited.ts";
import { Inventory, type Item, UNKNOWN_CONTENT } from "./inventory.ts";
import type { Place } from "./lease.ts";
import { Master } from "./master.ts";
import { Membership } from "./membership.ts";
import { entryOf, Mirror } from "./mirror.ts";
import { Offers } from "./offers.ts";
import { WINDOW_BYTES } from "./outbox.ts";
import { OwnKernel } from "./own_kernel.ts";
import { isShared, type Ownership } from "./ownership.ts";
import type { Step } from "./plan.ts";
import { ApplyQueue, type Waiting } from "./queue.ts";

/** What a node is made from. */
export interface NodeSettings {
  /** 32 hexadecimal digits, random per process start. */
  readonly nodeId: string;
  /** All configured peers, by the names that the caller uses. */
  readonly peers: readonly string[];
  readonly ownership: Ownership;
  readonly flushMode: "startup" | "never" | "sync";
  /** `shared` of the configuration: where our endpoints lie. */
  readonly sharedPrefixes: readonly Prefix[];
  /** What the own kernel says of an SA. */
  readonly takeover: (sa: Sa) => Takeover;
  /** The own kernel takes counters (KernelIpsec.advance). */
  readonly canAdvance: boolean;
  /** Which of the nodes this one is. */
  readonly place: Place;
  /** `replay strict`: after a takeover no packet is taken that may have come before it. */
  readonly strictReplay: boolean;
}

/** The whole of a gateway's decisions. */
export class Node {
  readonly mirror = new Mirror();
  readonly inventory = new Inventory();
  readonly membership: Membership;
  readonly demotion = new Demotion();
  readonly handover = new Handover();
  /** How often what happened, by name. */
  readonly counters: Counters = {};
  readonly #queue = new ApplyQueue();
  readonly #effects = new Effects();
  readonly #guard: GuardBook;
  readonly #master: Master;
  readonly #follower: Follower;
  readonly #kernel: OwnKernel;
  readonly #offers = new Offers();
  /** Peers that were master, or knew one, while this node was: they are asked how far that has come. */
  readonly #outdone = new Set<string>();
  readonly #inherited: Inherited;
  #steps: { readonly waiting: Waiting; readonly steps: readonly Step[] }[] = [];
  #followedSession = "";
  readonly #sessions = new Map<string, number>();
  #sessionCount = 0;

  constructor(readonly settings: NodeSettings) {
    this.membership = new Membership(settings.nodeId, settings.peers);
    this.#guard = new GuardBook(settings.sharedPrefixes);
    this.#master = new Master(this.mirror, settings.flushMode !== "never", settings.peers);
    this.#follower = new Follower(
      { ...settings, sweep: settings.flushMode === "startup" },
      this.mirror,
      this.inventory,
      this.#queue,
      this.#guard,
      this.#effects,
    );
    this.#kernel = new OwnKernel({
      ownership: settings.ownership,
      membership: this.membership,
      mirror: this.mirror,
      inventory: this.inventory,
      guard: this.#guard,
      master: this.#master,
      follower: this.#follower,
      effects: this.#effects,
      counters: this.counters,
    });
    this.#inherited = new Inherited({
      mirror: this.mirror,
      inventory: this.inventory,
      effects: this.#effects,
      counters: this.counters,
      tellsProgress: settings.canAdvance,
    });
  }

  /** What the caller has to do now, in this order. */
  takeEffects(): readonly Effect[] {
    this.#kernel.dumpBegins();
    return this.#effects.take();
  }

  /** Whether the slave side has taken in a complete snapshot and nothing waits. */
  get synced(): boolean {
    return this.#follower.synced && this.#queue.size === 0;
  }

  /** Whether `nextChanges` has work to do. */
  get busy(): boolean {
    return this.#kernel.known && this.#queue.size > 0;
  }

  // --- role ---

  /** The tracker says so. */
  setRole(role: Role, reason: string, nowMs: number): void {
    const before = this.membership.role;
    if (!this.membership.setRole(role, nowMs)) return;
    this.#effects.log("state", `${before} -> ${role}: ${reason}`);
    this.#outdone.clear();
    if (role === "MASTER") this.#takeOver(nowMs);
    else if (before === "MASTER") {
      this.#master.retire();
      this.#follower.leases.steppedDown(nowMs);
      this.handover.steppedDown(nowMs);
      this.#kernel.steppedDown(nowMs);
      this.#inherited.end();
    }
    this.tick(nowMs);
    this.#announce();
    this.#refollow(nowMs);
  }

  /** Time goes by; call it at least every second, and after every wait. */
  tick(nowMs: number): void {
    if (this.membership.tick(nowMs)) this.#raised("started");
    this.#follower.tick(nowMs);
    this.#stepHandover(nowMs);
    this.#judgeDemotion(nowMs);
    this.#removeReplaced(nowMs);
  }

  /** The operator wants another node to be master. @returns why that cannot begin; undefined: it has begun. */
  handOver(nowMs: number): string | undefined {
    const refusal = this.handover.start(this.#handoverSituation(), nowMs);
    this.#effects.log("state", refusal === undefined ? "handover begins" : `handover refused: ${refusal}`);
    this.#followHandover(nowMs);
    return refusal;
  }

  // --- peers ---

  /** A session with this peer is open and HELLO has come. `epochless`: it speaks the classic protocol. */
  peerUp(peer: string, nodeId: string, slaveOnly: boolean, epochless = false): void {
    this.#sessions.set(peer, ++this.#sessionCount);
    this.membership.join(peer, nodeId, slaveOnly, epochless);
    this.#effects.send(peer, this.membership.state());
  }

  /** The session is gone. */
  peerDown(peer: string, nowMs: number): void {
    this.#sessions.delete(peer);
    this.membership.leave(peer);
    this.#master.leave(peer);
    if (this.membership.refresh()) this.#announce();
    this.#refollow(nowMs);
    this.tick(nowMs);
  }

  /** A message of an open session, HELLO, PING, PONG and BYE excepted. @throws {PeerError | DecodeError} */
  receive(peer: string, message: Message | ListEnd, nowMs: number): void {
    switch (message.type) {
      case "state":
        return this.#hear(peer, message, nowMs);
      case "want":
        return this.#want(peer, message.identities);
      case "ack":
        if (this.#master.ack(peer, message.change) === false) {
          this.#effects.close(peer, `acknowledges change ${message.change}, which was never sent`);
        }
        return;
      case "refused": {
        this.#bump("refused by peers");
        const identity = decodeIdentity(message.kind, message.identity);
        this.#master.refuse(peer, identity.key);
        const text = `${peer} refused ${describe(identity)}: ${message.reason}`;
        this.#effects.log("error", text, `${peer} ${message.reason}`);
        return;
      }
      case "put":
        if (this.membership.role === "MASTER" && !this.membership.isSlaveOnly(peer)) {
          return this.#takeOffer(peer, message, nowMs);
        }
        return this.#follow(peer, message, nowMs);
      case "snapshot-begin":
      case "snapshot-end":
      case "list-end":
      case "delete":
      case "flush":
        return this.#follow(peer, message, nowMs);
      case "counters":
        if (this.#outdone.has(peer)) return this.#outdo(message, nowMs);
        return this.#follower.count(peer, message, nowMs);
      default:
        this.#bump(`ignored ${message.type}`);
    }
  }

  #follow(peer: string, change: Change | ListEnd, nowMs: number): void {
    if (peer !== this.#follower.master) this.#bump("changes dropped");
    this.#follower.take(peer, change, nowMs);
    this.#follower.acknowledge();
  }

  /** The next data for a peer, at most about `budgetBytes` and never more than its window. */
  collect(peer: string, nowMs: number, budgetBytes: number): Message[] {
    const offers = this.#offers.next(peer, nowMs, budgetBytes);
    return offers.length > 0 ? offers : this.#master.collect(peer, nowMs, budgetBytes);
  }

  /** Whether `collect` would give something. */
  hasData(peer: string): boolean {
    return this.#offers.isReady(peer) || this.#master.outbox(peer)?.ready === true;
  }

  /** Of a master: what is left of the SAs of masters before it. */
  inheritance(nowMs: number): Inheritance {
    return this.#inherited.inheritance(nowMs);
  }

  /** How far a slave is behind. */
  lag(peer: string, nowMs: number): { changes: number; ms: number } | undefined {
    const outbox = this.#master.outbox(peer);
    return outbox === undefined ? undefined : { changes: outbox.lagChanges, ms: outbox.lagMs(nowMs) };
  }

  // --- own kernel ---

  /** Events of the own kernel are subscribed: compare with a dump. */
  start(): void {
    this.#kernel.beginDump();
  }

  /** Something has happened in the kernel that was not this node's own change. */
  kernelEvent(event: KernelEvent, nowMs: number): void {
    if (this.membership.role === "MASTER") this.#inherited.see(event);
    this.#kernel.event(event, nowMs);
  }

  /** The dump that was asked for is complete: all records, oldest first. */
  dumped(records: readonly IpsecRecord[], nowMs: number): void {
    if (!this.#kernel.dumped(records, nowMs)) return;
    if (this.membership.acting) this.#master.complete(this.membership.epoch);
    this.#refollow(nowMs);
  }

  /** The peer is alive. */
  heard(peer: string, nowMs: number): void {
    if (peer === this.#follower.master) this.#follower.leases.heard(nowMs);
  }

  /** Whether `nextAdvances` would give something. */
  get advancing(): boolean {
    return this.#follower.leases.waiting;
  }

  /** Up to `limit` SAs whose counters have to be moved on, before anything else. What came of it goes to `advanced`. */
  nextAdvances(limit: number): Advance[] {
    return this.#follower.leases.next(limit);
  }

  /** The kernel has dealt with what `nextAdvances` gave. One that is gone meanwhile needs nothing. */
  advanced(results: readonly KernelResult[]): void {
    this.#follower.leases.done(results.length);
    for (const result of results) this.#bump(result.ok ? "counters advanced" : "counters not advanced");
  }

  /** Up to about `limit` changes for the own kernel. Their results go to `applied` before anything else comes in. */
  nextChanges(limit: number, nowMs: number): KernelChange[] {
    const changes: KernelChange[] = [];
    // looking at a record that stands already is work too: at most four looks for each change
    for (let looks = 0; this.#kernel.known && looks < limit * 4 && changes.length < limit; looks++) {
      const waiting = this.#queue.shift();
      if (waiting === undefined) break;
      const steps = this.#isInUse(waiting) ? [] : this.#follower.plan(waiting, nowMs);
      this.#steps.push({ waiting, steps });
      changes.push(...steps.map(({ change }) => change));
    }
    if (changes.length === 0) this.applied([]);
    return changes;
  }

  /** What a master's kernel holds has come there meanwhile, and is not put over it. */
  #isInUse({ key, remove }: Waiting): boolean {
    return this.membership.role === "MASTER" && !remove && this.inventory.get(key)?.shared === true;
  }

  /** How the changes of the last `nextChanges` ended, in their order. undefined: nobody knows; they are done again. */
  applied(results: readonly KernelResult[] | undefined): void {
    let next = 0;
    for (const { waiting, steps } of this.#steps) {
      for (const step of steps) {
        if (results !== undefined) this.#stepped(step, results[next++]!);
        else this.#kernel.touched(step.key);
      }
      if (results === undefined && steps.length > 0) this.#queue.add(waiting.identity, waiting);
      this.#queue.done(waiting.key);
    }
    this.#steps = [];
    if (this.membership.role === "MASTER") return;
    this.#follower.restoreOrder();
    this.#follower.judgeHeldBack();
    this.#follower.acknowledge();
  }

  /** The endpoints to guard, when they have changed; to be set before the next changes go to the kernel. */
  guardChange(): Address[] | undefined {
    const wasLifted = this.#guardLifted;
    // as long as an SA of the old master may repeat numbers, nothing goes out
    this.#guardLifted = this.membership.role === "MASTER" && !this.advancing;
    if (!this.#guard.takeChanged() && wasLifted === this.#guardLifted) return undefined;
    return this.#guardLifted ? [] : this.#guard.addresses();
  }

  #guardLifted = false;

  // --- inside ---

  #hear(peer: string, state: Message & { type: "state" }, nowMs: number): void {
    const doubles = this.membership.twoMasters;
    if (this.membership.hear(peer, state)) {
      if (this.membership.acting) {
        this.#raised(`${peer} knew epoch ${state.greatestEpoch}`);
        this.#askCounters(peer);
      } else this.#announce();
    }
    if (this.membership.twoMasters > doubles) {
      this.#effects.log("error", `two masters: ${peer} says MASTER in epoch ${state.epoch}`);
    }
    if (state.role === "MASTER") this.#master.leave(peer);
    this.#refollow(nowMs);
    this.tick(nowMs);
  }

  #askCounters(peer: string): void {
    if (this.membership.isSlaveOnly(peer)) return;
    this.#outdone.add(peer);
    this.#effects.send(peer, { type: "want", identities: [] });
  }

  /** Another node was master meanwhile. Until it is outdone its peers refuse our packets, and numbers go out twice. */
  #outdo({ identity, volatile }: CountersMessage, nowMs: number): void {
    const { key } = decodeIdentity("sa", identity);
    const progress = this.#follower.leases.outdo(key, decodeSaCounters(volatile), nowMs);
    if (progress !== undefined) this.#master.progress(key, progress, nowMs);
  }

  /** This node acts as master in a new epoch. */
  #raised(reason: string): void {
    this.#effects.log("state", `master in epoch ${this.membership.epoch}: ${reason}`);
    if (this.#kernel.known) this.#master.complete(this.membership.epoch);
    this.#announce();
  }

  #announce(): void {
    for (const peer of this.#sessions.keys()) this.#effects.send(peer, this.membership.state());
  }

  /** Asks the followed master for everything when it, its epoch or its session is another than before. */
  #refollow(nowMs: number): void {
    const peer = this.#kernel.known ? this.membership.followed : undefined;
    const session = peer === undefined ? "" : `${peer} ${this.#sessions.get(peer)} ${this.membership.epoch}`;
    if (session === this.#followedSession) return;
    this.#followedSession = session;
    if (peer !== undefined) {
      this.#effects.log("state", `following ${peer} in epoch ${this.membership.epoch}`);
      this.#offer(peer, nowMs);
    }
    this.#follower.follow(peer);
  }

  /** What was negotiated here while two nodes were master would be lost: the one that stays takes what it can. */
  #offer(peer: string, nowMs: number): void {
    this.#offers.set(peer, this.#master.takeUnsaid(peer).map((entry) => ({ of: "record", entry })));
    for (const offer of this.#offers.next(peer, nowMs, WINDOW_BYTES)) this.#effects.send(peer, offer);
  }

  /**
   * A node that was master says what it has: what it offers after it stepped down, and what was on its way when this
   * node took over. It may add what is not known here, and change nothing.
   */
  #takeOffer(peer: string, put: Put, nowMs: number): void {
    this.#effects.send(peer, { type: "ack", change: put.change });
    const { record, refusal } = decodeRecord(put.kind, put.content, put.volatile);
    const identity = identityOf(record);
    const { key } = identity;
    const isKnown = this.mirror.get(key) !== undefined || this.inventory.get(key) !== undefined;
    if (
      isKnown || this.#master.isGone(key) || refusal !== undefined ||
      !isShared(record, this.settings.ownership) || this.#wouldRepeat(record)
    ) {
      return this.#bump("offers refused");
    }
    this.#bump("offers taken");
    this.mirror.set(entryOf(record, put.content, this.mirror.nextRank(), nowMs, identity));
    this.#guard.set(key, record);
    this.#queue.add(identity);
    this.#master.touch(identity);
  }

  /** Whether this node would send on an SA with nonces that another one has used. */
  #wouldRepeat(record: IpsecRecord): boolean {
    return record.kind === "sa" && this.settings.takeover(record.sa) === "none" &&
      this.#guard.sendsOn(record.sa);
  }

  /** A master asks how far this node has come, that was master beside it or follows one that was. */
  #tellCounters(peer: string): void {
    const entries = [...this.mirror.values()].filter(({ counters }) => counters !== undefined);
    this.#offers.set(peer, entries.map((entry) => ({ of: "counters", entry })));
  }

  #want(peer: string, identities: readonly { kind: "sa" | "policy"; identity: Uint8Array }[]): void {
    if (this.membership.role !== "MASTER") {
      if (identities.length === 0 && peer === this.membership.followed) this.#tellCounters(peer);
      return;
    }
    if (identities.length === 0) {
      const ready = this.membership.acting && this.#kernel.known;
      return this.#master.join(peer, ready ? this.membership.epoch : undefined);
    }
    const outbox = this.#master.outbox(peer);
    for (const { kind, identity } of identities) outbox?.touch(decodeIdentity(kind, identity));
  }

  /**
   * The own kernel is the truth from now on. What the old master had said and the kernel does not show yet: new
   * records and deletions are still done, updates are not (they would reset the counters of an SA in use).
   */
  #takeOver(nowMs: number): void {
    this.#follower.overtake(nowMs);
    this.#offers.clear();
    for (const { key, content } of [...this.inventory.values()]) {
      if (content === UNKNOWN_CONTENT) this.inventory.delete(key); // the dump knows what is left of it
    }
    for (const { key, identity, remove } of this.#queue.drain()) {
      const entry = this.mirror.get(key);
      const item = this.inventory.get(key);
      if (entry?.refused !== undefined) this.inventory.delete(key); // the dump knows what is left of it
      else if ((entry === undefined) !== (item === undefined)) this.#queue.add(identity, { remove });
      else if (item?.shared === true) {
        this.#follower.leases.standing(key, nowMs); // what was reported while it waited
        this.#adopt(item, nowMs);
      }
    }
    for (const { key, refused } of [...this.mirror.values()]) {
      const gone = this.inventory.get(key) === undefined && refused === undefined && !this.#queue.has(key);
      if (gone) this.#master.forget(key); // it expired here, and the answer of the old master is still out
    }
    for (const item of this.inventory.values()) {
      if (item.shared && this.mirror.get(item.key) === undefined && !this.#queue.has(item.key)) {
        this.#adopt(item, nowMs);
      }
    }
    this.#follower.retire();
    this.#followedSession = "";
    this.#inherited.begin();
    this.#kernel.beginDump();
  }

  #handoverSituation(): HandoverSituation {
    const { role, acting, followed, peerNames } = this.membership;
    const peers = peerNames.map((name) => ({
      name,
      live: this.#sessions.has(name),
      obstacle: () => this.membership.obstacle(name) ?? this.#master.lackOf(name),
    }));
    return { role, acting, peers, followed, synced: this.synced };
  }

  #stepHandover(nowMs: number): void {
    const { state } = this.handover.result;
    this.handover.step(this.#handoverSituation(), nowMs);
    this.#followHandover(nowMs);
    const { result } = this.handover;
    if (result.state === state) return;
    if (result.state === "failed") this.#effects.log("error", `handover failed: ${result.reason}`);
    else this.#effects.log("state", `handover done: ${this.membership.followed} is master`);
  }

  #followHandover(nowMs: number): void {
    this.demotion.force(this.handover.demotes);
    this.#kernel.withhold(this.handover.withholds(nowMs));
  }

  #judgeDemotion(nowMs: number): void {
    const { role, views, followed } = this.membership;
    const isWhole = this.mirror.refused === 0;
    const equal = isWhole && this.#follower.synced;
    const complete = isWhole && this.synced;
    this.demotion.step({ role, peers: views, followed, equal, complete }, nowMs);
  }

  /** What the IKE daemon would have deleted, had it known it. During a handover it is the next master's. */
  #removeReplaced(nowMs: number): void {
    if (this.membership.role !== "MASTER" || !this.#kernel.known || this.handover.withholds(nowMs)) return;
    for (const identity of this.#inherited.step(nowMs)) {
      this.#effects.log("state", `removing ${describe(identity)}: inherited, replaced and idle`, "removing");
      this.#master.forget(identity.key);
      this.#queue.add(identity, { remove: true });
    }
  }

  /** Takes into the mirror what the own kernel holds; the dump that follows brings counters and ages. */
  #adopt({ key, identity, content }: Item, nowMs: number): void {
    const entry = this.mirror.get(key);
    if (entry !== undefined) this.mirror.set({ ...entry, content });
    else this.#master.learn(decodeBare(identity.kind, content), content, true, nowMs);
  }

  #stepped(step: Step, result: KernelResult): void {
    this.#kernel.touched(step.key);
    this.#bump(result.ok ? "changes applied" : "changes refused");
    if (result.ok) {
      this.#follower.stepped(step);
      if (this.membership.role === "MASTER") this.#steppedAsMaster(step);
      this.#kernel.unguard(step.key);
    } else if (step.content === undefined) {
      this.#effects.log("error", `cannot delete ${describe(step.identity)}: ${result.reason}`, result.reason);
    } else {
      this.#follower.failed(step, result.reason);
    }
  }

  /** A master's own changes are what was left to do of a master before it. */
  #steppedAsMaster({ key, identity }: Step): void {
    if (identity.kind === "policy") this.#master.moved(key);
    const item = this.inventory.get(key);
    if (item !== undefined) this.#inherited.inherit(item);
  }

  #bump(what: string): void {
    this.counters[what] = (this.counters[what] ?? 0) + 1;
  }
}

/** A record from its content alone, its counters zero and its age unknown. */
function decodeBare(kind: "sa" | "policy", content: Uint8Array): IpsecRecord {
  const nothing = {
    oseq: 0n,
    seq: 0n,
    bitmap: [],
    bytes: 0n,
    packets: 0n,
    ageSeconds: 0,
    usedSeconds: undefined,
  };
  const volatile = kind === "sa" ? encodeSaCounters(nothing) : encodePolicyAge(0, undefined);
  return decodeRecord(kind, content, volatile).record;
}
