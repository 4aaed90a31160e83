/**
 * The daemon's own connections over TCP in memory: real handshakes, frames, keys and their changes. Bytes are cut anywhere,
 * and spoilt on request.
 */

import { Peers } from "../../src/daemon/peers.ts";
import { RepeatLimit } from "../../src/log/repeat_limit.ts";
import type { LogMessage } from "../../src/log/verbosity.ts";
import type { Message } from "../../src/wire/native/message.ts";
import { SESSION_LIMITS } from "../../src/wire/native/session.ts";
import { FakeNetwork } from "../fakes/network.ts";
import { addr } from "../fakes/records.ts";
import { sampleHello, seededRandom, TEST_PSK } from "../fakes/sessions.ts";
import type { Gateway } from "./gateway.ts";
import type { Wire, WireOptions } from "./wire.ts";

const PORT = 500;

export class FrameWire implements Wire {
  damage = 0;
  readonly #network: FakeNetwork;
  readonly #peers = new Map<string, Peers>();
  #seed = 0;

  constructor(private readonly options: WireOptions) {
    const { nowMs, random, paths, events } = options;
    // a world lives for a minute: keys and sessions are changed often enough to matter
    Object.assign(SESSION_LIMITS, { rekeyFrames: 60, rekeyMs: 4000, renewMs: 15_000 });
    this.#network = new FakeNetwork({ bootMs: nowMs, look: nowMs, wallSeconds: () => 0 });
    const nameOf = (address: string) =>
      options.gateways[Number(address.slice(address.lastIndexOf(".") + 1)) - 1]!.name;
    this.#network.latencyMs = (from, to) => paths.delayMs(nameOf(from), nameOf(to));
    this.#network.holds = (from, to) => paths.holds(nameOf(from), nameOf(to));
    this.#network.chop = () => random() < 0.9 ? Infinity : 1 + Math.floor(random() * 100);
    this.#network.carry = (bytes, from) => {
      events.bytes(nameOf(from), bytes);
      return this.#carry(bytes);
    };
  }

  start(gateway: Gateway, nodeId: string): void {
    const { gateways, events } = this.options;
    const address = this.#addressOf(gateway);
    const transport = this.#network.host(address);
    const say = (text: LogMessage) => events.said(gateway, typeof text === "function" ? text() : text);
    const limit = new RepeatLimit({ say, quietMs: 60_000 });
    const named = (name: string) => gateways.find((one) => one.name === name)!;
    this.#peers.set(
      gateway.name,
      new Peers({
        transport,
        clock: gateway.clock,
        random: seededRandom(++this.#seed * 7919),
        log: { error: say, notice: say, state: say, detail: say, trace: say },
        refusals: limit,
        troubles: limit,
        peers: gateways.filter((other) => other !== gateway).map((other) => ({
          name: other.name,
          address: addr(this.#addressOf(other)),
          port: PORT,
          psk: TEST_PSK,
          slaveOnly: false,
        })),
        listeners: [transport.listen({ address: addr(address), port: PORT })],
        localAddresses: [addr(address)],
        hello: { ...sampleHello, nodeId: Uint8Array.fromHex(nodeId) },
        events: {
          up: (peer, { nodeId }) => events.up(gateway, named(peer), nodeId.toHex()),
          down: (peer) => events.down(gateway, named(peer)),
          heard: (peer) => gateway.node!.heard(peer, gateway.nowMs),
          message: (peer, message) => events.message(gateway, named(peer), message, undefined),
        },
      }),
    );
  }

  stop(gateway: Gateway): void {
    this.#peers.delete(gateway.name);
    this.#network.kill(this.#addressOf(gateway));
  }

  step(): void {}

  receive(gateway: Gateway): void {
    const peers = this.#peers.get(gateway.name)!;
    peers.ready(new Map(this.#network.ready(peers.interests()).map((one) => [one.fd, one])));
    peers.tick();
  }

  send(from: Gateway, to: Gateway, messages: readonly Message[]): void {
    this.#peers.get(from.name)!.send(to.name, messages);
  }

  isLive(from: Gateway, to: Gateway): boolean {
    return this.#peers.get(from.name)!.live().includes(to.name);
  }

  hasRoom(from: Gateway, to: Gateway): boolean {
    return this.#peers.get(from.name)!.hasRoom(to.name);
  }

  close(at: Gateway, peer: Gateway, reason: string): void {
    this.#peers.get(at.name)!.close(peer.name, reason);
  }

  reset(a: Gateway, b: Gateway): void {
    this.#network.reset(this.#addressOf(a), this.#addressOf(b));
  }

  #addressOf(gateway: Gateway): string {
    return `10.0.0.${this.options.gateways.indexOf(gateway) + 1}`;
  }

  #carry(bytes: Uint8Array): { bytes: Uint8Array; isEnd?: boolean } {
    const { random } = this.options;
    if (this.damage === 0 || random() >= this.damage) return { bytes };
    if (random() < 0.5) return { bytes: bytes.slice(0, random() * bytes.length), isEnd: true };
    const spoilt = bytes.slice();
    spoilt[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
    return { bytes: spoilt };
  }
}
