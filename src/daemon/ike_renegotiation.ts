/**
 * Has strongSwan's charon negotiate inherited tunnels anew while this node is master. Which and when is the core's; one
 * conversation over vici begins each of them, and charon goes on by itself.
 */

import type { Renegotiation } from "../core/renegotiation.ts";
import { command, failureOf, list, type ViciTalk } from "../link/vici_session.ts";
import type { Log } from "../log/verbosity.ts";
import type { Clock, IkeControl, IkeOrder, Interest, LocalDoors } from "../ports.ts";
import { childrenOf, outboundSpisOf } from "./ike_children.ts";
import { ViciTry } from "./vici_try.ts";

export interface RenegotiationOptions {
  readonly renegotiation: Renegotiation;
  /** charon's vici socket. */
  readonly path: string;
  readonly doors: Pick<LocalDoors, "connect">;
  readonly clock: Clock;
  readonly log: Log;
}

export class RenegotiationControl implements IkeControl {
  readonly name = "negotiating anew";
  readonly patienceMs = 5000;
  readonly owes = false;
  /** undefined: there is nothing to be said now. */
  #try: ViciTry | undefined;

  constructor(private readonly options: RenegotiationOptions) {}

  repeatMs({ duty }: IkeOrder): number {
    const { renegotiation, clock } = this.options;
    return duty === "active" ? renegotiation.waitMs(clock.bootMs()) : Infinity;
  }

  begin({ duty }: IkeOrder): void {
    const { renegotiation, clock, doors, path } = this.options;
    if (duty !== "active" || !renegotiation.look(clock.bootMs())) return;
    this.#try = new ViciTry(doors, path, this.#initiate());
  }

  get interest(): Interest | undefined {
    return this.#try?.interest;
  }

  proceed(): boolean {
    return this.#try?.proceed() ?? true;
  }

  cancel(): void {
    this.#try?.close();
    this.#try = undefined;
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
