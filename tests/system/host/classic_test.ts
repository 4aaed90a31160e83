/**
 * Conversations of the classic protocol with a peer that is written from the facts alone, as OpenBSD's sasyncd was
 * seen to behave, over loopback. What the peer saw is compared with tests/golden/classic; GOLDEN=write writes it.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { KernelChange } from "../../../src/ports.ts";
import { identityOf } from "../../../src/record/record.ts";
import { rawRecord, rawVector } from "../../fakes/classic.ts";
import { encodeHex } from "../../fakes/hex.ts";
import { CLASSIC_VECTORS } from "../../vectors/classic_vectors.ts";
import { ClassicPeer, LocalDaemon } from "./classic.ts";
import { Daemon, EXECUTABLE, execute, type Place, testsInPlaces } from "./daemon.ts";

const P = "127.0.0.1";
const D = "127.0.0.2";
const ignore = Deno.env.get("CI") !== "true" && (Deno.uid() !== 0 || !hasPython());

const KEYS = {
  "AES-128": "0x00112233445566778899aabbccddeeff",
  "AES-192": "k3Y.of.24-characters_8bQ",
  "AES-256": "0xf0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
};
const KEY = KEYS["AES-128"];
const OF_ANOTHER_KEY = CLASSIC_VECTORS.find(({ note }) => note.startsWith("256 bits"))!.frame;
const HELD = ["ESP with AES-128", "AH transport", "flow out, use"];
const put = (name: string): KernelChange => ({ kind: "put", record: rawRecord(name) });

function hasPython(): boolean {
  try {
    return new Deno.Command("python3", { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

const test = testsInPlaces(21_000, 2, ignore);

/** The peer, with these records in its kernel. `--port` and addresses are given. */
function startPeer({ folder, port }: Place, state: string, ...args: string[]): ClassicPeer {
  const sadb = `${folder}/sadb`;
  Deno.writeTextFileSync(sadb, HELD.map((name) => `${encodeHex(rawVector(name))}\n`).join(""));
  const given = ["--listen", P, "--peer", D, "--port", `${port}`, "--state", state, "--sadb", sadb];
  return new ClassicPeer(...given, ...(args.includes("--key") ? [] : ["--key", KEY]), ...args);
}

function configuration(
  { port, folder }: Place,
  mode: "master" | "slave",
  key: string = KEY,
  peerPort = port,
): string {
  return [
    `mode ${mode}`,
    `listen on ${D} port ${port}`,
    `peer ${P} port ${peerPort}`,
    `sharedkey ${key}`,
    "protocol classic",
    "kernel memory openbsd",
    "control none",
    "user nobody",
    `control socket ${folder}/${mode}.control`,
    "",
  ].join("\n");
}

/** The compiled program as slave. */
function startSlave(place: Place, key?: string): Daemon {
  const file = `${place.folder}/slave.conf`;
  Deno.writeTextFileSync(file, configuration(place, "slave", key), { mode: 0o600 });
  return new Daemon(file);
}

/** What the peer saw and said is what it was when somebody looked at it closely. */
function assertGolden(name: string, { transcript }: ClassicPeer): void {
  const file = new URL(`../../golden/classic/${name}.txt`, import.meta.url);
  if (Deno.env.get("GOLDEN") === "write") Deno.writeTextFileSync(file, transcript);
  assertEquals(transcript, Deno.readTextFileSync(file));
}

for (const [cipher, key] of Object.entries(KEYS)) {
  test(`sasyncd as slave of an original: snapshot, changes, end (${cipher})`, async (place) => {
    const peer = startPeer(place, "MASTER", "--key", key);
    await peer.waitFor("-- listening");
    const daemon = startSlave(place, key);
    await daemon.waitFor(/synchronised with 127.0.0.1: 3 records/);
    await peer.do(`pfkey ${encodeHex(rawVector("ESP with AES-256"))}`);
    await peer.do(`pfkey ${encodeHex(rawVector("reply to DELFLOW"))}`);
    await peer.waitFor("> PFKEY X_DELFLOW");
    assertEquals((await daemon.end("SIGTERM")).code, 0);
    await peer.waitFor("-- removed");
    assertEquals(await peer.end(), 0);
    assertGolden("slave", peer);
    assertEquals(daemon.log.split("it hides what is sent, and no more").length, 2, "said once");
  });
}

test("sasyncd as slave asks an original that becomes master for its snapshot", async (place) => {
  const peer = startPeer(place, "SLAVE");
  await peer.waitFor("-- listening");
  const daemon = startSlave(place);
  await peer.waitFor("> ACK");
  await new Promise((resolve) => setTimeout(resolve, 2500)); // the snapshot's time has gone by
  await peer.do("state MASTER");
  await daemon.waitFor(/synchronised with 127.0.0.1: 3 records/);
  await daemon.end("SIGTERM");
  assertEquals(await peer.end(), 0);
  assertGolden("promoted", peer);
});

test("sasyncd as slave reads the connection that an original has accepted, though it dialled too", async (place) => {
  const peer = startPeer(place, "MASTER", "--wait", "--connect");
  await peer.waitFor("-- listening");
  const daemon = startSlave(place);
  await daemon.waitFor(/connected, classic protocol/);
  await peer.do("");
  await daemon.waitFor(/synchronised with 127.0.0.1: 3 records/);
  await peer.waitFor("> ENDSNAP", 2);
  await daemon.end("SIGTERM");
  assertEquals(await peer.end(), 0);
  assertGolden("both_dial_slave", peer);
});

test("sasyncd as master of an original that has dialled: snapshot, changes, end", async (place) => {
  const daemon = new LocalDaemon(configuration(place, "master", KEY, place.port + 1), HELD.map(put));
  await daemon.waitFor(/master in epoch/);
  const peer = startPeer(
    { ...place, port: place.port + 1 },
    "SLAVE",
    ...["--peer-port", `${place.port}`, "--connect", "--record", `${place.folder}/taken`],
  );
  await peer.waitFor("< ENDSNAP");
  daemon.disturb(put("ESP with AES-256"), { kind: "delete-sa", id: saIdOf("ESP with AES-128") });
  await peer.waitFor("< PFKEY DELETE");
  await daemon.end();
  await peer.waitFor("-- removed");
  assertEquals(await peer.end(), 0);
  assertGolden("master", peer);
  const taken = Deno.readTextFileSync(`${place.folder}/taken`).trimEnd().split("\n");
  assertEquals(taken.length, 6);
});

test("sasyncd as master says everything on the connection that an original has accepted", async (place) => {
  const peer = startPeer(place, "SLAVE", "--wait", "--connect");
  await peer.waitFor("-- listening");
  const daemon = new LocalDaemon(configuration(place, "master"), HELD.map(put));
  await daemon.waitFor(/connected, classic protocol/);
  await peer.do("");
  await peer.waitFor("< ENDSNAP");
  await daemon.end();
  assertEquals(await peer.end(), 0);
  // the peer's first word makes it master, and comes on two ways at once: so the answer can stand in two places
  peer.transcript = peer.transcript.replace(/< ACK 1 (INIT|MASTER)\n/, "");
  assertGolden("both_dial_master", peer);
});

test("sasyncd as master meets an original that is master too, and does not make it fail", async (place) => {
  const peer = startPeer(place, "MASTER", "--locked");
  await peer.waitFor("-- listening");
  const daemon = new LocalDaemon(configuration(place, "master"), HELD.map(put));
  await peer.waitFor("> ENDSNAP");
  await daemon.waitFor(/^error: peer 127.0.0.1: is master, and so is this node/);
  await daemon.end();
  await peer.waitFor("-- removed");
  assertEquals(await peer.end(), 0);
  assertGolden("two_masters", peer);
});

for (
  const [what, command, pattern] of [
    ["a wrong hash", `raw ${OF_ANOTHER_KEY}`, /sends a frame with a wrong hash/],
    ["too much padding", `frame 0 20 ${"00".repeat(16)}`, /sends a frame with 20 bytes of padding in 16/],
    ["an unknown type", `frame 7 4 ${"00".repeat(16)}`, /sends a frame of type 7/],
    ["a length that is too great", "raw 0000103c", /sends a frame of 4156 bytes/],
    ["a length that is too small", "raw 00000010", /sends a frame of 16 bytes/],
    ["a part of a frame and then nothing", "raw 0000003c0000", /stops within a frame/],
  ] as const
) {
  test(`sasyncd ends a connection that brings ${what}, and makes another one`, async (place) => {
    const peer = startPeer(place, "MASTER");
    await peer.waitFor("-- listening");
    const daemon = startSlave(place);
    await daemon.waitFor(/synchronised with/);
    await peer.do(command);
    await daemon.waitFor(pattern);
    await daemon.waitFor(/synchronised with/, 2);
    await peer.waitFor("-- connected by the peer", 2);
    assertEquals((await daemon.end("SIGTERM")).code, 0);
    assertEquals(await peer.end(), 0);
  });
}

test("sasyncd survives a reset in the middle of a frame", async (place) => {
  const peer = startPeer(place, "MASTER");
  await peer.waitFor("-- listening");
  const daemon = startSlave(place);
  await daemon.waitFor(/synchronised with/);
  await peer.do("raw 0000003c00000000");
  await peer.do("reset");
  await daemon.waitFor(/disconnected, connection closed: ECONNRESET/);
  await daemon.waitFor(/synchronised with/, 2);
  assertEquals((await daemon.end("SIGTERM")).code, 0);
  assertEquals(await peer.end(), 0);
});

test("two processes of sasyncd speak classic with each other, and end in order", async (place) => {
  const slave = startSlave(place);
  const file = `${place.folder}/master.conf`;
  const text = configuration(place, "master").replace(D, "x").replace(P, D).replace("x", P);
  Deno.writeTextFileSync(file, text, { mode: 0o600 });
  const master = new Daemon(file);
  await slave.waitFor(/synchronised with 127.0.0.1: 0 records/);
  const [first, second] = [await master.end("SIGTERM"), await slave.end("SIGTERM")];
  assertEquals([first.code, second.code], [0, 0]);
  for (const { log } of [master, slave]) assertEquals(log.match(/sends|broken|fault/g), null, log);
});

test("sasyncd with another key is refused by name", async (place) => {
  const peer = startPeer(place, "MASTER");
  await peer.waitFor("-- listening");
  const daemon = startSlave(place, KEYS["AES-256"]);
  await peer.waitFor("!! got bad message");
  await peer.do(`frame 0 4 ${"00".repeat(16)}`);
  await daemon.waitFor(/peer 127.0.0.1: sends a frame with a wrong hash: has it another shared key\?/);
  assertEquals((await daemon.end("SIGTERM")).code, 0);
  assertEquals(await peer.end(), 0);
});

test("an original that goes on sending while sasyncd ends does not die of it", async (place) => {
  const peer = startPeer(place, "MASTER");
  await peer.waitFor("-- listening");
  const daemon = startSlave(place);
  await daemon.waitFor(/synchronised with/);
  const message = encodeHex(rawVector("ESP with AES-256"));
  const sending = async () => {
    for (let i = 0; i < 200; i++) await peer.do(`pfkey ${message}`);
  };
  const [{ code, tookMs }] = await Promise.all([daemon.end("SIGTERM"), sending()]);
  assertEquals(code, 0);
  assert(tookMs < 1000, `end took ${tookMs} ms`);
  await peer.waitFor("-- removed: end of file");
  assertEquals(await peer.end(), 0);
});

test("the classic protocol is refused by name where there is no OpenBSD kernel", async (place) => {
  const file = `${place.folder}/linux.conf`;
  const text = configuration(place, "slave").replace("kernel memory openbsd", "kernel memory");
  Deno.writeTextFileSync(file, text, { mode: 0o600 });
  const { code, stderr } = await execute(EXECUTABLE, "-d", "-c", file);
  assertEquals(code, 1);
  assertMatch(stderr, /protocol classic cannot be spoken here: .*OpenBSD.* linux with kernel memory/);
});

function saIdOf(name: string) {
  const identity = identityOf(rawRecord(name));
  if (identity.kind !== "sa") throw new Error(`${name} is no SA`);
  return identity.id;
}
