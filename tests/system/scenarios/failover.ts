/**
 * What the failover scenarios have in common: a warm process that lets a gateway die and moves its address, traffic
 * whose losses are counted, ESP as it was on the wire, and the counters of both gateways' kernels.
 */

import { assertEquals } from "@std/assert";
import { ADDRESS, type Captured, configurationOf, Network, type Node, Process, Sasyncd } from "../lab/mod.ts";

const { gw1, gw2, virtual } = ADDRESS;
const LAB = new URL("../lab/", import.meta.url).pathname;
const PYTHON = "/usr/bin/python3";

/** The addresses that the gateways share, as warm.py wants them. */
const SHARED = `${virtual.pub.v4}/pub ${virtual.in.v4}/in`;

/** The cables of a gateway. */
export const cablesOf = ({ name }: Node): string[] => [`p-${name}`, `i-${name}`, `s-${name}`];

/** A gateway that follows the virtual address. */
export function startDaemon(node: Node, ...more: string[]): Promise<Sasyncd> {
  const tracking = `interface pub address ${virtual.pub.v4}`;
  return Sasyncd.start(node, configurationOf(node.name, ["control none", tracking, ...more]));
}

/** Waits until a daemon has changed to a role, in its log from line `from` on. */
export const waitForRole = (daemon: Sasyncd, role: string, from = 0) =>
  daemon.waitForLog(new RegExp(` -> ${role}: .*`), 60_000, from);

/** warm.py, running: what has to happen at once. */
export class Warm {
  private constructor(readonly process: Process, readonly fifo: string) {}

  static async start(lab: Network): Promise<Warm> {
    const fifo = `${lab.gw1.folder}/warm`;
    await lab.gw1.run("mkfifo", fifo);
    const nodes = [lab.client, lab.gw1, lab.gw2].map(({ name }) => name);
    const process = new Process("warm.py", [PYTHON, `${LAB}warm.py`, fifo, ...nodes]);
    await process.waitForLine(/^warm$/);
    return new Warm(process, fifo);
  }

  /** Does commands of warm.py, one after the other. @returns how long they took */
  async do(...commands: string[]): Promise<string> {
    const from = this.process.lines.length;
    await Deno.writeTextFile(this.fifo, `${commands.join(" ; ")}\n`, { create: false });
    const [, took = ""] = await this.process.waitForLine(/^done (.*)/, 10_000, from);
    assertEquals(this.process.countLines(/^message /, from), 0, this.process.tail());
    return took;
  }
}

/** Commands for warm.py about the addresses of the gateways: a node has them, says so again, has them no more. */
export const give = (node: Node) => `add ${node.name} ${SHARED}`;
export const announce = (node: Node) => `announce ${node.name} ${SHARED}`;
export const take = (node: Node) => `del ${node.name} ${SHARED}`;

/** Commands with which a gateway dies: its cables are dead, and all of its processes are killed. */
export async function death(node: Node): Promise<string[]> {
  return [`down ${cablesOf(node).join(" ")}`, `kill ${(await processesOf(node)).join(" ")}`];
}

/** Ids of all processes of a node. */
export async function processesOf(node: Node): Promise<string[]> {
  const namespace = (await node.run("readlink", "/proc/self/ns/net")).trim();
  const pids = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const theirs = await Deno.readLink(`/proc/${name}/ns/net`).catch(() => ""); // it may be gone by now
    if (theirs === namespace) pids.push(name);
  }
  return pids;
}

/** What a kernel does not know any more after it was started anew. */
export async function forget(node: Node): Promise<void> {
  await node.shell(
    `ip xfrm state flush; ip xfrm policy flush; ip rule flush protocol 83\n` +
      `ip addr del ${virtual.pub.v4}/32 dev pub; ip addr del ${virtual.in.v4}/32 dev in; true`,
  );
}

/** Sends frames of the client again, to a gateway. */
export async function sendAgain(
  lab: Network,
  warm: Warm,
  packets: readonly Captured[],
  to: Node,
): Promise<void> {
  const hardware = (await to.run("cat", "/sys/class/net/pub/address")).trim().replaceAll(":", "");
  const file = `${lab.client.folder}/again`;
  await Deno.writeTextFile(
    file,
    packets.map(({ frame }) => hardware + frame.slice(6).toHex() + "\n").join(""),
  );
  await warm.do(`send client pub ${file}`);
}

/** Counters of an SA in a kernel. */
export interface KernelCounters {
  readonly oseq: bigint;
  readonly seq: bigint;
  /** The words as `ip` prints them. */
  readonly bitmap: string;
}

/** The counters of all ESP SAs by destination and SPI. */
export async function countersOf(node: Node): Promise<Map<string, KernelCounters>> {
  const text = await node.run("ip", "-s", "xfrm", "state");
  return new Map(
    text.split(/^(?=src )/m).flatMap((entry) => {
      const [, dst, spi] = /^src \S+ dst (\S+)\n\s+proto esp spi (0x[0-9a-f]+)/.exec(entry) ?? [];
      if (dst === undefined || spi === undefined) return [];
      const state = entry.slice(entry.indexOf("anti-replay"));
      const word = (name: string) => BigInt(new RegExp(`[ \\t]${name} (0x[0-9a-f]+)`).exec(state)?.[1] ?? 0);
      const wide = (name: string) => (word(name.replace("seq", "seq-hi")) << 32n) + word(name);
      const long = /bitmap-length \d+\n([\s0-9a-f]*?)\n\s*[a-z]/.exec(state)?.[1]?.trim();
      const bitmap = long ?? / bitmap (0x[0-9a-f]+)/.exec(state)?.[1] ?? "";
      return [[`${dst} ${spi}`, { oseq: wide("oseq"), seq: wide("seq"), bitmap }]];
    }),
  );
}

/** Packets that a node has refused for their sequence numbers, and those that are not what their number says (ESN). */
export async function refusedBy(node: Node): Promise<number> {
  const text = await node.run("cat", "/proc/net/xfrm_stat");
  const counts = [...text.matchAll(/^XfrmIn(?:StateSeq|StateProto)Error\s+(\d+)/gm)];
  assertEquals(counts.length, 2);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Those of the client, gw1 and gw2. */
export async function allRefused(lab: Network): Promise<number[]> {
  return await Promise.all([lab.client, lab.gw1, lab.gw2].map(refusedBy));
}

/** How many pings a node has been sent. */
export async function echoesAt(node: Node): Promise<number> {
  const text = await node.run("nstat", "-asz", "IcmpInEchos");
  return Number(/InEchos\s+(\d+)/.exec(text)?.[1]);
}

/** Whether a node has the address that decides its role. */
export async function holds(node: Node): Promise<boolean> {
  return (await node.run("ip", "-o", "addr", "show", "dev", "pub")).includes(` ${virtual.pub.v4}/`);
}

/** ucarp: gw1 is the quicker one. What has to be done at once its scripts let warm.py do. */
export async function startUcarp(node: Node, warm: Warm): Promise<Process> {
  for (const [name, command] of [["up", give(node)], ["down", take(node)]] as const) {
    const script = `#!/bin/sh\necho '${command}' >${warm.fifo}\n`;
    await Deno.writeTextFile(`${node.folder}/${name}`, script, { mode: 0o755 });
  }
  const own = node.name === "gw1" ? gw1 : gw2;
  const advertise = ["-b", "1", "-k", node.name === "gw1" ? "0" : "50"];
  const paths = ["-u", `${node.folder}/up`, "-d", `${node.folder}/down`, "--shutdown"];
  const identity = ["-i", "pub", "-s", own.pub.v4, "-v", "7", "-p", "secret", "-a", virtual.pub.v4];
  return node.spawn("ucarp", ...identity, ...advertise, ...paths);
}
