/** Whole daemons whose role and preference change, in virtual time. */

import { assert, assertEquals } from "@std/assert";
import { SETTLE_MS } from "../../../src/core/settling.ts";
import { FileDemoter } from "../../../src/daemon/file_demoter.ts";
import { SyscallError } from "../../../src/errors.ts";
import type { Demoter, KernelChange, Role, RoleState, RoleTracker } from "../../../src/ports.ts";
import { FakeDaemon } from "../../fakes/gateways.ts";
import { samplePolicy, sampleSa } from "../../fakes/records.ts";
import { World } from "../../fakes/world.ts";

const A = "10.0.0.1";
const B = "10.0.0.2";
const HELD = 500;

/** A tracker whose state a test sets. */
class FakeTracker implements RoleTracker {
  isFailing = false;
  looks = 0;
  #isReadable = false;

  constructor(world: World, readonly fd: number, private role: Role) {
    world.network.attach(fd, () => this.#isReadable);
  }

  set(role: Role): void {
    this.role = role;
    this.#isReadable = true;
  }

  look(): RoleState {
    this.looks++;
    this.#isReadable = false;
    if (this.isFailing) throw new SyscallError("read a kernel socket", "ENOMEM", 12);
    return { role: this.role, reason: "it says so" };
  }

  close(): void {}
}

/** A demoter that writes down what it is told anew, and how many records the kernel held then. */
class FakeDemoter implements Demoter {
  readonly told: string[] = [];
  calls = 0;
  #last = "";
  isFailing = false;
  held = () => 0;

  set(demoted: boolean, isMaster: boolean): void {
    if (this.isFailing) throw new SyscallError('create "/run/demote.new"', "ENOSPC", 28);
    this.calls++;
    const what = `${demoted ? "demoted" : "lifted"} ${isMaster ? "master" : "slave"}`;
    if (what !== this.#last) this.told.push(`${what} ${this.held()}`);
    this.#last = what;
  }

  leave(): void {
    this.told.push("leave");
  }
}

function sas(count: number): KernelChange[] {
  return Array.from({ length: count }, (_, i) => ({
    kind: "put",
    record: { kind: "sa", sa: sampleSa({ spi: 0x1000 + i }) },
  }));
}

function makeNode(world: World, address: string, role: Role) {
  const tracker = new FakeTracker(world, address === A ? 1001 : 1002, role);
  const demoter = new FakeDemoter();
  const peers = [address === A ? B : A];
  const daemon = new FakeDaemon(world, { address, peers, mode: "slave", tracker, demoter });
  demoter.held = () => daemon.kernel.records().length;
  return { tracker, demoter, daemon };
}

/** A slave whose master has been silent for long is made master; an SA takes its kernel a millisecond to move on. */
async function takeOverLate(kernelFails: () => boolean) {
  const world = new World();
  const [old, heir] = [makeNode(world, A, "MASTER"), makeNode(world, B, "SLAVE")];
  const outbound: KernelChange = { kind: "put", record: { kind: "policy", policy: samplePolicy() } };
  old.daemon.kernel.apply([...sas(HELD), outbound]);
  await world.run(5000);
  old.daemon.poller.frozen = true;
  await world.run(10_000);
  const { kernel, guard } = heir.daemon;
  const [advance, beginDump] = [kernel.advance.bind(kernel), kernel.beginDump.bind(kernel)];
  let moved = 0;
  /** How many SAs had been moved on when a dump began. */
  const dumps: number[] = [];
  kernel.advance = (advances) => {
    if (kernelFails()) throw new SyscallError("send to the kernel", "ENOBUFS", 105);
    moved += advances.length;
    world.clock.nowMs += advances.length;
    return advance(advances);
  };
  kernel.beginDump = () => {
    dumps.push(moved);
    beginDump();
  };
  heir.tracker.set("MASTER");
  await world.run(5000);
  return { dumps, guarded: guard.addresses };
}

Deno.test("Gateway follows its tracker at once, and says why", async () => {
  const world = new World();
  const { tracker, daemon } = makeNode(world, A, "SLAVE");
  await world.run(5000);
  tracker.set("MASTER");
  await world.run(0);
  assertEquals(daemon.log.lines.filter((line) => / -> /.test(line)), [
    "state: INIT -> SLAVE: it says so",
    "state: SLAVE -> MASTER: it says so",
  ]);
});

Deno.test("Gateway that takes over moves its SAs on before it reads its kernel", async () => {
  assertEquals(await takeOverLate(() => false), { dumps: [HELD], guarded: [] });
});

Deno.test("Gateway that takes over reads its kernel though SAs cannot be moved on", async () => {
  assertEquals(await takeOverLate(() => true), { dumps: [0], guarded: ["192.0.2.1"] });
});

Deno.test("Gateway follows a flapping tracker to its end, without a takeover for each flap", async () => {
  const world = new World();
  const { tracker, daemon } = makeNode(world, A, "SLAVE");
  await world.run(5000);
  for (let i = 0; i < 200; i++) {
    tracker.set(i % 2 === 0 ? "MASTER" : "SLAVE");
    await world.run(10);
  }
  tracker.set("MASTER");
  await world.run(SETTLE_MS);
  assertEquals(daemon.log.lines.findLast((line) => / -> /.test(line)), "state: SLAVE -> MASTER: it says so");
  const takeovers = daemon.log.count(/ -> MASTER/);
  assert(takeovers <= 1 + 2010 / SETTLE_MS, `${takeovers} takeovers`);
});

Deno.test("Gateway follows a change that has to wait as soon as it may", async () => {
  const world = new World();
  const { tracker, daemon } = makeNode(world, A, "SLAVE");
  await world.run(5000);
  tracker.set("MASTER");
  await world.run(1);
  tracker.set("SLAVE");
  await world.run(SETTLE_MS - 2);
  assertEquals(daemon.log.count(/MASTER -> SLAVE/), 0);
  await world.run(1);
  assertEquals(daemon.log.count(/MASTER -> SLAVE/), 1);
});

Deno.test("Gateway asks a tracker again that has failed, and goes on in its role meanwhile", async () => {
  const world = new World();
  const { tracker, daemon } = makeNode(world, A, "SLAVE");
  await world.run(5000);
  tracker.isFailing = true;
  tracker.set("MASTER");
  const { looks } = tracker;
  await world.run(3500);
  assert(tracker.looks - looks >= 3 && tracker.looks - looks <= 5, `${tracker.looks - looks} looks`);
  assertEquals(daemon.log.count(/cannot see whether this node is master: .*ENOMEM/), 1);
  assertEquals(daemon.log.count(/-> MASTER/), 0);
  tracker.isFailing = false;
  await world.run(1000);
  assertEquals(daemon.log.count(/SLAVE -> MASTER/), 1);
});

Deno.test("Gateway lifts a slave's demotion when its kernel has all that the master's has", async () => {
  const world = new World();
  const master = makeNode(world, A, "MASTER");
  master.daemon.kernel.apply(sas(HELD));
  await world.run(10_000);
  assertEquals(master.demoter.told, ["lifted master 0"]);
  const slave = makeNode(world, B, "SLAVE");
  slave.daemon.kernel.msPerChange = 10;
  await world.run(10_000);
  assertEquals(slave.demoter.told, ["demoted slave 0", `lifted slave ${HELD}`]);
  assertEquals(slave.daemon.log.lines.filter((line) => /demoted|synchronised/.test(line)), [
    "state: demoted: no session with 10.0.0.1 yet",
    `state: synchronised with 10.0.0.1: ${HELD} records`,
    "state: not demoted any more: synchronised",
  ]);

  master.daemon.poller.frozen = true;
  await world.run(20_000);
  assertEquals(slave.demoter.told.slice(2), [`demoted slave ${HELD}`]);
  slave.tracker.set("MASTER");
  await world.run(0);
  assertEquals(slave.demoter.told.slice(3), [`lifted master ${HELD}`]);
});

Deno.test("Gateway does not lift the demotion of a slave whose kernel refuses a record", async () => {
  const world = new World();
  const master = makeNode(world, A, "MASTER");
  master.daemon.kernel.apply(sas(3));
  const slave = makeNode(world, B, "SLAVE");
  const { kernel } = slave.daemon;
  const apply = kernel.apply.bind(kernel);
  kernel.apply = (changes) =>
    apply(changes).map((result, i) => {
      const change = changes[i];
      const isRefused = change?.kind === "put" && change.record.kind === "sa" &&
        change.record.sa.spi === 0x1001;
      return isRefused ? { ok: false, reason: "ENOSYS" } : result;
    });
  await world.run(20_000);
  assertEquals(slave.demoter.told, ["demoted slave 0"]);
  master.daemon.disturb({ kind: "delete-sa", id: sampleSa({ spi: 0x1001 }) });
  await world.run(1000);
  assertEquals(slave.demoter.told.length, 2);
});

Deno.test("Gateway tells the demoter of a takeover and of a step down, and that the daemon ends", async () => {
  const world = new World();
  const { tracker, demoter, daemon } = makeNode(world, A, "SLAVE");
  await world.run(6000);
  tracker.set("MASTER");
  await world.run(2000);
  tracker.set("FAIL");
  await world.run(2000);
  daemon.gateway.stop("test");
  await world.run(2000);
  assertEquals(demoter.told, [
    "demoted slave 0",
    "lifted slave 0",
    "lifted master 0",
    "lifted slave 0",
    "leave",
  ]);
});

Deno.test("Gateway tries again what the demoter could not do", async () => {
  const world = new World();
  const { demoter, daemon } = makeNode(world, A, "SLAVE");
  demoter.isFailing = true;
  await world.run(8000);
  assertEquals(daemon.log.count(/cannot demote this node: .*ENOSPC/), 1);
  demoter.isFailing = false;
  await world.run(1000);
  assertEquals(demoter.told, ["demoted slave 0", "lifted slave 0"]);
});

Deno.test("Gateway tells the demoter again what it has told, and the log nothing", async () => {
  const world = new World();
  const { demoter, daemon } = makeNode(world, A, "MASTER");
  await world.run(12_000);
  assertEquals([demoter.calls, demoter.told], [3, ["lifted master 0"]]);
  assertEquals(daemon.log.count(/demoted/), 0);
});

Deno.test("FileDemoter says 0 for a slave that is demoted or leaves", () => {
  const written: string[] = [];
  let file: string | undefined;
  const demoter = new FileDemoter({
    path: "/run/demote",
    weight: 50,
    read() {
      if (file === undefined) throw new SyscallError('open "/run/demote"', "ENOENT", 2);
      return file;
    },
    replace(path, text) {
      written.push(`${path} ${text}`);
      file = text;
    },
  });
  demoter.leave(); // it has said nothing yet: the file may be that of a daemon that runs
  assertEquals(written, []);
  demoter.set(true, false);
  demoter.set(false, false);
  demoter.leave();
  demoter.set(false, true);
  demoter.set(false, true);
  file = "0\n"; // somebody else
  demoter.set(false, true);
  demoter.leave();
  const demoted = "/run/demote 0\n";
  const lifted = "/run/demote 50\n";
  assertEquals(written, [demoted, lifted, demoted, lifted, lifted]);
});
