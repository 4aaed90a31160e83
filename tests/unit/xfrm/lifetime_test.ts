import { assertEquals } from "@std/assert";
import type { Limits } from "../../../src/record/sa.ts";
import {
  agesFromKernel,
  agesToKernel,
  limitsFromKernel,
  limitsToKernel,
} from "../../../src/xfrm/lifetime.ts";

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
  Deno.test(`agesFromKernel() dates a record ${name}`, () => {
    const current = { bytes: 0n, packets: 0n, addTime: BigInt(addTime), useTime: BigInt(useTime) };
    assertEquals(agesFromKernel(current, hard, NOW + 0.9), ages);
  });
}

Deno.test("agesToKernel() gives the dates of ages", () => {
  assertEquals(agesToKernel({ ageSeconds: 9, usedSeconds: undefined }, NOW), {
    addTime: BigInt(NOW - 9),
    useTime: 0n,
  });
  assertEquals(agesToKernel({ ageSeconds: 9, usedSeconds: 0 }, NOW).useTime, BigInt(NOW));
  assertEquals(agesToKernel({ ageSeconds: 2 * NOW, usedSeconds: 2 * NOW }, NOW), {
    addTime: 1n,
    useTime: 1n,
  });
});

Deno.test("limitsFromKernel() knows the kernel's words for none, and limitsToKernel() says them", () => {
  const none = limitsToKernel({}, {});
  assertEquals(limitsFromKernel(none), { soft: {}, hard: {} });
  assertEquals([none.softByte, none.hardAdd], [0xffff_ffff_ffff_ffffn, 0n]);
  const soft = { bytes: 0n, packets: 1n, addSeconds: 2n, useSeconds: 3n };
  const hard = { bytes: 4n, packets: 5n, addSeconds: 6n, useSeconds: 0xffff_ffff_ffff_ffffn };
  assertEquals(limitsFromKernel(limitsToKernel(soft, hard)), { soft, hard });
});
