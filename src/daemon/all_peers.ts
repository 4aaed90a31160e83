/** The connections with all peers, whichever protocol each speaks. */

import type { Interest, Readiness } from "../ports.ts";
import type { Message } from "../wire/native/message.ts";
import type { ClassicPeers } from "./classic_peers.ts";
import type { Acquaintance } from "./peer.ts";
import type { Peers, PeersSettings } from "./peers.ts";

export class AllPeers {
  constructor(private readonly native: Peers, private readonly classic: ClassicPeers) {}

  /** The configuration has changed; classic peers stay as they are. */
  configure(settings: PeersSettings): void {
    this.native.configure(settings);
  }

  /** What to wait for. */
  interests(): Interest[] {
    return [...this.native.interests(), ...this.classic.interests()];
  }

  /** What to wait for after `stop`, for a while: connections that their peers have not left yet. */
  leaving(): Interest[] {
    return this.classic.interests();
  }

  /** Names of the peers with a connection in use. */
  live(): string[] {
    return [...this.native.live(), ...this.classic.live()];
  }

  /** How things stand with a peer. */
  acquaintance(name: string): Acquaintance {
    return this.#of(name).acquaintance(name);
  }

  /** Whether more data for this peer may be handed over. */
  hasRoom(name: string): boolean {
    return this.#of(name).hasRoom(name);
  }

  send(name: string, messages: readonly Message[]): void {
    this.#of(name).send(name, messages);
  }

  close(name: string, reason: string): void {
    this.#of(name).close(name, reason);
  }

  stop(reason: string): void {
    this.native.stop(reason);
    this.classic.stop(reason);
  }

  ready(readiness: ReadonlyMap<number, Readiness>): void {
    this.native.ready(readiness);
    this.classic.ready(readiness);
  }

  /** Time goes by; `polledMs`: when the last poll began. @returns when it has to be called again. */
  tick(polledMs: number): number {
    return Math.min(this.native.tick(polledMs), this.classic.tick());
  }

  #of(name: string): Peers | ClassicPeers {
    return this.classic.has(name) ? this.classic : this.native;
  }
}
