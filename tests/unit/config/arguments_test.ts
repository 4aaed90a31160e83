import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { ControlCommand } from "../../../src/config/commands.ts";
import { type Invocation, parseArguments } from "../../../src/config/arguments.ts";

const run = (options: Partial<Invocation & { kind: "run" }> = {}): Invocation => ({
  kind: "run",
  debug: false,
  check: false,
  verbosity: 0,
  file: "/etc/sasyncd.conf",
  ...options,
});
const usage = (reason: string): Invocation => ({
  kind: "usage",
  text: `sasyncd: ${reason}
usage: sasyncd [-dnv] [-c config-file]
       sasyncd genkey
       sasyncd handover | reload | status | monitor [--json] [-c config-file]
       sasyncd verify | resync [--json] [-c config-file]
       sasyncd show sa | policy | peers [--json] [-c config-file]
       sasyncd log verbose | brief [--json] [-c config-file]
`,
  exitCode: 1,
});

const control = (
  command: ControlCommand,
  options: Partial<Invocation & { kind: "control" }> = {},
): Invocation => ({ kind: "control", command, json: false, file: "/etc/sasyncd.conf", ...options });

const ROWS: readonly (readonly [args: readonly string[], meaning: Invocation])[] = [
  [[], run()],
  [["--"], run()],
  [["-d"], run({ debug: true })],
  [["-d", "-d"], run({ debug: true })],
  [["-dv"], run({ debug: true, verbosity: 1 })],
  [["-d", "-v", "-c", "f"], run({ debug: true, verbosity: 1, file: "f" })],
  [["-vv"], run({ verbosity: 2 })],
  [["-v", "-v", "-v"], run({ verbosity: 3 })],
  [["-n"], run({ check: true })],
  [["-cfile"], run({ file: "file" })],
  [["-ndvcfile", "-v"], run({ debug: true, check: true, verbosity: 2, file: "file" })],
  [["-c=f"], run({ file: "=f" })],
  [["-ca=b\nc"], run({ file: "a=b\nc" })],
  [["-c", "-d"], run({ file: "-d" })],
  [["-c", "--"], run({ file: "--" })],
  [["-c", "5"], run({ file: "5" })],
  [["-cc"], run({ file: "c" })],
  [["-v", "--"], run({ verbosity: 1 })],
  [["genkey"], { kind: "genkey" }],
  [["handover"], control("handover")],
  [["handover", "-cf"], control("handover", { file: "f" })],
  [["handover", "-c"], usage("option requires an argument -- c")],
  [["handover", "-v"], usage("handover takes no option but -c and --json")],
  [["handover", "-n", "-c", "f"], usage("handover takes no option but -c and --json")],
  [["status", "--json", "-c", "f"], control("status", { json: true, file: "f" })],
  [["status", "-c", "f", "--json"], control("status", { json: true, file: "f" })],
  [["status", "--jso"], usage("unknown option -- -")],
  [["show", "sa"], control("show sa")],
  [["show", "policy", "--json"], control("show policy", { json: true })],
  [["show"], usage("show takes sa, policy or peers")],
  [["show", "-c", "f", "sa"], usage("show takes sa, policy or peers")],
  [["show", "sa", "policy"], usage("takes no operands")],
  [["log", "verbose"], control("log verbose")],
  [["log", "loud"], usage("log takes verbose or brief")],
  [["monitor", "x"], usage("takes no operands")],
  [["--json"], usage("unknown option -- -")],
  [["-d", "--json"], usage("unknown option -- -")],
  [["constructor"], usage("takes no operands")],
  [["reload", "-c", "f"], control("reload", { file: "f" })],
  [["handover", "x"], usage("takes no operands")],
  [["-c", "f", "handover"], usage("takes no operands")],
  [["-c", "a", "-c", "b"], usage("option given twice -- c")],
  [["-c"], usage("option requires an argument -- c")],
  [["-c", ""], usage("option requires an argument -- c")],
  [["-x"], usage("unknown option -- x")],
  [["-dxv"], usage("unknown option -- x")],
  [["-v5"], usage("unknown option -- 5")],
  [["-d="], usage("unknown option -- =")],
  [["-_"], usage("unknown option -- _")],
  [["--help"], usage("unknown option -- -")],
  [["-d-"], usage("unknown option -- -")],
  [["-"], usage("takes no operands")],
  [["x"], usage("takes no operands")],
  [["5"], usage("takes no operands")],
  [[""], usage("takes no operands")],
  [["-v", "true"], usage("takes no operands")],
  [["--", "-d"], usage("takes no operands")],
  [["x", "-x"], usage("takes no operands")],
  [["genkey", "x"], usage("takes no operands")],
  [["-d", "genkey"], usage("takes no operands")],
  [["--", "genkey"], usage("takes no operands")],
];

for (const [args, meaning] of ROWS) {
  Deno.test(`parseArguments() reads ${JSON.stringify(args)}`, () =>
    assertEquals(parseArguments(args), meaning));
}

Deno.test("parseArguments() never throws", () => {
  fc.assert(fc.property(fc.array(fc.string()), (args) => void parseArguments(args)));
});
