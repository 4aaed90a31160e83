/**
 * Tells strongSwan's charon over vici whether it is to act. Passive: its trap policies are taken from it and what it
 * is setting up by itself is ended; its connections stay, so it would answer. Active: the traps come back. SAs that
 * stand are never touched. charon tells nobody which connections have traps by configuration, so this keeps them.
 */

import { IkeError } from "../errors.ts";
import { type ViciSection } from "../link/vici.ts";
import { command, failureOf, list, sectionsOf, textOf, type ViciTalk } from "../link/vici_session.ts";
import type { Log } from "../log/verbosity.ts";
import type { IkeOrder } from "../ports.ts";
import { type ViciAccess, ViciControl } from "./vici_control.ts";

/** How soon a charon that was started or loaded on a slave is made passive again. */
const REPEAT_MS = 10_000;

/** How charon refuses to install the trap of a connection that was unloaded. */
const NOT_CONFIGURED = /name not found/;

/** A child of a connection, as `install` and `uninstall` take it. */
interface Trap {
  readonly child: string;
  readonly ike: string;
}

export interface StrongswanOptions extends ViciAccess {
  readonly log: Log;
}

export class StrongswanControl extends ViciControl {
  readonly name = "strongswan";
  /** The traps that charon has no more because it is passive, by name. */
  readonly #taken = new Map<string, Trap>();

  constructor(private readonly options: StrongswanOptions) {
    super(options);
  }

  repeatMs({ duty }: IkeOrder): number {
    return duty === "passive" ? REPEAT_MS : Infinity;
  }

  override get owes(): boolean {
    return this.#taken.size > 0;
  }

  protected talk({ duty }: IkeOrder): ViciTalk<void> {
    const talks = {
      passive: () => this.#rest(),
      active: () => this.#act(),
      left: () => this.#giveBack(),
    };
    return talks[duty]();
  }

  *#rest(): ViciTalk<void> {
    const traps = yield* listTraps();
    // before it is done: what a try that is given up has asked for may be done yet
    for (const trap of traps) this.#taken.set(nameOf(trap), trap);
    for (const trap of traps) {
      const failure = failureOf(yield* command("uninstall", { ...trap }));
      if (failure !== undefined) {
        throw new IkeError(`charon does not uninstall the trap ${nameOf(trap)}: ${failure}`);
      }
      this.options.log.detail(`strongswan: trap ${nameOf(trap)} is uninstalled`);
    }
    yield* this.#endAttempts();
  }

  /** Ends the negotiations that charon has begun and that are not through: they have no SAs yet. */
  *#endAttempts(): ViciTalk<void> {
    const stats = new Map(sectionsOf(yield* command("stats", {})));
    const sas = stats.get("ikesas");
    if (sas !== undefined && textOf(sas, "half-open") === "0") return; // spares a list of thousands
    for (const id of yield* list("list-sas", "list-sa", {}, attemptsOf)) {
      // a failure means that it has come to its end by itself
      const failure = failureOf(yield* command("terminate", { "ike-id": id, timeout: "-1" }));
      if (failure === undefined) {
        this.options.log.detail(`strongswan: IKE SA ${id}, not established yet, is ended`);
      }
    }
  }

  /** Those that charon still has too: their policies may have made room for the old master's. */
  *#act(): ViciTalk<void> {
    for (const trap of yield* listTraps()) this.#taken.set(nameOf(trap), trap);
    yield* this.#giveBack();
  }

  *#giveBack(): ViciTalk<void> {
    const { log } = this.options;
    const failures: string[] = [];
    for (const [name, trap] of [...this.#taken]) {
      const failure = failureOf(yield* command("install", { ...trap }));
      const isGone = failure !== undefined && NOT_CONFIGURED.test(failure);
      if (failure === undefined) log.detail(`strongswan: trap ${name} is installed`);
      else if (isGone) log.state(`strongswan: trap ${name} is not configured any more`);
      else failures.push(`${name}: ${failure}`);
      if (failure === undefined || isGone) this.#taken.delete(name);
    }
    if (failures.length === 0) return;
    throw new IkeError(`charon does not install ${failures.length} traps, of these ${failures[0]}`);
  }
}

/** As charon names it. */
function nameOf({ child, ike }: Trap): string {
  return `${ike}/${child}`;
}

function* listTraps(): ViciTalk<readonly Trap[]> {
  return yield* list("list-policies", "list-policy", { trap: "yes" }, trapsOf);
}

function trapsOf(message: ViciSection): readonly Trap[] {
  return sectionsOf(message).flatMap(([, policy]) => {
    const [child, ike] = [textOf(policy, "child"), textOf(policy, "ike")];
    return child === undefined || ike === undefined ? [] : { child, ike };
  });
}

/** Ids of the IKE SAs that charon has begun to negotiate and that are not established. */
function attemptsOf(message: ViciSection): readonly string[] {
  return sectionsOf(message).flatMap(([, sa]) => {
    const isAttempt = textOf(sa, "state") === "CONNECTING" && textOf(sa, "initiator") === "yes";
    return isAttempt ? textOf(sa, "uniqueid") ?? [] : [];
  });
}
