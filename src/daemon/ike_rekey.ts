/**
 * Has strongSwan's charon rekey SAs whose sequence numbers come to their end while this node is master. Which ones is
 * the core's; what charon did not negotiate itself (inherited SAs) it cannot rekey.
 */

import type { NumberEnd } from "../core/number_end.ts";
import { command, failureOf, list, type ViciTalk } from "../link/vici_session.ts";
import type { Log } from "../log/verbosity.ts";
import type { IkeOrder } from "../ports.ts";
import { ownChildrenOf } from "./ike_children.ts";
import { type ViciAccess, ViciControl } from "./vici_control.ts";

/** How often it is looked whether an SA needs it: at a million packets a second, 30 times before the end. */
const LOOK_MS = 10_000;

export interface RekeyOptions extends ViciAccess {
  readonly numberEnd: Pick<NumberEnd, "dueSpis" | "asked">;
  readonly log: Log;
}

export class RekeyControl extends ViciControl {
  readonly name = "rekeying in time";

  constructor(private readonly options: RekeyOptions) {
    super(options);
  }

  repeatMs({ duty }: IkeOrder): number {
    return duty === "active" ? LOOK_MS : Infinity;
  }

  protected talk({ duty }: IkeOrder): ViciTalk<void> | undefined {
    const due = this.options.numberEnd.dueSpis;
    return duty === "active" && due.size > 0 ? this.#rekey(due) : undefined;
  }

  *#rekey(due: ReadonlySet<number>): ViciTalk<void> {
    const { numberEnd, log } = this.options;
    const children = yield* list("list-sas", "list-sa", {}, ownChildrenOf);
    const own = new Map(children.map(({ spiOut, id }) => [spiOut, id]));
    for (const spi of due) {
      const id = own.get(spi);
      const name = `the SA with SPI 0x${spi.toString(16).padStart(8, "0")}`;
      numberEnd.asked(new Set([spi])); // a refusal is charon's last word
      if (id === undefined) {
        log.state(`strongswan: ${name} is not charon's own and cannot be rekeyed by it`);
        continue;
      }
      const failure = failureOf(yield* command("rekey", { "child-id": id }));
      if (failure === undefined) log.state(`strongswan: ${name} is rekeyed`);
      else log.error(`strongswan: charon does not rekey ${name}: ${failure}`);
    }
  }
}
