/** All IKE daemons that are told whether to act (`control all` has two), as the gateway sees them. */

import type { Clock, Fd, IkeOrder, Interest, Poller, Readiness } from "../ports.ts";
import type { IkeSwitch } from "./ike_switch.ts";

export class IkeOrders {
  constructor(private readonly switches: readonly IkeSwitch[], private readonly clock: Clock) {}

  /** What is to be done from now on. */
  give(order: IkeOrder): void {
    for (const one of this.switches) one.give(order, this.clock.bootMs());
  }

  get interests(): readonly Interest[] {
    return this.switches.flatMap((one) => one.interests);
  }

  /** Does what can be done now. @returns when there is more to do at the latest; Infinity: never. */
  tick(ready: ReadonlyMap<Fd, Readiness>): number {
    return Math.min(Infinity, ...this.switches.map((one) => one.tick(this.clock.bootMs(), ready)));
  }

  /** Gives back what was taken from the daemons, as far as that goes in this time. */
  async leave(poller: Poller, limitMs: number): Promise<void> {
    const endMs = this.clock.bootMs() + limitMs;
    for (const one of this.switches) one.leave(this.clock.bootMs());
    for (let ready = new Map<Fd, Readiness>(); this.clock.bootMs() < endMs;) {
      const nextMs = Math.min(endMs, this.tick(ready));
      if (this.switches.every(({ isIdle }) => isIdle)) return;
      const found = await poller.wait(this.interests, Math.max(0, nextMs - this.clock.bootMs()));
      ready = new Map(found.map((one) => [one.fd, one]));
    }
    for (const one of this.switches) one.giveUp();
  }
}
