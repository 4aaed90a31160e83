/** Negotiating anew over vici: what is asked of charon, and when. The decisions have tests of their own. */

import { assert, assertEquals } from "@std/assert";
import { Effects } from "../../../src/core/effect.ts";
import {
  type InheritedTunnel,
  RENEGOTIATE_AFTER_MS,
  RENEGOTIATED_WITHIN_MS,
  Renegotiation,
} from "../../../src/core/renegotiation.ts";
import { childrenOf, outboundSpisOf } from "../../../src/daemon/ike_children.ts";
import { RenegotiationControl } from "../../../src/daemon/ike_renegotiation.ts";
import { IkeSwitch } from "../../../src/daemon/ike_switch.ts";
import type { ViciSection } from "../../../src/link/vici.ts";
import type { Counters } from "../../../src/ports.ts";
import { parsePrefix } from "../../../src/record/address.ts";
import { connection, FakeCharon, FakeDoors } from "../../fakes/ike.ts";
import { FakeLog } from "../../fakes/log.ts";
import { addr } from "../../fakes/records.ts";

const SOCKET = "/run/charon.vici";
const PEER = "198.51.100.1";
const FAR = ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"];

function tunnel(far: string): InheritedTunnel {
  const [near, net] = [parsePrefix("10.1.0.0/16")!, parsePrefix(far)!];
  const selector = { src: near.address, srcBits: near.bits, dst: net.address, dstBits: net.bits };
  return {
    spi: Number(`0x${net.address[1]}`),
    src: addr("192.0.2.1"),
    dst: addr(PEER),
    selectors: [selector],
  };
}

/** A master that has inherited three tunnels, and charon with a connection for each: a0, a1, a2. */
class Bench {
  readonly charon = new FakeCharon("a0", "a1", "a2");
  readonly doors = new FakeDoors();
  readonly log = new FakeLog();
  readonly counters: Counters = {};
  readonly renegotiation: Renegotiation;
  readonly #switch: IkeSwitch;
  /** By what charon is told: the inherited SAs are replaced then. */
  readonly #tunnels = new Map(FAR.map((far, i) => [`a${i}`, tunnel(far)]));
  nowMs = 5_000_000;
  #nextMs = 0;

  constructor(chop = Infinity) {
    const { counters, doors, charon } = this;
    const heritage = {
      busiest: () => [...this.#tunnels.keys()],
      tunnelOf: (key: string) =>
        charon.done.includes(`initiate ${key} -1`) ? undefined : this.#tunnels.get(key),
    };
    this.renegotiation = new Renegotiation({ heritage, perSecond: 1, effects: new Effects(), counters });
    const clock = { bootMs: () => this.nowMs, look: () => this.nowMs, wallSeconds: () => 0 };
    const { renegotiation, log } = this;
    this.#switch = new IkeSwitch(
      new RenegotiationControl({ renegotiation, path: SOCKET, doors, clock, log }),
      log,
    );
    charon.conns = FAR.map((far, i) => connection(`lab${i}`, `a${i}`, PEER, far));
    doors.servers.set(SOCKET, charon);
    doors.chop = chop;
    const connect = doors.connect.bind(doors);
    doors.connect = (path) => (charon.reset(), connect(path));
    renegotiation.begin(this.nowMs);
    this.give("active");
  }

  give(duty: "active" | "passive"): void {
    this.#switch.give({ duty, epoch: 1 }, this.nowMs);
  }

  run(ms: number): this {
    for (
      const endMs = this.nowMs + ms;
      this.nowMs < endMs;
      this.nowMs = Math.max(this.nowMs + 1, Math.min(endMs, this.#nextMs))
    ) {
      for (let turns = 0; turns === 0 || this.#switch.interests.length > 0; turns++) {
        if (turns > 5000) break; // charon is silent
        this.#turn();
      }
    }
    return this;
  }

  #turn(): void {
    for (const interest of this.#switch.interests) {
      const isOpen = [...this.doors.open].some(({ fd }) => fd === interest.fd);
      assert(isOpen, "waits for a descriptor that is closed");
    }
    this.#nextMs = this.#switch.tick(this.nowMs);
  }
}

for (const chop of [1, 7, Infinity]) {
  Deno.test(`RenegotiationControl initiates one child after the other and does not wait for it, ${chop} bytes at a time`, () => {
    const bench = new Bench(chop).run(RENEGOTIATE_AFTER_MS);
    assertEquals([bench.charon.done, bench.doors.connects], [[], 0]);
    bench.run(10);
    assertEquals(bench.charon.done, ["initiate a0 -1"]);
    bench.run(60_000);
    assertEquals(bench.charon.done, ["initiate a0 -1", "initiate a1 -1", "initiate a2 -1"]);
    assertEquals([bench.doors.connects, bench.doors.open.size], [3, 0]);
    assertEquals(bench.counters, { "tunnels negotiated anew": 3 });
  });
}

Deno.test("RenegotiationControl goes on behind a child that charon refuses", () => {
  const bench = new Bench();
  bench.charon.refuses.add("a0 -1");
  bench.run(RENEGOTIATE_AFTER_MS + RENEGOTIATED_WITHIN_MS + 10_000);
  assertEquals(bench.charon.done, ["initiate a1 -1", "initiate a2 -1"]);
  assertEquals(bench.counters, { "tunnels negotiated anew": 2, "tunnels not negotiated anew": 1 });
});

Deno.test("RenegotiationControl stops when the node steps down", () => {
  const bench = new Bench().run(RENEGOTIATE_AFTER_MS + 10);
  bench.renegotiation.end();
  bench.give("passive");
  bench.run(60_000);
  assertEquals(bench.charon.done, ["initiate a0 -1"]);
  assertEquals(bench.doors.open.size, 0);
});

Deno.test("RenegotiationControl waits for a charon that is not there, and uses up no child meanwhile", () => {
  const bench = new Bench();
  bench.doors.errno = "ENOENT";
  bench.run(RENEGOTIATE_AFTER_MS + 60_000);
  assertEquals(bench.log.count(/error: negotiating anew is not active yet/), 1);
  bench.doors.errno = undefined;
  bench.run(60_000);
  assertEquals(bench.charon.done.length, 3);
});

Deno.test("RenegotiationControl gives up a charon that is silent, and tries again", () => {
  const bench = new Bench();
  bench.charon.isSilent = true;
  bench.run(RENEGOTIATE_AFTER_MS + 20_000);
  bench.charon.isSilent = false;
  bench.run(60_000);
  assertEquals(bench.charon.done.length, 3);
});

const sectionOf = (value: object): ViciSection => new Map(Object.entries(value));

/** What charon lists, and the children that can be initiated. */
const ROWS: readonly (readonly [what: string, object, readonly string[]])[] = [
  ["a peer with an address", connection("lab", "a", PEER, "10.2.0.0/16"), ["lab/a"]],
  ["a peer from anywhere", connection("lab", "a", "%any", "10.2.0.0/16"), []],
  ["a peer from anywhere, as zeros", connection("lab", "a", "0.0.0.0", "10.2.0.0/16"), []],
  ["a peer by name", connection("lab", "a", "gw.example.org", "10.2.0.0/16"), []],
  ["peers of a prefix", connection("lab", "a", "198.51.100.0/24", "10.2.0.0/16"), []],
  ["ports", connection("lab", "a", PEER, "10.2.0.0/16[tcp/80]"), []],
  ["a policy that lets pass", connection("lab", "a", PEER, "10.2.0.0/16", "PASS"), []],
  ["hosts", connection("lab", "a", PEER, "dynamic", "TRANSPORT"), ["lab/a"]],
  ["nothing", { lab: new Map() }, []],
];

for (const [what, message, names] of ROWS) {
  Deno.test(`childrenOf() finds ${names.length === 0 ? "no child" : names} of a connection with ${what}`, () => {
    assertEquals(childrenOf(sectionOf(message)).map(({ ike, child }) => `${ike}/${child}`), names);
  });
}

Deno.test("RenegotiationControl leaves to charon what it has itself", () => {
  const bench = new Bench();
  bench.charon.sas = [{ id: "1", state: "ESTABLISHED", initiator: false, spisOut: ["3", "c0ffee01"] }];
  bench.run(RENEGOTIATE_AFTER_MS + 10_000);
  assertEquals(bench.charon.done, ["initiate a0 -1", "initiate a2 -1"]);
});

Deno.test("outboundSpisOf() reads hexadecimal SPIs, and nothing of an IKE SA without children", () => {
  const child = new Map([["spi-in", "1"], ["spi-out", "c0ffee01"]]);
  const message = { lab: new Map([["child-sas", new Map([["net-1", child]])]]), other: new Map() };
  assertEquals(outboundSpisOf(sectionOf(message)), [0xc0ffee01]);
});
