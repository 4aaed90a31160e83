/**
 * The keeper: a second process of this program that does what has to be done when the first one has died, however that
 * happened. It knows by its standard input, which ends then; what it has heard there last is the first one's will.
 */

/** How long to wait before a keeper that has died is replaced. */
const WAIT_MS = 1000;

/** The first process's side: keeps a keeper running. */
export class Keeper {
  readonly #will = new Map<string, string>();
  #input: WritableStreamDefaultWriter<Uint8Array> | undefined;

  /** Starts it. `args` lead to `readWill` in the new process; `complain` is told when a keeper has died. */
  constructor(readonly args: readonly string[], readonly complain: (text: string) => void) {
    this.#keep();
  }

  /** Tells the keeper a new part of the will, in the place of what it had under this name. */
  tell(name: string, text: string): void {
    if (text === this.#will.get(name)) return;
    this.#will.set(name, text);
    this.#send();
  }

  #send(): void {
    // a keeper that has died is replaced, and the next one is told again
    const line = `${JSON.stringify([...this.#will])}\n`;
    this.#input?.write(new TextEncoder().encode(line)).catch(() => {});
  }

  async #keep(): Promise<never> {
    for (;;) {
      try {
        const streams = { stdin: "piped", stdout: "null", stderr: "null" } as const;
        const args = [...this.args];
        const child = new Deno.Command(Deno.execPath(), { args, detached: true, ...streams }).spawn();
        this.#input = child.stdin.getWriter();
        this.#send();
        const { code } = await child.status;
        this.complain(`the keeper has ended with status ${code}: starting another one`);
      } catch (error) { // the program has been moved, no memory …
        this.complain(`cannot start the keeper: ${error}`);
      }
      this.#input = undefined;
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
  }
}

/** The keeper's side: waits for the end of the first process. @returns its last will, by name. */
export async function readWill(): Promise<ReadonlyMap<string, string>> {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
  let last = "[]";
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? ""; // one that was not finished does not count
    last = lines.at(-1) ?? last;
  }
  return new Map(JSON.parse(last) as [string, string][]); // written by `Keeper`, of the same program
}
