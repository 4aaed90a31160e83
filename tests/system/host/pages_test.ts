/** The manual pages say what the code does: statements, commands, messages, attributes, and nothing that is not there. */

import { assert, assertEquals } from "@std/assert";
import { parseArguments } from "../../../src/config/arguments.ts";
import { STATEMENTS } from "../../../src/config/statements.ts";
import { CATALOG } from "../../../src/wire/native/catalog.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../../../${path}`, import.meta.url));
const protocolPage = read("man/sasyncd-protocol.7");
const configPage = read("man/sasyncd.conf.5");
const programPage = read("man/sasyncd.8");

/** The old form of `interface`, which the page tells in its text. */
const OLD = new Set(["carp"]);

/** Whether a page has a word as keyword (Ic) or as one of its arguments (Cm). */
function names(page: string, macro: "Ic" | "Cm" | "Fl", word: string): boolean {
  return new RegExp(`\\b${macro} (\\S+ (\\| )?)*?${word}(?![\\w-])`, "m").test(page);
}

Deno.test("sasyncd.conf(5) has every statement with its options", () => {
  for (const [keyword, { options }] of Object.entries(STATEMENTS)) {
    if (OLD.has(keyword)) continue;
    assert(names(configPage, "Ic", keyword), keyword);
    for (const word of options) {
      assert(names(configPage, "Cm", word) || names(configPage, "Ic", word), `${keyword} ${word}`);
    }
  }
});

Deno.test("sasyncd.conf(5) has no statement that is not there", () => {
  const told = configPage.matchAll(/^\.It (?:Xo\n\.)?Ic (\w+)/gm).map(([, word]) => word!).toArray();
  assert(told.length > 10);
  assertEquals(told.filter((word) => !Object.hasOwn(STATEMENTS, word)), []);
});

Deno.test("sasyncd.conf(5) has every key of TOML, and no other", () => {
  const [, readers = ""] =
    /readDocument\(document: unknown.*?\{\n(.*?)\n {2}\}/s.exec(read("src/config/toml.ts")) ?? [];
  const known = readers.matchAll(/^ {6}(\w+): /gm).map(([, key]) => key!).toArray();
  const told = configPage.matchAll(/^\.It Li (\w+) Ta /gm).map(([, key]) => key!).toArray();
  assertEquals(told.toSorted(), known.toSorted());
});

Deno.test("sasyncd(8) has every option and command of the usage", () => {
  const usage = parseArguments(["-x"]);
  assert(usage.kind === "usage");
  const [, first = "", ...others] = usage.text.split("\n");
  for (const [letter] of first.match(/(?<=\[-)\w+/)![0].matchAll(/\w/g)) {
    assert(names(programPage, "Fl", letter), letter);
  }
  const commands = others.flatMap((line) => line.match(/(?<=sasyncd )[a-z |]+/)?.[0].split(/[ |]+/) ?? []);
  assert(commands.length > 3);
  for (const word of commands.filter((word) => word !== "")) assert(names(programPage, "Cm", word), word);
});

/** The rows of the protocol's tables, cell by cell. */
const rows = protocolPage.split("\n").filter((line) => /^\.It \d+ Ta /.test(line)).map((line) =>
  line.slice(4).split(" Ta ").map((cell) => cell.trim())
);

Deno.test("sasyncd-protocol(7) has every message, with its number and critical bit", () => {
  const told = rows.filter((cells) => cells.length === 4 && /^(yes|no)$/.test(cells[2]!));
  assertEquals(
    told.map(([number, name, critical]) => [Number(number), name, critical]),
    Object.entries(CATALOG).map(([name, { number, critical }]) => [number, name, critical ? "yes" : "no"])
      .toSorted(([a], [b]) => Number(a) - Number(b)),
  );
});

Deno.test("sasyncd-protocol(7) has every attribute of a record, by the name that the code gives it", () => {
  const source = read("src/record/attributes.ts").replaceAll("(selector,", "(7,");
  const made = source.matchAll(/(\w+)(?::| =) (?:advisory\()?(?:required|optional|defaulting)\((\d+),/g);
  const told = rows.filter((cells) => !/^(yes|no)$/.test(cells[2]!));
  assertEquals(
    new Set(told.map(([number, name]) => `${number} ${name}`)),
    new Set(made.map(([, name, number]) => `${number} ${name}`)),
  );
});
