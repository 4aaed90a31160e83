/** Which endpoints a slave has to guard. */

import { assertEquals } from "@std/assert";
import { GuardBook } from "../../../src/core/guard_book.ts";
import { formatAddress, parsePrefix } from "../../../src/record/address.ts";
import { DIRECTION, type Policy } from "../../../src/record/policy.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import { MODE, type Sa, SA_DIRECTION } from "../../../src/record/sa.ts";
import { addr, samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../../fakes/records.ts";

const OURS = "192.0.2.1";
const THEIRS = "198.51.100.1";

/** An SA from us to them. */
function sa(overrides: Partial<Sa> = {}): IpsecRecord {
  return { kind: "sa", sa: sampleSa({ src: addr(OURS), dst: addr(THEIRS), ...overrides }) };
}

/** The SA that comes back. */
function back(overrides: Partial<Sa> = {}): IpsecRecord {
  return sa({ src: addr(THEIRS), dst: addr(OURS), ...overrides });
}

function policy(direction: number, src: string, dst: string, overrides: Partial<Policy> = {}): IpsecRecord {
  const templates = [sampleTemplate({ src: addr(src), dst: addr(dst) })];
  return { kind: "policy", policy: samplePolicy({ direction, templates, ...overrides }) };
}

/** A transport policy of two hosts, or networks. */
function transport(direction: number, src: string, dst: string): IpsecRecord {
  const from = parsePrefix(src)!;
  const to = parsePrefix(dst)!;
  return policy(direction, "0.0.0.0", "0.0.0.0", {
    templates: [sampleTemplate({ src: addr("0.0.0.0"), dst: addr("0.0.0.0"), mode: MODE.TRANSPORT })],
    selector: sampleSelector({ src: from.address, srcBits: from.bits, dst: to.address, dstBits: to.bits }),
  });
}

const OUT = policy(DIRECTION.OUT, OURS, THEIRS);
const inTransport = { mode: MODE.TRANSPORT };

const rows: [what: string, records: IpsecRecord[], guarded: string[], shared?: string[]][] = [
  ["nothing", [], []],
  ["nothing for tunnel SAs alone: no policy leads to them", [sa(), back()], []],
  ["the source of an outbound tunnel policy", [OUT], [OURS]],
  ["the destination of an inbound tunnel policy", [policy(DIRECTION.IN, THEIRS, OURS)], [OURS]],
  ["the destination of a forward tunnel policy", [policy(DIRECTION.FWD, THEIRS, OURS)], [OURS]],
  ["our end once for both directions", [OUT, policy(DIRECTION.IN, THEIRS, OURS)], [OURS]],
  ["our end of a beet policy", [
    policy(DIRECTION.OUT, OURS, THEIRS, {
      templates: [sampleTemplate({ src: addr(OURS), mode: MODE.BEET })],
    }),
  ], [OURS]],
  ["our end of an IPv6 tunnel", [policy(DIRECTION.OUT, "2001:db8::1", "2001:db8::2")], ["2001:db8::1"]],
  ["the ends of every template", [
    policy(DIRECTION.OUT, OURS, THEIRS, {
      templates: [sampleTemplate({ src: addr(OURS) }), sampleTemplate({ src: addr("192.0.2.9") })],
    }),
  ], [OURS, "192.0.2.9"]],
  ["nothing for a policy without templates", [policy(DIRECTION.OUT, OURS, THEIRS, { templates: [] })], []],
  ["nothing for a tunnel from anywhere", [policy(DIRECTION.OUT, "0.0.0.0", THEIRS)], []],
  ["nothing for an IPv6 tunnel from anywhere", [policy(DIRECTION.OUT, "::", "2001:db8::2")], []],

  ["the source of an SA that says it goes out", [sa({ direction: SA_DIRECTION.OUT })], [OURS]],
  ["nothing for an SA that says it comes in", [back({ direction: SA_DIRECTION.IN })], []],
  ["the source of a transport SA: any policy may find it", [sa(inTransport)], [OURS]],
  ["both sources of transport SAs without a policy", [sa(inTransport), back(inTransport)], [OURS, THEIRS]],
  ["our end alone when a policy shows which side is ours", [
    sa(inTransport),
    back(inTransport),
    transport(DIRECTION.OUT, `${OURS}/32`, `${THEIRS}/32`),
  ], [OURS]],
  ["the same by an inbound policy", [
    sa(inTransport),
    back(inTransport),
    transport(DIRECTION.IN, `${THEIRS}/32`, `${OURS}/32`),
  ], [OURS]],
  ["both sources when the policy names networks", [
    sa(inTransport),
    back(inTransport),
    transport(DIRECTION.OUT, "192.0.2.0/24", "198.51.100.0/24"),
  ], [OURS, THEIRS]],
  ["the source of a beet SA", [sa({ mode: MODE.BEET })], [OURS]],

  ["with `shared`, our end within it", [OUT], [OURS], ["192.0.2.0/24"]],
  ["with `shared`, nothing outside of it", [sa(inTransport), back(inTransport)], [OURS], [`${OURS}/32`]],
  ["with `shared` elsewhere, nothing", [OUT], [], ["192.0.3.0/24"]],
];

for (const [what, records, guarded, shared = []] of rows) {
  Deno.test(`GuardBook.addresses() gives ${what}`, () => {
    const book = new GuardBook(shared.map((text) => parsePrefix(text)!));
    for (const [i, record] of records.entries()) book.set(String(i), record);
    assertEquals(book.addresses().map(formatAddress).toSorted(), guarded.toSorted());
    assertEquals(book.takeChanged(), guarded.length > 0);
    for (const i of records.keys()) book.delete(String(i));
    assertEquals(book.addresses(), []);
    assertEquals(book.takeChanged(), guarded.length > 0);
  });
}

Deno.test("GuardBook.takeChanged() is false for the second tunnel from the same address", () => {
  const book = new GuardBook([]);
  book.set("a", OUT);
  assertEquals([book.takeChanged(), book.takeChanged()], [true, false]);
  book.set("b", policy(DIRECTION.OUT, OURS, "198.51.100.2"));
  book.delete("a");
  assertEquals(book.takeChanged(), false);
  book.delete("b");
  assertEquals(book.takeChanged(), true);
});

Deno.test("GuardBook.set() replaces without a moment between", () => {
  const book = new GuardBook([]);
  book.set("a", OUT);
  book.takeChanged();
  book.set("a", policy(DIRECTION.OUT, OURS, "198.51.100.2"));
  assertEquals(book.takeChanged(), false);
  book.set("a", policy(DIRECTION.OUT, "192.0.2.9", THEIRS));
  assertEquals([book.takeChanged(), book.addresses().map(formatAddress)], [true, ["192.0.2.9"]]);
});

Deno.test("GuardBook.delete() knows nothing of a key that was never set", () => {
  const book = new GuardBook([]);
  book.delete("a");
  assertEquals(book.takeChanged(), false);
});

// --- which SAs this node would send on ---

const sendRows: [
  what: string,
  shared: string[],
  policies: IpsecRecord[],
  sends: [out: boolean, back: boolean],
][] = [
  ["any, as long as nothing is known", [], [], [true, true]],
  ["those whose source a policy calls ours", [], [policy(DIRECTION.OUT, OURS, THEIRS)], [true, false]],
  ["those whose source is shared", ["192.0.2.1/32"], [], [true, false]],
  ["those whose source is shared, whatever policies say", ["198.51.100.0/24"], [
    policy(DIRECTION.OUT, OURS, THEIRS),
  ], [
    false,
    true,
  ]],
];
for (const [what, shared, policies, sends] of sendRows) {
  Deno.test(`GuardBook.sendsOn() says yes to ${what}`, () => {
    const book = new GuardBook(shared.map((text) => parsePrefix(text)!));
    for (const record of policies) book.set("policy", record);
    const { src, dst } = sampleSa();
    assertEquals([book.sendsOn(sampleSa()), book.sendsOn(sampleSa({ src: dst, dst: src }))], sends);
  });
}

Deno.test("GuardBook.sendsOn() believes an SA that says its direction", () => {
  const book = new GuardBook([]);
  book.set("policy", policy(DIRECTION.OUT, OURS, THEIRS));
  const sends = [SA_DIRECTION.IN, SA_DIRECTION.OUT].map((direction) => book.sendsOn(sampleSa({ direction })));
  assertEquals(sends, [false, true]);
});
