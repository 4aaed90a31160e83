/** Which tunnels are negotiated anew and when, in time that only the test moves. */

import { assert, assertEquals } from "@std/assert";
import { Effects } from "../../../src/core/effect.ts";
import {
  type Child,
  type InheritedTunnel,
  RENEGOTIATE_AFTER_MS,
  RENEGOTIATED_WITHIN_MS,
  Renegotiation,
} from "../../../src/core/renegotiation.ts";
import type { Counters } from "../../../src/ports.ts";
import { parsePrefix } from "../../../src/record/address.ts";
import { addr } from "../../fakes/records.ts";

const HERE = "192.0.2.1";
const PEER = "198.51.100.1";
const NEAR = "10.1.0.0/16";
const STEP_MS = 100;

function tunnel(far: string, { src = HERE, dst = PEER, near = NEAR, spi = 16 } = {}): InheritedTunnel {
  const [local, remote] = [parsePrefix(near)!, parsePrefix(far)!];
  const selector = { src: local.address, srcBits: local.bits, dst: remote.address, dstBits: remote.bits };
  return { spi, src: addr(src), dst: addr(dst), selectors: [selector] };
}

const netOf = (text: string) => text === "dynamic" ? text : parsePrefix(text)!;

function childFor(
  child: string,
  far: string,
  { ike = "lab", locals = [HERE], remotes = [PEER], near = NEAR } = {},
) {
  return {
    ike,
    child,
    locals: locals.map(addr),
    remotes: remotes.map(addr),
    localNets: [netOf(near)],
    remoteNets: [netOf(far)],
  } satisfies Child;
}

/** A master that has inherited tunnels, the busiest first, and a charon that negotiates what it is told. */
class Reign {
  readonly effects = new Effects();
  readonly counters: Counters = {};
  readonly tunnels: Map<string, InheritedTunnel>;
  readonly renegotiation: Renegotiation;
  /** Names of children, with the time when they were to be initiated. */
  readonly initiated: string[] = [];
  /** Children that charon gets no new SAs for. */
  readonly dead = new Set<string>();
  /** SPIs that charon has itself. */
  readonly known = new Set<number>();
  isKnown = true;
  nowMs = 1_000_000;
  #startMs = this.nowMs;

  constructor(
    tunnels: Readonly<Record<string, InheritedTunnel>>,
    readonly children: readonly Child[],
    perSecond = 2,
  ) {
    this.tunnels = new Map(Object.entries(tunnels));
    const heritage = {
      busiest: () => this.isKnown ? [...this.tunnels.keys()] : undefined,
      tunnelOf: (key: string) => this.tunnels.get(key),
    };
    const { effects, counters } = this;
    this.renegotiation = new Renegotiation({ heritage, perSecond, effects, counters });
    this.renegotiation.begin(this.nowMs);
  }

  /** Does what the control does, whenever there is something to do. */
  wait(ms: number): this {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += STEP_MS) this.#turn();
    return this;
  }

  #turn(): void {
    if (!this.renegotiation.look(this.nowMs)) return;
    if (!this.renegotiation.knowsChildren) this.renegotiation.take(this.children, this.known);
    const next = this.renegotiation.next(this.nowMs);
    if (next === undefined) return;
    this.initiated.push(`${next.child} ${this.nowMs - this.#startMs - RENEGOTIATE_AFTER_MS}`);
    for (const [key, one] of this.tunnels) {
      const isIts = next.remoteNets.some((net) =>
        net !== "dynamic" && net.address.join() === one.selectors[0]!.dst.join()
      );
      if (isIts && !this.dead.has(next.child)) this.tunnels.delete(key);
    }
  }

  get names(): string[] {
    return this.initiated.map((one) => one.split(" ")[0]!);
  }

  logs(): string[] {
    return this.effects.take().flatMap((effect) => effect.kind === "log" ? [effect.text] : []);
  }
}

const [A, B, C] = ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"];
const THREE = { b: tunnel(B), a: tunnel(A), c: tunnel(C) };
const CHILDREN = [childFor("a", A), childFor("b", B), childFor("c", C)];

Deno.test("Renegotiation.next() gives the busiest first, at the rate, after the tail of the old master", () => {
  const reign = new Reign(THREE, CHILDREN).wait(RENEGOTIATE_AFTER_MS);
  assertEquals(reign.initiated, []);
  reign.wait(60_000);
  assertEquals(reign.initiated, ["b 0", "a 500", "c 1000"]);
  assertEquals(reign.logs(), [
    "inherited tunnels: 3 negotiated anew, 0 failed, 0 known to charon, 0 cannot be negotiated from here",
  ]);
  assertEquals(reign.counters, { "tunnels negotiated anew": 3 });
  assertEquals(reign.renegotiation.waitMs(reign.nowMs), Infinity);
});

Deno.test("Renegotiation.next() goes on behind a tunnel that fails, which is told and counted", () => {
  const reign = new Reign(THREE, CHILDREN);
  reign.dead.add("b");
  reign.wait(RENEGOTIATE_AFTER_MS + RENEGOTIATED_WITHIN_MS + 2000);
  assertEquals(reign.names, ["b", "a", "c"]);
  assertEquals(reign.logs(), [
    "lab/b was not negotiated anew within 30 s",
    "inherited tunnels: 2 negotiated anew, 1 failed, 0 known to charon, 0 cannot be negotiated from here",
  ]);
  assertEquals(reign.counters, { "tunnels negotiated anew": 2, "tunnels not negotiated anew": 1 });
  assertEquals(reign.renegotiation.waitMs(reign.nowMs), Infinity);
});

Deno.test("Renegotiation.refused() tells why, and the others go on", () => {
  const reign = new Reign({ a: tunnel(A) }, CHILDREN).wait(RENEGOTIATE_AFTER_MS);
  const { renegotiation, nowMs } = reign;
  renegotiation.take(CHILDREN, new Set());
  const child = renegotiation.next(nowMs);
  assertEquals(child?.child, "a");
  renegotiation.refused(child!, "not found");
  assertEquals(renegotiation.next(nowMs + 1000), undefined);
  assertEquals(reign.logs(), [
    "lab/a is not negotiated anew: not found",
    "inherited tunnels: 0 negotiated anew, 1 failed, 0 known to charon, 0 cannot be negotiated from here",
  ]);
});

Deno.test("Renegotiation.next() is as slow as it is told", () => {
  const reign = new Reign({ a: tunnel(A), b: tunnel(B) }, CHILDREN, 0.1).wait(RENEGOTIATE_AFTER_MS + 12_000);
  assertEquals(reign.initiated, ["a 0", "b 10000"]);
  assertEquals(reign.logs(), [
    "inherited tunnels: 2 negotiated anew, 0 failed, 0 known to charon, 0 cannot be negotiated from here",
  ]);
});

Deno.test("Renegotiation.end() ends it", () => {
  const reign = new Reign(THREE, CHILDREN).wait(RENEGOTIATE_AFTER_MS + 100);
  assertEquals(reign.names, ["b"]);
  reign.renegotiation.end();
  reign.wait(60_000);
  assertEquals(reign.names, ["b"]);
  assertEquals(reign.renegotiation.waitMs(reign.nowMs), Infinity);
  assertEquals(reign.logs(), []);
});

Deno.test("Renegotiation.hold() keeps still while a handover is under way", () => {
  const reign = new Reign(THREE, CHILDREN).wait(RENEGOTIATE_AFTER_MS + 100);
  reign.renegotiation.hold(true);
  reign.wait(10_000);
  assertEquals(reign.names, ["b"]);
  assert(reign.renegotiation.waitMs(reign.nowMs) > 0);
  reign.renegotiation.hold(false);
  reign.wait(10_000);
  assertEquals(reign.names, ["b", "a", "c"]);
});

Deno.test("Renegotiation.look() waits until it is known what was inherited", () => {
  const reign = new Reign(THREE, CHILDREN);
  reign.isKnown = false;
  reign.wait(60_000);
  assertEquals(reign.initiated, []);
  assert(reign.renegotiation.waitMs(reign.nowMs) > 0);
  reign.isKnown = true;
  reign.wait(5000);
  assertEquals(reign.names, ["b", "a", "c"]);
});

Deno.test("Renegotiation.look() asks charon nothing when nothing was inherited", () => {
  const reign = new Reign({}, CHILDREN);
  for (let i = 0; i < 300; i++) assertEquals(reign.renegotiation.look(reign.nowMs += STEP_MS), false);
  assertEquals(reign.renegotiation.waitMs(reign.nowMs), Infinity);
});

Deno.test("Renegotiation.next() leaves to charon what it has itself", () => {
  const reign = new Reign({ a: tunnel(A, { spi: 17 }), b: tunnel(B) }, CHILDREN);
  reign.known.add(17);
  reign.wait(RENEGOTIATE_AFTER_MS + 5000);
  assertEquals(reign.names, ["b"]);
  assertEquals(reign.logs(), [
    "inherited tunnels: 1 negotiated anew, 0 failed, 1 known to charon, 0 cannot be negotiated from here",
  ]);
});

Deno.test("Renegotiation.next() does not give the last one when it was replaced just before", () => {
  const reign = new Reign({ a: tunnel(A), b: tunnel(B) }, CHILDREN).wait(RENEGOTIATE_AFTER_MS + 300);
  assertEquals(reign.names, ["a"]);
  reign.tunnels.delete("b");
  reign.wait(10_000);
  assertEquals(reign.names, ["a"]);
});

Deno.test("Renegotiation.next() leaves out what the client has negotiated anew meanwhile", () => {
  const reign = new Reign(THREE, CHILDREN).wait(RENEGOTIATE_AFTER_MS + 100);
  reign.tunnels.delete("a");
  reign.wait(10_000);
  assertEquals(reign.names, ["b", "c"]);
});

Deno.test("Renegotiation.waitMs() has a steady pace also among thousands that lead nowhere", () => {
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`x${i}`, tunnel("10.9.0.0/16")]));
  const reign = new Reign({ ...many, a: tunnel(A) }, CHILDREN).wait(RENEGOTIATE_AFTER_MS + 100);
  assertEquals([reign.names, reign.renegotiation.waitMs(reign.nowMs)], [[], 0]);
  reign.wait(2000);
  assertEquals(reign.names, ["a"]);
});

/** A tunnel, what is configured, and what of that is initiated. */
const ROWS: readonly (readonly [what: string, InheritedTunnel, readonly Child[], string[]])[] = [
  ["another peer", tunnel(A, { dst: "198.51.100.2" }), [childFor("a", A)], []],
  ["another endpoint here", tunnel(A, { src: "192.0.2.9" }), [childFor("a", A)], []],
  ["any endpoint here", tunnel(A, { src: "192.0.2.9" }), [childFor("a", A, { locals: [] })], ["a"]],
  ["one of two peers", tunnel(A), [childFor("a", A, { remotes: ["198.51.100.2", PEER] })], ["a"]],
  ["other networks", tunnel(A), [childFor("b", B)], []],
  ["a network that the peer has narrowed", tunnel("10.2.3.0/24"), [childFor("a", A)], ["a"]],
  [
    "a network within another child's",
    tunnel("10.2.3.0/24"),
    [childFor("wide", A), childFor("exact", "10.2.3.0/24")],
    ["exact"],
  ],
  ["a wider network", tunnel("10.0.0.0/8"), [childFor("a", A)], []],
  ["two connections for the same", tunnel(A), [childFor("a", A), childFor("a", A, { ike: "other" })], []],
  ["hosts", tunnel(`${PEER}/32`, { near: `${HERE}/32` }), [childFor("h", "dynamic", { near: "dynamic" })], [
    "h",
  ]],
  ["a virtual address", tunnel("10.9.0.1/32"), [childFor("rw", "dynamic")], []],
  ["IPv6", tunnel("2001:db8:2::/64", { near: "2001:db8:1::/64" }), [childFor("a", A)], []],
];

for (const [what, one, children, names] of ROWS) {
  Deno.test(`Renegotiation.next() finds ${names.length === 0 ? "nothing" : names} for ${what}`, () => {
    assertEquals(new Reign({ one }, children).wait(RENEGOTIATE_AFTER_MS + 1000).names, names);
  });
}

Deno.test("Renegotiation.next() gives a child once, of however many inherited SAs it is", () => {
  const reign = new Reign({ one: tunnel(A), two: tunnel(A) }, CHILDREN);
  reign.dead.add("a");
  reign.wait(RENEGOTIATE_AFTER_MS + RENEGOTIATED_WITHIN_MS + 10_000);
  assertEquals(reign.names, ["a"]);
});
