/**
 * Reads the command line: `sasyncd [-dnv] [-c config-file]`, `sasyncd genkey`, and `sasyncd handover [-c config-file]` and its like
 * for the daemon that runs already, with getopt(3)'s rules.
 */

import { parseArgs } from "@std/cli/parse-args";
import { DEFAULT_CONFIG_FILE } from "./config.ts";

/** What the operator asked for. */
export type Invocation =
  | {
    readonly kind: "run";
    /** `-d`: stay in the foreground and log to stderr. */
    readonly debug: boolean;
    /** `-n`: check the configuration, print it, and exit. */
    readonly check: boolean;
    /** How often `-v` was given. */
    readonly verbosity: number;
    /** `-c`, else the default. */
    readonly file: string;
  }
  | { readonly kind: "genkey" }
  /** What the running daemon of this configuration is asked to do. */
  | { readonly kind: "control"; readonly command: ControlCommand; readonly file: string }
  /** `text`, with its newline, goes to stderr. */
  | { readonly kind: "usage"; readonly text: string; readonly exitCode: 1 };

/** The commands that go to a running daemon. */
const CONTROL_COMMANDS = ["handover", "reload"] as const;

export type ControlCommand = typeof CONTROL_COMMANDS[number];

const USAGE = "usage: sasyncd [-dnv] [-c config-file]\n       sasyncd genkey\n" +
  "       sasyncd handover | reload [-c config-file]\n";

/** Reads the arguments, without the program's name. Never throws. */
export function parseArguments(args: readonly string[]): Invocation {
  if (args.length === 1 && args[0] === "genkey") return { kind: "genkey" };
  const command = CONTROL_COMMANDS.find((name) => name === args[0]);
  const run = parseOptions(command === undefined ? args : args.slice(1));
  if (command === undefined || run.kind !== "run") return run;
  if (run.debug || run.check || run.verbosity > 0) return usage(`${command} takes no option but -c`);
  return { kind: "control", command, file: run.file };
}

function parseOptions(args: readonly string[]): Invocation & { kind: "run" | "usage" } {
  let unknown: string | undefined;
  const { d, n, v, c: files, _: operands } = parseArgs(expandOptions(args), {
    boolean: ["d", "n", "v"],
    string: ["c"],
    collect: ["c", "v"],
    unknown: (option: string) => {
      unknown ??= option.slice(2);
      return false;
    },
  });
  if (unknown !== undefined) return usage(`unknown option -- ${unknown}`);
  if (files.includes("")) return usage("option requires an argument -- c");
  if (files.length > 1) return usage("option given twice -- c");
  if (operands.length > 0) return usage("takes no operands");
  return { kind: "run", debug: d, check: n, verbosity: v.length, file: files[0] ?? DEFAULT_CONFIG_FILE };
}

/**
 * Writes every option as an argument of its own, `--v` or `--c=FILE`, and the operands after `--`. parseArgs by
 * itself does not follow getopt(3): it reads `-cFILE` as letters, takes `true` after `-v` for its value and `-v5`
 * for a number, and looks for options after the first operand.
 */
function expandOptions(args: readonly string[]): string[] {
  const expanded: string[] = [];
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--") return [...expanded, "--", ...rest];
    if (arg === "-" || !arg.startsWith("-")) return [...expanded, "--", arg, ...rest];
    const [, letters = "", withArgument, attached] = /^-([^c]*)(c?)(.*)$/s.exec(arg) ?? [];
    expanded.push(...Array.from(letters, (letter) => `--${letter}`));
    if (withArgument === "c") expanded.push(`--c=${attached || (rest.shift() ?? "")}`);
  }
  return expanded;
}

function usage(reason: string): Invocation & { kind: "usage" } {
  return { kind: "usage", text: `sasyncd: ${reason}\n${USAGE}`, exitCode: 1 };
}
