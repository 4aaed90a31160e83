/** Brings what the tracker sees to the node, a flapping state settled. Used by the gateway, once a turn. */

import type { Node } from "../core/node.ts";
import { Settling } from "../core/settling.ts";
import type { Clock, Interest, Readiness, RoleTracker } from "../ports.ts";

export interface RoleWatchOptions {
  readonly tracker: RoleTracker;
  readonly node: Node;
  readonly clock: Clock;
}

export class RoleWatch {
  readonly #settling = new Settling();
  #tracker: RoleTracker;
  /** It has not been asked yet. */
  #isNew = false;

  constructor(private readonly options: RoleWatchOptions) {
    this.#tracker = options.tracker;
  }

  /** Another tracker is asked from now on. */
  track(tracker: RoleTracker): void {
    this.#tracker.close();
    this.#tracker = tracker;
    this.#isNew = true;
  }

  /** What to wait for. */
  interests(): Interest[] {
    const { fd } = this.#tracker;
    return fd === undefined ? [] : [{ fd, read: true, write: false }];
  }

  /** When `look` has to be called again even if nothing happens; Infinity: never. */
  get dueMs(): number {
    return this.#settling.dueMs;
  }

  /** Whether poll says that the tracker may have something new. */
  isReady(ready: ReadonlyMap<number, Readiness>): boolean {
    const { fd } = this.#tracker;
    return this.#isNew || fd !== undefined && ready.has(fd);
  }

  /** Asks the tracker. @throws what it throws */
  look(): void {
    this.#settling.see(this.#tracker.look());
    this.#isNew = false;
    this.settle();
  }

  /** Follows what was seen, once that is due. */
  settle(): void {
    const { node, clock } = this.options;
    const nowMs = clock.bootMs();
    const state = this.#settling.take(nowMs);
    if (state !== undefined) node.setRole(state.role, state.reason, nowMs);
  }
}
