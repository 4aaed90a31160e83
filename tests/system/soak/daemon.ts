/** A gateway's daemon, life after life: what it logs, and how much memory and how many descriptors it has. */

import { type Node, Sasyncd } from "../lab/mod.ts";

/** A life is judged from here on. */
const WARM_UP_MS = 60_000;
/** Growth that is let pass from the first to the last third: what a garbage collector leaves lying about. */
const MEMORY_MIB = 10;
const DESCRIPTORS = 2;

/** What a daemon may log; anything else is trouble. Links are cut and neighbours killed, so sessions break. */
const EXPLAINED = [
  /^sasyncd started, kernel xfrm, 2 peers$/,
  /^INIT -> (MASTER|SLAVE): /,
  /^master in epoch \d+: /,
  /^following \S+ in epoch \d+$/,
  /^synchronised with \S+: \d+ records$/,
  /^peer \S+: (connected, linux|disconnected, .*)$/,
  // Said at most once in a while, with how often it happened.
  /^peer \S+: (said goodbye: )?(another session of this pair stays|replaced by another session)( \(and .*\))?$/,
  /^peer \S+: (cannot connect: (ECONNREFUSED|EHOSTUNREACH)|no answer to connect)( \(and .*\))?$/,
  /^peer \S+: connection closed during the handshake: ECONNRESET; /,
  /^sasyncd stopped$/,
];

interface Sample {
  readonly memoryMiB: number;
  readonly descriptors: number;
}

export class Daemon {
  readonly unexplained: string[] = [];
  lives = 0;
  #life: Sasyncd | undefined;
  #bornMs = 0;
  #samples: Sample[] = [];

  constructor(readonly node: Node, readonly configuration: string) {}

  async start(): Promise<void> {
    this.#life = await Sasyncd.start(this.node, this.configuration, { args: ["-d", "-v"] });
    this.#bornMs = performance.now();
    this.#samples = [];
    this.lives++;
  }

  async kill(): Promise<void> {
    await this.#life?.kill();
    this.#readLog();
  }

  /** @throws {Error} when the daemon has ended by itself, or ends with another status than 0. */
  async stop(): Promise<void> {
    const status = await this.#life?.stop();
    this.#readLog();
    if (status !== 0) throw new Error(`${this.node.name}: ended with status ${status}`);
  }

  /** @throws {Error} when the daemon has ended by itself. */
  sample(): void {
    const life = this.#life;
    if (life?.process.running === false) {
      throw new Error(`${this.node.name}: ended by itself:\n${life.process.tail()}`);
    }
    if (life === undefined || performance.now() - this.#bornMs < WARM_UP_MS) return;
    const status = Deno.readTextFileSync(`/proc/${life.process.pid}/status`);
    const memoryMiB = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
    this.#samples.push({
      memoryMiB,
      descriptors: [...Deno.readDirSync(`/proc/${life.process.pid}/fd`)].length,
    });
  }

  /** The last sample, for the log. */
  now(): string {
    const last = this.#samples.at(-1);
    return `${this.node.name} ${last === undefined ? "is young" : `${last.memoryMiB.toFixed(0)} MiB`}`;
  }

  /** A row of figures: means of the first and the last third of this life. */
  growth(): { readonly row: string[]; readonly isWell: boolean } {
    const { length } = this.#samples;
    const third = Math.floor(length / 3);
    const [first, last] = [this.#samples.slice(0, third), this.#samples.slice(length - third)];
    const means = (member: keyof Sample) => [first, last].map((part) => mean(part, member));
    const [memory, descriptors] = [means("memoryMiB"), means("descriptors")];
    const text = (pair: number[]) => pair.map((value) => value.toFixed(1)).join(" -> ");
    const isWell = third > 0 && memory[1]! - memory[0]! < MEMORY_MIB &&
      descriptors[1]! - descriptors[0]! < DESCRIPTORS;
    return { row: [this.node.name, `${this.lives}`, `${length}`, text(memory), text(descriptors)], isWell };
  }

  cpuSeconds(): number {
    return this.#life?.usage().cpuSeconds ?? 0;
  }

  #readLog(): void {
    for (const line of this.#life?.log ?? []) {
      if (!EXPLAINED.some((pattern) => pattern.test(line))) {
        this.unexplained.push(`${this.node.name}: ${line}`);
      }
    }
    this.#life = undefined;
  }
}

function mean(samples: readonly Sample[], member: keyof Sample): number {
  return samples.reduce((sum, sample) => sum + sample[member], 0) / samples.length;
}
