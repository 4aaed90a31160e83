/**
 * Requests and their answers over one netlink socket. The kernel has answered by the time that a send returns, so
 * many requests go in one datagram and an exchange never waits. Used by the XFRM back end and the guard.
 */

import { SyscallError } from "../errors.ts";
import {
  type NetlinkMessage,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  readDone,
  readVerdict,
  splitDatagram,
  writeMessage,
} from "../layout/netlink.ts";
import { Writer } from "../layout/writer.ts";
import type { KernelSocket } from "../ports.ts";

/** One request; `flags` without NLM_F_REQUEST. Each must be of a kind that has exactly one answer. */
export interface NetlinkRequest {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

/** What came back. */
export type NetlinkAnswer =
  /** Errno 0 is an acknowledgement. */
  | { readonly kind: "verdict"; readonly errno: number; readonly text: string }
  /** What was asked for; `body` is a copy. */
  | { readonly kind: "message"; readonly type: number; readonly body: Uint8Array }
  /** The kernel had no room for an answer: unknown what it did. */
  | { readonly kind: "lost" };

/** Requests per system call. */
const MOST_REQUESTS = 64;
/** A datagram larger than this gets no further request; the socket's send buffer holds three of them. */
const ENOUGH_BYTES = 48 * 1024;
/** How often a dump is tried that changes interrupt. */
const MOST_DUMPS = 5;
/** Numbers start again at 1 beyond this, not within a part. */
const HIGHEST_SEQ = 0x7fff_0000;

export class NetlinkChannel {
  #seq = 0;

  constructor(readonly socket: KernelSocket) {}

  /** The port id that own requests carry, by which their notifications are recognised. */
  get portId(): number {
    return this.socket.portId;
  }

  /** Sends the requests in their order. @returns one answer for each. @throws {SyscallError} */
  exchange(requests: readonly NetlinkRequest[]): NetlinkAnswer[] {
    const answers: NetlinkAnswer[] = [];
    while (answers.length < requests.length) answers.push(...this.#exchangePart(requests, answers.length));
    return answers;
  }

  /**
   * Sends a dump request and reads all of its answer, again when the table has changed meanwhile; for tables that are
   * small.
   *
   * @returns the messages (bodies are copies), or the errno with which the kernel refused.
   * @throws {SyscallError} EINTR when it changes all the time.
   */
  dump(request: NetlinkRequest): readonly NetlinkMessage[] | number {
    for (let tries = 0; tries < MOST_DUMPS; tries++) {
      const found = this.#dumpOnce(request);
      if (found !== "interrupted") return found;
    }
    throw new SyscallError("read a netlink dump that is consistent", "EINTR", 4);
  }

  #dumpOnce({ type, flags, body }: NetlinkRequest): readonly NetlinkMessage[] | number | "interrupted" {
    const seq = this.#nextSeq();
    const writer = new Writer();
    writeMessage(writer, { type, flags: flags | NLM_F_REQUEST, seq, pid: this.portId }, body);
    this.socket.send(writer.finish());
    const found: NetlinkMessage[] = [];
    let isInterrupted = false;
    for (const message of this.#answers()) {
      if (message.seq !== seq) continue;
      isInterrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
      if (message.type === NLMSG_ERROR) return readVerdict(message).errno;
      if (message.type === NLMSG_DONE) return readDone(message) || (isInterrupted ? "interrupted" : found);
      if ((message.flags & NLM_F_MULTI) !== 0) found.push({ ...message, body: message.body.slice() });
    }
    throw new SyscallError("read a netlink dump to its end", "ENOBUFS", 105);
  }

  close(): void {
    this.socket.close();
  }

  #exchangePart(requests: readonly NetlinkRequest[], from: number): NetlinkAnswer[] {
    if (this.#seq > HIGHEST_SEQ) this.#seq = 0;
    const writer = new Writer(undefined, ENOUGH_BYTES);
    const first = this.#seq + 1;
    let count = 0;
    while (from + count < requests.length && count < MOST_REQUESTS && writer.length < ENOUGH_BYTES) {
      const { type, flags, body } = requests[from + count]!;
      const head = { type, flags: flags | NLM_F_REQUEST, seq: this.#nextSeq(), pid: this.portId };
      writeMessage(writer, head, body);
      count++;
    }
    this.socket.send(writer.viewFrom(0));
    return this.#collect(first, count);
  }

  /** The answers to the requests numbered from `first` on; those of earlier ones that came late are dropped. */
  #collect(first: number, count: number): NetlinkAnswer[] {
    const answers = new Array<NetlinkAnswer>(count).fill({ kind: "lost" });
    let missing = count;
    for (const message of this.#answers()) {
      const index = message.seq - first;
      if (index < 0 || index >= count || answers[index]!.kind !== "lost") continue;
      answers[index] = answerOf(message);
      if (--missing === 0) break;
    }
    return answers;
  }

  /** What lies in the socket's queue. An overrun only means that something is missing. */
  *#answers(): Generator<NetlinkMessage> {
    for (;;) {
      const received = this.socket.receive();
      if (received.kind === "empty") return;
      if (received.kind === "closed") throw new SyscallError("read a netlink socket", received.reason, 0);
      if (received.kind === "data") yield* splitDatagram(received.bytes);
    }
  }

  #nextSeq(): number {
    return ++this.#seq;
  }
}

function answerOf(message: NetlinkMessage): NetlinkAnswer {
  if (message.type === NLMSG_ERROR) return { kind: "verdict", ...readVerdict(message) };
  return { kind: "message", type: message.type, body: message.body.slice() };
}
