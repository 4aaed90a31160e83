/** All IKE daemons that are told whether to act (`control all` has two), as the gateway or the helper has them. */

import type { Clock, IkeCommander, IkeOrder, Interest, Poller } from "../ports.ts";
import type { IkeSwitch } from "./ike_switch.ts";

export class IkeOrders implements IkeCommander {
  constructor(private readonly switches: readonly IkeSwitch[], private readonly clock: Clock) {}

  give(order: IkeOrder): void {
    for (const one of this.switches) one.give(order, this.clock.bootMs());
  }

  get interests(): readonly Interest[] {
    return this.switches.flatMap((one) => one.interests);
  }

  tick(): number {
    return Math.min(Infinity, ...this.switches.map((one) => one.tick(this.clock.bootMs())));
  }

  async leave(poller: Poller, limitMs: number): Promise<void> {
    const endMs = this.clock.look() + limitMs;
    for (const one of this.switches) one.leave(this.clock.bootMs());
    while (this.clock.look() < endMs) {
      const nextMs = Math.min(endMs, this.tick());
      if (this.switches.every(({ isIdle }) => isIdle)) return;
      await poller.wait(this.interests, Math.max(0, nextMs - this.clock.bootMs()));
    }
    for (const one of this.switches) one.giveUp();
  }
}
