/** Whole daemons in virtual time: snapshot and changes, slow and failing parts, bounds of a turn. */

import { assert, assertEquals } from "@std/assert";
import type { KernelChange } from "../../../src/ports.ts";
import type { Sa } from "../../../src/record/sa.ts";
import { HEX_KEY } from "../../fakes/config.ts";
import { FakeDaemon } from "../../fakes/gateways.ts";
import { FakeControl } from "../../fakes/ike.ts";
import { samplePolicy, sampleSa, sampleSelector } from "../../fakes/records.ts";
import { World } from "../../fakes/world.ts";
import { randomOf } from "../../sim/world.ts";

const M = "10.0.0.1";
const S = "10.0.0.2";
const T = "10.0.0.3";

/** More records than a window of unacknowledged bytes holds. */
const MANY = 2500;

function sa(spi: number, overrides: Partial<Sa> = {}): KernelChange {
  return { kind: "put", record: { kind: "sa", sa: sampleSa({ spi, ...overrides }) } };
}

function policy(priority: number): KernelChange {
  const selector = sampleSelector({ dstPort: priority, dstPortMask: 0xffff, protocol: 17 });
  return { kind: "put", record: { kind: "policy", policy: samplePolicy({ priority, selector }) } };
}

function sas(count: number): KernelChange[] {
  return Array.from({ length: count }, (_, i) => sa(0x1000 + i));
}

/** A master whose kernel holds something, and its slaves. */
function group(world: World, held: readonly KernelChange[], slaves: readonly string[] = [S], more = "") {
  const all = [M, ...slaves];
  const start = (address: string) =>
    new FakeDaemon(world, {
      address,
      peers: all.filter((other) => other !== address),
      mode: address === M ? "master" : "slave",
      more,
    });
  const master = start(M);
  master.kernel.apply(held);
  return { master, slaves: slaves.map(start) as [FakeDaemon, ...FakeDaemon[]], start };
}

function assertSame(master: FakeDaemon, slave: FakeDaemon): void {
  assertEquals(slave.contents(), master.contents());
}

Deno.test("Gateway brings a snapshot and then every change to the slave", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, [...sas(MANY), policy(1), policy(2)]);
  await world.run(5000);
  assertEquals(Object.keys(slave.contents()).length, MANY + 2);
  assertSame(master, slave);
  master.disturb(sa(7), { kind: "delete-sa", id: sampleSa({ spi: 0x1000 }) }, policy(3));
  await world.run(10);
  assertSame(master, slave);
  assertEquals(slave.log.count(/synchronised with 10.0.0.1: 2502 records/), 1);
});

Deno.test("Gateway has more addresses than HELLO can name", async () => {
  const world = new World();
  const many = Array.from({ length: 300 }, (_, i) => `listen on 10.1.${i >> 8}.${i & 255}`).join("\n");
  const master = new FakeDaemon(world, { address: M, peers: [S], mode: "master", more: many });
  const slave = new FakeDaemon(world, { address: S, peers: [M], mode: "slave" });
  master.disturb(sa(1));
  await world.run(5000);
  assertSame(master, slave);
  assertEquals(Object.keys(slave.contents()).length, 1);
});

Deno.test("Gateway brings changes through a network that cuts, delays and has small buffers", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = new World();
    const random = randomOf(seed);
    world.network.chop = () => 1 + Math.floor(random() * 700);
    world.network.latencyMs = () => Math.floor(random() * 30);
    world.network.capacity = 5000;
    const { master, slaves: [slave] } = group(world, sas(300));
    for (let i = 0; i < 50; i++) {
      await world.run(100);
      const spi = 0x1000 + Math.floor(random() * 400);
      master.disturb(
        random() < 0.3 ? { kind: "delete-sa", id: sampleSa({ spi }) } : sa(spi, { reqid: i }),
        policy(1 + Math.floor(random() * 20)),
      );
    }
    await world.run(10_000);
    assertSame(master, slave);
  }
});

Deno.test("Gateway serves the other slaves while one is stopped, and that one when it goes on", async () => {
  const world = new World();
  const { master, slaves: [one, two] } = group(world, sas(MANY), [S, T]);
  await world.run(30); // in the middle of the snapshot
  two!.poller.frozen = true;
  await world.run(6000);
  assertSame(master, one);
  assertEquals(master.log.count(/peer 10.0.0.3: disconnected, silent for 3 s/), 1);
  master.disturb(sa(7), { kind: "delete-sa", id: sampleSa({ spi: 0x1001 }) });
  await world.run(50);
  assertSame(master, one);
  await world.run(54_000);
  two!.poller.frozen = false;
  await world.run(15_000);
  assertSame(master, two!);
});

Deno.test("Gateway compares with the kernel after lost events, and tells what differs", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, sas(600));
  await world.run(5000);
  const applied = slave.kernel.applied;
  master.kernel.disturb(sa(7));
  master.kernel.disturb({ kind: "delete-sa", id: sampleSa({ spi: 0x1001 }) });
  master.kernel.disturb(sa(0x1002, { reqid: 9 }));
  master.kernel.overrun();
  master.poller.wake();
  await world.run(1000);
  assertSame(master, slave);
  assertEquals(slave.kernel.applied - applied, 3, "only the differences");
});

Deno.test("Gateway follows a burst of more events than one turn reads without waiting in between", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, []);
  await world.run(5000);
  master.disturb(...sas(3000));
  await world.run(100);
  assertSame(master, slave);
});

Deno.test("Gateway repairs what somebody changes on a slave", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, sas(3));
  await world.run(5000);
  slave.disturb({ kind: "delete-sa", id: sampleSa({ spi: 0x1000 }) }, sa(0x1001, { reqid: 77 }));
  await world.run(100);
  assertSame(master, slave);
});

Deno.test("Gateway keeps a turn short however much waits, and looks at the sockets in between", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, sas(10_000));
  slave.kernel.msPerChange = 0.25;
  await world.run(20_000);
  assertSame(master, slave);
  assert(slave.kernel.mostAtOnce <= 64, `${slave.kernel.mostAtOnce} changes at once`);
  assert(slave.longestTurnMs <= 5 + 64 * 0.25, `a turn of ${slave.longestTurnMs} ms`);
  assertEquals(
    slave.log.count(/disconnected, (?!replaced)/) + master.log.count(/disconnected, (?!replaced)/),
    0,
  );
});

Deno.test("Gateway keeps its sessions while its kernel is slow", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, sas(1000));
  slave.kernel.msPerChange = 20;
  await world.run(25_000);
  assertSame(master, slave);
  assertEquals(
    slave.log.count(/disconnected, (?!replaced)/) + master.log.count(/disconnected, (?!replaced)/),
    0,
  );
});

Deno.test("Gateway at rest waits about twice a second", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, sas(10));
  await world.run(5000);
  const before = [master, slave].map(({ poller }) => poller.waits);
  await world.run(60_000);
  const after = [master, slave].map(({ poller }, i) => poller.waits - before[i]!);
  for (const waits of after) assert(waits < 60 * 5, `${waits} waits in a minute`);
});

// --- the guard ---

Deno.test("Gateway sets the guard before the first outbound SA, and takes it away in the end", async () => {
  const world = new World();
  const { slaves: [slave] } = group(world, [sa(1), policy(1)]);
  const apply = slave.kernel.apply.bind(slave.kernel);
  slave.kernel.apply = (changes) => {
    assertEquals(slave.guard.addresses, ["192.0.2.1"]);
    return apply(changes);
  };
  await world.run(5000);
  assertEquals(Object.keys(slave.contents()).length, 2);
  slave.gateway.stop("test");
  await world.run(10);
  assertEquals(slave.guard.addresses, []);
  assertEquals(Object.keys(slave.contents()).length, 2, "the kernel's SAs are left alone");
});

Deno.test("Gateway applies nothing while the guard is refused, tries each second, says so once", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, [sa(1), policy(1), ...sas(200)]);
  slave.guard.isRefused = true;
  await world.run(10_000);
  assertEquals(slave.kernel.applied, 0);
  assert(slave.guard.tries >= 6 && slave.guard.tries <= 20, `${slave.guard.tries} tries`);
  assertEquals(slave.log.count(/^error: cannot set the guard, so nothing is applied: .*EPERM/), 1);
  const waits = slave.poller.waits;
  await world.run(10_000);
  assert(slave.poller.waits - waits < 100, `${slave.poller.waits - waits} waits in 10 s`);
  slave.guard.isRefused = false;
  await world.run(1100);
  assertSame(master, slave);
});

Deno.test("Gateway whose guard is refused at its end ends all the same", async () => {
  const world = new World();
  const { slaves: [slave] } = group(world, [sa(1)]);
  await world.run(5000);
  slave.guard.isRefused = true;
  slave.gateway.stop("test");
  await world.run(10);
  assertEquals(slave.log.count(/^error: cannot take the guard away/), 1);
});

// --- a kernel that fails ---

for (const mode of ["master", "slave"] as const) {
  Deno.test(`Gateway asks the ${mode}'s kernel again each second when a dump fails`, async () => {
    const world = new World();
    const { master, slaves: [slave] } = group(world, sas(500));
    const { kernel, log, poller } = mode === "master" ? master : slave;
    kernel.failing.add("dump");
    await world.run(10_000);
    assertEquals(Object.keys(slave.contents()), []);
    assertEquals(log.count(/^error: cannot read the kernel's SADB and SPD: .*EMFILE/), 1);
    assert(poller.waits < 200, `${poller.waits} waits in 10 s`);
    kernel.failing.delete("dump");
    await world.run(2000);
    assertSame(master, slave);
  });
}

Deno.test("Gateway compares and tries again when a change could not be handed to the kernel", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, sas(500));
  slave.kernel.failing.add("apply");
  await world.run(10_000);
  assertEquals(slave.log.count(/^error: cannot change the kernel's SADB and SPD: .*ENOBUFS/), 1);
  assert(slave.poller.waits < 500, `${slave.poller.waits} waits in 10 s`);
  slave.kernel.failing.delete("apply");
  await world.run(3000);
  assertSame(master, slave);
});

// --- start and end ---

Deno.test("Gateway says goodbye, and its peer hears why", async () => {
  const world = new World();
  const { master, slaves: [slave] } = group(world, sas(3));
  await world.run(5000);
  master.gateway.stop("received SIGTERM");
  await world.run(10);
  assertEquals(slave.log.count(/peer 10.0.0.1: disconnected, said goodbye: received SIGTERM/), 1);
  assertEquals(Object.keys(slave.contents()).length, 3);
});

Deno.test("Gateway stopped before it runs does not run", async () => {
  const world = new World();
  const { master } = group(world, sas(3), []);
  master.gateway.stop("test");
  await world.run(10);
  assertEquals(world.network.openFds, []);
});

Deno.test("Gateway tells once that a peer has other settings", async () => {
  const world = new World();
  const { master } = group(world, [], [], `peer ${S}`);
  new FakeDaemon(world, { address: S, peers: [M], mode: "slave", more: "shared 192.0.2.0/24" });
  await world.run(5000);
  assertEquals(master.log.count(/^error: peer 10.0.0.2: .*name other addresses/), 1);
});

Deno.test("Gateway logs no key, however much it is asked to say", async () => {
  const world = new World();
  const { master, slaves } = group(world, [...sas(3), policy(1)]);
  await world.run(5000);
  slaves[0].disturb({ kind: "delete-sa", id: sampleSa({ spi: 0x1000 }) });
  await world.run(5000);
  const lines = [master, ...slaves].flatMap(({ log }) => log.lines).join("\n").toLowerCase();
  assert(!lines.includes(HEX_KEY.slice(2, 12)), "shared key");
  assert(!lines.includes(sampleSa().aead!.key.toHex().slice(0, 10)), "an SA's key");
});

Deno.test("Gateway orders the IKE daemon of a master to be active and that of a slave to be passive", async () => {
  const world = new World();
  const [masters, slaves] = [new FakeControl(), new FakeControl()];
  const master = new FakeDaemon(world, { address: M, peers: [S], mode: "master", ike: [masters] });
  const slave = new FakeDaemon(world, { address: S, peers: [M], mode: "slave", ike: [slaves] });
  await world.run(20_000);
  assertEquals(masters.orders, [{ duty: "active", epoch: 1 }]);
  assertEquals(slaves.orders.map(({ duty }) => duty), ["passive"]);
  master.gateway.stop("test");
  slave.gateway.stop("test");
  await world.run(100);
  assertEquals([masters.orders.length, slaves.orders.at(-1)?.duty], [1, "left"]);
});

Deno.test("Gateway ends in 0.4 s though an IKE daemon takes nothing back", async () => {
  const world = new World();
  const control = new FakeControl();
  const slave = new FakeDaemon(world, { address: S, peers: [], mode: "slave", ike: [control] });
  await world.run(1000);
  control.proceed = () => false;
  slave.gateway.stop("test");
  await world.run(399);
  assertEquals(slave.log.count(/given back/), 0);
  await world.run(2);
  assertEquals(slave.log.count(/error: fake: not everything that was taken from it could be given back/), 1);
});
