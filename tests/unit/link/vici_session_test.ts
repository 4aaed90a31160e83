import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError, IkeError } from "../../../src/errors.ts";
import { CMD_RESPONSE, EVENT } from "../../../src/link/vici.ts";
import {
  command,
  failureOf,
  list,
  textOf,
  ViciSession,
  type ViciTalk,
} from "../../../src/link/vici_session.ts";
import { decodeHex } from "../../fakes/hex.ts";
import { VICI_VECTORS } from "../../vectors/vici_vectors.ts";

/** Frames as charon sends them. */
function stream(...frames: readonly string[]): Uint8Array {
  return decodeHex(frames.map((frame) => (frame.length / 2).toString(16).padStart(8, "0") + frame).join(""));
}

function sendAll(session: ViciSession): string {
  const text = new TextDecoder().decode(session.output);
  session.sent(session.output.length);
  return text;
}

Deno.test("ViciSession asks one thing at a time, and gives events to who has asked for them", () => {
  const names: string[] = [];
  function* talk(): ViciTalk<void> {
    names.push(
      ...yield* list("list-policies", "list-policy", { trap: "yes" }, (message) => [...message.keys()]),
    );
    const failure = failureOf(yield* command("install", { child: "net" }));
    names.push(failure ?? "");
  }
  const session = new ViciSession(talk());
  assertEquals(sendAll(session).slice(5), "\vlist-policy");
  session.receive(stream(VICI_VECTORS.confirm));
  assertEquals(sendAll(session).includes("list-policies"), true);
  session.receive(stream(VICI_VECTORS.listPolicy, VICI_VECTORS.listPolicy, VICI_VECTORS.end));
  assertEquals([names, session.isOver], [["lab/net", "lab/net"], false]);
  assertEquals(sendAll(session).includes("install"), true);
  session.receive(stream(VICI_VECTORS.refused));
  assertEquals([names.at(-1), session.isOver], ["configuration name not found", true]);
  assertThrows(
    () => session.receive(stream(VICI_VECTORS.end)),
    DecodeError,
    `type ${CMD_RESPONSE} answers nothing`,
  );
});

Deno.test("ViciSession refuses an answer to what has not been sent in full", () => {
  const session = new ViciSession(ask("stats"));
  session.sent(session.output.length - 1);
  assertThrows(() => session.receive(stream(VICI_VECTORS.end)), DecodeError, "answers nothing");
});

Deno.test("ViciSession passes over events that nobody has asked for", () => {
  const session = new ViciSession(ask("stats"));
  sendAll(session);
  session.receive(stream(VICI_VECTORS.listPolicy, VICI_VECTORS.end));
  assertEquals([decodeHex(VICI_VECTORS.listPolicy)[0], session.isOver], [EVENT, true]);
});

for (
  const [what, talk, answer] of [
    ["command", () => ask("stats"), VICI_VECTORS.unknownCommand],
    ["event", () => list("list-sas", "list-sa", {}, () => []), VICI_VECTORS.unknownEvent],
  ] as const
) {
  Deno.test(`ViciSession tells of an unknown ${what}`, () => {
    const session = new ViciSession(ignore(talk()));
    sendAll(session);
    assertThrows(() => session.receive(stream(answer)), IkeError, `charon does not know the ${what}`);
  });
}

Deno.test("failureOf() and textOf() take nothing for granted", () => {
  assertEquals(failureOf(new Map()), "no reason given");
  assertEquals(failureOf(new Map([["success", "yes"]])), undefined);
  assertEquals(textOf(new Map([["a", ["b"]]]), "a"), undefined);
});

function ask(name: string): ViciTalk<void> {
  return ignore(command(name, {}));
}

function* ignore(talk: ViciTalk<unknown>): ViciTalk<void> {
  yield* talk;
}
