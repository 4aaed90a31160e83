/**
 * The SAs that a master has inherited: its IKE daemon does not know them and will never delete them. Says which of
 * them newer ones have replaced, and where the others lead. Pure; the node calls it while it is master.
 */

import type { Counters, KernelEvent } from "../ports.ts";
import { DIRECTION, policyKey } from "../record/policy.ts";
import { isEqualProgress, type Progress } from "../record/progress.ts";
import { identityOf, type RecordIdentity } from "../record/record.ts";
import { type Limits, PROTOCOL, type Sa } from "../record/sa.ts";
import type { Effects } from "./effect.ts";
import { InheritedReqids } from "./inherited_reqids.ts";
import type { Inventory, Item } from "./inventory.ts";
import { limitEndMs } from "./limit_end.ts";
import { type Mirror, type MirrorEntry, recordOf } from "./mirror.ts";
import { PolicyUses, type SaTraits, type Use } from "./policy_uses.ts";
import type { InheritedTunnel } from "./renegotiation.ts";

/** A replaced SA goes when it has carried nothing for so long. */
export const INHERITED_GRACE_MS = 60_000;

/** How often it is judged. */
const JUDGE_MS = 1000;

/** Records decoded, or SAs judged, at once: some milliseconds. */
const AT_ONCE = 500;

/** What an inherited SA, or one that may replace it, is judged by. */
interface Traits extends SaTraits {
  readonly identity: RecordIdentity;
  /** Equal for SAs that can do each other's work, as far as the SA itself says. */
  readonly likeness: string;
  readonly replayWindow: number;
  readonly hard: Limits;
  /** Counts up: a newer SA has a greater one. */
  readonly serial: number;
}

/** Where a replaced SA stood when it was last seen to move. */
interface Still {
  readonly sinceMs: number;
  readonly progress: Progress;
}

/** What it works on. */
export interface InheritedParts {
  readonly mirror: Mirror;
  readonly inventory: Inventory;
  readonly effects: Effects;
  readonly counters: Counters;
  /** The own kernel tells how far SAs have come; of one that does not, nothing is ever called idle. */
  readonly tellsProgress: boolean;
}

/** Figures for the status. */
export interface Inheritance {
  readonly count: number;
  /** Until the first hard time limit ends one; undefined: none has such a limit. */
  readonly firstEndsInMs: number | undefined;
}

/**
 * The inherited SAs of one reign, and what has been made beside them.
 *
 * Addresses do not tell tunnels apart: charon's SAs have empty selectors, the children of one peer share their
 * endpoints, and so do clients behind one NAT. What tells is which policies can use an SA. An inherited SA is replaced
 * when
 * 1. there are SAs like it (protocol, mode, endpoints in this direction, selector, mark, routing domain, interface id,
 *    encapsulation and its ports) that somebody else has made here later in this reign;
 * 2. policies could use it at the takeover;
 * 3. each of these, and each that could use it now, is there, was written by somebody else in this reign, and can use
 *    one of (1). So an outbound policy that still names its SPI keeps it, and so does one that has got its reqid.
 *
 * Whatever a mistake might hit is left to its hard limit.
 */
export class Inherited {
  /** Inherited SAs that have not been decoded yet, by key, with their serials. */
  readonly #unread = new Map<string, number>();
  readonly #sas = new Map<string, Traits>();
  /** The policies that were inherited, as they were. */
  readonly #legacy = new Map<string, Item>();
  readonly #legacyUses = new PolicyUses();
  /** The policies as they are. */
  readonly #uses = new PolicyUses();
  /** What somebody else has made or written here in this reign. */
  readonly #newSas = new Map<string, Traits>();
  /** The same by likeness, as of the last judgement. */
  #alike: ReadonlyMap<string, readonly Traits[]> = new Map();
  readonly #written = new Set<string>();
  readonly #reqids: InheritedReqids;
  readonly #still = new Map<string, Still>();
  #isAnnounced = false;
  #judgedMs = -Infinity;
  #serial = 0;
  /** How many candidates have had their turn. */
  #turn = 0;

  constructor(private readonly parts: InheritedParts) {
    this.#reqids = new InheritedReqids(parts);
  }

  /** This node takes over with what its kernel holds. Called before an IKE daemon may act. */
  begin(): void {
    this.end();
    for (const item of this.parts.inventory.values()) this.inherit(item);
  }

  /** This node is master no more. */
  end(): void {
    this.#forgetLegacy();
    for (const one of [this.#unread, this.#sas, this.#newSas, this.#written, this.#reqids, this.#still]) {
      one.clear();
    }
    this.#alike = new Map();
    this.#isAnnounced = false;
    this.#judgedMs = -Infinity;
  }

  /** One more record of an old master stands in the kernel. */
  inherit(item: Item): void {
    const { key, identity, shared } = item;
    if (identity.kind === "policy") this.#legacy.set(key, item);
    else if (shared && !this.#newSas.has(key)) this.#unread.set(key, ++this.#serial);
  }

  /** Something has happened in the kernel that is not known to the inventory yet. */
  see(event: KernelEvent): void {
    if (event.kind !== "record") return;
    const identity = identityOf(event.record);
    const { key } = identity;
    if (event.record.kind === "policy") {
      this.#written.add(key);
      this.#reqids.wrote(key, event.record.policy);
      return;
    }
    // Linux tells of an inbound SA of an IKE daemon as the update of a larval one
    if (!event.created && this.parts.inventory.get(key) !== undefined) return;
    this.#unread.delete(key);
    this.#sas.delete(key);
    this.#newSas.set(key, traitsOf(event.record.sa, identity, ++this.#serial));
  }

  /** @returns the replaced SAs that have been idle for the grace time: each once, they are inherited no more. */
  step(nowMs: number): RecordIdentity[] {
    this.#read(nowMs);
    if (nowMs - this.#judgedMs < JUDGE_MS || this.#unread.size > 0) return [];
    this.#judgedMs = nowMs;
    this.#forgetGone();
    const alike = this.#alike = Map.groupBy(this.#newSas.values(), ({ likeness }) => likeness);
    for (const key of this.#still.keys()) {
      if (!alike.has(this.#sas.get(key)?.likeness ?? "")) this.#still.delete(key);
    }
    const candidates = [...this.#sas.values()].filter(({ likeness }) => alike.has(likeness));
    if (this.#sas.size === 0) this.#forgetLegacy();
    if (candidates.length === 0 && !this.#reqids.isWaiting || !this.#readPolicies()) return [];
    this.#reqids.check(this.#sas, this.#legacyUses);
    const due = this.#next(candidates).filter((sa) => this.#isOver(sa, alike.get(sa.likeness)!, nowMs));
    for (const { identity: { key } } of due) this.#sas.delete(key);
    this.#count("replaced SAs removed", due.length);
    return due.map(({ identity }) => identity);
  }

  /** The inherited SAs by the rate of their packets, the busiest first; undefined: they are not known yet. */
  busiest(nowMs: number): readonly string[] | undefined {
    if (this.#unread.size > 0) return undefined;
    if (this.#sas.size === 0) return [];
    if (!this.#readPolicies()) return undefined;
    const rates = [...this.#sas.keys()].map((key) => ({
      key,
      rate: rateOf(this.parts.mirror.get(key), nowMs),
    }));
    return rates.toSorted((a, b) => b.rate - a.rate).map(({ key }) => key);
  }

  /** Where an inherited outbound SA leads that nothing has replaced; undefined for every other key. */
  tunnelOf(key: string): InheritedTunnel | undefined {
    const sa = this.#sas.get(key);
    if (sa === undefined || this.parts.inventory.get(key) === undefined) return undefined;
    const tunnel = this.#legacyUses.of(sa);
    if (tunnel.length === 0 || !isOutbound(tunnel)) return undefined;
    if (this.#isReplaced(sa, this.#alike.get(sa.likeness) ?? [])) return undefined;
    return { spi: sa.spi, src: sa.src, dst: sa.dst, selectors: tunnel.map(({ policy }) => policy.selector) };
  }

  /** What is left of the heritage. */
  inheritance(nowMs: number): Inheritance {
    const ends = [...this.#sas].map(([key, { hard }]) => {
      const entry = this.parts.mirror.get(key);
      return entry === undefined ? Infinity : limitEndMs(hard, entry);
    });
    const firstMs = ends.reduce((first, one) => Math.min(first, one), Infinity);
    const firstEndsInMs = firstMs === Infinity ? undefined : Math.max(0, firstMs - nowMs);
    return { count: this.#sas.size + this.#unread.size, firstEndsInMs };
  }

  #read(nowMs: number): void {
    const { mirror, inventory } = this.parts;
    for (const [key, serial] of this.#unread.entries().take(AT_ONCE).toArray()) {
      this.#unread.delete(key);
      const entry = mirror.get(key);
      if (entry === undefined || inventory.get(key)?.shared !== true) continue;
      const record = recordOf(entry, nowMs);
      if (record.kind === "sa") this.#sas.set(key, traitsOf(record.sa, entry.identity, serial));
    }
    if (!this.#isAnnounced && this.#unread.size === 0) this.#announce(nowMs);
  }

  #announce(nowMs: number): void {
    this.#isAnnounced = true;
    const { count, firstEndsInMs } = this.inheritance(nowMs);
    if (count === 0) return;
    this.#count("SAs inherited", count);
    const end = firstEndsInMs === undefined
      ? "none of them has a time limit"
      : `the first ends in ${Math.floor(firstEndsInMs / 1000)} s`;
    this.parts.effects.log("state", `inherited ${count} SAs, ${end}`);
    this.#reqids.announce(this.#sas.values());
  }

  /** No inherited SA is left to judge. */
  #forgetLegacy(): void {
    this.#legacy.clear();
    this.#reqids.forgetPolicies();
    for (const uses of [this.#legacyUses, this.#uses]) uses.refresh([], 0);
  }

  #forgetGone(): void {
    const { inventory } = this.parts;
    for (const keys of [this.#sas, this.#newSas]) {
      for (const key of keys.keys()) if (inventory.get(key) === undefined) keys.delete(key);
    }
    for (const key of this.#written) if (inventory.get(key) === undefined) this.#written.delete(key);
  }

  /** @returns whether all policies are known as they were and as they are */
  #readPolicies(): boolean {
    const policies = [...this.parts.inventory.values()].filter(({ identity }) => identity.kind === "policy");
    return this.#legacyUses.refresh(this.#legacy.values(), AT_ONCE) &&
      this.#uses.refresh(policies, AT_ONCE);
  }

  /** All in their turn: of very many, each is looked at every few seconds. */
  #next(candidates: readonly Traits[]): Traits[] {
    const part = candidates.slice(this.#turn, this.#turn + AT_ONCE);
    this.#turn = this.#turn + AT_ONCE < candidates.length ? this.#turn + AT_ONCE : 0;
    return part;
  }

  #isOver(sa: Traits, alike: readonly Traits[], nowMs: number): boolean {
    const { key } = sa.identity;
    const progress = this.parts.mirror.get(key)?.counters;
    if (progress === undefined || !this.#showsTraffic(sa) || !this.#isReplaced(sa, alike)) {
      this.#still.delete(key);
      return false;
    }
    const still = this.#still.get(key);
    if (still !== undefined && isEqualProgress(still.progress, progress)) {
      return nowMs - still.sinceMs >= INHERITED_GRACE_MS;
    }
    this.#still.set(key, { sinceMs: nowMs, progress });
    return false;
  }

  #isReplaced(sa: Traits, alike: readonly Traits[]): boolean {
    const tunnel = this.#legacyUses.of(sa);
    if (tunnel.length === 0) return false;
    const keys = new Set([...tunnel, ...this.#uses.of(sa)].map(({ key }) => key));
    const newer = alike.filter(({ serial }) => serial > sa.serial);
    return [...keys].every((key) =>
      this.#written.has(key) && newer.some((other) => this.#uses.canUse(key, other))
    );
  }

  /** Linux tells nothing of what comes in without a replay window, and nothing of IPCOMP. */
  #showsTraffic(sa: Traits): boolean {
    return this.parts.tellsProgress && sa.protocol !== PROTOCOL.IPCOMP &&
      (sa.replayWindow > 0 || isOutbound(this.#legacyUses.of(sa)));
  }

  #count(what: string, by: number): void {
    const { counters } = this.parts;
    if (by > 0) counters[what] = (counters[what] ?? 0) + by;
  }
}

function isOutbound(uses: readonly Use[]): boolean {
  return uses.every(({ policy }) => policy.direction === DIRECTION.OUT);
}

/** Packets in a millisecond since it was made. */
function rateOf(entry: MirrorEntry | undefined, nowMs: number): number {
  if (entry?.counters === undefined) return 0;
  return Number(entry.counters.packets) / Math.max(1, nowMs - entry.bornMs);
}

function traitsOf(sa: Sa, identity: RecordIdentity, serial: number): Traits {
  const { src, dst, protocol, mode, reqid, spi, replayWindow, hard } = sa;
  return {
    identity,
    likeness: likenessOf(sa),
    src,
    dst,
    protocol,
    mode,
    reqid,
    spi,
    replayWindow,
    hard,
    serial,
  };
}

function likenessOf({ src, dst, protocol, mode, rdomain, encapsulation, ...sa }: Sa): string {
  const { type = 0, srcPort = 0, dstPort = 0 } = encapsulation ?? {};
  const { selector, mark, interfaceId } = sa;
  const like = policyKey({ selector, mark, interfaceId, direction: 0, type: 0 }); // all three in one string
  return [src, dst, protocol, mode, rdomain, type, srcPort, dstPort, like].join(" ");
}
