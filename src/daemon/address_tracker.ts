/**
 * Linux: this node is master while the virtual address is on the interface, whoever put it there (ucarp, keepalived,
 * an administrator). Events only say when to look; what is true is asked from the kernel.
 */

import { KernelReplyError } from "../errors.ts";
import { NLM_F_DUMP, splitDatagram } from "../layout/netlink.ts";
import {
  decodeLink,
  decodeLinkAddress,
  encodeAddressDump,
  encodeLinkRequest,
  IFA_F_DADFAILED,
  IFA_F_TENTATIVE,
  type Link,
  type LinkAddress,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
} from "../link/interfaces.ts";
import type { Fd, KernelSocket, RoleState, RoleTracker } from "../ports.ts";
import { type Address, equalBytes, familyOf, formatAddress } from "../record/address.ts";
import { errnoName } from "../xfrm/errno.ts";
import { drain } from "./drain.ts";
import { NetlinkChannel } from "./netlink_channel.ts";

const ENODEV = 19;

export interface AddressTrackerOptions {
  readonly interface: string;
  readonly address: Address;
  /** A NETLINK_ROUTE socket that hears RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR and RTNLGRP_IPV6_IFADDR. */
  readonly events: KernelSocket;
  /** Another one, that hears nothing. */
  readonly requests: KernelSocket;
}

export class AddressTracker implements RoleTracker {
  readonly fd: Fd;
  readonly #channel: NetlinkChannel;
  /** As it was seen last; undefined: read it. */
  #state: RoleState | undefined;
  /** Number of the interface when it was seen last. */
  #index: number | undefined;

  constructor(private readonly options: AddressTrackerOptions) {
    this.fd = options.events.fd;
    this.#channel = new NetlinkChannel(options.requests);
  }

  look(): RoleState {
    const before = this.#state;
    this.#state = undefined; // and it stays so when something is thrown
    const concerns = drain(this.options.events, (datagram) => this.#concerns(datagram));
    return this.#state = concerns ? this.#readState() : before ?? this.#readState();
  }

  close(): void {
    this.options.events.close();
    this.options.requests.close();
  }

  /** Other interfaces may come and go by the thousands, and the addresses of all of them are read at each look. */
  #concerns(datagram: Uint8Array): boolean {
    return splitDatagram(datagram).some(({ type, body }) => {
      if (type === RTM_NEWADDR || type === RTM_DELADDR) return decodeLinkAddress(body)?.index === this.#index;
      if (type !== RTM_NEWLINK && type !== RTM_DELLINK) return false;
      const { index, name } = decodeLink(body);
      return index === this.#index || name === this.options.interface;
    });
  }

  #readState(): RoleState {
    const { interface: name, address } = this.options;
    const text = formatAddress(address);
    const link = this.#readLink();
    this.#index = link?.index;
    if (link === undefined) return { role: "FAIL", reason: `there is no interface ${name}` };
    if (!link.isUp) return { role: "FAIL", reason: `interface ${name} is down` };
    if (!link.isRunning) return { role: "FAIL", reason: `interface ${name} has no carrier` };
    const found = this.#readAddress(link.index);
    if (found === undefined) return { role: "SLAVE", reason: `${text} is not on ${name}` };
    const doubt = doubtOf(found);
    if (doubt !== undefined) return { role: "SLAVE", reason: `${text} on ${name} ${doubt}` };
    return { role: "MASTER", reason: `${text} is on ${name}` };
  }

  #readLink(): Link | undefined {
    const [answer] = this.#channel.exchange([
      { type: RTM_GETLINK, flags: 0, body: encodeLinkRequest(this.options.interface) },
    ]);
    if (answer?.kind === "message") return decodeLink(answer.body);
    if (answer?.kind !== "verdict") {
      throw new KernelReplyError("RTM_GETLINK", "ENOBUFS", "the answer was lost");
    }
    if (answer.errno === ENODEV) return undefined;
    throw new KernelReplyError("RTM_GETLINK", errnoName(answer.errno), answer.text);
  }

  #readAddress(index: number): LinkAddress | undefined {
    const { address } = this.options;
    const body = encodeAddressDump(familyOf(address));
    const messages = this.#channel.dump({ type: RTM_GETADDR, flags: NLM_F_DUMP, body });
    if (typeof messages === "number") throw new KernelReplyError("RTM_GETADDR", errnoName(messages));
    return messages.map(({ body }) => decodeLinkAddress(body))
      .find((found) => found?.index === index && equalBytes(found.address, address));
  }
}

/** Why an address that is there cannot be used; undefined: it can. */
function doubtOf({ flags }: LinkAddress): string | undefined {
  if ((flags & IFA_F_DADFAILED) !== 0) return "is another host's (duplicate address detection)";
  if ((flags & IFA_F_TENTATIVE) !== 0) return "is still tentative";
  return undefined;
}
