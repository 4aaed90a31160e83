/** Every number of a kernel that the dialects use stands in a table of the code, and in one that names its source. */

import { assert, assertEquals } from "@std/assert";
import { AlgorithmTable } from "../../../src/pfkey/algorithms.ts";
import * as base from "../../../src/pfkey/dialect.ts";
import * as extensions from "../../../src/pfkey/extensions.ts";
import * as freebsdAlgorithms from "../../../src/pfkey/freebsd_algorithms.ts";
import * as freebsd from "../../../src/pfkey/freebsd_numbers.ts";
import * as kame from "../../../src/pfkey/kame.ts";
import * as linux from "../../../src/pfkey/linux_tables.ts";
import * as message from "../../../src/pfkey/message.ts";
import * as openbsdAlgorithms from "../../../src/pfkey/openbsd_algorithms.ts";
import * as openbsd from "../../../src/pfkey/openbsd_constants.ts";
import {
  FREEBSD_NUMBERS,
  LINUX_NUMBERS,
  type NumberTable,
  OPENBSD_NUMBERS,
} from "../../vectors/pfkey_numbers.ts";

type Constant = readonly [name: string, value: number];

const OUR_OWN: ReadonlySet<string> = new Set([
  ...["WORD_BYTES", "PACKETS_PER_UNIT", "RESERVED_SPI_MAX", "CPI_MAX"], // what numbers count, not numbers
]);

/** What a header calls a constant that the code calls otherwise. */
const C_NAMES: Readonly<Record<string, string>> = {
  ANY_PROTOCOL: "IPSEC_ULPROTO_ANY",
  FREEBSD_EXT_MAX: "SADB_EXT_MAX",
};

/** The constants that a module exports, by their C names. */
function constantsOf(module: object): Constant[] {
  return Object.entries(module).flatMap(([name, value]) => constantsIn(name, value))
    .filter(([name]) => !OUR_OWN.has(name))
    .map(([name, value]) => [C_NAMES[name] ?? name, value]);
}

function constantsIn(name: string, value: unknown): Constant[] {
  if (typeof value === "number") return [[name, value]];
  if (value instanceof AlgorithmTable) return value.rows.map((row) => [row.name, row.number]);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const members = Object.entries(value);
  if (!members.every((member): member is [string, number] => typeof member[1] === "number")) return [];
  return members.map(([key, number]) => [/^(SADB|IPSP)_/.test(key) ? key : `${name}_${key}`, number]);
}

function numbersOf(tables: readonly NumberTable[]): Record<string, number> {
  return Object.assign({}, ...tables.map(({ numbers }) => numbers));
}

const shared = [base, extensions, message];
const rows:
  readonly (readonly [system: string, modules: readonly object[], tables: readonly NumberTable[]])[] = [
    ["Linux", [...shared, kame, linux], LINUX_NUMBERS],
    ["FreeBSD", [...shared, kame, freebsd, freebsdAlgorithms], FREEBSD_NUMBERS],
    ["OpenBSD", [...shared, openbsd, openbsdAlgorithms], OPENBSD_NUMBERS],
  ];

for (const [system, modules, tables] of rows) {
  Deno.test(`every constant of ${system}'s dialect is as its header has it`, () => {
    const numbers = numbersOf(tables);
    const constants = modules.flatMap(constantsOf);
    assert(constants.length > 60, `only ${constants.length} found`);
    assertEquals(constants.filter(([name, value]) => numbers[name] !== value), []);
  });
}

Deno.test("every table of numbers names its source", () => {
  const tables = [...LINUX_NUMBERS, ...FREEBSD_NUMBERS, ...OPENBSD_NUMBERS];
  assertEquals(tables.filter(({ source }) => !/RFC 2367|[a-z]+\/[a-z_0-9]+\.h/.test(source)), []);
});

Deno.test("numbers that stand in pairs and lists are those of their headers too", () => {
  const { SADB_SAFLAGS_NOPMTUDISC, SADB_SAFLAGS_DECAP_DSCP, SADB_SAFLAGS_NOECN } = numbersOf(LINUX_NUMBERS);
  assertEquals(linux.SA_FLAGS.map(([kernel]) => kernel as number | undefined), [
    ...[SADB_SAFLAGS_NOPMTUDISC, SADB_SAFLAGS_DECAP_DSCP, SADB_SAFLAGS_NOECN],
  ]);
  const { SADB_SATYPE_AH, SADB_SATYPE_ESP, SADB_X_SATYPE_IPCOMP } = numbersOf(LINUX_NUMBERS);
  assertEquals([51, 50, 108].map((protocol) => linux.satypeOf(protocol as 50)) as unknown, [
    ...[SADB_SATYPE_AH, SADB_SATYPE_ESP, SADB_X_SATYPE_IPCOMP],
  ]);
  const { CTL_NET, PF_KEY, PF_KEY_V2, NET_KEY_SADB_DUMP, NET_KEY_SPD_DUMP } = numbersOf(OPENBSD_NUMBERS);
  assertEquals([openbsd.SADB_DUMP_NAME, openbsd.SPD_DUMP_NAME] as unknown, [
    [CTL_NET, PF_KEY, PF_KEY_V2, NET_KEY_SADB_DUMP],
    [CTL_NET, PF_KEY, PF_KEY_V2, NET_KEY_SPD_DUMP],
  ]);
});
