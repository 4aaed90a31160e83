/** strongSwan in a node: charon with either of its kernel back ends, one IKEv2 connection "lab" with one child "net". */

import { findKernelPfkey } from "./host.ts";
import { ADDRESS, PREFIX } from "./network.ts";
import type { Node } from "./node.ts";
import type { Process } from "./process.ts";
import { eventually, step } from "./step.ts";

const CHARON = "/usr/lib/ipsec/charon";
const PLUGINS = "/usr/lib/ipsec/plugins";

/** charon's back end for SAs and policies; addresses and routes are always kernel-netlink's. */
export type CharonKernel = "netlink" | "pfkey";

/** One side of a tunnel. */
export interface Tunnel {
  readonly local: string;
  readonly remote: string;
  readonly localNets: readonly string[];
  readonly remoteNets: readonly string[];
  /** As swanctl.conf writes it: `aes256gcm16-esn`, `aes256-sha256`. */
  readonly espProposals?: string;
  /** More lines for the connection: `rekey_time = 60s`. */
  readonly connection?: string;
  /** More lines for the child: `start_action = trap`. */
  readonly child?: string;
}

/** The client's side of a tunnel from its inner networks to the server's, by way of the virtual address. */
export const CLIENT_TUNNEL: Tunnel = {
  local: ADDRESS.client.pub.v4,
  remote: ADDRESS.virtual.pub.v4,
  localNets: [PREFIX.inner.v4, PREFIX.inner.v6],
  remoteNets: [PREFIX.in.v4, PREFIX.in.v6],
};

/** The gateway's side of it. */
export const GATEWAY_TUNNEL: Tunnel = {
  local: CLIENT_TUNNEL.remote,
  remote: CLIENT_TUNNEL.local,
  localNets: CLIENT_TUNNEL.remoteNets,
  remoteNets: CLIENT_TUNNEL.localNets,
};

export class Charon {
  private constructor(
    readonly node: Node,
    readonly process: Process,
    readonly environment: readonly string[],
  ) {}

  /**
   * Starts charon and loads the tunnel, or a whole swanctl.conf; ready to initiate or to answer. With the kernel
   * `pfkey` the scenario needs `guest({ kernelPfkey: true })`.
   */
  static async start(node: Node, tunnel: Tunnel | string, kernel: CharonKernel = "netlink"): Promise<Charon> {
    const folder = `${node.folder}/charon`;
    await Deno.mkdir(`${folder}/swanctl`, { recursive: true });
    if (kernel === "pfkey") {
      await Deno.copyFile(findKernelPfkey().path, `${PLUGINS}/libstrongswan-kernel-pfkey.so`);
    }
    await Deno.writeTextFile(`${folder}/strongswan.conf`, strongswanConf(kernel));
    await Deno.writeTextFile(
      `${folder}/swanctl/swanctl.conf`,
      typeof tunnel === "string" ? tunnel : swanctlConf(tunnel),
    );
    const environment = [`STRONGSWAN_CONF=${folder}/strongswan.conf`, `SWANCTL_DIR=${folder}/swanctl`];
    step(`${node.name}: charon starts, kernel-${kernel}`);
    await node.run("rm", "-f", "/run/charon.vici"); // a charon before leaves its socket, which nobody answers
    const charon = new Charon(node, node.spawn("env", ...environment, CHARON), environment);
    await eventually("answer of charon", async () => {
      if (!charon.process.running) throw new Error(`charon ended:\n${charon.process.tail()}`);
      return (await node.try("test", "-S", "/run/charon.vici")).code === 0;
    });
    await charon.swanctl("--load-all");
    return charon;
  }

  get log(): readonly string[] {
    return this.process.lines;
  }

  /** Brings the tunnel up. @throws {Error} with swanctl's output */
  async initiate(): Promise<void> {
    step(`${this.node.name}: tunnel goes up`);
    await this.swanctl("--initiate", "--child", "net", "--timeout", "20");
  }

  /** New SAs for the child. Returns when they are there; the old inbound one goes a second later. */
  async rekey(): Promise<void> {
    step(`${this.node.name}: tunnel is rekeyed`);
    const from = this.log.length;
    await this.swanctl("--rekey", "--child", "net");
    await this.process.waitForLine(/outbound CHILD_SA net\{\d+\} established/, 20_000, from);
  }

  /** Takes the tunnel down, child and IKE SA. */
  async terminate(): Promise<void> {
    step(`${this.node.name}: tunnel goes down`);
    await this.swanctl("--terminate", "--ike", "lab", "--timeout", "20");
  }

  /** swanctl with this charon. @returns its stdout; @throws {Error} with its output and charon's when it fails */
  async swanctl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.node.try("env", ...this.environment, "swanctl", ...args);
    if (code === 0) return stdout;
    throw new Error(
      `${this.node.name}: swanctl ${args.join(" ")}: ${stderr}${stdout}\ncharon:\n${this.process.tail()}`,
    );
  }

  /** SIGTERM: an orderly end, which takes all tunnels down. */
  async stop(): Promise<void> {
    step(`${this.node.name}: charon stops`);
    await this.process.end("SIGTERM");
  }

  /** SIGKILL: a crash, the kernel keeps all SAs and the peer hears nothing. */
  async kill(): Promise<void> {
    step(`${this.node.name}: charon killed`);
    await this.process.end("SIGKILL");
  }
}

/** Of two plugins for the same thing the first one is taken. */
function strongswanConf(kernel: CharonKernel): string {
  const kernels = kernel === "pfkey" ? "kernel-pfkey kernel-netlink" : "kernel-netlink";
  return `
charon {
  load = random nonce kdf hmac sha1 sha2 aes gmp openssl ${kernels} socket-default vici
  install_routes = no
  delete_rekeyed_delay = 1
  retransmit_tries = 3
  retransmit_timeout = 1
  filelog {
    stderr {
      default = 1
      ike_name = yes
      flush_line = yes
    }
  }
}
swanctl {
  load = random
}
`;
}

function swanctlConf(tunnel: Tunnel): string {
  return `
connections {
  lab {
    version = 2
    local_addrs = ${tunnel.local}
    remote_addrs = ${tunnel.remote}
    proposals = aes256-sha256-modp2048-x25519
    encap = no
    mobike = no
    ${tunnel.connection ?? ""}
    local {
      auth = psk
      id = ${tunnel.local}
    }
    remote {
      auth = psk
      id = ${tunnel.remote}
    }
    children {
      net {
        local_ts = ${tunnel.localNets.join(", ")}
        remote_ts = ${tunnel.remoteNets.join(", ")}
        esp_proposals = ${tunnel.espProposals ?? "aes256-sha256"}
        rekey_time = 0
        ${tunnel.child ?? ""}
      }
    }
  }
}
secrets {
  ike-lab {
    secret = "for the laboratory only"
  }
}
`;
}
