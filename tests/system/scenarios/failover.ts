/**
 * What the failover scenarios have in common: a warm process that lets a gateway die and moves its address, traffic
 * whose losses are counted, ESP as it was on the wire, and the counters of both gateways' kernels.
 */

import { assert, assertEquals } from "@std/assert";
import { ADDRESS, eventually, Network, type Node, Process, Sasyncd } from "../lab/mod.ts";

const { gw1, gw2, virtual, server } = ADDRESS;
const LAB = new URL("../lab/", import.meta.url).pathname;
const PYTHON = "/usr/bin/python3";
const KEY = `0x${"5a".repeat(32)}`;

/** The addresses that the gateways share, as warm.py wants them. */
const SHARED = `${virtual.pub.v4}/pub ${virtual.in.v4}/in`;

/** The cables of a gateway. */
export const cablesOf = ({ name }: Node): string[] => [`p-${name}`, `i-${name}`, `s-${name}`];

/** A gateway that follows the virtual address. */
export function startDaemon(node: Node, ...more: string[]): Promise<Sasyncd> {
  const [own, peer] = node.name === "gw1" ? [gw1, gw2] : [gw2, gw1];
  const lines = [`listen on ${own.sync.v4}`, `peer ${peer.sync.v4}`, `sharedkey ${KEY}`, "control none"];
  const tracking = `interface pub address ${virtual.pub.v4}`;
  return Sasyncd.start(node, [...lines, tracking, ...more, ""].join("\n"));
}

/** Waits until a daemon has changed to a role, in its log from line `from` on. */
export const waitForRole = (daemon: Sasyncd, role: string, from = 0) =>
  daemon.waitForLog(new RegExp(` -> ${role}: .*`), 30_000, from);

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
  const namespace = (await node.run("readlink", "/proc/self/ns/net")).trim();
  const pids = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const theirs = await Deno.readLink(`/proc/${name}/ns/net`).catch(() => ""); // it may be gone by now
    if (theirs === namespace) pids.push(name);
  }
  return [`down ${cablesOf(node).join(" ")}`, `kill ${pids.join(" ")}`];
}

/** What a kernel does not know any more after it was started anew. */
export async function forget(node: Node): Promise<void> {
  await node.shell(
    `ip xfrm state flush; ip xfrm policy flush; ip rule flush protocol 83\n` +
      `ip addr del ${virtual.pub.v4}/32 dev pub; ip addr del ${virtual.in.v4}/32 dev in; true`,
  );
}

/** Where traffic stood. */
interface Mark {
  readonly ping: number;
  readonly line: number;
}

/** A ping every 10 ms and a TCP stream, client to server. */
export class Traffic {
  static #lastPort = 9000;

  private constructor(readonly ping: Process, readonly sender: Process, readonly receiver: Process) {}

  static async start(lab: Network, from: string): Promise<Traffic> {
    const port = `${++Traffic.#lastPort}`;
    const receiver = lab.server.spawn(PYTHON, `${LAB}stream.py`, "serve", port);
    await receiver.waitForLine(/^listening/);
    const sender = lab.client.spawn(PYTHON, `${LAB}stream.py`, "send", from, server.in.v4, port, "100");
    await receiver.waitForLine(/^got /);
    const ping = lab.client.spawn("ping", "-D", "-i", "0.01", "-I", from, server.in.v4);
    const traffic = new Traffic(ping, sender, receiver);
    await traffic.more(50);
    return traffic;
  }

  /** Number and time in ms of all answers, in the order of the numbers. */
  #answers(): { n: number; ms: number }[] {
    return this.ping.lines.flatMap((line) => {
      const [, at, n] = /^\[([\d.]+)\].* icmp_seq=(\d+) .*time=/.exec(line) ?? [];
      return n === undefined ? [] : [{ n: Number(n), ms: Number(at) * 1000 }];
    }).sort((a, b) => a.n - b.n);
  }

  /** Blocks of the stream that have arrived. */
  #blocks(): number {
    return Number(/^got (\d+)/.exec(this.receiver.lines.at(-1) ?? "")?.[1] ?? 0);
  }

  /** Waits for so many more answers and blocks: the connection is the same, and nothing of it is missing. */
  async more(count: number): Promise<void> {
    const [answers, blocks] = [this.#answers().length, this.#blocks()];
    await eventually(`${count} answers and blocks more`, () => {
      const all = [this.ping, this.sender, this.receiver];
      assert(all.every(({ running }) => running), all.map((one) => one.tail()).join("\n"));
      return this.#answers().length >= answers + count && this.#blocks() >= blocks + count;
    }, 30_000);
  }

  mark(): Mark {
    return { ping: this.#answers().at(-1)?.n ?? 1, line: this.receiver.lines.length };
  }

  /** What was lost of the pings since then, and the longest silences of pings and stream in ms. */
  since({ ping, line }: Mark): { sent: number; lost: number; silenceMs: number; streamSilenceMs: number } {
    const got = this.#answers().filter(({ n }) => n >= ping);
    const gaps = got.slice(1).map(({ ms }, i) => ms - got[i]!.ms);
    const sent = got.at(-1)!.n - ping + 1;
    const silences = this.receiver.lines.slice(line).map((text) =>
      Number(/silence (\d+)/.exec(text)?.[1] ?? 0)
    );
    return {
      sent,
      lost: sent - got.length,
      silenceMs: Math.round(Math.max(0, ...gaps)),
      streamSilenceMs: Math.max(0, ...silences),
    };
  }

  /** The same for the log. */
  tell(mark: Mark): string {
    const { sent, lost, silenceMs, streamSilenceMs } = this.since(mark);
    return `${lost} of ${sent} pings lost, silence ${silenceMs} ms, of the TCP stream ${streamSilenceMs} ms`;
  }

  signal(signal: Deno.Signal): void {
    for (const process of [this.ping, this.sender]) process.signal(signal);
  }

  async stop(): Promise<void> {
    const { ping, sender, receiver } = this;
    await Promise.all([ping.end("SIGINT"), sender.end("SIGKILL"), receiver.end("SIGKILL")]);
  }
}

/** Datagrams through many tunnels at once, that the server sends back. */
export class Load {
  private constructor(readonly sender: Process, readonly receiver: Process) {}

  /** `rate` datagrams a second, from each of the addresses in turn. */
  static async start(lab: Network, rate: number, from: readonly string[]): Promise<Load> {
    const receiver = lab.server.spawn(PYTHON, `${LAB}stream.py`, "echo", "7");
    await receiver.waitForLine(/^listening/);
    const sender = lab.client.spawn(PYTHON, `${LAB}stream.py`, "load", server.in.v4, "7", `${rate}`, ...from);
    await sender.waitForLine(/^sent \d+ got [1-9]/);
    return new Load(sender, receiver);
  }

  /** What it has sent and got back. */
  get said(): string {
    return this.sender.lines.at(-1) ?? "";
  }

  async stop(): Promise<void> {
    await Promise.all([this.sender.end("SIGKILL"), this.receiver.end("SIGKILL")]);
  }
}

/** An ESP packet, or one of IKE (`spi` 0). */
export interface Captured {
  readonly spi: number;
  readonly seq: number;
  /** Hardware address of who sent it. */
  readonly sender: string;
  readonly src: string;
  readonly frame: Uint8Array;
  /** Seconds since 1970. */
  readonly at: number;
}

/** tcpdump at the client: all ESP and IKE of both directions. */
export class Capture {
  private constructor(readonly process: Process, readonly file: string) {}

  static #count = 0;

  /** `bytes`: how much of each packet; all of it, when it is to be sent again. */
  static async start(node: Node, bytes = 0): Promise<Capture> {
    const file = `${node.folder}/${++Capture.#count}.pcap`;
    const filter = "esp or udp port 500";
    const process = node.spawn(
      "tcpdump",
      "-Z",
      "root",
      "-i",
      "pub",
      "-B",
      "8192",
      "-s",
      `${bytes}`,
      "-U",
      "-w",
      file,
      filter,
    );
    await process.waitForLine(/listening on/);
    return new Capture(process, file);
  }

  /** Ends it. @returns what it has seen; none may be missing */
  async stop(): Promise<Captured[]> {
    await this.process.end("SIGINT");
    assert(this.process.lines.some((line) => /^0 packets dropped by kernel/.test(line)), this.process.tail());
    return readCapture(this.file);
  }

  /** What it has seen so far. */
  read(): Captured[] {
    return readCapture(this.file);
  }
}

/** A file of tcpdump (little endian, Ethernet, IPv4). */
function readCapture(file: string): Captured[] {
  const bytes = Deno.readFileSync(file);
  const view = new DataView(bytes.buffer);
  const found: Captured[] = [];
  for (let at = 24; at + 16 <= bytes.length;) {
    const length = view.getUint32(at + 8, true);
    const frame = bytes.subarray(at + 16, at + 16 + length);
    if (frame.length < length) break; // still being written
    const payload = at + 16 + 14 + 4 * (frame[14]! & 15);
    const isEsp = frame[23] === 50;
    found.push({
      spi: isEsp ? view.getUint32(payload) : 0,
      seq: isEsp ? view.getUint32(payload + 4) : 0,
      sender: hex(frame.slice(6, 12)),
      src: frame.slice(26, 30).join("."),
      frame,
      at: view.getUint32(at, true) + view.getUint32(at + 4, true) / 1e6,
    });
    at += 16 + length;
  }
  return found;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The packets that were sent again: same SPI, same sequence number. */
export function repeated(packets: readonly Captured[]): Captured[] {
  const seen = new Set<string>();
  return packets.filter(({ spi, seq }) => {
    const key = `${spi} ${seq}`;
    const isRepeated = spi !== 0 && seen.has(key);
    seen.add(key);
    return isRepeated;
  });
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
  await Deno.writeTextFile(file, packets.map(({ frame }) => hardware + hex(frame.slice(6)) + "\n").join(""));
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

/** keepalived: gw1 has the higher priority. */
export async function startKeepalived(node: Node): Promise<Process> {
  const file = `${node.folder}/keepalived.conf`;
  const priority = node.name === "gw1" ? 120 : 100;
  await Deno.writeTextFile(
    file,
    `global_defs {
  vrrp_version 3
}
vrrp_instance lab {
  state BACKUP
  interface pub
  virtual_router_id 7
  priority ${priority}
  advert_int 0.5
  virtual_ipaddress {
    ${virtual.pub.v4}/32 dev pub
    ${virtual.in.v4}/32 dev in
  }
}
`,
  );
  return node.spawn("keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", file);
}
