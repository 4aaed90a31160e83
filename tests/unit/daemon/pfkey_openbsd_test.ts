/** The PF_KEY back end on an OpenBSD kernel in memory. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { SyscallError } from "../../../src/errors.ts";
import { encodeMessage, ExtensionWriter, readExtensions } from "../../../src/pfkey/message.ts";
import { sadbSpirange } from "../../../src/pfkey/extensions.ts";
import { OPENBSD_MESSAGES as SADB, sadbXReplay } from "../../../src/pfkey/openbsd_constants.ts";
import type { KernelChange, KernelEvent, KernelIpsec } from "../../../src/ports.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { SPACE } from "../../../src/record/opaque.ts";
import { ACTION, DIRECTION } from "../../../src/record/policy.ts";
import { type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { MODE, SA_FLAG } from "../../../src/record/sa.ts";
import { encodeHex } from "../../fakes/hex.ts";
import {
  backEndOn,
  Iked,
  openbsdFlow as flow,
  openbsdSa as sa,
  put,
  recordsIn,
  remove,
} from "../../fakes/openbsd_gateways.ts";
import { FakeOpenbsdKernel, type OpenbsdOptions } from "../../fakes/openbsd_kernel.ts";
import { samplePolicy, sampleSa, sampleSelector } from "../../fakes/records.ts";
import { randomOf } from "../../sim/world.ts";

const IKED = 77;

/** A machine with a kernel, the back end, and an IKE daemon. */
function machine(options: OpenbsdOptions = {}) {
  const clock = {
    nowMs: 5_000_000,
    bootMs: () => clock.nowMs,
    wallSeconds: () => 1_700_000_000 + clock.nowMs / 1000,
  };
  const kernel = new FakeOpenbsdKernel(clock, options);
  const backEnd = backEndOn(kernel);
  return { clock, kernel, backEnd, iked: new Iked(kernel) };
}

function contents(records: readonly IpsecRecord[]): Record<string, string> {
  return Object.fromEntries(records.map((one) => [recordKey(one), encodeHex(encodeContent(one))]).toSorted());
}

function dump(backEnd: KernelIpsec): readonly IpsecRecord[] {
  backEnd.beginDump();
  for (let parts = 0; parts < 1000; parts++) {
    const records = backEnd.continueDump();
    if (records !== undefined) return records;
  }
  throw new Error("a dump without an end");
}

function events(backEnd: KernelIpsec): KernelEvent[] {
  const all: KernelEvent[] = [];
  for (let quiet = 0; quiet < 3;) {
    const some = backEnd.readEvents(64);
    all.push(...some);
    quiet = some.length === 0 ? quiet + 1 : 0;
  }
  return all;
}

function apply(backEnd: KernelIpsec, ...changes: readonly KernelChange[]): void {
  for (const result of backEnd.apply(changes)) assert(result.ok, result.ok ? "" : result.reason);
}

/** Every kind of record that OpenBSD can hold. */
const KINDS: readonly IpsecRecord[] = [
  sa(1),
  sa(2, {
    mode: MODE.TRANSPORT,
    flags: SA_FLAG.ESN,
    hard: { addSeconds: 3600n, bytes: 99n },
    soft: { addSeconds: 9n },
  }),
  sa(3, {
    opaque: [{ space: SPACE.OPENBSD, type: 33, critical: false, value: new TextEncoder().encode("vpn") }],
  }),
  sa(4, {
    opaque: [{ space: SPACE.OPENBSD, type: 40, critical: true, value: Uint8Array.of(0, 0, 0, 9, 1) }],
  }),
  sa(5, { direction: 2, flags: 0, selector: sampleSelector() }),
  sa(6, { encapsulation: { type: 2, srcPort: 4500, dstPort: 40000, original: new Uint8Array(16) } }),
  flow(1),
  flow(2, { direction: DIRECTION.IN, action: ACTION.BLOCK, templates: [] }),
  flow(3, { opaque: [{ space: SPACE.OPENBSD, type: 20, critical: false, value: Uint8Array.of(6) }] }),
];

for (const order of ["little", "big"] as const) {
  Deno.test(`PfkeyKernel on ${order}-endian OpenBSD dumps what it has put, to the bit`, () => {
    const { backEnd } = machine({ order });
    apply(backEnd, ...KINDS.map(put));
    assertEquals(backEnd.hasEvents, false, "nor are copies of own requests kept");
    assertEquals(contents(dump(backEnd)), contents(KINDS));
    assertEquals(events(backEnd), [], "own changes are no events");
  });
}

Deno.test("PfkeyKernel on OpenBSD puts over what is there, and deletes what is not", () => {
  const { backEnd, iked, kernel } = machine();
  iked.change(
    put(sa(1, { mode: MODE.TRANSPORT, flags: 0 })),
    put(flow(1, { action: ACTION.BLOCK, templates: [] })),
  );
  iked.request({ ...iked.bodyOf(flow(1)), type: SADB.SADB_X_ADDFLOW }); // static, as an administrator's
  apply(backEnd, put(sa(1)), put(flow(1)), remove(sa(7)), remove(flow(7)));
  assertEquals(contents(dump(backEnd)), contents([sa(1), flow(1)]));
  assertEquals([...kernel.flows.values()].map((one) => one.static), [false], "an IKE daemon can delete it");
  apply(backEnd, remove(sa(1)), remove(flow(1)));
  assertEquals(dump(backEnd), []);
});

Deno.test("PfkeyKernel on OpenBSD overwrites and deletes a static flow", () => {
  const { backEnd, iked, kernel } = machine();
  iked.request(iked.bodyOf(flow(1)));
  assertEquals([...kernel.flows.values()].map((one) => one.static), [true]);
  apply(backEnd, put(flow(1, { action: ACTION.BLOCK, templates: [] })));
  assertEquals(contents(dump(backEnd)), contents([flow(1, { action: ACTION.BLOCK, templates: [] })]));
  iked.change(put(flow(2)));
  iked.request(iked.bodyOf(flow(2)));
  apply(backEnd, remove(flow(2)));
  assertEquals(dump(backEnd).length, 1);
});

Deno.test("PfkeyKernel on OpenBSD tells a put that the kernel refuses, by name", () => {
  const { backEnd } = machine();
  const refused = backEnd.apply([put(sa(1, { rdomain: 0, mark: { value: 1, mask: 1 } })), put(sa(2))]);
  assertEquals(refused, [{ ok: false, reason: "OpenBSD has no marks" }, { ok: true }]);
});

/** A flow between the first addresses of 10.1.0.0/16 and 10.2.0.0/16, of these widths. */
function nested(srcBits: number, dstBits = 16): IpsecRecord {
  const selector = sampleSelector({ srcBits, dstBits });
  return flow(0, { selector, ...{ action: ACTION.BLOCK, templates: [] } });
}

Deno.test("PfkeyKernel on OpenBSD deletes a flow that a narrower one hides as soon as that is gone", () => {
  const { backEnd, kernel } = machine();
  const all = [nested(16), nested(24), nested(28), nested(28, 30), flow(1)];
  apply(backEnd, ...all.map(put));
  apply(backEnd, remove(nested(16)));
  assertEquals(kernel.flows.size, 5, "the kernel has not found it");
  apply(backEnd, remove(nested(24)), remove(nested(28)), remove(nested(28, 30)));
  assertEquals([...kernel.flows.keys()].length, 1, "nor the others, until the narrowest was gone");
});

Deno.test("PfkeyKernel on OpenBSD deletes no flow that was put again after it had been hidden", () => {
  const { backEnd, kernel } = machine();
  apply(backEnd, put(nested(16)), put(nested(24)), remove(nested(16)), put(nested(16)), remove(nested(24)));
  assertEquals(kernel.flows.size, 1);
});

Deno.test("PfkeyKernel on OpenBSD forgets flows that were not there, at the next dump", () => {
  const { backEnd, kernel } = machine();
  apply(backEnd, put(flow(1)), remove(flow(2)), remove(flow(3)));
  dump(backEnd);
  kernel.requests.length = 0;
  apply(backEnd, remove(flow(1)));
  assertEquals(kernel.requests, [SADB.SADB_X_DELFLOW]);
});

// --- what others do ---

Deno.test("PfkeyKernel on OpenBSD learns keys from the copies of requests", () => {
  const { backEnd, iked } = machine();
  iked.change(...KINDS.map(put));
  const heard = events(backEnd).map((event) => {
    assert(event.kind === "record", event.kind === "unreadable" ? event.reason : event.kind);
    return event.record;
  });
  assertEquals(contents(heard), contents(KINDS));
});

Deno.test("PfkeyKernel on OpenBSD tells of deletes and flushes", () => {
  const { backEnd, iked } = machine();
  iked.change(put(sa(1)), put(flow(1)));
  events(backEnd);
  iked.change(remove(sa(1)), remove(flow(1)));
  assertEquals(events(backEnd).map(({ kind }) => kind), ["sa-gone", "policy-gone"]);
  iked.request({ type: SADB.SADB_FLUSH, satype: 2, body: new Uint8Array() });
  assertEquals(events(backEnd), [{ kind: "sa-flush", protocol: 50 }]);
  iked.request({ type: SADB.SADB_FLUSH, satype: 0, body: new Uint8Array() });
  assertEquals(events(backEnd).map(({ kind }) => kind), ["resync"]);
});

Deno.test("PfkeyKernel on OpenBSD tells of a hard expiry, which is the only word of an SA's end", () => {
  const { backEnd, iked, clock, kernel } = machine();
  iked.change(put(sa(1, { hard: { addSeconds: 60n } })));
  events(backEnd);
  clock.nowMs += 61_000;
  kernel.dump([4, 30, 2, 1]); // the kernel looks at its timers
  const [gone] = events(backEnd);
  assert(gone?.kind === "sa-gone" && gone.expired && gone.id.spi === 1);
});

Deno.test("PfkeyKernel on OpenBSD passes over a failed ADD, whose copy it has heard", () => {
  const { backEnd, iked } = machine();
  iked.change(put(sa(1)));
  events(backEnd);
  assertEquals(iked.request(iked.bodyOf(sa(1, { mode: MODE.TRANSPORT, flags: 0 }))), 17); // EEXIST
  assertEquals(events(backEnd), []);
});

Deno.test("PfkeyKernel on OpenBSD follows IKE: GETSPI, then an UPDATE that makes an SA of it", () => {
  const { backEnd, iked, kernel } = machine();
  const { platform } = kernel;
  const range = new ExtensionWriter(platform).add(
    16,
    (w) => sadbSpirange.write(w, { min: 0x500, max: 0x500 }),
  ).finish();
  const full = readExtensions(iked.bodyOf(sa(0x500)).body, platform);
  const ends = new Uint8Array([...full.get(5)!, ...full.get(6)!, ...range]);
  assertEquals(iked.request({ type: SADB.SADB_GETSPI, satype: 2, body: ends }), 0);
  assertEquals(events(backEnd), []);
  assertEquals(dump(backEnd), [], "a larval SA is no record");
  assertEquals(iked.request({ ...iked.bodyOf(sa(0x500)), type: SADB.SADB_UPDATE }), 0);
  const [event] = events(backEnd);
  assert(event?.kind === "record" && event.created);
  assertEquals(contents([event.record]), contents([sa(0x500)]));
  assertEquals(contents(dump(backEnd)), contents([sa(0x500)]));
});

Deno.test("PfkeyKernel on OpenBSD compares after an UPDATE of a mature SA, a group, and what is not answered", () => {
  const { backEnd, iked, kernel } = machine();
  iked.change(put(sa(1)), put(sa(2)));
  events(backEnd);
  const full = readExtensions(iked.bodyOf(sa(1)).body, kernel.platform);
  const update = new Uint8Array([1, 5, 6].flatMap((type) => [...full.get(type)!]));
  assertEquals(iked.request({ type: SADB.SADB_UPDATE, satype: 2, body: update }), 0);
  assertEquals(events(backEnd).map(({ kind }) => kind), ["resync"]);
  const replay = new ExtensionWriter(kernel.platform).add(39, (w) => sadbXReplay.write(w, { count: 5n }))
    .finish();
  const trap = new Uint8Array([...iked.bodyOf(sa(3)).body, ...replay]);
  assertThrows(() => iked.request({ type: SADB.SADB_ADD, satype: 2, body: trap }), SyscallError, "EPERM");
  assertEquals(events(backEnd).map(({ kind }) => kind), ["resync"]);
  assertEquals(contents(dump(backEnd)), contents([sa(1), sa(2), sa(3)]), "it was carried out");
});

Deno.test("PfkeyKernel on OpenBSD hears nothing of a request that the kernel throws back", () => {
  const { backEnd, iked } = machine();
  const { body } = iked.bodyOf(sa(1));
  assertThrows(
    () => iked.request({ type: SADB.SADB_ADD, satype: 2, body: body.subarray(0, 16) }),
    SyscallError,
    "EINVAL",
  );
  assertEquals(events(backEnd), []);
});

// --- loss ---

Deno.test("PfkeyKernel on OpenBSD compares after a burst that may not have fitted", () => {
  const { backEnd, iked, kernel } = machine({ mostQueueBytes: 8192 });
  iked.change(...Array.from({ length: 100 }, (_, i) => put(sa(0x1000 + i))));
  assert(kernel.lost > 50, `${kernel.lost} lost`);
  assertEquals(events(backEnd).filter(({ kind }) => kind === "resync").length, 1);
  assertEquals(dump(backEnd).length, 100);
});

Deno.test("PfkeyKernel on OpenBSD still puts while its queue is full of others' events", () => {
  const { backEnd, iked } = machine({ mostQueueBytes: 8192 });
  iked.change(...Array.from({ length: 100 }, (_, i) => put(sa(0x1000 + i))));
  const results = backEnd.apply([put(sa(1)), put(sa(2)), put(flow(1))]);
  const lost = results.filter((result) => !result.ok && /lost/.test(result.reason)).length;
  assert(lost <= 1, "at most the first finds no room for its answer");
  assert(events(backEnd).some(({ kind }) => kind === "resync"));
});

Deno.test("PfkeyKernel on OpenBSD keeps the places of its flows from dump to dump, which show another order", () => {
  const { backEnd, iked } = machine();
  iked.change(put(flow(9)), put(flow(5)), put(flow(7)));
  events(backEnd);
  apply(backEnd, put(flow(1)), put(flow(8)));
  const ports = () => dump(backEnd).map((one) => one.kind === "policy" && one.policy.selector.dstPort);
  assertEquals(ports(), [9, 5, 7, 1, 8]);
  iked.change(put(flow(3)), put(flow(5)));
  events(backEnd);
  apply(backEnd, put(flow(9)), remove(flow(1)));
  assertEquals(
    ports(),
    [5, 7, 8, 3, 9],
    "what is put is the newest, what is overwritten by others keeps its place",
  );
});

Deno.test("PfkeyKernel on OpenBSD forgets the places of flows that a dump shows no more", () => {
  const { backEnd, iked } = machine();
  iked.change(put(flow(1)), put(flow(2)));
  events(backEnd);
  dump(backEnd);
  iked.request({ type: SADB.SADB_FLUSH, satype: 0, body: new Uint8Array() });
  events(backEnd);
  dump(backEnd);
  iked.change(put(flow(2)), put(flow(1)));
  events(backEnd);
  const ports = dump(backEnd).map((one) => one.kind === "policy" && one.policy.selector.dstPort);
  assertEquals(ports, [2, 1]);
});

Deno.test("PfkeyKernel on OpenBSD does a large dump in parts", () => {
  const { backEnd, iked } = machine();
  iked.change(...Array.from({ length: 3000 }, (_, i) => put(sa(0x1000 + i))));
  backEnd.beginDump();
  let parts = 0;
  while (backEnd.continueDump() === undefined) parts++;
  assert(parts >= 4, `${parts} parts`);
});

Deno.test("PfkeyKernel on OpenBSD says that a dump has failed, and does the next", () => {
  const { backEnd, iked, kernel } = machine();
  iked.change(put(sa(1)));
  const { sysctl } = kernel;
  kernel.sysctl = () => {
    throw new SyscallError("read sysctl", "ENOMEM", 12);
  };
  assertThrows(() => dump(backEnd), SyscallError, "ENOMEM");
  kernel.sysctl = sysctl;
  assertEquals(dump(backEnd).length, 1);
});

Deno.test("PfkeyKernel on OpenBSD keeps what it put and the kernel does not tell, and sees when somebody changes it", () => {
  const { backEnd, iked } = machine();
  const linux = sampleSa({
    reqid: 7,
    opaque: [{ space: SPACE.LINUX, type: 32, critical: false, value: new Uint8Array(4) }],
  });
  const policy = samplePolicy({ priority: 77 });
  apply(backEnd, put({ kind: "sa", sa: linux }), put({ kind: "policy", policy }));
  assertEquals(contents(dump(backEnd)), contents([{ kind: "sa", sa: linux }, { kind: "policy", policy }]));
  iked.change(remove({ kind: "sa", sa: linux }), put({ kind: "sa", sa: { ...linux, mode: MODE.TRANSPORT } }));
  const [, event] = events(backEnd);
  assert(event?.kind === "record" && event.record.kind === "sa");
  assertEquals([event.record.sa.mode, event.record.sa.reqid], [MODE.TRANSPORT, 0]);
});

Deno.test("PfkeyKernel on nasty OpenBSD ends with what the kernel has, whatever happens", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomOf(seed);
    const { backEnd, iked, kernel, clock } = machine({ random, mostQueueBytes: 20_000 });
    const known = new Map<string, string>();
    const learn = (list: readonly KernelEvent[]) =>
      list.some((event) => {
        if (event.kind === "record") {
          known.set(recordKey(event.record), encodeHex(encodeContent(event.record)));
        }
        return event.kind === "resync";
      });
    for (let i = 0; i < 200; i++) {
      const record = random() < 0.7 ? sa(1 + Math.floor(random() * 30)) : flow(1 + Math.floor(random() * 30));
      const change = random() < 0.6 ? put(record) : remove(record);
      if (random() < 0.5) iked.change(change);
      else backEnd.apply([change]);
      if (random() < 0.2) learn(backEnd.readEvents(8));
    }
    clock.nowMs += 1000;
    events(backEnd);
    kernel.sysctl = (name) => kernel.dump(name);
    assertEquals(contents(dump(backEnd)), contents(recordsIn(kernel)), `seed ${seed}`);
  }
});

Deno.test("The fake kernel ends a dump by socket with sequence number 0, and says nothing of an empty table", () => {
  const { kernel, iked } = machine();
  const socket = kernel.open(9, 1 << 20);
  const ask = () =>
    socket.send(encodeMessage({ type: 10, satype: 0, seq: 5, pid: 9 }, new Uint8Array(), kernel.platform));
  const seqs = () => {
    const found: number[] = [];
    for (let one = socket.receive(); one.kind === "data"; one = socket.receive()) found.push(one.bytes[8]!);
    return found;
  };
  ask();
  assertEquals(seqs(), []);
  iked.change(put(sa(1)), put(sa(2)), put(sa(3)));
  seqs();
  ask();
  assertEquals(seqs(), [5, 5, 0]);
});

Deno.test("The fake kernel throws back what another process signs", () => {
  const { kernel } = machine();
  const socket = kernel.open(9);
  const message = encodeMessage({ type: 9, satype: 0, seq: 5, pid: IKED }, new Uint8Array(), kernel.platform);
  assertThrows(() => socket.send(message), SyscallError, "EINVAL");
});
