/** Which code of src/ has run, by V8's precise coverage. */

import { Session } from "node:inspector/promises";
import type { Coverage } from "./fuzzer.ts";

/** One range of a function; the first is the function itself. */
interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

export class V8Coverage implements Coverage {
  readonly #session = new Session();
  /** Functions that have run, each with its blocks that never have. */
  readonly #missed = new Map<string, ReadonlySet<string>>();

  /** Begins to count. */
  static async start(): Promise<V8Coverage> {
    const coverage = new V8Coverage();
    coverage.#session.connect();
    await coverage.#session.post("Profiler.enable");
    await coverage.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return coverage;
  }

  /** Functions that have run, and blocks within them that never have. */
  get counts(): { readonly functions: number; readonly missed: number } {
    const missed = [...this.#missed.values()].reduce((sum, { size }) => sum + size, 0);
    return { functions: this.#missed.size, missed };
  }

  async look(note: boolean): Promise<boolean> {
    let isFresh = false;
    for (const { url, functions } of await this.#take()) {
      for (const { ranges } of functions) {
        if (ranges[0]!.count === 0) continue;
        const name = `${url} ${placeOf(ranges[0]!)}`;
        const missed = new Set(ranges.filter(({ count }) => count === 0).map(placeOf));
        const before = this.#missed.get(name);
        const still = before === undefined
          ? missed
          : new Set([...before].filter((place) => missed.has(place)));
        if (before !== undefined && still.size === before.size) continue;
        isFresh = true;
        if (note) this.#missed.set(name, still);
      }
    }
    return isFresh;
  }

  /** What has run since the last time. */
  async #take(): Promise<readonly Script[]> {
    const taken: unknown = await this.#session.post("Profiler.takePreciseCoverage");
    const { result } = taken as { result: readonly Script[] }; // as the DevTools protocol says
    return result.filter(({ url }) => url.includes("/src/"));
  }
}

function placeOf({ startOffset, endOffset }: Range): string {
  return `${startOffset}-${endOffset}`;
}
