/** A node of the laboratory: a network namespace of its own, and a /run and /sys of its own. */

import { execute, mustExecute, type Outcome, Process } from "./process.ts";

/** Settings that every node starts with: it routes, and takes any packet that comes. */
const SYSCTL = [
  "0 ipv4/conf/all/rp_filter",
  "0 ipv4/conf/default/rp_filter",
  "1 ipv4/ip_forward",
  "0 ipv4/conf/all/send_redirects",
  "0 ipv4/conf/default/send_redirects",
  "0 ipv4/conf/all/accept_redirects",
  "0 ipv6/conf/all/accept_dad",
  "0 ipv6/conf/default/accept_dad",
  "1 ipv6/conf/all/forwarding",
];

const PREPARE = `set -e
mount -t tmpfs run /run
mount -t sysfs sysfs /sys
while read -r value name; do echo $value >/proc/sys/net/$name; done
ip link set lo up`;

export class Node {
  /** A folder for this node's files, the same path in every node. */
  readonly folder: string;

  private constructor(readonly name: string) {
    this.folder = `/tmp/lab/${name}`;
  }

  /** Makes the node. Its mount namespace is kept by a file in /run/mnt, its network namespace by `ip netns`. */
  static async create(name: string): Promise<Node> {
    const node = new Node(name);
    await Deno.mkdir(node.folder, { recursive: true });
    if (!await exists("/run/mnt")) {
      await Deno.mkdir("/run/mnt");
      await mustExecute(["mount", "--bind", "/run/mnt", "/run/mnt"]);
      await mustExecute(["mount", "--make-private", "/run/mnt"]);
    }
    await Deno.writeTextFile(`/run/mnt/${name}`, "");
    await mustExecute(["ip", "netns", "add", name]);
    const enter = ["nsenter", `--net=/run/netns/${name}`, "unshare", `--mount=/run/mnt/${name}`];
    await mustExecute([...enter, "sh", "-c", PREPARE], SYSCTL.map((line) => `${line}\n`).join(""));
    return node;
  }

  /** Runs a program in the node. @returns its stdout; @throws {Error} with its stderr when it fails. */
  run(...command: string[]): Promise<string> {
    return mustExecute(this.#inside(command));
  }

  /** Runs a program that may fail. */
  try(...command: string[]): Promise<Outcome> {
    return execute(this.#inside(command));
  }

  /** Runs a shell script in the node. @returns its stdout; @throws {Error} with its stderr when it fails. */
  shell(script: string): Promise<string> {
    return this.run("bash", "-c", script);
  }

  /** Runs `ip -batch` with these lines: many changes, one process. (After `deleteall` and `list` ip leaves out the rest.) */
  ip(...lines: string[]): Promise<string> {
    return mustExecute(this.#inside(["ip", "-batch", "-"]), lines.map((line) => `${line}\n`).join(""));
  }

  /** Starts a program in the background. */
  spawn(...command: string[]): Process {
    return new Process(`${this.name}: ${command[0]}`, this.#inside(command));
  }

  /** Sends `count` pings, 50 ms apart. @returns how many were answered. */
  async ping(address: string, { count = 3, from }: { count?: number; from?: string } = {}): Promise<number> {
    const source = from === undefined ? [] : ["-I", from];
    const { stdout } = await this.try("ping", "-c", `${count}`, "-i", "0.05", "-W", "1", ...source, address);
    return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
  }

  #inside(command: readonly string[]): string[] {
    return ["nsenter", `--net=/run/netns/${this.name}`, `--mount=/run/mnt/${this.name}`, "--", ...command];
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
