/**
 * The Linux kernel's SADB and SPD over NETLINK_XFRM: one socket for events, one for requests, and one for each
 * dump while it lasts, so that no answer lies in another one's way.
 */

import { DecodeError, SyscallError } from "../errors.ts";
import { type NetlinkMessage, splitDatagram } from "../layout/netlink.ts";
import type {
  Advance,
  Clock,
  Counters,
  Fd,
  KernelChange,
  KernelEvent,
  KernelIpsec,
  KernelResult,
  KernelSocket,
  Takeover,
} from "../ports.ts";
import { policyKey } from "../record/policy.ts";
import type { IpsecRecord } from "../record/record.ts";
import { type Sa, type SaIdentity, saKey } from "../record/sa.ts";
import {
  messageName,
  XFRM_MSG_GETSA,
  XFRM_MSG_NEWSA,
  XFRM_MSG_UPDPOLICY,
  XFRMNLGRP_AEVENTS,
  XFRMNLGRP_EXPIRE,
  XFRMNLGRP_MIGRATE,
  XFRMNLGRP_POLICY,
  XFRMNLGRP_SA,
} from "../xfrm/constants.ts";
import { errnoName } from "../xfrm/errno.ts";
import { decodeEvent, type XfrmEvent } from "../xfrm/events.ts";
import { decodePolicy, type PolicyReading } from "../xfrm/policy.ts";
import { encodeSaId } from "../xfrm/requests.ts";
import { decodeSa, type SaReading } from "../xfrm/sa.ts";
import type { InterfaceNames, Surroundings } from "../xfrm/surroundings.ts";
import { NetlinkChannel } from "./netlink_channel.ts";
import { PolicyContexts } from "./policy_contexts.ts";
import { type IndexedPolicy, PolicyPlaces } from "./policy_places.ts";
import { XfrmApply } from "./xfrm_apply.ts";
import { advanceSas, watchSas } from "./xfrm_progress.ts";
import { XfrmDump } from "./xfrm_dump.ts";
import { limitSas } from "./xfrm_limits.ts";

/** What the back end needs of the machine. */
export interface XfrmPorts {
  /**
   * Opens a NETLINK_XFRM socket that hears these groups (numbers, not bits), but for what the requests of
   * `ignoredPortId` caused.
   *
   * @throws {SyscallError}
   */
  open(groups: readonly number[], receiveBufferBytes?: number, ignoredPortId?: number): KernelSocket;
  readonly clock: Pick<Clock, "wallSeconds">;
  readonly interfaces: InterfaceNames;
}

const GROUPS = [
  ...[XFRMNLGRP_EXPIRE, XFRMNLGRP_SA, XFRMNLGRP_POLICY],
  ...[XFRMNLGRP_AEVENTS, XFRMNLGRP_MIGRATE],
];
/** Room for the events of about 10,000 changes, before they are lost and a dump has to follow. */
const EVENT_BUFFER_BYTES = 16 * 1024 * 1024;
/** Datagrams that are read for each event asked for: not each tells of one. */
const READS_PER_EVENT = 8;
const ESRCH = 3;

/** A record of a dump. Index and priority are those of a policy. */
interface Dumped extends IndexedPolicy {
  readonly record: IpsecRecord;
}

export class XfrmKernel implements KernelIpsec {
  readonly name = "xfrm";
  readonly fd: Fd;
  readonly counters: Counters = { offloadDropped: 0 };
  readonly #ports: XfrmPorts;
  readonly #events: KernelSocket;
  readonly #channel: NetlinkChannel;
  readonly #apply: XfrmApply;
  readonly #places = new PolicyPlaces();
  readonly #contexts: PolicyContexts;
  #dump: XfrmDump<Dumped> | undefined;
  /** What could not be read and why, by identity; told once for each. */
  #unreadable = new Map<string, string>();
  #unreadableInDump = new Map<string, string>();
  #pending: KernelEvent[] = [];
  /** Events were lost, and more may be: after an overrun the kernel drops all until its queue has been emptied. */
  #losing = false;
  readonly #unwatched: SaIdentity[] = [];

  /** Events are heard from here on. @throws {SyscallError} when the system has no XFRM or does not allow it. */
  constructor(ports: XfrmPorts, eventBufferBytes: number = EVENT_BUFFER_BYTES) {
    this.#ports = ports;
    this.#channel = new NetlinkChannel(ports.open([]));
    this.#events = ports.open(GROUPS, eventBufferBytes, this.#channel.portId);
    this.#contexts = new PolicyContexts(this.#channel);
    this.#apply = new XfrmApply(this.#channel, () => this.#surroundings());
    this.fd = this.#events.fd;
  }

  /** The records that cannot be expressed, with the reason, by identity. */
  get unreadable(): ReadonlyMap<string, string> {
    return this.#unreadable;
  }

  readEvents(limit: number): readonly KernelEvent[] {
    const events = this.#pending.splice(0);
    for (let reads = 0; events.length < limit && reads < limit * READS_PER_EVENT; reads++) {
      const received = this.#events.receive();
      if (received.kind === "empty") {
        if (this.#losing) events.push({ kind: "resync", reason: "events were lost" });
        this.#losing = false;
        break;
      }
      if (received.kind === "closed") throw new SyscallError("read XFRM events", received.reason, 0);
      if (received.kind === "overrun") this.#losing = true;
      else events.push(...this.#followAll(received.bytes));
    }
    this.#watch();
    return events;
  }

  beginDump(): void {
    this.#dump?.close();
    this.#unreadableInDump = new Map();
    this.#dump = new XfrmDump(this.#ports.open([]), (type, body) => this.#dumped(type, body));
  }

  continueDump(): readonly IpsecRecord[] | undefined {
    const tables = this.#dump?.continue();
    this.#watch();
    if (tables === undefined) return undefined;
    this.#dump = undefined;
    for (const [what, reason] of this.#unreadableInDump) this.#pending.push(...this.#note(what, reason));
    this.#unreadable = this.#unreadableInDump;
    this.#contexts.dumped(tables.policies);
    return [...tables.sas, ...this.#places.sort(tables.policies)].map(({ record }) => record);
  }

  apply(changes: readonly KernelChange[]): readonly KernelResult[] {
    return this.#apply.apply(changes);
  }

  advance(advances: readonly Advance[]): readonly KernelResult[] {
    return advanceSas(this.#channel, advances, this.#ports.clock.wallSeconds());
  }

  limit(sas: readonly Sa[]): readonly KernelResult[] {
    return limitSas(this.#channel, sas, this.#surroundings());
  }

  takeover(): Takeover {
    return "exact";
  }

  close(): void {
    this.#dump?.close();
    this.#channel.close();
    this.#events.close();
  }

  /** SAs come with the kernel's own threshold, which is low: it would tell of every second packet. */
  #watch(): void {
    if (this.#unwatched.length === 0) return;
    try {
      watchSas(this.#channel, this.#unwatched.splice(0));
    } catch (error) { // no memory …: these are told of more often than they need be
      if (!(error instanceof SyscallError)) throw error;
    }
  }

  #surroundings(): Surroundings {
    return { nowSeconds: this.#ports.clock.wallSeconds(), interfaces: this.#ports.interfaces };
  }

  #followAll(datagram: Uint8Array): readonly KernelEvent[] {
    try {
      return splitDatagram(datagram).flatMap((message) => this.#follow(message));
    } catch (error) {
      if (error instanceof DecodeError) return this.#note("a notification", error.message);
      throw error;
    }
  }

  /** Notifications carry the port id of whose request caused them: own ones are not told. */
  #follow(message: NetlinkMessage): readonly KernelEvent[] {
    if (message.pid === this.#channel.portId) return [];
    try {
      const event = decodeEvent(message, this.#surroundings());
      return event === undefined ? [] : this.#translate(event, message.type);
    } catch (error) {
      if (error instanceof DecodeError) return this.#note(messageName(message.type), error.message);
      if (error instanceof SyscallError) return [{ kind: "resync", reason: error.message }]; // while reading back
      throw error;
    }
  }

  #translate(event: XfrmEvent, type: number): readonly KernelEvent[] {
    switch (event.kind) {
      case "sa":
        return this.#fromReading(event.reading, true);
      case "policy": // an updated one keeps its place among those of its priority
        return this.#policyPut(event.reading, type !== XFRM_MSG_UPDPOLICY);
      case "sa-updated":
        return this.#readBack(event.id);
      case "sa-gone":
        this.#unreadable.delete(saKey(event.id));
        return [event];
      case "policy-gone":
        return this.#policyGone(event);
      case "policy-flush":
        this.#places.clear();
        this.#contexts.clear();
        return [event];
      default:
        return [event];
    }
  }

  #policyPut(told: PolicyReading, created: boolean): readonly KernelEvent[] {
    if (told.kind !== "policy") return this.#fromReading(told, created);
    const policy = this.#contexts.complete(told.policy, told.index, this.#surroundings());
    if (policy === "gone") return [];
    if (policy === undefined) return [{ kind: "resync", reason: "a policy could not be read back" }];
    this.#places.put(indexed(told));
    return this.#fromReading({ ...told, policy }, created);
  }

  #policyGone(
    { kind, id: told, index, expired }: XfrmEvent & { kind: "policy-gone" },
  ): readonly KernelEvent[] {
    this.#places.delete(index);
    const id = this.#contexts.identify(told, index);
    if (id === "gone") return [];
    if (id === undefined) return [{ kind: "resync", reason: "a policy of unknown security context is gone" }];
    this.#unreadable.delete(policyKey(id));
    return [{ kind, id, expired }];
  }

  /** What an update has made of an SA. When it is gone by now, an event will say so. */
  #readBack(id: SaIdentity): readonly KernelEvent[] {
    const [answer] = this.#channel.exchange([{ type: XFRM_MSG_GETSA, flags: 0, body: encodeSaId(id) }]);
    if (answer?.kind === "message") {
      return this.#fromReading(decodeSa(answer.body, this.#surroundings()), false);
    }
    if (answer?.kind === "verdict" && answer.errno === ESRCH) return [];
    const reason = answer?.kind === "verdict" ? errnoName(answer.errno) : "the answer was lost";
    return [{ kind: "resync", reason: `an updated SA could not be read back: ${reason}` }];
  }

  #fromReading(reading: SaReading | PolicyReading, created: boolean): readonly KernelEvent[] {
    if (reading.kind === "refused") return this.#note(reading.what, reading.reason);
    if (reading.kind === "sa") this.#unwatched.push(reading.sa);
    const record = this.#accept(reading);
    return record === undefined ? [] : [{ kind: "record", record, created }];
  }

  #accept(reading: SaReading | PolicyReading): IpsecRecord | undefined {
    if (reading.kind !== "sa" && reading.kind !== "policy") return undefined;
    if (reading.offloaded) this.counters.offloadDropped = (this.counters.offloadDropped ?? 0) + 1;
    return reading.kind === "sa"
      ? { kind: "sa", sa: reading.sa }
      : { kind: "policy", policy: reading.policy };
  }

  #dumped(type: number, body: Uint8Array): Dumped | undefined {
    try {
      const decode = type === XFRM_MSG_NEWSA ? decodeSa : decodePolicy;
      const reading = decode(body, this.#surroundings());
      if (reading.kind === "refused") this.#unreadableInDump.set(reading.what, reading.reason);
      if (reading.kind === "sa") this.#unwatched.push(reading.sa);
      const record = this.#accept(reading);
      const { index, priority } = reading.kind === "policy" ? indexed(reading) : NO_POLICY;
      return record && { record, index, priority };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#unreadableInDump.set(messageName(type), error.message);
      return undefined;
    }
  }

  /** The event that tells of an unreadable record, unless it has been told. */
  #note(what: string, reason: string): readonly KernelEvent[] {
    if (this.#unreadable.get(what) === reason) return [];
    this.#unreadable.set(what, reason);
    return [{ kind: "unreadable", what, reason }];
  }
}

const NO_POLICY: IndexedPolicy = { index: 0, priority: 0 };

function indexed({ index, policy }: Extract<PolicyReading, { kind: "policy" }>): IndexedPolicy {
  return { index, priority: policy.priority };
}
