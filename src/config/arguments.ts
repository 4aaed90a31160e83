/**
 * Reads the command line: `sasyncd [-dnv] [-c config-file]`, `sasyncd genkey`, and the commands for the daemon that
 * runs already, `sasyncd status [--json] [-c config-file]` say, with getopt(3)'s rules.
 */

import { parseArgs } from "@std/cli/parse-args";
import { type ControlCommand, findCommand } from "./commands.ts";
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
  | {
    readonly kind: "control";
    readonly command: ControlCommand;
    /** `--json`: the answer as JSON, one object a line. */
    readonly json: boolean;
    readonly file: string;
  }
  /** `text`, with its newline, goes to stderr. */
  | { readonly kind: "usage"; readonly text: string; readonly exitCode: 1 };

/** For commands only. */
const JSON_OPTION = "--json";

const USAGE = `usage: sasyncd [-dnv] [-c config-file]
       sasyncd genkey
       sasyncd handover | reload | status | monitor [--json] [-c config-file]
       sasyncd verify | resync [--json] [-c config-file]
       sasyncd show sa | policy | peers [--json] [-c config-file]
       sasyncd log verbose | brief [--json] [-c config-file]
`;

/** Reads the arguments, without the program's name. Never throws. */
export function parseArguments(args: readonly string[]): Invocation {
  if (args.length === 1 && args[0] === "genkey") return { kind: "genkey" };
  const found = findCommand(args);
  if (found.kind === "incomplete") return usage(found.reason);
  if (found.kind === "none") return parseOptions(args);
  const { command, rest } = found;
  const run = parseOptions(rest.filter((arg) => arg !== JSON_OPTION));
  if (run.kind !== "run") return run;
  if (run.debug || run.check || run.verbosity > 0) {
    return usage(`${command} takes no option but -c and --json`);
  }
  return { kind: "control", command, json: rest.includes(JSON_OPTION), file: run.file };
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
