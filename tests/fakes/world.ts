/**
 * Virtual time for whole daemons: a clock, a network, and pollers that wait on both. `run` serves everybody who is
 * ready, and moves the clock only when nobody is.
 */

import type { Clock, Interest, Poller, Readiness } from "../../src/ports.ts";
import { FakeNetwork } from "./network.ts";

/** An uptime whose milliseconds need more than 32 bits. */
const START_MS = 2 ** 32 + 12_345;

/** Turns of all daemons at one point in time, beyond which somebody runs in circles. */
const TURNS_AT_ONCE = 200_000;

/** Time that only the test moves. Nobody may look at the wall clock. */
export class VirtualClock implements Clock {
  nowMs = START_MS;

  bootMs(): number {
    return this.nowMs;
  }

  look(): number {
    return this.nowMs;
  }

  wallSeconds(): number {
    throw new Error("looked at the wall clock");
  }
}

interface Waiting {
  readonly interests: readonly Interest[];
  readonly untilMs: number;
  readonly resolve: (ready: readonly Readiness[]) => void;
}

/** The poll of one daemon in the world. */
export class FakePoller implements Poller {
  waiting: Waiting | undefined;
  /** While true, the daemon does not run, as after SIGSTOP. */
  frozen = false;
  /** How often it has waited. */
  waits = 0;
  woken = false;

  constructor(readonly clock: Clock) {}

  wait(interests: readonly Interest[], timeoutMs: number): Promise<readonly Readiness[]> {
    if (this.waiting !== undefined) throw new Error("waits twice at a time");
    this.waits++;
    const untilMs = timeoutMs < 0 ? Infinity : this.clock.bootMs() + timeoutMs;
    return new Promise((resolve) => this.waiting = { interests, untilMs, resolve });
  }

  wake(): void {
    this.woken = true;
  }
}

export class World {
  readonly clock = new VirtualClock();
  readonly network = new FakeNetwork(this.clock);
  readonly #pollers: FakePoller[] = [];
  #failure: { readonly error: unknown } | undefined;

  poller(): FakePoller {
    const poller = new FakePoller(this.clock);
    this.#pollers.push(poller);
    return poller;
  }

  /** Runs a daemon's loop; what it throws ends the next `run`. */
  start(loop: () => Promise<void>): void {
    loop().catch((error) => this.#failure ??= { error });
  }

  /** Lets virtual time go by. @throws what a daemon has thrown. */
  async run(ms: number): Promise<void> {
    const endMs = this.clock.nowMs + ms;
    for (let turns = 0;;) {
      await settle();
      if (this.#failure !== undefined) throw this.#failure.error;
      const served = this.#serve();
      if (served > 0) {
        turns += served;
        if (turns > TURNS_AT_ONCE) throw new Error("somebody runs in circles");
        continue;
      }
      if (this.clock.nowMs >= endMs) return;
      turns = 0;
      this.clock.nowMs = Math.max(this.clock.nowMs, Math.min(endMs, this.#nextMs()));
    }
  }

  /** @returns how many daemons have something to do. */
  #serve(): number {
    let served = 0;
    for (const poller of this.#pollers) {
      const { waiting } = poller;
      if (waiting === undefined || poller.frozen) continue;
      const ready = this.network.ready(waiting.interests);
      if (ready.length === 0 && !poller.woken && this.clock.nowMs < waiting.untilMs) continue;
      poller.waiting = undefined;
      poller.woken = false;
      waiting.resolve(ready);
      served++;
    }
    return served;
  }

  #nextMs(): number {
    const running = this.#pollers.filter(({ frozen }) => !frozen);
    const timers = running.map(({ waiting }) => waiting?.untilMs ?? Infinity);
    return Math.min(...timers, this.network.nextArrivalMs());
  }
}

/** Lets promises that are resolved go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 6; i++) await null;
}
