import { assertEquals, assertThrows } from "@std/assert";
import { RuleGuard } from "../../../src/daemon/guard.ts";
import { DecodeError, KernelReplyError } from "../../../src/errors.ts";
import {
  NLM_F_DUMP,
  NLM_F_MULTI,
  NLMSG_DONE,
  NLMSG_ERROR,
  splitDatagram,
  writeMessage,
} from "../../../src/layout/netlink.ts";
import { Writer } from "../../../src/layout/writer.ts";
import { decodeGuardRule, encodeGuardRule, RTM_DELRULE, RTM_NEWRULE } from "../../../src/link/rules.ts";
import type { KernelSocket, Received } from "../../../src/ports.ts";
import { formatAddress } from "../../../src/record/address.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex, encodeHex } from "../../fakes/hex.ts";
import { addr } from "../../fakes/records.ts";

const OWNER = 0x1234;
const ENOENT = 2;
const EEXIST = 17;

/** NETLINK_ROUTE in memory, as far as the guard sees it. */
class FakeRules implements KernelSocket {
  readonly fd = 5;
  readonly portId = 5;
  /** Payloads of the rules that stand. */
  rules: Uint8Array[] = [];
  /** What was asked for, in its order. */
  readonly log: string[] = [];
  /** Errno for every change. */
  refusal = 0;
  #queue: Uint8Array[] = [];

  send(bytes: Uint8Array): void {
    for (const { type, flags, seq, body } of splitDatagram(bytes)) {
      const head = { flags: 0, seq, pid: this.portId };
      if ((flags & NLM_F_DUMP) === NLM_F_DUMP) {
        const found = this.rules.filter((rule) => rule[0] === body[0]);
        for (const rule of found) this.#push({ ...head, type: RTM_NEWRULE, flags: NLM_F_MULTI }, rule);
        this.#push({ ...head, type: NLMSG_DONE }, new Uint8Array(4));
      } else {this.#push(
          { ...head, type: NLMSG_ERROR },
          new Writer().i32(-this.#change(type, body)).zeros(16).finish(),
        );}
    }
  }

  receive(): Received {
    const bytes = this.#queue.shift();
    return bytes === undefined ? { kind: "empty" } : { kind: "data", bytes };
  }

  close(): void {}

  #change(type: number, body: Uint8Array): number {
    const address = decodeGuardRule(body)!;
    this.log.push(`${type === RTM_NEWRULE ? "+" : "-"}${formatAddress(address.address)}`);
    if (this.refusal !== 0) return this.refusal;
    const rest = this.rules.filter((other) => encodeHex(other) !== encodeHex(body));
    const stands = rest.length < this.rules.length;
    if (type === RTM_NEWRULE && stands) return EEXIST;
    if (type === RTM_DELRULE && !stands) return ENOENT;
    this.rules = type === RTM_NEWRULE ? [...rest, body.slice()] : rest;
    return 0;
  }

  #push(head: Parameters<typeof writeMessage>[1], body: Uint8Array): void {
    const writer = new Writer();
    writeMessage(writer, head, body);
    this.#queue.push(writer.finish());
  }
}

const A = addr("192.0.2.1");
const B = addr("192.0.2.2");
const C = addr("2001:db8::3");
/** `from all lookup main`, as Linux 6.1 dumps it. */
const MAIN_RULE = decodeHex(
  "02000000fe000001000000000800" + "0f00fe000000" + "08000600fe7f0000" + "0500150002000000",
);

Deno.test("RuleGuard.set() adds what is new before it removes what is not wanted any more", () => {
  const fake = new FakeRules();
  const guard = new RuleGuard(fake, OWNER);
  guard.set([A, C]);
  guard.set([C, B]);
  guard.set([C, B]);
  guard.set([]);
  assertEquals(fake.log, [
    "+192.0.2.1",
    "+2001:db8::3",
    "+192.0.2.2",
    "-192.0.2.1",
    "-2001:db8::3",
    "-192.0.2.2",
  ]);
  assertEquals(fake.rules, []);
});

Deno.test("RuleGuard.set() takes rules that stand already and that are gone already as done", () => {
  const fake = new FakeRules();
  const guard = new RuleGuard(fake, OWNER);
  fake.rules = [encodeGuardRule({ address: A, owner: OWNER })];
  guard.set([A, B]);
  fake.rules = [];
  guard.set([]);
  assertEquals(fake.rules, []);
});

Deno.test("RuleGuard.set() says what the kernel refuses, and tries it again", () => {
  const fake = new FakeRules();
  const guard = new RuleGuard(fake, OWNER);
  fake.refusal = 1;
  const error = assertThrows(() => guard.set([A]), KernelReplyError);
  assertEquals([error.request, error.errno], ["RTM_NEWRULE", "EPERM"]);
  fake.refusal = 0;
  guard.set([A]);
  assertEquals(fake.rules.length, 1);
});

Deno.test("RuleGuard.sweep() removes the rules of every daemon, and no others", () => {
  const fake = new FakeRules();
  new RuleGuard(fake, OWNER).set([A, C]);
  fake.rules = [MAIN_RULE, encodeGuardRule({ address: B, owner: OWNER + 1 }), ...fake.rules];
  const guard = new RuleGuard(fake, OWNER);
  guard.sweep("all");
  assertEquals(fake.rules, [MAIN_RULE]);
  guard.set([A]);
  assertEquals(fake.rules.length, 2);
});

Deno.test("decodeGuardRule() survives every damage", () => {
  for (const rule of [MAIN_RULE, encodeGuardRule({ address: A, owner: OWNER })]) {
    for (const damaged of damages(rule)) {
      try {
        decodeGuardRule(damaged);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  }
});
