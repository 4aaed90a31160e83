/** The PF_KEY back end on FreeBSD's rules: snapshot, changes, events. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { PfkeyKernel } from "../../../src/daemon/pfkey_kernel.ts";
import { SyscallError } from "../../../src/errors.ts";
import type { ByteOrder } from "../../../src/layout/byte_order.ts";
import { freebsdDialect } from "../../../src/pfkey/freebsd.ts";
import { encodeMessage } from "../../../src/pfkey/message.ts";
import type { KernelChange, KernelEvent } from "../../../src/ports.ts";
import { AUTH, ENCR, IPCOMP } from "../../../src/record/algorithms.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { ACTION, DIRECTION, type Policy } from "../../../src/record/policy.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import { MODE, PROTOCOL, type Sa, SA_DIRECTION, SA_FLAG } from "../../../src/record/sa.ts";
import { FakeFreebsd } from "../../fakes/freebsd_kernel.ts";
import { encodeHex } from "../../fakes/hex.ts";
import { addr, samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../../fakes/records.ts";

const PID = 77;
const OTHER_PID = 99;

const KEY = (bytes: number) => ({ keyBits: bytes * 8, key: new Uint8Array(bytes).map((_, i) => i + 1) });
const SHA2 = { id: AUTH.HMAC_SHA2_256_128, ...KEY(32), icvBits: 128 };
const CBC = { aead: undefined, encryption: { id: ENCR.AES_CBC, ...KEY(16) }, integrity: SHA2 };

function sa(spi: number, overrides: Partial<Sa> = {}): IpsecRecord & { kind: "sa" } {
  return { kind: "sa", sa: sampleSa({ spi, flags: 0, ...overrides }) };
}

function policy(port: number, overrides: Partial<Policy> = {}): IpsecRecord & { kind: "policy" } {
  const selector = sampleSelector({ dstPort: port, dstPortMask: 0xffff, protocol: 17 });
  return { kind: "policy", policy: samplePolicy({ selector, ...overrides }) };
}

function put(record: IpsecRecord): KernelChange {
  return { kind: "put", record };
}

/** A back end and its kernel, and the back end of another process, whose changes are events. */
class Machine {
  readonly clock = {
    bootMs: () => this.nowMs,
    wallSeconds: () => 1_700_000_000 + Math.floor(this.nowMs / 1000),
  };
  readonly freebsd: FakeFreebsd;
  readonly kernel: PfkeyKernel;
  nowMs = 0;
  #other: PfkeyKernel | undefined;

  constructor(readonly order: ByteOrder = "little") {
    this.freebsd = new FakeFreebsd(this.clock, order);
    this.kernel = this.open(PID);
  }

  open(pid: number): PfkeyKernel {
    return new PfkeyKernel({ open: this.freebsd.open, clock: this.clock, pid }, freebsdDialect(this.order));
  }

  /** Another process. */
  get other(): PfkeyKernel {
    return this.#other ??= this.open(OTHER_PID);
  }

  apply(...changes: readonly KernelChange[]): string[] {
    return this.kernel.apply(changes).map((result) => result.ok ? "done" : result.reason);
  }

  dump(kernel = this.kernel): readonly IpsecRecord[] {
    kernel.beginDump();
    for (let part = 0; part < 100; part++) {
      const records = kernel.continueDump();
      if (records !== undefined) return records;
    }
    throw new Error("the dump has no end");
  }

  events(): readonly KernelEvent[] {
    return this.kernel.readEvents(Infinity);
  }
}

/** Contents as text, for comparisons. */
function contents(records: readonly IpsecRecord[]): string[] {
  return records.map((record) => encodeHex(encodeContent(record))).toSorted();
}

const KINDS: Readonly<Record<string, IpsecRecord>> = {
  "AES-GCM": sa(0x1001),
  "AES-CBC and SHA2-256": sa(0x1002, CBC),
  "transport over IPv6": sa(0x1003, {
    ...CBC,
    mode: MODE.TRANSPORT,
    src: addr("2001:db8::1"),
    dst: addr("2001:db8::2"),
  }),
  "ChaCha20": sa(0x1004, { aead: { id: ENCR.CHACHA20_POLY1305, ...KEY(36), icvBits: 128 } }),
  "null encryption": sa(0x1005, { ...CBC, encryption: { id: ENCR.NULL, ...KEY(0) } }),
  "AH": sa(0x1006, { protocol: PROTOCOL.AH, aead: undefined, integrity: SHA2 }),
  "IPCOMP": sa(0x1007, {
    protocol: PROTOCOL.IPCOMP,
    aead: undefined,
    compression: { id: IPCOMP.DEFLATE },
    replayWindow: 0,
  }),
  "a long window": sa(0x1008, { replayWindow: 4096 }),
  "limits": sa(0x1009, { hard: { addSeconds: 3660n, bytes: 1n << 40n } }),
  "NAT-T": sa(0x100a, {
    encapsulation: { type: 2, srcPort: 4500, dstPort: 40000, original: new Uint8Array(16) },
  }),
  "NAT-T with an original address": sa(0x100d, {
    mode: MODE.TRANSPORT,
    encapsulation: {
      type: 2,
      srcPort: 4500,
      dstPort: 40000,
      original: Uint8Array.from({ length: 16 }, (_, i) => i < 4 ? 10 : 0),
    },
  }),
  "NAT-T with an original address that a tunnel does not need": sa(0x100e, {
    encapsulation: {
      type: 2,
      srcPort: 4500,
      dstPort: 40000,
      original: Uint8Array.from({ length: 16 }, (_, i) => i < 4 ? 10 : 0),
    },
  }),
  "ESN": sa(0x100b, { ...CBC, flags: SA_FLAG.ESN }),
  "what only Linux needs": sa(0x100c, {
    flags: SA_FLAG.AF_UNSPEC | SA_FLAG.LONG_REPLAY,
    direction: SA_DIRECTION.OUT,
    selector: sampleSelector({ srcBits: 0, dstBits: 0 }),
  }),
  "an outbound tunnel": policy(1),
  "an inbound one": policy(1, { direction: DIRECTION.IN }),
  "transport with ends": policy(2, { templates: [sampleTemplate({ mode: MODE.TRANSPORT })] }),
  "any SA, if there is one": policy(3, { templates: [sampleTemplate({ reqid: 0, optional: true })] }),
  "a block": policy(4, { action: ACTION.BLOCK, templates: [] }),
  "a bypass for an hour": policy(5, { templates: [], hard: { addSeconds: 3600n } }),
};

for (const order of ["little", "big"] as const) {
  for (const [what, record] of Object.entries(KINDS)) {
    Deno.test(`PfkeyKernel puts ${what} into a ${order}-endian FreeBSD and finds it there`, () => {
      const machine = new Machine(order);
      assertEquals(machine.apply(put(record)), ["done"]);
      assertEquals(contents(machine.dump()), contents([record]));
      assertEquals(machine.events(), [], "own changes are no events");
    });
  }
}

Deno.test("PfkeyKernel reads FreeBSD whole, and another process's records without what it has not told", () => {
  const machine = new Machine();
  assertEquals(machine.apply(...Object.values(KINDS).map(put)).filter((result) => result !== "done"), []);
  assertEquals(contents(machine.dump()), contents(Object.values(KINDS)));
  const { told } = freebsdDialect("little");
  assertEquals(contents(machine.dump(machine.other)), contents(Object.values(KINDS).map(told)));
});

Deno.test("PfkeyKernel reads an empty FreeBSD", () => {
  assertEquals(new Machine().dump(), []);
});

Deno.test("PfkeyKernel reads FreeBSD's policies in the order in which they are looked at", () => {
  const machine = new Machine();
  const ports = [5, 3, 4, 1];
  machine.apply(...ports.map((port) => put(policy(port, { priority: port === 4 ? 1 : 1000 }))));
  machine.apply(put(policy(3)));
  const found = machine.dump().map((record) => record.kind === "policy" ? record.policy.selector.dstPort : 0);
  assertEquals(found, [4, 5, 1, 3], "one that is put again is the last of its priority");
});

Deno.test("PfkeyKernel begins a dump of FreeBSD again when messages of it are missing", () => {
  const machine = new Machine();
  const records = [1, 2, 3, 4, 5].map((n) => sa(0x1000 + n));
  machine.apply(...records.map(put));
  machine.kernel.beginDump();
  machine.freebsd.sockets.at(-1)!.queue.splice(2, 1);
  let found = machine.kernel.continueDump();
  for (let part = 0; found === undefined && part < 10; part++) found = machine.kernel.continueDump();
  assertEquals(contents(found!), contents(records));
});

Deno.test("PfkeyKernel does not take the front of a dump of FreeBSD for all of it", () => {
  const machine = new Machine();
  machine.apply(...[1, 2, 3, 4, 5].map((n) => put(sa(0x1000 + n))));
  machine.kernel.beginDump();
  machine.freebsd.sockets.at(-1)!.queue.splice(2);
  assertThrows(() => {
    for (let part = 0; part < 2000; part++) assertEquals(machine.kernel.continueDump(), undefined);
  }, SyscallError);
});

// --- changes ---

Deno.test("PfkeyKernel replaces an SA of FreeBSD that has other keys", () => {
  const machine = new Machine();
  const other = sa(0x1001, CBC);
  assertEquals(machine.apply(put(sa(0x1001)), put(other)), ["done", "done"]);
  assertEquals(contents(machine.dump()), contents([other]));
});

Deno.test("PfkeyKernel replaces an SA of FreeBSD that has another source", () => {
  const machine = new Machine();
  const moved = sa(0x1001, { src: addr("192.0.2.9") });
  assertEquals(machine.apply(put(sa(0x1001)), put(moved)), ["done", "done"]);
  assertEquals(contents(machine.dump()), contents([moved]));
});

Deno.test("PfkeyKernel leaves the SA that has an SPI of FreeBSD under another destination", () => {
  const machine = new Machine();
  const there = sa(0x1001);
  const results = machine.apply(put(there), put(sa(0x1001, { dst: addr("198.51.100.9") })));
  assertEquals(results, ["done", "SADB_ADD: EEXIST"]);
  assertEquals(contents(machine.dump()), contents([there]));
});

Deno.test("PfkeyKernel deletes from FreeBSD what it knows the source of, and what is not there", () => {
  const machine = new Machine();
  machine.other.apply([put(sa(0x1001)), put(sa(0x1002)), put(policy(1))]);
  machine.events();
  const gone: KernelChange[] = [
    { kind: "delete-sa", id: sa(0x1001).sa },
    { kind: "delete-policy", id: policy(1).policy },
    { kind: "delete-policy", id: policy(2).policy },
  ];
  assertEquals(machine.apply(...gone), ["done", "done", "done"]);
  assertEquals(contents(machine.dump()), contents([sa(0x1002)]));
});

Deno.test("PfkeyKernel deletes from FreeBSD what a dump has shown", () => {
  const machine = new Machine();
  machine.other.apply([put(sa(0x1001))]);
  const late = machine.open(PID);
  machine.dump(late);
  assertEquals(late.apply([{ kind: "delete-sa", id: sa(0x1001).sa }]), [{ ok: true }]);
  assertEquals(machine.dump(), []);
});

Deno.test("PfkeyKernel names what FreeBSD refuses, and what it has no place for", () => {
  const machine = new Machine();
  const short = { id: AUTH.HMAC_SHA1_96, ...KEY(16), icvBits: 96 };
  assertEquals(
    machine.apply(put(sa(0x1001, { ...CBC, integrity: short })), put(sa(0x1002, { interfaceId: 1 }))),
    [
      "SADB_ADD: EINVAL",
      "FreeBSD has no interface id",
    ],
  );
  assertEquals(machine.dump(), []);
});

// --- events ---

Deno.test("PfkeyKernel tells what another process does in FreeBSD, with keys that it asks for", () => {
  const machine = new Machine();
  assertEquals(machine.dump(), []);
  machine.other.apply([put(sa(0x1001)), put(policy(1)), {
    kind: "delete-policy",
    id: policy(1).policy,
  }, put(sa(0x1001, CBC))]);
  const told = machine.events().map((event) =>
    event.kind === "record" ? [event.created, encodeHex(encodeContent(event.record))] : event.kind
  );
  const now = encodeHex(encodeContent(sa(0x1001, CBC)));
  assertEquals(told, [
    [true, now], // what was there first has gone by the time that it is asked for
    [true, encodeHex(encodeContent(policy(1)))],
    "policy-gone",
    "sa-gone",
    [true, now],
  ]);
});

Deno.test("PfkeyKernel tells FreeBSD's flushes and expiries", () => {
  const machine = new Machine();
  machine.other.apply([0x1001, 0x1002].map((spi) => put(sa(spi, { hard: { addSeconds: 60n } }))));
  machine.events();
  machine.freebsd.expire(0x1001, false);
  machine.freebsd.expire(0x1001);
  const flush = (type: number, satype: number) => {
    const request = { type, satype, seq: 1, pid: OTHER_PID };
    const { platform } = machine.freebsd;
    machine.freebsd.sockets[0]!.kernel.open().send(encodeMessage(request, new Uint8Array(), platform));
  };
  flush(9, 2);
  flush(9, 0);
  flush(19, 0);
  const { dst, protocol, spi, mark, rdomain } = sa(0x1001).sa;
  assertEquals(machine.events(), [
    { kind: "sa-gone", id: { dst, protocol, spi, mark, rdomain }, expired: true },
    { kind: "sa-flush", protocol: PROTOCOL.AH },
    { kind: "sa-flush", protocol: 0 },
    { kind: "policy-flush", type: 255 },
  ]);
  assertEquals(machine.dump(), []);
});

Deno.test("PfkeyKernel reads back what an update has made of an SA of FreeBSD, which is no new one", () => {
  const machine = new Machine();
  const { platform } = machine.freebsd;
  machine.other.apply([put(sa(0x1001))]);
  machine.events();
  const renewed = sa(0x1001, { hard: { addSeconds: 60n } });
  const planned = freebsdDialect("little").encode(put(renewed), { nowSeconds: 0 });
  assert(planned.ok);
  const { body } = planned.plan.requests[0]!;
  const update = (pid: number, withKeys: boolean) => {
    const without = withKeys ? body : dropKeys(body);
    machine.freebsd.open().send(encodeMessage({ type: 2, satype: 3, seq: 1, pid }, without, platform));
  };
  update(PID + 1, false);
  update(OTHER_PID, true);
  assertEquals(machine.events(), [], "refused: another process, or keys");
  update(OTHER_PID, false);
  const events = machine.events().map((event) =>
    event.kind === "record" ? [event.created, encodeHex(encodeContent(event.record))] : event.kind
  );
  assertEquals(events, [[false, encodeHex(encodeContent(renewed))]]);
});

/** The extensions without KEY_ENCRYPT, which is the last of them here. */
function dropKeys(body: Uint8Array): Uint8Array {
  return body.subarray(0, body.length - 32);
}
