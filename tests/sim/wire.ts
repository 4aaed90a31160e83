/** What carries messages between the daemons of the simulated world. There are two: `message_wire.ts`, `frame_wire.ts`. */

import type { Message } from "../../src/wire/native/message.ts";
import type { Gateway } from "./gateway.ts";
import type { Paths } from "./paths.ts";

/** Whom a wire tells what happens on it. */
export interface WireEvents {
  up(at: Gateway, peer: Gateway, nodeId: string): void;
  down(at: Gateway, peer: Gateway): void;
  /** `sentIn`: the epoch of the sender when it sent this, where the wire knows it. */
  message(at: Gateway, peer: Gateway, message: Message, sentIn: number | undefined): void;
  /** A line of the log. */
  said(at: Gateway, text: string): void;
  /** Bytes that go over the network. */
  bytes(from: string, bytes: Uint8Array): void;
}

export interface WireOptions {
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly gateways: readonly Gateway[];
  readonly paths: Paths;
  readonly events: WireEvents;
}

export interface Wire {
  /** The daemon of this gateway starts, with this node id. */
  start(gateway: Gateway, nodeId: string): void;
  /** The daemon has died. */
  stop(gateway: Gateway): void;
  /** Time goes by for what lies between the gateways. */
  step(): void;
  /** What has come goes to the gateway's daemon, which also does what time asks of it. */
  receive(gateway: Gateway): void;
  /** Hands messages over for a peer; without a session they are lost. */
  send(from: Gateway, to: Gateway, messages: readonly Message[]): void;
  /** Whether a session is there. */
  isLive(from: Gateway, to: Gateway): boolean;
  /** Whether it takes more data. */
  hasRoom(from: Gateway, to: Gateway): boolean;
  /** The gateway ends its session. */
  close(at: Gateway, peer: Gateway, reason: string): void;
  /** Something between the two breaks their session. */
  reset(a: Gateway, b: Gateway): void;
  /** How often bytes are spoilt or cut off on their way, where there are bytes. */
  damage: number;
}
