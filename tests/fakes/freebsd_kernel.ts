/**
 * FreeBSD's PF_KEY in memory (netipsec of 14.x, as sys/netipsec/key.c and keysock.c have it): SADB and SPD, errors
 * with the whole request, replies without keys, dumps that count down and lose what the socket has no room for.
 */

import { SyscallError } from "../../src/errors.ts";
import type { ByteOrder } from "../../src/layout/byte_order.ts";
import { Reader } from "../../src/layout/reader.ts";
import { Writer } from "../../src/layout/writer.ts";
import { addLifetime, SADB_EXT as EXT, sadbKey, sadbLifetime, sadbSa } from "../../src/pfkey/extensions.ts";
import { FREEBSD_EXT as X, sadbXSaReplay } from "../../src/pfkey/freebsd_numbers.ts";
import { KAME_MESSAGES as SADB, sadbXPolicy, sadbXSa2 } from "../../src/pfkey/kame.ts";
import {
  decodeMessage,
  type Extensions,
  ExtensionWriter,
  type PfkeyMessage,
  type Platform,
  readExtensions,
  sadbMsg,
} from "../../src/pfkey/message.ts";
import type { PfkeySocket } from "../../src/daemon/pfkey_channel.ts";
import type { Clock, Received } from "../../src/ports.ts";
import { encodeHex } from "./hex.ts";

const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
const EINVAL = 22;
const EOPNOTSUPP = 45;
const MCLBYTES = 2048;
const AH = 2;
const ESP = 3;
const IPCOMP = 9;
const TCPSIGNATURE = 11;
const MATURE = 1;
const TUNNEL = 2;

/** Bytes of the keys of what is implemented, salt included; encryption, then integrity. */
const EALG: ReadonlyMap<number, readonly number[]> = new Map([
  [11, [0]],
  [12, [16, 24, 32]],
  [13, [20, 28, 36]],
  [15, [36]],
  [20, [20, 28, 36]],
]);
const AALG: ReadonlyMap<number, readonly number[]> = new Map([
  [3, [20]],
  [5, [32]],
  [6, [48]],
  [7, [64]],
  [11, [20]],
  [12, [28]],
  [13, [36]],
]);
/** What the kernel itself states as integrity of AES-GCM, by the length of the key, and of ChaCha20. */
const GMAC_OF: ReadonlyMap<number, number> = new Map([[20, 11], [28, 12], [36, 13]]);
const CHACHA20 = 15;
const AESGCM16 = 20;

type Bytes = Uint8Array;

/** An SA: its extensions as they were given, and what the kernel adds. */
interface Sav {
  readonly spi: number;
  readonly satype: number;
  readonly given: Map<number, Bytes>;
  readonly pid: number;
  readonly created: number;
  state: number;
}

interface Sp {
  readonly key: string;
  readonly given: Extensions;
  readonly id: number;
  readonly priority: number;
  readonly created: number;
}

/** Descriptors of all kernels differ: gateways share a world. */
let lastFd = 100_000;

export class FakeFreebsd {
  /** Newest first. */
  sas: Sav[] = [];
  /** By priority, oldest first within one. */
  policies: Sp[] = [];
  readonly sockets: FakePfkeySocket[] = [];
  readonly platform: Platform;
  /** Everything that was sent, by its type. */
  readonly requests: number[] = [];
  #policyId = 0;

  constructor(readonly clock: Pick<Clock, "wallSeconds">, order: ByteOrder) {
    this.platform = { order, saLen: true, afInet6: 28 };
  }

  readonly open = (): FakePfkeySocket => {
    const socket = new FakePfkeySocket(this, ++lastFd);
    this.sockets.push(socket);
    return socket;
  };

  /** Takes what a socket sends. @throws {SyscallError} as write(2) fails. */
  take(bytes: Bytes, from: FakePfkeySocket): void {
    if (bytes.length > MCLBYTES) throw new SyscallError("send to PF_KEY", "ENOBUFS", 55);
    const message = orEinval(() => decodeMessage(bytes, this.platform));
    const extensions = message.type === SADB.SADB_X_PROMISC ? new Map() : this.#checked(message);
    this.requests.push(message.type);
    const errno = this.#handle(message, extensions, from);
    if (errno !== 0) from.push(this.#withErrno(bytes, errno));
  }

  /** An SA reaches its hard limit: registered sockets are told, and it is gone without a DELETE. */
  expire(spi: number, isHard = true): void {
    const sav = this.sas.find((sa) => sa.spi === spi)!;
    const limit = sav.given.get(isHard ? EXT.SADB_EXT_LIFETIME_HARD : EXT.SADB_EXT_LIFETIME_SOFT)!;
    const exts = [this.#sa(sav), this.#sa2(sav), this.#current(sav.created), limit, ...ends(sav.given)];
    const head = { type: SADB.SADB_EXPIRE, satype: sav.satype, seq: 0, pid: 0 };
    const told = this.#message(head, exts);
    for (const socket of this.sockets) if (socket.isRegistered) socket.push(told);
    if (isHard) this.sas = this.sas.filter((sa) => sa !== sav);
  }

  /** @throws {SyscallError} for extensions that are unknown, doubled or too long. */
  #checked(message: PfkeyMessage): Extensions {
    const extensions = orEinval(() => readExtensions(message.body, this.platform));
    if ([...extensions.keys()].some((type) => type === 0 || type > X.SADB_X_EXT_IF_HW_OFFL)) {
      throw new SyscallError("send to PF_KEY", "EINVAL", EINVAL);
    }
    return extensions;
  }

  /** @returns an errno. */
  #handle(message: PfkeyMessage, extensions: Extensions, from: FakePfkeySocket): number {
    const { type, satype } = message;
    if (![0, AH, ESP, IPCOMP, TCPSIGNATURE].includes(satype)) return satype < 9 ? EOPNOTSUPP : EINVAL;
    switch (type) {
      case SADB.SADB_ADD:
        return this.#add(message, extensions);
      case SADB.SADB_UPDATE:
        return this.#update(message, extensions);
      case SADB.SADB_DELETE:
        return this.#delete(message, extensions);
      case SADB.SADB_GET:
        return this.#get(message, extensions, from);
      case SADB.SADB_FLUSH:
        this.sas = this.sas.filter((sa) => satype !== 0 && sa.satype !== satype);
        return this.#broadcast(message, []);
      case SADB.SADB_DUMP:
        return this.#dumpSas(message, from);
      case SADB.SADB_REGISTER:
        from.isRegistered = true;
        from.push(this.#message(message, []));
        return 0;
      case SADB.SADB_X_SPDADD:
      case SADB.SADB_X_SPDUPDATE:
        return satype === 0 ? this.#putPolicy(message, extensions) : EINVAL;
      case SADB.SADB_X_SPDDELETE:
        return this.#deletePolicy(message, extensions);
      case SADB.SADB_X_SPDFLUSH:
        this.policies = [];
        return this.#broadcast(message, []);
      case SADB.SADB_X_SPDDUMP:
        return this.#dumpPolicies(message, from);
      default:
        return EINVAL;
    }
  }

  // --- SADB ---

  #add(message: PfkeyMessage, given: Extensions): number {
    const errno = this.#checkSa(message, given);
    if (errno !== 0) return errno;
    const { spi } = this.#saOf(given);
    if (this.sas.some((sa) => sa.spi === spi)) return EEXIST;
    const copy = new Map([...given].map(([type, bytes]) => [type, bytes.slice()]));
    const created = this.clock.wallSeconds();
    this.sas.unshift({ spi, satype: message.satype, given: copy, pid: message.pid, created, state: MATURE });
    return this.#broadcast(message, this.#reply(given));
  }

  /** @returns an errno. */
  #checkSa({ satype }: PfkeyMessage, given: Extensions): number {
    const has = (type: number) => given.has(type);
    if (satype === 0 || !has(EXT.SADB_EXT_SA) || !hasEnds(given)) return EINVAL;
    if (has(EXT.SADB_EXT_LIFETIME_HARD) !== has(EXT.SADB_EXT_LIFETIME_SOFT)) return EINVAL;
    const natt = [X.SADB_X_EXT_NAT_T_TYPE, X.SADB_X_EXT_NAT_T_SPORT, X.SADB_X_EXT_NAT_T_DPORT].filter(has);
    if (natt.length !== 0 && natt.length !== 3) return EINVAL;
    const { spi, encrypt, auth, flags } = this.#saOf(given);
    if ((flags & ~0xfff) !== 0) return EINVAL;
    if (satype === IPCOMP) return spi < 0x10000 && auth === 0 && encrypt === 2 ? 0 : EINVAL;
    return spi > 0xff && this.#hasKeys(satype, encrypt, auth, given) ? 0 : EINVAL;
  }

  #hasKeys(satype: number, encrypt: number, auth: number, given: Extensions): boolean {
    const fits = (table: typeof EALG, number: number, type: number) =>
      table.get(number)?.includes(this.#keyBytes(given, type) ?? -1) === true;
    const isChecked = fits(AALG, auth, EXT.SADB_EXT_KEY_AUTH);
    if (satype === AH) return encrypt === 0 && isChecked;
    return fits(EALG, encrypt, EXT.SADB_EXT_KEY_ENCRYPT) && (auth === 0 || isChecked);
  }

  #keyBytes(given: Extensions, type: number): number | undefined {
    const key = given.get(type);
    return key && sadbKey.read(new Reader(key, "key", this.platform.order)).bits / 8;
  }

  /** Of a mature SA only lifetimes can change, and only by the process that has made it. */
  #update({ pid, ...message }: PfkeyMessage, given: Extensions): number {
    if (!given.has(EXT.SADB_EXT_SA) || !hasEnds(given)) return EINVAL;
    const sav = this.sas.find(({ spi }) => spi === this.#saOf(given).spi);
    if (sav === undefined || sav.pid !== pid || given.has(EXT.SADB_EXT_KEY_ENCRYPT)) return EINVAL;
    for (const type of [EXT.SADB_EXT_LIFETIME_HARD, EXT.SADB_EXT_LIFETIME_SOFT]) {
      if (given.has(type)) sav.given.set(type, given.get(type)!.slice());
    }
    return this.#broadcast({ pid, ...message }, this.#reply(given));
  }

  #delete(message: PfkeyMessage, given: Extensions): number {
    if (message.satype === 0 || !hasEnds(given)) return EINVAL;
    const named = given.get(EXT.SADB_EXT_SA);
    const found = this.sas.filter((sav) => this.#fits(sav, message.satype, given));
    if (named !== undefined && found.length === 0) return ESRCH;
    this.sas = this.sas.filter((sav) => !found.includes(sav));
    return this.#broadcast(message, [...(named === undefined ? [] : [named]), ...ends(given)]);
  }

  #get(message: PfkeyMessage, given: Extensions, from: FakePfkeySocket): number {
    if (message.satype === 0 || !given.has(EXT.SADB_EXT_SA) || !hasEnds(given)) return EINVAL;
    const sav = this.sas.find((one) => this.#fits(one, message.satype, given));
    if (sav === undefined) return ESRCH;
    from.push(this.#message({ ...message, satype: sav.satype }, this.#show(sav)));
    return 0;
  }

  /** By SPI where one is given, and always by both ends. */
  #fits(sav: Sav, satype: number, given: Extensions): boolean {
    const isSpi = !given.has(EXT.SADB_EXT_SA) || sav.spi === this.#saOf(given).spi;
    return isSpi && sav.satype === satype &&
      encodeHex(joined(ends(sav.given))) === encodeHex(joined(ends(given)));
  }

  #dumpSas(message: PfkeyMessage, from: FakePfkeySocket): number {
    const shown = this.sas.filter(({ satype }) => message.satype === 0 || satype === message.satype);
    if (shown.length === 0) return ENOENT;
    for (const [i, sav] of shown.entries()) {
      const head = { ...message, satype: sav.satype, seq: shown.length - 1 - i };
      from.push(this.#message(head, this.#show(sav), 1));
    }
    return 0;
  }

  /** What an answer to GET and a dump show. */
  #show(sav: Sav): Bytes[] {
    const { given } = sav;
    return [
      this.#sa(sav),
      this.#sa2(sav),
      ...this.#replay(sav),
      ...some(given, [EXT.SADB_EXT_LIFETIME_HARD, EXT.SADB_EXT_LIFETIME_SOFT]),
      this.#current(sav.created),
      ...ends(given),
      ...some(given, [EXT.SADB_EXT_KEY_AUTH, EXT.SADB_EXT_KEY_ENCRYPT]),
      ...some(given, [X.SADB_X_EXT_NAT_T_TYPE, X.SADB_X_EXT_NAT_T_DPORT, X.SADB_X_EXT_NAT_T_SPORT]),
      ...this.#originals(given),
    ];
  }

  /** In transport mode only, and not when an end is told again. */
  #originals(given: Extensions): Bytes[] {
    if (this.#sa2Of(given).mode === TUNNEL) return [];
    const kept = [
      [X.SADB_X_EXT_NAT_T_OAI, EXT.SADB_EXT_ADDRESS_SRC],
      [X.SADB_X_EXT_NAT_T_OAR, EXT.SADB_EXT_ADDRESS_DST],
    ] as const;
    return kept.flatMap(([type, end]) => {
      const original = given.get(type);
      const isAgain = original && encodeHex(original.subarray(4)) === encodeHex(given.get(end)!.subarray(4));
      return original === undefined || isAgain ? [] : [original];
    });
  }

  #saOf(given: Extensions) {
    return sadbSa.read(new Reader(given.get(EXT.SADB_EXT_SA)!, "sadb_sa", this.platform.order));
  }

  /** Bytes of the bitmap. */
  #windowBytes(given: Extensions): number {
    const replay = given.get(X.SADB_X_EXT_SA_REPLAY);
    if (replay === undefined) return this.#saOf(given).replay;
    return (sadbXSaReplay.read(new Reader(replay, "replay", this.platform.order)).replay + 7) >>> 3;
  }

  #sa({ given, state }: Sav): Bytes {
    const asked = this.#saOf(given);
    const keyBytes = this.#keyBytes(given, EXT.SADB_EXT_KEY_ENCRYPT) ?? 0;
    const auth = asked.encrypt === AESGCM16
      ? GMAC_OF.get(keyBytes)!
      : asked.encrypt === CHACHA20
      ? 14
      : asked.auth;
    const replay = Math.min(0xff, this.#windowBytes(given));
    return this.#extension(EXT.SADB_EXT_SA, (w) => sadbSa.write(w, { ...asked, auth, replay, state }));
  }

  #sa2Of(given: Extensions): { readonly mode: number; readonly reqid: number } {
    const asked = given.get(X.SADB_X_EXT_SA2);
    if (asked === undefined) return { mode: 0, reqid: 0 };
    return sadbXSa2.read(new Reader(asked, "sa2", this.platform.order));
  }

  #sa2({ given }: Sav): Bytes {
    const { mode, reqid } = this.#sa2Of(given);
    return this.#extension(X.SADB_X_EXT_SA2, (w) => sadbXSa2.write(w, { mode, reqid, sequence: 0 }));
  }

  #replay({ given }: Sav): Bytes[] {
    const bytes = this.#windowBytes(given);
    if (bytes <= 0xff) return [];
    return [this.#extension(X.SADB_X_EXT_SA_REPLAY, (w) => sadbXSaReplay.write(w, { replay: bytes * 8 }))];
  }

  #current(created: number): Bytes {
    const writer = new ExtensionWriter(this.platform);
    const values = { allocations: 0, bytes: 0n, addtime: BigInt(created), usetime: 0n };
    addLifetime(writer, EXT.SADB_EXT_LIFETIME_CURRENT, values);
    return writer.finish();
  }

  /** Copies of what was asked for, without keys. */
  #reply(given: Extensions): Bytes[] {
    return some(given, [
      ...[EXT.SADB_EXT_SA, X.SADB_X_EXT_SA2, EXT.SADB_EXT_ADDRESS_SRC, EXT.SADB_EXT_ADDRESS_DST],
      ...[EXT.SADB_EXT_LIFETIME_HARD, EXT.SADB_EXT_LIFETIME_SOFT],
      ...[X.SADB_X_EXT_NAT_T_TYPE, X.SADB_X_EXT_NAT_T_SPORT, X.SADB_X_EXT_NAT_T_DPORT],
      ...[X.SADB_X_EXT_NAT_T_OAI, X.SADB_X_EXT_NAT_T_OAR],
    ]);
  }

  // --- SPD ---

  #putPolicy(message: PfkeyMessage, given: Extensions): number {
    const key = this.#policyKey(given);
    if (key === undefined) return EINVAL;
    const { dir, type, priority } = this.#policyOf(given);
    if (dir !== 1 && dir !== 2 || type > 2) return EINVAL;
    const isThere = this.policies.some((policy) => policy.key === key);
    if (isThere && message.type === SADB.SADB_X_SPDADD) return EEXIST;
    this.policies = this.policies.filter((policy) => policy.key !== key);
    const at = this.policies.findIndex((policy) => policy.priority > priority);
    const copy = new Map([...given].map(([kind, bytes]) => [kind, bytes.slice()]));
    const created = this.clock.wallSeconds();
    const added = { key, given: copy, id: ++this.#policyId, priority, created };
    this.policies.splice(at < 0 ? this.policies.length : at, 0, added);
    return this.#broadcast(message, this.#policyReply(given));
  }

  #deletePolicy(message: PfkeyMessage, given: Extensions): number {
    const key = this.#policyKey(given);
    if (key === undefined || !this.policies.some((policy) => policy.key === key)) return EINVAL;
    this.policies = this.policies.filter((policy) => policy.key !== key);
    return this.#broadcast(message, this.#policyReply(given));
  }

  #policyReply(given: Extensions): Bytes[] {
    return [...some(given, [X.SADB_X_EXT_POLICY, EXT.SADB_EXT_LIFETIME_HARD]), ...ends(given)];
  }

  #policyOf(given: Extensions) {
    return sadbXPolicy.read(new Reader(given.get(X.SADB_X_EXT_POLICY)!, "policy", this.platform.order));
  }

  /** Direction and selector; undefined when something is missing. */
  #policyKey(given: Extensions): string | undefined {
    if (!given.has(X.SADB_X_EXT_POLICY) || !hasEnds(given)) return undefined;
    return `${this.#policyOf(given).dir} ${encodeHex(joined(ends(given)))}`;
  }

  #dumpPolicies(message: PfkeyMessage, from: FakePfkeySocket): number {
    if (this.policies.length === 0) return ENOENT;
    for (const [i, policy] of this.policies.entries()) {
      const exts = [
        ...ends(policy.given),
        this.#shownPolicy(policy),
        ...this.#shownLimits(policy),
      ];
      from.push(this.#message({ ...message, seq: this.policies.length - 1 - i }, exts, 1));
    }
    return 0;
  }

  #shownPolicy({ given, id }: Sp): Bytes {
    const asked = given.get(X.SADB_X_EXT_POLICY)!;
    const values = { ...this.#policyOf(given), scope: 1, id };
    return this.#extension(X.SADB_X_EXT_POLICY, (w) => {
      sadbXPolicy.write(w, values);
      w.bytes(asked.subarray(sadbXPolicy.size));
    });
  }

  /** Only where there is a limit of age; what is no time is what the kernel's stack held. */
  #shownLimits({ given, created }: Sp): Bytes[] {
    const hard = given.get(EXT.SADB_EXT_LIFETIME_HARD);
    if (hard === undefined) return [];
    const { addtime, usetime } = sadbLifetime.read(new Reader(hard, "hard", this.platform.order));
    if (addtime === 0n) return [];
    const garbage = { allocations: 0xdeadbeef, bytes: 0xffff8000_12345678n };
    const writer = new ExtensionWriter(this.platform);
    const dates = { addtime: BigInt(created), usetime: BigInt(created) };
    addLifetime(writer, EXT.SADB_EXT_LIFETIME_CURRENT, { ...garbage, ...dates });
    addLifetime(writer, EXT.SADB_EXT_LIFETIME_HARD, { ...garbage, addtime, usetime });
    return [writer.finish()];
  }

  // --- messages ---

  #extension(type: number, write: (writer: Writer) => void): Bytes {
    return new ExtensionWriter(this.platform).add(type, write).finish();
  }

  #broadcast(message: PfkeyMessage, extensions: readonly Bytes[]): number {
    const told = this.#message(message, extensions);
    for (const socket of this.sockets) socket.push(told);
    return 0;
  }

  #message(
    { type, satype, seq, pid }: Pick<PfkeyMessage, "type" | "satype" | "seq" | "pid">,
    extensions: readonly Bytes[],
    references = 0,
  ): Bytes {
    const body = joined(extensions);
    const writer = new Writer(this.platform.order);
    const lenWords = (sadbMsg.size + body.length) / 8;
    sadbMsg.write(writer, { version: 2, type, errno: 0, satype, lenWords, seq, pid });
    const message = writer.bytes(body).finish();
    message[this.platform.order === "little" ? 6 : 7] = references; // sadb_msg_reserved
    return message;
  }

  /** The request as it came, keys included. */
  #withErrno(request: Bytes, errno: number): Bytes {
    const copy = request.slice();
    copy[sadbMsg.offsetOf("errno")] = errno;
    return copy;
  }
}

/** One PF_KEY socket. What it has no room for is lost, and nobody says so. */
export class FakePfkeySocket implements PfkeySocket {
  readonly portId = 0;
  readonly receiveBufferBytes = 2 ** 20;
  queue: (Bytes | "pause")[] = [];
  /** Messages that fit in. */
  room = Infinity;
  isRegistered = false;
  closed = false;
  #buffer: Bytes = new Uint8Array();

  constructor(readonly kernel: FakeFreebsd, readonly fd: number) {}

  send(bytes: Uint8Array): void {
    if (this.closed) throw new TypeError("Cannot send: the socket is closed");
    this.kernel.take(bytes.slice(), this);
  }

  receive(): Received {
    if (this.closed) throw new TypeError("Cannot receive: the socket is closed");
    this.#buffer.fill(0xee);
    const next = this.queue.shift();
    if (next === undefined || next === "pause") return { kind: "empty" };
    this.#buffer = next.slice();
    return { kind: "data", bytes: this.#buffer };
  }

  close(): void {
    if (this.closed) throw new TypeError("Cannot close: the socket is closed");
    this.closed = true;
  }

  push(message: Bytes): void {
    if (!this.closed && this.queue.length < this.room) this.queue.push(message);
  }
}

function orEinval<T>(work: () => T): T {
  try {
    return work();
  } catch {
    throw new SyscallError("send to PF_KEY", "EINVAL", EINVAL);
  }
}

function hasEnds(given: Extensions): boolean {
  return ends(given).length === 2;
}

function ends(given: Extensions): Bytes[] {
  return some(given, [EXT.SADB_EXT_ADDRESS_SRC, EXT.SADB_EXT_ADDRESS_DST]);
}

function some(given: Extensions, types: readonly number[]): Bytes[] {
  return types.flatMap((type) => given.has(type) ? [given.get(type)!] : []);
}

function joined(parts: readonly Bytes[]): Bytes {
  return new Writer().bytes(Uint8Array.from(parts.flatMap((part) => [...part]))).finish();
}
