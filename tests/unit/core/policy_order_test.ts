/** The order of policies that compete. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { contestOf, outOfOrder, type Ranked } from "../../../src/core/policy_order.ts";
import { DIRECTION, POLICY_TYPE } from "../../../src/record/policy.ts";
import { samplePolicy, sampleSelector } from "../../fakes/records.ts";
import { policy } from "./support.ts";

/** Policies of one contest as `net` in the master's order, with their places in the own kernel. */
function contest(...rows: [net: string, seq: number][]): Ranked[] {
  return rows.map(([net, seq], i) => ({ key: net, policy: policy(net).policy, rank: i + 1, seq }));
}

const rows: [what: string, contest: Ranked[], again: string[]][] = [
  ["leaves nothing", [], []],
  ["leaves one alone", contest(["10.2.0.0/16", 9]), []],
  ["leaves the right order alone", contest(["10.2.0.0/16", 1], ["10.2.3.0/24", 2]), []],
  ["puts the later of two that overlap", contest(["10.2.0.0/16", 2], ["10.2.3.0/24", 1]), ["10.2.3.0/24"]],
  ["finds the wider one later as well", contest(["10.2.3.0/24", 2], ["10.2.0.0/16", 1]), ["10.2.0.0/16"]],
  ["leaves alone what does not overlap", contest(["10.2.0.0/16", 2], ["10.3.0.0/16", 1]), []],
  [
    "puts again what overlaps one that is put again",
    contest(["10.2.0.0/16", 3], ["10.2.3.0/24", 1], ["10.2.3.128/25", 4]),
    ["10.2.3.0/24", "10.2.3.128/25"],
  ],
  [
    "leaves alone what overlaps only those before it",
    contest(["10.2.0.0/16", 1], ["10.3.0.0/16", 3], ["10.2.3.0/24", 2]),
    [],
  ],
  [
    "finds bits within a byte",
    contest(["10.2.0.0/17", 3], ["10.2.128.0/17", 2], ["10.2.192.0/18", 1]),
    ["10.2.192.0/18"],
  ],
  [
    "treats everything as overlapping the whole",
    contest(["0.0.0.0/0", 3], ["10.3.0.0/16", 1], ["10.2.0.0/16", 2]),
    ["10.3.0.0/16", "10.2.0.0/16"],
  ],
];

for (const [what, given, again] of rows) {
  Deno.test(`outOfOrder() ${what}`, () => {
    assertEquals(outOfOrder(given), again);
    assertEquals(outOfOrder(given.toReversed()), again, "in whatever order they are given");
  });
}

/** Puts policies again as a kernel does: each becomes the newest. */
function putAgain(given: readonly Ranked[], keys: readonly string[]): Ranked[] {
  const newest = Math.max(0, ...given.map(({ seq }) => seq));
  return given.map((one) =>
    keys.includes(one.key) ? { ...one, seq: newest + 1 + keys.indexOf(one.key) } : one
  );
}

/** Third bytes that `10.2.n.0/bits` spans. */
function span(net: string): [first: number, last: number] {
  const [, n, bits] = /^10\.2\.(\d+)\.0\/(\d+)$/.exec(net)!;
  return [Number(n), Number(n) + (1 << (24 - Number(bits))) - 1];
}

function meet(a: string, b: string): boolean {
  return span(a)[0] <= span(b)[1] && span(b)[0] <= span(a)[1];
}

Deno.test("outOfOrder() puts overlapping policies into the master's order, whatever they were", () => {
  const net = fc.tuple(fc.nat(7), fc.constantFrom(0, 1, 2)).map(([n, wide]) =>
    `10.2.${n >> wide << wide}.0/${24 - wide}`
  );
  const nets = fc.uniqueArray(net, { maxLength: 12 });
  const world = nets.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray([...list.keys()], { minLength: list.length }))
  );
  fc.assert(fc.property(world, ([names, seqs]) => {
    const given = contest(...names.map((name, i): [string, number] => [name, seqs[i]!]));
    const after = putAgain(given, outOfOrder(given));
    for (const [i, later] of after.entries()) {
      for (const earlier of after.slice(0, i)) {
        assert(!meet(earlier.key, later.key) || earlier.seq < later.seq, `${earlier.key} and ${later.key}`);
      }
    }
  }));
});

Deno.test("outOfOrder() is done soon with 20,000 policies in the opposite order", () => {
  const given = Array.from({ length: 20_000 }, (_, i): Ranked => ({
    key: String(i),
    policy: policy(`10.${i >> 8 & 127}.${i & 255}.0/24`).policy,
    rank: i,
    seq: 20_000 - i,
  }));
  const startMs = performance.now();
  const again = outOfOrder(given);
  assert(performance.now() - startMs < 5000);
  assertEquals(again, again.toSorted((a, b) => Number(a) - Number(b)), "in the master's order");
});

const base = samplePolicy();
const contests: [what: string, other: typeof base, same: boolean][] = [
  ["another selector", samplePolicy({ selector: sampleSelector({ dstBits: 8 }) }), true],
  ["another mark", samplePolicy({ mark: { value: 1, mask: 1 } }), true],
  ["another direction", samplePolicy({ direction: DIRECTION.IN }), false],
  ["another type", samplePolicy({ type: POLICY_TYPE.SUB }), false],
  ["another priority", samplePolicy({ priority: 7 }), false],
  ["another interface id", samplePolicy({ interfaceId: 7 }), false],
  ["another family", samplePolicy({ selector: sampleSelector({ family: 6 }) }), false],
];

for (const [what, other, same] of contests) {
  Deno.test(`contestOf() is ${same ? "the same" : "another"} with ${what}`, () => {
    assertEquals(contestOf(base) === contestOf(other), same);
  });
}
