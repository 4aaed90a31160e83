/** `sasyncd handover` as the client, with daemons that are not well. */

import { assertEquals, assertRejects } from "@std/assert";
import { ask } from "../../../src/daemon/control_client.ts";
import { PeerError } from "../../../src/errors.ts";
import type { Poller } from "../../../src/ports.ts";
import { FakeLocalStream } from "../../fakes/local_streams.ts";

/** A poll that never waits: nothing ready is the time that is up. */
function pollerOf(stream: FakeLocalStream): Poller {
  return {
    wait(interests) {
      const found = interests.map(({ fd, read, write }) => ({
        fd,
        read: read && stream.canRead,
        write: write && stream.canWrite,
        error: false,
      }));
      return Promise.resolve(found.filter(({ read, write }) => read || write));
    },
    wake() {},
  };
}

async function handOver(stream: FakeLocalStream): Promise<{ problem: string | undefined; said: string[] }> {
  const said: string[] = [];
  const problem = await ask({
    stream,
    poller: pollerOf(stream),
    command: "handover",
    patienceMs: 1000,
    say: (text) => said.push(text),
    take: (data) => said.push(JSON.stringify(data)),
  });
  return { problem, said };
}

for (const chop of [1, 3, Infinity]) {
  Deno.test(`ask() sends and receives ${chop} bytes at a time`, async () => {
    const stream = new FakeLocalStream(5).say(
      '{"progress":"a – b"}\n{"data":{"n":[1]}}\n{"progress":"c"}\n{"ok":true}\n',
    );
    stream.chop = chop;
    assertEquals(await handOver(stream), { problem: undefined, said: ["a – b", '{"n":[1]}', "c"] });
    // what comes after the answer has begun need not have been sent
    assertEquals('{"command":"handover"}\n'.startsWith(stream.answers), true);
  });
}

Deno.test("ask() says why the daemon will not", async () => {
  const stream = new FakeLocalStream(5).say('{"ok":false,"reason":"not now"}\n');
  assertEquals(await handOver(stream), { problem: "not now", said: [] });
});

Deno.test("ask() hands on nothing that a terminal would obey", async () => {
  const stream = new FakeLocalStream(5).say(
    '{"progress":"a\\u001b[2J"}\n{"data":{"n":["\\u009b2J"]}}\n{"ok":false,"reason":"\\u0007"}\n',
  );
  const said = ["a\\x1b[2J", JSON.stringify({ n: ["\\x9b2J"] })];
  assertEquals(await handOver(stream), { problem: "\\x07", said });
});

const BROKEN: readonly (readonly [what: string, text: string, hangUp: "no" | "half", reason: string])[] = [
  ["is silent", "", "no", "the daemon does not answer"],
  ["ends before it is done", '{"progress":"a"}\n', "half", "the daemon has ended before it was done"],
  ["says what is no JSON", "yes\n", "no", "the daemon's answer is no answer"],
  ["says null", "null\n", "no", "the daemon's answer is no answer"],
  ["says a list", '{"data":[1]}\n', "no", "the daemon's answer is no answer"],
  ["says something else", '{"progress":1}\n', "no", "the daemon's answer is no answer"],
  ["has no end", "x".repeat(200_000), "no", "the daemon's answer has no end"],
];

for (const [what, text, hangUp, reason] of BROKEN) {
  Deno.test(`ask() gives a daemon up that ${what}`, async () => {
    const stream = new FakeLocalStream(5).say(text);
    stream.hangUp = hangUp;
    await assertRejects(() => handOver(stream), PeerError, reason);
  });
}
