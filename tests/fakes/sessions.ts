/** Native sessions in pairs, with bytes handed over by the test. */

import type { Random } from "../../src/ports.ts";
import type { Hello, Message } from "../../src/wire/native/message.ts";
import { NativeSession, type SessionLimits } from "../../src/wire/native/session.ts";

/** Bytes from a seed (xorshift32): the same in every run. Never zero for 32 bytes. */
export function seededRandom(seed: number): Random {
  let state = seed | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  };
  return { bytes: (length) => Uint8Array.from({ length }, next) };
}

export const TEST_PSK = new Uint8Array(32).fill(0x5a);

export const sampleHello: Hello = {
  type: "hello",
  revision: 1,
  nodeId: new Uint8Array(16).fill(1),
  os: "test",
  capabilities: 0,
  settingsDigest: new Uint8Array(16),
  addresses: [],
};

export interface SessionPair {
  readonly initiator: NativeSession;
  readonly responder: NativeSession;
}

export interface PairOptions {
  readonly limits?: Partial<SessionLimits>;
  readonly initiatorPsk?: Uint8Array;
  readonly seed?: number;
}

/** Two sessions that have not spoken yet, made at time 0. */
export function newPair({ limits = {}, initiatorPsk = TEST_PSK, seed = 1 }: PairOptions = {}): SessionPair {
  const common = { nowMs: 0, limits };
  return {
    initiator: new NativeSession({
      ...common,
      initiator: true,
      psk: initiatorPsk,
      random: seededRandom(seed),
    }),
    responder: new NativeSession({
      ...common,
      initiator: false,
      psk: TEST_PSK,
      random: seededRandom(seed + 0x1000),
    }),
  };
}

/** What a session has to send of the handshake, in one piece. */
export function outputOf(session: NativeSession): Uint8Array {
  return Uint8Array.from(session.takeOutput().flatMap((frame) => [...frame]));
}

/** Two sessions after the handshake; the responder is half open. */
export function shakenPair(options: PairOptions = {}): SessionPair {
  const pair = newPair(options);
  pair.responder.push(outputOf(pair.initiator), 0);
  pair.initiator.push(outputOf(pair.responder), 0);
  return pair;
}

/** Two sessions that have said hello to each other. */
export function openPair(options: PairOptions = {}): SessionPair {
  const pair = shakenPair(options);
  pair.responder.push(pair.initiator.seal([sampleHello], 0), 0);
  pair.initiator.push(pair.responder.seal([sampleHello], 0), 0);
  return pair;
}

/** Sealed bytes as frames with their lengths. */
export function splitFrames(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = start + 2 + (bytes[start]! << 8 | bytes[start + 1]!);
    frames.push(bytes.slice(start, end));
    start = end;
  }
  return frames;
}

export function pings(...tokens: readonly number[]): Message[] {
  return tokens.map((token) => ({ type: "ping", token }));
}
