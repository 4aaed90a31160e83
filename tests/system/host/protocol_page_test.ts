/** man/sasyncd-protocol.7 says what the code does: every message with its members, every attribute of a record. */

import { assertEquals } from "@std/assert";
import { CATALOG } from "../../../src/wire/native/catalog.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../../../${path}`, import.meta.url));
const page = read("man/sasyncd-protocol.7");

/** The page's rows of a table, cell by cell. */
const rows = page.split("\n").filter((line) => /^\.It \d+ Ta /.test(line)).map((line) =>
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
