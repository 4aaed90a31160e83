/**
 * Sees to it that an IKE daemon carries out the last order: tries until it is done or overtaken by the next order,
 * 0.5 to 10 s apart, and never waits. The gateway gives the orders and calls `tick` after every poll.
 */

import { DecodeError, IkeError, SyscallError } from "../errors.ts";
import type { Log } from "../log/verbosity.ts";
import type { IkeControl, IkeOrder, Interest } from "../ports.ts";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

/** The orders, as the log tells of them. */
const WORDS = { active: "active", passive: "passive", left: "left to itself" } as const;

export class IkeSwitch {
  #order: IkeOrder | undefined;
  #isTrying = false;
  /** When the next try begins or, while one is under way, when it is given up. */
  #atMs = Infinity;
  #retryMs = FIRST_RETRY_MS;
  /** What was said last of this order: nothing is said twice. */
  #said = "";

  constructor(private readonly control: IkeControl, private readonly log: Log) {}

  /** From now on the daemon is to do this. An order for what it is to do already changes nothing. */
  give(order: IkeOrder, nowMs: number): void {
    if (order.duty === this.#order?.duty) return;
    this.#stopTrying();
    this.#order = order;
    this.#said = "";
    this.#retryMs = FIRST_RETRY_MS;
    this.#atMs = nowMs;
  }

  /** The daemon is left to itself: what was taken from it is given back. A command that runs may come to its end. */
  leave(nowMs: number): void {
    if (this.control.owes) return this.give({ duty: "left", epoch: 0 }, nowMs);
    this.#order = undefined;
    this.#isTrying = false;
    this.#atMs = Infinity;
  }

  /** Ends all tries, and says so when that leaves something undone. */
  giveUp(): void {
    if (this.isIdle) return;
    this.#stopTrying();
    this.#atMs = Infinity;
    this.log.error(`${this.control.name}: not everything that was taken from it could be given back in time`);
  }

  /** Whether nothing is left to be tried. */
  get isIdle(): boolean {
    return !this.#isTrying && this.#atMs === Infinity;
  }

  get interests(): readonly Interest[] {
    const { interest } = this.control;
    return this.#isTrying && interest !== undefined ? [interest] : [];
  }

  /** Does what is due and what descriptors may be ready for. @returns when to be called again at the latest. */
  tick(nowMs: number): number {
    const order = this.#order;
    if (order === undefined || !this.#isTrying && nowMs < this.#atMs) return this.#atMs;
    try {
      this.#proceed(order, nowMs);
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.#fail(order, error.message, nowMs);
    }
    return this.#atMs;
  }

  #proceed(order: IkeOrder, nowMs: number): void {
    const { control } = this;
    if (!this.#isTrying) {
      this.#isTrying = true;
      this.#atMs = nowMs + control.patienceMs;
      control.begin(order);
    }
    if (control.proceed()) this.#succeed(order, nowMs);
    else if (control.hasHeard === true) this.#atMs = nowMs + control.patienceMs;
    else if (nowMs >= this.#atMs) throw new IkeError(`no answer for ${control.patienceMs / 1000} s`);
  }

  #succeed(order: IkeOrder, nowMs: number): void {
    this.#stopTrying();
    this.#retryMs = FIRST_RETRY_MS;
    this.#atMs = nowMs + this.control.repeatMs(order);
    this.#say("state", `${this.control.name} is ${WORDS[order.duty]}`);
  }

  #fail(order: IkeOrder, reason: string, nowMs: number): void {
    this.#stopTrying();
    this.#atMs = nowMs + this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    this.#say("error", `${this.control.name} is not ${WORDS[order.duty]} yet, trying again: ${reason}`);
  }

  #stopTrying(): void {
    this.control.cancel();
    this.#isTrying = false;
  }

  #say(level: "state" | "error", text: string): void {
    if (text !== this.#said) this.log[level](text);
    this.#said = text;
  }
}

function isFailure(error: unknown): error is Error {
  return [SyscallError, DecodeError, IkeError].some((kind) => error instanceof kind);
}
