/**
 * How a node's own kernel is brought to what it should hold: counters first, then the guard, then the changes that
 * wait. What came of them goes to the side that is in charge.
 */

import type { Advance, KernelChange, KernelResult } from "../ports.ts";
import type { Address } from "../record/address.ts";
import type { Sa } from "../record/sa.ts";
import { bump } from "./bump.ts";
import { describe } from "./describe.ts";
import { UNKNOWN_CONTENT } from "./inventory.ts";
import type { NodeParts } from "./parts.ts";
import type { Step } from "./plan.ts";
import type { Waiting } from "./queue.ts";

export class KernelSteps {
  /** What `nextChanges` gave last. */
  #steps: { readonly waiting: Waiting; readonly steps: readonly Step[] }[] = [];
  #guardLifted = false;

  constructor(private readonly parts: NodeParts) {}

  /** Whether `nextAdvances` would give something. */
  get advancing(): boolean {
    return this.parts.follower.leases.waiting;
  }

  /** Up to `limit` SAs whose counters have to be moved on, before anything else. What came of it goes to `advanced`. */
  nextAdvances(limit: number): Advance[] {
    return this.parts.follower.leases.next(limit);
  }

  /** The kernel has dealt with what `nextAdvances` gave. One that is gone meanwhile needs nothing. */
  advanced(results: readonly KernelResult[]): void {
    this.parts.follower.leases.done(results.length);
    for (const result of results) bump(this.parts, result.ok ? "counters advanced" : "counters not advanced");
  }

  /** Up to about `limit` changes for the own kernel. Their results go to `applied` before anything else comes in. */
  nextChanges(limit: number, nowMs: number): KernelChange[] {
    const { kernel, queue, follower } = this.parts;
    const changes: KernelChange[] = [];
    // looking at a record that stands already is work too: at most four looks for each change
    for (let looks = 0; kernel.known && looks < limit * 4 && changes.length < limit; looks++) {
      const waiting = queue.shift();
      if (waiting === undefined) break;
      const steps = this.#isInUse(waiting) ? [] : follower.plan(waiting, nowMs);
      this.#steps.push({ waiting, steps });
      changes.push(...steps.map(({ change }) => change));
    }
    if (changes.length === 0) this.applied([]);
    return changes;
  }

  /** How the changes of the last `nextChanges` ended, in their order. undefined: nobody knows; they are done again. */
  applied(results: readonly KernelResult[] | undefined): void {
    const { queue, follower, membership } = this.parts;
    let next = 0;
    for (const { waiting, steps } of this.#steps) {
      for (const step of steps) {
        if (results !== undefined) this.#stepped(step, results[next++]!);
        else this.#undone(step, waiting);
      }
      if (results === undefined && steps.length > 0) queue.add(waiting.identity, waiting);
      queue.done(waiting.key);
    }
    this.#steps = [];
    if (membership.role === "MASTER") return;
    follower.restoreOrder();
    follower.judgeHeldBack();
  }

  /** When `nextLimits` has something to give; Infinity: not before something happens. */
  limitsDueMs(nowMs: number): number {
    const { kernel, follower } = this.parts;
    return kernel.known ? follower.limits.dueMs(nowMs) : Infinity;
  }

  /** SAs whose limits are to be set, a few. What came of it goes to `limited`. */
  nextLimits(nowMs: number): Sa[] {
    return nowMs < this.limitsDueMs(nowMs) ? [] : this.parts.follower.limits.next(nowMs);
  }

  /** How it ended, for each SA that `nextLimits` gave last. */
  limited(results: readonly KernelResult[]): void {
    const { follower, kernel } = this.parts;
    for (const key of follower.limits.done(results)) kernel.limited(key);
    for (const result of results) bump(this.parts, result.ok ? "limits set" : "limits not set");
  }

  /** The endpoints to guard, when they have changed; to be set before the next changes go to the kernel. */
  guardChange(): Address[] | undefined {
    const wasLifted = this.#guardLifted;
    // as long as an SA of the old master may repeat numbers, nothing goes out
    this.#guardLifted = this.parts.membership.role === "MASTER" && !this.advancing;
    if (!this.parts.guard.takeChanged() && wasLifted === this.#guardLifted) return undefined;
    return this.#guardLifted ? [] : this.parts.guard.addresses();
  }

  /** What a master's kernel holds has come there meanwhile, and is not put over it. */
  #isInUse({ key, remove }: Waiting): boolean {
    return this.parts.membership.role === "MASTER" && !remove &&
      this.parts.inventory.get(key)?.shared === true;
  }

  /** Nobody knows whether it has been done: what is new may be there, and a sibling that was to be moved may not. */
  #undone({ key, identity, shared }: Step, waiting: Waiting): void {
    const { kernel, queue, inventory, membership } = this.parts;
    kernel.stepped(key);
    if (key !== waiting.key) queue.add(identity);
    else if (!shared || inventory.get(key) !== undefined) return;
    if (membership.role === "MASTER") inventory.delete(key); // the dump knows what is left of it
    else inventory.set(identity, UNKNOWN_CONTENT, shared, false);
  }

  #stepped(step: Step, result: KernelResult): void {
    const { kernel, follower, membership, effects } = this.parts;
    kernel.stepped(step.key);
    bump(this.parts, result.ok ? "changes applied" : "changes refused");
    if (result.ok) {
      follower.stepped(step);
      if (membership.role === "MASTER") this.#steppedAsMaster(step);
      kernel.unguard(step.key);
    } else if (step.content === undefined) {
      effects.log(
        "error",
        `cannot delete ${describe(step.identity)}: ${result.reason}`,
        result.reason,
      );
    } else {
      follower.failed(step, result.reason);
    }
  }

  /** A master's own changes are what was left to do of a master before it. */
  #steppedAsMaster({ key, identity }: Step): void {
    const { master, inventory, inherited, follower } = this.parts;
    if (identity.kind === "policy") master.moved(key);
    const item = inventory.get(key);
    if (item === undefined) return;
    inherited.inherit(item);
    follower.limits.add(item);
  }
}
