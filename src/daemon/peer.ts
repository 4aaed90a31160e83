/** One configured peer and its connections: which session is used, when it is dialled, with which key. */

import type { Address } from "../record/address.ts";
import { equalBytes } from "../record/address.ts";
import type { PeerLink } from "./peer_link.ts";

/** First and longest wait before dialling again. */
export const BACKOFF_MS = { min: 500, max: 10_000 } as const;

/** Connections from one peer that are taken in a second: each costs the arithmetic of a handshake. */
const ACCEPTS_PER_SECOND = 16;

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

/** How things stand between this node and a peer. */
export interface Acquaintance {
  readonly protocol: "native" | "classic";
  readonly isConnected: boolean;
  /** When that began. */
  readonly sinceMs: number;
  /** What is known of the peer's side or, when it is not connected, why. */
  readonly text: string;
}

export class Peer {
  readonly links = new Set<PeerLink>();
  dialAtMs: number;
  #live: PeerLink | undefined;
  /** Since when there is a live one, or none. */
  #sinceMs: number;
  /** Its system, or why there is no session. */
  #text = "not connected yet";
  #backoffMs: number = BACKOFF_MS.min;
  /** Dials since the last session. */
  #dials = 0;
  /** Connections that came since `#countedMs`, for at most a second. */
  #came = 0;
  #countedMs = -Infinity;

  constructor(public settings: PeerSettings, nowMs: number) {
    this.dialAtMs = nowMs;
    this.#sinceMs = nowMs;
  }

  /** The one session that is used; it has shown its HELLO. */
  get live(): PeerLink | undefined {
    return this.#live;
  }

  get acquaintance(): Acquaintance {
    return {
      protocol: "native",
      isConnected: this.#live !== undefined,
      sinceMs: this.#sinceMs,
      text: this.#text,
    };
  }

  /** Connections that have not shown the key yet, the oldest first. */
  get halfOpen(): PeerLink[] {
    return [...this.links].filter((link) => !link.dialled && !link.open);
  }

  /** This session is used from now on. */
  use(link: PeerLink, os: string, nowMs: number): void {
    this.#live = link;
    this.#dials = 0;
    [this.#sinceMs, this.#text] = [nowMs, os];
  }

  /** None is used any more. */
  lose(reason: string, nowMs: number): void {
    this.#live = undefined;
    [this.#sinceMs, this.#text] = [nowMs, reason];
  }

  /** Why there is still no session. */
  explain(reason: string): void {
    if (this.#live === undefined) this.#text = reason;
  }

  /** A node with a live session does not dial, unless that session is to be renewed. */
  mayDial(nowMs: number): boolean {
    const live = this.#live;
    if ([...this.links].some((link) => link.dialled && link !== live)) return false;
    if (live === undefined || !this.hasKeyOf(live)) return true;
    return live.dialled && live.isOld(nowMs);
  }

  /** The key of the next dial: every second one is made with the next key, if there is one. */
  takeKey(): Uint8Array {
    const { psk, nextPsk = psk } = this.settings;
    return this.#dials++ % 2 === 0 ? psk : nextPsk;
  }

  /** The next dial, and a longer wait before the one after it; a short one again after a session. */
  postpone(nowMs: number, afterSession: boolean): void {
    if (afterSession) this.#backoffMs = BACKOFF_MS.min;
    this.dialAtMs = nowMs + this.#backoffMs;
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS.max);
  }

  /** Whether one more connection from it is taken. */
  mayTake(nowMs: number): boolean {
    if (nowMs - this.#countedMs >= 1000) [this.#came, this.#countedMs] = [0, nowMs];
    return ++this.#came <= ACCEPTS_PER_SECOND;
  }

  /** Whether these settings have other keys. */
  hasOtherKeys({ psk, nextPsk }: PeerSettings): boolean {
    return !sameKey(psk, this.settings.psk) || !sameKey(nextPsk, this.settings.nextPsk);
  }

  /** Whether a session was made with a key that is configured. */
  hasKeyOf(link: PeerLink): boolean {
    return this.#keyRank(link) > 0;
  }

  /**
   * Which of two sessions stays: the one with the newer key, else the one dialled by the greater node id, of two by the
   * same dialler the newer.
   */
  wins(link: PeerLink, loser: PeerLink, ownId: string): boolean {
    if (loser.nodeId !== link.nodeId) return true; // that process is dead
    const newer = this.#keyRank(link) - this.#keyRank(loser);
    if (newer !== 0) return newer > 0;
    if (loser.dialled === link.dialled) return true;
    return link.dialled === (ownId > link.nodeId!);
  }

  /** How new the key of a session is: 2 the next one, 1 the present one, 0 one that is not configured any more. */
  #keyRank({ psk }: PeerLink): number {
    if (psk === undefined) return 0;
    if (sameKey(psk, this.settings.nextPsk)) return 2;
    return sameKey(psk, this.settings.psk) ? 1 : 0;
  }
}

function sameKey(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === b || a !== undefined && b !== undefined && equalBytes(a, b);
}
