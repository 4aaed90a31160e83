/** `sasyncd monitor`: events of a whole daemon over its control socket, and listeners that do not keep up. */

import { assert, assertEquals } from "@std/assert";
import { Monitor } from "../../../src/daemon/monitor.ts";
import { type MonitorEvent, printEvent } from "../../../src/status/event.ts";
import { SILENT_LOG } from "../../fakes/log.ts";
import { FakeDaemon } from "../../fakes/gateways.ts";
import { FakeLocalListener, type FakeLocalStream } from "../../fakes/local_streams.ts";
import { sampleSa } from "../../fakes/records.ts";
import { MovedTracker } from "../../fakes/roles.ts";
import { World } from "../../fakes/world.ts";

const A = "10.0.0.1";
const B = "10.0.0.2";

function eventsOf({ answers }: FakeLocalStream): MonitorEvent[] {
  return answers.trimEnd().split("\n").map((line) => JSON.parse(line).data);
}

Deno.test("monitor tells how it is, changes of the kernel, sessions and the role, each at once", async () => {
  const world = new World();
  const tracker = new MovedTracker(world.network, "SLAVE");
  const control = new FakeLocalListener();
  world.network.attach(control.fd, () => control.waiting.length > 0);
  const a = new FakeDaemon(world, { address: A, peers: [B], mode: "master" });
  const b = new FakeDaemon(world, { address: B, peers: [A], mode: "slave", tracker, control });
  await world.run(5000);
  const client = control.connect().say('{"command":"monitor"}\n');
  world.network.attach(client.fd, () => client.canRead);
  await world.run(10);
  assertEquals(eventsOf(client), [
    { event: "role", role: "SLAVE", epoch: 1, reason: "test" },
    { event: "peer", address: A, connected: true, about: "test" },
  ]);
  client.answers = "";
  const record = "SA esp 0x00000007 to 198.51.100.1";
  a.disturb({ kind: "put", record: { kind: "sa", sa: sampleSa({ spi: 7 }) } });
  await world.run(10);
  assertEquals(eventsOf(client), [{ event: "applied", change: "put", record }]);
  client.answers = "";
  a.gateway.stop("test");
  tracker.move("MASTER");
  await world.run(5000);
  b.disturb({ kind: "delete-sa", id: sampleSa({ spi: 7 }) });
  await world.run(10);
  const events = eventsOf(client);
  assertEquals(events.at(-1), { event: "kernel", change: "delete", record });
  assert(events.some((one) => one.event === "peer" && !one.connected));
  assert(events.some((one) => one.event === "role" && one.role === "MASTER" && one.epoch === 2));
  assert(events.some((one) => one.event === "log" && one.text === "SLAVE -> MASTER: test"));
  assertEquals(client.isOpen, true);
});

Deno.test("Monitor drops a listener that does not keep up, and makes nothing for nobody", () => {
  let woken = 0;
  const monitor = new Monitor(() => woken++);
  const log = monitor.overhear(SILENT_LOG);
  log.state(() => {
    throw new Error("made for nobody");
  });
  const [slow, quick] = [monitor.listen(), monitor.listen()];
  let heard = 0;
  const hear = () => heard += quick.proceed(0).filter((answer) => "data" in answer).length;
  for (let i = 0; i < 30_000; i++) {
    log.state(`line ${i}`);
    hear();
  }
  assertEquals([heard, woken], [30_000, 30_000]);
  let last: unknown;
  let told = 0;
  while (slow.hasMore === true) {
    const answers = slow.proceed(0);
    assert(answers.length <= 65 && JSON.stringify(answers).length < 16 * 1024);
    told += answers.filter((answer) => "data" in answer).length;
    last = answers.at(-1);
    if (last !== undefined && "ok" in (last as object)) break;
  }
  assertEquals([told, last], [10_000, { ok: false, reason: "events come faster than they are read" }]);
  quick.abandon?.();
  log.state(() => {
    throw new Error("made for nobody");
  });
});

const LINES: readonly (readonly [event: MonitorEvent, text: string | undefined])[] = [
  [{ event: "log", level: "error", text: "two masters" }, "error: two masters"],
  [{ event: "log", level: "state", text: "SLAVE -> MASTER: x" }, "SLAVE -> MASTER: x"],
  [{ event: "role", role: "MASTER", epoch: 1, reason: "x" }, undefined],
  [{ event: "applied", change: "put", record: "SA 1" }, "applied: put SA 1"],
  [{ event: "refused", change: "delete", record: "SA 1", reason: "EPERM" }, "refused: delete SA 1: EPERM"],
  [{ event: "kernel", change: "expire", record: "SA 1" }, "kernel: expire SA 1"],
];

for (const [event, text] of LINES) {
  Deno.test(`printEvent() prints ${event.event} as ${text}`, () => assertEquals(printEvent(event), text));
}
