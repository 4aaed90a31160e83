/**
 * One gateway: joins roles, mirror, master's and slave's side. Events come in with the time, effects and kernel
 * steps come out; no clock, no I/O. The daemon and the simulator drive it in the same way:
 * events → `takeEffects`, `nextChanges` → kernel → `applied`, `collect` → peers.
 */

import type { Address } from "../record/address.ts";
import type { IpsecRecord } from "../record/record.ts";
import type { Sa } from "../record/sa.ts";
import type { Advance, Counters, KernelChange, KernelEvent, KernelResult, Role } from "../ports.ts";
import type { Message } from "../wire/native/message.ts";
import { type Dealings, dealingsOf, lagOf, type Outlook, outlookOf } from "./dealings.ts";
import { Demotion } from "./demotion.ts";
import { describe } from "./describe.ts";
import type { Effect } from "./effect.ts";
import type { ListEnd } from "./follower.ts";
import { Handover, type HandoverSituation } from "./handover.ts";
import type { Inheritance } from "./inherited.ts";
import type { Inventory } from "./inventory.ts";
import { KernelSteps } from "./kernel_steps.ts";
import type { Membership } from "./membership.ts";
import type { Mirror } from "./mirror.ts";
import type { NumberEnd } from "./number_end.ts";
import { makeParts, type NodeChoices, type NodeParts, type NodeSettings } from "./parts.ts";
import { type PeerProtocol, PeerTalk } from "./peer_talk.ts";
import { isSameOwnership } from "./ownership.ts";
import type { Renegotiation } from "./renegotiation.ts";
import { takeOver } from "./takeover.ts";
import type { Verdict } from "./verification.ts";

/** The whole of a gateway's decisions. */
export class Node {
  readonly mirror: Mirror;
  readonly inventory: Inventory;
  readonly membership: Membership;
  readonly demotion = new Demotion();
  readonly handover = new Handover();
  /** How often what happened, by name. */
  readonly counters: Counters;
  /** When this node came to its role, and by what. */
  roleSince = { reason: "starting", atMs: 0 };
  /** One object for all parts: `configure` changes it. */
  readonly settings: NodeSettings;
  /** undefined: nothing is negotiated anew. */
  readonly renegotiation: Renegotiation | undefined;
  /** SAs that need a rekey. */
  readonly numberEnd: NumberEnd;
  readonly #parts: NodeParts;
  readonly #talk: PeerTalk;
  readonly #steps: KernelSteps;

  constructor(settings: NodeSettings) {
    this.settings = { ...settings };
    this.#parts = makeParts(this.settings);
    this.#talk = new PeerTalk(this.#parts);
    this.#steps = new KernelSteps(this.#parts);
    this.numberEnd = this.#parts.kernel.numberEnd;
    ({
      mirror: this.mirror,
      inventory: this.inventory,
      membership: this.membership,
      counters: this.counters,
      renegotiation: this.renegotiation,
    } = this.#parts);
  }

  /**
   * The configuration has changed. Sessions with peers that are not configured any more have ended before. When other
   * records are shared from now on, the kernel is compared, and a slave asks its master for everything.
   */
  configure(choices: NodeChoices, nowMs: number): void {
    const { membership, master, guard, follower, kernel } = this.#parts;
    const isSame = isSameOwnership(choices.ownership, this.settings.ownership);
    Object.assign(this.settings, choices);
    membership.peerNames = choices.peers;
    master.configure(choices.peers, membership.role === "MASTER");
    if (isSame) return;
    guard.configure(choices.sharedPrefixes);
    if (membership.role !== "MASTER") follower.reconsider(nowMs);
    kernel.beginDump();
  }

  /** What the caller has to do now, in this order. */
  takeEffects(): readonly Effect[] {
    this.#parts.kernel.dumpBegins();
    this.#parts.follower.report();
    return this.#parts.effects.take();
  }

  /** Whether the slave side has taken in a complete snapshot and nothing waits. */
  get synced(): boolean {
    return this.#parts.follower.synced && this.#parts.queue.size === 0;
  }

  /** Whether `nextChanges` has work to do. */
  get busy(): boolean {
    return this.#parts.kernel.known && this.#parts.queue.size > 0;
  }

  // --- role ---

  /** The tracker says so. */
  setRole(role: Role, reason: string, nowMs: number): void {
    const { membership, effects, master, follower, kernel, inherited } = this.#parts;
    const before = membership.role;
    if (!membership.setRole(role, nowMs)) return;
    this.roleSince = { reason, atMs: nowMs };
    effects.log("state", `${before} -> ${role}: ${reason}`);
    this.#talk.roleChanged();
    if (role === "MASTER") {
      takeOver(this.#parts, nowMs);
      this.#talk.tookOver();
    } else if (before === "MASTER") {
      this.#talk.stepsDown();
      master.retire();
      follower.leases.steppedDown(nowMs);
      follower.limits.changeRole(false);
      this.handover.steppedDown(nowMs);
      kernel.steppedDown(nowMs);
      inherited.end();
      this.renegotiation?.end();
    }
    this.tick(nowMs);
    this.#talk.announce();
    this.#talk.refollow(nowMs);
  }

  /** Time goes by; call it at least every second, and after every wait. */
  tick(nowMs: number): void {
    if (this.membership.tick(nowMs)) this.#talk.raised("started", nowMs);
    this.#parts.follower.tick(nowMs);
    this.#talk.reconciliation.tick(nowMs);
    this.#parts.kernel.tick(nowMs);
    this.#stepHandover(nowMs);
    this.#judgeDemotion(nowMs);
    this.#removeReplaced(nowMs);
  }

  /** The operator wants another node to be master. @returns why that cannot begin; undefined: it has begun. */
  handOver(nowMs: number): string | undefined {
    const refusal = this.handover.start(this.#handoverSituation(), nowMs);
    const text = refusal === undefined ? "handover begins" : `handover refused: ${refusal}`;
    this.#parts.effects.log("state", text);
    this.#followHandover(nowMs);
    this.#tellDemotion();
    return refusal;
  }

  /** Compares with the own kernel and with the peers; what comes of it is `verdict`. */
  verify(nowMs: number): void {
    this.#talk.reconciliation.verification.begin(nowMs);
  }

  /** What the last `verify` has found so far; undefined: there was none. */
  get verdict(): Verdict | undefined {
    return this.#talk.reconciliation.verification.verdict;
  }

  /** Compares everything anew with the own kernel and, as a slave, with the master; what differs is mended. */
  resync(nowMs: number): void {
    this.#parts.effects.log("state", "comparing everything: asked for");
    this.#parts.kernel.look(nowMs);
    this.#talk.reconciliation.askAll();
  }

  // --- peers ---

  /** A session with this peer is open and HELLO has come. */
  peerUp(peer: string, nodeId: string, slaveOnly: boolean, protocol: PeerProtocol = "native"): void {
    this.#talk.up(peer, nodeId, slaveOnly, protocol);
  }

  /** The session is gone. */
  peerDown(peer: string, nowMs: number): void {
    this.#talk.down(peer, nowMs);
    this.tick(nowMs);
  }

  /** A message of an open session, HELLO, PING, PONG and BYE excepted. @throws {PeerError | DecodeError} */
  receive(peer: string, message: Message | ListEnd, nowMs: number): void {
    this.#talk.receive(peer, message, nowMs);
    if (message.type === "state") this.tick(nowMs);
  }

  /** The next data for a peer, at most about `budgetBytes` and never more than its window. */
  collect(peer: string, nowMs: number, budgetBytes: number): Message[] {
    return this.#talk.collect(peer, nowMs, budgetBytes);
  }

  /** Whether `collect` would give something. */
  hasData(peer: string): boolean {
    return this.#talk.hasData(peer);
  }

  /** Of a master: what is left of the SAs of masters before it. */
  inheritance(nowMs: number): Inheritance {
    return this.#parts.inherited.inheritance(nowMs);
  }

  /** How far a slave is behind. */
  lag(peer: string, nowMs: number): Dealings["lag"] {
    return lagOf(this.#parts, peer, nowMs);
  }

  /** How the synchronisation with a peer stands. */
  dealings(peer: string, nowMs: number): Dealings {
    return dealingsOf(this.#parts, peer, nowMs);
  }

  /** What a takeover by this node, which is slave, would meet now. */
  outlook(nowMs: number): Outlook {
    return outlookOf(this.#parts, nowMs);
  }

  // --- own kernel ---

  /** Events of the own kernel are subscribed: compare with a dump. */
  start(): void {
    this.#parts.kernel.beginDump();
  }

  /** Something has happened in the kernel that was not this node's own change. */
  kernelEvent(event: KernelEvent, nowMs: number): void {
    if (this.membership.role === "MASTER") this.#parts.inherited.see(event);
    this.#parts.kernel.event(event, nowMs);
  }

  /** All events that there were have been given to `kernelEvent`. */
  kernelDrained(): void {
    this.#parts.kernel.drained();
  }

  /**
   * The dump that was asked for is complete: all records, oldest first. Up to `limit` of them are compared at once,
   * the others by `compare`.
   */
  dumped(records: readonly IpsecRecord[], nowMs: number, limit = Infinity): void {
    this.#parts.kernel.dumped(records, nowMs);
    this.compare(limit, nowMs);
  }

  /** Whether `compare` has work to do. */
  get comparing(): boolean {
    return this.#parts.kernel.comparing;
  }

  /** Goes on with the comparison of a dump. */
  compare(limit: number, nowMs: number): void {
    if (!this.#parts.kernel.compare(limit)) return;
    this.#talk.answer(nowMs);
    this.#talk.refollow(nowMs);
  }

  /** The peer is alive. */
  heard(peer: string, nowMs: number): void {
    const { follower } = this.#parts;
    if (peer === follower.master) follower.leases.heard(nowMs);
  }

  /** Whether `nextAdvances` would give something. */
  get advancing(): boolean {
    return this.#steps.advancing;
  }

  /** Up to `limit` SAs whose counters have to be moved on, before anything else. What came of it goes to `advanced`. */
  nextAdvances(limit: number): Advance[] {
    return this.#steps.nextAdvances(limit);
  }

  /** The kernel has dealt with what `nextAdvances` gave. One that is gone meanwhile needs nothing. */
  advanced(results: readonly KernelResult[]): void {
    this.#steps.advanced(results);
  }

  /** Up to about `limit` changes for the own kernel. Their results go to `applied` before anything else comes in. */
  nextChanges(limit: number, nowMs: number): KernelChange[] {
    return this.#steps.nextChanges(limit, nowMs);
  }

  /** How the changes of the last `nextChanges` ended, in their order. undefined: nobody knows; they are done again. */
  applied(results: readonly KernelResult[] | undefined): void {
    this.#steps.applied(results);
  }

  /** When `nextLimits` has something to give; Infinity: not before something happens. */
  limitsDueMs(nowMs: number): number {
    return this.#steps.limitsDueMs(nowMs);
  }

  /** SAs whose limits are to be set, a few: all else of them stays. What came of it goes to `limited`. */
  nextLimits(nowMs: number): Sa[] {
    return this.#steps.nextLimits(nowMs);
  }

  /** How it ended, for each SA that `nextLimits` gave last. Without an answer the same is given again. */
  limited(results: readonly KernelResult[]): void {
    this.#steps.limited(results);
  }

  /** The endpoints to guard, when they have changed; to be set before the next changes go to the kernel. */
  guardChange(): Address[] | undefined {
    return this.#steps.guardChange();
  }

  // --- inside ---

  #handoverSituation(): HandoverSituation {
    const { role, acting, followed, isCalled, peerNames } = this.membership;
    const peers = peerNames.map((name) => ({
      name,
      live: this.#talk.isLive(name),
      obstacle: () => this.membership.obstacle(name) ?? this.#parts.master.lackOf(name),
    }));
    return { role, acting, peers, followed, called: isCalled, synced: this.synced };
  }

  #stepHandover(nowMs: number): void {
    const { effects } = this.#parts;
    const { state } = this.handover.result;
    this.handover.step(this.#handoverSituation(), nowMs);
    this.#followHandover(nowMs);
    const { result } = this.handover;
    if (result.state === state) return;
    if (result.state === "failed") effects.log("error", `handover failed: ${result.reason}`);
    else effects.log("state", `handover done: ${this.membership.followed} is master`);
  }

  #followHandover(nowMs: number): void {
    this.demotion.force(this.handover.demotes);
    this.#parts.kernel.withhold(this.handover.withholds(nowMs));
    this.renegotiation?.hold(this.handover.withholds(nowMs));
  }

  #judgeDemotion(nowMs: number): void {
    const { role, views, followed } = this.membership;
    const { refused } = this.mirror;
    const equal = this.#parts.follower.synced;
    this.demotion.step({ role, peers: views, followed, equal, complete: this.synced, refused }, nowMs);
    this.#tellDemotion();
  }

  #tellDemotion(): void {
    if (this.membership.setDemotion(this.demotion.cause)) this.#talk.announce();
  }

  /** What the IKE daemon would have deleted, had it known it. During a handover it is the next master's. */
  #removeReplaced(nowMs: number): void {
    const { kernel, inherited, effects, queue } = this.#parts;
    if (this.membership.role !== "MASTER" || !kernel.known || this.handover.withholds(nowMs)) return;
    for (const identity of inherited.step(nowMs)) {
      effects.log("state", `removing ${describe(identity)}: inherited, replaced and idle`, "removing");
      kernel.forget(identity.key);
      queue.add(identity, { remove: true });
    }
  }
}
