/** Pairs of gateways of different systems and byte orders: what can be expressed arrives, the rest is refused by name. */

import { assert, assertEquals } from "@std/assert";
import { describe } from "../../../src/core/describe.ts";
import type { KernelChange } from "../../../src/ports.ts";
import { formatAddress, parseAddress } from "../../../src/record/address.ts";
import { AUTH, ENCR, IPCOMP } from "../../../src/record/algorithms.ts";
import { ACTION, DIRECTION, type Policy } from "../../../src/record/policy.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import { MODE, PROTOCOL, type Sa, SA_FLAG } from "../../../src/record/sa.ts";
import {
  freebsdGateway,
  linuxGateway,
  linuxPfkeyGateway,
  type MixedGateway,
  openbsdGateway,
  type StartGateway,
} from "../../fakes/mixed_gateways.ts";
import { encodeHex } from "../../fakes/hex.ts";
import { addr, samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../../fakes/records.ts";
import { World } from "../../fakes/world.ts";

const M = "10.0.0.1";
const S = "10.0.0.2";
const OURS = addr("192.0.2.1");
const THEIRS = addr("198.51.100.1");

const KEY = (bytes: number) => ({ keyBits: bytes * 8, key: new Uint8Array(bytes).map((_, i) => i + 1) });
const SHA2 = { id: AUTH.HMAC_SHA2_256_128, ...KEY(32), icvBits: 128 };
const CBC = { aead: undefined, encryption: { id: ENCR.AES_CBC, ...KEY(16) }, integrity: SHA2 };

function sa(spi: number, overrides: Partial<Sa> = {}): IpsecRecord {
  return { kind: "sa", sa: sampleSa({ spi, src: OURS, dst: THEIRS, reqid: 0, flags: 0, ...overrides }) };
}

/** One that comes in. */
function back(spi: number, overrides: Partial<Sa> = {}): IpsecRecord {
  return sa(spi, { src: THEIRS, dst: OURS, ...overrides });
}

function policy(port: number, overrides: Partial<Policy> = {}): IpsecRecord {
  const selector = sampleSelector({ dstPort: port, dstPortMask: 0xffff, protocol: 17 });
  const templates = [sampleTemplate({ src: OURS, dst: THEIRS, reqid: 0 })];
  return { kind: "policy", policy: samplePolicy({ selector, templates, priority: 0, ...overrides }) };
}

const inbound = {
  direction: DIRECTION.IN,
  templates: [sampleTemplate({ src: THEIRS, dst: OURS, reqid: 0 })],
};

/** Everything that all three systems have. */
const COMMON: Readonly<Record<string, IpsecRecord>> = {
  "AES-CBC, out": sa(0x1001, CBC),
  "AES-CBC, in": back(0x1002, CBC),
  "AES-GCM, in": back(0x1003),
  "ChaCha20, in": back(0x1004, { aead: { id: ENCR.CHACHA20_POLY1305, ...KEY(36), icvBits: 128 } }),
  "AES-CTR, in": back(0x1005, { ...CBC, encryption: { id: ENCR.AES_CTR, ...KEY(20) } }),
  "null encryption": sa(0x1006, { ...CBC, encryption: { id: ENCR.NULL, ...KEY(0) } }),
  "AH": sa(0x1007, { protocol: PROTOCOL.AH, aead: undefined, integrity: SHA2 }),
  "IPCOMP": sa(0x1008, {
    protocol: PROTOCOL.IPCOMP,
    aead: undefined,
    compression: { id: IPCOMP.DEFLATE },
    replayWindow: 0,
  }),
  "transport over IPv6": sa(0x1009, {
    ...CBC,
    mode: MODE.TRANSPORT,
    src: parseAddress("2001:db8::1")!,
    dst: parseAddress("2001:db8::2")!,
  }),
  "limits": sa(0x100a, { ...CBC, hard: { addSeconds: 3600n, bytes: 1n << 40n } }),
  "NAT-T, out": sa(0x100b, {
    ...CBC,
    encapsulation: { type: 2, srcPort: 4500, dstPort: 40000, original: new Uint8Array(16) },
  }),
  "policy out": policy(1),
  "policy in": policy(2, inbound),
  "policy in transport mode": policy(3, {
    templates: [
      sampleTemplate({ src: addr("0.0.0.0"), dst: addr("0.0.0.0"), reqid: 0, mode: MODE.TRANSPORT }),
    ],
  }),
  "policy that blocks": policy(4, { action: ACTION.BLOCK, templates: [] }),
  "policy that lets through": policy(5, { templates: [] }),
};

const SHA1 = { id: AUTH.HMAC_SHA1_96, ...KEY(20), icvBits: 96 };
const OLD = { ...CBC, integrity: SHA1 };

/** What Linux's PF_KEY can carry of that. */
const SIMPLE: Readonly<Record<string, IpsecRecord>> = {
  ...Object.fromEntries(Object.entries(COMMON).filter(([, { kind }]) => kind === "policy")),
  "AES-CBC, out": sa(0x1001, OLD),
  "AES-CBC, in": back(0x1002, OLD),
  "AES-CTR, in": back(0x1003, { ...OLD, encryption: { id: ENCR.AES_CTR, ...KEY(20) } }),
  "AH": sa(0x1004, { protocol: PROTOCOL.AH, aead: undefined, integrity: SHA1 }),
  "limits": sa(0x1005, { ...OLD, hard: { addSeconds: 3600n, bytes: 1n << 40n } }),
};

interface Pair {
  readonly master: StartGateway;
  readonly slave: StartGateway;
  readonly common: Readonly<Record<string, IpsecRecord>>;
  /** What the master has besides, and why the slave refuses it; "" where it does not. */
  readonly more: Readonly<Record<string, readonly [record: IpsecRecord, refusal: string]>>;
}

const GCM_OUT: readonly [IpsecRecord, string] = [
  sa(0x2001),
  "held back: after a takeover this kernel would repeat nonces of the SA",
];

const PAIRS: Readonly<Record<string, Pair>> = {
  "OpenBSD to Linux": {
    master: openbsdGateway("little"),
    slave: linuxGateway,
    common: COMMON,
    more: { "GCM": [sa(0x2001), ""] },
  },
  "Linux to FreeBSD": {
    master: linuxGateway,
    slave: freebsdGateway("little"),
    common: COMMON,
    more: {
      "AES-GCM, out": GCM_OUT,
      "ChaCha20, out": [
        sa(0x2002, { aead: { id: ENCR.CHACHA20_POLY1305, ...KEY(36), icvBits: 128 } }),
        GCM_OUT[1],
      ],
      "a mark": [sa(0x2003, { ...CBC, mark: { value: 1, mask: 0xff } }), "FreeBSD has no marks"],
      "an interface id": [sa(0x2004, { ...CBC, interfaceId: 7 }), "FreeBSD has no interface id"],
      "BEET": [sa(0x2005, { ...CBC, mode: MODE.BEET }), "FreeBSD has no mode BEET"],
      "3DES": [
        sa(0x2006, { ...CBC, encryption: { id: ENCR["3DES"], ...KEY(24) } }),
        "SADB_EALG_3DESCBC is not implemented since FreeBSD 13",
      ],
      "SHA2-256 with 96 bits": [
        sa(0x2007, { ...CBC, integrity: { ...SHA2, icvBits: 96 } }),
        "integrity HMAC_SHA2_256_128 cannot have an ICV of 96 bits here",
      ],
      "a window of 33": [
        sa(0x2008, { ...CBC, replayWindow: 33 }),
        "a replay window of 33 packets is no multiple",
      ],
      "forward policy": [
        policy(6, { ...inbound, direction: DIRECTION.FWD }),
        "FreeBSD has no policies for what is forwarded",
      ],
      "a great reqid": [
        policy(7, { templates: [sampleTemplate({ reqid: 0x4000 })] }),
        "template with reqid 16384, beyond 16383",
      ],
      "NAT-T, in": [
        back(0x200a, {
          ...CBC,
          encapsulation: { type: 2, srcPort: 40000, dstPort: 4500, original: new Uint8Array(16) },
        }),
        "",
      ],
      "AF_UNSPEC and a long window": [
        sa(0x2009, { ...CBC, flags: SA_FLAG.AF_UNSPEC, replayWindow: 128 }),
        "",
      ],
    },
  },
  "FreeBSD to OpenBSD": {
    master: freebsdGateway("little"),
    slave: openbsdGateway("little"),
    common: COMMON,
    more: {
      "AES-GCM, out": [sa(0x2001), ""],
      "a long window": [sa(0x2002, { ...CBC, replayWindow: 128 }), "replay window of 128 packets"],
      "two templates": [
        policy(6, { templates: [PROTOCOL.ESP, PROTOCOL.AH].map((protocol) => sampleTemplate({ protocol })) }),
        "2 templates",
      ],
    },
  },
  "big-endian FreeBSD to little-endian": {
    master: freebsdGateway("big"),
    slave: freebsdGateway("little"),
    common: COMMON,
    more: { "AES-GCM, out": GCM_OUT, "a long window": [sa(0x2002, { ...CBC, replayWindow: 4096 }), ""] },
  },
  "big-endian OpenBSD to little-endian FreeBSD": {
    master: openbsdGateway("big"),
    slave: freebsdGateway("little"),
    common: COMMON,
    more: { "AES-GCM, out": GCM_OUT },
  },
  "big-endian OpenBSD to Linux": {
    master: openbsdGateway("big"),
    slave: linuxGateway,
    common: COMMON,
    more: {},
  },
  "FreeBSD to Linux with PF_KEY": {
    master: freebsdGateway("little"),
    slave: linuxPfkeyGateway,
    common: SIMPLE,
    more: {
      "AES-GCM, in": [back(0x2001), "AEAD AES_GCM_16 cannot be expressed by Linux PF_KEY"],
      "SHA2-256": [sa(0x2002, CBC), "integrity HMAC_SHA2_256_128 cannot have an ICV of 128 bits here"],
      "ESN": [sa(0x2003, { ...OLD, flags: SA_FLAG.ESN }), "Linux PF_KEY cannot express ESN"],
      "a long window": [
        sa(0x2004, { ...OLD, replayWindow: 128 }),
        "Linux PF_KEY cannot express a replay window of 128",
      ],
    },
  },
  "Linux with PF_KEY to big-endian FreeBSD": {
    master: linuxPfkeyGateway,
    slave: freebsdGateway("big"),
    common: SIMPLE,
    more: {
      "AES-CTR, out": [sa(0x2001, { ...OLD, encryption: { id: ENCR.AES_CTR, ...KEY(20) } }), GCM_OUT[1]],
      "flags": [sa(0x2002, { ...OLD, flags: SA_FLAG.DECAP_DSCP }), "FreeBSD has no SA flag DECAP_DSCP"],
      "forward policy": [
        policy(6, { ...inbound, direction: DIRECTION.FWD }),
        "FreeBSD has no policies for what is forwarded",
      ],
    },
  },
  "FreeBSD to big-endian OpenBSD": {
    master: freebsdGateway("little"),
    slave: openbsdGateway("big"),
    common: COMMON,
    more: {},
  },
};

function start(world: World, { master, slave }: Pair): { from: MixedGateway; to: MixedGateway } {
  return {
    from: master(world, { address: M, peers: [S], mode: "master" }),
    to: slave(world, { address: S, peers: [M], mode: "slave" }),
  };
}

/** What makes a record what it is on the wire, whatever its system calls the rest. */
function essence(record: IpsecRecord): string {
  if (record.kind === "policy") {
    const { action, templates } = record.policy;
    const made = templates.map(({ protocol, mode, src, dst }) =>
      `${protocol} mode ${mode} ${formatAddress(src)} > ${formatAddress(dst)}`
    );
    return [`action ${action}`, ...made].join(", ");
  }
  const { src, mode, encryption, integrity, aead, compression, replayWindow, encapsulation, flags, hard } =
    record.sa;
  const named = [encryption, integrity, aead].filter((cipher) => cipher !== undefined).map((cipher) =>
    `${cipher.id}/${encodeHex(cipher.key)}${"icvBits" in cipher ? `/${cipher.icvBits}` : ""}`
  );
  const udp = encapsulation && `udp ${encapsulation.srcPort} > ${encapsulation.dstPort}`;
  const esn = (flags & SA_FLAG.ESN) === 0 ? undefined : "ESN";
  const parts = [
    formatAddress(src),
    `mode ${mode}`,
    ...named,
    compression?.id,
    replayWindow,
    udp,
    esn,
    hard.bytes,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

function byKey(records: readonly IpsecRecord[]): string[] {
  return records.map((record) => `${recordKey(record)}: ${essence(record)}`).toSorted();
}

for (const [what, pair] of Object.entries(PAIRS)) {
  const more = Object.values(pair.more);
  const records = [...Object.values(pair.common), ...more.map(([record]) => record)];
  const arriving = [
    ...Object.values(pair.common),
    ...more.filter(([, refusal]) => refusal === "").map(([r]) => r),
  ];

  Deno.test(`a pair, ${what}: a snapshot arrives, and what cannot is refused by name on both sides`, async () => {
    const world = new World();
    const { from, to } = start(world, pair);
    from.change(...records.map((record): KernelChange => ({ kind: "put", record })));
    await world.run(10_000);
    assertEquals(byKey(to.records()), byKey(arriving));
    for (const [record, reason] of more) if (reason !== "") assertRefused({ from, to }, pair, record, reason);
    const refused = new Set(more.map(([, reason]) => reason).filter((reason) => reason !== ""));
    assertEquals(to.daemon.log.count(/error/), refused.size, to.daemon.log.lines.join("\n"));
    assertEquals(from.daemon.log.count(/error/), refused.size, from.daemon.log.lines.join("\n"));
  });

  Deno.test(`a pair, ${what}: changes arrive, and no comparison finds anything to do`, async () => {
    const world = new World();
    const { from, to } = start(world, pair);
    await world.run(5000);
    for (const record of records) from.change({ kind: "put", record });
    await world.run(10_000);
    assertEquals(byKey(to.records()), byKey(arriving));
    const changes = [from.changes(), to.changes()];
    await world.run(200_000);
    assertEquals([from.changes(), to.changes()], changes);
    for (const record of records) from.change(goneOf(record));
    await world.run(1000);
    assertEquals(to.records(), []);
  });
}

function goneOf(record: IpsecRecord): KernelChange {
  return record.kind === "sa"
    ? { kind: "delete-sa", id: record.sa }
    : { kind: "delete-policy", id: record.policy };
}

/** Both logs have the reason, once, with the name of the record, or of another one that is refused for it. */
function assertRefused(
  { from, to }: { readonly from: MixedGateway; readonly to: MixedGateway },
  { more }: Pair,
  record: IpsecRecord,
  reason: string,
): void {
  const all = Object.values(more).filter(([, other]) => other === reason).map(([other]) => other);
  const names = all.map((other) => describe(identityOf(other)));
  assert(all.includes(record));
  const isTold = (line: string, who: string) =>
    names.some((name) => line.startsWith(`error: ${who}refused ${name}: `)) && line.includes(reason);
  assertEquals(to.daemon.log.lines.filter((line) => isTold(line, "")).length, 1, reason);
  assertEquals(from.daemon.log.lines.filter((line) => isTold(line, `${S} `)).length, 1, reason);
}
