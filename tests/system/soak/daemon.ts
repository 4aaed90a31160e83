/** A gateway's daemon, life after life: what it logs, and how much memory and how many descriptors its processes have. */

import { delay, eventually, type Node, Sasyncd, step } from "../lab/mod.ts";
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
/** A daemon that ends because another of its processes has does so within this time. */
const END_MS = 5_000;

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

  /** Kills one of its processes: `which` of 0 up to 1 is the first. When the daemon ends by that it is to be started again. */
  async killOne(which: number): Promise<void> {
    const life = this.#life!;
    const pids = await eventually("its helper", () => {
      const found = treeOf(life.process.pid);
      return found.length > 1 && found;
    });
    const pid = pids[Math.floor(which * pids.length)]!;
    step(`${this.node.name}: process ${pid} of ${pids.join(", ")} is killed`);
    this.#life = undefined;
    Deno.kill(pid, "SIGKILL");
    await Promise.race([life.process.ended, delay(END_MS)]);
    this.#life = life;
    if (!life.process.running) this.#close();
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
    const pids = treeOf(life.process.pid);
    const memoryMiB = sum(pids.map((pid) => Number(/VmRSS:\s+(\d+)/.exec(statusOf(pid))?.[1] ?? 0))) / 1024;
    const descriptors = sum(pids.map(countDescriptors));
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

/** A process, all processes that it has started, and those that these have. */
function treeOf(root: number): number[] {
  const parents = [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    const pid = Number(name);
    return [{ pid, parent: Number(/^PPid:\s+(\d+)/m.exec(statusOf(pid))?.[1]) }];
  });
  const from = (pid: number): number[] => [
    pid,
    ...parents.filter(({ parent }) => parent === pid).flatMap((child) => from(child.pid)),
  ];
  return from(root);
}

function statusOf(pid: number): string {
  return unlessGone(() => Deno.readTextFileSync(`/proc/${pid}/status`), "");
}

function countDescriptors(pid: number): number {
  return unlessGone(() => [...Deno.readDirSync(`/proc/${pid}/fd`)].length, 0);
}

/** What `read` gives, or `none` when the process that it reads of has ended meanwhile. */
function unlessGone<T>(read: () => T, none: T): T {
  try {
    return read();
  } catch (error) {
    const isGone = error instanceof Error && "code" in error && error.code === "ESRCH";
    if (isGone || error instanceof Deno.errors.NotFound) return none;
    throw error;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(samples: readonly Sample[], member: keyof Sample): number {
  return sum(samples.map((sample) => sample[member])) / samples.length;
}
