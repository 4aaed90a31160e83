/**
 * A PF_KEY kernel like OpenBSD's in memory: sockets, broadcasts, promiscuous copies, sysctl dumps, limits of time.
 * It is nasty: queues are short and overflow in silence, a socket says now and then that it is empty although
 * something waits, dumps fail, and a message's bytes are gone after the next receive.
 */

import { SyscallError } from "../../src/errors.ts";
import { HOST_ORDER } from "../../src/layout/byte_order.ts";
import { Reader } from "../../src/layout/reader.ts";
import { Writer } from "../../src/layout/writer.ts";
import { sadbSpirange } from "../../src/pfkey/extensions.ts";
import { encodeMessage, type Extensions, type Platform, sadbMsg } from "../../src/pfkey/message.ts";
import {
  SADB_DUMP_NAME,
  sadbProtocol,
  sadbXRdomain,
  SPD_DUMP_NAME,
} from "../../src/pfkey/openbsd_constants.ts";
import type { KernelSocket, Received } from "../../src/ports.ts";
import { type CheckedRequest, checkFlow, checkRequest, Refused, UNANSWERED } from "./openbsd_rules.ts";
import {
  exportExpiry,
  exportFlow,
  exportTdb,
  findFlow,
  type Flow,
  flowKey,
  importFlow,
  importTdb,
  larvalTdb,
  type Tdb,
  tdbKey,
  updateTdb,
} from "./openbsd_tables.ts";

const [EEXIST, ESRCH, EOPNOTSUPP] = [17, 3, 45];
/** What a socket has when nobody has asked for more. */
const DEFAULT_QUEUE_BYTES = 8192;
const SATYPES = [1, 2, 7, 9];

/** Descriptors of all kernels, for one poller may look at several. */
let nextFd = 100_000;

/** What a request came to. */
type Outcome =
  /** A header with this errno goes to everybody. */
  | { readonly errno: number }
  /** The extensions of the answer that goes to everybody. */
  | { readonly body: Uint8Array }
  | "unanswered";

export interface OpenbsdOptions {
  readonly order?: Platform["order"];
  /** From 0 up to 1, as Math.random; undefined: the kernel is nice. */
  readonly random?: () => number;
  /** How large a receive buffer the system gives at most (kern.sbmax). */
  readonly mostQueueBytes?: number;
}

/** Milliseconds of CLOCK_BOOTTIME, and seconds of CLOCK_REALTIME. */
export interface KernelClock {
  bootMs(): number;
  wallSeconds(): number;
}

export class FakeOpenbsdKernel {
  readonly platform: Platform;
  readonly sockets: FakeKeySocket[] = [];
  readonly sas = new Map<string, Tdb>();
  /** In an order of the kernel's own, not that in which they came. */
  readonly flows = new Map<string, Flow>();
  /** Broadcasts that did not fit a queue. */
  lost = 0;
  /** Requests that have been carried out, by message type. */
  readonly requests: number[] = [];
  readonly random: () => number;
  readonly mostQueueBytes: number;
  #kernelSeq = 1;

  constructor(readonly clock: KernelClock, options: OpenbsdOptions = {}) {
    this.platform = { order: options.order ?? HOST_ORDER, saLen: true, afInet6: 24 };
    this.random = options.random ?? (() => 1);
    this.mostQueueBytes = options.mostQueueBytes ?? 2 * 1024 * 1024;
  }

  /** A socket of process `pid`. */
  open(pid: number, receiveBufferBytes = DEFAULT_QUEUE_BYTES): FakeKeySocket {
    const queueBytes = Math.min(receiveBufferBytes, this.mostQueueBytes);
    const socket = new FakeKeySocket(this, nextFd++, pid, queueBytes);
    this.sockets.push(socket);
    return socket;
  }

  /** sysctl(3) as ffi/sysctl.ts hands it on. @throws {SyscallError} when the table has grown too fast. */
  sysctl(name: readonly number[]): Uint8Array {
    if (this.random() < 0.1) throw new SyscallError(`read sysctl ${name.join(".")}`, "ENOMEM", 12);
    return this.dump(name);
  }

  /** The same without a failure. */
  dump(name: readonly number[]): Uint8Array {
    this.tick();
    const dumped = [...name].join() === SADB_DUMP_NAME.join()
      ? Array.from(this.sas.values(), (tdb) => this.#dumped(10, tdb.satype, exportTdb(tdb, this.platform)))
      : [...name].join() === SPD_DUMP_NAME.join()
      ? this.#flowsAsTheTreeHasThem().map((flow) => this.#dumped(16, flow.satype, exportFlow(flow)))
      : undefined;
    if (dumped === undefined) throw new SyscallError("read a sysctl", "EINVAL", 22);
    return dumped.reduce((writer, message) => writer.bytes(message), new Writer()).finish();
  }

  /** Looked up by a tree of addresses, which a walk goes through. */
  #flowsAsTheTreeHasThem(): Flow[] {
    return [...this.flows].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, flow]) => flow);
  }

  #dumped(type: number, satype: number, body: Uint8Array, seq = 0, pid = 0): Uint8Array {
    return encodeMessage({ type, satype, seq, pid }, body, this.platform);
  }

  /** write(2) on a socket. @throws {SyscallError} */
  write(socket: FakeKeySocket, bytes: Uint8Array): void {
    this.tick();
    try {
      this.#request(socket, checkRequest(bytes.slice(), socket.pid, this.platform));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      throw new SyscallError(`send ${bytes.length} bytes to the kernel`, error.errno, error.code);
    }
  }

  /** All SAs whose time is over are told of, and gone. */
  tick(): void {
    for (const [key, tdb] of this.sas) {
      if (this.clock.bootMs() < tdb.expiresMs) continue;
      this.sas.delete(key);
      const head = { type: 8, satype: tdb.satype, seq: this.#kernelSeq++, pid: 0 };
      this.#broadcast(encodeMessage(head, exportExpiry(tdb), this.platform));
    }
  }

  #request(socket: FakeKeySocket, request: CheckedRequest): void {
    if (request.type === 11) return this.#promisc(socket, request);
    const copy = encodeMessage(
      { type: 11, satype: 0, seq: socket.pid, pid: 0 },
      request.bytes,
      this.platform,
    );
    for (const other of this.sockets) if (other.isPromiscuous) other.deliver(copy);
    this.requests.push(request.type);
    if (request.type === 10) return this.#dump(socket, request);
    const outcome = this.#carryOut(request);
    if (outcome === "unanswered") {
      throw new Refused("EPERM", 1, "the answer has extensions that it must not have");
    }
    const { type, satype, seq, pid } = request;
    const body = "errno" in outcome ? new Uint8Array() : outcome.body;
    const answer = encodeMessage({ type, satype, seq, pid }, body, this.platform);
    if ("errno" in outcome) answer[2] = outcome.errno;
    this.#broadcast(answer);
  }

  #promisc(socket: FakeKeySocket, { satype, bytes, seq, pid }: CheckedRequest): void {
    if (bytes.length === sadbMsg.size) {
      socket.isPromiscuous = satype !== 0;
      this.#broadcast(encodeMessage({ type: 11, satype, seq, pid }, new Uint8Array(), this.platform));
    } else for (const other of this.sockets) if (other !== socket) other.deliver(bytes);
  }

  #broadcast(message: Uint8Array): void {
    for (const socket of this.sockets) socket.deliver(message);
  }

  #carryOut(request: CheckedRequest): Outcome {
    const { type, satype, extensions } = request;
    if ([1, 2, 3].includes(type) && !SATYPES.includes(satype)) return { errno: EOPNOTSUPP };
    switch (type) {
      case 1:
        return this.#getSpi(request);
      case 2:
        return this.#update(request);
      case 3:
        return this.#add(request);
      case 4:
        return this.#answer(this.sas.delete(this.#keyOf(satype, extensions)) || ESRCH, extensions);
      case 5:
        return this.#get(request);
      case 9:
        return this.#flush(satype);
      case 12:
        return this.#addFlow(satype, extensions);
      case 13:
        return this.#deleteFlow(extensions);
      case 14:
        return this.#group(satype, extensions);
      default:
        return this.#answer(true, extensions);
    }
  }

  /** The request's own extensions but the keys, by ascending number. */
  #answer(done: true | number, extensions: Extensions): Outcome {
    if (done !== true) return { errno: done };
    const shown = [...extensions].filter(([number]) => number !== 8 && number !== 9).sort(([a], [b]) =>
      a - b
    );
    return { body: Uint8Array.from(shown.flatMap(([, extension]) => [...extension])) };
  }

  #keyOf(satype: number, extensions: Extensions): string {
    const rdomain = extensions.get(37);
    const { dom1 } = rdomain === undefined
      ? { dom1: 0 }
      : sadbXRdomain.read(new Reader(rdomain, "rdomain", this.platform.order));
    return `${dom1} ${tdbKey(satype, extensions)}`;
  }

  #getSpi({ satype, extensions }: CheckedRequest): Outcome {
    const range = sadbSpirange.read(new Reader(extensions.get(16)!, "spirange", this.platform.order));
    if (range.min > range.max) throw new Refused("EINVAL", 22, "range of SPIs");
    const spi = range.min + Math.floor(Math.min(this.random(), 0.999) * (range.max - range.min));
    const tdb = larvalTdb(satype, extensions, spi, this.platform);
    const key = this.#keyOf(satype, tdb.extensions);
    if (this.sas.has(key)) return { errno: EEXIST };
    this.sas.set(key, tdb);
    return this.#answer(true, new Map([...tdb.extensions].filter(([number]) => number !== 2)));
  }

  #add({ satype, extensions }: CheckedRequest): Outcome {
    const key = this.#keyOf(satype, extensions);
    if (this.sas.has(key)) return { errno: EEXIST };
    this.sas.set(key, this.#import(satype, extensions, false));
    return this.#checked(extensions);
  }

  #update({ satype, extensions }: CheckedRequest): Outcome {
    const key = this.#keyOf(satype, extensions);
    const tdb = this.sas.get(key);
    if (tdb === undefined) return { errno: ESRCH };
    if (tdb.larval) this.sas.set(key, this.#import(satype, extensions, true));
    else if ([8, 9, 10, 11].some((number) => extensions.has(number))) {
      throw new Refused("EINVAL", 22, "keys or identities of a mature SA");
    } else updateTdb(tdb, extensions, this.clock.bootMs(), this.platform);
    return this.#checked(extensions);
  }

  #import(satype: number, extensions: Extensions, swapped: boolean): Tdb {
    const { clock, platform } = this;
    return importTdb(satype, extensions, clock.wallSeconds(), clock.bootMs(), platform, swapped);
  }

  #checked(extensions: Extensions): Outcome {
    if (UNANSWERED.some((number) => extensions.has(number))) return "unanswered";
    return this.#answer(true, extensions);
  }

  #get({ satype, extensions }: CheckedRequest): Outcome {
    const tdb = this.sas.get(this.#keyOf(satype, extensions));
    if (tdb === undefined) return { errno: ESRCH };
    return tdb.next === undefined ? { body: exportTdb(tdb, this.platform) } : "unanswered";
  }

  #flush(satype: number): Outcome {
    if (satype !== 0 && !SATYPES.includes(satype)) throw new Refused("EINVAL", 22, `flush of ${satype}`);
    for (const [key, tdb] of this.sas) if (satype === 0 || tdb.satype === satype) this.sas.delete(key);
    if (satype === 0) this.flows.clear();
    return { body: new Uint8Array() };
  }

  #addFlow(satype: number, request: Extensions): Outcome {
    const { flags } = checkFlow(request, this.platform);
    const extensions = importFlow(request, this.platform);
    const key = flowKey(extensions);
    const hidden = this.flows.get(key);
    const standing = findFlow(this.flows, extensions) === hidden ? hidden : undefined;
    const isStatic = (flags & 1) !== 0;
    const isRefused = standing === undefined ? hidden !== undefined : standing.static && !isStatic;
    if (isRefused) return this.#answer(true, request); // and nothing is said of it
    extensions.delete(37);
    this.flows.set(key, { satype: satype || 2, extensions, static: isStatic && standing === undefined });
    return this.#answer(true, request);
  }

  #deleteFlow(request: Extensions): Outcome {
    const { order } = this.platform;
    const { flags } = sadbProtocol.read(new Reader(request.get(20)!, "flow type", order));
    const extensions = importFlow(request, this.platform);
    const key = flowKey(extensions);
    const standing = this.flows.get(key);
    if (standing === undefined || findFlow(this.flows, extensions) !== standing) return { errno: ESRCH };
    if (!standing.static || (flags & 1) !== 0) this.flows.delete(key);
    return this.#answer(true, request);
  }

  #group(satype: number, extensions: Extensions): Outcome {
    const { order } = this.platform;
    const { proto } = sadbProtocol.read(new Reader(extensions.get(35)!, "satype2", order));
    const first = this.sas.get(this.#keyOf(satype, extensions));
    const second = [...this.sas.values()].find((tdb) =>
      tdbKey(tdb.satype, tdb.extensions).replace(/\S+$/, "") ===
        tdbKey(proto, extensions, 23, 24).replace(/\S+$/, "")
    );
    if (first === undefined || second === undefined) return { errno: ESRCH };
    first.next = second;
    return this.#answer(true, extensions);
  }

  /** SADB_DUMP: a message each SA to who asked, the last with sequence number 0; none at all when there is none. */
  #dump(socket: FakeKeySocket, { satype, seq, pid }: CheckedRequest): void {
    const tdbs = [...this.sas.values()];
    for (const [i, tdb] of tdbs.entries()) {
      if (satype !== 0 && tdb.satype !== satype) continue;
      const last = i === tdbs.length - 1;
      socket.deliver(this.#dumped(10, tdb.satype, exportTdb(tdb, this.platform), last ? 0 : seq, pid));
    }
  }
}

/** A PF_KEY socket with a queue that overflows without a word. */
export class FakeKeySocket implements KernelSocket {
  readonly portId = 0;
  isPromiscuous = false;
  readonly #queue: Uint8Array[] = [];
  #waitingBytes = 0;
  /** How many of them answer an own request. */
  #own = 0;
  #given: Uint8Array = new Uint8Array();

  constructor(
    readonly kernel: FakeOpenbsdKernel,
    readonly fd: number,
    readonly pid: number,
    readonly receiveBufferBytes: number,
  ) {}

  /** Whether poll(2) would call it readable. */
  get isReadable(): boolean {
    this.kernel.tick();
    return this.#queue.length > 0;
  }

  deliver(message: Uint8Array): void {
    if (this.#waitingBytes + message.length > this.receiveBufferBytes) this.kernel.lost++;
    else {
      this.#waitingBytes += message.length;
      this.#queue.push(message.slice());
      if (this.#isOwn(message)) this.#own++;
    }
  }

  send(bytes: Uint8Array): void {
    this.kernel.write(this, bytes);
  }

  receive(): Received {
    this.#given.fill(0xee);
    const [first] = this.#queue;
    if (first === undefined || this.#isLate()) return { kind: "empty" };
    this.#queue.shift();
    this.#waitingBytes -= first.length;
    if (this.#isOwn(first)) this.#own--;
    this.#given = first;
    return { kind: "data", bytes: first };
  }

  close(): void {
    const at = this.kernel.sockets.indexOf(this);
    if (at < 0) throw new SyscallError("close a socket", "EBADF", 9);
    this.kernel.sockets.splice(at, 1);
  }

  /** What somebody else has caused may not be there yet; an answer to an own request always is. */
  #isLate(): boolean {
    return this.kernel.random() < 0.1 && this.#own === 0;
  }

  #isOwn(message: Uint8Array): boolean {
    return sadbMsg.read(new Reader(message, "message", this.kernel.platform.order)).pid === this.pid;
  }
}
