/** Tells OpenBSD's isakmpd(8) whether it is to act: a line into its FIFO, which it never answers. */

import type { IkeControl, IkeOrder, LocalDoors } from "../ports.ts";

const ISAKMPD_FIFO = "/var/run/isakmpd.fifo";

export class IsakmpdControl implements IkeControl {
  readonly name = "isakmpd";
  readonly patienceMs = Infinity;
  readonly owes = false;
  readonly interest = undefined;
  #line = new Uint8Array(0);

  constructor(private readonly doors: LocalDoors) {}

  repeatMs(): number {
    return Infinity;
  }

  begin({ duty }: IkeOrder): void {
    this.#line = new TextEncoder().encode(`M ${duty}\n`);
  }

  proceed(): boolean {
    this.doors.writeFifo(ISAKMPD_FIFO, this.#line);
    return true;
  }

  cancel(): void {}
}
