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
import { type Policy, type PolicyIdentity, policyKey } from "../record/policy.ts";
import { furthest } from "../record/progress.ts";
import type { IpsecRecord } from "../record/record.ts";
import { type Sa, type SaIdentity, saKey, saTriple } from "../record/sa.ts";

/** Records that one part of a dump holds. */
const DUMP_PART = 256;

const OK: KernelResult = { ok: true };

/** An SA, and when it came in with its counters. */
interface Stored {
  readonly sa: Sa;
  readonly atMs: number;
}

export class MemoryKernel implements KernelIpsec {
  readonly name = "memory";
  readonly fd: Fd | undefined = undefined;
  /** By key, oldest first. */
  readonly #sas = new Map<string, Stored>();
  readonly #policies = new Map<string, Policy>();
  /** What a lookup finds before marks decide, oldest first. */
  readonly #triples = new Map<string, Sa[]>();
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

  takeover(): Takeover {
    return "exact";
  }

  close(): void {
    this.#events = [];
  }

  /** All records as they are now, oldest first, SAs before policies. */
  records(): IpsecRecord[] {
    return [
      ...Array.from(this.#sas.values(), (stored): IpsecRecord => ({ kind: "sa", sa: this.#aged(stored) })),
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
    const { oseq, seq, bytes, packets, bitmap } = found.counters;
    const progress = {
      oseq: oseq + sent,
      seq: seq + received,
      bitmap,
      bytes: bytes + 100n * (sent + received),
      packets: packets + sent + received,
    };
    this.#replaceSa(found, { ...found, counters: { ...found.counters, ...progress } });
    this.#events.push({ kind: "progress", id: found, progress });
  }

  /** An SA reaches its hard limit. */
  expire(id: SaIdentity): void {
    this.#deleteSa(id);
    this.#events.push({ kind: "sa-gone", id, expired: true });
  }

  /** `ip xfrm state flush`; 0: every protocol. */
  flushSas(protocol: number): void {
    for (const { sa } of [...this.#sas.values()]) {
      if (protocol === 0 || sa.protocol === protocol) this.#removeSa(sa);
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
    const key = saKey(sa);
    const found = this.#find(sa);
    if (found !== undefined && saKey(found) !== key) {
      return { ok: false, reason: "EEXIST: an SA with a mark that matches is there" };
    }
    if (found !== undefined) this.#removeSa(found);
    this.#sas.set(key, { sa, atMs: this.clock.bootMs() });
    const triple = saTriple(sa);
    const others = this.#triples.get(triple);
    if (others === undefined) this.#triples.set(triple, [sa]);
    else others.push(sa);
    return OK;
  }

  #putPolicy(policy: Policy): KernelResult {
    this.#deletePolicy(policy);
    this.#policies.set(policyKey(policy), policy);
    return OK;
  }

  /** The newest SA whose mark matches, as __xfrm_state_lookup finds it. */
  #find(id: SaIdentity): Sa | undefined {
    const mark = id.mark.value & id.mark.mask;
    return this.#triples.get(saTriple(id))?.findLast((sa) => (mark & sa.mark.mask) === sa.mark.value);
  }

  #deleteSa(id: SaIdentity): KernelResult {
    const found = this.#find(id);
    if (found !== undefined) this.#removeSa(found);
    return OK;
  }

  #advance({ id, progress }: Advance): KernelResult {
    const found = this.#find(id);
    if (found === undefined || saKey(found) !== saKey(id)) return { ok: false, reason: "ESRCH: no such SA" };
    const counters = { ...found.counters, ...furthest(found.counters, progress) };
    this.#replaceSa(found, { ...found, counters });
    return OK;
  }

  /** The same SA with other counters: it keeps its place and its age. */
  #replaceSa(before: Sa, sa: Sa): void {
    const { atMs } = this.#sas.get(saKey(sa))!;
    this.#sas.set(saKey(sa), { sa, atMs });
    const triple = saTriple(sa);
    this.#triples.set(triple, this.#triples.get(triple)!.map((other) => other === before ? sa : other));
  }

  #removeSa(sa: Sa): void {
    this.#sas.delete(saKey(sa));
    const rest = this.#triples.get(saTriple(sa))?.filter((other) => other !== sa) ?? [];
    if (rest.length > 0) this.#triples.set(saTriple(sa), rest);
    else this.#triples.delete(saTriple(sa));
  }

  #deletePolicy(id: PolicyIdentity): KernelResult {
    this.#policies.delete(policyKey(id));
    return OK;
  }

  #holds(record: IpsecRecord): boolean {
    return record.kind === "policy"
      ? this.#policies.has(policyKey(record.policy))
      : this.#sas.has(saKey(record.sa));
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
