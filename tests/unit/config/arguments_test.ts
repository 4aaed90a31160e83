import { assertEquals } from "@std/assert";
import fc from "fast-check";
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
  text:
    `sasyncd: ${reason}\nusage: sasyncd [-dnv] [-c config-file]\n       sasyncd genkey\n       sasyncd handover | reload [-c config-file]\n`,
  exitCode: 1,
});

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
  [["handover"], { kind: "control", command: "handover", file: "/etc/sasyncd.conf" }],
  [["handover", "-cf"], { kind: "control", command: "handover", file: "f" }],
  [["handover", "-c"], usage("option requires an argument -- c")],
  [["handover", "-v"], usage("handover takes no option but -c")],
  [["handover", "-n", "-c", "f"], usage("handover takes no option but -c")],
  [["reload", "-c", "f"], { kind: "control", command: "reload", file: "f" }],
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
