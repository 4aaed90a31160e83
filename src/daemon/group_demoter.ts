/**
 * OpenBSD: one count on the carp(4) demotion counter of an interface group. pfsync(4), bgpd(8) and others count there
 * too, and nothing tells whose a count is: so this one goes when the daemon ends, however it does, as the original's.
 */

import { encodeIfgroupreq, SIOCSIFGATTR } from "../link/interface_requests.ts";
import type { Demoter, InterfaceControl } from "../ports.ts";

export class GroupDemoter implements Demoter {
  #demoted = false;

  constructor(readonly group: string, readonly control: InterfaceControl) {}

  set(demoted: boolean): void {
    if (demoted === this.#demoted) return;
    this.control.ioctl(SIOCSIFGATTR, encodeIfgroupreq(this.group, demoted ? 1 : -1));
    this.#demoted = demoted;
  }

  leave(): void {
    this.set(false);
  }
}
