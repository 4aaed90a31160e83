/** One run of the soak test: takeovers, killed processes and cut links, and whether all is well after them. */

import { formatTable } from "../../bench/table.ts";
import { delay, eventually, type Network, step, waitEqual } from "../lab/mod.ts";
import type { Daemon } from "./daemon.ts";
import type { Load } from "./load.ts";
import type { Event } from "./schedule.ts";

/** How long the kernels may take to become equal once nothing changes. */
const QUIET_MS = 60_000;
/** A fault so long before a takeover has no part in it, when the heir has caught up since. */
const APART_MS = 15_000;

/** Its gateways, what goes on at the moment, and what was wrong. */
export class Run {
  /** Faults that are not over. */
  readonly #faults = new Set<Promise<void>>();
  #lastFaultMs = -Infinity;
  readonly #wrong: string[] = [];
  /** How many of each kind of event there were. */
  readonly #counts = { takeover: 0, kill: 0, cut: 0 };

  constructor(
    readonly lab: Network,
    readonly daemons: readonly Daemon[],
    readonly load: Load,
    readonly random: () => number,
  ) {}

  /** A takeover is waited for; what breaks goes on breaking meanwhile. */
  async do(event: Event): Promise<void> {
    this.#counts[event.kind]++;
    if (event.kind === "takeover") return await this.#takeover();
    this.#lastFaultMs = performance.now();
    const fault = event.kind === "kill" ? this.#kill() : this.#cut(event.lengthMs);
    this.#faults.add(fault);
    fault.finally(() => {
      this.#faults.delete(fault);
      this.#lastFaultMs = performance.now();
    });
  }

  /** Says a figure, and remembers it when it is wrong. */
  check(isWell: boolean, text: string): void {
    step(`${text}${isWell ? "" : ": WRONG"}`);
    if (!isWell) this.#wrong.push(text);
  }

  /** Nothing is broken any more and nothing changes: roles are right and all kernels equal. */
  async settle(): Promise<void> {
    await Promise.all(this.#faults);
    const master = this.load.node;
    await eventually(
      "right roles",
      () => this.daemons.every(({ node, role }) => role === (node === master ? "MASTER" : "SLAVE")),
      QUIET_MS,
    );
    for (const { node } of this.daemons) {
      // The policies do not overlap, so their order decides nothing.
      if (node !== master) await waitEqual(master, node, QUIET_MS, { anyOrder: true });
    }
  }

  /** Prints the figures. @returns the exit status */
  judge(): number {
    const growth = this.daemons.flatMap((daemon) => daemon.growth);
    console.log(
      formatTable([["", "samples", "memory, MiB", "descriptors"], ...growth.map(({ row }) => row)]),
    );
    this.check(growth.length > 0 && growth.every(({ isWell }) => isWell), "growth of memory and descriptors");
    const { changes, longestMs, rekeyAllMs } = this.load;
    const longest = `${changes} changes, new keys after ${Math.round(longestMs / 1000)} s at most`;
    this.check(longestMs <= rekeyAllMs, longest);
    const unexplained = this.daemons.flatMap((daemon) => daemon.unexplained);
    const lines = this.daemons.reduce((sum, { logged }) => sum + logged, 0);
    this.check(unexplained.length === 0, `${lines} lines in the logs, ${unexplained.length} unexplained`);
    for (const line of unexplained) console.log(`unexplained: ${line}`);
    const { takeover, kill, cut } = this.#counts;
    console.log(`${takeover} takeovers, ${kill} killed processes, ${cut} cut links`);
    console.log(this.#wrong.length === 0 ? "all is well" : `something is wrong:\n${this.#wrong.join("\n")}`);
    return this.#wrong.length === 0 ? 0 : 1;
  }

  /** The address moves. What the new master has not heard of is made anew, as an IKE daemon's peers would. */
  async #takeover(): Promise<void> {
    const { lab, load } = this;
    await load.stop();
    await delay(1000); // the last changes are under way
    const others = lab.gateways.filter((node) => node !== load.node);
    const heir = others[Math.floor(this.random() * others.length)]!;
    step(`takeover: the address moves from ${load.node.name} to ${heir.name}`);
    const isApart = this.#faults.size === 0 && performance.now() - this.#lastFaultMs > APART_MS &&
      this.daemons.some(({ node, isSynchronised }) => node === heir && isSynchronised);
    await lab.virtualDown(load.node);
    await lab.virtualUp(heir);
    load.node = heir;
    this.#tellLoss(await load.mend(), isApart, "takeover");
    load.start();
    await delay(5000);
    await load.stop();
    await this.settle();
    this.#tellLoss(await load.mend(), isApart, "settled");
    await this.settle();
    load.start();
    step(`${load.changes} changes; ${this.daemons.map((daemon) => daemon.now()).join(", ")}`);
  }

  /** With nothing broken a takeover loses nothing. */
  #tellLoss(lost: readonly string[], isApart: boolean, when: string): void {
    const some = lost.slice(0, 3).map((text) => `; ${text}`).join("");
    const text = `${when}: ${lost.length} differences${some}${isApart ? "" : " (something was broken)"}`;
    this.check(!isApart || lost.length === 0, text);
  }

  async #kill(): Promise<void> {
    const daemon = this.daemons[Math.floor(this.random() * 2)]!;
    await daemon.killOne(this.random());
    await delay(this.random() * 5_000);
    if (!daemon.running) await daemon.start();
  }

  async #cut(lengthMs: number): Promise<void> {
    const { gateways } = this.lab;
    const port = `s-${gateways[Math.floor(this.random() * gateways.length)]!.name}`;
    step(`the link ${port} is cut for ${Math.round(lengthMs)} ms`);
    await this.lab.cut(port);
    await delay(lengthMs);
    await this.lab.join(port);
  }
}
