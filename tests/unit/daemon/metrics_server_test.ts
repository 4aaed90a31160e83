/** HTTP by hand: what is asked right and wrong, clients that are not well, and a whole daemon. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { MetricsServer } from "../../../src/daemon/metrics_server.ts";
import { FakeDaemon } from "../../fakes/gateways.ts";
import type { FakeConnection } from "../../fakes/network.ts";
import { addr } from "../../fakes/records.ts";
import { World } from "../../fakes/world.ts";

const AT = { address: addr("10.0.0.1"), port: 9752 };
const GET = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/** A server, its clients and their poll. */
class Bench {
  readonly world = new World();
  readonly #poller = this.world.poller();
  printed = 0;
  readonly server = new MetricsServer({
    listener: this.world.network.listen(AT),
    clock: this.world.clock,
    page: { contentType: "text/plain; version=0.0.4", print: () => `figure ${++this.printed}\n` },
  });
  isOver = false;

  constructor() {
    this.world.start(async () => {
      let dueMs = Infinity;
      while (!this.isOver) {
        const timeoutMs = Math.min(60_000, Math.max(0, dueMs - this.world.clock.nowMs));
        const ready = await this.#poller.wait(this.server.interests(), timeoutMs);
        dueMs = this.server.tick(new Map(ready.map((one) => [one.fd, one])));
      }
    });
  }

  async connect(text = ""): Promise<FakeConnection> {
    const connection = this.world.network.connect(addr("10.0.0.9"), AT);
    await this.world.run(10);
    connection.finishConnect();
    if (text !== "") connection.send(new TextEncoder().encode(text));
    await this.world.run(10);
    return connection;
  }
}

/** What a client reads to the end of the stream; `end`: whether that has come. */
function read(connection: FakeConnection): { text: string; end: boolean } {
  let text = "";
  while (true) {
    const received = connection.receive(65_536);
    if (received.kind === "data") text += new TextDecoder().decode(received.bytes);
    else return { text, end: received.kind === "closed" };
  }
}

const ROWS: readonly (readonly [what: string, request: string, answer: RegExp])[] = [
  ["GET", GET, /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain; version=0\.0\.4\r\n.*\r\n\r\nfigure 1\n$/s],
  ["GET with a query", GET.replace("ics", "ics?x=1"), /^HTTP\/1\.1 200 /],
  ["HEAD", GET.replace("GET", "HEAD"), /^HTTP\/1\.1 200 OK\r\n.*Content-Length: 9\r\n.*\r\n\r\n$/s],
  ["another path", GET.replace("metrics", ""), /^HTTP\/1\.1 404 /],
  ["POST", GET.replace("GET", "POST"), /^HTTP\/1\.1 405 .*Allow: GET, HEAD/s],
  ["no HTTP", "hello\r\n\r\n", /^HTTP\/1\.1 400 /],
  ["a request without end", "GET /metrics HTTP/1.1\r\n" + "x".repeat(9000), /^HTTP\/1\.1 431 /],
];

for (const [what, request, answer] of ROWS) {
  Deno.test(`MetricsServer answers ${what}, and closes`, async () => {
    const bench = new Bench();
    const client = await bench.connect(request);
    const { text, end } = read(client);
    assertMatch(text, answer);
    assert(end);
  });
}

Deno.test("MetricsServer reads a request that comes in pieces", async () => {
  const bench = new Bench();
  const client = await bench.connect();
  for (const byte of new TextEncoder().encode(GET)) {
    client.send(Uint8Array.of(byte));
    await bench.world.run(5);
  }
  assertMatch(read(client).text, /figure 1\n$/);
});

Deno.test("MetricsServer makes a page once a second, however many ask", async () => {
  const bench = new Bench();
  const ask = async () => read(await bench.connect(GET)).text.slice(-"figure 1\n".length);
  assertEquals([await ask(), await ask()], ["figure 1\n", "figure 1\n"]);
  await bench.world.run(1000);
  assertEquals(await ask(), "figure 2\n");
});

Deno.test("MetricsServer drops who says nothing after 10 s, and the first of eight when a ninth comes", async () => {
  const bench = new Bench();
  const silent: FakeConnection[] = [];
  for (let i = 0; i < 8; i++) silent.push(await bench.connect());
  assertMatch(read(await bench.connect(GET)).text, /figure 1\n$/);
  assertEquals(silent.map((one) => read(one).end), [true, ...new Array<boolean>(7).fill(false)]);
  await bench.world.run(10_100);
  assert(silent.slice(1).every((one) => read(one).end));
});

Deno.test("MetricsServer takes its place from nobody who is being answered", async () => {
  const bench = new Bench();
  bench.world.network.capacity = 50;
  const slow: FakeConnection[] = [];
  for (let i = 0; i < 8; i++) slow.push(await bench.connect(GET));
  const ninth = await bench.connect(GET);
  assertEquals(read(ninth), { text: "", end: false });
  assert(slow.every((one) => read(one).text.startsWith("HTTP")));
  await bench.world.run(10_100);
  assertMatch(read(ninth).text, /^HTTP/);
});

Deno.test("Gateway answers with its figures, and stops to at its end", async () => {
  const world = new World();
  const metrics = world.network.listen(AT);
  const daemon = new FakeDaemon(world, { address: "10.0.0.1", peers: [], mode: "master", metrics });
  await world.run(5000);
  const client = world.network.connect(addr("10.0.0.9"), AT);
  await world.run(10);
  client.finishConnect();
  client.send(new TextEncoder().encode(GET));
  await world.run(10);
  assertMatch(read(client).text, /\nsasyncd_role\{role="MASTER"\} 1\n/);
  daemon.gateway.stop("test");
  await world.run(1000);
  const late = world.network.connect(addr("10.0.0.9"), AT);
  await world.run(10);
  assertEquals(late.finishConnect(), "ECONNREFUSED");
});
