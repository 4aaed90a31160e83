/**
 * The limits of SAs that stand in the own kernel with those of another role: a new master's kernel has a slave's
 * (slave_record.ts), a new slave's the true ones. They are set alone, so that counters are not touched and nothing is
 * missing for a moment; what ends first goes first, on a master bit by bit. Pure.
 */

import type { KernelResult } from "../ports.ts";
import { equalBytes } from "../record/address.ts";
import { encodeContent } from "../record/encoding.ts";
import type { IpsecRecord } from "../record/record.ts";
import type { Sa } from "../record/sa.ts";
import { describe } from "./describe.ts";
import type { Effects } from "./effect.ts";
import { type Inventory, type Item, UNKNOWN_CONTENT } from "./inventory.ts";
import { limitEndMs } from "./limit_end.ts";
import { type Mirror, recordOf, recordOfContent } from "./mirror.ts";
import { slaveRecord } from "./slave_record.ts";

/** A takeover has more urgent things to do for so long. */
const REST_MS = 1000;

/** SAs that are given at once; how long a master then pauses: 320 a second, 10,000 well within a slave's grace. */
const AT_ONCE = 16;
const PAUSE_MS = 50;

/** Records decoded at once: some milliseconds. */
const READ_AT_ONCE = 500;

/** An SA that has still to get its limits, and when a limit of time first concerns it. */
interface Due {
  readonly key: string;
  readonly endMs: number;
}

/** What the kernel holds, and is to hold. */
interface Limited {
  readonly item: Item;
  readonly sa: Sa;
  readonly content: Uint8Array;
}

export class SaLimits {
  readonly #unread = new Set<string>();
  /** Those that were read; the first to end are last, when all are. */
  #due: Due[] = [];
  #given: readonly Limited[] = [];
  #nextMs: number | undefined;
  #isMaster = false;
  #count = 0;

  /** `canSet`: the own kernel can (KernelIpsec.limit); else nothing here has an effect. */
  constructor(
    readonly mirror: Mirror,
    readonly inventory: Inventory,
    readonly effects: Effects,
    readonly canSet: boolean,
  ) {}

  /**
   * This node is master from now on, and all that its kernel holds is to get its true limits; or it is no more, and what
   * is to get a slave's is added when it is looked at.
   */
  changeRole(isMaster: boolean): void {
    this.#unread.clear();
    this.#due = [];
    this.#given = [];
    this.#nextMs = undefined;
    this.#isMaster = isMaster;
    this.#count = 0;
    if (!isMaster) return;
    for (const item of this.inventory.values()) this.add(item);
  }

  /** The kernel holds this with limits that are not those of this node's role, perhaps. */
  add({ key, identity, shared }: Item): void {
    if (this.canSet && identity.kind === "sa" && shared) this.#unread.add(key);
  }

  /** Whether what the kernel holds differs from a record by limits alone, which `add` can mend. */
  canMend({ identity, content, shared }: Item, record: IpsecRecord): boolean {
    if (!this.canSet || identity.kind !== "sa" || !shared || content === UNKNOWN_CONTENT) return false;
    return equalBytes(encodeContent(withLimitsOf(content, record)), encodeContent(record));
  }

  /** When `next` has something to do; Infinity: never. */
  dueMs(nowMs: number): number {
    if (this.#unread.size === 0 && this.#due.length === 0) return Infinity;
    this.#nextMs ??= nowMs + (this.#isMaster ? REST_MS : 0);
    return this.#nextMs;
  }

  /** The next SAs, as the kernel holds them but with the limits of this node's role; what comes of it goes to `done`. */
  next(nowMs: number): Sa[] {
    this.#given = [];
    if (nowMs < this.dueMs(nowMs)) return [];
    if (this.#unread.size > 0) {
      this.#read(nowMs);
      return [];
    }
    this.#nextMs = nowMs + (this.#isMaster ? PAUSE_MS : 0);
    const part = this.#due.slice(-AT_ONCE).reverse();
    this.#given = part.map(({ key }) => this.#limited(key, nowMs)).filter((one) => one !== undefined);
    if (this.#given.length === 0) this.#pass();
    return this.#given.map(({ sa }) => sa);
  }

  /** How it ended, for each SA that `next` gave last. @returns the keys of those SAs */
  done(results: readonly KernelResult[]): string[] {
    const given = this.#given;
    if (given.length === 0) return [];
    for (const [i, limited] of given.entries()) this.#settle(limited, results[i]!);
    this.#given = [];
    this.#pass();
    return given.map(({ item }) => item.key);
  }

  /** What was next has been dealt with. */
  #pass(): void {
    this.#due.splice(-AT_ONCE);
    if (this.#due.length > 0 || this.#unread.size > 0) return;
    const whose = this.#isMaster ? "true limits" : "a slave's limits";
    if (this.#count > 0) this.effects.log("detail", `${whose} are set (SAs: ${this.#count})`);
    this.#count = 0;
    this.#nextMs = undefined;
  }

  #read(nowMs: number): void {
    for (const key of this.#unread.keys().take(READ_AT_ONCE).toArray()) {
      this.#unread.delete(key);
      const entry = this.mirror.get(key);
      const item = this.inventory.get(key);
      if (entry === undefined || item === undefined) continue;
      const record = recordOf(entry, nowMs);
      const isAlike = equalBytes(item.content, entry.content);
      if (record.kind !== "sa" || isAlike && (this.#isMaster || slaveRecord(record) === record)) continue;
      const { soft, hard } = record.sa;
      this.#due.push({ key, endMs: Math.min(limitEndMs(soft, entry), limitEndMs(hard, entry)) });
    }
    if (this.#unread.size > 0) return;
    this.#due.sort((a, b) => b.endMs - a.endMs || 0); // two that never end give NaN
  }

  /** undefined: it has them, is gone, or somebody has made it anew. */
  #limited(key: string, nowMs: number): Limited | undefined {
    const entry = this.mirror.get(key);
    const item = this.inventory.get(key);
    if (entry === undefined || item?.shared !== true || item.content === UNKNOWN_CONTENT) return undefined;
    const wanted = recordOf(entry, nowMs);
    const record = withLimitsOf(item.content, this.#isMaster ? wanted : slaveRecord(wanted));
    const content = encodeContent(record);
    if (record.kind !== "sa" || equalBytes(content, item.content)) return undefined;
    return { item, sa: record.sa, content };
  }

  #settle({ item: { identity, shared }, content }: Limited, result: KernelResult): void {
    if (result.ok) {
      this.#count++;
      this.inventory.set(identity, content, shared, false);
      return;
    }
    const text = `cannot set the limits of ${describe(identity)}: ${result.reason}`;
    this.effects.log("error", text, `limits ${result.reason}`);
  }
}

/** A record of that content, but with the limits (of an SA: and the counters) of another one of its kind. */
export function withLimitsOf(content: Uint8Array, like: IpsecRecord): IpsecRecord {
  const held = recordOfContent(like.kind, content);
  if (held.kind === "sa" && like.kind === "sa") {
    const { soft, hard, counters } = like.sa;
    return { kind: "sa", sa: { ...held.sa, soft, hard, counters } };
  }
  if (held.kind === "sa" || like.kind === "sa") return held; // never: it has the kind of `like`
  const { soft, hard } = like.policy;
  return { kind: "policy", policy: { ...held.policy, soft, hard } };
}
