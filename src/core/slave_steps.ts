/**
 * The steps that bring a slave's kernel to what its mirror says, for one identity at a time. A local policy whose place
 * a shared one takes is kept here, and put back when that goes.
 */

import { identityOf, type IpsecRecord } from "../record/record.ts";
import type { Inventory } from "./inventory.ts";
import type { Leases } from "./leases.ts";
import { type Mirror, recordOf } from "./mirror.ts";
import { decodePolicy } from "./order_watch.ts";
import { planDelete, planPut, putStep, type Step, type Wanted } from "./plan.ts";
import type { Waiting } from "./queue.ts";
import type { SaLimits } from "./sa_limits.ts";
import { slaveRecord } from "./slave_record.ts";

/** What the steps follow from. */
export interface SlaveStepsParts {
  readonly mirror: Mirror;
  readonly inventory: Inventory;
  readonly leases: Leases;
  readonly limits: SaLimits;
}

export class SlaveSteps {
  /** Local policies that a shared one has replaced, to be put back when that goes. */
  readonly #displaced = new Map<string, IpsecRecord>();
  /** Records as they came, until their turn: most wait for milliseconds, and need not be decoded twice. */
  readonly #fresh = new Map<string, IpsecRecord>();

  constructor(private readonly parts: SlaveStepsParts) {}

  /** The mirror has it like this now. */
  came(key: string, record: IpsecRecord): void {
    this.#fresh.set(key, record);
  }

  /** The mirror has newer counters, or nothing any more. */
  outdated(key: string): void {
    this.#fresh.delete(key);
  }

  /** Another master, or none: what came is not kept for its turn. */
  clear(): void {
    this.#fresh.clear();
  }

  /**
   * The steps for one waiting identity: none when the kernel holds what it should. undefined: a local SA has it, which
   * stays.
   */
  plan(waiting: Waiting, nowMs: number): Step[] | undefined {
    const { inventory, limits, leases } = this.parts;
    const { key } = waiting;
    const wanted = this.#wanted(key, nowMs);
    this.#fresh.delete(key);
    const actual = inventory.get(key);
    if (wanted === undefined) return this.#planGone(waiting, nowMs);
    if (actual !== undefined && !actual.shared) {
      if (actual.identity.kind === "sa") return undefined;
      this.#displaced.set(key, { kind: "policy", policy: decodePolicy(actual.content) });
    }
    const steps = planPut(wanted, inventory, (sibling) => this.#wanted(sibling, nowMs), waiting.force);
    if (steps.length > 0) {
      if (waiting.force || actual === undefined || !limits.canMend(actual, wanted.record)) return steps;
      limits.add(actual); // putting it would move its counters back, if this node has been master
    }
    leases.standing(key, nowMs);
    return [];
  }

  /** It stands there again, or its own daemon has deleted or replaced it: it is not to be put back. */
  undisplace(key: string): void {
    this.#displaced.delete(key);
  }

  /** What the own kernel should hold under this key. */
  #wanted(key: string, nowMs: number): Wanted | undefined {
    const { mirror, leases } = this.parts;
    const entry = mirror.get(key);
    if (entry === undefined || entry.refused !== undefined) return undefined;
    const record = this.#fresh.get(key) ?? recordOf(entry, nowMs);
    const ours = slaveRecord(record);
    const content = ours === record ? entry.content : undefined;
    return { identity: entry.identity, record: leases.leased(key, ours), rank: entry.rank, content };
  }

  #planGone({ key, remove }: Waiting, nowMs: number): Step[] {
    const { inventory } = this.parts;
    const displaced = this.#displaced.get(key);
    const actual = inventory.get(key);
    if (displaced !== undefined && actual?.shared !== false) {
      return [putStep({ identity: identityOf(displaced), record: displaced }, false)];
    }
    if (!remove || actual?.shared !== true) return [];
    return planDelete(actual, inventory, (sibling) => this.#wanted(sibling, nowMs));
  }
}
