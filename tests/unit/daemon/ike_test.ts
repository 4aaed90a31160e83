/** Orders to IKE daemons: who is told what and when, through sockets that are slow, broken, silent or lie. */

import { assert, assertEquals } from "@std/assert";
import { ExecControl } from "../../../src/daemon/ike_exec.ts";
import { IkedControl } from "../../../src/daemon/ike_iked.ts";
import { IsakmpdControl } from "../../../src/daemon/ike_isakmpd.ts";
import { IkeOrders } from "../../../src/daemon/ike_orders.ts";
import { IkeSwitch } from "../../../src/daemon/ike_switch.ts";
import { openIke } from "../../../src/daemon/open_ike.ts";
import { SyscallError } from "../../../src/errors.ts";
import type { IkeControl, IkeOrder, Interest } from "../../../src/ports.ts";
import { encodeHex } from "../../fakes/hex.ts";
import { FakeCharon, FakeDoors, FakeRunner } from "../../fakes/ike.ts";
import { FakeLog } from "../../fakes/log.ts";

const SOCKET = "/run/charon.vici";

/** A switch in time that only the test moves. */
class Bench {
  readonly log = new FakeLog();
  readonly runner = new FakeRunner();
  nowMs = 2 ** 32 + 5;
  #nextMs = 0;
  #switch: IkeSwitch;

  constructor(make: (bench: Bench) => IkeControl, readonly doors = new FakeDoors()) {
    this.#switch = new IkeSwitch(make(this), this.log);
  }

  give(duty: IkeOrder["duty"], epoch = 1): void {
    this.#switch.give({ duty, epoch }, this.nowMs);
  }

  /** One call after a poll. */
  turn(): void {
    for (const interest of this.#switch.interests) {
      const isOpen = [...this.doors.open].some(({ fd }) => fd === interest.fd);
      assert(isOpen, "waits for a descriptor that is closed");
    }
    this.#nextMs = this.#switch.tick(this.nowMs);
  }

  /** Lets time go by, with a turn now and whenever something is ready or due. */
  run(ms: number): void {
    this.turn();
    for (const endMs = this.nowMs + ms;;) {
      for (let turns = 0; this.#isReady(); turns++) {
        assert(turns < 100_000, "turns in circles");
        this.turn();
      }
      if (this.nowMs >= endMs) return;
      this.nowMs = Math.min(endMs, Math.max(this.nowMs + 1, this.#nextMs));
      this.turn();
    }
  }

  leave(): void {
    this.#switch.leave(this.nowMs);
  }

  get isIdle(): boolean {
    return this.#switch.isIdle;
  }

  #isReady(): boolean {
    const streams = [...this.doors.open];
    return this.#nextMs <= this.nowMs ||
      this.#switch.interests.some(({ fd, write }) =>
        write || streams.some((stream) => stream.fd === fd && stream.canRead)
      );
  }
}

/** strongSwan with traps for these children. */
function withCharon(...children: readonly string[]) {
  const charon = new FakeCharon(...children);
  const bench = new Bench((ports) => openIke({ daemon: "strongswan", socket: SOCKET }, ports)[0]!);
  const { doors } = bench;
  const connect = doors.connect.bind(doors);
  doors.connect = (path) => (charon.reset(), connect(path));
  doors.servers.set(SOCKET, charon);
  return { charon, bench };
}

const CHOPS = [1, 2, 7, Infinity];

for (const chop of CHOPS) {
  Deno.test(`StrongswanControl takes the traps away and brings them back, ${chop} bytes at a time`, () => {
    const { charon, bench } = withCharon("net", "dmz");
    bench.doors.chop = chop;
    bench.give("passive");
    bench.run(1000);
    assertEquals([charon.done, [...charon.traps]], [["uninstall net", "uninstall dmz"], []]);
    bench.give("active");
    bench.run(1000);
    assertEquals([charon.done.slice(2), [...charon.traps]], [["install net", "install dmz"], ["net", "dmz"]]);
    assertEquals(bench.log.count(/state: strongswan is (passive|active)/), 2);
    assertEquals(bench.doors.open.size, 0);
  });
}

Deno.test("StrongswanControl installs traps anew that charon still has, and those only once", () => {
  const { charon, bench } = withCharon("net");
  bench.give("active");
  bench.run(60_000);
  assertEquals(charon.done, ["install net"]);
});

Deno.test("StrongswanControl ends what charon has begun and has not established, and no SA that stands", () => {
  const { charon, bench } = withCharon();
  charon.sas = [
    { id: "1", state: "ESTABLISHED", initiator: true },
    { id: "2", state: "CONNECTING", initiator: true },
    { id: "3", state: "CONNECTING", initiator: false },
    { id: "4", state: "REKEYING", initiator: true },
    { id: "5", state: "CONNECTING", initiator: true },
  ];
  bench.give("passive");
  bench.run(1000);
  assertEquals(charon.done, ["terminate 2", "terminate 5"]);
  bench.give("active");
  bench.run(1000);
  assertEquals(charon.done.length, 2);
});

Deno.test("StrongswanControl asks for no list of SAs when none is half open", () => {
  const { charon, bench } = withCharon();
  charon.sas = [{ id: "1", state: "ESTABLISHED", initiator: true }];
  bench.give("passive");
  bench.run(1000);
  assertEquals(charon.asked, 3); // registration, list of traps, statistics
});

Deno.test("StrongswanControl makes a charon that was started or loaded on a slave passive within 10 s", () => {
  const { charon, bench } = withCharon("net");
  bench.give("passive");
  bench.run(1000);
  charon.traps.add("net").add("new");
  charon.children.add("new");
  bench.run(10_000);
  assertEquals([...charon.traps], []);
  bench.give("active");
  bench.run(1000);
  assertEquals([...charon.traps], ["net", "new"]);
  assertEquals(bench.log.count(/strongswan is passive/), 1);
});

Deno.test("StrongswanControl gives the traps back at the end, and asks for nothing when it has none", () => {
  const { charon, bench } = withCharon("net");
  bench.give("passive");
  bench.run(1000);
  bench.leave();
  assert(!bench.isIdle);
  bench.run(400);
  assertEquals([[...charon.traps], bench.isIdle], [["net"], true]);
  const { asked } = charon;
  bench.leave();
  bench.run(60_000);
  assertEquals([charon.asked, bench.isIdle], [asked, true]);
});

Deno.test("IkeOrders.leave() ends in time when the daemon is gone", async () => {
  let [readMs, realMs] = [0, 1000];
  const look = () => readMs = realMs; // until the next look the clock stands
  const clock = { look, bootMs: () => readMs, wallSeconds: () => 0 };
  const wait = (_: readonly Interest[], ms = 0) => {
    realMs += ms;
    assert(realMs < 60_000, "does not end");
    return Promise.resolve([]);
  };
  const log = new FakeLog();
  const control: IkeControl = {
    name: "charon",
    owes: true,
    interest: undefined,
    patienceMs: 1000,
    begin() {
      throw new SyscallError("connect", "ECONNREFUSED", 111);
    },
    proceed: () => false,
    cancel() {},
    repeatMs: () => Infinity,
  };
  const orders = new IkeOrders([new IkeSwitch(control, log)], clock);
  await orders.leave({ wait, wake() {} }, 2000);
  assertEquals([realMs, log.count(/could be given back in time/)], [3000, 1]);
});

Deno.test("StrongswanControl gives back what it has taken, wherever it was", () => {
  for (let turns = 0; turns < 60; turns++) {
    const { charon, bench } = withCharon("net", "dmz");
    bench.doors.chop = 20;
    bench.give("passive");
    for (let i = 0; i < turns; i++) bench.turn();
    bench.leave();
    for (let i = 0; i < 1000; i++) bench.turn();
    assertEquals([...charon.traps].toSorted(), ["dmz", "net"], `${turns} turns`);
  }
});

Deno.test("StrongswanControl forgets a trap that is not configured any more, and installs the others", () => {
  const { charon, bench } = withCharon("old", "net");
  bench.give("passive");
  bench.run(1000);
  charon.children.delete("old");
  bench.give("active");
  bench.run(60_000);
  assertEquals([[...charon.traps], charon.done.slice(2)], [["net"], ["install net"]]);
  assertEquals(bench.log.count(/trap lab\/old is not configured any more/), 1);
});

Deno.test("StrongswanControl tries again while charon refuses to install a trap", () => {
  const { charon, bench } = withCharon("net", "dmz");
  bench.give("passive");
  bench.run(1000);
  charon.refuses.add("net");
  bench.give("active");
  bench.run(30_000);
  assertEquals([...charon.traps], ["dmz"]);
  assertEquals(bench.log.count(/does not install 1 traps, of these lab\/net: busy/), 1);
  charon.refuses.clear();
  bench.run(10_000);
  assertEquals([...charon.traps], ["dmz", "net"]);
});

Deno.test("StrongswanControl loses no trap wherever the connection breaks", () => {
  let breaks = 0;
  for (let after = 0;; after++) {
    const { charon, bench } = withCharon("net", "dmz");
    bench.doors.breaksAfter = after;
    bench.give("passive");
    bench.run(400);
    const isBroken =
      bench.log.count(/error: strongswan is not passive yet, trying again: charon has closed/) === 1;
    if (isBroken) breaks++;
    bench.doors.breaksAfter = Infinity;
    bench.run(1000);
    assertEquals([...charon.traps], [], `${after} bytes`);
    bench.doors.breaksAfter = after;
    bench.give("active");
    bench.run(400);
    bench.doors.breaksAfter = Infinity;
    bench.run(1000);
    assertEquals([...charon.traps].toSorted(), ["dmz", "net"], `${after} bytes`);
    if (!isBroken) break;
  }
  assert(breaks > 100, `${breaks}`);
});

Deno.test("StrongswanControl loses no trap whenever an order is overtaken by the next", () => {
  for (let turns = 0; turns < 300; turns++) {
    const { charon, bench } = withCharon("net", "dmz");
    bench.doors.chop = 4;
    bench.give("passive");
    for (let i = 0; i < turns; i++) bench.turn();
    bench.give("active");
    for (let i = 0; i < turns; i++) bench.turn();
    bench.give("passive");
    bench.run(5000);
    assertEquals([...charon.traps], [], `${turns} turns`);
    bench.give("active");
    bench.run(5000);
    assertEquals([...charon.traps].toSorted(), ["dmz", "net"], `${turns} turns`);
    assertEquals(bench.doors.open.size, 0);
  }
});

const LIES: readonly (readonly [what: string, garbage: readonly number[]])[] = [
  ["a frame of 4 GiB", [0xff, 0xff, 0xff, 0xff]],
  ["an empty frame", [0, 0, 0, 0]],
  ["a packet of no type", [0, 0, 0, 1, 99]],
  ["a message that is cut", [0, 0, 0, 3, 1, 3, 9]],
  ["a refusal of everything", [0, 0, 0, 1, 2]],
  ["an event that is unknown", [0, 0, 0, 1, 6]],
  ["two answers to one question", [0, 0, 0, 1, 5, 0, 0, 0, 1, 5]],
  ["HTTP", [...new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n")]],
];

for (const [what, garbage] of LIES) {
  Deno.test(`StrongswanControl survives ${what}, tells it once, and tries again`, () => {
    const { charon, bench } = withCharon("net");
    charon.garbage = Uint8Array.from(garbage);
    bench.give("passive");
    bench.run(60_000);
    assertEquals(bench.log.count(/error: strongswan is not passive yet, trying again: /), 1);
    charon.garbage = undefined;
    bench.run(10_000);
    assertEquals([charon.done, bench.doors.open.size], [["uninstall net"], 0]);
  });
}

Deno.test("StrongswanControl gives up a charon that does not answer after 5 s, and tries again", () => {
  const { charon, bench } = withCharon("net");
  charon.isSilent = true;
  bench.give("passive");
  bench.run(4999);
  assertEquals([bench.doors.connects, bench.doors.open.size], [1, 1]);
  bench.run(600);
  assertEquals([bench.doors.connects, bench.log.count(/no answer for 5 s/)], [2, 1]);
  charon.isSilent = false;
  bench.run(20_000);
  assertEquals(charon.done, ["uninstall net"]);
});

Deno.test("StrongswanControl has patience with a charon that answers little by little", () => {
  const { charon, bench } = withCharon("net");
  bench.doors.chop = 2;
  bench.give("passive");
  const startMs = bench.nowMs;
  do {
    bench.turn();
    bench.nowMs += 100;
  } while (bench.doors.open.size > 0);
  assertEquals([charon.done, bench.doors.connects], [["uninstall net"], 1]);
  assert(bench.nowMs - startMs > 10_000, `${bench.nowMs - startMs}`);
});

Deno.test("IkeSwitch begins with 0.5 s again after a success", () => {
  const { charon, bench } = withCharon();
  bench.doors.errno = "ENOENT";
  bench.give("passive");
  bench.run(60_000);
  bench.doors.errno = undefined;
  bench.run(10_000);
  bench.doors.errno = "ENOENT";
  const { asked } = charon;
  assert(asked > 0);
  const { connects } = bench.doors;
  bench.run(11_000);
  assert(bench.doors.connects - connects >= 2, `${bench.doors.connects - connects} tries`);
});

Deno.test("IkeSwitch tries again after 0.5 to 10 s, and tells a reason once", () => {
  const { bench } = withCharon();
  bench.doors.errno = "ECONNREFUSED";
  bench.give("active");
  const atMs: number[] = [];
  const startMs = bench.nowMs;
  const connect = bench.doors.connect;
  bench.doors.connect = (path) => (atMs.push(bench.nowMs - startMs), connect(path));
  bench.run(40_000);
  assertEquals(atMs, [0, 500, 1500, 3500, 7500, 15_500, 25_500, 35_500]);
  assertEquals(bench.log.lines, [
    'error: strongswan is not active yet, trying again: Cannot connect to "/run/charon.vici": ECONNREFUSED',
  ]);
});

Deno.test("IkeSwitch takes a new order at once, also while it waits to try again", () => {
  const { charon, bench } = withCharon("net");
  bench.doors.errno = "ENOENT";
  bench.give("passive");
  bench.run(30_000);
  bench.doors.errno = undefined;
  bench.give("active");
  bench.run(1);
  assertEquals(charon.done, ["install net"]);
});

Deno.test("IkeSwitch does not repeat an order that is carried out", () => {
  const bench = new Bench(({ doors }) => new IsakmpdControl(doors));
  for (const duty of ["passive", "passive", "active", "active", "passive"] as const) {
    bench.give(duty);
    bench.run(30_000);
  }
  const fifo = "/var/run/isakmpd.fifo";
  assertEquals(bench.doors.lines, [`${fifo}: M passive\n`, `${fifo}: M active\n`, `${fifo}: M passive\n`]);
});

Deno.test("IsakmpdControl tries again until somebody reads the FIFO", () => {
  const bench = new Bench(({ doors }) => new IsakmpdControl(doors));
  bench.doors.errno = "ENXIO";
  bench.give("active");
  bench.run(5000);
  bench.doors.errno = undefined;
  bench.run(10_000);
  assertEquals(bench.doors.lines, ["/var/run/isakmpd.fifo: M active\n"]);
});

for (const chop of [1, 5, Infinity]) {
  Deno.test(`IkedControl sends one imsg for each order, ${chop} bytes at a time`, () => {
    const bench = new Bench(({ doors }) => new IkedControl(doors));
    let got = "";
    bench.doors.servers.set("/var/run/iked.sock", {
      take: (bytes) => (got += encodeHex(bytes), new Uint8Array(0)),
    });
    bench.doors.chop = chop;
    for (const duty of ["active", "passive"] as const) {
      bench.give(duty);
      bench.run(1000);
    }
    assertEquals(got, "0900000010000000".padEnd(32, "0") + "0a00000010000000".padEnd(32, "0"));
    assertEquals(bench.doors.open.size, 0);
  });
}

Deno.test("IkedControl sends the whole imsg again when the connection has broken", () => {
  const bench = new Bench(({ doors }) => new IkedControl(doors));
  let got = 0;
  bench.doors.servers.set("/var/run/iked.sock", { take: ({ length }) => (got += length, new Uint8Array(0)) });
  bench.doors.breaksAfter = 0;
  bench.give("active");
  bench.run(400);
  assertEquals(bench.log.count(/iked is not active yet, trying again: iked has closed the connection/), 1);
  bench.doors.breaksAfter = Infinity;
  bench.run(1000);
  assertEquals(got, 16);
});

function execBench(): Bench {
  return new Bench(({ runner, log }) => new ExecControl(["/sbin/ike", "-x"], runner, log));
}

Deno.test("ExecControl gives the command what is to be done and the epoch, and its output to the log", () => {
  const bench = execBench();
  const { started } = bench.runner;
  bench.give("passive", 3);
  bench.run(1000);
  assertEquals(started.map(({ command }) => command.join(" ")), ["/sbin/ike -x PASSIVE 3"]);
  started[0]!.say("one line");
  started[0]!.code = 0;
  bench.run(1000);
  bench.give("active", 4);
  bench.run(1000);
  assertEquals(started[1]!.command.join(" "), "/sbin/ike -x ACTIVE 4");
  assertEquals(bench.log.lines, ["state: /sbin/ike: one line", "state: /sbin/ike is passive"]);
});

Deno.test("ExecControl runs the command again when it has failed", () => {
  const bench = execBench();
  const { started } = bench.runner;
  bench.give("active");
  bench.run(100);
  started[0]!.code = 1;
  bench.run(1000);
  assertEquals([started.length, bench.log.count(/exit status 1/)], [2, 1]);
  started[1]!.code = 0;
  bench.run(60_000);
  assertEquals([started.length, started[1]!.ends], [2, 0]);
});

Deno.test("ExecControl ends a command after 30 s, and starts no other one before it has ended", () => {
  const bench = execBench();
  const { started } = bench.runner;
  bench.give("active");
  bench.run(29_999);
  assertEquals(started[0]!.ends, 0);
  bench.run(10_000);
  assertEquals([started.length, started[0]!.ends], [1, 1]);
  started[0]!.code = 137;
  bench.run(1000);
  assertEquals([started.length, bench.log.count(/no answer for 30 s/)], [2, 1]);
});

Deno.test("ExecControl ends a command whose order is overtaken, then runs the next", () => {
  const bench = execBench();
  const { started } = bench.runner;
  bench.give("active", 5);
  bench.run(100);
  bench.give("passive", 5);
  bench.run(100);
  bench.give("active", 6);
  bench.run(100);
  assertEquals([started.length, started[0]!.ends], [1, 1]);
  started[0]!.code = 143;
  bench.run(100);
  assertEquals(started.map(({ command }) => command.at(-2) + command.at(-1)!), ["ACTIVE5", "ACTIVE6"]);
});

Deno.test("ExecControl tries again when there is no such command", () => {
  const bench = execBench();
  bench.runner.errno = "ENOENT";
  bench.give("active");
  bench.run(1000);
  assertEquals(bench.log.count(/is not active yet, trying again: Cannot run "\/sbin\/ike": ENOENT/), 1);
  bench.runner.errno = undefined;
  bench.run(10_000);
  assertEquals(bench.runner.started.length, 1);
});

for (
  const [choice, names] of [
    ["none", []],
    ["isakmpd", ["isakmpd"]],
    ["iked", ["iked"]],
    ["all", ["isakmpd", "iked"]],
    [{ daemon: "strongswan", socket: SOCKET }, ["strongswan"]],
    [{ daemon: "exec", command: ["/a", "b"] }, ["/a"]],
  ] as const
) {
  Deno.test(`openIke() makes ${names.join(" and ") || "nothing"} of ${JSON.stringify(choice)}`, () => {
    const ports = { doors: new FakeDoors(), runner: new FakeRunner(), log: new FakeLog() };
    assertEquals(openIke(choice, ports).map(({ name }) => name), [...names]);
  });
}
