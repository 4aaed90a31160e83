/** A machine of the simulated world: its kernel lives as long as it does, the daemon comes and goes. */

import type { Node } from "../../src/core/node.ts";
import type { Clock, Role } from "../../src/ports.ts";
import { SimKernel } from "./kernel.ts";

/** The chance that a turn is left out. */
export const USUAL_SLOWNESS = 0.2;

/** What a gateway is made from. */
export interface GatewayOptions {
  /** Virtual time. */
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Its kernel does not take everything. */
  readonly refuses: boolean;
  /** It removes what is not the master's. */
  readonly sweeps: boolean;
}

/** Time since this machine was switched on, by a quartz of its own. */
class Quartz implements Clock {
  readonly #startMs: number;
  readonly #rate: number;

  constructor(private readonly world: () => number, random: () => number) {
    this.#startMs = world() - random() * 2 ** 33;
    this.#rate = 1 + (random() - 0.5) / 500;
  }

  bootMs(): number {
    return (this.world() - this.#startMs) * this.#rate;
  }

  look(): number {
    return this.bootMs();
  }

  wallSeconds(): number {
    throw new Error("looked at the wall clock");
  }
}

export class Gateway {
  clock: Clock;
  kernel: SimKernel;
  node: Node | undefined;
  role: Role = "SLAVE";
  dumpAtMs: number | undefined;
  /** Endpoints that the guard keeps from sending; undefined: it has not been set. */
  guarded: ReadonlySet<string> | undefined;
  slowness = USUAL_SLOWNESS;
  /** More events of its kernel wait than the daemon has read. */
  isBehind = false;
  /** The daemon is stopped until then. */
  frozenUntilMs = 0;
  /**
   * Since its start the daemon has been equal to a master: what a kernel sends whose daemon was dead while others sent
   * is beyond its power; demotion keeps such a node from becoming master.
   */
  isCurrent = true;

  constructor(readonly name: string, readonly options: GatewayOptions) {
    this.clock = new Quartz(options.nowMs, options.random);
    this.kernel = new SimKernel(this.clock, options.refuses, options.random);
  }

  /** The machine starts anew, with nothing in its kernel. */
  boot(): void {
    this.clock = new Quartz(this.options.nowMs, this.options.random);
    this.kernel = new SimKernel(this.clock, this.options.refuses, this.options.random);
  }

  /** By its own clock. */
  get nowMs(): number {
    return this.clock.bootMs();
  }
}
