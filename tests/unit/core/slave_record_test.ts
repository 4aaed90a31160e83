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
