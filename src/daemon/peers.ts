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
import { PeerLink, REPLACED, SILENCE_MS } from "./peer_link.ts";

const PING_MS = 1000;
/** First and longest wait before dialling again. */
export const BACKOFF_MS = { min: 500, max: 10_000 } as const;

/** Connections from one peer that have not shown the key yet; a further one replaces the oldest. */
const HALF_OPEN_LIMIT = 4;

/** Connections from one peer that are taken in a second: each costs the arithmetic of a handshake. */
const ACCEPTS_PER_SECOND = 16;

/** Connections taken from a listener in one turn. */
const ACCEPTS_PER_TURN = 64;

/** How long a session made with a key that is not configured any more may wait for the one that follows it. */
const OLD_KEY_MS = 10_000;

/** Why one of two sessions is not needed: that both sides dial at once, or dial anew, is no fault. */
const SPARE = "another session of this pair stays";

/** A peer as configured. */
export interface PeerSettings {
  readonly name: string;
  readonly address: Address;
  readonly port: number;
  readonly psk: Uint8Array;
  /** Is to follow `psk`: taken from who dials, and tried when `psk` fails. */
  readonly nextPsk?: Uint8Array;
  readonly slaveOnly: boolean;
}

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

/** How things stand between this node and a peer. */
export interface Acquaintance {
  readonly protocol: "native" | "classic";
  readonly isConnected: boolean;
  /** When that began. */
  readonly sinceMs: number;
  /** What is known of the peer's side or, when it is not connected, why. */
  readonly text: string;
}

interface Peer {
  settings: PeerSettings;
  readonly links: Set<PeerLink>;
  /** The one session that is used; it has shown its HELLO. */
  live: PeerLink | undefined;
  /** Since when there is a live one, or none. */
  sinceMs: number;
  /** Its system, or why there is no session. */
  text: string;
  backoffMs: number;
  dialAtMs: number;
  /** Dials since the last session; every second one is made with the next key, if there is one. */
  dials: number;
  /** Connections that came since then, for at most a second. */
  came: number;
  countedMs: number;
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
    this.#peers.set(settings.name, {
      settings,
      links: new Set(),
      live: undefined,
      sinceMs: this.#now(),
      text: "not connected yet",
      backoffMs: BACKOFF_MS.min,
      dialAtMs: this.#now(),
      dials: 0,
      came: 0,
      countedMs: -Infinity,
    });
  }

  #forget(peer: Peer): void {
    this.#endAll(peer, "is not configured any more");
    this.#peers.delete(peer.settings.name);
  }

  #endAll(peer: Peer, reason: string): void {
    for (const link of [...peer.links]) this.#end(link, reason, link.open);
  }

  #change(peer: Peer, settings: PeerSettings): void {
    const before = peer.settings;
    peer.settings = settings;
    if (settings.slaveOnly !== before.slaveOnly) return this.#endAll(peer, "its role has changed");
    if (sameKey(settings.psk, before.psk) && sameKey(settings.nextPsk, before.nextPsk)) return;
    const reason = "the shared key has changed";
    for (const link of [...peer.links]) {
      if (keyRank(link, settings) > 0) continue;
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
    const { live, sinceMs, text } = this.#peers.get(name)!;
    return { protocol: "native", isConnected: live !== undefined, sinceMs, text };
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
      if (this.#mayDial(peer) && nowMs >= peer.dialAtMs) this.#dial(peer);
      if (this.#mayDial(peer)) nextMs = Math.min(nextMs, peer.dialAtMs);
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

  /** A node with a live session does not dial, unless that session is to be renewed. */
  #mayDial({ live, links, settings }: Peer): boolean {
    if ([...links].some((link) => link.dialled && link !== live)) return false;
    if (live === undefined || keyRank(live, settings) === 0) return true;
    return live.dialled && live.isOld(this.#now());
  }

  #dial(peer: Peer): void {
    const { settings } = peer;
    const local = this.#settings.localAddresses.find(({ length }) => length === settings.address.length);
    const { psk, nextPsk = psk } = settings;
    const key = peer.dials++ % 2 === 0 ? psk : nextPsk;
    try {
      const connection = this.options.transport.connect(settings, local);
      this.#add(peer, new PeerLink({ ...this.#linkOptions(peer), psk: key, connection, dialled: true }));
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#postpone(peer);
      peer.text = error.message;
      this.#trouble(settings.name, error.message);
    }
  }

  /** The next dial, and a longer wait before the one after it. */
  #postpone(peer: Peer): void {
    peer.dialAtMs = this.#now() + peer.backoffMs;
    peer.backoffMs = Math.min(peer.backoffMs * 2, BACKOFF_MS.max);
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
      if (!this.#mayTake(peer)) {
        connection.drop();
        this.#refuse(peer.settings.name, "connects too often, connection refused");
        continue;
      }
      const waiting = [...peer.links].filter((link) => !link.dialled && !link.open);
      if (waiting.length >= HALF_OPEN_LIMIT) this.#end(waiting[0]!, "too many half-open connections", false);
      this.#add(peer, new PeerLink({ ...this.#linkOptions(peer), connection, dialled: false }));
    }
  }

  #mayTake(peer: Peer): boolean {
    const nowMs = this.#now();
    if (nowMs - peer.countedMs >= 1000) [peer.came, peer.countedMs] = [0, nowMs];
    return ++peer.came <= ACCEPTS_PER_SECOND;
  }

  #linkOptions({ settings: { name, psk, nextPsk } }: Peer) {
    return { peer: name, psk, nextPsk, random: this.options.random, nowMs: this.#now() };
  }

  #add(peer: Peer, link: PeerLink): void {
    peer.links.add(link);
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
    if (loser !== undefined && !this.#wins(link, loser, peer.settings)) {
      return this.#end(link, SPARE, true);
    }
    if (!link.helloSent) this.#sayHello(link);
    if (loser !== undefined) this.#replace(peer, loser, link);
    peer.live = link;
    peer.dials = 0;
    [peer.sinceMs, peer.text] = [this.#now(), hello.os];
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
    peer.live = undefined;
    [peer.sinceMs, peer.text] = [this.#now(), reason];
    this.options.log.state(`peer ${peer.settings.name}: disconnected, ${reason}`);
    this.options.events.down(peer.settings.name);
  }

  /** The one with the newer key stays, else the one dialled by the greater node id, of two by the same dialler the newer. */
  #wins(link: PeerLink, loser: PeerLink, settings: PeerSettings): boolean {
    if (loser.nodeId !== link.nodeId) return true; // that process is dead
    const newer = keyRank(link, settings) - keyRank(loser, settings);
    if (newer !== 0) return newer > 0;
    if (loser.dialled === link.dialled) return true;
    return link.dialled === (this.#ownId > link.nodeId!);
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
    if (wasLive) peer.backoffMs = BACKOFF_MS.min;
    if (wasLive || link.dialled) this.#postpone(peer);
    if (wasLive) return this.#down(peer, reason);
    if (peer.live === undefined) peer.text = reason;
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

/** How new the key of a session is: 2 the next one, 1 the present one, 0 one that is not configured any more. */
function keyRank({ psk }: PeerLink, settings: PeerSettings): number {
  if (psk === undefined) return 0;
  if (sameKey(psk, settings.nextPsk)) return 2;
  return sameKey(psk, settings.psk) ? 1 : 0;
}

function sameKey(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === b || a !== undefined && b !== undefined && equalBytes(a, b);
}
