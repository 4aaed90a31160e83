/** All IKE daemons that are told whether to act (`control all` has two), as the gateway or the helper has them. */

import type { Clock, Fd, IkeCommander, IkeOrder, Interest, Poller, Readiness } from "../ports.ts";
import type { IkeSwitch } from "./ike_switch.ts";

export class IkeOrders implements IkeCommander {
  constructor(private readonly switches: readonly IkeSwitch[], private readonly clock: Clock) {}

  give(order: IkeOrder): void {
    for (const one of this.switches) one.give(order, this.clock.bootMs());
  }

  get interests(): readonly Interest[] {
    return this.switches.flatMap((one) => one.interests);
  }

  tick(ready: ReadonlyMap<Fd, Readiness>): number {
    return Math.min(Infinity, ...this.switches.map((one) => one.tick(this.clock.bootMs(), ready)));
  }

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
