/**
 * OpenBSD: the link state of a carp(4) interface is the role. Messages of the routing socket only say when to look;
 * what is true is asked with SIOCGIFDATA.
 */

import { SyscallError } from "../errors.ts";
import {
  decodeLinkState,
  encodeIfreq,
  IF_DATA_BYTES,
  IFREQ_DATA_OFFSET,
  nameOfLinkState,
  roleOfLinkState,
  SIOCGIFDATA,
} from "../link/interface_requests.ts";
import { splitRouteMessages } from "../link/route_messages.ts";
import type { Fd, InterfaceControl, KernelSocket, RoleState, RoleTracker } from "../ports.ts";
import { drain } from "./drain.ts";

export interface CarpTrackerOptions {
  readonly interface: string;
  /** A routing socket. */
  readonly events: KernelSocket;
  readonly control: InterfaceControl;
  /** The number of an interface; undefined when there is none of that name. */
  readonly indexOf: (name: string) => number | undefined;
}

export class CarpTracker implements RoleTracker {
  readonly fd: Fd;
  /** As it was seen last; undefined: read it. */
  #state: RoleState | undefined;
  #index: number | undefined;

  constructor(private readonly options: CarpTrackerOptions) {
    this.fd = options.events.fd;
  }

  look(): RoleState {
    const before = this.#state;
    this.#state = undefined; // and it stays so when something is thrown
    const concerns = drain(this.options.events, (datagram) => this.#concerns(datagram));
    return this.#state = concerns ? this.#readState() : before ?? this.#readState();
  }

  close(): void {
    this.options.events.close();
  }

  #concerns(datagram: Uint8Array): boolean {
    return splitRouteMessages(datagram).some((message) =>
      message.kind === "desync" || message.index === this.#index ||
      message.kind === "announce" && message.name === this.options.interface
    );
  }

  /** As in the original, whatever cannot be read is FAIL. */
  #readState(): RoleState {
    const { interface: name, control, indexOf } = this.options;
    this.#index = indexOf(name);
    const ifData = new Uint8Array(IF_DATA_BYTES);
    try {
      control.ioctl(SIOCGIFDATA, encodeIfreq(name), { offset: IFREQ_DATA_OFFSET, bytes: ifData });
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      const reason = error.errno === "ENXIO" ? `there is no interface ${name}` : error.message;
      return { role: "FAIL", reason };
    }
    const state = decodeLinkState(ifData);
    return { role: roleOfLinkState(state), reason: `the link state of ${name} is ${nameOfLinkState(state)}` };
  }
}
