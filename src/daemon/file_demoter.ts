/**
 * Linux: a file for keepalived's track_file, which adds the number in it to a priority. 0 is demoted, and so is a
 * file that is missing: a node that has just been started, or whose daemon is not there, does not preempt.
 */

import type { DemoteFile } from "../config/config.ts";
import { SyscallError } from "../errors.ts";
import type { Demoter } from "../ports.ts";

export interface FileDemoterOptions extends DemoteFile {
  /** What a file says. @throws {SyscallError} */
  readonly read: (path: string) => string;
  /** Replaces a file in one step. @throws {SyscallError} */
  readonly replace: (path: string, text: string) => void;
}

/** What the file says of a node that is demoted. */
const DEMOTED = "0\n";

export class FileDemoter implements Demoter {
  /** undefined: nothing has been written, and the file may be that of a daemon that runs. */
  #isMaster: boolean | undefined;

  constructor(private readonly options: FileDemoterOptions) {}

  set(demoted: boolean, isMaster: boolean): void {
    this.#isMaster = isMaster;
    this.#write(demoted ? DEMOTED : `${this.options.weight}\n`);
  }

  /** A master keeps the address and the SAs that its kernel has; what a slave has is out of date soon. */
  leave(): void {
    if (this.#isMaster === false) this.#write(DEMOTED);
  }

  /** keepalived reads the file whenever it is replaced, and may itself write into it when it starts (`init_file`). */
  #write(text: string): void {
    if (this.#read() !== text) this.options.replace(this.options.path, text);
  }

  #read(): string | undefined {
    try {
      return this.options.read(this.options.path);
    } catch (error) {
      if (error instanceof SyscallError) return undefined; // it is not there yet, or will be replaced
      throw error;
    }
  }
}
