/**
 * NETLINK_XFRM in memory, with the kernel's rules of marks and order, behind sockets that are nasty: dumps come in
 * small parts with pauses, stale answers lie in the queue, and a datagram's bytes are gone after the next receive.
 */

import { SyscallError } from "../../src/errors.ts";
import {
  type NetlinkHead,
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLMSG_DONE,
  NLMSG_ERROR,
  readAttributes,
  splitDatagram,
  writeAttribute,
  writeMessage,
} from "../../src/layout/netlink.ts";
import { Reader } from "../../src/layout/reader.ts";
import { Writer } from "../../src/layout/writer.ts";
import type { KernelSocket, Received } from "../../src/ports.ts";
import type { Mark } from "../../src/record/sa.ts";
import * as xfrm from "../../src/xfrm/constants.ts";
import { readMark, writeMark } from "../../src/xfrm/selector.ts";
import {
  xfrmAeventId,
  xfrmLifetimeCfg,
  xfrmUserpolicyId,
  xfrmUserpolicyInfo,
  xfrmUsersaId,
  xfrmUsersaInfo,
} from "../../src/xfrm/structs.ts";
import { encodeHex } from "./hex.ts";
import { dumpedSa } from "./xfrm_bodies.ts";

const ENOENT = 2;
const ESRCH = 3;
const EEXIST = 17;
const EINVAL = 22;
const ERANGE = 34;

/** A state: destination, protocol and SPI as text, mark, and the payload that dumps show. */
interface State {
  readonly triple: string;
  readonly mark: Mark;
  readonly body: Uint8Array;
}

interface PolicyEntry {
  readonly key: string;
  readonly body: Uint8Array;
}

const AT_LIMITS = xfrmUsersaInfo.offsetOf("lft");
const AT_INDEX = xfrmUserpolicyInfo.offsetOf("index");
const INDEX_STEP = 8;

export class FakeXfrm {
  /** Last put first, as dumps show them; a policy that is updated keeps its index. */
  states: State[] = [];
  policies: PolicyEntry[] = [];
  #lastIndex = 0;
  readonly sockets: FakeNetlinkSocket[] = [];
  /** SAs whose threshold was set. */
  readonly watched: string[] = [];
  /** How many messages each datagram had that came in. */
  readonly sends: number[] = [];
  /** Types of the attributes beyond MTIMER_THRESH that this kernel knows. */
  knownAttributes: ReadonlySet<number> = new Set();
  /** Whether policies have security contexts, as with SELinux. */
  hasContexts = false;
  /** Answers that are lost from now on. */
  loseAnswers = 0;
  /** Sends that fail for want of memory from now on. */
  failSends = 0;
  /** Dumps that are marked as interrupted from now on. */
  interruptDumps = 0;
  /** With which errno the next dump is refused. */
  refuseDump = 0;

  readonly open = (groups: readonly number[], _bytes?: number, ignoredPortId?: number): KernelSocket => {
    const socket = new FakeNetlinkSocket(this, 100 + this.sockets.length, groups, ignoredPortId);
    this.sockets.push(socket);
    return socket;
  };

  /** A request by another process. */
  disturb(type: number, body: Uint8Array): void {
    this.#handle({ type, flags: 0, seq: 1, pid: 0, body: body.slice() });
  }

  /** UPDSA by another process: changes `to`, but notifies `told`. */
  update(to: Uint8Array, told: Uint8Array): void {
    const at = this.states.indexOf(this.#find(to, xfrmUsersaInfo)!);
    this.states[at] = { ...this.states[at]!, body: dumpedSa(to) };
    this.notify(xfrm.XFRM_MSG_UPDSA, told);
  }

  notify(type: number, body: Uint8Array, pid = 0): void {
    const writer = new Writer();
    writeMessage(writer, { type, flags: 0, seq: 0, pid }, body);
    for (const socket of this.sockets) if (socket.groups.length > 0) socket.queue.push(writer.finish());
  }

  /** Answers a datagram, which may hold many requests. */
  take(datagram: Uint8Array, socket: FakeNetlinkSocket): void {
    const messages = splitDatagram(datagram);
    this.sends.push(messages.length);
    for (const message of messages) {
      if ((message.flags & NLM_F_DUMP) === NLM_F_DUMP) this.#dump(message, socket);
      else socket.answer(message, this.#handle(message));
    }
  }

  /** @returns an errno, or what was asked for. */
  #handle({ type, body, pid }: NetlinkMessage): number | Uint8Array {
    switch (type) {
      case xfrm.XFRM_MSG_NEWSA:
        return this.#newSa(body, pid);
      case xfrm.XFRM_MSG_UPDSA:
        return this.#updateSa(body, pid);
      case xfrm.XFRM_MSG_DELSA:
        return this.#deleteSa(body, pid);
      case xfrm.XFRM_MSG_GETSA:
        return this.#getSa(body);
      case xfrm.XFRM_MSG_NEWAE:
        return this.#newAevent(body);
      case xfrm.XFRM_MSG_GETAE:
        return this.#getAevent(body);
      case xfrm.XFRM_MSG_UPDPOLICY:
        return this.#putPolicy(body, pid);
      case xfrm.XFRM_MSG_DELPOLICY:
        return this.#deletePolicy(body, pid);
      case xfrm.XFRM_MSG_GETPOLICY:
        return this.#getPolicy(body);
      default:
        throw new TypeError(`Fake has no message ${type}`);
    }
  }

  #newSa(body: Uint8Array, pid: number): number {
    if (this.#find(body, xfrmUsersaInfo) !== undefined) return EEXIST;
    const { triple, mark } = nameSa(body, xfrmUsersaInfo);
    this.states.unshift({ triple, mark, body: dumpedSa(body) });
    this.notify(xfrm.XFRM_MSG_NEWSA, body, pid);
    return 0;
  }

  /** Of what stands the limits only; what is told of is what came. */
  #updateSa(body: Uint8Array, pid: number): number {
    const found = this.#find(body, xfrmUsersaInfo);
    if (found === undefined) return ESRCH;
    const updated = found.body.slice();
    updated.set(body.subarray(AT_LIMITS, AT_LIMITS + xfrmLifetimeCfg.size), AT_LIMITS);
    this.states[this.states.indexOf(found)] = { ...found, body: updated };
    this.notify(xfrm.XFRM_MSG_UPDSA, body, pid);
    return 0;
  }

  #deleteSa(body: Uint8Array, pid: number): number {
    const found = this.#find(body, xfrmUsersaId);
    if (found === undefined) return ESRCH;
    this.states = this.states.filter((state) => state !== found);
    const writer = new Writer().bytes(body.subarray(0, xfrmUsersaId.size));
    writeMark(writer, found.mark);
    this.notify(xfrm.XFRM_MSG_DELSA, writer.finish(), pid);
    return 0;
  }

  #getSa(body: Uint8Array): number | Uint8Array {
    const types = [...readAttributes(body.subarray(xfrmUsersaId.size), "GETSA").keys()];
    if (types.some((type) => this.knownAttributes.has(type))) return ERANGE;
    return this.#find(body, xfrmUsersaId)?.body ?? ESRCH;
  }

  /** Thresholds are noted, counters taken as they come. */
  #newAevent(body: Uint8Array): number {
    const found = this.#find(body, xfrmUsersaId, xfrmAeventId.size);
    if (found === undefined) return ESRCH;
    const at = this.states.indexOf(found);
    const given = readAttributes(body.subarray(xfrmAeventId.size), "NEWAE");
    if (given.has(xfrm.XFRMA_REPLAY_THRESH)) this.watched.push(found.triple);
    const counted = [xfrm.XFRMA_REPLAY_VAL, xfrm.XFRMA_REPLAY_ESN_VAL, xfrm.XFRMA_LTIME_VAL];
    const writer = new Writer().bytes(found.body.subarray(0, xfrmUsersaInfo.size));
    for (const [type, value] of readAttributes(found.body.subarray(xfrmUsersaInfo.size), "state")) {
      writeAttribute(writer, type, counted.includes(type) ? given.get(type) ?? value : value);
    }
    this.states[at] = { ...found, body: dumpedSa(writer.finish()) };
    return 0;
  }

  #getAevent(body: Uint8Array): number | Uint8Array {
    const found = this.#find(body, xfrmUsersaId, xfrmAeventId.size);
    if (found === undefined) return ESRCH;
    const writer = new Writer().bytes(body.subarray(0, xfrmAeventId.size));
    const wanted = [xfrm.XFRMA_REPLAY_VAL, xfrm.XFRMA_REPLAY_ESN_VAL, xfrm.XFRMA_LTIME_VAL, xfrm.XFRMA_MARK];
    for (const [type, value] of readAttributes(found.body.subarray(xfrmUsersaInfo.size), "state")) {
      if (wanted.includes(type)) writeAttribute(writer, type, value);
    }
    return writer.finish();
  }

  #putPolicy(body: Uint8Array, pid: number): number {
    const key = namePolicy(body, xfrmUserpolicyInfo);
    const before = this.policies.find((policy) => policy.key === key);
    const index = before?.body.subarray(AT_INDEX, AT_INDEX + 4) ??
      new Writer().u32(this.#lastIndex += INDEX_STEP).finish();
    body.set(index, AT_INDEX);
    this.policies = [{ key, body }, ...this.policies.filter((policy) => policy.key !== key)];
    const told = new Writer().bytes(body.subarray(0, xfrmUserpolicyInfo.size));
    this.notify(xfrm.XFRM_MSG_UPDPOLICY, copyTold(told, body).finish(), pid);
    return 0;
  }

  #deletePolicy(body: Uint8Array, pid: number): number {
    const key = namePolicy(body, xfrmUserpolicyId);
    const found = this.policies.find((policy) => policy.key === key);
    if (found === undefined) return ENOENT;
    this.policies = this.policies.filter((policy) => policy !== found);
    const told = new Writer().bytes(body.subarray(0, xfrmUserpolicyId.size));
    writeAttribute(told, xfrm.XFRMA_POLICY, found.body.subarray(0, xfrmUserpolicyInfo.size));
    this.notify(xfrm.XFRM_MSG_DELPOLICY, copyTold(told, found.body).finish(), pid);
    return 0;
  }

  /** By index. */
  #getPolicy(body: Uint8Array): number | Uint8Array {
    const { index } = xfrmUserpolicyId.read(new Reader(body, xfrmUserpolicyId.name));
    const attributes = readAttributes(body.subarray(xfrmUserpolicyId.size), "GETPOLICY");
    if (this.hasContexts && attributes.has(xfrm.XFRMA_SEC_CTX)) return EINVAL;
    return this.policies.find(({ body }) => indexOf(body) === index)?.body ?? ENOENT;
  }

  /** The newest state whose mark matches, as __xfrm_state_lookup finds it. */
  #find(body: Uint8Array, layout: SaLayout, size = layout.size): State | undefined {
    const { triple, mark } = nameSa(body, layout, size);
    const value = mark.value & mark.mask;
    return this.states.find((state) =>
      state.triple === triple && ((value & state.mark.mask) >>> 0) === state.mark.value
    );
  }

  #dump({ type, seq }: NetlinkMessage, socket: FakeNetlinkSocket): void {
    if (this.refuseDump !== 0) {
      socket.answer({ type, flags: NLM_F_ACK, seq, pid: 0, body: new Uint8Array() }, this.refuseDump);
      this.refuseDump = 0;
      return;
    }
    const isSa = type === xfrm.XFRM_MSG_GETSA;
    const bodies = (isSa ? this.states : this.policies).map(({ body }) => body);
    const interrupted = this.interruptDumps-- > 0 ? NLM_F_DUMP_INTR : 0;
    const flags = NLM_F_MULTI | interrupted;
    const head = {
      type: isSa ? xfrm.XFRM_MSG_NEWSA : xfrm.XFRM_MSG_NEWPOLICY,
      flags,
      seq,
      pid: socket.portId,
    };
    for (let at = 0; at < bodies.length; at += 2) {
      const writer = new Writer();
      for (const body of bodies.slice(at, at + 2)) writeMessage(writer, head, body);
      socket.queue.push(writer.finish(), "pause");
    }
    socket.push({ ...head, type: NLMSG_DONE }, new Uint8Array(4));
  }
}

type SaLayout = typeof xfrmUsersaInfo | typeof xfrmUsersaId;
type PolicyLayout = typeof xfrmUserpolicyInfo | typeof xfrmUserpolicyId;

function nameSa(body: Uint8Array, layout: SaLayout, size = layout.size): { triple: string; mark: Mark } {
  const values = layout.read(new Reader(body, layout.name));
  const { daddr, spi, proto } = "id" in values ? values.id : values;
  const attributes = readAttributes(body.subarray(size), layout.name);
  return { triple: `${encodeHex(daddr)} ${spi} ${proto}`, mark: readMark(attributes) };
}

function indexOf(policy: Uint8Array): number {
  return xfrmUserpolicyInfo.read(new Reader(policy, xfrmUserpolicyInfo.name)).index;
}

/** The attributes of a policy that notifications have: all but the security context. */
function copyTold(writer: Writer, policy: Uint8Array): Writer {
  for (const [type, value] of readAttributes(policy.subarray(xfrmUserpolicyInfo.size), "policy")) {
    if (type !== xfrm.XFRMA_SEC_CTX) writeAttribute(writer, type, value);
  }
  return writer;
}

/** Selector, direction, mark, interface id, type and security context. */
function namePolicy(body: Uint8Array, layout: PolicyLayout): string {
  const attributes = readAttributes(body.subarray(layout.size), layout.name);
  const types = [xfrm.XFRMA_MARK, xfrm.XFRMA_IF_ID, xfrm.XFRMA_POLICY_TYPE, xfrm.XFRMA_SEC_CTX];
  const parts = types.map((type) => encodeHex(attributes.get(type) ?? new Uint8Array()));
  return [encodeHex(body.subarray(0, 56)), body[layout.offsetOf("dir")], ...parts].join(" ");
}

/** One socket of a FakeXfrm. */
export class FakeNetlinkSocket implements KernelSocket {
  readonly fd: number;
  queue: (Uint8Array | "pause" | "overrun")[] = [];
  closed = false;
  #buffer = new Uint8Array();

  constructor(
    readonly kernel: FakeXfrm,
    readonly portId: number,
    readonly groups: readonly number[],
    readonly ignoredPortId: number | undefined,
  ) {
    this.fd = portId;
  }

  send(bytes: Uint8Array): void {
    if (this.closed) throw new TypeError("Cannot send: the socket is closed");
    if (this.kernel.failSends > 0) {
      this.kernel.failSends--;
      throw new SyscallError("send to the kernel", "ENOBUFS", 105);
    }
    this.kernel.take(bytes.slice(), this);
  }

  receive(): Received {
    if (this.closed) throw new TypeError("Cannot receive: the socket is closed");
    const next = this.queue.shift();
    this.#buffer.fill(0xee);
    if (next === undefined || next === "pause") return { kind: "empty" };
    if (next === "overrun") return { kind: "overrun" };
    this.#buffer = next.slice();
    return { kind: "data", bytes: this.#buffer };
  }

  close(): void {
    if (this.closed) throw new TypeError("Cannot close: the socket is closed");
    this.closed = true;
  }

  /** A verdict, or the message that was asked for, after an answer that comes too late. */
  answer(request: NetlinkMessage, result: number | Uint8Array): void {
    if (this.kernel.loseAnswers > 0) {
      this.kernel.loseAnswers--;
      this.queue.push("overrun");
      return;
    }
    const { seq } = request;
    this.push({ type: NLMSG_ERROR, flags: 0, seq: 0x7fff_ffff, pid: this.portId }, verdict(request, 22));
    if (typeof result !== "number") {
      this.push({ type: xfrm.XFRM_MSG_NEWSA, flags: 0, seq, pid: this.portId }, result);
    } else if (result !== 0 || (request.flags & NLM_F_ACK) !== 0) {
      this.push({ type: NLMSG_ERROR, flags: 0, seq, pid: this.portId }, verdict(request, result));
    }
  }

  push(head: NetlinkHead, body: Uint8Array): void {
    const writer = new Writer();
    writeMessage(writer, head, body);
    this.queue.push(writer.finish());
  }
}

/** `struct nlmsgerr` with the request's header. */
function verdict({ type, flags, seq, pid }: NetlinkMessage, errno: number): Uint8Array {
  return new Writer().i32(-errno).u32(16).u16(type).u16(flags).u32(seq).u32(pid).finish();
}
