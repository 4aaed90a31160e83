/** Commands of the configuration as processes: their output line by line, their end, and the end of their children. */

import type { CommandRunner, RunningCommand } from "../src/ports.ts";
import type { Libc } from "./libc.ts";
import { sendSignal } from "./process.ts";

const SIGKILL = 9;
const SIGTERM = 15;

/** Between asking a command to end and forcing it. */
const GRACE_MS = 2000;

/** What is told of the output of one run. */
const MOST_LINES = 100;
const LONGEST_LINE = 1000;

export class FfiCommandRunner implements CommandRunner {
  /** `ended` is called when a command has ended. */
  constructor(private readonly libc: Libc, private readonly ended: () => void) {}

  start([path = "", ...args]: readonly string[], say: (line: string) => void): RunningCommand {
    try {
      // in a session of its own, so that its children can be signalled with it
      const streams = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
      const child = new Deno.Command(path, { args, cwd: "/", detached: true, ...streams }).spawn();
      const lines = new LineLimit(say);
      for (const stream of [child.stdout, child.stderr]) readLines(stream, lines);
      return new FfiCommand(this.libc, child, this.ended);
    } catch (error) {
      // the runtime's errors of the system carry the errno's name
      const code = error instanceof Error && "code" in error ? `${error.code}` : "EIO";
      throw this.libc.errorNamed(`run "${path}"`, code);
    }
  }
}

class FfiCommand implements RunningCommand {
  #code: number | undefined;
  #force: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly libc: Libc, private readonly child: Deno.ChildProcess, ended: () => void) {
    child.status.then(({ code }) => {
      this.#code = code;
      clearTimeout(this.#force);
      ended();
    });
  }

  get code(): number | undefined {
    return this.#code;
  }

  end(): void {
    this.#signal(SIGTERM);
    this.#force = setTimeout(() => this.#signal(SIGKILL), GRACE_MS);
  }

  /** To the whole session, as long as the command holds its number. */
  #signal(signal: number): void {
    if (this.#code === undefined) sendSignal(this.libc, -this.child.pid, signal);
  }
}

/** Passes on the first lines, and says when it stops doing so. */
class LineLimit {
  #count = 0;

  constructor(private readonly say: (line: string) => void) {}

  take(line: string): void {
    this.#count++;
    if (this.#count <= MOST_LINES) this.say(line.slice(0, LONGEST_LINE));
    else if (this.#count === MOST_LINES + 1) this.say("(further output is left out)");
  }
}

/** Reads to the end, also what is left out, for the command must not wait for us. */
async function readLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>, lines: LineLimit): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = (parts.pop() ?? "").slice(0, LONGEST_LINE);
    for (const line of parts) lines.take(line);
  }
  if (rest !== "") lines.take(rest);
}
