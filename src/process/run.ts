/** What the operator has said of a daemon, as its processes hand it on to each other. */

import { type Invocation, parseArguments } from "../config/arguments.ts";
import type { Libc } from "../../ffi/libc.ts";
import { workingDirectory } from "../../ffi/process.ts";

export type Run = Extract<Invocation, { kind: "run" }>;

/** The operator's arguments again, for a process that has another directory. */
export function argumentsOf(libc: Libc, { debug, verbosity, file }: Run): string[] {
  const absolute = file.startsWith("/") ? file : `${workingDirectory(libc)}/${file}`;
  const verbose = new Array<string>(verbosity).fill("-v");
  return [...debug ? ["-d"] : [], ...verbose, "-c", absolute];
}

/** The other way round. @throws {RangeError} for what is no daemon's. */
export function parseRun(args: readonly string[]): Run {
  const run = parseArguments(args);
  if (run.kind !== "run") throw new RangeError(`Cannot run with the arguments ${args.join(" ")}`);
  return run;
}
