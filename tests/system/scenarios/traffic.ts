/** Traffic of the failover scenarios, whose losses are counted: a ping and a TCP stream, and loads of datagrams. */

import { assert } from "@std/assert";
import { ADDRESS, eventually, type Network, type Process } from "../lab/mod.ts";

const { server } = ADDRESS;
const LAB = new URL("../lab/", import.meta.url).pathname;
const PYTHON = "/usr/bin/python3";

/** Each stream and flood has a port of its own. */
let lastPort = 9000;

/** Where traffic stood. */
interface Mark {
  readonly ping: number;
  readonly line: number;
}

/** A ping every 10 ms and a TCP stream, client to server. */
export class Traffic {
  private constructor(readonly ping: Process, readonly sender: Process, readonly receiver: Process) {}

  static async start(lab: Network, from: string): Promise<Traffic> {
    const port = `${++lastPort}`;
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
    }, 30_000 + 50 * count);
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

/** Datagrams from the server through many tunnels at once, which nobody answers: the gateway has many to number. */
export class Flood {
  private constructor(readonly sender: Process, readonly receiver: Process) {}

  /** `rate` datagrams a second, to each of the addresses in turn. */
  static async start(lab: Network, rate: number, to: readonly string[]): Promise<Flood> {
    const port = `${++lastPort}`;
    const receiver = lab.client.spawn(PYTHON, `${LAB}stream.py`, "sink", port);
    await receiver.waitForLine(/^listening/);
    const sender = lab.server.spawn(PYTHON, `${LAB}stream.py`, "pour", port, `${rate}`, ...to);
    await sender.waitForLine(/^sent /);
    return new Flood(sender, receiver);
  }

  /** What it has sent. */
  get said(): string {
    return this.sender.lines.at(-1) ?? "";
  }

  async stop(): Promise<void> {
    await Promise.all([this.sender.end("SIGKILL"), this.receiver.end("SIGKILL")]);
  }
}
