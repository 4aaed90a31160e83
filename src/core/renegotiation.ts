/**
 * After a takeover: which inherited tunnels the IKE daemon is to negotiate anew, when, and what has come of it. One
 * after the other at a limited rate, the busiest first, each once in a reign. Pure; the control of strongSwan asks.
 */

import type { Counters } from "../ports.ts";
import {
  type Address,
  addressBits,
  equalBytes,
  familyOf,
  formatAddress,
  type Prefix,
  prefixContains,
} from "../record/address.ts";
import type { Selector } from "../record/sa.ts";
import { bump } from "./bump.ts";
import type { Effects } from "./effect.ts";

/** Until then data of the old master may come, and the tunnel would be an old one: TAIL of the design, section 6. */
export const RENEGOTIATE_AFTER_MS = 10_000;

/** A tunnel that has no new SAs so long after charon was asked has failed. */
export const RENEGOTIATED_WITHIN_MS = 30_000;

/** How often it is looked what has come of those that were asked for. */
const LOOK_MS = 1000;

/** SAs looked at in one step: less than a millisecond. */
const LOOKS_AT_ONCE = 500;

/** A child of a connection that is configured here and has a peer to be called. */
export interface Child {
  readonly ike: string;
  readonly child: string;
  /** Endpoints here; none: any. */
  readonly locals: readonly Address[];
  readonly remotes: readonly Address[];
  readonly localNets: readonly Net[];
  readonly remoteNets: readonly Net[];
}

/** Either the addresses themselves, or the endpoint on that side. */
export type Net = Prefix | "dynamic";

/** Where an outbound SA leads. */
export interface InheritedTunnel {
  readonly spi: number;
  readonly src: Address;
  readonly dst: Address;
  /** Of the policies that use it. */
  readonly selectors: readonly Pick<Selector, "src" | "srcBits" | "dst" | "dstBits">[];
}

/** What is inherited. */
export interface Heritage {
  /** Keys of all inherited SAs, the busiest first; undefined: they are not known yet. */
  busiest(nowMs: number): readonly string[] | undefined;
  /** Of an inherited outbound SA that nothing has replaced; undefined for every other key. */
  tunnelOf(key: string): InheritedTunnel | undefined;
}

export interface RenegotiationParts {
  readonly heritage: Heritage;
  readonly perSecond: number;
  readonly effects: Effects;
  readonly counters: Counters;
}

/** A child, and the inherited SA that it is to replace. */
interface Task {
  readonly child: Child;
  readonly key: string;
}

/** What has come of the tunnels of one reign. */
interface Tally {
  anew: number;
  failed: number;
  /** charon has the SA itself: it negotiated it when this node was master before. */
  known: number;
  /** No connection, or several, could be initiated for them. */
  left: number;
}

export class Renegotiation {
  #startMs = Infinity;
  /** By the addresses of their peers. */
  #children: ReadonlyMap<string, readonly Child[]> | undefined;
  /** SPIs of charon's own outbound SAs. */
  #known: ReadonlySet<number> = new Set();
  #keys: readonly string[] | undefined;
  /** How many of the keys have been looked at. */
  #turn = 0;
  #ahead: Task | undefined;
  #nextMs = 0;
  #judgedMs = -Infinity;
  /** Whose SAs are awaited, by name, and since when. */
  readonly #asked = new Map<string, Task & { readonly sinceMs: number }>();
  readonly #tried = new Set<string>();
  #tally: Tally | undefined;
  #isHeld = false;

  constructor(private readonly parts: RenegotiationParts) {}

  /** This node has taken over. */
  begin(nowMs: number): void {
    this.end();
    this.#startMs = nowMs + RENEGOTIATE_AFTER_MS;
    this.#tally = { anew: 0, failed: 0, known: 0, left: 0 };
  }

  /** This node is master no more: nothing is asked for. */
  end(): void {
    this.#startMs = Infinity;
    this.#children = undefined;
    this.#keys = undefined;
    this.#ahead = undefined;
    this.#tally = undefined;
    this.#turn = this.#nextMs = 0;
    this.#asked.clear();
    this.#tried.clear();
  }

  /** While a handover is under way nothing is begun. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
  }

  /** Sees what has come of what was asked for. @returns whether charon is to be asked for more, see `next` */
  look(nowMs: number): boolean {
    this.#judge(nowMs);
    if (this.#isHeld || nowMs < this.#startMs) return false;
    this.#keys ??= this.parts.heritage.busiest(nowMs);
    if (this.#keys === undefined || this.#keys.length === 0) return false;
    if (this.#children === undefined) return true;
    this.#seek(this.#keys);
    this.#tellEnd(this.#keys);
    return this.#ahead !== undefined && nowMs >= this.#nextMs;
  }

  /** Whether `take` has been called in this reign. */
  get knowsChildren(): boolean {
    return this.#children !== undefined;
  }

  /** All children that can be initiated from here, and the SPIs of the outbound SAs that charon has itself. */
  take(children: readonly Child[], known: ReadonlySet<number>): void {
    this.#known = known;
    const places = children.flatMap((child) => child.remotes.map((at) => ({ at: formatAddress(at), child })));
    const groups = Map.groupBy(places, ({ at }) => at);
    this.#children = new Map([...groups].map(([at, found]) => [at, found.map(({ child }) => child)]));
  }

  /** @returns the child that is to be initiated now; its turn is over then */
  next(nowMs: number): Child | undefined {
    if (!this.look(nowMs) || this.#ahead === undefined) return undefined;
    const { child } = this.#ahead;
    this.#asked.set(nameOf(child), { ...this.#ahead, sinceMs: nowMs });
    this.#tried.add(nameOf(child));
    this.#ahead = undefined;
    this.#nextMs = nowMs + 1000 / this.parts.perSecond;
    return child;
  }

  /** charon has not even begun. */
  refused(child: Child, reason: string): void {
    if (this.#asked.delete(nameOf(child))) this.#fail(`${nameOf(child)} is not negotiated anew: ${reason}`);
  }

  /** How long to wait before the next look; Infinity: there is nothing more to do. */
  waitMs(nowMs: number): number {
    if (nowMs < this.#startMs) return this.#startMs - nowMs;
    if (this.#keys === undefined || this.#isHeld) return LOOK_MS;
    const isLeft = this.#turn < this.#keys.length || this.#ahead !== undefined;
    const nextMs = isLeft ? Math.max(0, this.#nextMs - nowMs) : Infinity;
    return this.#asked.size > 0 ? Math.min(LOOK_MS, nextMs) : nextMs;
  }

  #judge(nowMs: number): void {
    if (nowMs - this.#judgedMs < LOOK_MS) return;
    this.#judgedMs = nowMs;
    for (const [name, { key, sinceMs }] of this.#asked) {
      const isThrough = this.parts.heritage.tunnelOf(key) === undefined;
      if (!isThrough && nowMs - sinceMs < RENEGOTIATED_WITHIN_MS) continue;
      this.#asked.delete(name);
      if (isThrough) this.#count("anew");
      else this.#fail(`${name} was not negotiated anew within ${RENEGOTIATED_WITHIN_MS / 1000} s`);
    }
  }

  /** Looks for the next tunnel that charon can negotiate, unless that is found and still what it was. */
  #seek(keys: readonly string[]): void {
    if (this.#ahead !== undefined && this.parts.heritage.tunnelOf(this.#ahead.key) === undefined) {
      this.#ahead = undefined;
    }
    const end = Math.min(keys.length, this.#turn + LOOKS_AT_ONCE);
    while (this.#ahead === undefined && this.#turn < end) this.#ahead = this.#taskOf(keys[this.#turn++]!);
  }

  #taskOf(key: string): Task | undefined {
    const tunnel = this.parts.heritage.tunnelOf(key);
    if (tunnel === undefined) return undefined;
    if (this.#known.has(tunnel.spi)) {
      this.#count("known");
      return undefined;
    }
    const child = childOf(tunnel, this.#children?.get(formatAddress(tunnel.dst)) ?? []);
    if (child === undefined) this.#count("left");
    return child === undefined || this.#tried.has(nameOf(child)) ? undefined : { child, key };
  }

  /** Once in a reign. */
  #tellEnd({ length }: readonly string[]): void {
    if (this.#tally === undefined || this.#turn < length || this.#ahead !== undefined) return;
    if (this.#asked.size > 0) return;
    const { anew, failed, known, left } = this.#tally;
    const text = `inherited tunnels: ${anew} negotiated anew, ${failed} failed, ${known} known to charon, ` +
      `${left} cannot be negotiated from here`;
    this.parts.effects.log("state", text);
    this.#tally = undefined;
  }

  #fail(text: string): void {
    this.#count("failed");
    this.parts.effects.log("error", text, "not negotiated anew");
  }

  #count(what: keyof Tally): void {
    bump(this.parts, COUNTER_NAMES[what]);
    if (this.#tally !== undefined) this.#tally[what]++;
  }
}

const COUNTER_NAMES: Readonly<Record<keyof Tally, string>> = {
  anew: "tunnels negotiated anew",
  failed: "tunnels not negotiated anew",
  known: "inherited tunnels known to charon",
  left: "tunnels that cannot be negotiated from here",
};

function nameOf({ ike, child }: Child): string {
  return `${ike}/${child}`;
}

/** The one child for this tunnel: with just these selectors, else with wider ones that the peer has narrowed. */
function childOf(tunnel: InheritedTunnel, children: readonly Child[]): Child | undefined {
  for (const matches of [isSame, prefixContains]) {
    const found = children.filter((child) => fits(child, tunnel, matches));
    if (found.length > 0) return found.length === 1 ? found[0] : undefined;
  }
  return undefined;
}

function fits(child: Child, tunnel: InheritedTunnel, matches: typeof prefixContains): boolean {
  const { locals, localNets, remoteNets } = child;
  const { src, dst, selectors } = tunnel;
  if (locals.length > 0 && !locals.some((local) => equalBytes(local, src))) return false;
  const isAmong = (nets: readonly Net[], endpoint: Address, inner: Prefix) =>
    nets.some((net) => matches(net === "dynamic" ? hostOf(endpoint) : net, inner));
  return selectors.every((one) =>
    isAmong(localNets, src, { address: one.src, bits: one.srcBits }) &&
    isAmong(remoteNets, dst, { address: one.dst, bits: one.dstBits })
  );
}

function hostOf(address: Address): Prefix {
  return { address, bits: addressBits(familyOf(address)) };
}

function isSame(a: Prefix, b: Prefix): boolean {
  return a.bits === b.bits && equalBytes(a.address, b.address);
}
