/** A gateway's daemon, life after life: what it logs, and how much memory and how many descriptors it has. */

import { eventually, type Node, Sasyncd, step } from "../lab/mod.ts";
import { isExplained } from "./explained.ts";

/** A life is judged from here on. */
const WARM_UP_MS = 60_000;
/** Samples that a life must have to be judged. */
const ENOUGH = 16;
/**
 * Growth that is let pass from the second to the last quarter: what a garbage collector leaves lying about, and in a
 * short life, what it takes for the first time as a master.
 */
const MEMORY_MIB = { short: 24, long: 10 };
const LONG_MS = 30 * 60_000;
const DESCRIPTORS = 2;

interface Sample {
  readonly memoryMiB: number;
  readonly descriptors: number;
}

/** Means of a life's quarters. */
export interface Growth {
  readonly row: string[];
  readonly isWell: boolean;
}

export class Daemon {
  readonly unexplained: string[] = [];
  readonly growth: Growth[] = [];
  /** Lines of all logs that were read. */
  logged = 0;
  #lives = 0;
  #life: Sasyncd | undefined;
  #bornMs = 0;
  #samples: Sample[] = [];

  constructor(readonly node: Node, readonly configuration: string) {}

  async start(): Promise<void> {
    this.#life = await Sasyncd.start(this.node, this.configuration, { args: ["-d", "-v"] });
    this.#bornMs = performance.now();
    this.#samples = [];
    this.#lives++;
  }

  /** Kills one of its processes, the `nth` from the first on. It ends by that, and is to be started again. */
  async killOne(nth: number): Promise<void> {
    const life = this.#life!;
    const pids = await eventually("its helper", () => {
      const found = [life.process.pid, ...descendantsOf(life.process.pid)];
      return found.length > 1 && found;
    });
    const pid = pids[nth % pids.length]!;
    step(`${this.node.name}: process ${pid} of ${pids.join(", ")} is killed`);
    Deno.kill(pid, "SIGKILL");
    await life.process.ended;
    this.#close();
  }

  get running(): boolean {
    return this.#life !== undefined;
  }

  /** By its log: `MASTER`. */
  get role(): string | undefined {
    const line = this.#life?.log.findLast((text) => / -> [A-Z]+: /.test(text));
    return / -> ([A-Z]+): /.exec(line ?? "")?.[1];
  }

  /** Whether it has all that its master had, and no session has ended since, by its log. */
  get isSynchronised(): boolean {
    const last = this.#life?.log.findLast((text) =>
      /^(synchronised with|following|peer \S+: disconn)/.test(text)
    );
    return last?.startsWith("synchronised") === true;
  }

  /** @throws {Error} when the daemon ends with another status than 0. */
  async stop(): Promise<void> {
    const status = await this.#life?.stop();
    this.#close();
    if (status !== 0) throw new Error(`${this.node.name}: ended with status ${status}`);
  }

  /** @throws {Error} when the daemon has ended by itself. */
  sample(): void {
    const life = this.#life;
    if (life === undefined) return;
    if (!life.process.running) throw new Error(`${this.node.name}: ended by itself:\n${life.process.tail()}`);
    if (performance.now() - this.#bornMs < WARM_UP_MS) return;
    const status = Deno.readTextFileSync(`/proc/${life.process.pid}/status`);
    const memoryMiB = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
    const descriptors = [...Deno.readDirSync(`/proc/${life.process.pid}/fd`)].length;
    this.#samples.push({ memoryMiB, descriptors });
  }

  /** The last sample, for the log. */
  now(): string {
    const last = this.#samples.at(-1);
    return `${this.node.name} ${last === undefined ? "is young" : `${last.memoryMiB.toFixed(0)} MiB`}`;
  }

  /** The end of a life. */
  #close(): void {
    const lines = this.#life?.log ?? [];
    this.logged += lines.length;
    this.unexplained.push(
      ...lines.filter((line) => !isExplained(line)).map((line) => `${this.node.name}: ${line}`),
    );
    if (this.#samples.length >= ENOUGH) this.growth.push(this.#judge());
    this.#life = undefined;
  }

  #judge(): Growth {
    const { length } = this.#samples;
    const quarter = Math.floor(length / 4);
    const parts = [this.#samples.slice(quarter, 2 * quarter), this.#samples.slice(length - quarter)];
    const means = (member: keyof Sample) => parts.map((part) => mean(part, member));
    const [memory, descriptors] = [means("memoryMiB"), means("descriptors")];
    const text = (pair: number[]) => pair.map((value) => value.toFixed(1)).join(" -> ");
    const limitMiB = performance.now() - this.#bornMs < LONG_MS ? MEMORY_MIB.short : MEMORY_MIB.long;
    const isWell = memory[1]! - memory[0]! < limitMiB && descriptors[1]! - descriptors[0]! < DESCRIPTORS;
    const row = [`${this.node.name}, life ${this.#lives}`, `${length}`, text(memory), text(descriptors)];
    return { row, isWell };
  }
}

/** All processes that a process has started, and those that these have. */
function descendantsOf(pid: number): number[] {
  const parents = [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    const parent = Number(/^PPid:\s+(\d+)/m.exec(readIfThere(`/proc/${name}/status`))?.[1]);
    return [{ pid: Number(name), parent }];
  });
  const below = (above: number): number[] =>
    parents.filter(({ parent }) => parent === above).flatMap((one) => [one.pid, ...below(one.pid)]);
  return below(pid);
}

/** Empty when the process has ended meanwhile. */
function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const isGone = error instanceof Error && "code" in error && error.code === "ESRCH";
    if (isGone || error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

function mean(samples: readonly Sample[], member: keyof Sample): number {
  return samples.reduce((sum, sample) => sum + sample[member], 0) / samples.length;
}
