/**
 * IKE daemons of this host in memory. The sockets move few bytes at a time, are full every other time, and break,
 * lie or fall silent on request.
 */

import { SyscallError } from "../../src/errors.ts";
import {
  CMD_REQUEST,
  CMD_RESPONSE,
  CMD_UNKNOWN,
  decodeViciPacket,
  encodeViciPacket,
  EVENT,
  EVENT_CONFIRM,
  EVENT_UNKNOWN,
  ViciFrames,
  type ViciPacket,
  type ViciValue,
} from "../../src/link/vici.ts";
import type {
  ByteStream,
  CommandRunner,
  Fd,
  IkeControl,
  IkeOrder,
  LocalDoors,
  Received,
  RunningCommand,
} from "../../src/ports.ts";

/** The other end of a stream. */
export interface Server {
  /** @returns what it answers. */
  take(bytes: Uint8Array): Uint8Array;
}

export class FakeDoors implements LocalDoors {
  /** Who listens where. */
  readonly servers = new Map<string, Server>();
  /** What was written to FIFOs. */
  readonly lines: string[] = [];
  /** Errno of every connect and open, while set. */
  errno: string | undefined;
  connects = 0;
  /** The most bytes that one send or receive moves. */
  chop = Infinity;
  /** Bytes that a server has sent when its connection breaks. */
  breaksAfter = Infinity;
  readonly open = new Set<FakeStream>();

  connect(path: string): FakeStream {
    const server = this.servers.get(path);
    this.connects++;
    if (this.errno !== undefined || server === undefined) {
      throw new SyscallError(`connect to "${path}"`, this.errno ?? "ENOENT", 2);
    }
    return new FakeStream(this, 10 + this.connects, server);
  }

  writeFifo(path: string, bytes: Uint8Array): void {
    if (this.errno !== undefined) throw new SyscallError(`open "${path}"`, this.errno, 6);
    this.lines.push(`${path}: ${new TextDecoder().decode(bytes)}`);
  }
}

export class FakeStream implements ByteStream {
  #inbox = new Uint8Array(0);
  #given = new Uint8Array(0);
  #received = 0;
  #isFull = true;

  constructor(private readonly doors: FakeDoors, readonly fd: Fd, private readonly server: Server) {
    doors.open.add(this);
  }

  send(bytes: Uint8Array): number | "closed" {
    this.#use();
    this.#isFull = !this.#isFull;
    if (this.#isFull && this.doors.chop !== Infinity) return 0;
    if (this.#received >= this.doors.breaksAfter) return "closed";
    const length = Math.min(bytes.length, this.doors.chop);
    this.#inbox = Uint8Array.from([...this.#inbox, ...this.server.take(bytes.slice(0, length))]);
    return length;
  }

  receive(limit: number): Received {
    this.#use();
    this.#given.fill(0xee);
    const { chop, breaksAfter } = this.doors;
    if (this.#received >= breaksAfter) return { kind: "closed", reason: "EOF" };
    const length = Math.min(limit, chop, this.#inbox.length, breaksAfter - this.#received);
    if (length === 0) return { kind: "empty" };
    this.#received += length;
    this.#given = this.#inbox.slice(0, length);
    this.#inbox = this.#inbox.slice(length);
    return { kind: "data", bytes: this.#given };
  }

  close(): void {
    this.#use();
    this.doors.open.delete(this);
  }

  /** Whether poll(2) would say that it can be read. */
  get canRead(): boolean {
    return this.#inbox.length > 0 || this.#received >= this.doors.breaksAfter;
  }

  #use(): void {
    if (!this.doors.open.has(this)) throw new SyscallError("use closed descriptor", "EBADF", 9);
  }
}

/** An IKE SA as charon lists it. */
interface FakeSa {
  readonly id: string;
  readonly state: string;
  readonly initiator: boolean;
  /** Of its children. */
  readonly spisOut?: readonly string[];
}

/** charon, as far as the control of strongSwan talks with it. Every child is of the connection "lab". */
export class FakeCharon implements Server {
  /** Children that have a trap. */
  readonly traps = new Set<string>();
  /** Children that are configured. */
  readonly children = new Set<string>();
  /** Children whose trap cannot be installed now. */
  readonly refuses = new Set<string>();
  sas: FakeSa[] = [];
  /** Connections, as `list-conn` has them. */
  conns: Readonly<Record<string, ViciValue>>[] = [];
  /** Commands that changed something, in their order. */
  readonly done: string[] = [];
  asked = 0;
  isSilent = false;
  /** Sent instead of every answer, while set. */
  garbage: Uint8Array | undefined;
  #frames = new ViciFrames();
  readonly #events = new Set<string>();

  constructor(...children: readonly string[]) {
    for (const child of children) {
      this.traps.add(child);
      this.children.add(child);
    }
  }

  /** For a new connection. */
  reset(): void {
    this.#frames = new ViciFrames();
    this.#events.clear();
  }

  take(bytes: Uint8Array): Uint8Array {
    this.#frames.push(bytes);
    const answers: number[] = [];
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      this.asked++;
      if (this.isSilent) continue;
      answers.push(
        ...this.garbage ?? this.#answer(decodeViciPacket(frame)).flatMap((p) => [...encodeViciPacket(p)]),
      );
    }
    return Uint8Array.from(answers);
  }

  #answer({ type, name, message }: ViciPacket): ViciPacket[] {
    if (type !== CMD_REQUEST) {
      const isKnown = ["list-policy", "list-sa", "list-conn"].includes(name);
      if (isKnown) this.#events.add(name);
      return [packet(isKnown ? EVENT_CONFIRM : EVENT_UNKNOWN)];
    }
    const child = `${message.get("child")}`;
    if (name === "list-policies") return this.#list("list-policy", [...this.traps].map(policy));
    if (name === "list-sas") return this.#list("list-sa", this.sas.map(ikeSa));
    if (name === "list-conns") return this.#list("list-conn", this.conns);
    if (name === "initiate") {
      return [this.#change(name, `${child} ${message.get("timeout")}`, () => this.children.has(child))];
    }
    if (name === "rekey") return [this.#change(name, `${message.get("child-id")}`, () => true)];
    if (name === "stats") {
      return [packet(CMD_RESPONSE, { ikesas: section({ "half-open": `${this.#halfOpen}` }) })];
    }
    if (name === "terminate") {
      return [this.#change(name, `${message.get("ike-id")}`, () => this.#terminate(message))];
    }
    if (name === "uninstall") return [this.#change(name, child, () => this.traps.delete(child))];
    if (name === "install") return [this.#change(name, child, () => this.#install(child))];
    return [packet(CMD_UNKNOWN)];
  }

  get #halfOpen(): number {
    return this.sas.filter(({ state }) => state === "CONNECTING").length;
  }

  #install(child: string): boolean {
    if (this.children.has(child)) this.traps.add(child);
    return this.children.has(child);
  }

  #terminate(message: ViciPacket["message"]): boolean {
    const before = this.sas.length;
    this.sas = this.sas.filter(({ id }) => id !== message.get("ike-id"));
    return this.sas.length < before;
  }

  #change(name: string, what: string, act: () => boolean): ViciPacket {
    if (this.refuses.has(what)) return packet(CMD_RESPONSE, { success: "no", errmsg: "busy" });
    const isDone = act();
    if (isDone) this.done.push(`${name} ${what}`);
    return packet(
      CMD_RESPONSE,
      isDone ? { success: "yes" } : { success: "no", errmsg: "configuration name not found" },
    );
  }

  /** Events for who has registered, then the response. */
  #list(event: string, messages: readonly Readonly<Record<string, ViciValue>>[]): ViciPacket[] {
    const events = this.#events.has(event) ? messages : [];
    return [...events.map((values) => packet(EVENT, values, event)), packet(CMD_RESPONSE)];
  }
}

function packet(type: number, values: Readonly<Record<string, ViciValue>> = {}, name = ""): ViciPacket {
  return { type, name, message: section(values) };
}

function section(values: Readonly<Record<string, ViciValue>>) {
  return new Map(Object.entries(values));
}

function policy(child: string) {
  return { [`lab/${child}`]: section({ child, ike: "lab", mode: "TUNNEL", "local-ts": ["10.1.0.0/24"] }) };
}

function ikeSa({ id, state, initiator, spisOut = [] }: FakeSa) {
  const role: Readonly<Record<string, string>> = initiator ? { initiator: "yes" } : {};
  const child = (spi: string, i: number) => section({ uniqueid: `${id}${i}`, "spi-out": spi });
  const children = Object.fromEntries(spisOut.map((spi, i) => [`net-${i}`, child(spi, i)]));
  return { lab: section({ uniqueid: id, state, ...role, "child-sas": section(children) }) };
}

/** A connection with one child, as charon lists it. */
export function connection(ike: string, child: string, remote: string, far: string, mode = "TUNNEL") {
  const children = section({
    [child]: section({ mode, "local-ts": ["10.1.0.0/16"], "remote-ts": [far] }),
  });
  const values = { local_addrs: ["192.0.2.1"], remote_addrs: [remote], version: "IKEv2", children };
  return { [ike]: section(values) };
}

/** Commands that end when the test says so. */
export class FakeRunner implements CommandRunner {
  readonly started: FakeCommand[] = [];
  errno: string | undefined;

  start(command: readonly string[], say: (line: string) => void): FakeCommand {
    if (this.errno !== undefined) throw new SyscallError(`run "${command[0]}"`, this.errno, 2);
    const running = new FakeCommand(command, say);
    this.started.push(running);
    return running;
  }
}

export class FakeCommand implements RunningCommand {
  code: number | undefined;
  /** How often it was told to end. */
  ends = 0;

  constructor(readonly command: readonly string[], readonly say: (line: string) => void) {}

  end(): void {
    this.ends++;
  }
}

/** A control that carries out every order at once, and owes something once it was passive. */
export class FakeControl implements IkeControl {
  readonly name = "fake";
  readonly patienceMs = Infinity;
  readonly interest = undefined;
  readonly orders: IkeOrder[] = [];
  owes = false;

  repeatMs(): number {
    return Infinity;
  }

  begin(order: IkeOrder): void {
    this.orders.push(order);
    this.owes = order.duty === "passive";
  }

  proceed(): boolean {
    return true;
  }

  cancel(): void {}
}
