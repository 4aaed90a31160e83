/** Programs in the guest: run to their end, or in the background with their output at hand. */

import { delay } from "./step.ts";

const decoder = new TextDecoder();

/** How a program ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, with `input` on its stdin. */
export async function execute(command: readonly string[], input = ""): Promise<Outcome> {
  const [program = "", ...args] = command;
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  // A program that does not read its input closes the pipe: that is its own business.
  const written = writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
  const [{ code, stdout, stderr }] = await Promise.all([child.output(), written]);
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The same for programs that must not fail: gives their stdout. @throws {Error} with the program's stderr */
export async function mustExecute(command: readonly string[], input = ""): Promise<string> {
  const { code, stdout, stderr } = await execute(command, input);
  if (code !== 0) throw new Error(`${command.join(" ")}: exit status ${code}\n${stderr || stdout}`);
  return stdout;
}

/** What a process has used up. */
export interface Usage {
  /** User and system time. */
  readonly cpuSeconds: number;
  readonly peakMemoryMiB: number;
}

/** A program in the background. All that it writes, to stdout or stderr, is kept line by line. */
export class Process {
  readonly lines: string[] = [];
  readonly pid: number;
  /** Its exit status, or 128 + the number of the signal that ended it. */
  readonly ended: Promise<number>;
  readonly #name: string;
  #running = true;

  constructor(name: string, command: readonly string[]) {
    const [program = "", ...args] = command;
    const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped", stderr: "piped" })
      .spawn();
    this.#name = name;
    this.pid = child.pid;
    const output = Promise.all([this.#collect(child.stdout), this.#collect(child.stderr)]);
    this.ended = child.status.then(async ({ code }) => {
      await output;
      this.#running = false;
      return code;
    });
  }

  get running(): boolean {
    return this.#running;
  }

  /** Waits for a line that matches, among those from line number `from` on. @returns the match; @throws {Error} with the last lines. */
  async waitForLine(pattern: RegExp, timeoutMs = 30_000, from = 0): Promise<RegExpExecArray> {
    const end = performance.now() + timeoutMs;
    for (let next = from;;) {
      for (; next < this.lines.length; next++) {
        const match = pattern.exec(this.lines[next] ?? "");
        if (match) return match;
      }
      if (performance.now() > end || !this.running) {
        const why = this.running ? `within ${timeoutMs} ms` : "before it ended";
        throw new Error(`${this.#name}: no line like ${pattern} ${why}; the last ones:\n${this.tail()}`);
      }
      await delay(10);
    }
  }

  /** How many lines match, from line number `from` on. */
  countLines(pattern: RegExp, from = 0): number {
    return this.lines.slice(from).filter((line) => pattern.test(line)).length;
  }

  tail(count = 30): string {
    return this.lines.slice(-count).map((line) => `  ${line}`).join("\n");
  }

  signal(signal: Deno.Signal): void {
    Deno.kill(this.pid, signal);
  }

  /** Sends `signal` and waits for the end. @returns the exit status */
  end(signal: Deno.Signal = "SIGTERM"): Promise<number> {
    if (this.running) this.signal(signal);
    return this.ended;
  }

  usage(): Usage {
    const stat = Deno.readTextFileSync(`/proc/${this.pid}/stat`).replace(/^.*\) /, "").split(" ");
    const status = Deno.readTextFileSync(`/proc/${this.pid}/status`);
    const ticks = Number(stat[11]) + Number(stat[12]);
    return { cpuSeconds: ticks / 100, peakMemoryMiB: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024 };
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.lines.push(...lines);
    }
    if (rest !== "") this.lines.push(rest);
  }
}
