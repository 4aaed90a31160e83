/**
 * The laboratory's network, IPv4 and IPv6:
 *
 *   inner - client --- [pub] --- gw1 gw2 (gw3) --- [in] --- server
 *                                 |   |    |
 *                                [   sync   ]
 *
 * Networks are bridges in the guest's own namespace; the port of NODE on them is p-NODE, i-NODE or s-NODE, so that a
 * cable is pulled by `cut("s-gw1")`. Routes between client and server lead to the virtual addresses.
 */

import { Node } from "./node.ts";
import { mustExecute } from "./process.ts";

/** An IPv4 and an IPv6 address of the same host on the same network. */
export interface Pair {
  readonly v4: string;
  readonly v6: string;
}

const pub = (host: number): Pair => ({ v4: `192.0.2.${host}`, v6: `2001:db8:1::${host}` });
const inside = (host: number): Pair => ({ v4: `198.51.100.${host}`, v6: `2001:db8:2::${host}` });
const sync = (host: number): Pair => ({ v4: `203.0.113.${host}`, v6: `2001:db8:3::${host}` });
const gateway = (number: number) => ({ pub: pub(number), in: inside(number + 1), sync: sync(number) });

/** Who has which address. */
export const ADDRESS = {
  client: { pub: pub(10), inner: { v4: "10.1.0.10", v6: "2001:db8:10::10" } },
  server: { in: inside(10) },
  gw1: gateway(1),
  gw2: gateway(2),
  gw3: gateway(3),
  /** What the gateways share: tunnels end at `pub`, the server's default route is `in`. */
  virtual: { pub: pub(100), in: inside(1) },
} as const;

/** The networks at either end of the client's tunnel. */
export const PREFIX = {
  inner: { v4: "10.1.0.0/24", v6: "2001:db8:10::/64" },
  in: { v4: "198.51.100.0/24", v6: "2001:db8:2::/64" },
} as const;

let built: Network | undefined;

/** The whole of it. */
export class Network {
  private constructor(
    readonly client: Node,
    readonly server: Node,
    readonly gw1: Node,
    readonly gw2: Node,
    /** All gateways: two, or three. */
    readonly gateways: readonly Node[],
  ) {}

  /** Builds the network. A scenario that has built it before gets the same one, without SAs and policies. */
  static async build({ gateways = 2 }: { gateways?: 2 | 3 } = {}): Promise<Network> {
    if (built !== undefined) {
      for (const node of built.gateways) await node.ip("xfrm state flush", "xfrm policy flush");
      return built;
    }
    await onGuest("link add pub type bridge", "link add in type bridge", "link add sync type bridge");
    await onGuest("link set pub up", "link set in up", "link set sync up");
    const [client, server, gw1, gw2] = [
      await addHost("client", { pub: ADDRESS.client.pub }),
      await addHost("server", { in: ADDRESS.server.in }),
      await addHost("gw1", ADDRESS.gw1),
      await addHost("gw2", ADDRESS.gw2),
    ];
    const all = gateways === 3 ? [gw1, gw2, await addHost("gw3", ADDRESS.gw3)] : [gw1, gw2];
    await client.ip(
      "link add inner type dummy",
      "link set inner up",
      `addr add ${ADDRESS.client.inner.v4}/24 dev inner`,
      `addr add ${ADDRESS.client.inner.v6}/64 dev inner nodad`, // the route below wants it at once
      `route add ${PREFIX.in.v4} via ${ADDRESS.virtual.pub.v4} src ${ADDRESS.client.inner.v4}`,
      `route add ${PREFIX.in.v6} via ${ADDRESS.virtual.pub.v6} src ${ADDRESS.client.inner.v6}`,
    );
    await server.ip(
      `route add default via ${ADDRESS.virtual.in.v4}`,
      `route add default via ${ADDRESS.virtual.in.v6}`,
    );
    for (const node of all) {
      await node.ip(
        `route add ${PREFIX.inner.v4} via ${ADDRESS.client.pub.v4}`,
        `route add ${PREFIX.inner.v6} via ${ADDRESS.client.pub.v6}`,
      );
    }
    return built = new Network(client, server, gw1, gw2, all);
  }

  /** Pulls a cable: `p-client`, `s-gw1` … */
  async cut(...ports: string[]): Promise<void> {
    await onGuest(...ports.map((port) => `link set ${port} down`));
  }

  /** Plugs it in again. */
  async join(...ports: string[]): Promise<void> {
    await onGuest(...ports.map((port) => `link set ${port} up`));
  }

  /** Gives the virtual addresses to a gateway; client and server forget where they were before. */
  async virtualUp(gateway: Node): Promise<void> {
    await gateway.ip(...virtualAddresses("add"));
    for (const [node, device] of [[this.client, "pub"], [this.server, "in"]] as const) {
      await node.shell(`ip neigh flush dev ${device}; ip -6 neigh flush dev ${device}`);
    }
  }

  /** Takes the virtual addresses from a gateway. */
  async virtualDown(gateway: Node): Promise<void> {
    await gateway.ip(...virtualAddresses("del"));
  }
}

function virtualAddresses(verb: "add" | "del"): string[] {
  return Object.entries(ADDRESS.virtual).flatMap(([device, { v4, v6 }]) => [
    `addr ${verb} ${v4}/32 dev ${device}`,
    `addr ${verb} ${v6}/128 dev ${device}`,
  ]);
}

/** A node with a cable to each of the networks named, and its addresses there. */
async function addHost(name: string, networks: Readonly<Record<string, Pair>>): Promise<Node> {
  const node = await Node.create(name);
  for (const [network, { v4, v6 }] of Object.entries(networks)) {
    const port = `${network[0]}-${name}`;
    await onGuest(
      `link add ${port} type veth peer name ${network} netns ${name}`,
      `link set ${port} master ${network} up`,
    );
    await node.ip(
      `link set ${network} up`,
      `addr add ${v4}/24 dev ${network}`,
      `addr add ${v6}/64 dev ${network}`,
    );
  }
  return node;
}

/** `ip -batch` in the guest's own namespace, where the bridges are. */
async function onGuest(...lines: string[]): Promise<void> {
  await mustExecute(["ip", "-batch", "-"], lines.map((line) => `${line}\n`).join(""));
}
