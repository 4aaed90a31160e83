/** Several that bring orders to IKE daemons, as one. */

import type { Fd, IkeCommander, IkeOrder, Interest, Poller, Readiness } from "../ports.ts";

export class AllCommanders implements IkeCommander {
  constructor(private readonly all: readonly IkeCommander[]) {}

  give(order: IkeOrder): void {
    for (const one of this.all) one.give(order);
  }

  get interests(): readonly Interest[] {
    return this.all.flatMap(({ interests }) => interests);
  }

  tick(ready: ReadonlyMap<Fd, Readiness>): number {
    return Math.min(Infinity, ...this.all.map((one) => one.tick(ready)));
  }

  /** One after the other, for there is one poll. */
  async leave(poller: Poller, limitMs: number): Promise<void> {
    for (const one of this.all) await one.leave(poller, limitMs);
  }
}
