/** Time and randomness of the real world, as the ports have them. */

import type { Clock, Random } from "../src/ports.ts";
import type { Libc } from "./libc.ts";

/** CLOCK_BOOTTIME and CLOCK_REALTIME by clock_gettime(2), in whole milliseconds and whole seconds. */
export class SystemClock implements Clock {
  readonly #libc: Libc;
  /** `struct timespec` (LP64): seconds, nanoseconds. */
  readonly #timespec = new BigInt64Array(2);
  #bootMs: number;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#bootMs = this.look();
  }

  bootMs(): number {
    return this.#bootMs;
  }

  look(): number {
    this.#read(this.#libc.constants.CLOCK_BOOTTIME);
    this.#bootMs = Number(this.#timespec[0]!) * 1000 + Math.floor(Number(this.#timespec[1]!) / 1e6);
    return this.#bootMs;
  }

  wallSeconds(): number {
    this.#read(this.#libc.constants.CLOCK_REALTIME);
    return Number(this.#timespec[0]!);
  }

  #read(clock: number): void {
    this.#libc.check(this.#libc.c.clockGettime(clock, this.#timespec), "read the clock");
  }
}

/** Random bytes of the operating system's generator. */
export class SystemRandom implements Random {
  /** @throws {QuotaExceededError} for more than 65,536 bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return crypto.getRandomValues(new Uint8Array(length));
  }
}
