/** The compiled program as a process, for the tests that need one. */

import { EXECUTABLE } from "../executable.ts";

export { EXECUTABLE };

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function execute(command: string, ...args: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** Where a test's daemons have their files, and a port of their own. */
export interface Place {
  readonly folder: string;
  readonly port: number;
}

/** Makes tests in places of their own; each has `ports` ports, above `firstPort`. */
export function testsInPlaces(firstPort: number, ports: number, ignore: boolean) {
  let next = firstPort + Deno.pid % 250 * 40; // other files' tests run meanwhile
  return (name: string, body: (place: Place) => Promise<void>): void => {
    Deno.test({
      name,
      ignore,
      async fn() {
        const place = { folder: Deno.makeTempDirSync(), port: next };
        next += ports;
        try {
          await body(place);
        } finally {
          Deno.removeSync(place.folder, { recursive: true });
        }
      },
    });
  };
}

/** A daemon in the foreground with its log. */
export class Daemon {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  log = "";

  constructor(file: string, ...args: string[]) {
    this.#child = new Deno.Command(EXECUTABLE, {
      args: ["-d", "-vvvv", ...args, "-c", file],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) this.log += text;
  }

  async waitFor(pattern: RegExp, times = 1): Promise<void> {
    const all = new RegExp(pattern, "g");
    for (const endMs = Date.now() + 20_000; Date.now() < endMs;) {
      if ((this.log.match(all)?.length ?? 0) >= times) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no ${pattern} in:\n${this.log}`);
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** When it has ended by itself. */
  async ended(): Promise<{ code: number }> {
    const { code } = await this.#child.status;
    await this.#reading;
    return { code };
  }

  /** @returns status and how long the end took. */
  async end(signal: Deno.Signal): Promise<{ code: number; tookMs: number }> {
    const startMs = performance.now();
    this.#child.kill(signal);
    const { code } = await this.#child.status;
    await this.#reading;
    return { code, tookMs: performance.now() - startMs };
  }
}
