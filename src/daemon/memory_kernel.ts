/**
 * A kernel that is not there: SADB and SPD in memory, with Linux's rules of marks and of policy order. For tests,
 * the demo and dry runs (`kernel memory`).
 */

import type {
  Advance,
  Clock,
  Fd,
  KernelChange,
  KernelEvent,
  KernelIpsec,
  KernelResult,
  Takeover,
} from "../ports.ts";
import { equalBytes } from "../record/address.ts";
import { type Policy, type PolicyIdentity, policyKey } from "../record/policy.ts";
import { furthest, type Progress } from "../record/progress.ts";
import type { IpsecRecord } from "../record/record.ts";
import type { Sa, SaIdentity } from "../record/sa.ts";

/** Records that one part of a dump holds. */
const DUMP_PART = 256;

const OK: KernelResult = { ok: true };

/** An SA, and when it came in with its counters. */
interface Stored {
  sa: Sa;
  readonly atMs: number;
}

export class MemoryKernel implements KernelIpsec {
  readonly name = "memory";
  readonly fd: Fd | undefined = undefined;
  /** Oldest first. */
  readonly #sas = new Set<Stored>();
  /** The same by SPI, which few share: a string for each lookup would be dearer than all the rest. */
  readonly #bySpi = new Map<number, Stored[]>();
  /** By key, oldest first. */
  readonly #policies = new Map<string, Policy>();
  #events: KernelEvent[] = [];
  #dump: { readonly records: IpsecRecord[]; seen: number } | undefined;

  constructor(readonly clock: Clock) {}

  readEvents(limit: number): readonly KernelEvent[] {
    return this.#events.splice(0, limit);
  }

  beginDump(): void {
    this.#dump = { records: this.records(), seen: 0 };
  }

  continueDump(): readonly IpsecRecord[] | undefined {
    const dump = this.#dump;
    if (dump === undefined) return undefined;
    dump.seen += DUMP_PART;
    if (dump.seen < dump.records.length) return undefined;
    this.#dump = undefined;
    return dump.records;
  }

  apply(changes: readonly KernelChange[]): readonly KernelResult[] {
    return changes.map((change) => this.#change(change));
  }

  advance(advances: readonly Advance[]): readonly KernelResult[] {
    return advances.map((advance) => this.#advance(advance));
  }

  limit(sas: readonly Sa[]): readonly KernelResult[] {
    return sas.map((sa) => this.#limit(sa));
  }

  takeover(): Takeover {
    return "exact";
  }

  close(): void {
    this.#events = [];
  }

  /** All records as they are now, oldest first, SAs before policies. */
  records(): IpsecRecord[] {
    return [
      ...Array.from(this.#sas, (stored): IpsecRecord => ({ kind: "sa", sa: this.#aged(stored) })),
      ...Array.from(this.#policies.values(), (policy): IpsecRecord => ({ kind: "policy", policy })),
    ];
  }

  /** A change by somebody else, an IKE daemon say: `apply` with events. */
  disturb(change: KernelChange): KernelResult {
    const created = change.kind === "put" && !this.#holds(change.record);
    const result = this.#change(change);
    if (!result.ok) return result;
    if (change.kind === "put") {
      const isNew = created || change.record.kind === "policy";
      this.#events.push({ kind: "record", record: change.record, created: isNew });
    } else if (change.kind === "delete-sa") {
      this.#events.push({ kind: "sa-gone", id: change.id, expired: false });
    } else this.#events.push({ kind: "policy-gone", id: change.id, expired: false });
    return result;
  }

  /** Packets go out on an SA and come in. */
  traffic(id: SaIdentity, sent: bigint, received: bigint): void {
    const found = this.#find(id);
    if (found === undefined) return;
    const { oseq, seq, bytes, packets, bitmap } = found.sa.counters;
    const progress = {
      oseq: oseq + sent,
      seq: seq + received,
      bitmap,
      bytes: bytes + 100n * (sent + received),
      packets: packets + sent + received,
    };
    move(found, progress);
    this.#events.push({ kind: "progress", id: found.sa, progress });
  }

  /** An SA reaches its hard limit. */
  expire(id: SaIdentity): void {
    this.#deleteSa(id);
    this.#events.push({ kind: "sa-gone", id, expired: true });
  }

  /** `ip xfrm state flush`; 0: every protocol. */
  flushSas(protocol: number): void {
    for (const stored of [...this.#sas]) {
      if (protocol === 0 || stored.sa.protocol === protocol) this.#removeSa(stored);
    }
    this.#events.push({ kind: "sa-flush", protocol });
  }

  /** `ip xfrm policy flush`. */
  flushPolicies(type: number): void {
    for (const [key, policy] of this.#policies) if (policy.type === type) this.#policies.delete(key);
    this.#events.push({ kind: "policy-flush", type });
  }

  /** The socket buffer was too small: what waits is lost, and that is told. */
  overrun(): void {
    this.#events = [{ kind: "resync", reason: "events were lost" }];
  }

  #change(change: KernelChange): KernelResult {
    if (change.kind === "delete-sa") return this.#deleteSa(change.id);
    if (change.kind === "delete-policy") return this.#deletePolicy(change.id);
    return change.record.kind === "sa"
      ? this.#putSa(change.record.sa)
      : this.#putPolicy(change.record.policy);
  }

  #putSa(sa: Sa): KernelResult {
    const found = this.#find(sa);
    if (found !== undefined) {
      if (!isSame(found.sa, sa)) {
        return { ok: false, reason: "EEXIST: an SA with a mark that matches is there" };
      }
      this.#removeSa(found);
    }
    const stored = { sa, atMs: this.clock.bootMs() };
    this.#sas.add(stored);
    const others = this.#bySpi.get(sa.spi);
    if (others === undefined) this.#bySpi.set(sa.spi, [stored]);
    else others.push(stored);
    return OK;
  }

  #putPolicy(policy: Policy): KernelResult {
    this.#deletePolicy(policy);
    this.#policies.set(policyKey(policy), policy);
    return OK;
  }

  /** The newest SA whose mark matches, as __xfrm_state_lookup finds it. */
  #find(id: SaIdentity): Stored | undefined {
    const mark = id.mark.value & id.mark.mask;
    return this.#bySpi.get(id.spi)?.findLast(({ sa }) =>
      (mark & sa.mark.mask) === sa.mark.value && sa.protocol === id.protocol && equalBytes(sa.dst, id.dst)
    );
  }

  #deleteSa(id: SaIdentity): KernelResult {
    const found = this.#find(id);
    if (found !== undefined) this.#removeSa(found);
    return OK;
  }

  #advance({ id, progress }: Advance): KernelResult {
    const found = this.#find(id);
    if (found === undefined || !isSame(found.sa, id)) return { ok: false, reason: "ESRCH: no such SA" };
    move(found, furthest(found.sa.counters, progress));
    return OK;
  }

  #limit(sa: Sa): KernelResult {
    const found = this.#find(sa);
    if (found === undefined) return OK;
    if (!isSame(found.sa, sa)) return { ok: false, reason: "another SA is found in its place" };
    found.sa = { ...found.sa, soft: sa.soft, hard: sa.hard };
    return OK;
  }

  #removeSa(stored: Stored): void {
    const { spi } = stored.sa;
    this.#sas.delete(stored);
    const rest = this.#bySpi.get(spi)!.filter((other) => other !== stored);
    if (rest.length > 0) this.#bySpi.set(spi, rest);
    else this.#bySpi.delete(spi);
  }

  #deletePolicy(id: PolicyIdentity): KernelResult {
    this.#policies.delete(policyKey(id));
    return OK;
  }

  #holds(record: IpsecRecord): boolean {
    if (record.kind === "policy") return this.#policies.has(policyKey(record.policy));
    const found = this.#find(record.sa);
    return found !== undefined && isSame(found.sa, record.sa);
  }

  #aged({ sa, atMs }: Stored): Sa {
    const passed = Math.max(0, Math.floor((this.clock.bootMs() - atMs) / 1000));
    const { ageSeconds, usedSeconds } = sa.counters;
    return {
      ...sa,
      counters: {
        ...sa.counters,
        ageSeconds: ageSeconds + passed,
        usedSeconds: usedSeconds === undefined ? undefined : usedSeconds + passed,
      },
    };
  }
}

/** Whether two SAs of one destination, protocol and SPI are the same. */
function isSame(a: SaIdentity, b: SaIdentity): boolean {
  return a.mark.value === b.mark.value && a.mark.mask === b.mark.mask && a.rdomain === b.rdomain;
}

/** The same SA with other counters: it keeps its place and its age. */
function move(stored: Stored, progress: Progress): void {
  stored.sa = { ...stored.sa, counters: { ...stored.sa.counters, ...progress } };
}
