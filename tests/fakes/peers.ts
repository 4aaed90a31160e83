/** Peers in a fake world, and strangers: connections that a test speaks on by itself. */

import { Peers, type PeersEvents, type PeersSettings } from "../../src/daemon/peers.ts";
import { RepeatLimit } from "../../src/log/repeat_limit.ts";
import type { Listener } from "../../src/ports.ts";
import type { Hello, Message } from "../../src/wire/native/message.ts";
import { NativeSession } from "../../src/wire/native/session.ts";
import { FakeLog } from "./log.ts";
import type { FakeConnection } from "./network.ts";
import { addr } from "./records.ts";
import { sampleHello, seededRandom, TEST_PSK } from "./sessions.ts";
import type { FakePoller, World } from "./world.ts";

export const PORT = 500;

export interface PartyOptions {
  readonly address: string;
  readonly peers: readonly string[];
  /** First byte of the node id. */
  readonly id: number;
  readonly psk?: Uint8Array;
  readonly nextPsk?: Uint8Array;
  /** Keys of single peers. */
  readonly psks?: Readonly<Record<string, Uint8Array>>;
  readonly events?: Partial<PeersEvents>;
}

/** One node's connections, with all that they told. */
export class Party {
  readonly log = new FakeLog();
  readonly poller: FakePoller;
  readonly peers: Peers;
  /** `up 10.0.0.2 07`, `down 10.0.0.2`, `ack 10.0.0.2` … */
  readonly events: string[] = [];
  readonly #options: PartyOptions;
  readonly #listeners: readonly Listener[];
  readonly #limits: readonly [RepeatLimit, RepeatLimit];
  readonly #acts: ((peers: Peers) => void)[] = [];
  #stopReason: string | undefined;

  constructor(readonly world: World, options: PartyOptions) {
    const { address, id } = options;
    const transport = world.network.host(address);
    this.#options = options;
    this.#listeners = [transport.listen({ address: addr(address), port: PORT })];
    this.poller = world.poller();
    const limit = (say: (text: string) => void) => new RepeatLimit({ say, quietMs: 60_000 });
    this.#limits = [limit(this.log.error), limit(this.log.state)];
    const [refusals, troubles] = this.#limits;
    this.peers = new Peers({
      transport,
      clock: world.clock,
      random: seededRandom(id * 7919),
      log: this.log,
      refusals,
      troubles,
      ...this.#settings(options),
      events: {
        up: (peer, hello, slaveOnly) => {
          this.events.push(`up ${peer} ${hello.nodeId.toHex().slice(0, 2)}`);
          options.events?.up?.(peer, hello, slaveOnly);
        },
        down: (peer) => {
          this.events.push(`down ${peer}`);
          options.events?.down?.(peer);
        },
        heard: () => {},
        message: (peer, message, nowMs) => {
          this.events.push(`${message.type} ${peer}`);
          options.events?.message?.(peer, message, nowMs);
        },
      },
    });
    world.start(() => this.#run());
  }

  /** Another configuration. */
  configure(changed: Partial<PartyOptions>): Promise<void> {
    return this.act((peers) => peers.configure(this.#settings({ ...this.#options, ...changed })));
  }

  #settings({ peers, id, address, psk = TEST_PSK, psks = {}, nextPsk }: PartyOptions): PeersSettings {
    return {
      peers: peers.map((name) => ({
        name,
        address: addr(name),
        port: PORT,
        psk: psks[name] ?? psk,
        nextPsk,
        slaveOnly: false,
      })),
      listeners: this.#listeners,
      localAddresses: [addr(address)],
      hello: helloOf(id),
    };
  }

  /** Does something between two waits, as the owner of Peers does. */
  async act(what: (peers: Peers) => void): Promise<void> {
    this.#acts.push(what);
    this.poller.wake();
    await this.world.run(0);
  }

  /** Says goodbye and ends. */
  stop(reason: string): void {
    this.#stopReason = reason;
    this.poller.wake();
  }

  async #run(): Promise<void> {
    const { peers, poller, world } = this;
    for (let nextMs = 0; this.#stopReason === undefined;) {
      const ready = await poller.wait(peers.interests(), Math.max(0, nextMs - world.clock.nowMs));
      peers.ready(new Map(ready.map((one) => [one.fd, one])));
      for (const act of this.#acts.splice(0)) act(peers);
      nextMs = peers.tick();
      for (const limit of this.#limits) limit.flush(world.clock.nowMs);
    }
    peers.stop(this.#stopReason);
  }
}

export function helloOf(id: number): Hello {
  return { ...sampleHello, nodeId: new Uint8Array(16).fill(id) };
}

/** One end of a connection with a session of its own, moved by the test. */
export class Stranger {
  readonly session: NativeSession;
  readonly heard: Message[] = [];
  /** Every byte that came. */
  readonly bytes: number[] = [];
  /** Why there is nothing more to read. */
  closed: string | undefined;

  constructor(
    readonly world: World,
    readonly connection: FakeConnection,
    initiator: boolean,
    psk: Uint8Array = TEST_PSK,
    seed = connection.fd,
  ) {
    const nowMs = world.clock.nowMs;
    this.session = new NativeSession({ initiator, psk, random: seededRandom(seed), nowMs });
  }

  /** Connects from an address. */
  static async dial(world: World, from: string, to: string, psk?: Uint8Array): Promise<Stranger> {
    const connection = world.network.connect(addr(from), { address: addr(to), port: PORT });
    await world.run(0);
    connection.finishConnect();
    return new Stranger(world, connection, true, psk);
  }

  /** Connects, shakes hands and says hello. */
  static async meet(world: World, from: string, to: string, id: number): Promise<Stranger> {
    const stranger = await Stranger.dial(world, from, to);
    await stranger.shake();
    stranger.send([helloOf(id)]);
    await stranger.read();
    return stranger;
  }

  /** Both messages of the handshake; then it may send, if the other side has the key. */
  async shake(): Promise<void> {
    await this.read();
    await this.read();
  }

  /** Hands over what the session has to say, lets the others run, and reads what there is. */
  async read(): Promise<Message[]> {
    this.#flush();
    await this.world.run(0);
    const fresh: Message[] = [];
    for (;;) {
      const received = this.connection.receive(65_536);
      if (received.kind === "closed") this.closed = received.reason;
      if (received.kind !== "data") break;
      this.bytes.push(...received.bytes);
      fresh.push(...this.session.push(received.bytes, this.world.clock.nowMs));
    }
    this.#flush();
    this.heard.push(...fresh);
    await this.world.run(0);
    return fresh;
  }

  send(messages: readonly Message[]): void {
    this.raw(this.session.seal(messages, this.world.clock.nowMs));
  }

  /** Bytes as they are. @throws {Error} when the connection does not take them all. */
  raw(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0;) {
      const taken = this.connection.send(rest);
      if (taken === "closed") return;
      if (taken === 0) throw new Error("the connection is full");
      rest = rest.subarray(taken);
    }
  }

  #flush(): void {
    for (const frame of this.session.takeOutput()) this.raw(frame);
  }
}
