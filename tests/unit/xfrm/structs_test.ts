import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/errors.ts";
import { Reader, Writer } from "../../../src/layout/mod.ts";
import * as structs from "../../../src/xfrm/structs.ts";

/** Sizes and offsets as gcc gives them on x86_64, aarch64, armhf and riscv64. */
const rows: readonly [layout: { readonly name: string; offsetOf(key: never): number }, offsets: object][] = [
  [structs.xfrmSelector, {
    saddr: 16,
    dport: 32,
    sport: 36,
    family: 40,
    prefixlenD: 42,
    proto: 44,
    ifindex: 48,
  }],
  [structs.xfrmId, { spi: 16, proto: 20 }],
  [structs.xfrmLifetimeCfg, { hardByte: 8, softPacket: 16, softAdd: 32, hardUse: 56 }],
  [structs.xfrmUsersaInfo, { id: 56, saddr: 80, lft: 96, curlft: 160, stats: 192, seq: 204, reqid: 208 }],
  [structs.xfrmUsersaInfo, { family: 212, mode: 214, replayWindow: 215, flags: 216 }],
  [structs.xfrmUsersaId, { spi: 16, family: 20, proto: 22 }],
  [structs.xfrmUserspiInfo, { min: 224, max: 228 }],
  [structs.xfrmAeventId, { saddr: 24, flags: 40, reqid: 44 }],
  [structs.xfrmUserpolicyInfo, { lft: 56, curlft: 120, priority: 152, index: 156, dir: 160, share: 163 }],
  [structs.xfrmUserpolicyId, { index: 56, dir: 60 }],
  [structs.xfrmUserTmpl, {
    family: 24,
    saddr: 28,
    reqid: 44,
    mode: 48,
    optional: 50,
    aalgos: 52,
    calgos: 60,
  }],
  [structs.xfrmUserExpire, { hard: 224 }],
  [structs.xfrmUserPolexpire, { hard: 168 }],
  [structs.xfrmUserAcquire, { saddr: 24, sel: 40, policy: 96, aalgos: 264, seq: 276 }],
  [structs.xfrmUserReport, { sel: 4 }],
  [structs.xfrmUserKmaddress, { remote: 16, family: 36 }],
  [structs.xfrmUserMigrate, { newDaddr: 32, proto: 64, reqid: 68, oldFamily: 72 }],
  [structs.xfrmUserMapping, { reqid: 24, oldSaddr: 28, newSaddr: 44, oldSport: 60, newSport: 62 }],
  [structs.xfrmAddressFilter, { family: 32, splen: 34 }],
  [structs.xfrmUserOffload, { flags: 4 }],
  [structs.xfrmEncapTmpl, { sport: 2, dport: 4, oa: 8 }],
  [structs.xfrmReplayStateEsn, { oseq: 4, seq: 8, oseqHi: 12, seqHi: 16, replayWindow: 20 }],
];

for (const [layout, offsets] of rows) {
  Deno.test(`${layout.name} has ${Object.keys(offsets)} where the kernel has them`, () => {
    for (const [key, offset] of Object.entries(offsets)) {
      assertEquals(layout.offsetOf(key as never), offset, key); // the rows name fields of their layout
    }
  });
}

Deno.test("xfrmAlgo refuses a name that is no text", () => {
  for (const front of ["\0", "cbc(aes\x01)", "c".repeat(64)]) {
    const bytes = new Writer().bytes(new TextEncoder().encode(front.padEnd(64, "\0"))).u32(0).finish();
    assertThrows(() => structs.xfrmAlgo.read(new Reader(bytes, "test")), DecodeError);
  }
  for (const name of ["", "c".repeat(64), "cbc aes", "cbc(æ)"]) {
    assertThrows(() => structs.xfrmAlgo.write(new Writer(), { name, keyBits: 0 }), RangeError);
  }
});
