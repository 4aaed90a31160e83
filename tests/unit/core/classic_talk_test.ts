/** The talk with a classic peer: what it says when, and what the node is told. */

import { assertEquals } from "@std/assert";
import { ClassicTalk, SNAPSHOT_MS } from "../../../src/core/classic_talk.ts";
import { FLUSH_QUIET_MS } from "../../../src/core/classic_taker.ts";
import type { ListEnd } from "../../../src/core/follower.ts";
import type { RawEncoded, RawMessages } from "../../../src/core/raw_messages.ts";
import type { Role } from "../../../src/ports.ts";
import { encodeContent, encodeIdentity, encodeVolatile } from "../../../src/record/encoding.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import type { ClassicMessage, ReceivedMessage } from "../../../src/wire/classic/message.ts";
import type { Change, Message } from "../../../src/wire/native/message.ts";
import { OPENBSD_MESSAGES } from "../../../src/pfkey/openbsd_constants.ts";
import { RAW, rawRecord, rawVector } from "../../fakes/classic.ts";

const SA = "ESP with AES-128";
const FLOW = "flow out, use";
const FLUSH = RAW.flush(0);

/** One talk: what it said and told since it was last asked, in words. */
class Conversation {
  role: Role = "SLAVE";
  nowMs = 100_000;
  readonly talk: ClassicTalk;
  readonly held = new Map<string, number>();
  #done: string[] = [];

  constructor(options: { flushes?: boolean; slaveOnly?: boolean; raw?: RawMessages } = {}) {
    const { flushes = true, slaveOnly = false, raw = RAW } = options;
    this.talk = new ClassicTalk({
      raw,
      flushes,
      slaveOnly,
      port: {
        role: () => this.role,
        send: (message) => this.#done.push(`> ${nameOf(message)}`),
        tell: (message) => this.#done.push(nameOfTold(message)),
        redial: (reason) => this.#done.push(`redial: ${reason}`),
        rankOf: (key) => this.held.get(key) ?? 77,
        holds: (key) => this.held.has(key),
        warn: (_topic, text) => this.#done.push(`warn: ${text}`),
        detail: (text) => this.#done.push(`detail: ${text}`),
      },
    });
  }

  /** What was done since the last time. */
  get done(): string[] {
    return this.#done.splice(0);
  }

  hear(...messages: (ReceivedMessage | Uint8Array | Role)[]): string[] {
    for (const message of messages) {
      if (typeof message === "string") this.talk.hear({ type: "state", role: message }, this.nowMs);
      else if (message instanceof Uint8Array) this.talk.hear({ type: "pfkey", bytes: message }, this.nowMs);
      else this.talk.hear(message, this.nowMs);
    }
    return this.done;
  }

  say(...messages: Message[]): string[] {
    for (const message of messages) this.talk.say(message, this.nowMs);
    return this.done;
  }

  wait(ms: number): string[] {
    this.nowMs += ms;
    this.talk.tick(this.nowMs);
    return this.done;
  }

  /** A new connection. */
  open(dialled: boolean): string[] {
    this.talk.opened(dialled, this.nowMs);
    return this.done;
  }

  /** Connected with a master, which is followed. */
  follow(): void {
    this.open(true);
    this.hear({ type: "ack", of: 1, role: "MASTER" });
    this.say(WANT);
  }

  /** Connected with a slave, as master, before any snapshot. */
  lead(): void {
    this.role = "MASTER";
    this.open(true);
    this.hear({ type: "ack", of: 1, role: "SLAVE" });
  }
}

const WANT: Message = { type: "want", identities: [] };
const ENDSNAP: ReceivedMessage = { type: "endsnap" };
const END: Change = { type: "snapshot-end", change: 9, count: 1, digest: new Uint8Array(16) };
const BEGIN: Change = { type: "snapshot-begin", change: 1, epoch: 1 };
const STATE: Message = {
  type: "state",
  role: "SLAVE",
  epoch: 1,
  greatestEpoch: 1,
  master: new Uint8Array(16),
  following: false,
  demotion: "none",
};

function putOf(record: IpsecRecord, rank = 1): Change {
  const [content, volatile] = [encodeContent(record), encodeVolatile(record)];
  return { type: "put", change: 5, kind: record.kind, rank, content, volatile };
}

function deleteOf(record: IpsecRecord): Change {
  return { type: "delete", change: 6, kind: record.kind, identity: encodeIdentity(identityOf(record)) };
}

function nameOf(message: ClassicMessage): string {
  if (message.type === "state") return `STATE ${message.role}`;
  if (message.type === "error") return `ERROR ${message.cause}`;
  if (message.type === "ack") return `ACK ${message.of} ${message.role}`;
  if (message.type === "endsnap") return "ENDSNAP";
  const [, type, , satype] = message.bytes;
  const name = Object.entries(OPENBSD_MESSAGES).find(([, number]) => number === type)?.[0];
  return `${name} ${satype}`;
}

function nameOfTold(message: Message | ListEnd): string {
  if (message.type === "state") return `state ${message.role}`;
  if (message.type === "list-end") return message.whole ? "end of a whole list" : "end of a list";
  if (message.type === "put") return `put ${message.kind} rank ${message.rank}`;
  if (message.type === "delete") return `delete ${message.kind}`;
  if (message.type === "flush") return `flush ${message.kind} ${message.selector}`;
  if (message.type === "ack") return `ack ${message.change}`;
  return message.type;
}

Deno.test("ClassicTalk: who dials says its state, who is dialled waits to be asked", () => {
  const talk = new Conversation();
  assertEquals(talk.open(true), ["> STATE SLAVE"]);
  assertEquals(talk.open(false), []);
  assertEquals(talk.hear("SLAVE"), ["> ACK 1 SLAVE", "state SLAVE"]);
  assertEquals(talk.hear({ type: "ack", of: 1, role: "MASTER" }), ["state MASTER"]);
  assertEquals(talk.hear({ type: "ack", of: 4, role: "SLAVE" }), [], "another message's");
});

Deno.test("ClassicTalk tells the peer of a new role, and of nothing else that the node states", () => {
  const talk = new Conversation();
  talk.open(false);
  assertEquals(talk.say(STATE), []);
  talk.role = "MASTER";
  assertEquals(talk.say(STATE, STATE), ["> STATE MASTER"]);
  assertEquals(talk.wait(SNAPSHOT_MS), ["want"], "and gives a snapshot, which the original does not");
});

Deno.test("ClassicTalk remembers the peer's role over connections, as the original does", () => {
  const talk = new Conversation();
  talk.open(true);
  talk.hear("MASTER");
  talk.talk.closed();
  assertEquals(talk.open(false), ["state MASTER"]);
});

Deno.test("ClassicTalk: master meets master, and says so with an error", () => {
  const talk = new Conversation();
  talk.role = "MASTER";
  talk.open(false);
  assertEquals(talk.hear("MASTER"), ["> ERROR 1", "state MASTER"]);
  assertEquals(talk.wait(SNAPSHOT_MS), [], "no snapshot: a locked original would fail by the answers");
  assertEquals(talk.hear(rawVector(SA), rawVector(SA)), ["> STATE MASTER"], "one answer a second");
  assertEquals(talk.hear("SLAVE"), ["> ACK 1 MASTER", "state SLAVE"]);
  assertEquals(talk.wait(SNAPSHOT_MS), ["want"], "it had none before");
});

Deno.test("ClassicTalk takes data of a master only, and not when it is to be a slave", () => {
  const talk = new Conversation();
  talk.open(true);
  assertEquals(talk.hear(rawVector(SA)), ["> ERROR 0"]);
  assertEquals(talk.hear(rawVector(SA)), []);
  talk.nowMs += 1000;
  assertEquals(talk.hear(rawVector(SA)), ["> ERROR 0"]);
  assertEquals(talk.hear(ENDSNAP), []);
  const other = new Conversation({ slaveOnly: true });
  other.open(true);
  other.hear({ type: "ack", of: 1, role: "MASTER" });
  assertEquals(other.hear(rawVector(SA)), ["> ERROR 0"]);
});

for (
  const [what, messages, told] of [
    [
      "a snapshot with a flush",
      [FLUSH, rawVector(SA), rawVector(FLOW), ENDSNAP],
      ["snapshot-begin", "put sa rank 77", "put policy rank 77", "end of a whole list"],
    ],
    ["a snapshot without", [rawVector(SA), ENDSNAP], ["put sa rank 77", "end of a list"]],
    ["a second snapshot without", [ENDSNAP, rawVector(SA), ENDSNAP], ["end of a list", "put sa rank 77"]],
    ["a hard expiry", [rawVector("EXPIRE hard")], ["delete sa"]],
    ["a flow's end", [rawVector("reply to DELFLOW")], ["delete policy"]],
    ["a flush of ESP", [RAW.flush(50)], ["flush sa 50"]],
    ["a failed ADD, which the original forwards too", [rawVector("EEXIST of ADD")], []],
    ["a soft expiry", [rawVector("EXPIRE soft")], []],
    [
      "what cannot be taken",
      [rawVector("ESP with DES, of 2010")],
      ["warn: sends sa 198.51.100.7 50 1036 0/0 0, which cannot be taken: encryption algorithm 2 is not known"],
    ],
    [
      "what is no message",
      [new Uint8Array(3)],
      ["warn: sends what cannot be read: Cannot decode sadb_msg: need 1 bytes at offset 3, have 0"],
    ],
  ] satisfies [string, (ReceivedMessage | Uint8Array)[], string[]][]
) {
  Deno.test(`ClassicTalk takes from the master that is followed: ${what}`, () => {
    const talk = new Conversation();
    talk.follow();
    assertEquals(talk.hear(...messages), told);
  });
}

Deno.test("ClassicTalk keeps the rank of a record that the node knows", () => {
  const talk = new Conversation();
  talk.held.set(recordKey(rawRecord(SA)), 5);
  talk.follow();
  assertEquals(talk.hear(rawVector(SA)), ["put sa rank 5"]);
});

Deno.test("ClassicTalk carries out a flush that no snapshot follows when all is quiet", () => {
  const talk = new Conversation();
  talk.follow();
  talk.hear(ENDSNAP);
  assertEquals(talk.hear(FLUSH), ["snapshot-begin"]);
  assertEquals(talk.wait(FLUSH_QUIET_MS - 1), []);
  assertEquals(talk.hear(rawVector(SA)), ["put sa rank 77"]);
  assertEquals(talk.wait(FLUSH_QUIET_MS - 1), []);
  assertEquals(talk.wait(1), ["end of a whole list"]);
});

Deno.test("ClassicTalk sweeps nothing when a snapshot breaks off", () => {
  const talk = new Conversation();
  talk.follow();
  talk.hear(FLUSH, rawVector(SA));
  talk.talk.left(false, talk.nowMs);
  assertEquals(talk.done, ["end of a list"]);
  talk.hear(FLUSH, rawVector(SA));
  talk.talk.closed();
  assertEquals(talk.done, []);
  assertEquals(talk.wait(FLUSH_QUIET_MS), []);
});

Deno.test("ClassicTalk waits for the snapshot of a new connection, and dials anew on an old one", () => {
  const talk = new Conversation();
  talk.open(true);
  talk.hear({ type: "ack", of: 1, role: "MASTER" });
  talk.nowMs += 1000;
  assertEquals(talk.say(WANT), ["snapshot-begin"]);
  talk.nowMs += 1000;
  assertEquals(talk.say(WANT), ["snapshot-begin", "redial: a snapshot is wanted"]);
});

Deno.test("ClassicTalk does not take data that the node has not asked for", () => {
  const talk = new Conversation();
  talk.open(true);
  talk.hear({ type: "ack", of: 1, role: "MASTER" });
  assertEquals(talk.hear(FLUSH, rawVector(SA), ENDSNAP), []);
});

for (
  const [cause, answer] of [[1, ["warn: sends nonsense", "> ERROR 1"]], [undefined, [
    "warn: sends nonsense",
  ]]] as const
) {
  Deno.test(`ClassicTalk answers what is unclear with error ${cause}`, () => {
    assertEquals(new Conversation().hear({ type: "unclear", what: "nonsense", cause }), [...answer]);
  });
}

Deno.test("ClassicTalk learns from the error of a master that the peer is one", () => {
  const talk = new Conversation();
  talk.role = "MASTER";
  talk.open(true);
  const said = talk.hear({ type: "error", cause: 1 });
  const warning = "warn: is master, and so is this node";
  assertEquals(said, ["detail: answers with error 1", warning, "state MASTER"]);
  assertEquals(talk.wait(SNAPSHOT_MS), []);
});

Deno.test("ClassicTalk says what an error of the peer was, and does nothing", () => {
  assertEquals(new Conversation().hear({ type: "error", cause: 1 }), ["detail: answers with error 1"]);
});

Deno.test("ClassicTalk asks the node for a snapshot two seconds after the last connection, as master", () => {
  const talk = new Conversation();
  talk.open(false);
  assertEquals(talk.wait(SNAPSHOT_MS), [], "a slave gives none");
  talk.role = "MASTER";
  assertEquals(talk.wait(SNAPSHOT_MS), [], "and who becomes master later has to be told first");
  talk.open(false);
  talk.nowMs += 500;
  talk.open(false);
  assertEquals(talk.talk.dueMs, talk.nowMs + SNAPSHOT_MS);
  assertEquals(talk.wait(1500), []);
  assertEquals(talk.wait(500), ["want"]);
  assertEquals(talk.talk.dueMs, Infinity);
});

for (const [flushes, start] of [[true, ["> SADB_FLUSH 0"]], [false, []]] as const) {
  Deno.test(`ClassicTalk gives a snapshot ${flushes ? "with" : "without"} a flush, and acknowledges for the peer`, () => {
    const talk = new Conversation({ flushes });
    talk.lead();
    assertEquals(talk.say(BEGIN, putOf(rawRecord(SA)), putOf(rawRecord(FLOW)), END), [
      ...[...start, "ack 1"],
      ...["> SADB_ADD 2", "ack 5"],
      ...["> SADB_X_ADDFLOW 2", "ack 5"],
      ...["> ENDSNAP", "ack 9"],
    ]);
  });
}

Deno.test("ClassicTalk says an update as ADD, and deletes first what was made anew", () => {
  const talk = new Conversation();
  talk.lead();
  talk.say(BEGIN, putOf(rawRecord(SA), 1), END);
  const sent = (...changes: Change[]) => talk.say(...changes).filter((line) => line.startsWith(">"));
  assertEquals(sent(putOf(rawRecord(SA), 1)), ["> SADB_ADD 2"]);
  assertEquals(sent(putOf(rawRecord(SA), 2)), ["> SADB_DELETE 2", "> SADB_ADD 2"]);
  assertEquals(sent(putOf(rawRecord(FLOW), 3), putOf(rawRecord(FLOW), 4)), [
    "> SADB_X_ADDFLOW 2",
    "> SADB_X_ADDFLOW 2",
  ]);
  assertEquals(sent(deleteOf(rawRecord(SA)), deleteOf(rawRecord(FLOW))), [
    "> SADB_DELETE 2",
    "> SADB_X_DELFLOW 2",
  ]);
  assertEquals(sent(putOf(rawRecord(SA), 5)), ["> SADB_ADD 2"]);
});

Deno.test("ClassicTalk says a flush of SAs by protocol, and of policies one by one", () => {
  const talk = new Conversation();
  talk.lead();
  const other = rawRecord("flow in, use");
  talk.say(BEGIN, putOf(rawRecord(SA)), putOf(rawRecord(FLOW)), putOf(other), END);
  const flush = (kind: "sa" | "policy", selector: number) =>
    talk.say({ type: "flush", change: 3, kind, selector }).filter((line) => line.startsWith(">"));
  assertEquals(flush("sa", 51), ["> SADB_FLUSH 1"]);
  assertEquals(flush("sa", 0), ["> SADB_FLUSH 2", "> SADB_FLUSH 1", "> SADB_FLUSH 9"]);
  talk.held.set(recordKey(other), 1);
  assertEquals(flush("policy", 255), ["> SADB_X_DELFLOW 2"]);
  assertEquals(flush("policy", 255), []);
});

for (
  const [what, encoded, warning] of [
    ["has no form", { ok: false, reason: "no such thing" }, "no such thing"],
    ["is too long", { ok: true, bytes: new Uint8Array(4097) }, "it is too long for the classic protocol"],
  ] satisfies [string, RawEncoded, string][]
) {
  Deno.test(`ClassicTalk does not send what ${what}`, () => {
    const talk = new Conversation({ raw: { ...RAW, put: () => encoded } });
    talk.lead();
    assertEquals(talk.say(putOf(rawRecord(SA))), [
      `warn: cannot be sent SA esp 0x00001013 to 198.51.100.7: ${warning}`,
      "ack 5",
    ]);
  });
}

Deno.test("ClassicTalk says its state and gives a snapshot again when the connection is another", () => {
  const talk = new Conversation();
  talk.lead();
  talk.wait(SNAPSHOT_MS);
  talk.talk.left(true, talk.nowMs);
  assertEquals(talk.done, ["> STATE MASTER"]);
  assertEquals(talk.wait(SNAPSHOT_MS), ["want"]);
});
