/** Which inherited SAs go, and which stay because something might still use them. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Effects } from "../../../src/core/effect.ts";
import { Inherited, INHERITED_GRACE_MS } from "../../../src/core/inherited.ts";
import { Inventory } from "../../../src/core/inventory.ts";
import { entryOf, Mirror } from "../../../src/core/mirror.ts";
import type { Counters } from "../../../src/ports.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { DIRECTION, type Policy } from "../../../src/record/policy.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { MODE, PROTOCOL, type Sa } from "../../../src/record/sa.ts";
import { formatPrefix } from "../../../src/record/address.ts";
import { addr, sampleCounters, sampleSelector, sampleTemplate } from "../../fakes/records.ts";
import { mark, nameOf, policy, sa } from "./support.ts";

const GATEWAY = addr("192.0.2.1");
const CLIENT = addr("198.51.100.1");
const STEP_MS = 1000;

/** What a master knows, without a node around it. */
class Reign {
  readonly mirror = new Mirror();
  readonly inventory = new Inventory();
  readonly effects = new Effects();
  readonly counters: Counters = {};
  readonly inherited: Inherited;
  nowMs = 1_000_000;

  constructor(records: readonly IpsecRecord[], tellsProgress = true) {
    const { mirror, inventory, effects, counters } = this;
    this.inherited = new Inherited({ mirror, inventory, effects, counters, tellsProgress });
    for (const record of records) this.hold(record);
    this.inherited.begin();
    this.wait(STEP_MS);
  }

  hold(record: IpsecRecord): void {
    const identity = identityOf(record);
    const content = encodeContent(record);
    this.inventory.set(identity, content, true, true);
    this.mirror.set(entryOf(record, content, this.mirror.nextRank(), this.nowMs, identity));
  }

  lose(record: IpsecRecord): void {
    this.inventory.delete(recordKey(record));
    this.mirror.delete(recordKey(record));
  }

  /** Somebody else makes or changes records here. */
  make(records: readonly IpsecRecord[], created = true): void {
    for (const record of records) {
      this.inherited.see({ kind: "record", record, created });
      this.hold(record);
    }
  }

  /** Packets move an SA. */
  move(record: IpsecRecord, seq: bigint): void {
    const { counters, bornMs, usedMs } = this.mirror.get(recordKey(record))!;
    this.mirror.count(recordKey(record), { ...counters!, seq }, { bornMs, usedMs });
  }

  /** @returns what is to go, by name; who does that takes it away. */
  wait(ms: number): string[] {
    const names: string[] = [];
    for (const endMs = this.nowMs + ms; this.nowMs < endMs;) {
      this.nowMs += STEP_MS;
      for (const identity of this.inherited.step(this.nowMs)) {
        names.push(nameOf(identity));
        this.inventory.delete(identity.key);
      }
    }
    return names;
  }

  logs(): string[] {
    return this.effects.take().flatMap((effect) =>
      effect.kind === "log" ? [`${effect.level} ${effect.text}`] : []
    );
  }
}

/** Over and some more: the replacement is seen a second later. */
const LONG_MS = INHERITED_GRACE_MS + 3 * STEP_MS;

const outbound = (spi: number, overrides: Partial<Sa> = {}) =>
  sa(spi, { src: GATEWAY, dst: CLIENT, replayWindow: 0, ...overrides });
const inbound = (spi: number, overrides: Partial<Sa> = {}) =>
  sa(spi, { src: CLIENT, dst: GATEWAY, replayWindow: 32, ...overrides });
const pair = (spi: number, reqid = 1, overrides: Partial<Sa> = {}) => [
  outbound(spi, { reqid, ...overrides }),
  inbound(spi + 1, { reqid, ...overrides }),
];

/** Policies of one child: out and in. The outbound one names an SPI, as charon does, unless 0. */
function child(
  net: string,
  reqid = 1,
  { spi = 0, mode = MODE.TUNNEL as number, any = false, protocol = PROTOCOL.ESP as number } = {},
) {
  const template = (src: Uint8Array, dst: Uint8Array, own: number) =>
    sampleTemplate({
      src: any ? addr("0.0.0.0") : src,
      dst: any ? addr("0.0.0.0") : dst,
      spi: own,
      reqid,
      mode,
      protocol,
    });
  const [address, bits] = net.split("/") as [string, string];
  const far = { address: addr(address), bits: Number(bits) };
  const near = any ? { address: GATEWAY, bits: 32 } : { address: addr("10.1.0.0"), bits: 16 };
  const one = (direction: number, overrides: Partial<Policy>): IpsecRecord => {
    const [src, dst] = direction === DIRECTION.OUT ? [near, far] : [far, near];
    const selector = sampleSelector({
      src: src.address,
      srcBits: src.bits,
      dst: dst.address,
      dstBits: dst.bits,
    });
    return policy(net, { direction, selector, ...overrides });
  };
  return [
    one(DIRECTION.OUT, { templates: [template(GATEWAY, CLIENT, spi)] }),
    one(DIRECTION.IN, { templates: [template(CLIENT, GATEWAY, 0)] }),
  ];
}

const S1 = "10.2.0.0/16";
const S2 = "10.3.0.0/16";
const OLD = ["sa 16", "sa 17"];
const encapsulation = (srcPort: number) => ({
  type: 2,
  srcPort,
  dstPort: 4500,
  original: new Uint8Array(16),
});

/** An inherited tunnel with SAs 16 (out) and 17 (in) and its policies; what then is made; what goes in the end. */
const ROWS: readonly {
  readonly name: string;
  readonly old?: readonly IpsecRecord[];
  readonly made: readonly IpsecRecord[];
  readonly goes: readonly string[];
}[] = [
  { name: "goes: SAs and policies anew", made: [...pair(32), ...child(S1)], goes: OLD },
  { name: "goes: the same with another reqid", made: [...pair(32, 7), ...child(S1, 7)], goes: OLD },
  {
    name: "goes: the outbound policy names the new SPI",
    made: [...pair(32), ...child(S1, 1, { spi: 32 })],
    goes: OLD,
  },
  {
    name: "goes: behind the same NAT port",
    old: [...pair(16, 1, { encapsulation: encapsulation(9) }), ...child(S1)],
    made: [...pair(32, 1, { encapsulation: encapsulation(9) }), ...child(S1)],
    goes: OLD,
  },
  {
    name: "goes: transport mode, endpoints by the selector",
    old: [
      ...pair(16, 1, { mode: MODE.TRANSPORT }),
      ...child("198.51.100.1/32", 1, { mode: MODE.TRANSPORT, any: true }),
    ],
    made: [
      ...pair(32, 1, { mode: MODE.TRANSPORT }),
      ...child("198.51.100.1/32", 1, { mode: MODE.TRANSPORT, any: true }),
    ],
    goes: OLD,
  },
  {
    name: "goes: two children whose reqids were swapped, both made anew",
    old: [...pair(16, 1), ...child(S1, 1), ...pair(18, 2), ...child(S2, 2)],
    made: [...pair(32, 2), ...child(S1, 2), ...pair(34, 1), ...child(S2, 1)],
    goes: [...OLD, "sa 18", "sa 19"],
  },
  {
    name: "goes: policies that ask for no reqid",
    old: [...pair(16), ...child(S1, 0)],
    made: [...pair(32), ...child(S1, 0)],
    goes: OLD,
  },
  { name: "stays: nothing is made", made: [], goes: [] },
  {
    name: "stays: the kernel tells nothing of IPCOMP",
    old: [...pair(16, 1, { protocol: PROTOCOL.IPCOMP }), ...child(S1, 1, { protocol: PROTOCOL.IPCOMP })],
    made: [...pair(32, 1, { protocol: PROTOCOL.IPCOMP }), ...child(S1, 1, { protocol: PROTOCOL.IPCOMP })],
    goes: [],
  },
  { name: "stays: the policies are those of before", made: pair(32), goes: [] },
  { name: "stays: no SAs are made", made: child(S1), goes: [] },
  { name: "stays: one of two directions", made: [pair(32)[0]!, ...child(S1)], goes: ["sa 16"] },
  { name: "stays: one of two policies is written", made: [...pair(32), child(S1)[0]!], goes: ["sa 16"] },
  {
    name: "stays: the outbound policy names it",
    made: [...pair(32), ...child(S1, 1, { spi: 16 })],
    goes: ["sa 17"],
  },
  {
    name: "stays: another child of the same peer has got its reqid",
    made: [...pair(32), ...child(S2)],
    goes: [],
  },
  {
    name: "stays: a policy leads to it whose own SA is not there",
    made: [...pair(32, 2), ...child(S1, 2), ...child(S2, 1)],
    goes: [],
  },
  {
    name: "stays: another client behind the same NAT",
    old: [...pair(16, 1, { encapsulation: encapsulation(9) }), ...child(S1)],
    made: [...pair(32, 1, { encapsulation: encapsulation(10) }), ...child(S1)],
    goes: [],
  },
  { name: "stays: another peer", made: [...pair(32, 1, { src: addr("192.0.2.9") }), ...child(S1)], goes: [] },
  { name: "stays: another mark", made: [...pair(32, 1, { mark: mark(1) }), ...child(S1)], goes: [] },
  { name: "stays: another interface id", made: [...pair(32, 1, { interfaceId: 3 }), ...child(S1)], goes: [] },
  { name: "stays: another mode", made: [...pair(32, 1, { mode: MODE.BEET }), ...child(S1)], goes: [] },
  {
    name: "stays: another protocol",
    made: [...pair(32, 1, { protocol: PROTOCOL.AH }), ...child(S1)],
    goes: [],
  },
  {
    name: "stays: another selector",
    made: [...pair(32, 1, { selector: sampleSelector() }), ...child(S1)],
    goes: [],
  },
  { name: "stays: no policy ever used it", old: pair(16), made: [...pair(32), ...child(S1)], goes: [] },
  {
    name: "stays: the kernel tells nothing of what comes in without a window",
    old: [...pair(16, 1, { replayWindow: 0 }), ...child(S1)],
    made: [...pair(32), ...child(S1)],
    goes: ["sa 16"],
  },
];

for (const { name, old = [...pair(16), ...child(S1)], made, goes } of ROWS) {
  Deno.test(`Inherited.step() ${name}`, () => {
    const reign = new Reign(old);
    reign.make(made);
    assertEquals(reign.wait(INHERITED_GRACE_MS), [], "not before the grace time is over");
    assertEquals(reign.wait(LONG_MS - INHERITED_GRACE_MS).toSorted(), goes);
    assertEquals(reign.counters["replaced SAs removed"] ?? 0, goes.length);
    assertEquals(reign.wait(LONG_MS), [], "once");
  });
}

Deno.test("Inherited.step() takes for made what Linux tells as the update of a larval SA", () => {
  const reign = new Reign([...pair(16), ...child(S1)]);
  const [out, inside] = pair(32);
  reign.make([out!, ...child(S1)]);
  reign.make([inside!], false);
  assertEquals(reign.wait(LONG_MS), OLD);
});

Deno.test("Inherited.step() does not take for made what was inherited and is changed", () => {
  const reign = new Reign([...pair(16), ...pair(32), ...child(S1)]);
  reign.make(pair(32), false);
  reign.make(child(S1));
  assertEquals(reign.wait(LONG_MS), []);
});

Deno.test("Inherited.step() begins the grace time again with every packet", () => {
  const reign = new Reign([...pair(16), ...child(S1)]);
  reign.make([...pair(32), ...child(S1)]);
  assertEquals(reign.wait(INHERITED_GRACE_MS - 5000), []);
  reign.move(pair(16)[1]!, 5n);
  assertEquals(reign.wait(INHERITED_GRACE_MS), ["sa 16"]);
  assertEquals(reign.wait(5000), ["sa 17"]);
});

Deno.test("Inherited.step() keeps what has been replaced only for a while", () => {
  const reign = new Reign([...pair(16), ...child(S1)]);
  reign.make([...pair(32), ...child(S1)]);
  reign.wait(INHERITED_GRACE_MS / 2);
  for (const record of pair(32)) reign.lose(record);
  assertEquals(reign.wait(LONG_MS), []);
  reign.make(pair(48));
  assertEquals(reign.wait(INHERITED_GRACE_MS), [], "the grace time begins again");
  assertEquals(reign.wait(LONG_MS), OLD);
});

Deno.test("Inherited.step() begins the grace time again when a policy has led to it meanwhile", () => {
  const reign = new Reign([...pair(16), ...child(S1)]);
  reign.make([...pair(32), ...child(S1)]);
  reign.wait(INHERITED_GRACE_MS / 2);
  reign.make(child(S1, 1, { spi: 16 }));
  assertEquals(reign.wait(INHERITED_GRACE_MS), ["sa 17"]);
  reign.make(child(S1));
  assertEquals(reign.wait(INHERITED_GRACE_MS), []);
  assertEquals(reign.wait(LONG_MS), ["sa 16"]);
});

Deno.test("Inherited.step() leaves alone what somebody else has made in the place of an inherited one", () => {
  const reign = new Reign([...pair(16), ...child(S1)]);
  reign.make([...pair(16), ...pair(32), ...child(S1)]);
  assertEquals(reign.wait(LONG_MS), []);
  assertEquals(reign.inherited.inheritance(reign.nowMs).count, 0);
});

Deno.test("Inherited.step() reads many policies in parts, and judges when it knows all", () => {
  const others = Array.from({ length: 600 }, (_, i) => child(`10.${100 + (i >> 8)}.${i & 255}.0/24`, 9))
    .flat();
  const reign = new Reign([...others, ...pair(16), ...child(S1)]);
  reign.make([...pair(32), ...child(S1)]);
  assertEquals(reign.wait(INHERITED_GRACE_MS + 4 * STEP_MS), []);
  assertEquals(reign.wait(4 * STEP_MS), OLD);
});

Deno.test("Inherited.step() keeps an SA whose policy is gone", () => {
  const reign = new Reign([...pair(16), ...child(S1)]);
  reign.make([...pair(32), ...child(S1)]);
  for (const record of child(S1)) reign.lose(record);
  assertEquals(reign.wait(LONG_MS), []);
});

Deno.test("Inherited.step() keeps an SA that is younger than what seems to replace it", () => {
  const reign = new Reign([outbound(8), ...child(S1)]);
  reign.make([...pair(32), ...child(S1)]);
  for (const record of pair(16)) {
    reign.hold(record);
    reign.inherited.inherit(reign.inventory.get(recordKey(record))!);
  }
  assertEquals(reign.wait(LONG_MS), ["sa 8"]);
});

Deno.test("Inherited.step() keeps everything where the kernel tells of no progress", () => {
  const reign = new Reign([...pair(16), ...child(S1)], false);
  reign.make([...pair(32), ...child(S1)]);
  assertEquals(reign.wait(LONG_MS), []);
});

Deno.test("Inherited.end() forgets what was inherited", () => {
  const reign = new Reign([...pair(16), ...child(S1)]);
  reign.make([...pair(32), ...child(S1)]);
  reign.inherited.end();
  assertEquals(reign.inherited.inheritance(reign.nowMs).count, 0);
  assertEquals(reign.wait(LONG_MS), []);
});

Deno.test("Inherited.begin() knows nothing of an earlier reign", () => {
  const reign = new Reign([...pair(16), ...child(S1)]);
  reign.make([...pair(32), ...child(S1)]);
  reign.wait(2 * STEP_MS);
  reign.inherited.end();
  for (const record of [...pair(32), ...child(S1)]) reign.lose(record);
  reign.inherited.begin();
  reign.make([...pair(48), ...child(S1)]);
  assertEquals(reign.wait(LONG_MS), [], "no policy could use what was inherited");
});

Deno.test("Inherited.inheritance() counts and says when the first ends", () => {
  const counters = sampleCounters({ ageSeconds: 100, usedSeconds: 90 });
  const reign = new Reign([
    outbound(16, { reqid: 1001, hard: { addSeconds: 3700n }, counters }),
    outbound(17, { reqid: 1001, hard: { addSeconds: 4000n, useSeconds: 1000n }, counters }),
    outbound(18, { reqid: 1001 }),
  ]);
  assertEquals(reign.logs(), ["state inherited 3 SAs, the first ends in 909 s"]);
  assertEquals(reign.inherited.inheritance(reign.nowMs), { count: 3, firstEndsInMs: 909_000 });
  reign.lose(outbound(17));
  reign.wait(STEP_MS);
  assertEquals(reign.inherited.inheritance(reign.nowMs), { count: 2, firstEndsInMs: 3_598_000 });
  assertEquals(reign.counters, { "SAs inherited": 3 });
  assertEquals(reign.logs(), []);
});

Deno.test("Inherited.step() says at a takeover when nothing ends by itself, and nothing of nothing", () => {
  assertEquals(new Reign([outbound(16, { reqid: 0 })]).logs(), [
    "state inherited 1 SAs, none of them has a time limit",
  ]);
  assertEquals(new Reign(child(S1)).logs(), []);
});

Deno.test("Inherited.step() reads many in parts, and counts them all the time", () => {
  const reign = new Reign(Array.from({ length: 1200 }, (_, i) => outbound(0x1000 + i, { reqid: 1001 + i })));
  assertEquals(reign.inherited.inheritance(reign.nowMs).count, 1200);
  assertEquals(reign.logs(), []);
  reign.wait(2 * STEP_MS);
  assertEquals(reign.logs(), ["state inherited 1200 SAs, none of them has a time limit"]);
});

Deno.test("Inherited.step() counts at a takeover the reqids that an IKE daemon may give again", () => {
  const reign = new Reign([1, 1000, 1001, 0].map((reqid, i) => outbound(16 + i, { reqid })));
  assertEquals(reign.logs().slice(1), [
    "state 2 inherited SAs have reqids that the local IKE daemon may give again (1 to 1000): set `reqid` for each child, above these",
  ]);
  assertEquals(reign.counters["inherited SAs with reqids that may be given again"], 2);
  reign.wait(5 * STEP_MS);
  assertEquals(reign.logs(), []);
});

Deno.test("Inherited.step() reports a reqid that was given to another tunnel, once", () => {
  const reign = new Reign([...pair(16), ...child(S1)]);
  reign.logs();
  reign.make([...pair(32), ...child(S2)]);
  reign.wait(STEP_MS);
  const [log, ...others] = reign.logs();
  assertStringIncludes(
    log!,
    "error reqid 1 of the inherited SA esp 0x00000010 to 198.51.100.1 was given again, to",
  );
  assertStringIncludes(log!, "policy out 10.1.0.0/16 to 10.3.0.0/16");
  assertStringIncludes(log!, "set `reqid`");
  assertEquals(others, []);
  reign.make(child("10.4.0.0/16"));
  reign.wait(STEP_MS);
  assertEquals([reign.logs(), reign.counters["reqids given again"]], [[], 1]);
});

for (
  const [name, made] of [
    ["its own tunnel, made anew", child(S1)],
    ["its own tunnel, under another reqid", child(S1, 2)],
    ["a new tunnel with a new reqid", child(S2, 2)],
    ["no reqid", child(S2, 0)],
  ] as const
) {
  Deno.test(`Inherited.step() reports nothing of ${name}`, () => {
    const reign = new Reign([...pair(16), ...child(S1)]);
    reign.logs();
    reign.make(made);
    reign.wait(2 * STEP_MS);
    assertEquals(reign.logs(), []);
  });
}

const withRate = (records: readonly IpsecRecord[], packets: bigint) =>
  records.map((record) => {
    if (record.kind !== "sa") return record;
    return { ...record, sa: { ...record.sa, counters: sampleCounters({ packets, ageSeconds: 100 }) } };
  });

/** SPIs of outbound SAs that can be negotiated anew, the busiest first, and where each leads. */
function tunnelsOf({ inherited, inventory, nowMs }: Reign): string[] {
  return (inherited.busiest(nowMs) ?? []).flatMap((key) => {
    const tunnel = inherited.tunnelOf(key);
    if (tunnel === undefined) return [];
    const nets = tunnel.selectors.map(({ dst, dstBits }) => formatPrefix({ address: dst, bits: dstBits }));
    return `${nameOf(inventory.get(key)!.identity)} ${nets}`;
  });
}

const TWO = [
  ...withRate(pair(16, 1), 5n),
  ...child(S1, 1),
  ...withRate(pair(18, 2), 700n),
  ...child(S2, 2, { spi: 18 }),
];

Deno.test("Inherited.busiest() has the busiest first, tunnelOf() says where they lead", () => {
  assertEquals(tunnelsOf(new Reign(TWO)), [`sa 18 ${S2}`, `sa 16 ${S1}`]);
});

Deno.test("Inherited.tunnelOf() knows an SA no more that has been replaced or is gone", () => {
  const reign = new Reign(TWO);
  reign.make([...pair(32, 2), ...child(S2, 2, { spi: 32 })]);
  reign.wait(2 * STEP_MS);
  assertEquals(tunnelsOf(reign), [`sa 16 ${S1}`]);
  reign.lose(outbound(16));
  assertEquals(tunnelsOf(reign), []);
});

Deno.test("Inherited.tunnelOf() knows no SA that no policy leads to", () => {
  assertEquals(tunnelsOf(new Reign([...pair(16), ...pair(18, 2), ...child(S1, 1, { spi: 16 })])), [
    `sa 16 ${S1}`,
  ]);
});

Deno.test("Inherited.busiest() is not known before all has been read", () => {
  const reign = new Reign(Array.from({ length: 1200 }, (_, i) => outbound(0x1000 + i)));
  assertEquals(reign.inherited.busiest(reign.nowMs), undefined);
  reign.wait(2 * STEP_MS);
  assertEquals(reign.inherited.busiest(reign.nowMs)?.length, 1200);
});

Deno.test("Inherited.busiest() is empty when nothing was inherited", () => {
  assertEquals(new Reign(child(S1)).inherited.busiest(1), []);
});
