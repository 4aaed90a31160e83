/** `sasyncd handover` on the control socket: begins the node's handover and tells how it goes. */

import type { Node } from "../core/node.ts";
import type { Answer, ControlCommand, ControlTask } from "./control_server.ts";

export interface HandoverCommandOptions {
  readonly node: Node;
  /** Whether `mode master` is configured: nothing can move the role. */
  readonly isLocked: () => boolean;
  /** Whether this node can be demoted; if not, the operator moves the address. */
  readonly canDemote: boolean;
}

/** The command for the control server. */
export function handoverCommand(options: HandoverCommandOptions): ControlCommand {
  return (nowMs) => {
    const refusal = options.isLocked()
      ? "mode master is configured: this node cannot become slave"
      : options.node.handOver(nowMs);
    return refusal === undefined
      ? new HandoverTask(options)
      : { proceed: () => [{ ok: false, reason: refusal }] };
  };
}

class HandoverTask implements ControlTask {
  #told = "";

  constructor(private readonly options: HandoverCommandOptions) {}

  proceed(): readonly Answer[] {
    const { node: { handover: { result, standing } }, canDemote } = this.options;
    const isFirst = this.#told === "";
    const isNew = this.#told !== standing;
    this.#told = standing;
    return [
      ...isFirst ? [{ progress: canDemote ? DEMOTED : MOVE_IT }] : [],
      ...isNew ? [{ progress: standing }] : [],
      ...result.state === "failed" ? [{ ok: false as const, reason: result.reason }] : [],
      ...result.state === "done" ? [...canDemote ? [{ progress: RESTS }] : [], { ok: true as const }] : [],
    ];
  }
}

const DEMOTED = "demoted this node; waiting until another one is master";
const MOVE_IT = "nothing is configured that demotes this node: move the address now";
const RESTS =
  "this node stays demoted until it becomes master, a handover back needs it, or sasyncd is started again";
