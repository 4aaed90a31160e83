/** The two ends of a classic conversation over loopback: the tests' own peer in Python, and a daemon in this process. */

import { SystemClock, SystemRandom } from "../../../ffi/clock.ts";
import { FfiPoller } from "../../../ffi/poll.ts";
import { FfiTransport } from "../../../ffi/tcp.ts";
import { parseConfig } from "../../../src/config/parse_config.ts";
import { makeGateway } from "../../../src/daemon/daemon.ts";
import type { Gateway } from "../../../src/daemon/gateway.ts";
import { LockedTracker } from "../../../src/daemon/locked_tracker.ts";
import { MemoryKernel } from "../../../src/daemon/memory_kernel.ts";
import { resolveConfig } from "../../../src/daemon/resolve_config.ts";
import type { KernelChange } from "../../../src/ports.ts";
import { FakeLog } from "../../fakes/log.ts";
import { libc } from "./support.ts";

const SCRIPT = new URL("classic_peer.py", import.meta.url).pathname;

/** Polls until it is so, at most 20 s. */
export async function waitUntil(isSo: () => boolean, what: () => string): Promise<void> {
  for (const endMs = Date.now() + 20_000; Date.now() < endMs;) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(what());
}

/** classic_peer.py, running. */
export class ClassicPeer {
  readonly #child: Deno.ChildProcess;
  readonly #commands: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  transcript = "";

  constructor(...args: string[]) {
    this.#child = new Deno.Command("python3", { args: [SCRIPT, ...args], stdin: "piped", stdout: "piped" })
      .spawn();
    this.#commands = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) this.transcript += text;
  }

  /** One of the script's commands; an empty one ends its `--wait`. */
  async do(command: string): Promise<void> {
    await this.#commands.write(new TextEncoder().encode(`${command}\n`));
  }

  async waitFor(line: string, times = 1): Promise<void> {
    const count = () => this.transcript.split("\n").filter((one) => one.startsWith(line)).length;
    await waitUntil(() => count() >= times, () => `no "${line}" in:\n${this.transcript}`);
  }

  /** Ends it. @returns its exit status: 3 when the original would have died of SIGPIPE, 4 of SIGSEGV. */
  async end(): Promise<number> {
    await this.do("quit").catch(() => {}); // it is dead already
    const { code } = await this.#child.status;
    await this.#reading;
    await this.#commands.close().catch(() => {});
    return code;
  }
}

/** A daemon of this process with real sockets and a kernel in memory. */
export class LocalDaemon {
  readonly log = new FakeLog();
  readonly kernel: MemoryKernel;
  readonly #poller = new FfiPoller(libc);
  readonly #gateway: Gateway;
  readonly #running: Promise<void>;

  constructor(configuration: string, held: readonly KernelChange[] = []) {
    const config = parseConfig(configuration, "test.conf", () => "no such file");
    const resolved = resolveConfig(config, { host: () => [], interfaceAddresses: () => [] });
    const [clock, transport] = [new SystemClock(libc), new FfiTransport(libc)];
    this.kernel = new MemoryKernel(clock);
    this.kernel.apply(held);
    this.#gateway = makeGateway(config, resolved, {
      clock,
      random: new SystemRandom(),
      poller: this.#poller,
      transport,
      listeners: resolved.listening.map((at) => transport.listen(at)),
      kernel: this.kernel,
      guard: { set() {} },
      tracker: new LockedTracker(config.mode ?? "slave"),
      log: this.log,
      os: "linux",
    });
    this.#running = this.#gateway.run();
  }

  /** Somebody else changes the kernel. */
  disturb(...changes: readonly KernelChange[]): void {
    for (const change of changes) this.kernel.disturb(change);
    this.#poller.wake();
  }

  async waitFor(line: RegExp, times = 1): Promise<void> {
    await waitUntil(
      () => this.log.count(line) >= times,
      () => `no ${line} in:\n${this.log.lines.join("\n")}`,
    );
  }

  async end(): Promise<void> {
    this.#gateway.stop("test");
    await this.#running;
    this.#poller.close();
  }
}
