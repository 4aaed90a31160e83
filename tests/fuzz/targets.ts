/**
 * What is fuzzed: everything that takes bytes from somebody else. A target begins with well-formed inputs; whatever is
 * made of them, it answers with a value or a typed error, and what it has understood it can write and read again.
 */

import { assert, assertEquals } from "@std/assert";
import { parseConfig } from "../../src/config/parse_config.ts";
import { printConfig } from "../../src/config/print.ts";
import { ControlServer } from "../../src/daemon/control_server.ts";
import { ConfigError, DecodeError, IkeError, PeerError } from "../../src/errors.ts";
import { nlmsghdr, splitDatagram, writeMessage } from "../../src/layout/netlink.ts";
import { Writer } from "../../src/layout/writer.ts";
import { encodeViciPacket, ViciFrames } from "../../src/link/vici.ts";
import { ViciSession } from "../../src/link/vici_session.ts";
import { decodeViciPacket } from "../../src/link/vici.ts";
import type { Dialect } from "../../src/pfkey/dialect.ts";
import { freebsdDialect } from "../../src/pfkey/freebsd.ts";
import { linuxDialect } from "../../src/pfkey/linux.ts";
import { splitMessages } from "../../src/pfkey/message.ts";
import { openbsdDialect } from "../../src/pfkey/openbsd.ts";
import {
  decodeIdentity,
  decodeRecord,
  encodeContent,
  encodeIdentity,
  encodeVolatile,
} from "../../src/record/encoding.ts";
import type { IpsecRecord } from "../../src/record/record.ts";
import { ClassicCodec } from "../../src/wire/classic/codec.ts";
import {
  decodeMessage as decodeClassic,
  encodeMessage as encodeClassic,
} from "../../src/wire/classic/message.ts";
import { decodeMessages, encodeMessages } from "../../src/wire/native/catalog.ts";
import { decodeEvent } from "../../src/xfrm/events.ts";
import { decodeSa } from "../../src/xfrm/sa.ts";
import { decodePolicy } from "../../src/xfrm/policy.ts";
import {
  XFRM_MSG_DELPOLICY,
  XFRM_MSG_DELSA,
  XFRM_MSG_EXPIRE,
  XFRM_MSG_FLUSHSA,
  XFRM_MSG_NEWAE,
  XFRM_MSG_NEWPOLICY,
  XFRM_MSG_NEWSA,
  XFRM_MSG_POLEXPIRE,
  XFRM_MSG_UPDSA,
} from "../../src/xfrm/constants.ts";
import { FakeLocalListener } from "../fakes/local_streams.ts";
import { newPair, outputOf, seededRandom, shakenPair } from "../fakes/sessions.ts";
import { VECTOR_SURROUNDINGS } from "../fakes/xfrm_bodies.ts";
import { Host, nodeId, sa, TestClock } from "../unit/core/support.ts";
import { CLASSIC_VECTORS } from "../vectors/classic_vectors.ts";
import { FREEBSD_VECTORS } from "../vectors/freebsd_vectors.ts";
import { LINUX_KERNEL_VECTORS } from "../vectors/linux_kernel_pfkey_vectors.ts";
import { LINUX_PFKEY_VECTORS } from "../vectors/linux_pfkey_vectors.ts";
import { MESSAGE_VECTORS } from "../vectors/native_vectors.ts";
import { CAPTURED, OPENBSD_VECTORS } from "../vectors/openbsd_vectors.ts";
import { RECORD_VECTORS } from "../vectors/record_vectors.ts";
import { VICI_EXAMPLE, VICI_VECTORS } from "../vectors/vici_vectors.ts";
import { EVENT_VECTORS, POLICY_VECTORS, SA_VECTORS } from "../vectors/xfrm_vectors.ts";

/** Something that takes bytes. */
export interface Target {
  /** Well-formed inputs, and some that are nearly. */
  readonly seeds: readonly Uint8Array[];
  /** @throws what is not a typed error, when it has a defect */
  run(input: Uint8Array): void;
}

/** Errors that an input may be answered with. */
export function isTyped(error: unknown): boolean {
  return [DecodeError, PeerError, ConfigError, IkeError].some((kind) => error instanceof kind);
}

const hex = (text: string) => Uint8Array.fromHex(text);
const utf8 = (text: string) => new TextEncoder().encode(text);

/** A record that was understood has one binary form; a value without any is refused, with a RangeError. */
function writesAgain(record: IpsecRecord): void {
  let content: Uint8Array;
  try {
    content = encodeContent(record);
  } catch (error) {
    if (error instanceof RangeError) return;
    throw error;
  }
  const again = decodeRecord(record.kind, content, encodeVolatile(record)).record;
  assertEquals(encodeContent(again), content);
}

// --- kernels ---

const XFRM_TYPES = [
  ...[XFRM_MSG_NEWSA, XFRM_MSG_DELSA, XFRM_MSG_UPDSA, XFRM_MSG_EXPIRE, XFRM_MSG_FLUSHSA, XFRM_MSG_NEWAE],
  ...[XFRM_MSG_NEWPOLICY, XFRM_MSG_DELPOLICY, XFRM_MSG_POLEXPIRE],
];

/** A datagram with one message. */
function netlink(type: number, body: Uint8Array): Uint8Array {
  const writer = new Writer(undefined, nlmsghdr.size + body.length);
  writeMessage(writer, { type, flags: 0, seq: 1, pid: 2 }, body);
  return writer.finish();
}

function runXfrm(input: Uint8Array): void {
  for (const message of splitDatagram(input)) {
    const event = decodeEvent(message, VECTOR_SURROUNDINGS);
    if (event?.kind === "sa" && event.reading.kind === "sa") {
      writesAgain({ kind: "sa", sa: event.reading.sa });
    }
    if (event?.kind === "policy" && event.reading.kind === "policy") {
      writesAgain({ kind: "policy", policy: event.reading.policy });
    }
    const reading = message.type === XFRM_MSG_NEWSA
      ? decodeSa(message.body, VECTOR_SURROUNDINGS)
      : decodePolicy(message.body, VECTOR_SURROUNDINGS);
    if (reading.kind === "sa") writesAgain({ kind: "sa", sa: reading.sa });
  }
}

/** Whole buffers of the kernel, as a socket or sysctl(3) gives them. */
function pfkey(dialect: Dialect, seeds: readonly string[]): Target {
  const surroundings = { nowSeconds: 1_700_000_000 };
  return {
    seeds: seeds.map(hex),
    run(input) {
      for (const message of splitMessages(input, dialect.platform)) {
        const meaning = dialect.decode(dialect.unwrap(message), surroundings);
        const reading = meaning.kind === "dumped" || meaning.kind === "changed" ? meaning.reading : undefined;
        if (reading?.kind === "record") writesAgain(reading.record);
      }
    },
  };
}

// --- peers ---

/** A responder before its first verified frame, and the whole stream of an initiator. */
function runHandshake(input: Uint8Array): void {
  for (const side of ["responder", "initiator"] as const) newPair()[side].push(input, 0);
}

/** The cipher is honest, what it carries is not. */
function runNativeMessages(input: Uint8Array): void {
  const messages = decodeMessages(input);
  const payloads = encodeMessages(messages, 1 << 16);
  assertEquals(payloads.flatMap(decodeMessages), messages);
  for (const role of ["SLAVE", "MASTER"] as const) {
    const host = new Host("gw0", 1, new TestClock(), { peers: ["p"] }, [sa(1)]).start(role);
    host.node.peerUp("p", nodeId(9), false);
    for (const message of messages) {
      if (message.type !== "rekey") host.node.receive("p", message, host.clock.nowMs);
    }
    host.turn();
    host.node.collect("p", host.clock.nowMs, 1 << 20);
  }
}

/** Sealed by who has the key, cut and mixed on the way. */
function sealedStream(): Uint8Array {
  const { initiator } = shakenPair();
  return initiator.seal([{ type: "ping", token: 1 }, { type: "ack", change: 1 }], 0);
}

function runClassic(input: Uint8Array): void {
  const [vector] = CLASSIC_VECTORS;
  new ClassicCodec(hex(vector.key.slice(2)), seededRandom(1)).push(input);
}

/** Behind the cipher: u8 type, payload. */
function runClassicMessages(input: Uint8Array): void {
  const message = decodeClassic({ type: input[0] ?? 0, payload: input.slice(1) });
  if (message.type !== "unclear") encodeClassic(message);
}

/** Equal records have equal bytes; only attributes that this version does not know and need not are left out. */
function isOneForm(written: Uint8Array, read: Uint8Array): void {
  if (written.length === read.length) assertEquals(written, read.slice());
  else assert(written.length < read.length);
}

/** u8 kind, then a u16 length and the content, and the rest. */
function runRecords(input: Uint8Array): void {
  const kind = (input[0] ?? 0) % 2 === 0 ? "sa" : "policy";
  const split = 3 + ((input[1] ?? 0) << 8 | (input[2] ?? 0));
  const [content, rest] = [input.subarray(3, split), input.subarray(split)];
  const attempts = [
    () => {
      const { record } = decodeRecord(kind, content, rest);
      isOneForm(encodeContent(record), content);
      writesAgain(record);
    },
    () => isOneForm(encodeIdentity(decodeIdentity(kind, content)), content),
  ];
  for (const attempt of attempts) {
    try {
      attempt();
    } catch (error) {
      if (!isTyped(error)) throw error;
    }
  }
}

function recordSeed(kind: number, content: string, volatile = ""): Uint8Array {
  const length = content.length / 2;
  return Uint8Array.of(kind, length >> 8, length & 0xff, ...hex(content), ...hex(volatile));
}

// --- operators and other daemons ---

const CONFIGURATION = `# comment
interface eth0 address 192.0.2.100
group carp
listen on 192.0.2.1 inet port 500
listen on 2001:db8::1
peer 192.0.2.2 port 501 sharedkey pQ7xLm2Zr9Tb4KwN role slave
peer gw3.example.org protocol native
flushmode sync
sharedkey 0x000102030405060708090a0b0c0d0e0f
sharedkey next file /etc/key
control strongswan socket /run/charon.vici
control socket /run/s.sock
control exec "/sbin/a b c"
kernel memory openbsd
pfkey assume-truncation 96
shared 10.0.0.0/8
exclude 2001:db8::/32
demote file /run/d weight 20
replay strict \\
mode skipslave
`;

const TOML = `interface = { name = "eth0", address = "192.0.2.100" }
listen = ["192.0.2.1", { on = "eth1", family = "inet", port = 500 }]
sharedkey = "0x000102030405060708090a0b0c0d0e0f"
sharedkey_next = { file = "/etc/key" }
control = { daemon = "exec", command = "/sbin/a b" }
pfkey = { assume_truncation = 128, assume_no_esn = true }
demote = { file = "/run/d", weight = 20 }
shared = ["10.0.0.0/8"]
skipslave = true
[[peer]]
address = "192.0.2.2"
port = 501
sharedkey = "pQ7xLm2Zr9Tb4KwN"
role = "slave"
`;

/** No message shows a key, and what is accepted can be printed. */
function configuration(file: string, text: string): Target {
  return {
    seeds: [utf8(text), ...text.split("\n").map((line) => utf8(`${line}\n`))],
    run(input) {
      const config = parseConfig(new TextDecoder().decode(input), file, () => "there is no such file");
      printConfig(config);
    },
  };
}

function runVici(input: Uint8Array): void {
  const frames = new ViciFrames();
  frames.push(input);
  for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
    const packet = decodeViciPacket(frame);
    assertEquals(decodeViciPacket(encodeViciPacket(packet).subarray(4)), packet);
  }
  const session = new ViciSession(function* () {
    for (;;) yield { packet: { type: 0, name: "list-conns", message: new Map() } };
  }());
  session.sent(session.output.length);
  session.receive(input);
}

function viciFrame(packet: string): Uint8Array {
  const bytes = hex(packet);
  return Uint8Array.of(0, 0, bytes.length >> 8, bytes.length & 0xff, ...bytes);
}

function runControl(input: Uint8Array): void {
  const listener = new FakeLocalListener();
  const clock = { bootMs: () => 0, look: () => 0, wallSeconds: () => 0 };
  const commands = { status: () => ({ proceed: () => [{ progress: "p" }, { ok: true as const }] }) };
  const server = new ControlServer({ listener, clock, commands });
  const client = listener.connect();
  client.say(input);
  for (let turn = 0; turn < 8; turn++) server.tick(listener.ready(server.interests(), [client]));
  server.close();
}

/** Everything that is fuzzed, by name. */
export const TARGETS: Readonly<Record<string, Target>> = {
  xfrm: {
    seeds: [
      ...SA_VECTORS.slice(0, 40).map(([, body]) => netlink(XFRM_MSG_NEWSA, hex(body))),
      ...POLICY_VECTORS.slice(0, 20).map(([, body]) => netlink(XFRM_MSG_NEWPOLICY, hex(body))),
      ...EVENT_VECTORS.map(([, message]) => hex(message)),
      ...XFRM_TYPES.map((type) => netlink(type, new Uint8Array(300))),
    ],
    run: runXfrm,
  },
  "pfkey-linux": pfkey(linuxDialect("little", { truncation: 96, noEsn: false }), [
    ...LINUX_KERNEL_VECTORS.map(([, message]) => message),
    ...LINUX_PFKEY_VECTORS.filter(({ order }) => order === "little").map(({ hex }) => hex),
  ]),
  "pfkey-openbsd": pfkey(openbsdDialect("little"), [
    ...Object.values(CAPTURED),
    ...OPENBSD_VECTORS.filter(({ order }) => order === "little").map(({ hex }) => hex),
  ]),
  "pfkey-freebsd": pfkey(
    freebsdDialect("little"),
    FREEBSD_VECTORS.filter(({ order }) => order === "little").map(({ hex }) => hex),
  ),
  handshake: { seeds: [outputOf(newPair().initiator), sealedStream()], run: runHandshake },
  "native-messages": { seeds: Object.values(MESSAGE_VECTORS).map(hex), run: runNativeMessages },
  classic: { seeds: CLASSIC_VECTORS.map(({ frame }) => hex(frame)), run: runClassic },
  "classic-messages": {
    seeds: CLASSIC_VECTORS.map(({ plaintext }, i) => Uint8Array.of(i % 5, ...hex(plaintext))),
    run: runClassicMessages,
  },
  records: {
    seeds: [
      ...[RECORD_VECTORS.saIdentity, RECORD_VECTORS.saIdentityFull, RECORD_VECTORS.saSmall].map((one) =>
        recordSeed(0, one)
      ),
      recordSeed(0, RECORD_VECTORS.saFull, RECORD_VECTORS.saCounters),
      ...[RECORD_VECTORS.policyIdentity, RECORD_VECTORS.policySmall].map((one) => recordSeed(1, one)),
      recordSeed(1, RECORD_VECTORS.policyFull, RECORD_VECTORS.policyAge),
    ],
    run: runRecords,
  },
  configuration: configuration("f.conf", CONFIGURATION),
  toml: configuration("f.toml", TOML),
  vici: { seeds: [...Object.values(VICI_VECTORS), `07016e${VICI_EXAMPLE}`].map(viciFrame), run: runVici },
  control: {
    seeds: [
      '{"command":"status"}\n',
      '{"command":"status"}\n{"command":"x"}\n',
      "{}\n",
      "[1]\n",
      '{"command":1',
    ].map(utf8),
    run: runControl,
  },
};
