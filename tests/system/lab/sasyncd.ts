/** The compiled daemon, started in a node from the text of a configuration. */

import { EXECUTABLE } from "../executable.ts";
import { ADDRESS } from "./network.ts";
import type { Node } from "./node.ts";
import { type Outcome, Process, type Usage } from "./process.ts";
import { step } from "./step.ts";

export { EXECUTABLE };

/** How a daemon talks with its kernel: the configuration's `kernel`. */
export type Backend = "xfrm" | "pfkey";

/** The back ends of a master and its slaves. */
export interface Kernels {
  readonly master: Backend;
  readonly slave: Backend;
  /** What gateways with PF_KEY are told to assume: `truncation 128`. None of the tests' SAs that they read has ESN. */
  readonly assume?: string;
}

export const XFRM: Kernels = { master: "xfrm", slave: "xfrm" };

export const PFKEY: Kernels = { master: "pfkey", slave: "pfkey" };

/** All that have PF_KEY on either side. */
export const WITH_PFKEY: readonly Kernels[] = [
  PFKEY,
  { master: "pfkey", slave: "xfrm" },
  { master: "xfrm", slave: "pfkey" },
];

/** For the names of tests. */
export const nameOf = ({ master, slave, assume }: Kernels): string =>
  `${master} to ${slave}${assume === undefined ? "" : ` assuming ${assume}`}`;

export const hasPfkey = ({ master, slave }: Kernels): boolean => master === "pfkey" || slave === "pfkey";

/** What the configuration of a gateway says of its back end. */
export function kernelLines(kernels: Kernels, mode: "master" | "slave"): string {
  if (kernels[mode] === "xfrm") return "kernel xfrm\n";
  const { assume } = kernels;
  return `kernel pfkey\npfkey assume-no-esn\n${assume === undefined ? "" : `pfkey assume-${assume}\n`}`;
}

/** Their addresses on the link. */
const LINK: Readonly<Record<string, string>> = {
  gw1: ADDRESS.gw1.sync.v4,
  gw2: ADDRESS.gw2.sync.v4,
  gw3: ADDRESS.gw3.sync.v4,
};

const PAIR: readonly string[] = ["gw1", "gw2"];
export const THREE: readonly string[] = Object.keys(LINK);

const SHARED_KEY = `0x${"5a".repeat(32)}`;

/** The configuration of one of these gateways: its link to the others, the key, and these lines. */
export function configurationOf(
  own: string,
  lines: readonly string[],
  { gateways = PAIR, key = SHARED_KEY } = {},
): string {
  return [
    `listen on ${LINK[own]}`,
    ...gateways.filter((name) => name !== own).map((name) => `peer ${LINK[name]}`),
    `sharedkey ${key}`,
    ...lines,
    "",
  ].join("\n");
}

/** gw1 as master for good, gw2 as its slave. */
export function fixedConfiguration(
  mode: "master" | "slave",
  kernels: Kernels = XFRM,
  lines: readonly string[] = [],
): string {
  return configurationOf(mode === "master" ? "gw1" : "gw2", [
    `mode ${mode}`,
    kernelLines(kernels, mode),
    ...lines,
  ]);
}

export class Sasyncd {
  private constructor(readonly node: Node, readonly process: Process) {}

  /**
   * Writes `configuration` (as NAME.conf; name it `*.toml` for TOML) with the mode the daemon asks for, and starts
   * `sasyncd -d -v -v -c FILE`. Returns at once: wait for a line of the log.
   */
  static async start(
    node: Node,
    configuration: string,
    { file = "sasyncd.conf", args = ["-d", "-v", "-v"] }: { file?: string; args?: readonly string[] } = {},
  ): Promise<Sasyncd> {
    const path = `${node.folder}/${file}`;
    await Deno.writeTextFile(path, configuration, { mode: 0o600 });
    step(`${node.name}: sasyncd ${args.join(" ")}`);
    return new Sasyncd(node, node.spawn(EXECUTABLE, ...args, "-c", path));
  }

  get log(): readonly string[] {
    return this.process.lines;
  }

  /** `sasyncd handover` for this daemon. Returns when it has ended, with what it printed. */
  async handover({ file = "sasyncd.conf" } = {}): Promise<Outcome> {
    step(`${this.node.name}: sasyncd handover`);
    return await this.node.try(EXECUTABLE, "handover", "-c", `${this.node.folder}/${file}`);
  }

  /** Waits for a line of the log. @throws {Error} with the end of the log */
  waitForLog(pattern: RegExp, timeoutMs = 60_000, from = 0): Promise<RegExpExecArray> {
    return this.process.waitForLine(pattern, timeoutMs, from);
  }

  /** SIGTERM. @returns the exit status */
  stop(): Promise<number> {
    step(`${this.node.name}: sasyncd stops`);
    return this.process.end("SIGTERM");
  }

  /** SIGKILL: a crash. */
  async kill(): Promise<void> {
    step(`${this.node.name}: sasyncd killed`);
    await this.process.end("SIGKILL");
  }

  /** SIGSTOP: alive, but does nothing. */
  pause(): void {
    step(`${this.node.name}: sasyncd paused`);
    this.process.signal("SIGSTOP");
  }

  resume(): void {
    step(`${this.node.name}: sasyncd resumed`);
    this.process.signal("SIGCONT");
  }

  usage(): Usage {
    return this.process.usage();
  }
}
