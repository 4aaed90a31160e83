/** Whole daemons on OpenBSD kernels in memory, in virtual time; and beside a kernel like Linux's. */

import { assert, assertEquals } from "@std/assert";
import { OPENBSD_MESSAGES as SADB } from "../../../src/pfkey/openbsd_constants.ts";
import type { RoleTracker } from "../../../src/ports.ts";
import { ACTION, DIRECTION, type Policy } from "../../../src/record/policy.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import { MODE, NO_MARK, type Sa } from "../../../src/record/sa.ts";
import { HEX_KEY } from "../../fakes/config.ts";
import { contentsOf, FakeDaemon } from "../../fakes/gateways.ts";
import {
  OpenbsdDaemon,
  openbsdFlow as flow,
  openbsdIn,
  openbsdSa as sa,
  put,
  recordsIn,
  remove,
} from "../../fakes/openbsd_gateways.ts";
import type { FakeOpenbsdKernel, OpenbsdOptions } from "../../fakes/openbsd_kernel.ts";
import { addr, samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../../fakes/records.ts";
import { World } from "../../fakes/world.ts";
import { randomOf } from "../../sim/world.ts";

const M = "10.0.0.1";
const S = "10.0.0.2";
const LOST = /disconnected, (?!replaced)/;

function many(count: number): IpsecRecord[] {
  return Array.from({ length: count }, (_, i) => i % 4 === 3 ? flow(1 + i) : sa(0x1000 + i));
}

interface PairOptions {
  readonly held?: readonly IpsecRecord[];
  readonly master?: OpenbsdOptions;
  readonly slave?: OpenbsdOptions;
  readonly more?: string;
}

function start(world: World, kernel: FakeOpenbsdKernel, address: string, tracker?: RoleTracker, more = "") {
  const mode = address === M ? "master" : "slave";
  const peers = [address === M ? S : M];
  return new OpenbsdDaemon(world, { address, peers, mode, more, ...(tracker && { tracker }) }, kernel);
}

/** A master whose kernel holds something, and its slave, both on OpenBSD. */
function pair(world: World, options: PairOptions = {}) {
  const kernels = [openbsdIn(world, options.master), openbsdIn(world, options.slave)] as const;
  const master = start(world, kernels[0], M, undefined, options.more);
  const slave = start(world, kernels[1], S, undefined, options.more);
  master.iked.change(...(options.held ?? []).map(put));
  return { master, slave };
}

/** Only what differs is shown. */
function assertSame(master: { contents(): Record<string, string> }, slave: typeof master, what = ""): void {
  const [there, here] = [master.contents(), slave.contents()];
  const differing = (one: Record<string, string>, other: Record<string, string>) =>
    Object.entries(one).filter(([key, content]) => other[key] !== content).map(([key]) => key);
  assertEquals(
    { missing: differing(there, here), wrong: differing(here, there) },
    { missing: [], wrong: [] },
    what,
  );
}

/** How often requests of that type have been carried out. */
function countOf(kernel: FakeOpenbsdKernel, type: number): number {
  return kernel.requests.filter((one) => one === type).length;
}

Deno.test("Gateways on OpenBSD bring a snapshot and then every change to the slave, of the other byte order", async () => {
  const world = new World();
  const { master, slave } = pair(world, {
    held: many(600),
    master: { order: "little" },
    slave: { order: "big" },
  });
  await world.run(5000);
  assertEquals(Object.keys(slave.contents()).length, 600);
  assertSame(master, slave);
  master.iked.change(put(sa(7)), remove(sa(0x1000)), put(flow(70)), remove(flow(4)), put(flow(8, BLOCK)));
  await world.run(600);
  assertSame(master, slave);
  assertEquals(slave.log.count(/synchronised with 10.0.0.1: 600 records/), 1);
});

const BLOCK: Partial<Policy> = { action: ACTION.BLOCK, templates: [] };

Deno.test("Gateways on OpenBSD follow IKE: a tunnel, new keys, the end of the old ones", async () => {
  const world = new World();
  const { master, slave } = pair(world, { master: { order: "big" } });
  await world.run(5000);
  const [out, back] = [1, 2].map((spi) => sa(spi, spi === 2 ? REVERSED : {}));
  master.iked.negotiate(back!);
  master.iked.change(
    put(out!),
    put(flow(1)),
    put(flow(1, { direction: DIRECTION.IN, templates: [sampleTemplate(BACK)] })),
  );
  await world.run(600);
  assertEquals(Object.keys(slave.contents()).length, 4);
  assertSame(master, slave);
  const [newOut, newBack] = [3, 4].map((spi) => sa(spi, spi === 4 ? REVERSED : {}));
  master.iked.negotiate(newBack!);
  master.iked.change(put(newOut!), remove(out!), remove(back!));
  await world.run(600);
  assertSame(master, slave);
  assertEquals(countOf(slave.openbsd, SADB.SADB_ADD), 4);
  assertEquals(
    master.log.count(/comparing with the kernel/),
    0,
    "the copies of the requests have told everything",
  );
});

const REVERSED: Partial<Sa> = { src: addr("198.51.100.1"), dst: addr("192.0.2.1") };
const BACK = { reqid: 0, src: addr("198.51.100.1"), dst: addr("192.0.2.1") };

Deno.test("Gateways on OpenBSD follow a flush of everything, and one of all ESP", async () => {
  const world = new World();
  const { master, slave } = pair(world, { held: many(40) });
  await world.run(5000);
  master.iked.request({ type: SADB.SADB_FLUSH, satype: 2, body: new Uint8Array() });
  await world.run(1000);
  assertEquals(Object.keys(slave.contents()).length, 10);
  assertSame(master, slave);
  master.iked.request({ type: SADB.SADB_FLUSH, satype: 0, body: new Uint8Array() });
  await world.run(1000);
  assertEquals(slave.contents(), {});
});

Deno.test("Gateways on OpenBSD delete flows that hide one another, in whatever order they went", async () => {
  const world = new World();
  const nested = [16, 24, 28].map((srcBits) => flow(1, { selector: sampleSelector({ srcBits }), ...BLOCK }));
  const { master, slave } = pair(world, { held: nested });
  await world.run(5000);
  assertEquals(Object.keys(slave.contents()).length, 3);
  master.iked.request({ type: SADB.SADB_FLUSH, satype: 0, body: new Uint8Array() });
  await world.run(1000);
  assertEquals(slave.contents(), {});
});

Deno.test("Gateways on OpenBSD leave what is local alone, also in a flush", async () => {
  const world = new World();
  const { master, slave } = pair(world, { held: many(8), more: "exclude 203.0.113.0/24" });
  const own = sa(0x77, { src: addr("203.0.113.7") });
  const ownFlow = flow(77, { templates: [sampleTemplate({ reqid: 0, src: addr("203.0.113.7") })] });
  slave.iked.change(put(own), put(ownFlow), put(sa(0x88)));
  await world.run(5000);
  master.iked.request({ type: SADB.SADB_FLUSH, satype: 0, body: new Uint8Array() });
  await world.run(2000);
  assertEquals(slave.contents(), contentsOf([own, ownFlow]), "and what is neither is gone");
  assertEquals(slave.openbsd.requests.includes(SADB.SADB_FLUSH), false);
});

Deno.test("Gateways on OpenBSD repair what somebody changes on a slave", async () => {
  const world = new World();
  const { master, slave } = pair(world, { held: many(8) });
  await world.run(5000);
  slave.iked.change(remove(sa(0x1000)), remove(flow(4)), put(flow(8, BLOCK)));
  await world.run(1000);
  assertSame(master, slave);
});

Deno.test("Gateways on OpenBSD put nothing again after a restart of the slave", async () => {
  const world = new World();
  const { master, slave } = pair(world, { held: many(100) });
  await world.run(5000);
  slave.gateway.stop("test");
  await world.run(100);
  master.iked.change(put(sa(7)));
  const { openbsd } = slave;
  openbsd.requests.length = 0;
  const again = start(world, openbsd, S);
  await world.run(70_000);
  assertSame(master, again);
  assertEquals([countOf(openbsd, SADB.SADB_ADD), countOf(openbsd, SADB.SADB_X_ADDFLOW)], [1, 0]);
});

Deno.test("Gateways on OpenBSD put nothing again at regular comparisons, in whatever order the kernel dumps", async () => {
  const world = new World();
  const { master, slave } = pair(world);
  await world.run(5000);
  const overlapping = [9, 3, 7, 5].map((port) =>
    flow(port, { selector: sampleSelector({ srcBits: 16, dstPort: port, dstPortMask: 0xffff, protocol: 6 }) })
  );
  master.iked.change(...overlapping.map(put));
  await world.run(5000);
  slave.openbsd.requests.length = 0;
  await world.run(300_000);
  assertSame(master, slave);
  assertEquals(slave.openbsd.requests, []);
  assert(slave.log.count(/regular comparison/) > 3);
});

Deno.test("Gateways on OpenBSD notice events that were lost without a word", async () => {
  const world = new World();
  const { master, slave } = pair(world, { master: { mostQueueBytes: 8192 } });
  await world.run(5000);
  master.iked.change(...many(500).map(put));
  assert(master.openbsd.lost > 100, `${master.openbsd.lost} lost`);
  await world.run(5000);
  assertEquals(Object.keys(slave.contents()).length, 500);
  assertSame(master, slave);
});

Deno.test("Gateways on OpenBSD find at a regular comparison what no event has told", async () => {
  const world = new World();
  const { master, slave } = pair(world, { held: many(8) });
  await world.run(5000);
  const socket = master.openbsd.sockets.find(({ fd }) => fd === master.kernel.fd)!;
  const { deliver } = socket;
  socket.deliver = () => {};
  master.iked.change(put(sa(7)), remove(sa(0x1000)));
  socket.deliver = deliver;
  await world.run(62_000);
  assertSame(master, slave);
});

Deno.test("Gateways on OpenBSD let only the master expire", async () => {
  const world = new World();
  const { master, slave } = pair(world, { held: [sa(1, { hard: { addSeconds: 100n } }), sa(2)] });
  await world.run(98_000);
  assertEquals([recordsIn(master.openbsd).length, recordsIn(slave.openbsd).length], [2, 2]);
  const copy = recordsIn(slave.openbsd).find((one) => one.kind === "sa" && one.sa.spi === 1);
  assertEquals(copy?.kind === "sa" && copy.sa.hard, { addSeconds: 160n });
  await world.run(4000);
  assertEquals([recordsIn(master.openbsd).length, recordsIn(slave.openbsd).length], [1, 1]);
});

Deno.test("Gateways on OpenBSD go on after a takeover, and nothing is put again", async () => {
  const world = new World();
  const roles = { [M]: "MASTER", [S]: "SLAVE" } as { [address: string]: "MASTER" | "SLAVE" };
  const tracker = (address: string): RoleTracker => ({
    fd: undefined,
    look: () => ({ role: roles[address]!, reason: "test" }),
    close() {},
  });
  const kernels = [openbsdIn(world), openbsdIn(world)] as const;
  const one = start(world, kernels[0], M, tracker(M));
  const two = start(world, kernels[1], S, tracker(S));
  one.iked.change(...many(40).map(put));
  await world.run(5000);
  assertSame(one, two);
  one.gateway.stop("test");
  roles[S] = "MASTER";
  roles[M] = "SLAVE";
  two.gateway.stop("test");
  await world.run(1000);
  const adds = kernels.map((kernel) => countOf(kernel, SADB.SADB_ADD));
  const nowMaster = start(world, kernels[1], S, tracker(S));
  const nowSlave = start(world, kernels[0], M, tracker(M));
  await world.run(5000);
  nowMaster.iked.change(put(sa(7)), remove(sa(0x1000)));
  await world.run(2000);
  assertSame(nowMaster, nowSlave);
  assertEquals(kernels.map((kernel, i) => countOf(kernel, SADB.SADB_ADD) - adds[i]!), [1, 1]);
});

Deno.test("Gateways on nasty OpenBSD end alike, whatever happens on the master", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const world = new World();
    const random = randomOf(seed);
    const nasty = (order: "little" | "big"): OpenbsdOptions => ({
      random: randomOf(seed + 100),
      order,
      mostQueueBytes: 30_000,
    });
    const { master, slave } = pair(world, { held: many(50), master: nasty("big"), slave: nasty("little") });
    for (let i = 0; i < 150; i++) {
      await world.run(Math.floor(random() * 40));
      const record = random() < 0.7
        ? sa(0x1000 + Math.floor(random() * 60))
        : flow(1 + Math.floor(random() * 60));
      master.iked.change(random() < 0.6 ? put(record) : remove(record));
    }
    await world.run(130_000);
    assertSame(master, slave, `seed ${seed}`);
    assertEquals(slave.log.count(LOST) + master.log.count(LOST), 0);
  }
});

Deno.test("Gateways on OpenBSD log no key", async () => {
  const world = new World();
  const { master, slave } = pair(world, { held: many(8) });
  await world.run(5000);
  slave.iked.change(remove(sa(0x1000)));
  await world.run(5000);
  const lines = [master, slave].flatMap(({ log }) => log.lines).join("\n").toLowerCase();
  assert(!lines.includes(HEX_KEY.slice(2, 12)));
  assert(!lines.includes(sampleSa().aead!.key.toHex().slice(0, 10)));
});

// --- beside Linux ---

Deno.test("A gateway on OpenBSD hands all that it has to one on Linux", async () => {
  const world = new World();
  const master = start(world, openbsdIn(world, { order: "big" }), M);
  const slave = new FakeDaemon(world, { address: S, peers: [M], mode: "slave" });
  master.iked.change(...many(40).map(put));
  await world.run(5000);
  assertSame(master, slave);
  const [wide, narrow] = [8, 24].map((bits) => sampleSelector({ src: addr("10.0.0.0"), srcBits: bits }));
  master.iked.change(put(flow(1, { selector: wide! })), put(flow(1, { selector: narrow!, ...BLOCK })));
  await world.run(1000);
  const found = slave.kernel.records().flatMap((one) => one.kind === "policy" ? [one.policy] : []);
  const priorityOf = (bits: number) => found.find(({ selector }) => selector.srcBits === bits)!.priority;
  assert(priorityOf(24) < priorityOf(8), "the most specific flow wins there too");
});

Deno.test("A gateway on OpenBSD takes from Linux what it can express, and refuses the rest by name on both sides", async () => {
  const world = new World();
  const master = new FakeDaemon(world, { address: M, peers: [S], mode: "master" });
  const slave = start(world, openbsdIn(world), S);
  const tunnel = samplePolicy();
  const back = samplePolicy({
    direction: DIRECTION.IN,
    selector: sampleSelector({ src: addr("10.2.0.0"), dst: addr("10.1.0.0") }),
    templates: [sampleTemplate({ src: addr("198.51.100.1"), dst: addr("192.0.2.1") })],
  });
  const refused: IpsecRecord[] = [
    { kind: "policy", policy: { ...back, direction: DIRECTION.FWD } },
    { kind: "sa", sa: sampleSa({ spi: 2, mark: { value: 1, mask: 1 } }) },
    { kind: "sa", sa: sampleSa({ spi: 3, mode: MODE.BEET }) },
  ];
  const taken: IpsecRecord[] = [
    { kind: "sa", sa: sampleSa({ spi: 1, mark: NO_MARK }) },
    { kind: "policy", policy: tunnel },
    { kind: "policy", policy: back },
  ];
  master.disturb(...[...taken, ...refused].map(put));
  await world.run(5000);
  assertEquals(Object.keys(slave.contents()), Object.keys(contentsOf(taken)));
  for (const reason of [/OpenBSD has no forward policies/, /OpenBSD has no marks/, /OpenBSD has no mode 4/]) {
    assertEquals(slave.log.count(reason), 1, `${reason} here`);
    assertEquals(master.log.count(reason), 1, `${reason} there`);
  }
  slave.openbsd.requests.length = 0;
  await world.run(300_000);
  assertEquals(slave.openbsd.requests, [], "what OpenBSD does not tell does not look changed");
  master.disturb(...taken.map(remove));
  await world.run(1000);
  assertEquals(slave.contents(), {});
});
