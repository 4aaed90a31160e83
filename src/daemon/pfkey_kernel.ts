/**
 * A kernel's SADB and SPD over PF_KEY, in any dialect: one socket for events and requests, and one for each dump
 * while it lasts. Kernels lose events without a word, so what cannot be known is compared with a dump.
 */

import { DecodeError, KernelReplyError } from "../errors.ts";
import type { Dialect, Meaning, Reading, Request, Surroundings } from "../pfkey/dialect.ts";
import type { Clock, Fd, KernelChange, KernelEvent, KernelIpsec, KernelResult, Takeover } from "../ports.ts";
import type { Address } from "../record/address.ts";
import { policyKey } from "../record/policy.ts";
import { type IpsecRecord, recordKey } from "../record/record.ts";
import { type Sa, type SaIdentity, saKey } from "../record/sa.ts";
import { PfkeyApply } from "./pfkey_apply.ts";
import { type Heard, type PfkeyAnswer, PfkeyChannel, type PfkeySocket } from "./pfkey_channel.ts";
import { type PfkeyDump, RequestedDump } from "./pfkey_dump.ts";
import { PfkeyMemory } from "./pfkey_memory.ts";
import { type ReadSysctl, SysctlDump } from "./pfkey_sysctl_dump.ts";

/** What the back end needs of the machine. */
export interface PfkeyPorts {
  /** Opens a PF_KEY socket. @throws {SyscallError} */
  open(receiveBufferBytes: number): PfkeySocket;
  /** Where the dialect dumps by sysctl(3). */
  readonly sysctl?: ReadSysctl;
  readonly clock: Pick<Clock, "bootMs" | "wallSeconds">;
  /** What own messages carry: on OpenBSD the process id, elsewhere a number that no other process uses. */
  readonly pid: number;
}

/** Room for the events of about 25,000 changes on Linux, which doubles it. */
const EVENT_BUFFER_BYTES = 32 * 1024 * 1024;
/** Linux dumps as fast as it is read; a kernel that counts down queues all at once and drops what does not fit. */
const PACED_DUMP_BUFFER_BYTES = 1024 * 1024;
/** Events can be lost without any sign, so now and then all is compared: at a thousandth of the time that it takes. */
const COMPARE_MS = 60_000;
const COMPARE_MS_PER_RECORD = 100;

export class PfkeyKernel implements KernelIpsec {
  readonly name = "pfkey";
  readonly fd: Fd;
  readonly #ports: PfkeyPorts;
  readonly #dialect: Dialect;
  readonly #channel: PfkeyChannel;
  readonly #memory: PfkeyMemory;
  readonly #apply: PfkeyApply;
  #dump: PfkeyDump | undefined;
  /** What could not be read and why, by identity; told once for each. */
  #unreadable = new Map<string, string>();
  #pending: KernelEvent[] = [];
  #compareAtMs = Infinity;

  /** Events are heard from here on. @throws {SyscallError | KernelReplyError} */
  constructor(ports: PfkeyPorts, dialect: Dialect) {
    this.#ports = ports;
    this.#dialect = dialect;
    this.#memory = new PfkeyMemory(dialect);
    this.#channel = new PfkeyChannel(ports.open(EVENT_BUFFER_BYTES), dialect, ports.pid);
    this.#apply = new PfkeyApply(this.#channel, this.#memory);
    this.fd = this.#channel.socket.fd;
    for (const request of dialect.subscriptions) this.#subscribe(request);
  }

  get hasEvents(): boolean {
    return this.#pending.length > 0 || this.#channel.hasKept;
  }

  readEvents(limit: number): readonly KernelEvent[] {
    const events = this.#pending.splice(0);
    for (const heard of this.#channel.take(limit)) events.push(...this.#follow(heard));
    const reason = this.#channel.takeLoss() ?? this.#dueReason();
    return reason === undefined ? events : [...events, { kind: "resync", reason }];
  }

  beginDump(): void {
    this.#dump?.close();
    this.#dump = undefined;
    this.#dump = this.#startDump();
  }

  continueDump(): readonly IpsecRecord[] | undefined {
    const tables = this.#dump?.continue();
    if (tables === undefined) return undefined;
    this.#dump = undefined;
    const records = this.#fromTables(tables);
    this.#compareAtMs = this.#ports.clock.bootMs() +
      Math.max(COMPARE_MS, records.length * COMPARE_MS_PER_RECORD);
    return records;
  }

  apply(changes: readonly KernelChange[]): readonly KernelResult[] {
    return this.#apply.apply(changes, this.#surroundings());
  }

  takeover(sa: Sa): Takeover {
    return this.#dialect.takeover(sa);
  }

  close(): void {
    this.#dump?.close();
    this.#channel.socket.close();
  }

  #surroundings(): Surroundings {
    return { nowSeconds: this.#ports.clock.wallSeconds() };
  }

  #subscribe(request: Request): void {
    const answer = this.#channel.exchange(request);
    if (answer.kind === "message" || answer.kind === "refused" && request.fine.includes(answer.errno)) return;
    const errno = answer.kind === "lost" ? "no answer" : answer.errno;
    this.close();
    throw new KernelReplyError(this.#dialect.messageName(request.type), errno);
  }

  #dueReason(): string | undefined {
    if (this.#ports.clock.bootMs() < this.#compareAtMs) return undefined;
    this.#compareAtMs = Infinity; // until the dump is there
    return "regular comparison, as PF_KEY does not tell of lost events";
  }

  #startDump(): PfkeyDump {
    const { dump } = this.#dialect;
    if (dump.kind === "requests") {
      const socket = this.#ports.open(dump.step === 1 ? PACED_DUMP_BUFFER_BYTES : EVENT_BUFFER_BYTES);
      return new RequestedDump(dump, socket, this.#dialect, this.#ports.pid, this.#surroundings());
    }
    if (this.#ports.sysctl === undefined) throw new TypeError("Cannot dump: there is no sysctl");
    return new SysctlDump(dump, this.#ports.sysctl, this.#dialect, this.#surroundings());
  }

  /** Records that share an identity are told apart by what PF_KEY does not tell, a mark say. */
  #fromTables(tables: readonly (readonly Reading[])[]): readonly IpsecRecord[] {
    const unreadable = new Map<string, string>();
    const found = new Map<string, Extract<Reading, { kind: "record" }>>();
    for (const reading of tables.flat()) {
      if (reading.kind === "refused") unreadable.set(reading.what, reading.reason);
      if (reading.kind !== "record") continue;
      const key = recordKey(reading.record);
      if (found.has(key)) unreadable.set(key, "there are several of this identity, with marks perhaps");
      found.set(key, reading);
    }
    for (const key of unreadable.keys()) found.delete(key);
    const records = this.#memory.completeAll([...found.values()]);
    this.#apply.dumped(new Set(found.keys()));
    for (const [what, reason] of unreadable) this.#pending.push(...this.#note(what, reason));
    this.#unreadable = unreadable;
    return records;
  }

  #follow(heard: Heard): readonly KernelEvent[] {
    if (heard instanceof DecodeError) return this.#note("a PF_KEY message", heard.message);
    try {
      const meaning = this.#dialect.decode(heard, this.#surroundings());
      this.#memory.learnPlace(meaning);
      return this.#translate(meaning);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return this.#note(this.#dialect.messageName(heard.type), error.message);
    }
  }

  #translate(meaning: Meaning): readonly KernelEvent[] {
    switch (meaning.kind) {
      case "changed":
        return this.#fromReading(meaning.reading, meaning.created);
      case "read-back":
        return this.#readBack(meaning.id, meaning.src, meaning.created);
      case "sa-gone":
        this.#forget(saKey(meaning.id));
        return [meaning];
      case "policy-gone":
        this.#forget(policyKey(meaning.id));
        return [{ kind: meaning.kind, id: meaning.id, expired: meaning.expired }];
      case "sa-flush":
      case "policy-flush":
      case "resync":
        return [meaning];
      default:
        return [];
    }
  }

  #forget(key: string): void {
    this.#unreadable.delete(key);
    this.#memory.forget(key);
  }

  /** What an update has made of an SA. When it is gone by now, an event will say so. */
  #readBack(id: SaIdentity, src: Address | undefined, created: boolean): readonly KernelEvent[] {
    const answer = this.#ask(id, src ?? this.#memory.sourceOf(id));
    if (answer.kind === "message") {
      return this.#fromReading(this.#dialect.decodeAnswer(answer.message, this.#surroundings()), created);
    }
    if (answer.kind === "refused" && answer.errno === "ESRCH") return [];
    const reason = answer.kind === "refused" ? answer.errno : "the answer was lost";
    return [{ kind: "resync", reason: `a changed SA could not be read back: ${reason}` }];
  }

  #ask(id: SaIdentity, src: Address | undefined): PfkeyAnswer {
    try {
      return this.#channel.exchange(this.#dialect.get(id, src));
    } catch (error) {
      if (error instanceof RangeError) return { kind: "refused", errno: error.message }; // has no name here
      throw error;
    }
  }

  #fromReading(reading: Reading, created: boolean): readonly KernelEvent[] {
    if (reading.kind === "none") return [];
    if (reading.kind === "refused") return this.#note(reading.what, reading.reason);
    return [{ kind: "record", record: this.#memory.complete(reading), created }];
  }

  /** The event that tells of an unreadable record, unless it has been told. */
  #note(what: string, reason: string): readonly KernelEvent[] {
    if (this.#unreadable.get(what) === reason) return [];
    this.#unreadable.set(what, reason);
    return [{ kind: "unreadable", what, reason }];
  }
}
