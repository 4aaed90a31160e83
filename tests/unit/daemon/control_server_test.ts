/** The control socket with clients that are not well. */

import { assert, assertEquals } from "@std/assert";
import { type Answer, ControlServer } from "../../../src/daemon/control_server.ts";
import { FakeLocalListener, type FakeLocalStream } from "../../fakes/local_streams.ts";

/** A server whose command `slow` says what a test gives it, and `quick` is done at once. */
class Bench {
  nowMs = 1000;
  readonly listener = new FakeLocalListener();
  /** What `slow` says next. */
  readonly toSay: Answer[] = [];
  begun = 0;
  proceeded = 0;
  readonly server: ControlServer;
  readonly #clients: FakeLocalStream[] = [];

  constructor() {
    const bootMs = () => this.nowMs;
    this.server = new ControlServer({
      listener: this.listener,
      clock: { bootMs, look: bootMs, wallSeconds: () => 0 },
      commands: {
        slow: () => (this.begun++, { proceed: () => (this.proceeded++, this.toSay.splice(0)) }),
        quick: () => (this.begun++, { proceed: () => [{ ok: true }] }),
      },
    });
  }

  connect(text: string | Uint8Array = ""): FakeLocalStream {
    const client = this.listener.connect().say(text);
    this.#clients.push(client);
    return client;
  }

  /** Turns as poll would have them, until nothing is ready. @returns when the server wants to be called again */
  turn(): number {
    for (let i = 0; i < 200_000; i++) {
      const ready = this.listener.ready(this.server.interests(), this.#clients);
      const dueMs = this.server.tick(ready);
      if (ready.size === 0 && i > 0) return dueMs;
    }
    throw new Error("the server runs in circles");
  }

  wait(ms: number): number {
    this.nowMs += ms;
    return this.turn();
  }
}

const QUICK = '{"command":"quick"}\n';
const SLOW = '{"command":"slow"}\n';
const OK = '{"ok":true}\n';

Deno.test("ControlServer answers line by line, and takes the next request", () => {
  const bench = new Bench();
  const client = bench.connect(SLOW);
  bench.turn();
  bench.toSay.push({ progress: "half" });
  bench.turn();
  assertEquals(client.answers, '{"progress":"half"}\n');
  bench.toSay.push({ progress: "all" }, { ok: false, reason: "late" });
  bench.turn();
  assertEquals(client.answers, '{"progress":"half"}\n{"progress":"all"}\n{"ok":false,"reason":"late"}\n');
  client.say(QUICK + QUICK);
  bench.turn();
  assert(client.answers.endsWith(OK + OK));
  assert(client.isOpen);
});

Deno.test("ControlServer takes requests in pieces and answers in pieces", () => {
  const bench = new Bench();
  const client = bench.connect(QUICK + QUICK + "garbage\n");
  client.chop = 1;
  bench.turn();
  assert(client.answers.startsWith(`${OK}${OK}{"ok":false,`), client.answers);
  assertEquals([bench.begun, client.isOpen], [2, false]);
});

const LONG = `{"command":"quick","filler":"${"x".repeat(70_000)}"}\n`;
const NO_REQUEST = '{"ok":false,"reason":"a request is one line like {\\"command\\":\\"NAME\\"}"}\n';

/** What is no request, and what is said to it. */
const GARBAGE: readonly (readonly [what: string, text: string | Uint8Array, answer: string])[] = [
  ["an empty line", "\n", NO_REQUEST],
  ["no JSON", "handover\n", NO_REQUEST],
  ["half of it", '{"command":\n', NO_REQUEST],
  ["a string", '"handover"\n', NO_REQUEST],
  ["null", "null\n", NO_REQUEST],
  ["a list", '["command"]\n', NO_REQUEST],
  ["a number as command", '{"command":7}\n', NO_REQUEST],
  ["no UTF-8", Uint8Array.of(0x22, 0xff, 0xfe, 0x22, 0x0a), NO_REQUEST],
  ["deep nesting", "[".repeat(60_000) + "\n", NO_REQUEST],
  ["HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", NO_REQUEST],
  ["an unknown command", '{"command":"quit"}\n', '{"ok":false,"reason":"there is no such command"}\n'],
  ["a name of Object's", '{"command":"constructor"}\n', '{"ok":false,"reason":"there is no such command"}\n'],
  ["a long line", LONG, '{"ok":false,"reason":"a request has at most 65536 bytes"}\n'],
  [
    "zeros without end",
    new Uint8Array(200_000),
    '{"ok":false,"reason":"a request has at most 65536 bytes"}\n',
  ],
];

for (const [what, text, answer] of GARBAGE) {
  Deno.test(`ControlServer answers ${what}, and closes`, () => {
    const bench = new Bench();
    const client = bench.connect(text);
    client.say(QUICK);
    bench.turn();
    assertEquals([client.answers, client.isOpen, bench.begun], [answer, false, 0]);
  });
}

Deno.test("ControlServer answers a request that has no end when the client sends no more", () => {
  const bench = new Bench();
  const client = bench.connect('{"command":"quick"}');
  bench.turn();
  client.hangUp = "half";
  bench.turn();
  assertEquals([client.answers, client.isOpen], ['{"ok":false,"reason":"the request has no end"}\n', false]);
});

Deno.test("ControlServer answers a client that sends no more, and then closes", () => {
  const bench = new Bench();
  const client = bench.connect(SLOW);
  client.hangUp = "half";
  bench.turn();
  assert(client.isOpen);
  bench.toSay.push({ ok: true });
  bench.turn();
  assertEquals([client.answers, client.isOpen], [OK, false]);
});

Deno.test("ControlServer drops a client that hangs up, without spinning, and others go on", () => {
  const bench = new Bench();
  const [gone, stays] = [bench.connect(SLOW), bench.connect(QUICK)];
  bench.turn();
  gone.hangUp = "whole";
  bench.turn();
  assertEquals([gone.isOpen, stays.isOpen, stays.answers], [false, true, OK]);
});

Deno.test("ControlServer reads nothing more from a client whose command is under way", () => {
  const bench = new Bench();
  const client = bench.connect(SLOW);
  bench.turn();
  client.say("x".repeat(1000));
  bench.turn();
  assertEquals(client.unread, 1000);
});

Deno.test("ControlServer drops a client that says nothing, or only a part, after 10 s", () => {
  const bench = new Bench();
  const [silent, partial] = [bench.connect(), bench.connect('{"comm')];
  assertEquals(bench.turn(), 11_000);
  bench.wait(9999);
  assert(silent.isOpen && partial.isOpen);
  bench.wait(1);
  assertEquals([silent.isOpen, partial.isOpen], [false, false]);
});

Deno.test("ControlServer waits for a command for longer than for a client", () => {
  const bench = new Bench();
  const client = bench.connect(SLOW);
  for (let i = 0; i < 40; i++) bench.wait(1000);
  bench.toSay.push({ ok: true });
  bench.turn();
  assertEquals(client.answers, OK);
});

Deno.test("ControlServer drops a client that does not read", () => {
  const bench = new Bench();
  const [stuck, flooded] = [bench.connect(QUICK), bench.connect(SLOW)];
  stuck.isStuck = flooded.isStuck = true;
  bench.turn();
  bench.toSay.push({ progress: "x".repeat(65_536) });
  bench.turn();
  assertEquals(flooded.isOpen, false);
  bench.wait(10_000);
  assertEquals(stuck.isOpen, false);
});

Deno.test("ControlServer serves eight clients, and the others when one has gone", () => {
  const bench = new Bench();
  const clients = Array.from({ length: 10 }, () => bench.connect());
  bench.turn();
  clients[9]!.say(QUICK);
  assertEquals([bench.listener.waiting.length, clients[9]!.answers], [2, ""]);
  for (const client of clients.slice(0, 2)) client.hangUp = "whole";
  bench.turn();
  assertEquals([bench.listener.waiting.length, clients[9]!.answers], [0, OK]);
});

Deno.test("ControlServer leaves the listener alone for a second when there are no descriptors", () => {
  const bench = new Bench();
  bench.listener.errno = "EMFILE";
  const client = bench.connect(QUICK);
  assertEquals(bench.turn(), 2000);
  bench.listener.errno = undefined;
  bench.wait(999);
  assertEquals(client.answers, "");
  bench.wait(1);
  assertEquals(client.answers, OK);
});

Deno.test("ControlServer closes everything at the end", () => {
  const bench = new Bench();
  const client = bench.connect(SLOW);
  bench.turn();
  bench.server.close();
  assertEquals([client.isOpen, bench.listener.isOpen], [false, false]);
});
