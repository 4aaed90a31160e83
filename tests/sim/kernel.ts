/** The kernel of a simulated gateway: in memory, and not always at the daemon's service. */

import { MemoryKernel } from "../../src/daemon/memory_kernel.ts";
import { SyscallError } from "../../src/errors.ts";
import type { Clock, KernelChange, KernelResult } from "../../src/ports.ts";
import type { IpsecRecord } from "../../src/record/record.ts";

/** reqid that a kernel refuses which is told to. */
export const REFUSED_REQID = 13;

export class SimKernel extends MemoryKernel {
  /** Some calls fail, when a part of their changes has been done. */
  isFailing = false;

  constructor(clock: Clock, readonly refuses: boolean, private readonly random: () => number) {
    super(clock);
  }

  /** Whether it does not take this record, whoever brings it. */
  isRefused(record: IpsecRecord): boolean {
    return this.refuses && record.kind === "sa" && record.sa.reqid === REFUSED_REQID;
  }

  override apply(changes: readonly KernelChange[]): readonly KernelResult[] {
    if (this.isFailing && changes.length > 0 && this.random() < 0.5) {
      this.#do(changes.slice(0, Math.floor(this.random() * changes.length)));
      throw new SyscallError("send to the kernel", "ENOBUFS", 105);
    }
    return this.#do(changes);
  }

  /** What is refused is gone, as it is where an update is done as a deletion and an addition. */
  #do(changes: readonly KernelChange[]): KernelResult[] {
    return changes.map((change) => {
      if (change.kind !== "put" || !this.isRefused(change.record)) return super.apply([change])[0]!;
      if (change.record.kind === "sa") super.apply([{ kind: "delete-sa", id: change.record.sa }]);
      return { ok: false, reason: "ENOSYS" };
    });
  }
}
