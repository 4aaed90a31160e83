import { assertEquals } from "@std/assert";
import { agesFromDates, datesFromAges } from "../../../src/record/age.ts";
import type { Limits } from "../../../src/record/sa.ts";

const NOW = 1_800_000_000;

interface AgeRow {
  readonly name: string;
  readonly addTime: number;
  readonly useTime: number;
  readonly hard: Limits;
  readonly ages: { readonly ageSeconds: number; readonly usedSeconds: number | undefined };
}

const ageRows: readonly AgeRow[] = [
  {
    name: "never used",
    addTime: NOW - 9,
    useTime: 0,
    hard: {},
    ages: { ageSeconds: 9, usedSeconds: undefined },
  },
  { name: "used", addTime: NOW - 9, useTime: NOW - 4, hard: {}, ages: { ageSeconds: 9, usedSeconds: 4 } },
  {
    name: "of the future, after a step back",
    addTime: NOW + 7200,
    useTime: NOW + 7201,
    hard: { addSeconds: 60n },
    ages: { ageSeconds: 0, usedSeconds: 0 },
  },
  {
    name: "older than its hard limit, after a step ahead",
    addTime: NOW - 7200,
    useTime: NOW - 7199,
    hard: { addSeconds: 3600n },
    ages: { ageSeconds: 0, usedSeconds: 0 },
  },
  {
    name: "used for longer than its hard limit",
    addTime: NOW - 7200,
    useTime: NOW - 7199,
    hard: { useSeconds: 3600n },
    ages: { ageSeconds: 0, usedSeconds: 0 },
  },
  {
    name: "at its hard limit",
    addTime: NOW - 3600,
    useTime: 0,
    hard: { addSeconds: 3600n },
    ages: { ageSeconds: 3600, usedSeconds: undefined },
  },
  {
    name: "used before it was made",
    addTime: NOW - 3,
    useTime: NOW - 9,
    hard: {},
    ages: { ageSeconds: 3, usedSeconds: 3 },
  },
];

for (const { name, addTime, useTime, hard, ages } of ageRows) {
  Deno.test(`agesFromDates() dates a record ${name}`, () => {
    const current = { addTime: BigInt(addTime), useTime: BigInt(useTime) };
    assertEquals(agesFromDates(current, hard, NOW + 0.9), ages);
  });
}

Deno.test("datesFromAges() gives the dates of ages", () => {
  assertEquals(datesFromAges({ ageSeconds: 9, usedSeconds: undefined }, NOW), {
    addTime: BigInt(NOW - 9),
    useTime: 0n,
  });
  assertEquals(datesFromAges({ ageSeconds: 9, usedSeconds: 0 }, NOW).useTime, BigInt(NOW));
  assertEquals(datesFromAges({ ageSeconds: 2 * NOW, usedSeconds: 2 * NOW }, NOW), {
    addTime: 1n,
    useTime: 1n,
  });
});
