import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { PfkeyKernel } from "../../../src/daemon/pfkey_kernel.ts";
import { KernelReplyError, SyscallError } from "../../../src/errors.ts";
import type { Dialect } from "../../../src/pfkey/dialect.ts";
import { linuxDialect } from "../../../src/pfkey/linux.ts";
import { LINUX_MESSAGES as MSG } from "../../../src/pfkey/linux_tables.ts";
import type { KernelChange, KernelEvent, KernelResult } from "../../../src/ports.ts";
import { AUTH, ENCR } from "../../../src/record/algorithms.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { type OpaqueAttribute, SPACE } from "../../../src/record/opaque.ts";
import type { Policy } from "../../../src/record/policy.ts";
import { type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { type Sa, SA_FLAG } from "../../../src/record/sa.ts";
import { FakeLinuxPfkey } from "../../fakes/linux_pfkey.ts";
import { addr, samplePolicy, sampleSa, sampleSelector } from "../../fakes/records.ts";

const NOW = 1_800_000_000;
const PID = 0x4000_0001;
const ESP = 3;
const OK: KernelResult = { ok: true };
const dialect = linuxDialect("little", { truncation: 96, noEsn: true });

interface Bench {
  readonly fake: FakeLinuxPfkey;
  readonly kernel: PfkeyKernel;
  readonly clock: { ms: number };
}

function start(using: Dialect = dialect): Bench {
  const fake = new FakeLinuxPfkey(NOW);
  const clock = { ms: 0 };
  const ports = {
    open: fake.open,
    clock: { bootMs: () => clock.ms, wallSeconds: () => NOW },
    pid: PID,
  };
  return { fake, kernel: new PfkeyKernel(ports, using), clock };
}

function key(byte: number, length: number) {
  return { keyBits: length * 8, key: new Uint8Array(length).fill(byte) };
}

/** An SA that PF_KEY can carry whole. */
function plainSa(overrides: Partial<Sa> = {}): Sa {
  const zero = addr("0.0.0.0");
  return sampleSa({
    aead: undefined,
    encryption: { id: ENCR.AES_CBC, ...key(1, 16) },
    integrity: { id: AUTH.HMAC_SHA1_96, icvBits: 96, ...key(2, 20) },
    selector: sampleSelector({ src: zero, dst: zero, srcBits: 0, dstBits: 0 }),
    flags: 0,
    ...overrides,
  });
}

function linuxAttribute(type: number): OpaqueAttribute {
  return { space: SPACE.LINUX, type, critical: true, value: new Uint8Array(20) };
}

function put(record: Sa | Policy): KernelChange {
  return {
    kind: "put",
    record: "spi" in record ? { kind: "sa", sa: record } : { kind: "policy", policy: record },
  };
}

function bodyOf(record: Sa | Policy): Uint8Array {
  const planned = dialect.encode(put(record), { nowSeconds: NOW });
  assert(planned.ok, planned.ok ? "" : planned.reason);
  return planned.plan.requests.at(-1)!.body;
}

function addByOther({ fake }: Bench, record: Sa | Policy): void {
  const type = "spi" in record ? MSG.SADB_ADD : MSG.SADB_X_SPDADD;
  fake.disturb(type, "spi" in record ? ESP : 0, bodyOf(record));
}

function dump(kernel: PfkeyKernel): readonly IpsecRecord[] {
  kernel.beginDump();
  for (let turn = 0; turn < 10_000; turn++) {
    const records = kernel.continueDump();
    if (records !== undefined) return records;
  }
  throw new Error("The dump has no end");
}

function events(kernel: PfkeyKernel): KernelEvent[] {
  const all: KernelEvent[] = [];
  for (;;) {
    const some = kernel.readEvents(64);
    if (some.length === 0) return all;
    all.push(...some);
  }
}

const keysOf = (records: readonly IpsecRecord[]) => records.map(recordKey);
const spi = (n: number, more: Partial<Sa> = {}) => plainSa({ spi: 0x1000 + n, ...more });
const saRecord = (sa: Sa): IpsecRecord => ({ kind: "sa", sa });

Deno.test("PfkeyKernel registers, as a hard expiry brings no DELETE", () => {
  const bench = start();
  assertEquals(bench.fake.requests, [MSG.SADB_REGISTER]);
  addByOther(bench, spi(1));
  bench.fake.expire(ESP, bodyOf(spi(1)));
  assertEquals(events(bench.kernel).map((event) => [event.kind, "expired" in event && event.expired]), [
    ["record", false],
    ["sa-gone", true],
  ]);
});

Deno.test("PfkeyKernel cannot be without its registration", () => {
  const fake = new FakeLinuxPfkey(NOW);
  fake.loseAnswers = 1;
  const ports = { open: fake.open, clock: { bootMs: () => 0, wallSeconds: () => NOW }, pid: PID };
  assertThrows(() => new PfkeyKernel(ports, dialect), KernelReplyError, "SADB_REGISTER: no answer");
  assertEquals(fake.sockets[0]!.closed, true);
});

Deno.test("apply() puts SAs and policies, and tells nobody else's events as own", () => {
  const bench = start();
  const { fake, kernel } = bench;
  let others = 0;
  fake.meanwhile = () => {
    fake.meanwhile = undefined;
    addByOther(bench, spi(100 + others++));
  };
  assertEquals(kernel.apply([put(spi(1)), put(samplePolicy()), put(spi(2))]), [OK, OK, OK]);
  assertEquals(kernel.hasEvents, true);
  assertEquals(events(kernel).map((event) => event.kind === "record" && recordKey(event.record)), [
    recordKey(saRecord(spi(100))),
  ]);
  assertEquals(keysOf(dump(kernel)), [
    ...[spi(100), spi(1), spi(2)].map((sa) => recordKey(saRecord(sa))),
    recordKey({ kind: "policy", policy: samplePolicy() }),
  ]);
});

Deno.test("apply() deletes and adds an SA that is there, keys and all", () => {
  const { fake, kernel } = start();
  kernel.apply([put(spi(1))]);
  const other = spi(1, { encryption: { id: ENCR.AES_CBC, ...key(9, 32) } });
  assertEquals(kernel.apply([put(other)]), [OK]);
  const [record] = dump(kernel);
  assertEquals(encodeContent(record!), encodeContent(saRecord(other)));
  assertEquals(fake.sas.length, 1);
});

Deno.test("apply() deletes what is there and what is not", () => {
  const { fake, kernel } = start();
  kernel.apply([put(spi(1)), put(samplePolicy())]);
  const changes: KernelChange[] = [
    { kind: "delete-sa", id: spi(1) },
    { kind: "delete-sa", id: spi(1) },
    { kind: "delete-policy", id: samplePolicy() },
    { kind: "delete-policy", id: samplePolicy() },
  ];
  assertEquals(kernel.apply(changes), [OK, OK, OK, OK]);
  assertEquals([fake.sas.length, fake.policies.length, events(kernel).length], [0, 0, 0]);
});

Deno.test("apply() makes a policy that is put the newest", () => {
  const { kernel } = start();
  const [a, b] = [samplePolicy(), samplePolicy({ selector: sampleSelector({ srcBits: 17 }) })];
  kernel.apply([put(a), put(b), put({ ...a, priority: 7 })]);
  assertEquals(keysOf(dump(kernel)), keysOf([{ kind: "policy", policy: b }, { kind: "policy", policy: a }]));
});

Deno.test("continueDump() gives policies in the order of the lookup: one that is updated keeps its place", () => {
  const bench = start();
  const [a, b] = [samplePolicy(), samplePolicy({ selector: sampleSelector({ srcBits: 17 }) })];
  addByOther(bench, a);
  addByOther(bench, b);
  bench.fake.disturb(MSG.SADB_X_SPDUPDATE, 0, bodyOf(a));
  const told = events(bench.kernel).map((event) => event.kind === "record" && event.created);
  assertEquals(told, [true, true, false]);
  assertEquals(
    keysOf(dump(bench.kernel)),
    keysOf([{ kind: "policy", policy: a }, { kind: "policy", policy: b }]),
  );
});

const refusals: readonly (readonly [what: string, record: Sa | Policy, reason: RegExp])[] = [
  ["AEAD", sampleSa(), /AEAD AES_GCM_16 cannot be expressed/],
  [
    "another truncation",
    spi(1, { integrity: { id: AUTH.HMAC_SHA2_256_128, icvBits: 128, ...key(3, 32) } }),
    /ICV of 128/,
  ],
  [
    "AES-CMAC",
    spi(1, { integrity: { id: AUTH.AES_CMAC_96, icvBits: 96, ...key(3, 16) } }),
    /AES_CMAC_96 cannot be/,
  ],
  ["ESN", spi(1, { flags: SA_FLAG.ESN | SA_FLAG.LONG_REPLAY }), /ESN/],
  ["a long window", spi(1, { replayWindow: 128 }), /a replay window of 128/],
  ["a mark", spi(1, { mark: { value: 1, mask: 1 } }), /a mark/],
  ["an interface id", spi(1, { interfaceId: 3 }), /an interface id/],
  ["an output mark", spi(1, { outputMark: { value: 1, mask: 1 } }), /an output mark/],
  ["TFC padding", spi(1, { tfcPadding: 9 }), /TFC padding/],
  ["other flags", spi(1, { flags: SA_FLAG.DONT_ENCAP_DSCP }), /SA flags 0x100/],
  ["BEET", spi(1, { mode: 4 }), /mode 4/],
  ["a selector", spi(1, { selector: sampleSelector() }), /a selector of the SA/],
  ["a routing domain", spi(1, { rdomain: 1 }), /a routing domain/],
  [
    "an extension of a newer kernel",
    spi(1, { opaque: [linuxAttribute(0x400 + 27)] }),
    /attribute 1051 of Linux/,
  ],
  ["a selector in disguise", spi(1, { opaque: [linuxAttribute(0x400 + 7)] }), /attribute 1031 of Linux/],
  ["a limit of nothing", spi(1, { hard: { bytes: 0n } }), /no limit of 0 bytes/],
  ["too many packets", spi(1, { hard: { packets: 1n << 32n } }), /no limit of 4294967296 packets/],
  ["keys without a cipher", spi(1, { encryption: undefined }), /ESP without an encryption/],
  ["a wrong key", spi(1, { encryption: { id: ENCR.AES_CBC, ...key(1, 17) } }), /SADB_ADD: ENOSYS/],
  ["a policy's mark", samplePolicy({ mark: { value: 1, mask: 1 } }), /a mark/],
  [
    "a policy's reqid",
    samplePolicy({ templates: [{ ...samplePolicy().templates[0]!, reqid: 20000 }] }),
    /reqid 20000/,
  ],
  [
    "an optional tunnel",
    samplePolicy({ templates: [{ ...samplePolicy().templates[0]!, optional: true }] }),
    /optional/,
  ],
  [
    "a mask of ports",
    samplePolicy({ selector: sampleSelector({ srcPort: 16, srcPortMask: 0xfff0 }) }),
    /with a mask/,
  ],
  ["a user", samplePolicy({ selector: sampleSelector({ user: 7 }) }), /a user/],
  ["an interface", samplePolicy({ selector: sampleSelector({ ifname: "eth0" }) }), /an interface/],
  ["policy flags", samplePolicy({ flags: 1 }), /policy flags/],
  ["a sub-policy", samplePolicy({ type: 1 }), /a sub-policy/],
];

for (const [what, record, reason] of refusals) {
  Deno.test(`apply() refuses ${what} and leaves the kernel alone`, () => {
    const { fake, kernel } = start();
    const [result] = kernel.apply([put(record)]);
    assert(result?.ok === false);
    assertMatch(result.reason, reason);
    assertEquals([fake.sas.length, fake.policies.length], [0, 0]);
  });
}

Deno.test("apply() says when the answer was lost, and when the system fails", () => {
  const { fake, kernel } = start();
  fake.loseAnswers = 1;
  assertEquals(kernel.apply([put(spi(1)), put(spi(2))]), [
    { ok: false, reason: "SADB_ADD: the kernel's answer was lost" },
    OK,
  ]);
  fake.sendError = "ENOBUFS";
  assertEquals(kernel.apply([put(spi(3))]), [{ ok: false, reason: "SADB_ADD: ENOBUFS" }]);
});

Deno.test("An SA that the kernel does not tell whole does not look changed", () => {
  const bench = start();
  const zero = addr("0.0.0.0");
  const sa = spi(1, {
    flags: SA_FLAG.AF_UNSPEC,
    selector: { ...sampleSelector({ src: zero, dst: zero, srcBits: 0, dstBits: 0 }), family: 0 },
    direction: 2,
  });
  assertEquals(bench.kernel.apply([put(sa)]), [OK]);
  assertEquals(dump(bench.kernel).map(encodeContent), [encodeContent(saRecord(sa))]);
  const told = dialect.told(saRecord(sa));
  assertEquals(dump(start().kernel), []);
  bench.kernel.apply([{ kind: "delete-sa", id: sa }]);
  addByOther(bench, spi(1));
  assertEquals(dump(bench.kernel).map(encodeContent), [encodeContent(told)]);
});

Deno.test("What is not known whole is forgotten when two comparisons do not show it", () => {
  const bench = start();
  const sa = plainSa({ flags: SA_FLAG.LONG_REPLAY });
  const flagsOf = (records: readonly IpsecRecord[]) =>
    records.map((record) => record.kind === "sa" ? record.sa.flags : undefined);
  bench.kernel.apply([put(sa)]);
  const { sas } = bench.fake;
  bench.fake.sas = []; // and nobody tells of it
  assertEquals(dump(bench.kernel), []);
  bench.fake.sas = sas; // that dump was older than the SA
  assertEquals(flagsOf(dump(bench.kernel)), [SA_FLAG.LONG_REPLAY]);
  bench.fake.sas = [];
  for (let i = 0; i < 2; i++) dump(bench.kernel);
  bench.fake.sas = sas; // of somebody else
  assertEquals(flagsOf(dump(bench.kernel)), [0]);
});

Deno.test("readEvents() reads back what an update has made of an SA", () => {
  const bench = start();
  addByOther(bench, spi(1));
  const limited = spi(1, { hard: { addSeconds: 9000n } });
  const thrownAway = { ...limited, encryption: { id: ENCR.AES_CBC, ...key(9, 16) } };
  bench.fake.update(ESP, bodyOf(limited), bodyOf(thrownAway));
  const [, event] = events(bench.kernel);
  assert(event?.kind === "record" && event.record.kind === "sa");
  assertEquals([event.record.sa.hard, event.record.sa.encryption, event.created], [
    limited.hard,
    limited.encryption,
    false,
  ]);
});

Deno.test("readEvents() asks for a comparison when an update cannot be read back", () => {
  const bench = start();
  addByOther(bench, spi(1));
  bench.fake.update(ESP, bodyOf(spi(1)), bodyOf(spi(1)));
  bench.fake.loseAnswers = 1;
  const [, event] = events(bench.kernel);
  assertEquals(event, {
    kind: "resync",
    reason: "a changed SA could not be read back: the answer was lost",
  });
});

Deno.test("readEvents() tells of unreadable records once, without keys", () => {
  const bench = start(linuxDialect("little", { truncation: undefined, noEsn: false }));
  const sha256 = spi(1, { integrity: { id: AUTH.HMAC_SHA2_256_128, icvBits: 96, ...key(0x77, 32) } });
  addByOther(bench, sha256);
  addByOther(bench, spi(2, { replayWindow: 0 }));
  const told = events(bench.kernel);
  assertEquals(told.map(({ kind }) => kind), ["unreadable", "unreadable"]);
  assert(!Deno.inspect(told).includes("7777"));
  assertEquals(dump(bench.kernel), []);
  assertEquals(events(bench.kernel), []);
});

Deno.test("readEvents() survives broken messages", () => {
  const { fake, kernel } = start();
  fake.sockets[0]!.push(new Uint8Array(7));
  fake.broadcast({ type: MSG.SADB_ADD, satype: ESP }, new Uint8Array(8));
  fake.broadcast({ type: 200, satype: ESP }, new Uint8Array());
  assertEquals(events(kernel).map(({ kind }) => kind), ["unreadable", "unreadable"]);
});

Deno.test("readEvents() asks for a comparison after a burst that may not have fitted, and only then", () => {
  const bench = start();
  bench.fake.receiveBufferBytes = 200 * 1280;
  for (let i = 0; i < 50; i++) addByOther(bench, spi(i));
  assertEquals(events(bench.kernel).filter(({ kind }) => kind === "resync"), []);
  for (let i = 50; i < 1000; i++) addByOther(bench, spi(i));
  assert(bench.fake.sockets[0]!.dropped > 0);
  const after = events(bench.kernel);
  assertEquals(after.filter(({ kind }) => kind === "resync"), [
    { kind: "resync", reason: "more events came at once than are sure to fit" },
  ]);
  assertEquals(after.at(-1)!.kind, "resync", "when no more can be lost");
  assertEquals(dump(bench.kernel).length, 1000);
});

Deno.test("readEvents() never loses events without asking for a comparison", () => {
  const bench = start();
  bench.fake.receiveBufferBytes = 64 * 1280;
  let heard = 0;
  for (let burst = 1; burst < 200; burst += 7) {
    for (let i = 0; i < burst; i++) bench.fake.disturb(MSG.SADB_X_SPDUPDATE, 0, bodyOf(samplePolicy()));
    const all = events(bench.kernel);
    heard += all.filter(({ kind }) => kind === "record").length;
    const dropped = bench.fake.sockets[0]!.dropped;
    bench.fake.sockets[0]!.dropped = 0;
    if (dropped > 0) assertEquals(all.at(-1)!.kind, "resync", `${burst} events`);
  }
  assert(heard > 0);
});

Deno.test("A long row of own changes is not a burst", () => {
  const { fake, kernel } = start();
  fake.receiveBufferBytes = 200 * 1280;
  for (let i = 0; i < 20; i++) {
    kernel.apply(Array.from({ length: 64 }, (_, j) => put(spi(i * 64 + j))));
  }
  assertEquals(events(kernel), []);
});

Deno.test("readEvents() asks for a comparison now and then, the more rarely the more there is", () => {
  const { kernel, clock } = start();
  clock.ms = 1e9;
  assertEquals(events(kernel), [], "before there was a dump the core asks itself");
  dump(kernel);
  clock.ms += 59_999;
  assertEquals(events(kernel), []);
  clock.ms += 1;
  assertEquals(events(kernel).map(({ kind }) => kind), ["resync"]);
  assertEquals(events(kernel), []);
  for (let i = 0; i < 1000; i++) kernel.apply([put(spi(i))]);
  dump(kernel);
  clock.ms += 99_999;
  assertEquals(events(kernel), []);
  clock.ms += 1;
  assertEquals(events(kernel).length, 1);
});

Deno.test("An overrun, where a system tells of it, asks for a comparison", () => {
  const { fake, kernel } = start();
  fake.sockets[0]!.queue.push("overrun");
  assertEquals(events(kernel), [{ kind: "resync", reason: "events were lost" }]);
});

Deno.test("continueDump() gives the oldest first, whatever comes between", () => {
  const bench = start();
  for (let i = 0; i < 5; i++) addByOther(bench, spi(i));
  events(bench.kernel);
  let others = 50;
  bench.fake.meanwhile = () => {
    if (others < 60) addByOther(bench, spi(others++));
  };
  const found = keysOf(dump(bench.kernel)).slice(0, 5);
  assertEquals(found, keysOf([0, 1, 2, 3, 4].map((i) => saRecord(spi(i)))));
  assertEquals(bench.fake.sockets.length, 2);
  assertEquals(bench.fake.sockets[1]!.closed, true);
});

Deno.test("continueDump() begins again when entries are missing", () => {
  const bench = start();
  for (let i = 0; i < 6; i++) addByOther(bench, spi(i));
  addByOther(bench, samplePolicy());
  bench.fake.loseEntries = 2;
  assertEquals(dump(bench.kernel).length, 7);
  const dumps = bench.fake.requests.filter((type) => type === MSG.SADB_DUMP);
  assertEquals(dumps.length, 2);
});

Deno.test("continueDump() of an empty kernel", () => {
  assertEquals(dump(start().kernel), []);
});

Deno.test("continueDump() throws when the kernel refuses, and when the end never comes", () => {
  const bench = start();
  bench.fake.busy = true;
  assertThrows(() => dump(bench.kernel), KernelReplyError, "SADB_DUMP: EBUSY");
  addByOther(bench, spi(1));
  bench.kernel.beginDump();
  bench.fake.sockets.at(-1)!.queue = [];
  assertThrows(
    () => {
      for (let turn = 0; turn < 10_000; turn++) bench.kernel.continueDump();
    },
    SyscallError,
    "ETIMEDOUT",
  );
  assertEquals(dump(bench.kernel).length, 1);
});

Deno.test("beginDump() begins again while one is under way", () => {
  const bench = start();
  for (let i = 0; i < 600; i++) addByOther(bench, spi(i));
  bench.kernel.beginDump();
  assertEquals(bench.kernel.continueDump(), undefined);
  assertEquals(dump(bench.kernel).length, 600);
  assertEquals(bench.fake.sockets.map(({ closed }) => closed), [false, true, true]);
});

Deno.test("beginDump() leaves no socket behind when the kernel takes no request", () => {
  const { fake, kernel } = start();
  fake.sendError = "ENOBUFS";
  assertThrows(() => kernel.beginDump(), SyscallError, "ENOBUFS");
  assertEquals(fake.sockets.map(({ closed }) => closed), [false, true]);
});

Deno.test("continueDump() gives none of several SAs of one identity", () => {
  const bench = start();
  addByOther(bench, spi(1));
  addByOther(bench, spi(2));
  bench.fake.sas.unshift({ ...bench.fake.sas[0]!, key: "with a mark" });
  assertEquals(keysOf(dump(bench.kernel)), keysOf([saRecord(spi(1))]));
  const unreadable = events(bench.kernel).filter(({ kind }) => kind === "unreadable");
  assertEquals(unreadable.length, 1);
});

Deno.test("close() closes everything", () => {
  const { fake, kernel } = start();
  kernel.beginDump();
  kernel.close();
  assertEquals(fake.sockets.map(({ closed }) => closed), [true, true]);
});
