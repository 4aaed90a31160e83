/** `sasyncd verify` and `sasyncd resync` between whole daemons, over their control sockets, in virtual time. */

import { assertEquals } from "@std/assert";
import type { PremisesPorts } from "../../../src/daemon/premises.ts";
import { DecodeError } from "../../../src/errors.ts";
import type { Role } from "../../../src/ports.ts";
import { formatPrefix } from "../../../src/record/address.ts";
import type { PeerComparison, VerifyView } from "../../../src/status/verify_view.ts";
import { FakeDaemon } from "../../fakes/gateways.ts";
import { FakeLocalListener } from "../../fakes/local_streams.ts";
import { samplePolicy, sampleSa } from "../../fakes/records.ts";
import { MovedTracker } from "../../fakes/roles.ts";
import { World } from "../../fakes/world.ts";

const A = "10.0.0.1";
const B = "10.0.0.2";

/** A daemon that can be asked, and what it would tell of its system. */
class Asked extends FakeDaemon {
  constructor(
    world: World,
    address: string,
    peer: string,
    role: Role,
    premises: PremisesPorts,
    readonly control = new FakeLocalListener(),
  ) {
    const tracker = new MovedTracker(world.network, role);
    super(world, { address, peers: [peer], mode: "slave", tracker, control, premises });
    world.network.attach(control.fd, () => control.waiting.length > 0);
  }

  async ask(command: "verify" | "resync", ms = 20_000): Promise<{ view: VerifyView; progress: string[] }> {
    const client = this.control.connect().say(`${JSON.stringify({ command })}\n`);
    this.world.network.attach(client.fd, () => client.canRead);
    await this.world.run(ms);
    const lines = client.answers.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.pop(), { ok: true });
    const { data } = lines.pop();
    client.hangUp = "whole";
    return { view: data, progress: lines.map(({ progress }) => progress) };
  }
}

/** A is master with three SAs and a policy; each tells of these files. */
async function pair(filesOfA: readonly string[] = [], filesOfB: readonly string[] = []) {
  const world = new World();
  const ports = (files: readonly string[]): PremisesPorts => ({
    kernel: (networks) => networks.map((network) => `way to ${formatPrefix(network)}: dev pub`),
    files: () => Promise.resolve(files),
  });
  const a = new Asked(world, A, B, "MASTER", ports(filesOfA));
  a.kernel.apply([
    ...[1, 2, 3].map((spi) => ({ kind: "put", record: { kind: "sa", sa: sampleSa({ spi }) } }) as const),
    { kind: "put", record: { kind: "policy", policy: samplePolicy() } },
  ]);
  const b = new Asked(world, B, A, "SLAVE", ports(filesOfB));
  await world.run(5000);
  return { world, a, b };
}

const peerOf = (address: string): PeerComparison => ({
  address,
  state: "equal",
  records: [],
  others: 0,
  premises: "equal",
  here: [],
  there: [],
});

Deno.test("verify finds a pair equal, from either side, and says how it goes", async () => {
  const { a, b } = await pair(["file /a: ENOENT"], ["file /a: ENOENT"]);
  const master = await a.ask("verify");
  assertEquals(master.view, { result: "equal", kernel: [], refused: 0, peers: [peerOf(B)] });
  assertEquals(master.progress, ["comparing with the kernel", `comparing with ${B}`]);
  assertEquals((await b.ask("verify")).view, { result: "equal", kernel: [], refused: 0, peers: [peerOf(A)] });
});

Deno.test("verify names files and facts that differ, the other's too, in many messages", async () => {
  const many = Array.from({ length: 300 }, (_, i) => `file /f${i}: ENOENT`);
  const { a } = await pair([...many, "file /x: sha256 1"], [...many, "file /x: sha256 2"]);
  const { view: { result, peers: [peer] } } = await a.ask("verify");
  assertEquals([result, peer?.state, peer?.premises], ["different", "equal", "different"]);
  assertEquals([peer?.here, peer?.there], [["file /x: sha256 1"], ["file /x: sha256 2"]]);
});

Deno.test("verify tells what differs since the moment before", async () => {
  const files = ["file /a: sha256 1"];
  const { a, b } = await pair(files, [...files]);
  assertEquals((await b.ask("verify", 100)).view.result, "equal");
  files[0] = "file /a: sha256 2";
  assertEquals((await b.ask("verify", 100)).view.result, "different");
  assertEquals((await a.ask("verify", 100)).view.result, "different");
});

Deno.test("verify finds what its kernel has changed without a word, and has it mended", async () => {
  const { a, b } = await pair();
  b.kernel.apply([{ kind: "delete-sa", id: sampleSa({ spi: 2 }) }]);
  const { view } = await b.ask("verify");
  assertEquals([view.result, view.kernel], ["different", ["SA esp 0x00000002 to 198.51.100.1"]]);
  assertEquals((await b.ask("verify")).view.result, "equal");
  assertEquals(b.kernel.records().length, a.kernel.records().length);
});

Deno.test("resync mends what its kernel has changed without a word", async () => {
  const { a, b } = await pair();
  b.kernel.apply([{ kind: "delete-sa", id: sampleSa({ spi: 2 }) }]);
  const { view } = await b.ask("resync");
  assertEquals(view.peers, [{ ...peerOf(A), premises: "not compared" }]);
  assertEquals(b.kernel.records().length, a.kernel.records().length);
});

Deno.test("verify knows nothing of a peer that is gone", async () => {
  const { world, a, b } = await pair();
  a.gateway.stop("test");
  await world.run(5000);
  const { view: { result, peers: [peer] } } = await b.ask("verify");
  assertEquals([result, peer?.state, peer?.reason], ["unknown", "unknown", "nobody is master"]);
});

Deno.test("verify does not wait for ever for a peer that does not tell its facts", async () => {
  const { a, b } = await pair();
  const { world } = a;
  const silent: PremisesPorts = { kernel: () => [], files: () => new Promise(() => {}) };
  b.gateway.stop("test");
  await world.run(1000);
  new Asked(world, B, A, "SLAVE", silent);
  await world.run(15_000);
  const { view: { result, peers: [peer] } } = await a.ask("verify");
  assertEquals([result, peer?.state, peer?.premises], ["unknown", "equal", "unknown"]);
});

Deno.test("verify says it when a kernel's facts cannot be read", async () => {
  const { world, a, b } = await pair();
  b.gateway.stop("test");
  await world.run(1000);
  const broken: PremisesPorts = {
    kernel() {
      throw new DecodeError("rtmsg", "3 bytes");
    },
    files: () => Promise.resolve([]),
  };
  new Asked(world, B, A, "SLAVE", broken);
  await world.run(15_000);
  const { view: { peers: [peer] } } = await a.ask("verify");
  assertEquals(peer?.there, ["kernel: Cannot decode rtmsg: 3 bytes"]);
});
