/**
 * A kernel's SADB and SPD over PF_KEY, in any dialect: one socket for events and requests, and one for each dump
 * while it lasts. Kernels lose events without a word, so what cannot be known is compared with a dump.
 */

import { DecodeError, KernelReplyError } from "../errors.ts";
import type { Dialect, Meaning, Reading, Request, Surroundings } from "../pfkey/dialect.ts";
import type { PfkeyMessage } from "../pfkey/message.ts";
import type { Clock, Fd, KernelChange, KernelEvent, KernelIpsec, KernelResult, Takeover } from "../ports.ts";
import type { Address } from "../record/address.ts";
import { policyKey } from "../record/policy.ts";
import { type IpsecRecord, recordKey } from "../record/record.ts";
import { type Sa, type SaIdentity, saKey } from "../record/sa.ts";
import { type Heard, PfkeyChannel, type PfkeySocket } from "./pfkey_channel.ts";
import { type PfkeyDump, RequestedDump } from "./pfkey_dump.ts";
import { type ReadSysctl, SysctlDump } from "./pfkey_sysctl_dump.ts";
import { KnownOrder } from "./known_order.ts";
import { PolicyPlaces } from "./policy_places.ts";
import { UntoldRecords } from "./untold_records.ts";

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
const DUMP_BUFFER_BYTES = 1024 * 1024;
/** Events can be lost without any sign, so now and then all is compared: at a thousandth of the time that it takes. */
const COMPARE_MS = 60_000;
const COMPARE_MS_PER_RECORD = 100;

const DONE: KernelResult = { ok: true };

export class PfkeyKernel implements KernelIpsec {
  readonly name = "pfkey";
  readonly fd: Fd;
  readonly #ports: PfkeyPorts;
  readonly #dialect: Dialect;
  readonly #channel: PfkeyChannel;
  readonly #places = new PolicyPlaces();
  readonly #order = new KnownOrder();
  readonly #untold: UntoldRecords;
  /** Sources of SAs by key, where requests need them. */
  readonly #sources = new Map<string, Address>();
  #dump: PfkeyDump | undefined;
  /** What could not be read and why, by identity; told once for each. */
  #unreadable = new Map<string, string>();
  #pending: KernelEvent[] = [];
  #compareAtMs = Infinity;

  /** Events are heard from here on. @throws {SyscallError | KernelReplyError} */
  constructor(ports: PfkeyPorts, dialect: Dialect) {
    this.#ports = ports;
    this.#dialect = dialect;
    this.#untold = new UntoldRecords(dialect);
    this.#channel = new PfkeyChannel(ports.open(EVENT_BUFFER_BYTES), dialect, ports.pid);
    this.fd = this.#channel.socket.fd;
    for (const request of dialect.subscriptions) this.#subscribe(request);
  }

  get hasEvents(): boolean {
    return this.#pending.length > 0 || this.#channel.hasKept;
  }

  readEvents(limit: number): readonly KernelEvent[] {
    const events = this.#pending.splice(0);
    for (const heard of this.#channel.take(limit)) {
      events.push(...this.#follow(heard));
    }
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
    const surroundings = this.#surroundings();
    const results = changes.map((change) => this.#change(change, surroundings));
    this.#channel.drain();
    return results;
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
      const socket = this.#ports.open(DUMP_BUFFER_BYTES);
      return new RequestedDump(dump, socket, this.#dialect, this.#ports.pid, this.#surroundings());
    }
    if (this.#ports.sysctl === undefined) throw new TypeError("Cannot dump: there is no sysctl");
    return new SysctlDump(dump, this.#ports.sysctl, this.#dialect, this.#surroundings());
  }

  /** Records that share an identity are told apart by what PF_KEY does not tell, a mark say. */
  #fromTables(tables: readonly (readonly Reading[])[]): readonly IpsecRecord[] {
    const unreadable = new Map<string, string>();
    const records = tables.flatMap((readings) => {
      const found = new Map<string, { record: IpsecRecord; index: number; priority: number }>();
      for (const reading of readings) {
        if (reading.kind === "refused") unreadable.set(reading.what, reading.reason);
        if (reading.kind !== "record") continue;
        const { record, index = 0 } = reading;
        const key = recordKey(record);
        if (found.has(key)) unreadable.set(key, "there are several of this identity, with marks perhaps");
        const priority = record.kind === "policy" ? record.policy.priority : 0;
        found.set(key, { record: this.#untold.restore(record), index, priority });
      }
      for (const key of unreadable.keys()) found.delete(key);
      return this.#inOrder([...found.values()]).map(({ record }) => record);
    });
    for (const [what, reason] of unreadable) this.#pending.push(...this.#note(what, reason));
    this.#unreadable = unreadable;
    if (this.#dialect.namesBySource === true) this.#noteSources(records);
    return records;
  }

  #inOrder(found: { record: IpsecRecord; index: number; priority: number }[]) {
    if (this.#dialect.dump.kind === "sysctl" && found[0]?.record.kind === "policy") {
      return this.#order.sort(found, ({ record }) => recordKey(record));
    }
    const isIndexed = found.every(({ record, index }) => record.kind === "policy" && index > 0);
    return isIndexed ? this.#places.sort(found) : found;
  }

  #noteSources(records: readonly IpsecRecord[]): void {
    this.#sources.clear();
    for (const record of records) {
      if (record.kind === "sa") this.#sources.set(saKey(record.sa), record.sa.src);
    }
  }

  #change(change: KernelChange, surroundings: Surroundings): KernelResult {
    const planned = this.#encode(change, surroundings);
    if (!planned.ok) return planned;
    const { requests, onExist } = planned.plan;
    let errno = this.#carryOut(requests, surroundings);
    if (errno?.errno === "EEXIST" && onExist.length > 0) errno = this.#carryOut(onExist, surroundings);
    if (errno !== undefined) {
      return { ok: false, reason: `${this.#dialect.messageName(errno.type)}: ${errno.errno}` };
    }
    this.#changed(change);
    return DONE;
  }

  #encode(change: KernelChange, surroundings: Surroundings): ReturnType<Dialect["encode"]> {
    const id = change.kind === "delete-sa" ? change.id : undefined;
    return this.#dialect.encode(change, surroundings, id && this.#sources.get(saKey(id)));
  }

  /** @returns what went wrong, or undefined. */
  #carryOut(
    requests: readonly Request[],
    surroundings: Surroundings,
  ): { readonly type: number; readonly errno: string } | undefined {
    for (const request of requests) {
      const answer = this.#channel.exchange(request);
      if (answer.kind === "lost") return { type: request.type, errno: "the kernel's answer was lost" };
      if (answer.kind === "message") this.#notePlace(answer.message, surroundings);
      else if (!request.fine.includes(answer.errno)) return { type: request.type, errno: answer.errno };
    }
    return undefined;
  }

  /** The place that an own policy has got, or has left. */
  #notePlace(answer: PfkeyMessage, surroundings: Surroundings): void {
    try {
      this.#learnPlace(this.#dialect.decode(answer, surroundings));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error; // no matter: the answer was not an error
    }
  }

  #learnPlace(meaning: Meaning): void {
    if (meaning.kind === "policy-flush") this.#places.clear();
    if (meaning.kind === "policy-gone") {
      this.#order.delete(policyKey(meaning.id));
      if (meaning.index !== undefined) this.#places.delete(meaning.index);
    }
    if (meaning.kind !== "changed" || meaning.reading.kind !== "record") return;
    const { record, index } = meaning.reading;
    if (record.kind !== "policy") return;
    this.#order.learn(policyKey(record.policy));
    if (index !== undefined) this.#places.put({ index, priority: record.policy.priority });
  }

  #changed(change: KernelChange): void {
    if (change.kind === "delete-sa") this.#untold.delete(saKey(change.id));
    else if (change.kind === "delete-policy") this.#untold.delete(policyKey(change.id));
    else this.#putDone(change.record);
    if (this.#dialect.namesBySource !== true) return;
    if (change.kind === "delete-sa") this.#sources.delete(saKey(change.id));
    if (change.kind === "put" && change.record.kind === "sa") {
      this.#sources.set(saKey(change.record.sa), change.record.sa.src);
    }
  }

  #putDone(record: IpsecRecord): void {
    this.#untold.put(record);
    if (record.kind === "policy") this.#order.put(policyKey(record.policy));
  }

  #follow(heard: Heard): readonly KernelEvent[] {
    if (heard instanceof DecodeError) return this.#note("a PF_KEY message", heard.message);
    try {
      const meaning = this.#dialect.decode(heard, this.#surroundings());
      this.#learnPlace(meaning);
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
    this.#untold.delete(key);
    this.#sources.delete(key);
  }

  /** What an update has made of an SA. When it is gone by now, an event will say so. */
  #readBack(id: SaIdentity, src: Address | undefined, created: boolean): readonly KernelEvent[] {
    const request = this.#dialect.get(id, src ?? this.#sources.get(saKey(id)));
    const answer = this.#channel.exchange(request);
    if (answer.kind === "message") {
      return this.#fromReading(this.#dialect.decodeAnswer(answer.message, this.#surroundings()), created);
    }
    if (answer.kind === "refused" && answer.errno === "ESRCH") return [];
    const reason = answer.kind === "refused" ? answer.errno : "the answer was lost";
    return [{ kind: "resync", reason: `a changed SA could not be read back: ${reason}` }];
  }

  #fromReading(reading: Reading, created: boolean): readonly KernelEvent[] {
    if (reading.kind === "none") return [];
    if (reading.kind === "refused") return this.#note(reading.what, reading.reason);
    const record = this.#untold.restore(reading.record);
    if (this.#dialect.namesBySource === true && record.kind === "sa") {
      this.#sources.set(saKey(record.sa), record.sa.src);
    }
    return [{ kind: "record", record, created }];
  }

  /** The event that tells of an unreadable record, unless it has been told. */
  #note(what: string, reason: string): readonly KernelEvent[] {
    if (this.#unreadable.get(what) === reason) return [];
    this.#unreadable.set(what, reason);
    return [{ kind: "unreadable", what, reason }];
  }
}
