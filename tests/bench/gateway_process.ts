/** Gateways with kernels in memory as processes, and what can be read off their logs. */

import { Process } from "../system/lab/process.ts";
import type { GatewaySettings } from "./gateway.ts";

const SCRIPT = new URL("gateway.ts", import.meta.url).pathname;
const PATIENCE_MS = 180_000;

/** The garbage collector's setting of the compiled program. */
const FLAGS = ["-A", "--no-check", "--v8-flags=--max-semi-space-size=2,--no-allocation-site-pretenuring"];

export function startGateway(settings: GatewaySettings): Process {
  return new Process(settings.role, [Deno.execPath(), "run", ...FLAGS, SCRIPT, JSON.stringify(settings)]);
}

/** Waits for a line. @returns the moment that it states, in milliseconds since 1970 */
export async function momentOf(process: Process, pattern: RegExp, from = 0): Promise<number> {
  return parseFloat((await process.waitForLine(pattern, PATIENCE_MS, from)).input);
}

/**
 * How long each `sent` of one process took to be a `put` of another, or other words, in milliseconds in rising order;
 * what was overtaken by a later one counts once.
 */
export function delays(from: Process, to: Process, [before, after] = ["sent", "put"]): number[] {
  const [sent, put] = [momentsOf(from, before), momentsOf(to, after)];
  return [...put].flatMap(([spi, arrivals]) => {
    const departures = sent.get(spi) ?? [];
    return arrivals.flatMap((arrival) => {
      const departure = departures.findLast((moment) => moment <= arrival);
      return departure === undefined ? [] : [arrival - departure];
    });
  }).toSorted((a, b) => a - b);
}

function momentsOf({ lines }: Process, word: string): Map<string, number[]> {
  const found = lines.map((line) => line.split(" ")).filter((words) => words[1] === word);
  return new Map(
    [...Map.groupBy(found, (words) => words[2]!)].map((
      [spi, all],
    ) => [spi, all.map(([moment]) => Number(moment))]),
  );
}

/** The value below which that share lies. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** Memory that a process has now. */
export function residentMiB({ pid }: Process): number {
  return Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
}
