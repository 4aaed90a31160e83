/** From `control` of the configuration to the IKE daemons that are told whether to act. */

import type { IkeChoice } from "../config/config.ts";
import type { Log } from "../log/verbosity.ts";
import type { CommandRunner, IkeControl, LocalDoors } from "../ports.ts";
import { ExecControl } from "./ike_exec.ts";
import { IkedControl } from "./ike_iked.ts";
import { IsakmpdControl } from "./ike_isakmpd.ts";
import { StrongswanControl, type Trap } from "./ike_strongswan.ts";

/** What the controls need of the world. */
export interface IkePorts {
  readonly doors: LocalDoors;
  readonly runner: CommandRunner;
  readonly log: Log;
  /** Keeps a will for `openHeir`, when this process has died. */
  readonly tellHeir?: (will: string) => void;
}

export function openIke(choice: IkeChoice, ports: IkePorts): readonly IkeControl[] {
  const { doors, runner, log } = ports;
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
        ? [openStrongswan(choice.socket, ports)]
        : [new ExecControl(choice.command, runner, log)];
  }
}

function openStrongswan(path: string, { doors, log, tellHeir }: IkePorts): StrongswanControl {
  const tell = (taken: readonly Trap[]) => tellHeir?.(JSON.stringify({ path, taken } satisfies Will));
  return new StrongswanControl({ path, doors, log, tellHeir: tell });
}

/** What the heir is to give back, and where. */
interface Will {
  readonly path: string;
  readonly taken: readonly Trap[];
}

/** The control that gives back what a process that has died had taken. `will`: what that has told last. */
export function openHeir(will: string, { doors, log }: Pick<IkePorts, "doors" | "log">): IkeControl {
  const { path, taken } = JSON.parse(will) as Will; // written above, by the same program
  return new StrongswanControl({ path, taken, doors, log });
}
