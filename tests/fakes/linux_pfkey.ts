/**
 * PF_KEY of Linux in memory, as net/key/af_key.c of 6.1 has it, behind sockets that are nasty: other processes'
 * messages come before every answer and between the entries of a dump, dumps come with pauses, what does not fit is
 * dropped in silence, and a message's bytes are gone after the next receive.
 */

import type { PfkeySocket } from "../../src/daemon/pfkey_channel.ts";
import { SyscallError } from "../../src/errors.ts";
import { Reader } from "../../src/layout/reader.ts";
import { Writer } from "../../src/layout/writer.ts";
import { sadbAddress, sadbKey, sadbLifetime, sadbSa } from "../../src/pfkey/extensions.ts";
import { sadbXPolicy } from "../../src/pfkey/kame.ts";
import { linuxPlatform } from "../../src/pfkey/linux_options.ts";
import { LINUX_EXT as EXT, LINUX_MESSAGES as MSG, sadbXIpsecrequest } from "../../src/pfkey/linux_tables.ts";
import {
  decodeMessage,
  encodeMessage,
  type Extensions,
  type PfkeyHead,
  type PfkeyMessage,
  readExtensions,
} from "../../src/pfkey/message.ts";
import type { Received } from "../../src/ports.ts";
import { encodeHex } from "./hex.ts";

const ENOENT = 2;
const ESRCH = 3;
const EBUSY = 16;
const EEXIST = 17;
const ENOSYS = 38;
const MATURE = 1;
const DEAD = 3;

/** Key bytes by algorithm number. */
const AALG: ReadonlyMap<number, readonly number[]> = new Map([
  ...[[0, [0]], [2, [16]], [3, [20]], [5, [32]], [6, [48]], [7, [64]], [8, [20]], [9, [16]], [251, [
    0,
  ]]] as const,
]);
const EALG: ReadonlyMap<number, readonly number[]> = new Map([
  ...[[2, [8]], [3, [24]], [6, [5, 16]], [7, [5, 56]], [11, [0]], [12, [16, 24, 32]], [13, [
    20,
    28,
    36,
  ]]] as const,
  ...[[22, [16, 24, 32]]] as const,
]);

const PLATFORM = linuxPlatform("little");
type Bytes = Uint8Array<ArrayBuffer>;

/** An SA or policy as messages show it. */
interface Entry {
  readonly key: string;
  readonly satype: number;
  readonly body: Bytes;
}

export class FakeLinuxPfkey {
  /** Newest first, as dumps show them. */
  sas: Entry[] = [];
  policies: Entry[] = [];
  readonly sockets: FakeLinuxSocket[] = [];
  /** Type of every request. */
  readonly requests: number[] = [];
  receiveBufferBytes = 1 << 20;
  /** Answers, and entries of dumps, that are lost from now on. */
  loseAnswers = 0;
  loseEntries = 0;
  /** The next dump is refused: one is under way. */
  busy = false;
  /** What another process does before each answer and between entries. */
  meanwhile: (() => void) | undefined;
  /** With this system error sends fail. */
  sendError: string | undefined;
  #index = 1;

  constructor(readonly nowSeconds: number) {}

  readonly open = (receiveBufferBytes: number): PfkeySocket => {
    const socket = new FakeLinuxSocket(this, 300 + this.sockets.length, receiveBufferBytes);
    this.sockets.push(socket);
    return socket;
  };

  /** A request by another process. */
  disturb(type: number, satype: number, body: Uint8Array): void {
    this.#handle({ type, satype, body: body.slice(), errno: 0, seq: 1, pid: 0 });
  }

  /** UPDATE of an SA with keys: only its limits change, but what is told is what was asked for. */
  update(satype: number, to: Uint8Array, told: Uint8Array): void {
    const entry = this.#entry(satype, to);
    this.sas = this.sas.map((sa) => sa.key === entry.key ? entry : sa);
    this.broadcast({ type: MSG.SADB_UPDATE, satype }, withState(this.#entry(satype, told).body, DEAD));
  }

  /** The end of an SA by its limits, which only registered sockets hear of. */
  expire(satype: number, body: Uint8Array): void {
    const { key } = this.#entry(satype, body);
    const found = this.sas.find((sa) => sa.key === key)!;
    this.sas = this.sas.filter((sa) => sa !== found);
    const extensions = readExtensions(found.body, PLATFORM);
    const told = [
      EXT.SADB_EXT_SA,
      EXT.SADB_EXT_LIFETIME_HARD,
      EXT.SADB_EXT_ADDRESS_SRC,
      EXT.SADB_EXT_ADDRESS_DST,
    ];
    const message = encode({ type: MSG.SADB_EXPIRE, satype }, pick(extensions, told));
    for (const socket of this.sockets) if (socket.isRegistered) socket.push(message);
  }

  broadcast(head: Pick<PfkeyHead, "type" | "satype"> & Partial<PfkeyHead>, body: Uint8Array): void {
    for (const socket of this.sockets) socket.push(encode(head, body));
  }

  take(bytes: Uint8Array, from: FakeLinuxSocket): void {
    if (this.sendError !== undefined) throw new SyscallError("send to the kernel", this.sendError, 0);
    const message = decodeMessage(bytes.slice(), PLATFORM);
    this.requests.push(message.type);
    this.meanwhile?.();
    if (message.type === MSG.SADB_DUMP) return this.#dump(message, this.sas, from);
    if (message.type === MSG.SADB_X_SPDDUMP) return this.#dump(message, this.policies, from);
    if (message.type === MSG.SADB_REGISTER) from.isRegistered = true;
    const losing = this.loseAnswers-- > 0;
    from.isDeaf = losing;
    const result = this.#handle(message);
    if (typeof result === "number") from.push(encode({ ...message, errno: result }, new Uint8Array()));
    else if (result !== undefined) from.push(encode(message, result));
    from.isDeaf = false;
  }

  /** @returns an errno, what only the sender gets, or undefined when all have been told. */
  #handle(message: PfkeyMessage): number | Uint8Array | undefined {
    const { type, satype, body } = message;
    switch (type) {
      case MSG.SADB_ADD:
        return this.#add(message);
      case MSG.SADB_DELETE: {
        const found = this.#find(satype, body);
        if (found === undefined) return ESRCH;
        this.sas = this.sas.filter((sa) => sa !== found);
        return void this.broadcast({ ...message, errno: 0 }, withState(found.body, DEAD));
      }
      case MSG.SADB_GET:
        return this.#find(satype, body)?.body ?? ESRCH;
      case MSG.SADB_X_SPDADD:
      case MSG.SADB_X_SPDUPDATE:
        return this.#putPolicy(message);
      case MSG.SADB_X_SPDDELETE: {
        const key = policyKey(readExtensions(body, PLATFORM));
        const found = this.policies.find((policy) => policy.key === key);
        if (found === undefined) return ENOENT;
        this.policies = this.policies.filter((policy) => policy !== found);
        return void this.broadcast({ ...message, errno: 0 }, found.body);
      }
      case MSG.SADB_REGISTER:
        return new Uint8Array();
      default:
        throw new TypeError(`Fake has no message ${type}`);
    }
  }

  #add(message: PfkeyMessage): number | undefined {
    const extensions = readExtensions(message.body, PLATFORM);
    const { encrypt, auth } = sadbSa.read(readerOf(extensions, EXT.SADB_EXT_SA));
    const fits = (table: typeof AALG, number: number, type: number) =>
      table.get(number)?.includes(keyBytes(extensions, type)) === true;
    const isCipher = message.satype !== 3 || fits(EALG, encrypt, EXT.SADB_EXT_KEY_ENCRYPT);
    if (!isCipher || !fits(AALG, auth, EXT.SADB_EXT_KEY_AUTH)) return ENOSYS;
    const entry = this.#entry(message.satype, message.body);
    if (this.sas.some(({ key }) => key === entry.key)) return EEXIST;
    this.sas.unshift(entry);
    return void this.broadcast({ ...message, errno: 0 }, entry.body);
  }

  #find(satype: number, body: Uint8Array): Entry | undefined {
    const key = saKey(satype, readExtensions(body, PLATFORM));
    return this.sas.find((sa) => sa.key === key);
  }

  /** What is told of an SA: a selector that is not told, no empty key, the window cut to 32. */
  #entry(satype: number, body: Uint8Array): Entry {
    const given = readExtensions(body, PLATFORM);
    const sa = sadbSa.read(readerOf(given, EXT.SADB_EXT_SA));
    const address = given.get(EXT.SADB_EXT_ADDRESS_DST)!;
    const proxy = address.slice().fill(0, sadbAddress.size + 2);
    proxy.set([proxy[0]!, proxy[1]!, EXT.SADB_EXT_ADDRESS_PROXY, 0, 255, 0]);
    const hasKey = (type: number) => keyBytes(given, type) > 0;
    const writer = new Writer("little");
    const state = { ...sa, replay: Math.min(32, sa.replay), state: MATURE };
    writer.bytes(extension(EXT.SADB_EXT_SA, 16, (w) => sadbSa.write(w, state)));
    writer.bytes(pick(given, [EXT.SADB_EXT_LIFETIME_HARD, EXT.SADB_EXT_LIFETIME_SOFT]));
    writer.bytes(this.#current());
    writer.bytes(pick(given, [EXT.SADB_EXT_ADDRESS_SRC, EXT.SADB_EXT_ADDRESS_DST]));
    writer.bytes(given.get(EXT.SADB_EXT_ADDRESS_PROXY) ?? proxy);
    writer.bytes(pick(given, [EXT.SADB_EXT_KEY_AUTH, EXT.SADB_EXT_KEY_ENCRYPT].filter(hasKey)));
    writer.bytes(pick(given, [EXT.SADB_X_EXT_SA2, EXT.SADB_X_EXT_NAT_T_TYPE]));
    writer.bytes(
      pick(given, [EXT.SADB_X_EXT_NAT_T_SPORT, EXT.SADB_X_EXT_NAT_T_DPORT, EXT.SADB_X_EXT_SEC_CTX]),
    );
    return { key: saKey(satype, given), satype, body: writer.finish() };
  }

  #current(): Uint8Array {
    const values = { allocations: 0, bytes: 0n, addtime: BigInt(this.nowSeconds), usetime: 0n };
    return extension(EXT.SADB_EXT_LIFETIME_CURRENT, 32, (w) => sadbLifetime.write(w, values));
  }

  /** A policy that is updated keeps its number and comes first in dumps. */
  #putPolicy(message: PfkeyMessage): number | undefined {
    const given = readExtensions(message.body, PLATFORM);
    const key = policyKey(given);
    const before = this.policies.find((policy) => policy.key === key);
    if (before !== undefined && message.type === MSG.SADB_X_SPDADD) return EEXIST;
    const id = before === undefined
      ? this.#index += 8
      : sadbXPolicy.read(readerOf(readExtensions(before.body, PLATFORM), EXT.SADB_X_EXT_POLICY)).id;
    const writer = new Writer("little");
    writer.bytes(pick(given, [EXT.SADB_EXT_ADDRESS_SRC, EXT.SADB_EXT_ADDRESS_DST]));
    writer.bytes(pick(given, [EXT.SADB_EXT_LIFETIME_HARD, EXT.SADB_EXT_LIFETIME_SOFT]));
    writer.bytes(this.#current()).bytes(shownPolicy(given.get(EXT.SADB_X_EXT_POLICY)!, id));
    writer.bytes(pick(given, [EXT.SADB_X_EXT_SEC_CTX]));
    const entry = { key, satype: 0, body: writer.finish() };
    this.policies = [entry, ...this.policies.filter((policy) => policy !== before)];
    return void this.broadcast({ ...message, errno: 0 }, entry.body);
  }

  #dump(message: PfkeyMessage, entries: readonly Entry[], from: FakeLinuxSocket): void {
    if (this.busy || entries.length === 0) {
      from.push(encode({ ...message, errno: this.busy ? EBUSY : ENOENT }, new Uint8Array()));
      this.busy = false;
      return;
    }
    for (const [i, { satype, body }] of entries.entries()) {
      this.meanwhile?.();
      const seq = i === entries.length - 1 ? 0 : i + 1;
      if (seq !== 0 && this.loseEntries-- > 0) continue;
      from.queue.push(encode({ ...message, satype, seq }, body)); // paced: never dropped
      if (i % 2 === 0) from.queue.push("pause");
    }
  }
}

export class FakeLinuxSocket implements PfkeySocket {
  readonly portId = 0;
  queue: (Uint8Array | "pause" | "overrun")[] = [];
  isRegistered = false;
  isDeaf = false;
  closed = false;
  /** Messages that did not fit. */
  dropped = 0;
  #waitingBytes = 0;
  #buffer = new Uint8Array();

  constructor(readonly kernel: FakeLinuxPfkey, readonly fd: number, readonly askedBytes: number) {}

  get receiveBufferBytes(): number {
    return this.kernel.receiveBufferBytes;
  }

  send(bytes: Uint8Array): void {
    if (this.closed) throw new TypeError("Cannot send: the socket is closed");
    this.kernel.take(bytes, this);
  }

  receive(): Received {
    if (this.closed) throw new TypeError("Cannot receive: the socket is closed");
    const next = this.queue.shift();
    this.#buffer.fill(0xee);
    if (next === undefined || next === "pause") return { kind: "empty" };
    if (next === "overrun") return { kind: "overrun" };
    this.#waitingBytes = Math.max(0, this.#waitingBytes - trueSize(next.length));
    this.#buffer = next.slice();
    return { kind: "data", bytes: this.#buffer };
  }

  /** What does not fit is dropped, and nobody is told. */
  push(message: Uint8Array): void {
    if (this.closed || this.isDeaf) return;
    if (this.#waitingBytes > this.receiveBufferBytes) {
      this.dropped++;
      return;
    }
    this.#waitingBytes += trueSize(message.length);
    this.queue.push(message);
  }

  close(): void {
    if (this.closed) throw new TypeError("Cannot close: the socket is closed");
    this.closed = true;
  }
}

/** `skb->truesize`: with the kernel's own 320 bytes the next power of two, and 256. */
function trueSize(length: number): number {
  return 2 ** Math.ceil(Math.log2(length + 320)) + 256;
}

function encode(head: Pick<PfkeyHead, "type" | "satype"> & Partial<PfkeyHead>, body: Uint8Array): Bytes {
  const { type, satype, seq = 0, pid = 0, errno = 0 } = head;
  const bytes = encodeMessage({ type, satype, seq, pid }, body, PLATFORM);
  bytes[2] = errno;
  return bytes;
}

function pick(extensions: Extensions, types: readonly number[]): Uint8Array {
  const writer = new Writer("little");
  for (const type of types) writer.bytes(extensions.get(type) ?? new Uint8Array());
  return writer.finish();
}

function extension(type: number, length: number, write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer("little");
  write(writer);
  writer.patch(0, "u16", length / 8);
  writer.patch(2, "u16", type);
  return writer.finish();
}

function readerOf(extensions: Extensions, type: number): Reader {
  return new Reader(extensions.get(type)!, `extension ${type}`, "little");
}

function keyBytes(extensions: Extensions, type: number): number {
  return extensions.has(type) ? sadbKey.read(readerOf(extensions, type)).bits / 8 : 0;
}

/** Destination, SPI and type: marks are not told. */
function saKey(satype: number, extensions: Extensions): string {
  const { spi } = sadbSa.read(readerOf(extensions, EXT.SADB_EXT_SA));
  return `${satype} ${spi} ${encodeHex(extensions.get(EXT.SADB_EXT_ADDRESS_DST)!.subarray(8))}`;
}

function policyKey(extensions: Extensions): string {
  const ends = [EXT.SADB_EXT_ADDRESS_SRC, EXT.SADB_EXT_ADDRESS_DST].map((type) =>
    encodeHex(extensions.get(type)!)
  );
  return `${sadbXPolicy.read(readerOf(extensions, EXT.SADB_X_EXT_POLICY)).dir} ${ends.join(" ")}`;
}

/** The policy with its number; a reqid that is out of reach is replaced. */
function shownPolicy(policy: Uint8Array, id: number): Uint8Array {
  const reader = new Reader(policy, "policy", "little");
  const head = sadbXPolicy.read(reader);
  const writer = new Writer("little");
  sadbXPolicy.write(writer, { ...head, id });
  while (reader.remaining > 0) {
    const request = sadbXIpsecrequest.read(reader);
    const reqid = request.level !== 3 ? 0 : request.reqid > 0x3fff ? 0x4000 : request.reqid;
    sadbXIpsecrequest.write(writer, { ...request, reqid });
    writer.bytes(reader.bytes(request.len - sadbXIpsecrequest.size));
  }
  writer.patch(0, "u16", writer.length / 8);
  writer.patch(2, "u16", EXT.SADB_X_EXT_POLICY);
  return writer.finish();
}

function withState(body: Bytes, state: number): Bytes {
  const copy = body.slice();
  copy[sadbSa.offsetOf("state")] = state; // the SA stands first
  return copy;
}
