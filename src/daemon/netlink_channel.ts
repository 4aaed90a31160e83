/**
 * Requests and their answers over one netlink socket. The kernel has answered by the time that a send returns, so
 * many requests go in one datagram and an exchange never waits. Used by the XFRM back end and the guard.
 */

import { SyscallError } from "../errors.ts";
import {
  type NetlinkMessage,
  NLM_F_ACK,
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
import type { KernelSocket, Received } from "../ports.ts";

/** One request; `flags` without NLM_F_REQUEST. Each must be of a kind that has exactly one answer, or ask for one. */
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

const LOST: NetlinkAnswer = { kind: "lost" };
const ACKNOWLEDGED: NetlinkAnswer = { kind: "verdict", errno: 0, text: "" };

export class NetlinkChannel {
  #seq = 0;
  readonly #writer = new Writer(undefined, ENOUGH_BYTES * 2);

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
    const part = partOf(requests, from);
    const writer = this.#writer.clear();
    const first = this.#seq + 1;
    for (const [i, { type, flags, body }] of part.entries()) {
      const asked = i === part.length - 1 ? flags : flags & ~NLM_F_ACK;
      writeMessage(
        writer,
        { type, flags: asked | NLM_F_REQUEST, seq: this.#nextSeq(), pid: this.portId },
        body,
      );
    }
    this.socket.send(writer.viewFrom(0));
    return this.#collect(first, part);
  }

  /**
   * The answers to the requests numbered from `first` on; those of earlier ones that came late are dropped. Of those
   * that asked for an acknowledgement only the last gets one, for each costs a system call: where the last was
   * answered and nothing was lost, silence means success.
   */
  #collect(first: number, part: readonly NetlinkRequest[]): NetlinkAnswer[] {
    const answers = new Array<NetlinkAnswer | undefined>(part.length);
    let isWhole = true;
    while (answers.at(-1) === undefined) {
      const received = this.#receive();
      if (received === undefined) break;
      if (received.kind === "overrun") isWhole = false;
      else {for (const message of splitDatagram(received.bytes)) {
          const index = message.seq - first;
          if (index >= 0 && index < part.length) answers[index] ??= answerOf(message);
        }}
    }
    isWhole &&= answers.at(-1) !== undefined;
    return part.map(({ flags }, i) =>
      answers[i] ?? (isWhole && (flags & NLM_F_ACK) !== 0 ? ACKNOWLEDGED : LOST)
    );
  }

  /** What lies in the socket's queue. An overrun only means that something is missing. */
  *#answers(): Generator<NetlinkMessage> {
    for (let received = this.#receive(); received !== undefined; received = this.#receive()) {
      if (received.kind === "data") yield* splitDatagram(received.bytes);
    }
  }

  #receive(): Exclude<Received, { kind: "empty" | "closed" }> | undefined {
    const received = this.socket.receive();
    if (received.kind === "empty") return undefined;
    if (received.kind === "closed") throw new SyscallError("read a netlink socket", received.reason, 0);
    return received;
  }

  #nextSeq(): number {
    return ++this.#seq;
  }
}

/** As many requests as go in one datagram, at least one. */
function partOf(requests: readonly NetlinkRequest[], from: number): readonly NetlinkRequest[] {
  let end = from;
  for (let bytes = 0; end < requests.length && end - from < MOST_REQUESTS && bytes < ENOUGH_BYTES; end++) {
    bytes += requests[end]!.body.length;
  }
  return requests.slice(from, end);
}

function answerOf(message: NetlinkMessage): NetlinkAnswer {
  if (message.type === NLMSG_ERROR) return { kind: "verdict", ...readVerdict(message) };
  return { kind: "message", type: message.type, body: message.body.slice() };
}
