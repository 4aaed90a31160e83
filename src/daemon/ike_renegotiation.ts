/**
 * Has strongSwan's charon negotiate inherited tunnels anew while this node is master. Which and when is the core's; one
 * conversation over vici begins each of them, and charon goes on by itself.
 */

import type { Renegotiation } from "../core/renegotiation.ts";
import { command, failureOf, list, type ViciTalk } from "../link/vici_session.ts";
import type { Log } from "../log/verbosity.ts";
import type { Clock, IkeOrder } from "../ports.ts";
import { childrenOf, outboundSpisOf } from "./ike_children.ts";
import { type ViciAccess, ViciControl } from "./vici_control.ts";

export interface RenegotiationOptions extends ViciAccess {
  readonly renegotiation: Renegotiation;
  readonly clock: Clock;
  readonly log: Log;
}

export class RenegotiationControl extends ViciControl {
  readonly name = "negotiating anew";

  constructor(private readonly options: RenegotiationOptions) {
    super(options);
  }

  repeatMs({ duty }: IkeOrder): number {
    const { renegotiation, clock } = this.options;
    return duty === "active" ? renegotiation.waitMs(clock.bootMs()) : Infinity;
  }

  protected talk({ duty }: IkeOrder): ViciTalk<void> | undefined {
    const { renegotiation, clock } = this.options;
    return duty === "active" && renegotiation.look(clock.bootMs()) ? this.#initiate() : undefined;
  }

  *#initiate(): ViciTalk<void> {
    const { renegotiation, clock, log } = this.options;
    if (!renegotiation.knowsChildren) {
      const children = yield* list("list-conns", "list-conn", {}, childrenOf);
      renegotiation.take(children, new Set(yield* list("list-sas", "list-sa", {}, outboundSpisOf)));
    }
    const next = renegotiation.next(clock.bootMs());
    if (next === undefined) return;
    const { child, ike } = next;
    log.detail(`strongswan: ${ike}/${child} is negotiated anew`);
    const failure = failureOf(yield* command("initiate", { child, ike, timeout: "-1" })); // does not wait
    if (failure !== undefined) renegotiation.refused(next, failure);
  }
}
