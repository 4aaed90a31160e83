/** `mode master` and `mode slave`: a role that nothing changes. */

import type { RoleState, RoleTracker } from "../ports.ts";

export class LockedTracker implements RoleTracker {
  readonly fd = undefined;

  constructor(readonly mode: "master" | "slave") {}

  look(): RoleState {
    return { role: this.mode === "master" ? "MASTER" : "SLAVE", reason: `mode ${this.mode}` };
  }

  close(): void {}
}
