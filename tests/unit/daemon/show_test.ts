/** `sasyncd status` and `sasyncd show` of whole daemons, over the control socket, in virtual time. */

import { assert, assertEquals } from "@std/assert";
import type { Role } from "../../../src/ports.ts";
import type { PeerView, StatusView } from "../../../src/status/view.ts";
import type { SaView } from "../../../src/status/record_view.ts";
import { FakeDaemon } from "../../fakes/gateways.ts";
import { FakeLocalListener } from "../../fakes/local_streams.ts";
import { sampleSa } from "../../fakes/records.ts";
import { MovedTracker } from "../../fakes/roles.ts";
import { World } from "../../fakes/world.ts";

const A = "10.0.0.1";
const B = "10.0.0.2";

/** A daemon that can be asked. */
class Asked extends FakeDaemon {
  constructor(
    world: World,
    address: string,
    peer: string,
    role: Role,
    readonly tracker = new MovedTracker(world.network, role),
    readonly control = new FakeLocalListener(),
  ) {
    super(world, { address, peers: [peer], mode: "slave", tracker, control });
    world.network.attach(control.fd, () => control.waiting.length > 0);
  }

  /** Everything that a command shows. */
  async ask(command: string): Promise<unknown[]> {
    const client = this.control.connect().say(`${JSON.stringify({ command })}\n`);
    this.world.network.attach(client.fd, () => client.canRead);
    await this.world.run(1000);
    const lines = client.answers.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.at(-1), { ok: true });
    client.hangUp = "whole";
    return lines.slice(0, -1).map(({ data }) => data);
  }

  async status(): Promise<StatusView> {
    const [view] = await this.ask("status");
    return view as StatusView;
  }
}

/** A is master with as many SAs, and B has them. */
async function pair(count: number) {
  const world = new World();
  const a = new Asked(world, A, B, "MASTER");
  for (let i = 0; i < count; i++) {
    a.kernel.apply([{ kind: "put", record: { kind: "sa", sa: sampleSa({ spi: 0x1000 + i }) } }]);
  }
  const b = new Asked(world, B, A, "SLAVE");
  await world.run(5000);
  return { world, a, b };
}

Deno.test("status tells how a master stands with its slave, and the other way round", async () => {
  const { a, b } = await pair(3);
  const master = await a.status();
  const { role, roleReason, acting, epoch, kernel, shared, demoted, loss } = master;
  assertEquals([role, roleReason, acting, epoch, kernel, demoted, loss], [
    "MASTER",
    "test",
    true,
    1,
    "memory",
    false,
    undefined,
  ]);
  assertEquals(shared, { sas: 3, policies: 0 });
  const [peer] = master.peers;
  assertEquals({ ...peer, seconds: 0, snapshotSeconds: 0 }, {
    address: B,
    protocol: "native",
    connected: true,
    seconds: 0,
    about: "test",
    role: "SLAVE",
    epoch: 1,
    lagChanges: 0,
    lagMs: 0,
    sent: 5,
    applied: 5,
    received: 0,
    refused: [],
    snapshotSeconds: 0,
    loss: { synchronised: true, changes: 0, refused: [] },
  });
  const slave = await b.status();
  assertEquals([slave.role, slave.following, slave.synchronised, slave.waiting], ["SLAVE", A, true, 0]);
  assertEquals(slave.mirror, { sas: 3, policies: 0 });
  assertEquals(slave.loss, { synchronised: true, changes: 0, refused: [] });
  assertEquals([slave.peers[0]?.received, slave.peers[0]?.role], [5, "MASTER"]);
});

Deno.test("status of a slave whose master is gone says that nothing would be lost", async () => {
  const { world, a, b } = await pair(3);
  a.gateway.stop("test");
  await world.run(10_000);
  const { following, loss, peers } = await b.status();
  assertEquals([following, loss], [undefined, { synchronised: true, changes: 0, refused: [] }]);
  assertEquals(peers[0]?.connected, false);
  const [listed] = await b.ask("show peers") as PeerView[];
  assertEquals(listed?.address, A);
});

Deno.test("status counts what the slave refuses, by reason, on both sides", async () => {
  const { world, a, b } = await pair(0);
  const refuse = b.kernel.apply.bind(b.kernel);
  b.kernel.apply = (changes) => refuse(changes).map(() => ({ ok: false, reason: "ENOSYS" }));
  a.disturb({ kind: "put", record: { kind: "sa", sa: sampleSa({ spi: 7 }) } });
  await world.run(1000);
  const refused = [{ reason: "ENOSYS", records: 1 }];
  assertEquals((await b.status()).refused, refused);
  const { peers: [peer] } = await a.status();
  assertEquals([peer?.refused, peer?.loss], [refused, { synchronised: true, changes: 0, refused }]);
});

Deno.test("show sa brings all SAs to a client that reads slowly, none twice, and a key to nobody", async () => {
  const { world, a } = await pair(1000);
  const client = a.control.connect().say('{"command":"show sa"}\n');
  client.chop = 5000;
  world.network.attach(client.fd, () => client.canRead, () => client.canWrite);
  await world.run(5000);
  const lines = client.answers.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.pop(), { ok: true });
  const views = lines.map(({ data }) => data as SaView);
  assertEquals(new Set(views.map(({ spi }) => spi)).size, 1000);
  assertEquals(views.length, 1000);
  assert(views.every(({ inKernel, local, aead }) => inKernel && !local && aead?.name === "AES_GCM_16"));
});
