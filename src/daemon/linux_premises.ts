/**
 * What a takeover needs of a Linux kernel beside SAs and policies, as lines that two gateways can compare: the default
 * action, xfrm interfaces, and the ways to the networks behind the tunnels. Only looked at when somebody verifies.
 */

import { NLM_F_DUMP } from "../layout/netlink.ts";
import { RTM_GETLINK } from "../link/interfaces.ts";
import { decodeRoute, encodeRouteRequest, RTM_GETROUTE } from "../link/routes.ts";
import { decodeXfrmInterface, encodeLinkDump } from "../link/xfrm_interfaces.ts";
import type { KernelSocket } from "../ports.ts";
import { formatPrefix, type Prefix } from "../record/address.ts";
import { XFRM_MSG_GETDEFAULT } from "../xfrm/constants.ts";
import { decodeDefault, encodeGetDefault } from "../xfrm/default_policy.ts";
import { errnoName } from "../xfrm/errno.ts";
import type { InterfaceNames } from "../xfrm/surroundings.ts";
import { type NetlinkAnswer, NetlinkChannel } from "./netlink_channel.ts";

export interface LinuxPremisesPorts {
  /** NETLINK_ROUTE and NETLINK_XFRM sockets of its own; the second one is undefined where the kernel has no XFRM. */
  readonly route: KernelSocket;
  readonly xfrm: KernelSocket | undefined;
  readonly interfaces: InterfaceNames;
}

export class LinuxPremises {
  readonly #route: NetlinkChannel;
  readonly #xfrm: NetlinkChannel | undefined;

  constructor(private readonly ports: LinuxPremisesPorts) {
    this.#route = new NetlinkChannel(ports.route);
    this.#xfrm = ports.xfrm && new NetlinkChannel(ports.xfrm);
  }

  /** `networks`: what lies behind the tunnels. @throws {SyscallError | DecodeError} */
  read(networks: readonly Prefix[]): string[] {
    return [...this.#defaultPolicy(), ...this.#interfaces(), ...this.#ways(networks)];
  }

  /** Kernels before 5.15 have none, and accept. */
  #defaultPolicy(): string[] {
    const request = { type: XFRM_MSG_GETDEFAULT, flags: 0, body: encodeGetDefault() };
    const [answer] = this.#xfrm?.exchange([request]) ?? [];
    return answer?.kind === "message" ? [`default policy: ${decodeDefault(answer.body)}`] : [];
  }

  #interfaces(): string[] {
    const links = this.#route.dump({ type: RTM_GETLINK, flags: NLM_F_DUMP, body: encodeLinkDump() });
    if (typeof links === "number") return [];
    return links.map(({ body }) => decodeXfrmInterface(body)).filter((one) => one !== undefined)
      .map(({ name, isUp, interfaceId }) =>
        `xfrm interface ${name}: id 0x${interfaceId.toString(16)}, ${isUp ? "up" : "down"}`
      );
  }

  #ways(networks: readonly Prefix[]): string[] {
    const answers = this.#route.exchange(
      networks.map(({ address }) => ({ type: RTM_GETROUTE, flags: 0, body: encodeRouteRequest(address) })),
    );
    return networks.map((network, i) => `way to ${formatPrefix(network)}: ${this.#wayOf(answers[i])}`);
  }

  #wayOf(answer: NetlinkAnswer | undefined): string {
    if (answer?.kind === "verdict") return errnoName(answer.errno);
    if (answer?.kind !== "message") return "unknown";
    const { type, interfaceIndex } = decodeRoute(answer.body);
    const name = this.ports.interfaces.nameOf(interfaceIndex) ?? `${interfaceIndex}`;
    return type === "unicast" ? `dev ${name}` : `${type} dev ${name}`;
  }
}
