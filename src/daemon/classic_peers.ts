/**
 * The connections with the peers of the classic protocol. When both sides dial at once, OpenBSD's sasyncd uses the
 * connection that it has accepted and never looks at the other one: so everything is said on the one that was dialled
 * here, and each is read. A node with a connection does not dial.
 */

import { ClassicTalk } from "../core/classic_talk.ts";
import type { ListEnd } from "../core/follower.ts";
import type { RawMessages } from "../core/raw_messages.ts";
import { DecodeError, PeerError, SyscallError } from "../errors.ts";
import type { RepeatLimit } from "../log/repeat_limit.ts";
import type { Log } from "../log/verbosity.ts";
import type { Clock, Connection, Interest, Random, Readiness, Role, Transport } from "../ports.ts";
import { type Address, equalBytes } from "../record/address.ts";
import type { ClassicMessage } from "../wire/classic/message.ts";
import type { Message } from "../wire/native/message.ts";
import { ClassicLink } from "./classic_link.ts";
import { type Acquaintance, BACKOFF_MS } from "./peer.ts";

/** Connections of one peer that it has dialled; a further one replaces the oldest. */
const ACCEPTED_LIMIT = 4;

/**
 * The original throws a length word away that a segment's end has cut. Frames, and all options of TCP, are multiples of
 * 4 bytes: with segments that are, too, no word is ever cut. They have to be shorter than what any path takes (1280
 * bytes of IPv6 less its headers), or the path would say where they end.
 */
const SEGMENT_BYTES = 1220;

/** Nothing is due sooner: how long the caller may wait. */
const IDLE_MS = 60_000;

/** A classic peer as configured. */
export interface ClassicPeerSettings {
  readonly name: string;
  readonly address: Address;
  readonly port: number;
  /** 16, 24 or 32 bytes. */
  readonly key: Uint8Array;
  readonly slaveOnly: boolean;
}

/** What the connections tell their owner, and ask. */
export interface ClassicPeersEvents {
  up(peer: string, slaveOnly: boolean): void;
  down(peer: string): void;
  /** @throws {PeerError | DecodeError} to end the connection. */
  message(peer: string, message: Message | ListEnd, nowMs: number): void;
  /** Own run state as it is to be said. */
  role(): Role;
  /** The rank that the node knows a record by, or a new one. */
  rankOf(key: string): number;
  /** Whether the node knows this record. */
  holds(key: string): boolean;
}

export interface ClassicPeersOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly refusals: RepeatLimit;
  readonly troubles: RepeatLimit;
  readonly peers: readonly ClassicPeerSettings[];
  /** Local addresses that `listen on` names: dialling uses the one of the peer's family. */
  readonly localAddresses: readonly Address[];
  readonly raw: RawMessages;
  /** `flushmode startup`. */
  readonly flushes: boolean;
  readonly events: ClassicPeersEvents;
}

interface Peer {
  readonly settings: ClassicPeerSettings;
  readonly talk: ClassicTalk;
  /** The newest last. */
  readonly links: Set<ClassicLink>;
  /** The one on which everything is said. */
  live: ClassicLink | undefined;
  /** Since when there is a live one, or none. */
  sinceMs: number;
  /** Why there is none. */
  text: string;
  backoffMs: number;
  dialAtMs: number;
}

export class ClassicPeers {
  readonly #peers = new Map<string, Peer>();
  #isStopped = false;

  constructor(private readonly options: ClassicPeersOptions) {
    for (const settings of options.peers) this.#peers.set(settings.name, this.#makePeer(settings));
  }

  /** What to wait for. */
  interests(): Interest[] {
    return [...this.#links()].map(([, link]) => ({
      fd: link.connection.fd,
      read: link.phase !== "connecting",
      write: link.wantsWrite,
    }));
  }

  /** Names of the peers with a connection in use. */
  live(): string[] {
    return [...this.#peers].filter(([, { live }]) => live !== undefined).map(([name]) => name);
  }

  /** How things stand with a peer. */
  acquaintance(name: string): Acquaintance {
    const { live, sinceMs, text } = this.#peers.get(name)!;
    return { protocol: "classic", isConnected: live !== undefined, sinceMs, text };
  }

  has(name: string): boolean {
    return this.#peers.has(name);
  }

  hasRoom(name: string): boolean {
    return this.#peers.get(name)?.live?.hasRoom === true;
  }

  /** The node says something to a peer; without a connection it is lost. */
  send(name: string, messages: readonly Message[]): void {
    const peer = this.#peers.get(name)!;
    for (const message of messages) {
      const link = peer.live;
      if (link !== undefined) this.#attempt(peer, link, () => peer.talk.say(message, this.#now()));
    }
  }

  /** Ends all connections with the peer. */
  close(name: string, reason: string): void {
    const peer = this.#peers.get(name)!;
    for (const link of [...peer.links]) this.#end(peer, link, reason);
  }

  /** Ends everything. What is still in `interests` waits for the peers to end their direction. */
  stop(reason: string): void {
    this.#isStopped = true;
    for (const name of this.#peers.keys()) this.close(name, reason);
  }

  /** Takes a connection that came in. @returns whether it is one of these peers'. */
  adopt(connection: Connection): boolean {
    const { remote } = connection;
    const peer = [...this.#peers.values()].find(({ settings }) => equalBytes(settings.address, remote));
    if (peer === undefined || this.#isStopped) return false;
    const accepted = [...peer.links].filter(({ dialled }) => !dialled);
    const surplus = Math.max(0, accepted.length + 1 - ACCEPTED_LIMIT);
    for (const link of accepted.slice(0, surplus)) this.#end(peer, link, "too many connections");
    const link = this.#addLink(peer, connection, false);
    this.#attempt(peer, link, () => this.#opened(peer, link));
    return true;
  }

  /** Does what poll says is possible. */
  ready(readiness: ReadonlyMap<number, Readiness>): void {
    for (const [peer, link] of [...this.#links()]) {
      const ready = readiness.get(link.connection.fd);
      if (ready === undefined || !peer.links.has(link)) continue;
      this.#attempt(peer, link, () => this.#use(peer, link, ready));
    }
  }

  /** Time goes by. @returns when it has to be called again. */
  tick(): number {
    const nowMs = this.#now();
    let nextMs = nowMs + IDLE_MS;
    for (const [peer, link] of [...this.#links()]) {
      if (nowMs >= link.deadline.atMs) this.#fail(peer, link, link.deadline.reason);
    }
    for (const peer of this.#peers.values()) {
      const { live } = peer;
      if (live !== undefined) this.#attempt(peer, live, () => peer.talk.tick(nowMs));
      if (this.#mayDial(peer) && nowMs >= peer.dialAtMs) this.#dial(peer);
      if (this.#mayDial(peer)) nextMs = Math.min(nextMs, peer.dialAtMs);
      nextMs = Math.min(nextMs, peer.talk.dueMs, ...[...peer.links].map(({ deadline }) => deadline.atMs));
    }
    return nextMs;
  }

  *#links(): Generator<[Peer, ClassicLink]> {
    for (const peer of this.#peers.values()) for (const link of peer.links) yield [peer, link];
  }

  #now(): number {
    return this.options.clock.bootMs();
  }

  #makePeer(settings: ClassicPeerSettings): Peer {
    const { raw, flushes, events, log, refusals } = this.options;
    const { name, slaveOnly } = settings;
    const talk = new ClassicTalk({
      raw,
      flushes,
      slaveOnly,
      port: {
        role: () => events.role(),
        send: (message) => this.#say(peer, message),
        tell: (message, nowMs) => events.message(name, message, nowMs),
        redial: (reason) => this.close(name, reason),
        rankOf: (key) => events.rankOf(key),
        holds: (key) => events.holds(key),
        warn: (topic, text) => refusals.once(`${name} ${topic}`, `peer ${name}: ${text}`, this.#now()),
        detail: (text) => log.detail(`peer ${name}: ${text}`),
      },
    });
    const dialAtMs = this.#now();
    const peer: Peer = {
      settings,
      talk,
      links: new Set(),
      live: undefined,
      sinceMs: dialAtMs,
      text: "not connected yet",
      backoffMs: BACKOFF_MS.min,
      dialAtMs,
    };
    return peer;
  }

  #addLink({ settings, links }: Peer, connection: Connection, dialled: boolean): ClassicLink {
    const { random } = this.options;
    const link = new ClassicLink({ connection, dialled, key: settings.key, random, nowMs: this.#now() });
    links.add(link);
    return link;
  }

  #mayDial({ links }: Peer): boolean {
    return !this.#isStopped && ![...links].some(({ phase }) => phase === "connecting" || phase === "open");
  }

  #dial(peer: Peer): void {
    const { settings } = peer;
    const local = this.options.localAddresses.find(({ length }) => length === settings.address.length);
    try {
      this.#addLink(peer, this.options.transport.connect(settings, local, SEGMENT_BYTES), true);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#postpone(peer);
      this.#trouble(peer, error.message);
    }
  }

  /** The next dial, and a longer wait before the one after it. */
  #postpone(peer: Peer): void {
    peer.dialAtMs = this.#now() + peer.backoffMs;
    peer.backoffMs = Math.min(peer.backoffMs * 2, BACKOFF_MS.max);
  }

  #use(peer: Peer, link: ClassicLink, { read, write, error }: Readiness): void {
    const nowMs = this.#now();
    if (link.phase === "connecting") {
      if (!write && !error) return;
      link.finishConnect(nowMs);
      this.#opened(peer, link);
    }
    if (write) link.flush();
    if (read || error) this.#hear(peer, link, nowMs);
    if (link.phase === "over") this.#end(peer, link, "");
  }

  #hear(peer: Peer, link: ClassicLink, nowMs: number): void {
    for (const message of link.receive(nowMs)) {
      if (link.phase !== "open") return;
      peer.backoffMs = BACKOFF_MS.min;
      peer.talk.hear(message, nowMs);
    }
  }

  #opened(peer: Peer, link: ClassicLink): void {
    const isFirst = peer.live === undefined;
    link.isUsed = true;
    peer.live = this.#choose(peer);
    if (isFirst) {
      [peer.sinceMs, peer.text] = [this.#now(), ""];
      this.options.log.state(`peer ${peer.settings.name}: connected, classic protocol`);
      this.options.events.up(peer.settings.name, peer.settings.slaveOnly);
    }
    peer.talk.opened(link.dialled, this.#now());
  }

  /** The newest that was dialled here, else the newest. */
  #choose({ links }: Peer): ClassicLink | undefined {
    const open = [...links].filter(({ phase }) => phase === "open");
    return open.findLast(({ dialled }) => dialled) ?? open.at(-1);
  }

  #say(peer: Peer, message: ClassicMessage): void {
    const link = peer.live;
    if (link !== undefined) this.#attempt(peer, link, () => link.send(message));
  }

  /** Runs what may find the connection broken, or the peer wrong. */
  #attempt(peer: Peer, link: ClassicLink, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof PeerError || error instanceof DecodeError || error instanceof SyscallError)) {
        throw error;
      }
      this.#fail(peer, link, error.message);
    }
  }

  /** What the peer did wrong is for every operator; that connections cannot be had is not. */
  #fail(peer: Peer, link: ClassicLink, reason: string): void {
    const { name } = peer.settings;
    if (link.phase === "open") this.options.refusals.once(name, `peer ${name}: ${reason}`, this.#now());
    if (link.phase === "connecting") this.#trouble(peer, reason);
    this.#end(peer, link, reason);
  }

  /** Ends an open connection in order; any other one is closed, if it is not yet. */
  #end(peer: Peer, link: ClassicLink, reason: string): void {
    if (!peer.links.has(link)) return;
    const { phase } = link;
    if (phase === "open") link.end(this.#now());
    if (phase !== "open" || link.phase === "over") {
      peer.links.delete(link);
      link.connection.close();
    }
    if (phase === "connecting") this.#postpone(peer);
    if (!link.isUsed) return;
    link.isUsed = false;
    this.#left(peer, link, reason);
  }

  /** A connection is not used any more. */
  #left(peer: Peer, link: ClassicLink, reason: string): void {
    const { name } = peer.settings;
    const wasLive = link === peer.live;
    peer.live = this.#choose(peer);
    if (peer.live !== undefined) return peer.talk.left(wasLive, this.#now());
    this.#postpone(peer);
    [peer.sinceMs, peer.text] = [this.#now(), reason];
    peer.talk.closed();
    this.options.log.state(`peer ${name}: disconnected, ${reason}`);
    this.options.events.down(name);
  }

  #trouble(peer: Peer, reason: string): void {
    const { name } = peer.settings;
    if (peer.live === undefined) peer.text = reason;
    this.options.troubles.once(name, `peer ${name}: ${reason}`, this.#now());
  }
}
