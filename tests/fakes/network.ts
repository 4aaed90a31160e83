/**
 * TCP in memory, nasty on request: short reads and writes, latency, small buffers, connects that hang or are refused,
 * no descriptors left. Uses of a closed descriptor and double closes throw, as the real one's do.
 */

import { SyscallError } from "../../src/errors.ts";
import type {
  Clock,
  Connection,
  Fd,
  Interest,
  ListenAddress,
  Listener,
  Readiness,
  Received,
  Transport,
} from "../../src/ports.ts";
import { type Address, formatAddress } from "../../src/record/address.ts";
import { addr } from "./records.ts";

/** Something on its way to one end of a connection. */
interface Arrival {
  readonly atMs: number;
  readonly what: Uint8Array | "fin" | "rst";
}

/** How a connect ends, and when. `errno` undefined: it succeeds. */
interface Outcome {
  readonly atMs: number;
  readonly errno: string | undefined;
}

/** A connect that somebody has started. */
export interface Dial {
  readonly from: string;
  readonly to: string;
  readonly atMs: number;
}

export class FakeNetwork {
  /** Milliseconds that bytes and connects take. */
  latencyMs: (from: string, to: string) => number = () => 0;
  /** Whether nothing arrives on this way at present: what is sent arrives later. */
  holds: (from: string, to: string) => boolean = () => false;
  /** What becomes of bytes on their way. `isEnd`: they are the last that arrive on that connection. */
  carry: (bytes: Uint8Array, from: string, to: string) => { bytes: Uint8Array; isEnd?: boolean } = (
    bytes,
  ) => ({
    bytes,
  });
  /** The most bytes that one send or receive moves; at least 1. */
  chop: () => number = () => Infinity;
  /** Bytes that one direction of a connection holds, on the way and unread. */
  capacity = 64 * 1024;
  /** Addresses that never answer a connect. */
  readonly hanging = new Set<string>();
  /** Addresses without a route. */
  readonly unreachable = new Set<string>();
  /** Errno of every accept, while set. */
  acceptErrno: string | undefined;
  readonly dials: Dial[] = [];
  readonly #files = new Map<Fd, File>();
  readonly #listeners = new Map<string, FakeListener>();
  #nextFd = 3;

  constructor(readonly clock: Clock) {}

  /** TCP as the host with this address has it. */
  host(address: string): Transport {
    return {
      listen: (at) => this.listen(at),
      connect: (to, local) => this.connect(local ?? addr(address), to),
    };
  }

  listen({ address, port }: ListenAddress): FakeListener {
    const name = nameOf(address, port);
    if (this.#listeners.has(name)) throw new SyscallError(`listen on ${name}`, "EADDRINUSE", 98);
    const host = formatAddress(address);
    const listener = new FakeListener(this, this.#nextFd++, host, () => this.#listeners.delete(name));
    this.#listeners.set(name, listener);
    this.#files.set(listener.fd, listener);
    return listener;
  }

  connect(from: Address, { address, port }: ListenAddress): FakeConnection {
    const to = formatAddress(address);
    const atMs = this.clock.bootMs();
    this.dials.push({ from: formatAddress(from), to, atMs });
    if (this.unreachable.has(to)) throw new SyscallError(`connect to ${to}`, "ENETUNREACH", 101);
    const listener = this.#listeners.get(nameOf(address, port));
    const name = formatAddress(from);
    if (this.hanging.has(to) || this.holds(name, to) || this.holds(to, name)) {
      return this.#open(from, address, { atMs: Infinity, errno: undefined });
    }
    const doneMs = atMs + this.latencyMs(name, to);
    if (listener === undefined) return this.#open(from, address, { atMs: doneMs, errno: "ECONNREFUSED" });
    const near = this.#open(from, address, { atMs: doneMs, errno: undefined });
    const far = this.#open(address, from, undefined);
    near.peer = far;
    far.peer = near;
    listener.waiting.push({ atMs: doneMs, connection: far });
    return near;
  }

  /** The process with these listeners dies: its system closes all that it had. */
  kill(address: string): void {
    for (const [fd, file] of [...this.#files]) {
      if (!this.isOpen(fd)) continue; // it waited in a listener
      if (file instanceof FakeConnection && file.local === address) file.close();
      if (file instanceof FakeListener && file.host === address) file.close();
    }
  }

  /** Something on the way resets all connections between two hosts. */
  reset(a: string, b: string): void {
    for (const file of this.#files.values()) {
      if (!(file instanceof FakeConnection)) continue;
      const far = formatAddress(file.remote);
      if (file.local === a && far === b || file.local === b && far === a) file.take("rst");
    }
  }

  /** Lets pollers wait for a descriptor that is none of the network's, a kernel socket say. */
  attach(fd: Fd, isReadable: () => boolean, isWritable = () => false): void {
    this.#files.set(fd, {
      get state() {
        return { canRead: isReadable(), canWrite: isWritable(), error: false };
      },
      arrivalsMs: [],
    });
  }

  /** Descriptors that nobody has closed. */
  get openFds(): Fd[] {
    return [...this.#files.keys()];
  }

  /** What poll(2) would find now. @throws {Error} for a descriptor that is not open. */
  ready(interests: readonly Interest[]): Readiness[] {
    return interests.flatMap((interest) => {
      const file = this.#files.get(interest.fd);
      if (file === undefined) throw new Error(`poll on closed descriptor ${interest.fd}`);
      const { canRead, canWrite, error } = file.state;
      const read = interest.read && (canRead || error);
      const write = interest.write && (canWrite || error);
      return read || write || error ? [{ fd: interest.fd, read, write, error }] : [];
    });
  }

  /** When the next thing that is on its way arrives; Infinity: nothing is. */
  nextArrivalMs(): number {
    const times = [...this.#files.values()].flatMap(({ arrivalsMs }) => arrivalsMs);
    return Math.min(Infinity, ...times.filter((atMs) => atMs > this.clock.bootMs()));
  }

  forget(fd: Fd): void {
    if (!this.#files.delete(fd)) throw new SyscallError(`use closed descriptor ${fd}`, "EBADF", 9);
  }

  isOpen(fd: Fd): boolean {
    return this.#files.has(fd);
  }

  #open(local: Address, remote: Address, outcome: Outcome | undefined): FakeConnection {
    const connection = new FakeConnection(this, this.#nextFd++, formatAddress(local), remote, outcome);
    this.#files.set(connection.fd, connection);
    return connection;
  }
}

/** Something that pollers wait for. */
interface File {
  readonly state: State;
  readonly arrivalsMs: readonly number[];
}

interface State {
  readonly canRead: boolean;
  readonly canWrite: boolean;
  readonly error: boolean;
}

export class FakeListener implements Listener {
  readonly waiting: { readonly atMs: number; readonly connection: FakeConnection }[] = [];

  constructor(
    readonly network: FakeNetwork,
    readonly fd: Fd,
    readonly host: string,
    private readonly onClose: () => void,
  ) {}

  get state(): State {
    return { canRead: this.#next !== undefined, canWrite: false, error: false };
  }

  get arrivalsMs(): number[] {
    return this.waiting.map(({ atMs }) => atMs);
  }

  accept(): FakeConnection | undefined {
    if (!this.network.isOpen(this.fd)) throw new SyscallError("accept", "EBADF", 9);
    const next = this.#next;
    if (next === undefined) return undefined;
    if (this.network.acceptErrno !== undefined) {
      throw new SyscallError("accept a connection", this.network.acceptErrno, 24);
    }
    this.waiting.splice(this.waiting.indexOf(next), 1);
    return next.connection;
  }

  close(): void {
    this.network.forget(this.fd);
    for (const { connection } of this.waiting) connection.drop();
    this.onClose();
  }

  get #next() {
    const nowMs = this.network.clock.bootMs();
    return this.waiting.find(({ atMs }) => atMs <= nowMs);
  }
}

export class FakeConnection implements Connection {
  peer: FakeConnection | undefined;
  #isFinished = false;
  /** Nothing more arrives. */
  #isCut = false;
  readonly #far: string;
  readonly #inbox: Arrival[] = [];
  #outcome: Outcome | undefined;
  /** Handed out by the last receive; the next one spoils it. */
  #given = new Uint8Array();

  constructor(
    readonly network: FakeNetwork,
    readonly fd: Fd,
    readonly local: string,
    readonly remote: Address,
    outcome: Outcome | undefined,
  ) {
    this.#outcome = outcome;
    this.#far = formatAddress(remote);
  }

  get connecting(): boolean {
    return this.#outcome !== undefined;
  }

  get state(): State {
    const nowMs = this.network.clock.bootMs();
    if (this.#outcome !== undefined) {
      const isOver = nowMs >= this.#outcome.atMs;
      return { canRead: false, canWrite: isOver, error: isOver && this.#outcome.errno !== undefined };
    }
    const head = this.#arrived;
    return { canRead: head !== undefined, canWrite: this.#room > 0, error: head?.what === "rst" };
  }

  get arrivalsMs(): number[] {
    return [
      ...this.#inbox.map(({ atMs }) => atMs),
      ...this.#outcome === undefined ? [] : [this.#outcome.atMs],
    ];
  }

  /** Bytes that have not been read, on the way or arrived. */
  get inboxBytes(): number {
    return this.#inbox.reduce((sum, { what }) => sum + (typeof what === "string" ? 0 : what.length), 0);
  }

  finishConnect(): string | undefined {
    this.#use();
    const outcome = this.#outcome;
    if (outcome === undefined) return undefined;
    if (this.network.clock.bootMs() < outcome.atMs) return "EINPROGRESS";
    this.#outcome = undefined;
    return outcome.errno;
  }

  send(bytes: Uint8Array): number | "closed" {
    this.#use();
    if (this.#isFinished) throw new Error("send after finish");
    if (this.connecting) return 0;
    if (this.#arrived?.what === "rst" || this.peer === undefined) return "closed";
    const length = Math.max(0, Math.min(bytes.length, this.#room, this.network.chop()));
    if (!this.network.isOpen(this.peer.fd)) this.take("rst");
    else if (length > 0) this.peer.carry(bytes.slice(0, length));
    return length;
  }

  receive(limit: number): Received {
    this.#use();
    this.#given.fill(0xee);
    const head = this.#arrived;
    if (head === undefined) return { kind: "empty" };
    if (head.what === "rst") return { kind: "closed", reason: "ECONNRESET" };
    if (head.what === "fin") return { kind: "closed", reason: "EOF" };
    const length = Math.min(limit, head.what.length, this.network.chop());
    this.#given = head.what.slice(0, length);
    const rest = head.what.subarray(length);
    if (rest.length > 0) this.#inbox[0] = { atMs: head.atMs, what: rest };
    else this.#inbox.shift();
    return { kind: "data", bytes: this.#given };
  }

  finish(): void {
    this.#use();
    this.#isFinished = true;
    this.peer?.take("fin");
  }

  drop(): void {
    this.network.forget(this.fd);
    this.peer?.take("rst");
  }

  close(): void {
    this.network.forget(this.fd);
    this.peer?.take(this.inboxBytes > 0 ? "rst" : "fin");
  }

  /** Bytes have been sent to this end, and the way may do something to them. */
  carry(sent: Uint8Array): void {
    const { bytes, isEnd = false } = this.network.carry(sent, this.#far, this.local);
    if (bytes.length > 0) this.take(bytes);
    if (isEnd) this.take("rst");
    this.#isCut ||= isEnd;
  }

  /** Something has been sent to this end. */
  take(what: Arrival["what"]): void {
    if (this.#isCut) return;
    const nowMs = this.network.clock.bootMs();
    const latencyMs = this.network.latencyMs(this.#far, this.local);
    const atMs = Math.max(nowMs + latencyMs, this.#inbox.at(-1)?.atMs ?? 0);
    this.#inbox.push({ atMs, what });
  }

  get #arrived(): Arrival | undefined {
    const head = this.#inbox[0];
    if (head !== undefined && this.network.holds(this.#far, this.local)) return undefined;
    return head !== undefined && head.atMs <= this.network.clock.bootMs() ? head : undefined;
  }

  get #room(): number {
    return Math.max(0, this.network.capacity - (this.peer?.inboxBytes ?? 0));
  }

  #use(): void {
    if (!this.network.isOpen(this.fd)) {
      throw new SyscallError(`use closed descriptor ${this.fd}`, "EBADF", 9);
    }
  }
}

function nameOf(address: Address, port: number): string {
  return `${formatAddress(address)} port ${port}`;
}
