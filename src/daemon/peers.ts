/**
 * The connections with all peers: dials, accepts, chooses between two sessions of a pair, keeps them alive. Knows
 * HELLO, PING, PONG and BYE; everything else goes to the caller.
 */

import { DecodeError, PeerError, SyscallError } from "../errors.ts";
import type { Log } from "../log/verbosity.ts";
import type { RepeatLimit } from "../log/repeat_limit.ts";
import type { Clock, Connection, Interest, Listener, Random, Readiness, Transport } from "../ports.ts";
import { type Address, equalBytes, formatAddress } from "../record/address.ts";
import { type Hello, type Message, REVISION } from "../wire/native/message.ts";
import { type Acquaintance, Peer, type PeerSettings } from "./peer.ts";
import { PeerLink, REPLACED, SILENCE_MS } from "./peer_link.ts";

const PING_MS = 1000;

/** Connections from one peer that have not shown the key yet; a further one replaces the oldest. */
const HALF_OPEN_LIMIT = 4;

/** Connections taken from a listener in one turn. */
const ACCEPTS_PER_TURN = 64;

/** How long a session made with a key that is not configured any more may wait for the one that follows it. */
const OLD_KEY_MS = 10_000;

/** Why one of two sessions is not needed: that both sides dial at once, or dial anew, is no fault. */
const SPARE = "another session of this pair stays";

/** What the connections tell their owner. All of it may throw PeerError or DecodeError to end the session. */
export interface PeersEvents {
  up(peer: string, hello: Hello, slaveOnly: boolean): void;
  down(peer: string): void;
  /** Something has come, whatever it was. */
  heard(peer: string, nowMs: number): void;
  message(peer: string, message: Message, nowMs: number): void;
}

/** What of the connections can change while they are up. */
export interface PeersSettings {
  readonly peers: readonly PeerSettings[];
  readonly listeners: readonly Listener[];
  /** Local addresses that `listen on` names: dialling uses the one of the peer's family. */
  readonly localAddresses: readonly Address[];
  readonly hello: Hello;
}

export interface PeersOptions extends PeersSettings {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What anybody can provoke, said once per peer: refusals for every operator, troubles of the way with `-v`. */
  readonly refusals: RepeatLimit;
  readonly troubles: RepeatLimit;
  /** Offers a connection from an address that is none of these peers'. @returns whether somebody has taken it. */
  readonly adopt?: (connection: Connection) => boolean;
  readonly events: PeersEvents;
}

export class Peers {
  readonly #peers = new Map<string, Peer>();
  #settings: PeersSettings;
  readonly #ownId: string;
  #ended: PeerLink[] = [];
  /** Not to accept before. */
  #acceptAtMs = 0;

  constructor(private readonly options: PeersOptions) {
    this.#ownId = options.hello.nodeId.toHex();
    this.#settings = options;
    for (const settings of options.peers) this.#meetNew(settings);
  }

  /**
   * The configuration has changed. A session stays as it is when its peer is still configured in the same role; one
   * made with a key that is not configured any more is replaced.
   */
  configure(settings: PeersSettings): void {
    this.#settings = settings;
    const wanted = new Map(settings.peers.map((peer) => [peer.name, peer]));
    for (const [name, peer] of this.#peers) {
      const next = wanted.get(name);
      if (next === undefined) this.#forget(peer);
      else this.#change(peer, next);
    }
    for (const peer of settings.peers) if (!this.#peers.has(peer.name)) this.#meetNew(peer);
  }

  #meetNew(settings: PeerSettings): void {
    this.#peers.set(settings.name, new Peer(settings, this.#now()));
  }

  #forget(peer: Peer): void {
    this.#endAll(peer, "is not configured any more");
    this.#peers.delete(peer.settings.name);
  }

  #endAll(peer: Peer, reason: string): void {
    for (const link of [...peer.links]) this.#end(link, reason, link.open);
  }

  #change(peer: Peer, settings: PeerSettings): void {
    const [hasOtherRole, hasOtherKeys] = [
      settings.slaveOnly !== peer.settings.slaveOnly,
      peer.hasOtherKeys(settings),
    ];
    peer.settings = settings;
    if (hasOtherRole) return this.#endAll(peer, "its role has changed");
    if (!hasOtherKeys) return;
    const reason = "the shared key has changed";
    for (const link of [...peer.links]) {
      if (peer.hasKeyOf(link)) continue;
      if (link === peer.live) link.retire(this.#now() + OLD_KEY_MS, reason);
      else this.#end(link, reason, link.open);
    }
    peer.dialAtMs = Math.min(peer.dialAtMs, this.#now());
  }

  /** What to wait for. */
  interests(): Interest[] {
    const read = this.#now() >= this.#acceptAtMs;
    const interests: Interest[] = this.#settings.listeners.map(({ fd }) => ({ fd, read, write: false }));
    for (const { connection, wantsWrite } of this.#links()) {
      interests.push({ fd: connection.fd, read: !connection.connecting, write: wantsWrite });
    }
    return interests;
  }

  /** Names of the peers with a session in use. */
  live(): string[] {
    return [...this.#peers.values()].filter(({ live }) => live !== undefined).map(({ settings }) =>
      settings.name
    );
  }

  /** How things stand with a peer. */
  acquaintance(name: string): Acquaintance {
    return this.#peers.get(name)!.acquaintance;
  }

  /** Whether more data for this peer may be handed over. */
  hasRoom(name: string): boolean {
    return this.#peers.get(name)?.live?.hasRoom === true;
  }

  /** Sends on the session in use; without one the messages are dropped. */
  send(name: string, messages: readonly Message[]): void {
    const link = this.#peers.get(name)?.live;
    if (link !== undefined) this.#attempt(link, () => this.#seal(link, messages));
  }

  /** A message that has no form (a number too great …) is left out, as it would have none on the next session. */
  #seal(link: PeerLink, messages: readonly Message[]): void {
    try {
      link.send(messages, this.#now());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      if (messages.length > 1) { for (const message of messages) this.#seal(link, [message]); }
      else this.#refuse(link.peer, `cannot be sent ${messages[0]?.type}: ${error.message}`);
    }
  }

  /** Ends the session in use. */
  close(name: string, reason: string): void {
    const link = this.#peers.get(name)?.live;
    if (link !== undefined) this.#end(link, reason, true);
  }

  /** Says goodbye to all and closes everything. */
  stop(reason: string): void {
    for (const { live } of this.#peers.values()) if (live !== undefined) this.#end(live, reason, true);
    for (const link of this.#links()) this.#end(link, reason, false);
    for (const listener of this.#settings.listeners) listener.close();
  }

  /** Does what poll says is possible. */
  ready(readiness: ReadonlyMap<number, Readiness>): void {
    for (const listener of this.#settings.listeners) if (readiness.has(listener.fd)) this.#accept(listener);
    for (const link of this.#links()) {
      const ready = readiness.get(link.connection.fd);
      if (ready === undefined || this.#ended.includes(link)) continue;
      this.#attempt(link, () => this.#use(link, ready));
    }
    this.#ended = [];
  }

  /**
   * Time goes by: dials, pings, drops the silent. `polledMs`: when the poll began whose answer `ready` was given; who
   * was held up since, perhaps by itself, has not seen whether a peer was silent.
   *
   * @returns when it has to be called again.
   */
  tick(polledMs = this.#now()): number {
    const nowMs = this.#now();
    let nextMs = nowMs + PING_MS;
    for (const peer of this.#peers.values()) {
      for (const link of [...peer.links]) this.#endOverdue(link, polledMs);
      if (peer.mayDial(nowMs) && nowMs >= peer.dialAtMs) this.#dial(peer);
      if (peer.mayDial(nowMs)) nextMs = Math.min(nextMs, peer.dialAtMs);
      if (peer.live !== undefined) nextMs = Math.min(nextMs, this.#keepAlive(peer.live, nowMs));
      for (const { deadline } of peer.links) nextMs = Math.min(nextMs, deadline.atMs);
    }
    return nextMs;
  }

  #endOverdue(link: PeerLink, nowMs: number): void {
    const { atMs, reason } = link.deadline;
    if (nowMs >= atMs) this.#end(link, reason, link.open);
  }

  /** @returns when the next PING is due. */
  #keepAlive(live: PeerLink, nowMs: number): number {
    if (nowMs - live.pingedMs >= PING_MS) {
      live.pingedMs = nowMs;
      this.#attempt(live, () => live.send([{ type: "ping", token: Math.floor(nowMs) }], nowMs));
    }
    return live.pingedMs + PING_MS;
  }

  *#links(): Generator<PeerLink> {
    for (const { links } of this.#peers.values()) yield* [...links];
  }

  #now(): number {
    return this.options.clock.bootMs();
  }

  #dial(peer: Peer): void {
    const { settings } = peer;
    const local = this.#settings.localAddresses.find(({ length }) => length === settings.address.length);
    const psk = peer.takeKey();
    try {
      const connection = this.options.transport.connect(settings, local);
      peer.links.add(new PeerLink({ ...this.#linkOptions(peer), psk, connection, dialled: true }));
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      peer.postpone(this.#now(), false);
      peer.explain(error.message);
      this.#trouble(settings.name, error.message);
    }
  }

  /** No descriptor or memory left (EMFILE …): the connection waits in the listener until the next try. */
  #accept(listener: Listener): void {
    try {
      this.#acceptAll(listener);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#refuse("listener", error.message);
      this.#acceptAtMs = this.#now() + PING_MS;
    }
  }

  #acceptAll(listener: Listener): void {
    for (let count = 0; count < ACCEPTS_PER_TURN; count++) {
      const connection = listener.accept();
      if (connection === undefined) return;
      const { remote } = connection;
      const peer = [...this.#peers.values()].find(({ settings }) => equalBytes(settings.address, remote));
      if (peer === undefined) {
        if (this.options.adopt?.(connection)) continue;
        connection.drop();
        this.#refuse(formatAddress(remote), "is no configured peer, connection refused");
        continue;
      }
      if (!peer.mayTake(this.#now())) {
        connection.drop();
        this.#refuse(peer.settings.name, "connects too often, connection refused");
        continue;
      }
      const waiting = peer.halfOpen;
      if (waiting.length >= HALF_OPEN_LIMIT) this.#end(waiting[0]!, "too many half-open connections", false);
      peer.links.add(new PeerLink({ ...this.#linkOptions(peer), connection, dialled: false }));
    }
  }

  #linkOptions({ settings: { name, psk, nextPsk } }: Peer) {
    return { peer: name, psk, nextPsk, random: this.options.random, nowMs: this.#now() };
  }

  #use(link: PeerLink, { read, write, error }: Readiness): void {
    const nowMs = this.#now();
    if (link.connection.connecting) {
      if (!write && !error) return;
      link.finishConnect(nowMs);
    }
    if (write) link.flush();
    if (!read && !error) return;
    const messages = link.receive(nowMs);
    if (link.dialled && link.open && !link.helloSent) this.#sayHello(link);
    for (const message of messages) {
      if (this.#ended.includes(link)) return;
      this.#take(link, message, nowMs);
    }
    if (messages.length > 0) this.options.events.heard(link.peer, nowMs);
  }

  #sayHello(link: PeerLink): void {
    link.helloSent = true;
    link.send([this.#settings.hello], this.#now());
  }

  #take(link: PeerLink, message: Message, nowMs: number): void {
    if (message.type === "hello") return this.#meet(link, message);
    if (message.type === "bye") throw new PeerError(`said goodbye: ${message.reason}`);
    if (message.type === "ping") return link.send([{ type: "pong", token: message.token }], nowMs);
    const isLive = this.#peers.get(link.peer)?.live === link;
    if (message.type !== "pong" && isLive) this.options.events.message(link.peer, message, nowMs);
  }

  /** A peer has said who it is: is this the session to use? */
  #meet(link: PeerLink, hello: Hello): void {
    const peer = this.#peers.get(link.peer)!;
    if (link.nodeId !== undefined) throw new PeerError("says HELLO twice");
    if (hello.revision !== REVISION) {
      throw new PeerError(`speaks revision ${hello.revision}, not ${REVISION}`);
    }
    link.nodeId = hello.nodeId.toHex();
    if (link.nodeId === this.#ownId) throw new PeerError("is this node itself: own node id");
    for (const { live } of this.#peers.values()) {
      if (live !== undefined && live.peer !== link.peer && live.nodeId === link.nodeId) {
        throw new PeerError(`is the node that is connected as ${live.peer}`);
      }
    }
    const loser = peer.live;
    if (loser !== undefined && !peer.wins(link, loser, this.#ownId)) {
      return this.#end(link, SPARE, true);
    }
    if (!link.helloSent) this.#sayHello(link);
    if (loser !== undefined) this.#replace(peer, loser, link);
    peer.use(link, hello.os, this.#now());
    this.options.log.state(`peer ${link.peer}: connected, ${hello.os}`);
    this.options.events.up(link.peer, hello, peer.settings.slaveOnly);
  }

  /**
   * Another session takes the place of the one in use. Who has dialled the new one knows here that the other side
   * has it too, and closes the old one; the other side waits for that, or the peer would be without any for a while.
   */
  #replace(peer: Peer, old: PeerLink, link: PeerLink): void {
    const isKnown = link.dialled || old.nodeId !== link.nodeId;
    if (isKnown) return this.#end(old, REPLACED, true);
    old.retire(this.#now() + SILENCE_MS, REPLACED);
    this.#down(peer, REPLACED);
  }

  #down(peer: Peer, reason: string): void {
    peer.lose(reason, this.#now());
    this.options.log.state(`peer ${peer.settings.name}: disconnected, ${reason}`);
    this.options.events.down(peer.settings.name);
  }

  /** Runs what may find the session broken. */
  #attempt(link: PeerLink, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof PeerError || error instanceof DecodeError || error instanceof SyscallError)) {
        throw error;
      }
      this.#end(link, error.message, link.open && !(error instanceof SyscallError));
    }
  }

  #end(link: PeerLink, reason: string, polite: boolean): void {
    const peer = this.#peers.get(link.peer)!;
    if (!peer.links.delete(link)) return;
    this.#ended.push(link);
    if (polite) this.#sayBye(link, reason);
    else link.connection.drop();
    const wasLive = peer.live === link;
    if (wasLive || link.dialled) peer.postpone(this.#now(), wasLive);
    if (wasLive) return this.#down(peer, reason);
    peer.explain(reason);
    const isSpare = link.dialled && peer.live !== undefined ||
      [SPARE, REPLACED].some((why) => reason.endsWith(why));
    return link.connected && !isSpare ? this.#refuse(link.peer, reason) : this.#trouble(link.peer, reason);
  }

  /** A last word, if the socket takes it; then the connection is closed at once. */
  #sayBye(link: PeerLink, reason: string): void {
    try {
      link.send([{ type: "bye", reason: reason.slice(0, 200) }], this.#now());
      link.connection.close();
    } catch {
      link.connection.drop(); // it was to be closed anyway, and why has been said
    }
  }

  #refuse(peer: string, reason: string): void {
    this.options.refusals.once(peer, `peer ${peer}: ${reason}`, this.#now());
  }

  #trouble(peer: string, reason: string): void {
    this.options.troubles.once(peer, `peer ${peer}: ${reason}`, this.#now());
  }
}
