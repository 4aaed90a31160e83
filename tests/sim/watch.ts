/** What must be true at every step of a simulated world. What is not ends the world with an error that says so. */

import type { MirrorEntry } from "../../src/core/mirror.ts";
import { WINDOW_BYTES } from "../../src/core/outbox.ts";
import { DecodeError, PeerError } from "../../src/errors.ts";
import { equalBytes } from "../../src/record/address.ts";
import { decodeIdentity } from "../../src/record/encoding.ts";
import { recordKey } from "../../src/record/record.ts";
import { type Sa, saKey } from "../../src/record/sa.ts";
import type { Message, State } from "../../src/wire/native/message.ts";
import type { Gateway } from "./gateway.ts";

/** Every key of the workload begins with this. */
export const KEY_MARK = "SeCrEtKeY!";
const KEY_BYTES = new TextEncoder().encode(KEY_MARK);
const KEY_HEX = KEY_BYTES.toHex();

/** What waits for a peer besides identities: BEGIN, END, a flush of SAs and one of policies for each selector. */
const OTHER_PENDING = 8;

/** The greatest message: the window counts whole ones, so the last may go over it. */
const MESSAGE_BYTES = 32 * 1024;

/** What one gateway has handed over for another one since their session began. */
interface Sent {
  /** Of the sender: what it sent in an earlier one, and was not acknowledged before it stepped down, never is. */
  epoch: number;
  /** Its last change, and the last that was acknowledged. */
  last: number;
  acknowledged: number;
  flight: { readonly change: number; readonly bytes: number }[];
}

/** Packets that one gateway has sent without a gap with one key. */
interface Sending {
  readonly by: string;
  readonly sa: string;
  readonly from: bigint;
  to: bigint;
  /** When its daemon was started last nobody knew that the SA had come to the first of them. */
  isForgotten: boolean;
}

export class Watch {
  /** Identities that have ever been in a kernel. */
  readonly identities = new Set<string>();
  /** The sequence numbers that went out, by the key of the SA. */
  readonly #used = new Map<string, Sending[]>();
  readonly #sent = new Map<string, Sent>();
  /** What each gateway was told last by each peer of its role, on this session. */
  readonly #states = new Map<string, State>();
  readonly #epochs = new Map<object, number>();
  /** What every node had when all were equal, and nobody has deleted since. */
  #agreed = new Set<string>();

  /** A line of the log, or a reason that is told. */
  text(who: string, text: string): void {
    if (text.includes(KEY_MARK) || text.toLowerCase().includes(KEY_HEX)) fail(who, `says a key: ${text}`);
  }

  /** Bytes on the network. */
  bytes(from: string, bytes: Uint8Array): void {
    for (let i = bytes.indexOf(KEY_BYTES[0]!); i >= 0; i = bytes.indexOf(KEY_BYTES[0]!, i + 1)) {
      if (equalBytes(bytes.subarray(i, i + KEY_BYTES.length), KEY_BYTES)) {
        fail(from, "sends a key unencrypted");
      }
    }
  }

  /** A session begins or ends at this gateway. */
  session(at: Gateway, peer: Gateway): void {
    this.#states.delete(wayOf(peer, at));
    const sent = this.#sentOn(at, peer);
    sent.acknowledged = sent.last;
    sent.flight = [];
  }

  /** These go to a peer. No more is unacknowledged than the window allows. */
  sends(from: Gateway, to: Gateway, messages: readonly Message[]): void {
    const sent = this.#sentOn(from, to);
    const { epoch } = from.node!.membership;
    if (epoch !== sent.epoch) sent.flight = [];
    sent.epoch = epoch;
    for (const message of messages) {
      if (message.type === "refused") this.text(from.name, message.reason);
      if (message.type === "ack" || !("change" in message) || message.change === 0) continue;
      if (message.change !== sent.last + 1) sent.acknowledged = message.change - 1; // a new life counts anew
      sent.last = message.change;
      const bytes = message.type === "put" ? message.content.length + message.volatile.length : 0;
      sent.flight.push({ change: message.change, bytes });
    }
    const total = sent.flight.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total > WINDOW_BYTES + MESSAGE_BYTES) {
      fail(from.name, `has ${total} bytes unacknowledged at ${to.name}`);
    }
  }

  /**
   * A message comes, and `act` has the node take it. An honest peer is never refused. A slave takes data from the master
   * of no smaller epoch than its own only; a master takes from others what it does not know, and changes nothing.
   */
  receive(at: Gateway, from: Gateway, message: Message, sentIn: number | undefined, act: () => void): void {
    const node = at.node!;
    const { role, epoch } = node.membership;
    const before = { digest: node.mirror.digest, size: node.mirror.size };
    const key = message.type === "counters" ? decodeIdentity("sa", message.identity).key : "";
    const entry = node.mirror.get(key);
    try {
      act();
    } catch (error) {
      if (!(error instanceof PeerError || error instanceof DecodeError)) throw error;
      fail(at.name, `does not take ${message.type} of ${from.name}: ${error.message}`);
    }
    if (message.type === "state") this.#states.set(wayOf(from, at), message);
    if (message.type === "ack") this.#acknowledge(at, from, message.change);
    const after = node.mirror.get(key);
    if (entry?.counters !== undefined && (after?.counters?.oseq ?? 0n) < entry.counters.oseq) {
      fail(at.name, `moves the counter of ${key} back`);
    }
    const isSame = equalBytes(before.digest, node.mirror.digest) && entry === after;
    if (isSame) return;
    if (role === "MASTER") {
      const isOffer = message.type === "put" && node.mirror.size === before.size + 1;
      if (!isOffer && entry === after) fail(at.name, `is master and takes ${message.type} of ${from.name}`);
      return;
    }
    const state = this.#states.get(wayOf(from, at));
    const known = Math.min(sentIn ?? Infinity, state?.role === "MASTER" ? state.epoch : -1);
    if (known < epoch) {
      const of = known < 0 ? "from one that is no master" : `of epoch ${known}`;
      fail(at.name, `takes ${message.type} ${of} in epoch ${epoch}`);
    }
  }

  /** The daemon of this gateway has done a turn. */
  turned(gateway: Gateway, peers: readonly Gateway[]): void {
    const { name, node } = gateway;
    if (node === undefined) return;
    const { role, epoch } = node.membership;
    if (epoch < (this.#epochs.get(node) ?? 0)) fail(name, `goes back to epoch ${epoch}`);
    this.#epochs.set(node, epoch);
    if (role === "MASTER" && node.demotion.demoted && node.handover.demotes === undefined) {
      fail(name, `is master and demoted: ${node.demotion.reason}`);
    }
    for (const peer of peers) {
      const { last, acknowledged } = this.#sentOn(gateway, peer);
      const pending = (node.lag(peer.name, gateway.nowMs)?.changes ?? 0) - (last - acknowledged);
      const most = this.identities.size + OTHER_PENDING;
      if (pending > most) {
        fail(name, `has ${pending} changes waiting for ${peer.name}, for ${most} identities`);
      }
    }
  }

  /** The guard is as the node wants it: a master sends, anybody else does not. */
  guarded({ name, node, guarded }: Gateway): void {
    if (node === undefined) return;
    const { role } = node.membership;
    const isLifted = role === "MASTER" && !node.advancing;
    if (isLifted && (guarded?.size ?? 0) > 0) fail(name, "is master and its guard is not lifted");
    if (!isLifted) {
      for (const { identity, refused } of node.mirror.values()) {
        if (identity.kind !== "policy" || refused !== undefined) continue;
        if (guarded === undefined || guarded.size === 0) fail(name, "could send as slave: there is no guard");
        break;
      }
    }
  }

  /** Packets go out on an SA. No number goes out twice with one key, unless all have forgotten (sasyncd(8), CAVEATS). */
  packets({ name }: Gateway, sa: Sa, count: bigint): void {
    const key = sa.aead!.key.toHex();
    const { oseq } = sa.counters;
    const used = this.#used.get(key) ?? [];
    const twice = used.find(({ by, from, to, isForgotten }) =>
      oseq < to && oseq + count > from && !(isForgotten && by === name)
    );
    if (twice !== undefined) {
      const spi = sa.spi.toString(16);
      fail(name, `sends ${oseq} to ${oseq + count} on ${spi} again: ${twice.from} to ${twice.to} went out`);
    }
    const last = used.findLast(({ by }) => by === name);
    if (last?.to === oseq && !last.isForgotten) last.to = oseq + count;
    else used.push({ by: name, sa: saKey(sa), from: oseq, to: oseq + count, isForgotten: false });
    this.#used.set(key, used);
  }

  /** A daemon starts, and knows of what it sent before only what some kernel or another daemon knows. */
  starts({ name }: Gateway, gateways: readonly Gateway[]): void {
    for (const sending of [...this.#used.values()].flat()) {
      if (sending.by !== name) continue;
      sending.isForgotten = !gateways.some((gateway) => hasHeard(gateway, sending));
    }
  }

  /** Nobody takes packets of this SA any more. */
  ended(sa: Sa): void {
    this.#used.delete(sa.aead!.key.toHex());
  }

  /** Somebody has this record gone. */
  gone(key: string): void {
    this.#agreed.delete(key);
  }

  /** What its kernel holds is the truth from now on. One that never was equal to a master may lack anything. */
  takesOver({ node, isCurrent }: Gateway): void {
    if (!isCurrent) this.#agreed.clear();
    for (const { key, refused } of node?.mirror.values() ?? []) if (refused !== undefined) this.gone(key);
  }

  /** When all nodes are up and equal, nothing is missing that they had when they were so before. */
  compare(gateways: readonly Gateway[]): void {
    const nodes = gateways.map(({ node }) => node).filter((node) => node !== undefined);
    const masters = nodes.filter(({ membership }) => membership.acting);
    const [master] = masters;
    if (gateways.some(({ isBehind }) => isBehind)) return; // what has gone may have come back already
    if (nodes.length < gateways.length || masters.length !== 1 || master === undefined) return;
    const { epoch } = master.membership;
    if (nodes.some((node) => node !== master && !(node.synced && node.membership.epoch === epoch))) return;
    for (const key of this.#agreed) {
      if (nodes.every(({ mirror }) => mirror.get(key) === undefined)) fail("world", `has lost ${key}`);
    }
    // what a kernel does not hold is on its way out, or was refused
    const held = gateways.map(({ kernel }) => new Set(kernel.records().map(recordKey)));
    const common = [...master.mirror.values()].filter((entry) =>
      held.every((kernel) => kernel.has(entry.key)) &&
      nodes.every(({ mirror }) => isAlike(mirror.get(entry.key), entry))
    );
    this.#agreed = new Set(common.map(({ key }) => key));
  }

  #acknowledge(at: Gateway, from: Gateway, change: number): void {
    const sent = this.#sentOn(at, from);
    sent.acknowledged = Math.max(sent.acknowledged, change);
    sent.flight = sent.flight.filter((one) => one.change > change);
  }

  #sentOn(from: Gateway, to: Gateway): Sent {
    const way = wayOf(from, to);
    const sent = this.#sent.get(way) ?? { epoch: 0, last: 0, acknowledged: 0, flight: [] };
    this.#sent.set(way, sent);
    return sent;
  }
}

/** Whether both are of the same making: a node that has another one has yet to hear that it went and came again. */
function isAlike(a: MirrorEntry | undefined, b: MirrorEntry): boolean {
  if (b.identity.kind === "policy") return a?.rank === b.rank;
  return a !== undefined && equalBytes(a.content, b.content);
}

/** Whether a gateway's daemon or kernel knows that the SA has reached these numbers. */
function hasHeard({ node, kernel }: Gateway, { sa, from }: Sending): boolean {
  const told = node?.mirror.get(sa)?.counters;
  const held = kernel.records().find((record) => recordKey(record) === sa);
  return told !== undefined && told.oseq >= from || held?.kind === "sa" && held.sa.counters.oseq >= from;
}

function wayOf(from: Gateway, to: Gateway): string {
  return `${from.name}>${to.name}`;
}

function fail(who: string, what: string): never {
  throw new Error(`${who} ${what}`);
}
