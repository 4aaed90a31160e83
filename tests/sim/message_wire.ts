/**
 * Sessions that hand messages over as they are: in order, with delay, lost when a session breaks. Each end learns that by
 * itself, at once or when nothing has come for a while; a new session may come before that.
 */

import type { Message } from "../../src/wire/native/message.ts";
import type { Gateway } from "./gateway.ts";
import type { Wire, WireOptions } from "./wire.ts";

/** An end that hears nothing for so long gives its session up. */
const SILENCE_MS = 3000;

/** The peer is known to be alive at least this often. */
const PING_MS = 1000;

/** The chance that two who can reach each other get a session, in each step. */
const DIAL_CHANCE = 0.1;

interface Arrival {
  readonly atMs: number;
  readonly what: { readonly message: Message; readonly epoch: number } | "up" | "end";
}

/** What one daemon has of a session. */
interface End {
  readonly at: Gateway;
  readonly peer: Gateway;
  readonly inbox: Arrival[];
  /** The other end, until that has given the session up. */
  far: End | undefined;
  isUp: boolean;
  heardMs: number;
  pingedMs: number;
}

export class MessageWire implements Wire {
  damage = 0;
  readonly #ends = new Map<string, End>();
  readonly #nodeIds = new Map<string, string>();
  readonly #pairs: readonly (readonly [Gateway, Gateway])[];

  constructor(private readonly options: WireOptions) {
    const { gateways } = options;
    this.#pairs = gateways.flatMap((a, i) => gateways.slice(i + 1).map((b) => [a, b] as const));
  }

  start(gateway: Gateway, nodeId: string): void {
    this.#nodeIds.set(gateway.name, nodeId);
  }

  stop(gateway: Gateway): void {
    for (const end of [...this.#ends.values()]) if (end.at === gateway) this.#drop(end);
  }

  step(): void {
    for (const [a, b] of this.#pairs) this.#dial(a, b);
  }

  receive(gateway: Gateway): void {
    for (const peer of this.options.gateways) {
      const end = this.#endOf(gateway, peer);
      if (end !== undefined) this.#serve(end);
    }
  }

  send(from: Gateway, to: Gateway, messages: readonly Message[]): void {
    const end = this.#endOf(from, to);
    if (end?.isUp !== true || end.far === undefined) return;
    const epoch = from.node?.membership.epoch ?? 0;
    for (const message of messages) this.#push(end.far, { message, epoch });
  }

  isLive(from: Gateway, to: Gateway): boolean {
    return this.#endOf(from, to)?.isUp === true;
  }

  hasRoom(from: Gateway, to: Gateway): boolean {
    return this.isLive(from, to);
  }

  close(at: Gateway, peer: Gateway): void {
    const end = this.#endOf(at, peer);
    if (end !== undefined) this.#giveUp(end);
  }

  reset(a: Gateway, b: Gateway): void {
    for (const end of [this.#endOf(a, b), this.#endOf(b, a)]) {
      if (end === undefined) continue;
      end.inbox.splice(Math.floor(this.options.random() * (end.inbox.length + 1)));
      this.#push(end, "end");
    }
  }

  #endOf(at: Gateway, peer: Gateway): End | undefined {
    return this.#ends.get(`${at.name} ${peer.name}`);
  }

  #dial(a: Gateway, b: Gateway): void {
    const { paths, random, nowMs } = this.options;
    if (a.node === undefined || b.node === undefined) return;
    const [near, far] = [this.#endOf(a, b), this.#endOf(b, a)];
    if (near?.far !== undefined || paths.holds(a.name, b.name) || paths.holds(b.name, a.name)) return;
    if (random() >= DIAL_CHANCE) return;
    for (const old of [near, far]) if (old !== undefined) this.#giveUp(old);
    const times = { heardMs: nowMs(), pingedMs: nowMs() };
    const first: End = { at: a, peer: b, inbox: [], far: undefined, isUp: false, ...times };
    const second: End = { at: b, peer: a, inbox: [], far: first, isUp: false, ...times };
    first.far = second;
    for (const end of [first, second]) this.#ends.set(`${end.at.name} ${end.peer.name}`, end);
    const [earlier, later] = random() < 0.5 ? [first, second] : [second, first];
    this.#push(earlier, "up");
    this.#push(later, "up");
  }

  #serve(end: End): void {
    const { paths, nowMs, events } = this.options;
    const [from, to] = [end.peer.name, end.at.name];
    const isReachable = !paths.holds(from, to);
    if (isReachable && end.far !== undefined && end.peer.frozenUntilMs <= nowMs()) end.heardMs = nowMs();
    if (nowMs() - end.heardMs > SILENCE_MS) return this.#giveUp(end);
    if (end.isUp && end.heardMs === nowMs() && nowMs() - end.pingedMs >= PING_MS) {
      end.pingedMs = nowMs();
      end.at.node!.heard(from, end.at.nowMs);
    }
    while (isReachable && end.inbox[0] !== undefined && end.inbox[0].atMs <= nowMs()) {
      const { what } = end.inbox.shift()!;
      if (what === "end") return this.#giveUp(end);
      if (what === "up") {
        end.isUp = true;
        events.up(end.at, end.peer, this.#nodeIds.get(from)!);
      } else {
        events.message(end.at, end.peer, what.message, what.epoch);
        end.at.node!.heard(from, end.at.nowMs);
      }
      if (this.#endOf(end.at, end.peer) !== end) return;
    }
  }

  #push(end: End, what: Arrival["what"]): void {
    const { nowMs, paths } = this.options;
    const atMs = nowMs() + paths.delayMs(end.peer.name, end.at.name);
    end.inbox.push({ atMs: Math.max(atMs, end.inbox.at(-1)?.atMs ?? 0), what });
  }

  #giveUp(end: End): void {
    this.#drop(end);
    if (end.isUp) this.options.events.down(end.at, end.peer);
  }

  #drop(end: End): void {
    this.#ends.delete(`${end.at.name} ${end.peer.name}`);
    if (end.far === undefined) return;
    this.#push(end.far, "end");
    end.far.far = undefined;
  }
}
