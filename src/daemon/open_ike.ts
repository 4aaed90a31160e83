/** From `control` of the configuration to the IKE daemons that are told whether to act. */

import type { IkeChoice } from "../config/config.ts";
import type { Log } from "../log/verbosity.ts";
import type { CommandRunner, IkeControl, LocalDoors } from "../ports.ts";
import { ExecControl } from "./ike_exec.ts";
import { IkedControl } from "./ike_iked.ts";
import { IsakmpdControl } from "./ike_isakmpd.ts";
import { StrongswanControl } from "./ike_strongswan.ts";

/** What the controls need of the world. */
export interface IkePorts {
  readonly doors: LocalDoors;
  readonly runner: CommandRunner;
  readonly log: Log;
}

export function openIke(choice: IkeChoice, { doors, runner, log }: IkePorts): readonly IkeControl[] {
  switch (choice) {
    case "none":
      return [];
    case "isakmpd":
      return [new IsakmpdControl(doors)];
    case "iked":
      return [new IkedControl(doors)];
    case "all":
      return [new IsakmpdControl(doors), new IkedControl(doors)];
    default:
      return choice.daemon === "strongswan"
        ? [new StrongswanControl({ path: choice.socket, doors, log })]
        : [new ExecControl(choice.command, runner, log)];
  }
}
