/** Whole daemons that read another configuration while they run, in virtual time. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Listeners } from "../../../src/daemon/listeners.ts";
import { SyscallError } from "../../../src/errors.ts";
import type { Listener } from "../../../src/ports.ts";
import { HEX_KEY } from "../../fakes/config.ts";
import { FakeDaemon } from "../../fakes/gateways.ts";
import { FakeLog } from "../../fakes/log.ts";
import { addr, sampleSa } from "../../fakes/records.ts";
import { World } from "../../fakes/world.ts";

const [A, B, C] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"] as const;
const NEW_KEY = `0x${"77".repeat(16)}`;

function start(world: World, address: string, mode: "master" | "slave", ...peers: string[]): FakeDaemon {
  return new FakeDaemon(world, { address, peers, mode, reloads: true });
}

async function pair(world: World): Promise<[FakeDaemon, FakeDaemon]> {
  const daemons: [FakeDaemon, FakeDaemon] = [start(world, A, "master", B), start(world, B, "slave", A)];
  daemons[0].disturb({ kind: "put", record: { kind: "sa", sa: sampleSa({ spi: 7 }) } });
  await world.run(10_000);
  for (const { log } of daemons) log.lines.length = 0;
  return daemons;
}

function text(address: string, mode: string, peers: readonly string[], ...more: readonly string[]): string {
  const key = more.some((line) => line.startsWith("sharedkey 0x")) ? [] : [`sharedkey ${HEX_KEY}`];
  return [`mode ${mode}`, `listen on ${address}`, ...peers.map((peer) => `peer ${peer}`), ...key, ...more]
    .join("\n");
}

async function reload(world: World, daemon: FakeDaemon, configuration: string): Promise<void> {
  daemon.configuration = configuration;
  daemon.gateway.reload();
  await world.run(0);
}

Deno.test("Gateway.reload() meets another peer, and leaves the session that there is alone", async () => {
  const world = new World();
  const [one, two] = await pair(world);
  const three = start(world, C, "slave", A, B);
  await reload(world, one, text(A, "master", [B, C]));
  await reload(world, two, text(B, "slave", [A, C]));
  await world.run(11_000);
  assertEquals(three.contents(), one.contents());
  assertEquals([one.log.count(/10.0.0.2: disconnected/), two.log.count(/10.0.0.1: disconnected/)], [0, 0]);
  await reload(world, one, text(A, "master", [B]));
  await world.run(5000);
  assertEquals(one.log.count(/10.0.0.3: disconnected, is not configured any more/), 1);
  assertEquals(one.log.count(/10.0.0.2: disconnected/), 0);
});

Deno.test("Gateway.reload() of a bad file reports every mistake and changes nothing", async () => {
  const world = new World();
  const [one, two] = await pair(world);
  await reload(world, one, text(A, "master", [B], "flushmode sometimes", "kernel z"));
  assertEquals(one.log.lines.slice(0, 1), ["error: the configuration stays as it was:"]);
  assertEquals(one.log.count(/^error: test.conf:\d+: (flushmode|kernel):/), 2, one.log.lines.join("\n"));
  await world.run(5000);
  assertEquals(two.log.count(/disconnected/), 0);
});

Deno.test("Gateway.reload() changes keys on one node after the other without a gap", async () => {
  const world = new World();
  const [one, two] = await pair(world);
  const both = [[one, A, "master", B], [two, B, "slave", A]] as const;
  for (const [daemon, address, mode, peer] of both) {
    await reload(
      world,
      daemon,
      text(address, mode, [peer], `sharedkey ${HEX_KEY}`, `sharedkey next ${NEW_KEY}`),
    );
  }
  await world.run(3000);
  assertEquals(two.log.count(/disconnected/), 0);
  for (const [daemon, address, mode, peer] of both) {
    await reload(world, daemon, text(address, mode, [peer], `sharedkey ${NEW_KEY}`));
    await world.run(3000);
  }
  one.disturb({ kind: "put", record: { kind: "sa", sa: sampleSa({ spi: 8 }) } });
  await world.run(1000);
  assertEquals(two.contents(), one.contents());
  assertEquals(two.log.lines.filter((line) => /disconnected/.test(line)), [
    `state: peer ${A}: disconnected, replaced by another session`,
  ]);
});

Deno.test("Gateway.reload() follows another mode, and names what only a start changes", async () => {
  const world = new World();
  const [one, two] = await pair(world);
  await reload(world, two, text(B, "master", [A], "kernel memory", "control none"));
  await reload(world, one, text(A, "slave", [B]));
  await world.run(5000);
  assertEquals(
    two.log.count(/^notice: only at the next start: kernel, control$/),
    1,
    two.log.lines.join("\n"),
  );
  assertEquals(two.log.count(/SLAVE -> MASTER: mode master/), 1);
  assertEquals(one.log.count(/MASTER -> SLAVE: mode slave/), 1);
});

Deno.test("Gateway.reload() while it reads reads once more", async () => {
  const world = new World();
  const [one] = await pair(world);
  one.gateway.reload();
  for (let i = 0; i < 5; i++) await Promise.resolve(); // read, and not yet applied
  one.configuration = text(A, "slave", [B]);
  for (let i = 0; i < 3; i++) one.gateway.reload();
  await world.run(1000);
  assertEquals(one.log.count(/MASTER -> SLAVE: mode slave/), 1, one.log.lines.join("\n"));
  assertEquals(one.log.count(/configuration read again/), 2);
});

Deno.test("Gateway.reload() listens elsewhere", async () => {
  const world = new World();
  const [one] = await pair(world);
  await reload(world, one, text(A, "master", [B], `listen on ${A} port 700`));
  const connection = world.network.connect(addr(B), { address: addr(A), port: 700 });
  await world.run(10);
  assertEquals(connection.finishConnect(), undefined);
});

Deno.test("Gateway.reload() goes on accepting where it listened, when it cannot listen elsewhere", async () => {
  const world = new World();
  const [one] = await pair(world);
  const stranger = world.network.listen({ address: addr(A), port: 701 });
  const elsewhere = text(A, "master", [B], `listen on ${A} port 700`, `listen on ${A} port 701`);
  await reload(world, one, elsewhere.replace(`listen on ${A}\n`, ""));
  assertEquals(one.log.count(/listen on .* 701: EADDRINUSE/), 1, one.log.lines.join("\n"));
  world.network.connect(addr(C), { address: addr(A), port: 500 });
  await world.run(10);
  assertEquals(one.log.count(/10.0.0.3: is no configured peer/), 1, one.log.lines.join("\n"));
  stranger.close();
});

/** A transport that knows what is open, and refuses some ports. */
class CountingTransport {
  readonly open = new Set<number>();
  readonly refused = new Set<number>();

  listen({ port }: { port: number }): Listener {
    if (this.refused.has(port)) throw new SyscallError("bind", "EADDRINUSE", 98);
    assert(!this.open.has(port), `${port} is open already`);
    this.open.add(port);
    return { fd: port, accept: () => undefined, close: () => void this.open.delete(port) };
  }
}

function at(...ports: readonly number[]) {
  return ports.map((port) => ({ address: addr(A), port, optional: false }));
}

Deno.test("Listeners.set() keeps, closes and opens; when one fails all is as before", () => {
  const transport = new CountingTransport();
  const listeners = new Listeners(transport, new FakeLog());
  assertEquals(listeners.set(at(1, 2)).map(({ fd }) => fd), [1, 2]);
  assertEquals(listeners.set(at(2, 3)).map(({ fd }) => fd), [2, 3]);
  transport.refused.add(5);
  assertThrows(() => listeners.set(at(4, 5)), SyscallError);
  assertEquals(transport.open, new Set([2, 3]));
  assertEquals(listeners.open.map(({ fd }) => fd), [2, 3]);
  transport.refused.add(2);
  assertThrows(() => listeners.set(at(3, 5)), SyscallError);
  assertEquals(listeners.open.map(({ fd }) => fd), [3]);
  assertEquals(listeners.set(at(3)).map(({ fd }) => fd), [3]);
  assertEquals(transport.open, new Set([3]));
});
