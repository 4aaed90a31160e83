/** The mirror: content by identity, its digest, ages that need no wall clock. */

import { assertEquals, assertNotEquals } from "@std/assert";
import { birthOf, entryOf, Mirror, recordOf, volatileOf } from "../../../src/core/mirror.ts";
import { decodeSaCounters, encodeContent, encodePolicyAge } from "../../../src/record/encoding.ts";
import { type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { sampleCounters } from "../../fakes/records.ts";
import { mirrorOf, nameOf, policy, sa } from "./support.ts";

const NOTHING = new Uint8Array(16);

function add(mirror: Mirror, record: IpsecRecord, rank: number) {
  return mirror.set(entryOf(record, encodeContent(record), rank, 0));
}

function names(mirror: Mirror): string[] {
  return [...mirror.values()].map(({ identity }) => nameOf(identity));
}

Deno.test("Mirror.digest is nothing for an empty mirror, also after all has gone", () => {
  const mirror = mirrorOf(sa(1), policy("10.2.0.0/16"));
  assertEquals(new Mirror().digest, NOTHING);
  assertNotEquals(mirror.digest, NOTHING);
  for (const { key } of [...mirror.values()]) mirror.delete(key);
  assertEquals([mirror.digest, mirror.size], [NOTHING, 0]);
});

Deno.test("Mirror.digest is independent of the order", () => {
  const [a, b] = [new Mirror(), new Mirror()];
  const records = [sa(1), policy("10.2.0.0/16"), sa(2), policy("10.2.3.0/24")];
  for (const [i, record] of records.entries()) add(a, record, i);
  for (const [i, record] of [...records.entries()].toReversed()) add(b, record, i);
  add(b, sa(3), 9);
  b.delete(recordKey(sa(3)));
  assertEquals(a.digest, b.digest);
});

const differences: [what: string, a: IpsecRecord, b: IpsecRecord, ranks: [number, number], same: boolean][] =
  [
    ["another reqid", sa(1), sa(1, { reqid: 2 }), [1, 1], false],
    ["another SPI", sa(1), sa(2), [1, 1], false],
    ["other counters", sa(1), sa(1, { counters: sampleCounters({ oseq: 9n, ageSeconds: 9 }) }), [1, 1], true],
    ["another rank of an SA", sa(1), sa(1), [1, 2], true],
    ["another rank of a policy", policy("10.2.0.0/16"), policy("10.2.0.0/16"), [1, 2], false],
    [
      "another age of a policy",
      policy("10.2.0.0/16"),
      policy("10.2.0.0/16", { ageSeconds: 9 }),
      [1, 1],
      true,
    ],
  ];

for (const [what, a, b, ranks, same] of differences) {
  Deno.test(`Mirror.digest is ${same ? "the same" : "another"} for ${what}`, () => {
    const digests = [a, b].map((record, i) => {
      const mirror = new Mirror();
      add(mirror, record, ranks[i]!);
      return mirror.digest.toHex();
    });
    assertEquals(digests[0] === digests[1], same);
  });
}

Deno.test("Mirror.digest forgets a record that is replaced", () => {
  const mirror = mirrorOf(sa(1));
  const before = mirror.digest;
  add(mirror, sa(1, { reqid: 9 }), 1);
  add(mirror, sa(1), 1);
  assertEquals([mirror.digest, mirror.size], [before, 1]);
});

Deno.test("Mirror.digest is a copy", () => {
  const mirror = mirrorOf(sa(1));
  const { digest } = mirror;
  digest.fill(0);
  assertNotEquals(mirror.digest, digest);
});

Deno.test("Mirror.set() moves a record to the end when its rank is another", () => {
  const mirror = mirrorOf(policy("10.1.0.0/16"), policy("10.2.0.0/16"));
  add(mirror, policy("10.1.0.0/16"), 1);
  assertEquals(names(mirror), ["policy 10.1.0.0/16", "policy 10.2.0.0/16"]);
  add(mirror, policy("10.1.0.0/16"), 3);
  assertEquals(names(mirror), ["policy 10.2.0.0/16", "policy 10.1.0.0/16"]);
});

Deno.test("Mirror.nextRank() is above every rank that the mirror has seen", () => {
  const mirror = new Mirror();
  assertEquals(mirror.nextRank(), 1);
  add(mirror, sa(1), 700);
  add(mirror, sa(2), 5);
  mirror.delete(recordKey(sa(1)));
  assertEquals([mirror.greatestRank, mirror.nextRank(), mirror.nextRank()], [700, 701, 702]);
});

Deno.test("Mirror.mark() marks and unmarks, and nothing that is not there", () => {
  const mirror = mirrorOf(sa(1));
  const key = recordKey(sa(1));
  const before = mirror.digest;
  mirror.mark(key, "ENOSYS");
  mirror.mark("sa of somebody else", "ENOSYS");
  assertEquals([mirror.get(key)!.refused, mirror.size, mirror.digest], ["ENOSYS", 1, before]);
  mirror.mark(key, undefined);
  assertEquals(mirror.get(key)!.refused, undefined);
});

Deno.test("Mirror.set() takes a mark away: the record is another", () => {
  const mirror = mirrorOf(sa(1));
  mirror.mark(recordKey(sa(1)), "ENOSYS");
  assertEquals(add(mirror, sa(1), 1).refused, undefined);
});

Deno.test("Mirror.count() takes counters for what is there", () => {
  const mirror = mirrorOf(sa(1));
  const counters = sampleCounters({ oseq: 77n });
  const birth = { bornMs: -5000, usedMs: -1000 };
  mirror.count(recordKey(sa(1)), counters, birth);
  mirror.count(recordKey(sa(2)), counters, birth);
  const entry = mirror.get(recordKey(sa(1)))!;
  assertEquals([entry.counters, entry.bornMs, entry.usedMs, mirror.size], [counters, -5000, -1000, 1]);
});

Deno.test("Mirror.delete() gives what it deletes", () => {
  const mirror = mirrorOf(sa(1));
  assertEquals(mirror.delete(recordKey(sa(1)))?.rank, 1);
  assertEquals(mirror.delete(recordKey(sa(1))), undefined);
});

Deno.test("birthOf() counts back from now", () => {
  const counters = sampleCounters({ ageSeconds: 10, usedSeconds: 4 });
  assertEquals(birthOf(sa(1, { counters }), 60_000), { bornMs: 50_000, usedMs: 56_000 });
  assertEquals(birthOf(policy("10.2.0.0/16", { ageSeconds: 1 }), 1000), { bornMs: 0, usedMs: undefined });
});

const ages: [what: string, bornMs: number, nowMs: number, seconds: number][] = [
  ["whole seconds", 0, 5999, 5],
  ["nothing for a birth to come", 10_000, 5000, 0],
  ["negative times", -3000, 1000, 4],
  ["the greatest age that fits", -(2 ** 32) * 1000, 1000, 0xffffffff],
];

for (const [what, bornMs, nowMs, ageSeconds] of ages) {
  Deno.test(`volatileOf() states ${what}`, () => {
    const entry = mirrorOf(sa(1)).get(recordKey(sa(1)))!;
    assertEquals(decodeSaCounters(volatileOf({ ...entry, bornMs, usedMs: bornMs }, nowMs)), {
      ...sampleCounters(),
      ageSeconds,
      usedSeconds: ageSeconds,
    });
  });
}

Deno.test("volatileOf() states the age of a policy", () => {
  const record = policy("10.2.0.0/16", { ageSeconds: 3 });
  assertEquals(volatileOf(mirrorOf(record).get(recordKey(record))!, 2000), encodePolicyAge(5, undefined));
});

Deno.test("recordOf() gives the record with its age as it is now", () => {
  const record = sa(1, { counters: sampleCounters({ ageSeconds: 3, packets: 8n }) });
  const mirror = mirrorOf(record);
  assertEquals(
    recordOf(mirror.get(recordKey(record))!, 2000),
    sa(1, { counters: sampleCounters({ ageSeconds: 5, packets: 8n }) }),
  );
});
