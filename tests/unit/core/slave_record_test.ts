/** Only the master expires. */

import { assertEquals } from "@std/assert";
import { slaveRecord } from "../../../src/core/slave_record.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import type { Limits } from "../../../src/record/sa.ts";
import { policy, sa } from "./support.ts";

const MAX = 2n ** 64n - 1n;

const rows: [what: string, hard: Limits, slave: Limits][] = [
  ["leaves no limits as they are", {}, { addSeconds: undefined, useSeconds: undefined }],
  ["moves time limits by a minute", { addSeconds: 3600n, useSeconds: 60n }, {
    addSeconds: 3660n,
    useSeconds: 120n,
  }],
  ["leaves byte and packet limits", { bytes: 7n, packets: 8n }, {
    bytes: 7n,
    packets: 8n,
    addSeconds: undefined,
    useSeconds: undefined,
  }],
  ["stays within 64 bits", { addSeconds: MAX - 59n, useSeconds: MAX }, { addSeconds: MAX, useSeconds: MAX }],
];

for (const [what, hard, limits] of rows) {
  Deno.test(`slaveRecord() ${what}`, () => {
    const soft = { addSeconds: 3000n, bytes: 5n };
    const slaveSa = slaveRecord(sa(1, { soft, hard }));
    const slavePolicy = slaveRecord(policy("10.2.0.0/16", { soft, hard }));
    assertEquals(slaveSa, sa(1, { soft: {}, hard: limits }));
    assertEquals(slavePolicy, policy("10.2.0.0/16", { soft: {}, hard: limits }));
    encodeContent(slaveSa);
    encodeContent(slavePolicy);
  });
}

const ages: [what: string, age: [number, number | undefined], slave: [number, number | undefined]][] = [
  ["leaves ages within the limits", [3659, 119], [3659, 119]],
  ["counts what would be over as new", [3660, undefined], [0, undefined]],
  ["counts what was used for too long as new", [1000, 120], [0, 0]],
];

for (const [what, [ageSeconds, usedSeconds], [age, used]] of ages) {
  Deno.test(`slaveRecord() ${what}`, () => {
    const hard = { addSeconds: 3600n, useSeconds: 60n };
    const counters = { oseq: 7n, seq: 0n, bitmap: [], bytes: 0n, packets: 0n, ageSeconds, usedSeconds };
    const slaveSa = slaveRecord(sa(1, { hard, counters }));
    const slavePolicy = slaveRecord(policy("10.2.0.0/16", { hard, ageSeconds, usedSeconds }));
    const moved = { addSeconds: 3660n, useSeconds: 120n };
    const expected = { ...counters, ageSeconds: age, usedSeconds: used };
    assertEquals(slaveSa, sa(1, { hard: moved, counters: expected }));
    assertEquals(slavePolicy, policy("10.2.0.0/16", { hard: moved, ageSeconds: age, usedSeconds: used }));
  });
}
