/**
 * Linux: a file for keepalived's track_file, which adds the number in it to a priority. 0 is demoted, and so is a
 * file that is missing: a node that has just been started, or whose daemon is not there, does not preempt.
 */

import type { DemoteFile } from "../config/config.ts";
import type { Demoter } from "../ports.ts";

export interface FileDemoterOptions extends DemoteFile {
  /** Replaces a file in one step. @throws {SyscallError} */
  readonly replace: (path: string, text: string) => void;
  /** Told whether this node is master, so that somebody else demotes it when this process is killed and it is not. */
  readonly tellHeir: (isMaster: boolean) => void;
}

/** What the file says of a node that is demoted. */
export const DEMOTED = "0\n";

export class FileDemoter implements Demoter {
  #isMaster = false;

  constructor(private readonly options: FileDemoterOptions) {}

  set(demoted: boolean, isMaster: boolean): void {
    const { path, weight, replace, tellHeir } = this.options;
    this.#isMaster = isMaster;
    tellHeir(isMaster);
    replace(path, demoted ? DEMOTED : `${weight}\n`);
  }

  /** A master keeps the address and the SAs that its kernel has; what a slave has is out of date soon. */
  leave(): void {
    if (!this.#isMaster) this.options.replace(this.options.path, DEMOTED);
  }
}
