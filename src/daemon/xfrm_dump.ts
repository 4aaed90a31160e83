/** A dump of the kernel's SADB and SPD, a bounded part at a time, on a socket of its own. */

import { KernelReplyError, SyscallError } from "../errors.ts";
import {
  type NetlinkMessage,
  type NetlinkVerdict,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
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
import { messageName, XFRM_MSG_GETPOLICY, XFRM_MSG_GETSA } from "../xfrm/constants.ts";
import { errnoName } from "../xfrm/errno.ts";

/** Datagrams (of at most 32 KiB) that one part reads. */
const DATAGRAMS_PER_PART = 4;
/** An interrupted dump is begun again this often; then what it gave has to do, for changes come as events too. */
const MOST_RESTARTS = 5;

/** Turns the payload of one dumped message into what is wanted of it; undefined: nothing. */
export type DumpDecoder<T> = (type: number, body: Uint8Array) => T | undefined;

/** A whole dump, each list in the order in which they were put: the kernel gives the newest first. */
export interface DumpedTables<T> {
  readonly sas: readonly T[];
  readonly policies: readonly T[];
}

type Phase = "sas" | "policies" | "done";

export class XfrmDump<T> {
  #phase: Phase = "sas";
  #interrupted = false;
  /** Since something was lost, nothing has come. */
  #isTorn = false;
  #restarts = 0;
  #seq = 0;
  readonly #sas: T[] = [];
  readonly #policies: T[] = [];

  /** Starts at once. The socket is closed when the dump is complete or closed. @throws {SyscallError} */
  constructor(readonly socket: KernelSocket, readonly decode: DumpDecoder<T>) {
    this.#request();
  }

  /**
   * Reads a part.
   *
   * @returns all of it when it was the last.
   * @throws {KernelReplyError} when the kernel refuses.
   * @throws {SyscallError} when its end was lost.
   */
  continue(): DumpedTables<T> | undefined {
    for (let count = 0; count < DATAGRAMS_PER_PART && this.#phase !== "done"; count++) {
      const received = this.socket.receive();
      if (received.kind === "empty" && this.#isTorn) throw new SyscallError("read a dump", "ENOBUFS", 105);
      if (received.kind === "empty") return undefined;
      if (received.kind === "closed") throw new SyscallError("read a dump", received.reason, 0);
      this.#isTorn = received.kind === "overrun";
      if (received.kind === "overrun") this.#interrupted = true;
      else this.#takeDatagram(splitDatagram(received.bytes));
    }
    if (this.#phase !== "done") return undefined;
    this.close();
    return { sas: this.#sas.reverse(), policies: this.#policies.reverse() };
  }

  close(): void {
    this.socket.close();
  }

  #takeDatagram(messages: readonly NetlinkMessage[]): void {
    for (const message of messages) {
      if (message.seq !== this.#seq) continue;
      if ((message.flags & NLM_F_DUMP_INTR) !== 0) this.#interrupted = true;
      if (message.type === NLMSG_DONE) return this.#finishPhase(readDone(message));
      if (message.type === NLMSG_ERROR) this.#fail(readVerdict(message));
      const decoded = this.decode(message.type, message.body);
      if (decoded !== undefined) this.#list().push(decoded);
    }
  }

  #list(): T[] {
    return this.#phase === "sas" ? this.#sas : this.#policies;
  }

  #finishPhase(errno: number): void {
    if (errno !== 0) this.#fail({ errno, text: "" });
    if (this.#interrupted && this.#restarts++ < MOST_RESTARTS) {
      this.#interrupted = false;
      this.#list().length = 0;
      this.#request();
    } else if (this.#phase === "sas") {
      this.#phase = "policies";
      this.#request();
    } else this.#phase = "done";
  }

  /** What dumps the phase. */
  get #requestType(): number {
    return this.#phase === "sas" ? XFRM_MSG_GETSA : XFRM_MSG_GETPOLICY;
  }

  #request(): void {
    const writer = new Writer();
    const head = {
      type: this.#requestType,
      flags: NLM_F_REQUEST | NLM_F_DUMP,
      seq: ++this.#seq,
      pid: this.socket.portId,
    };
    writeMessage(writer, head, new Uint8Array());
    this.socket.send(writer.finish());
  }

  #fail({ errno, text }: NetlinkVerdict): never {
    throw new KernelReplyError(messageName(this.#requestType), errnoName(errno), text);
  }
}
