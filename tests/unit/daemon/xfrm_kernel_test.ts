import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelReplyError, SyscallError } from "../../../src/errors.ts";
import { XfrmKernel } from "../../../src/daemon/xfrm_kernel.ts";
import { attributeHead, splitDatagram, writeAttribute } from "../../../src/layout/netlink.ts";
import { Writer } from "../../../src/layout/writer.ts";
import type { KernelChange, KernelResult } from "../../../src/ports.ts";
import { SPACE } from "../../../src/record/opaque.ts";
import { type Policy, policyKey } from "../../../src/record/policy.ts";
import { type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { NO_MARK, type Sa, SA_FLAG } from "../../../src/record/sa.ts";
import * as xfrm from "../../../src/xfrm/constants.ts";
import { encodePolicy, encodePolicyId } from "../../../src/xfrm/policy.ts";
import { encodeSaId } from "../../../src/xfrm/requests.ts";
import { encodeSa } from "../../../src/xfrm/sa.ts";
import { xfrmAeventId, xfrmReplayState } from "../../../src/xfrm/structs.ts";
import { decodeHex } from "../../fakes/hex.ts";
import { sampleCounters, samplePolicy, sampleSa } from "../../fakes/records.ts";
import { VECTOR_SURROUNDINGS } from "../../fakes/xfrm_bodies.ts";
import { FakeXfrm } from "../../fakes/xfrm_sockets.ts";
import { EVENT_VECTORS, POLICY_VECTORS, SA_VECTORS } from "../../vectors/xfrm_vectors.ts";

const { interfaces, nowSeconds } = VECTOR_SURROUNDINGS;

function start(): { fake: FakeXfrm; kernel: XfrmKernel } {
  const fake = new FakeXfrm();
  const clock = { wallSeconds: () => nowSeconds };
  return { fake, kernel: new XfrmKernel({ open: fake.open, clock, interfaces }) };
}

function dump(kernel: XfrmKernel): readonly IpsecRecord[] {
  kernel.beginDump();
  for (let turn = 0; turn < 10_000; turn++) {
    const records = kernel.continueDump();
    if (records !== undefined) return records;
  }
  throw new Error("The dump has no end");
}

function putSa(sa: Sa): KernelChange {
  return { kind: "put", record: { kind: "sa", sa } };
}

function putPolicy(policy: Policy): KernelChange {
  return { kind: "put", record: { kind: "policy", policy } };
}

function bodyOf(sa: Sa): Uint8Array {
  const encoded = encodeSa(sa, VECTOR_SURROUNDINGS);
  assert(encoded.ok);
  return encoded.body;
}

function reasons(results: readonly KernelResult[]): string[] {
  return results.map((result) => result.ok ? "" : result.reason);
}

const OK: KernelResult = { ok: true };
/** An SA as it comes back, with the members that have no value. */
const PLAIN = sampleSa({
  flags: 0,
  encryption: undefined,
  integrity: undefined,
  compression: undefined,
  encapsulation: undefined,
  careOf: undefined,
  outputMark: undefined,
});
const sa = (spi: number, overrides: Partial<Sa> = {}) => sampleSa({ ...PLAIN, spi, ...overrides });
const mark = (value: number) => ({ value, mask: 0xff });

Deno.test("XfrmKernel hears all groups from the start, on a socket of its own", () => {
  const { fake, kernel } = start();
  assertEquals(fake.sockets.map(({ groups }) => groups), [[], [2, 3, 4, 5, 7]]);
  assertEquals(fake.sockets[1]!.ignoredPortId, fake.sockets[0]!.portId);
  assertEquals(kernel.fd, fake.sockets[1]!.fd);
  kernel.close();
  assert(fake.sockets.every(({ closed }) => closed));
});

Deno.test("XfrmKernel dumps SAs, then policies, oldest first, without larval ones and those of sockets", () => {
  const { fake, kernel } = start();
  for (const [, hex] of SA_VECTORS) fake.states.unshift({ triple: "", mark: NO_MARK, body: decodeHex(hex) });
  for (const [, hex] of POLICY_VECTORS) fake.policies.unshift({ key: "", body: decodeHex(hex) });
  const records = dump(kernel);
  const spis = records.flatMap((record) => record.kind === "sa" ? record.sa.spi : []);
  assertEquals(spis.length, SA_VECTORS.length - 3);
  assertEquals([spis[0], spis.at(-1)], [0x1001, 0x4004]);
  const priorities = records.flatMap((record) => record.kind === "policy" ? record.policy.priority : []);
  assertEquals(priorities, [100, 100, 100, 7, 5, 5, 5, 1, 0, 0]);
  assertEquals(records.slice(spis.length).every(({ kind }) => kind === "policy"), true);
  assertEquals([...kernel.unreadable], []);
});

Deno.test("XfrmKernel dumps policies in the order of the lookup: one that was updated keeps its place", () => {
  const { fake, kernel } = start();
  const update = (policy: Policy) => updateByOthers(fake, policy);
  const marks = () => dump(kernel).map((record) => record.kind === "policy" && record.policy.mark.value);
  for (const [value, priority] of [[1, 7], [2, 7], [3, 8], [1, 7]] as const) {
    update(samplePolicy({ mark: mark(value), priority }));
  }
  assertEquals(marks(), [1, 2, 3]);
  kernel.readEvents(10);
  update(samplePolicy({ mark: mark(1), priority: 8 }));
  kernel.readEvents(10);
  assertEquals(marks(), [2, 3, 1]);
  update(samplePolicy({ mark: mark(2), priority: 8 }));
  assertEquals(marks(), [3, 1, 2]); // its event has not been read
});

Deno.test("XfrmKernel.apply() makes a policy that it puts twice the newest", () => {
  const { kernel } = start();
  const [one, two] = [samplePolicy({ mark: mark(1) }), samplePolicy({ mark: mark(2) })];
  kernel.apply([putPolicy(one), putPolicy(two), putPolicy(one)]);
  assertEquals(
    dump(kernel).map(recordKey),
    [two, one].map((policy) => recordKey({ kind: "policy", policy })),
  );
});

Deno.test("XfrmKernel reads a bounded part of a dump at a time", () => {
  const { fake, kernel } = start();
  for (let i = 0; i < 100; i++) fake.states.unshift({ triple: "", mark: NO_MARK, body: bodyOf(sa(i + 1)) });
  kernel.beginDump();
  let turns = 0;
  while (kernel.continueDump() === undefined) turns++;
  assert(turns >= 10, `${turns} turns`);
  assertEquals(kernel.continueDump(), undefined);
});

Deno.test("XfrmKernel begins a dump again from its beginning", () => {
  const { fake, kernel } = start();
  kernel.apply([1, 2, 3, 4, 5].map((spi) => putSa(sa(spi))));
  kernel.beginDump();
  kernel.continueDump();
  kernel.apply([putSa(sa(6))]);
  assertEquals(dump(kernel).length, 6);
  assertEquals(fake.sockets.slice(2).map(({ closed }) => closed), [true, true]);
});

Deno.test("XfrmKernel.continueDump() waits for no end that was lost", () => {
  const { fake, kernel } = start();
  kernel.apply([putSa(sa(1))]);
  kernel.beginDump();
  fake.sockets.at(-1)!.queue = ["overrun"];
  assertThrows(() => [1, 2, 3].forEach(() => kernel.continueDump()), SyscallError, "ENOBUFS");
  assertEquals(dump(kernel).length, 1, "the next one is whole");
});

Deno.test("XfrmKernel repeats a dump that was interrupted, but not for ever", () => {
  for (const times of [1, 3, 1000]) {
    const { fake, kernel } = start();
    kernel.apply([putSa(sa(1)), putSa(sa(2)), putPolicy(samplePolicy())]);
    fake.interruptDumps = times;
    assertEquals(dump(kernel).length, 3);
  }
});

Deno.test("XfrmKernel says why a dump was refused", () => {
  const { fake, kernel } = start();
  fake.refuseDump = 1;
  kernel.beginDump();
  const error = assertThrows(() => kernel.continueDump(), KernelReplyError);
  assertEquals([error.request, error.errno], ["XFRM_MSG_GETSA", "EPERM"]);
});

Deno.test("XfrmKernel.apply() sends many requests at once and tells each its result", () => {
  const { fake, kernel } = start();
  const sas = Array.from({ length: 200 }, (_, i) => sa(i + 1, i === 70 ? { rdomain: 1 } : {}));
  const results = kernel.apply(sas.map(putSa));
  assertEquals(reasons(results).flatMap((reason, i) => reason === "" ? [] : `${i} ${reason}`), [
    "70 Linux has no routing domains",
  ]);
  assertEquals(fake.sends, [64, 63, 64, 8]);
  const records = dump(kernel);
  assertEquals(
    records,
    sas.filter((_, i) => i !== 70).map((sa) => ({ kind: "sa", sa })),
  );
});

Deno.test("XfrmKernel.apply() replaces an SA that is there, keys and counters too", () => {
  const { kernel } = start();
  const other = sa(1, {
    aead: { ...PLAIN.aead!, key: new Uint8Array(20).fill(9) },
    counters: { ...PLAIN.counters, oseq: 500n, ageSeconds: 70 },
  });
  assertEquals(kernel.apply([putSa(sa(1)), putSa(sa(2))]), [OK, OK]);
  assertEquals(kernel.apply([putSa(other)]), [OK]);
  assertEquals(dump(kernel).at(-1), { kind: "sa", sa: other });
  assertEquals(dump(kernel).length, 2);
});

Deno.test("XfrmKernel.apply() does changes of one SA in their order", () => {
  const { kernel } = start();
  const changes: KernelChange[] = [
    putSa(sa(1)),
    putSa(sa(1, { reqid: 2 })),
    { kind: "delete-sa", id: sa(1) },
    { kind: "delete-sa", id: sa(1) },
    putSa(sa(1, { reqid: 3 })),
  ];
  assertEquals(kernel.apply(changes), [OK, OK, OK, OK, OK]);
  assertEquals(dump(kernel).map((record) => record.kind === "sa" && record.sa.reqid), [3]);
});

Deno.test("XfrmKernel.apply() touches no SA of another mark", () => {
  const { kernel } = start();
  const marked = sa(1, { mark: mark(7) });
  const plain = sa(1);
  assertEquals(kernel.apply([putSa(marked), putSa(plain)]), [OK, OK]);
  const inTheWay = "the kernel finds an SA with mark 0x0/0x0 in its place";
  const changes: KernelChange[] = [
    putSa(marked),
    { kind: "delete-sa", id: marked },
    putSa(sa(1, { mark: mark(8) })),
  ];
  assertEquals(reasons(kernel.apply(changes)), [inTheWay, inTheWay, inTheWay]);
  assertEquals(dump(kernel).map(recordKey), [marked, plain].map((sa) => recordKey({ kind: "sa", sa })));
  // newest first is the way
  assertEquals(kernel.apply([{ kind: "delete-sa", id: plain }, { kind: "delete-sa", id: marked }]), [OK, OK]);
  assertEquals(dump(kernel), []);
});

Deno.test("XfrmKernel.apply() replaces policies, which then are the newest, and deletes them", () => {
  const { kernel } = start();
  const one = samplePolicy({ priority: 1, mark: mark(1) });
  const two = samplePolicy({ priority: 2, interfaceId: 2 });
  assertEquals(kernel.apply([putPolicy(one), putPolicy(two), putPolicy({ ...one, priority: 3 })]), [
    OK,
    OK,
    OK,
  ]);
  const priorities = () => dump(kernel).map((record) => record.kind === "policy" && record.policy.priority);
  assertEquals(priorities(), [2, 3]);
  const gone: KernelChange = { kind: "delete-policy", id: two };
  assertEquals(kernel.apply([gone, gone]), [OK, OK]);
  assertEquals(priorities(), [3]);
});

Deno.test("XfrmKernel.apply() throws when answers are lost, and can be called again", () => {
  const { fake, kernel } = start();
  const changes = [putSa(sa(1)), putSa(sa(2)), putSa(sa(3))];
  fake.loseAnswers = 2;
  assertThrows(() => kernel.apply(changes), KernelReplyError, "lost");
  assertEquals(kernel.apply(changes), [OK, OK, OK]);
  assertEquals(dump(kernel).length, 3);
});

Deno.test("XfrmKernel.apply() asks once whether the kernel knows a critical attribute", () => {
  const { fake, kernel } = start();
  fake.knownAttributes = new Set([xfrm.XFRMA_SA_PCPU]);
  const withOpaque = (spi: number, type: number, critical: boolean) =>
    putSa(sa(spi, { opaque: [{ space: SPACE.LINUX, type, critical, value: new Uint8Array(4) }] }));
  const changes = [
    withOpaque(1, 35, true),
    withOpaque(2, 90, true),
    withOpaque(3, 90, false),
    withOpaque(4, 90, true),
  ];
  const unknown = "the kernel does not know XFRM attribute 90";
  assertEquals(reasons(kernel.apply(changes)), ["", unknown, "", unknown]);
  assertEquals(fake.sends, [1, 1, 2]);
});

Deno.test("XfrmKernel.readEvents() tells the changes of others, not its own", () => {
  const { fake, kernel } = start();
  kernel.apply([putSa(sa(1)), putPolicy(samplePolicy())]);
  assertEquals(kernel.readEvents(10), []);
  fake.disturb(xfrm.XFRM_MSG_NEWSA, bodyOf(sa(2)));
  fake.disturb(xfrm.XFRM_MSG_DELSA, encodeSaId(sa(1)));
  updateByOthers(fake, samplePolicy({ priority: 9 }));
  kernel.apply([{ kind: "delete-sa", id: sa(2) }]);
  const events = kernel.readEvents(10);
  assertEquals(events.map(({ kind }) => kind), ["record", "sa-gone", "record"]);
  assert(events[0]?.kind === "record" && events[0].created && events[0].record.kind === "sa");
  assertEquals(events[0].record.sa.spi, 2);
  assert(events[1]?.kind === "sa-gone" && !events[1].expired);
  assertEquals(events[1].id.spi, 1);
});

/** Policies of one selector: without a security context, and with one. */
const [PLAIN_POLICY, LABELLED] = [
  samplePolicy(),
  samplePolicy({ securityContext: new Uint8Array(12).fill(7) }),
];

function updateByOthers(fake: FakeXfrm, policy: Policy): void {
  const encoded = encodePolicy(policy, VECTOR_SURROUNDINGS);
  assert(encoded.ok);
  fake.disturb(xfrm.XFRM_MSG_UPDPOLICY, encoded.body);
}

function deleteByOthers(fake: FakeXfrm, policy: Policy): void {
  const encoded = encodePolicyId(policy, interfaces);
  assert(encoded.ok);
  fake.disturb(xfrm.XFRM_MSG_DELPOLICY, encoded.body);
}

/** The identities that events name, and what else they say. */
function told(kernel: XfrmKernel): string[] {
  return kernel.readEvents(10).map((event) => {
    if (event.kind === "record") return recordKey(event.record);
    return event.kind === "policy-gone" ? `gone: ${policyKey(event.id)}` : event.kind;
  });
}

Deno.test("XfrmKernel.readEvents() asks for the security contexts that notifications leave out", () => {
  const { fake, kernel } = start();
  fake.hasContexts = true;
  updateByOthers(fake, PLAIN_POLICY);
  updateByOthers(fake, LABELLED);
  assertEquals(told(kernel), [policyKey(PLAIN_POLICY), policyKey(LABELLED)]);
  assertEquals(dump(kernel).map(recordKey), [policyKey(PLAIN_POLICY), policyKey(LABELLED)]);
  deleteByOthers(fake, LABELLED);
  deleteByOthers(fake, PLAIN_POLICY);
  assertEquals(told(kernel), [LABELLED, PLAIN_POLICY].map((policy) => `gone: ${policyKey(policy)}`));
});

Deno.test("XfrmKernel.readEvents() takes nothing but the security context from what has become of a policy", () => {
  const { fake, kernel } = start();
  fake.hasContexts = true;
  for (const priority of [5, 6]) updateByOthers(fake, { ...LABELLED, priority });
  const told = kernel.readEvents(10).map((event) =>
    event.kind === "record" && event.record.kind === "policy" ? event.record.policy : undefined
  );
  assertEquals(told.map((policy) => policy?.priority), [5, 6]);
  assertEquals(
    told.map((policy) => policy?.securityContext),
    [7, 7].map((byte) => new Uint8Array(12).fill(byte)),
  );
});

Deno.test("XfrmKernel.readEvents() tells nothing of a policy whose context nobody can know any more", () => {
  const { fake, kernel } = start();
  fake.hasContexts = true;
  updateByOthers(fake, LABELLED);
  deleteByOthers(fake, LABELLED);
  assertEquals(told(kernel), []);
  kernel.apply([putPolicy(LABELLED)]);
  deleteByOthers(fake, LABELLED);
  assertEquals(told(kernel), ["resync"]);
});

Deno.test("XfrmKernel.readEvents() does not ask where policies have no security contexts", () => {
  const { fake, kernel } = start();
  for (let i = 0; i < 5; i++) updateByOthers(fake, PLAIN_POLICY);
  assertEquals(told(kernel).length, 5);
  deleteByOthers(fake, PLAIN_POLICY);
  assertEquals(told(kernel), [`gone: ${policyKey(PLAIN_POLICY)}`]);
  assertEquals(fake.sends, [1]);
});

Deno.test("XfrmKernel.apply() deletes the policy of that security context and no other", () => {
  const { kernel } = start();
  kernel.apply([putPolicy(PLAIN_POLICY), putPolicy(LABELLED), { kind: "delete-policy", id: LABELLED }]);
  assertEquals(dump(kernel).map(recordKey), [policyKey(PLAIN_POLICY)]);
});

Deno.test("XfrmKernel.readEvents() gives about as many as asked for and keeps the rest", () => {
  const { fake, kernel } = start();
  for (let spi = 1; spi <= 25; spi++) fake.disturb(xfrm.XFRM_MSG_NEWSA, bodyOf(sa(spi)));
  assertEquals([10, 10, 10, 10].map((limit) => kernel.readEvents(limit).length), [10, 10, 5, 0]);
});

Deno.test("XfrmKernel.readEvents() reads an updated SA back, for the notification lies", () => {
  const { fake, kernel } = start();
  fake.disturb(xfrm.XFRM_MSG_NEWSA, bodyOf(sa(1)));
  const truth = sa(1, { hard: { bytes: 5n } });
  fake.update(bodyOf(truth), bodyOf({ ...truth, reqid: 99 }));
  const event = kernel.readEvents(10).at(-1);
  assertEquals(event, {
    kind: "record",
    record: { kind: "sa", sa: truth },
    created: false,
  });
});

Deno.test("XfrmKernel.readEvents() leaves an updated SA that is gone to the event that says so", () => {
  const { fake, kernel } = start();
  fake.notify(xfrm.XFRM_MSG_UPDSA, bodyOf(sa(1)));
  assertEquals(kernel.readEvents(10), []);
  fake.loseAnswers = 1;
  fake.notify(xfrm.XFRM_MSG_UPDSA, bodyOf(sa(1)));
  assertEquals(kernel.readEvents(10).map(({ kind }) => kind), ["resync"]);
});

Deno.test("XfrmKernel.readEvents() follows what a real kernel told", () => {
  const { fake, kernel } = start();
  for (const [, hex] of EVENT_VECTORS) {
    const [message] = splitDatagram(decodeHex(hex));
    fake.notify(message!.type, message!.body);
  }
  assertEquals(kernel.readEvents(100).map(({ kind }) => kind), [
    "sa-gone",
    "sa-gone",
    "record",
    "policy-gone",
    "policy-gone",
    ...["record", "record", "record"],
    ...["sa-gone", "policy-gone", "sa-gone"],
    ...["sa-flush", "policy-flush", "policy-flush", "sa-flush"],
  ]);
});

Deno.test("XfrmKernel.readEvents() asks for a dump when events were lost", () => {
  const { fake, kernel } = start();
  fake.disturb(xfrm.XFRM_MSG_NEWSA, bodyOf(sa(1)));
  fake.sockets[1]!.queue.unshift("overrun");
  assertEquals(kernel.readEvents(10).map(({ kind }) => kind).toSorted(), ["record", "resync"]);
  assertEquals(kernel.readEvents(10), []);
});

/** An SA whose keys a locked-down kernel does not show. */
const blanked = (spi: number) => bodyOf(sa(spi, { aead: { ...PLAIN.aead!, key: new Uint8Array(20) } }));

Deno.test("XfrmKernel tells of each unreadable record once", () => {
  const { fake, kernel } = start();
  fake.disturb(xfrm.XFRM_MSG_NEWSA, blanked(1));
  fake.notify(xfrm.XFRM_MSG_NEWSA, blanked(1));
  fake.disturb(xfrm.XFRM_MSG_NEWSA, blanked(2));
  const events = kernel.readEvents(10);
  assertEquals(events.map(({ kind }) => kind), ["unreadable", "unreadable"]);
  fake.disturb(xfrm.XFRM_MSG_NEWSA, blanked(3));
  kernel.readEvents(10);
  assertEquals(dump(kernel), []);
  assertEquals(kernel.readEvents(10), []);
  assertEquals(kernel.unreadable.size, 3);
  fake.disturb(xfrm.XFRM_MSG_DELSA, encodeSaId(sa(3)));
  assertEquals(kernel.readEvents(10).map(({ kind }) => kind), ["sa-gone"]);
  assertEquals(kernel.unreadable.size, 2);
});

Deno.test("XfrmKernel tells of what a dump has found unreadable", () => {
  const { fake, kernel } = start();
  fake.states.push({ triple: "", mark: NO_MARK, body: blanked(1) });
  fake.states.push({ triple: "", mark: NO_MARK, body: new Uint8Array(20) });
  assertEquals(dump(kernel), []);
  assertEquals(kernel.readEvents(10).map((event) => event.kind === "unreadable" ? event.what : ""), [
    recordKey({ kind: "sa", sa: sa(1) }),
    "XFRM_MSG_NEWSA",
  ]);
});

Deno.test("XfrmKernel.readEvents() survives a notification that is garbage", () => {
  const { fake, kernel } = start();
  fake.notify(xfrm.XFRM_MSG_NEWSA, new Uint8Array(3));
  fake.sockets[1]!.queue.push(new Uint8Array(7));
  fake.disturb(xfrm.XFRM_MSG_NEWSA, bodyOf(sa(2)));
  assertEquals(kernel.readEvents(10).map(({ kind }) => kind), ["unreadable", "unreadable", "record"]);
});

Deno.test("XfrmKernel.readEvents() asks for a dump when it cannot read an SA back, and loses no other event", () => {
  const { fake, kernel } = start();
  fake.disturb(xfrm.XFRM_MSG_NEWSA, bodyOf(sa(1)));
  fake.update(bodyOf(sa(1, { reqid: 5 })), bodyOf(sa(1)));
  fake.failSends = 2; // the question, and the threshold
  const events = kernel.readEvents(10);
  assertEquals(events.map(({ kind }) => kind), ["record", "resync"]);
  assertEquals(kernel.readEvents(10), []);
});

Deno.test("XfrmKernel counts what a device does", () => {
  const { fake, kernel } = start();
  const writer = new Writer().bytes(bodyOf(sa(1)));
  writeAttribute(writer, xfrm.XFRMA_OFFLOAD_DEV, new Uint8Array(8));
  fake.disturb(xfrm.XFRM_MSG_NEWSA, writer.finish());
  assertEquals(kernel.readEvents(10).length, 1);
  assertEquals(kernel.counters, { offloadDropped: 1 });
});

Deno.test("XfrmKernel.advance() moves counters on, never back, and touches no SA of another mark", () => {
  const { kernel } = start();
  const counters = sampleCounters({ oseq: 10n, seq: 20n, bitmap: [3], bytes: 5n });
  const [plain, long] = [
    sa(1, { counters }),
    sa(2, { flags: SA_FLAG.LONG_REPLAY | SA_FLAG.ESN, replayWindow: 64 }),
  ];
  kernel.apply([putSa(plain), putSa(long)]);
  const results = kernel.advance([
    { id: plain, progress: sampleCounters({ oseq: 100n, seq: 19n, bitmap: [9], bytes: 6n }) },
    { id: long, progress: sampleCounters({ oseq: 2n ** 33n + 7n, seq: 5n, bitmap: [1, 2] }) },
    { id: sa(1, { mark: mark(7) }), progress: counters },
    { id: sa(3), progress: counters },
  ]);
  assertEquals(reasons(results), [
    "",
    "",
    "the kernel finds another SA in its place",
    "XFRM_MSG_GETAE: ESRCH",
  ]);
  const found = dump(kernel).map((record) => record.kind === "sa" ? record.sa.counters : undefined);
  assertEquals(found.map((one) => [one!.oseq, one!.seq, one!.bitmap]), [
    [100n, 20n, [3]],
    [2n ** 33n + 7n, 5n, [1, 2]],
  ]);
});

Deno.test("XfrmKernel.advance() leaves an SA alone that cannot have such numbers", () => {
  const { kernel } = start();
  kernel.apply([putSa(sa(1)), putSa(sa(2))]);
  const results = kernel.advance([
    { id: sa(1), progress: sampleCounters({ oseq: 2n ** 32n }) },
    { id: sa(1), progress: sampleCounters({ seq: 2n ** 64n }) },
    { id: sa(2), progress: sampleCounters({ oseq: 9n }) },
  ]);
  assertEquals(results.map(({ ok }) => ok), [false, false, true]);
});

Deno.test("XfrmKernel.advance() throws when an answer was lost, for such an SA may not send", () => {
  const { fake, kernel } = start();
  kernel.apply([putSa(sa(1))]);
  fake.loseAnswers = 1;
  const advances = [{ id: sa(1), progress: sampleCounters({ oseq: 9n }) }];
  assertThrows(() => kernel.advance(advances), KernelReplyError, "lost");
  assertEquals(kernel.advance(advances), [OK]);
});

Deno.test("XfrmKernel.advance() dates the first use that another node's kernel has seen, and no later one", () => {
  const { fake, kernel } = start();
  const advance = (id: Sa, packets: bigint) => {
    kernel.advance([{ id, progress: sampleCounters({ oseq: 9n + packets, packets }) }]);
    return dump(kernel).map((record) => record.kind === "sa" ? record.sa.counters.usedSeconds : undefined);
  };
  const unused = sa(1, { counters: sampleCounters({ usedSeconds: undefined }) });
  kernel.apply([putSa(unused)]);
  assertEquals(advance(unused, 0n), [undefined]);
  assertEquals(advance(unused, 1n), [0]);
  const used = sa(2, { counters: sampleCounters({ packets: 1n, ageSeconds: 9, usedSeconds: 7 }) });
  kernel.apply([putSa(used)]);
  assertEquals(advance(used, 5n), [0, 7]);
  assertEquals(fake.states.length, 2);
});

Deno.test("XfrmKernel.limit() sets limits and leaves all else, of the SA with that mark alone", () => {
  const { fake, kernel } = start();
  const counters = sampleCounters({ oseq: 10n, seq: 20n, bitmap: [3], bytes: 5n, ageSeconds: 70 });
  const held = sa(1, { counters, hard: { addSeconds: 160n } });
  kernel.apply([putSa(held)]);
  const [soft, hard] = [{ addSeconds: 80n }, { addSeconds: 100n, bytes: 9n }];
  const other = sa(1, { soft, hard, reqid: 99, counters: sampleCounters() });
  const results = kernel.limit([other, sa(1, { soft, hard, mark: mark(7) }), sa(3, { soft, hard })]);
  assertEquals(reasons(results), ["", "the kernel finds another SA in its place", ""]);
  assertEquals(dump(kernel), [{ kind: "sa", sa: { ...held, soft, hard } }]);
  assertEquals(kernel.readEvents(10), []);
  fake.loseAnswers = 1;
  assertThrows(() => kernel.limit([other]), KernelReplyError, "lost");
});

Deno.test("XfrmKernel has the kernel tell of counters, of others' SAs too", () => {
  const { fake, kernel } = start();
  fake.disturb(xfrm.XFRM_MSG_NEWSA, bodyOf(sa(1)));
  kernel.readEvents(10);
  assertEquals(fake.watched.length, 1);
  fake.update(bodyOf(sa(1, { reqid: 9 })), bodyOf(sa(1)));
  kernel.readEvents(10);
  assertEquals(fake.watched.length, 2, "one that was larval until its update");
  const event = new Writer();
  xfrmAeventId.write(event, {
    saId: { daddr: PLAIN.dst, spi: 1, family: 2, proto: 50 },
    saddr: PLAIN.src,
    flags: 0,
    reqid: 0,
  });
  xfrmReplayState.write(attributeHead(event, xfrm.XFRMA_REPLAY_VAL, 12), { oseq: 9, seq: 8, bitmap: 7 });
  attributeHead(event, xfrm.XFRMA_LTIME_VAL, 32).u64(100n).u64(2n).u64(0n).u64(0n);
  fake.notify(xfrm.XFRM_MSG_NEWAE, event.finish());
  const progress = { oseq: 9n, seq: 8n, bitmap: [7], bytes: 100n, packets: 2n };
  const { dst, protocol, mark, rdomain } = PLAIN;
  assertEquals(kernel.readEvents(10), [
    { kind: "progress", id: { dst, protocol, spi: 1, mark, rdomain }, progress },
  ]);
});
