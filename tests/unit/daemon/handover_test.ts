/** `sasyncd handover` between whole daemons, in virtual time: from the control socket to the demoter and back. */

import { assertEquals } from "@std/assert";
import { HANDOVER_MS } from "../../../src/core/handover.ts";
import type { Demoter, KernelChange, Role } from "../../../src/ports.ts";
import { FakeDaemon } from "../../fakes/gateways.ts";
import { FakeLocalListener, type FakeLocalStream } from "../../fakes/local_streams.ts";
import { sampleSa } from "../../fakes/records.ts";
import { MovedTracker } from "../../fakes/roles.ts";
import { World } from "../../fakes/world.ts";

const A = "10.0.0.1";
const B = "10.0.0.2";
const SAS: readonly KernelChange[] = [1, 2, 3].map((n) => ({
  kind: "put",
  record: { kind: "sa", sa: sampleSa({ spi: 0x1000 + n }) },
}));

/** What somebody who carries it out would do. */
class FakeDemoter implements Demoter {
  isDemoted: boolean | undefined;

  set(demoted: boolean): void {
    this.isDemoted = demoted;
  }

  leave(): void {}
}

/** A is master and B has all that it has. */
async function pair(demoter?: FakeDemoter) {
  const world = new World();
  const trackers = [new MovedTracker(world.network, "MASTER"), new MovedTracker(world.network, "SLAVE")];
  const control = new FakeLocalListener();
  world.network.attach(control.fd, () => control.waiting.length > 0);
  const a = new FakeDaemon(world, {
    address: A,
    peers: [B],
    mode: "slave",
    tracker: trackers[0],
    demoter,
    control,
  });
  a.kernel.apply(SAS);
  const b = new FakeDaemon(world, { address: B, peers: [A], mode: "slave", tracker: trackers[1] });
  await world.run(5000);
  const move = (to: "a" | "b") => {
    const roles: readonly Role[] = to === "a" ? ["MASTER", "SLAVE"] : ["SLAVE", "MASTER"];
    for (const [i, role] of roles.entries()) trackers[i]!.move(role);
  };
  const ask = async (): Promise<FakeLocalStream> => {
    const client = control.connect().say('{"command":"handover"}\n');
    world.network.attach(client.fd, () => client.canRead);
    await world.run(1000);
    return client;
  };
  return { world, a, b, move, ask };
}

const linesOf = ({ answers }: FakeLocalStream): unknown[] =>
  answers.trimEnd().split("\n").map((line) => JSON.parse(line));

Deno.test("Gateway hands over on demand: demotes, tells how it goes, and loses nothing", async () => {
  const demoter = new FakeDemoter();
  const { world, a, b, move, ask } = await pair(demoter);
  assertEquals(demoter.isDemoted, false);
  const client = await ask();
  assertEquals(demoter.isDemoted, true);
  a.disturb({ kind: "delete-sa", id: sampleSa({ spi: 0x1001 }) });
  await world.run(2000);
  move("b");
  await world.run(2000);
  a.disturb({ kind: "delete-sa", id: sampleSa({ spi: 0x1002 }) });
  await world.run(2000);
  assertEquals(linesOf(client), [
    { progress: "demoted this node; waiting until another one is master" },
    { progress: "this node is still master: the address has not moved" },
    { progress: "this node is slave, and no peer says that it is master" },
    { progress: `${B} is master, and this node has not yet all that it has` },
    { progress: `${B} is master, and this node has all that it has` },
    {
      progress:
        "this node stays demoted until it becomes master, a handover back needs it, or sasyncd is started again",
    },
    { ok: true },
  ]);
  assertEquals([a.kernel.records().length, b.kernel.records().length], [3, 3]);
  await world.run(60_000);
  assertEquals(demoter.isDemoted, true);
  move("a");
  await world.run(2000);
  assertEquals(demoter.isDemoted, false);
});

Deno.test("Gateway that cannot demote asks the operator to move the address, and says when it was not", async () => {
  const { world, a, b, ask } = await pair();
  const client = await ask();
  a.disturb(...SAS.map((_, i): KernelChange => ({ kind: "delete-sa", id: sampleSa({ spi: 0x1001 + i }) })));
  await world.run(HANDOVER_MS - 2000);
  assertEquals(b.kernel.records().length, 3);
  await world.run(2000);
  assertEquals(linesOf(client), [
    { progress: "nothing is configured that demotes this node: move the address now" },
    { progress: "this node is still master: the address has not moved" },
    { ok: false, reason: "this node is still master: the address has not moved" },
  ]);
  assertEquals(b.kernel.records().length, 0);
  assertEquals(a.log.count(/handover failed: this node is still master/), 1);
});

Deno.test("Gateway refuses a second handover while one is under way, which goes on without its client", async () => {
  const demoter = new FakeDemoter();
  const { world, a, move, ask } = await pair(demoter);
  const first = await ask();
  first.hangUp = "whole";
  const second = await ask();
  assertEquals(linesOf(second), [{ ok: false, reason: "a handover is under way" }]);
  move("b");
  await world.run(2000);
  assertEquals([first.isOpen, a.log.count(/handover done: 10.0.0.2 is master/)], [false, 1]);
});

Deno.test("Gateway closes the control socket when it stops", async () => {
  const { world, a, ask } = await pair();
  const client = await ask();
  a.gateway.stop("test");
  await world.run(1000);
  assertEquals(client.isOpen, false);
});
