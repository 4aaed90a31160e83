/** Brings what the core decides of this node's demotion to the demoter. Used by the gateway. */

import type { Node } from "../core/node.ts";
import type { Log } from "../log/verbosity.ts";
import type { Demoter } from "../ports.ts";

/** How often the demoter is told what it knows, in case that somebody else has touched what it wrote. */
const REPEAT_MS = 5000;

export class Preference {
  /** What the demoter was told last. */
  #told: { readonly demoted: boolean; readonly isMaster: boolean } | undefined;
  #toldMs = -Infinity;

  constructor(readonly node: Node, readonly demoter: Demoter, readonly log: Log) {}

  /** Tells the demoter what is new. @throws {SyscallError} and then it has to be called again. */
  apply(nowMs: number): void {
    const { demoted, reason } = this.node.demotion;
    const isMaster = this.node.membership.role === "MASTER";
    const before = this.#told;
    const isKnown = before?.demoted === demoted && before.isMaster === isMaster;
    if (isKnown && nowMs - this.#toldMs < REPEAT_MS) return;
    this.demoter.set(demoted, isMaster);
    this.#toldMs = nowMs;
    this.#told = { demoted, isMaster };
    if (demoted && before?.demoted !== true) this.log.state(`demoted: ${reason}`);
    if (!demoted && before?.demoted === true) this.log.state(`not demoted any more: ${reason}`);
  }

  /** The daemon ends. @throws {SyscallError} */
  leave(): void {
    this.demoter.leave();
  }
}
