/**
 * A Unix stream socket in memory and its clients, nasty on request: they move few bytes at a time, are full every
 * other time, hang up, stop reading, and there may be no descriptors.
 */

import { SyscallError } from "../../src/errors.ts";
import type { ByteStream, Fd, Interest, LocalListener, Readiness, Received } from "../../src/ports.ts";

/** Descriptors of their own for each listener and its clients. */
let nextFd = 100;

export class FakeLocalListener implements LocalListener {
  readonly fd = nextFd += 100;
  readonly waiting: FakeLocalStream[] = [];
  /** Errno of every accept, while set. */
  errno: string | undefined;
  isOpen = true;
  #nextFd = this.fd + 1;

  /** Somebody connects. */
  connect(): FakeLocalStream {
    const stream = new FakeLocalStream(this.#nextFd++);
    this.waiting.push(stream);
    return stream;
  }

  accept(): FakeLocalStream | undefined {
    if (!this.isOpen) throw new SyscallError("accept a connection", "EBADF", 9);
    if (this.errno !== undefined) throw new SyscallError("accept a connection", this.errno, 24);
    return this.waiting.shift();
  }

  close(): void {
    if (!this.isOpen) throw new SyscallError("close", "EBADF", 9);
    this.isOpen = false;
  }

  /** What poll(2) would find of these and the clients that were accepted. */
  ready(interests: readonly Interest[], clients: readonly FakeLocalStream[]): Map<Fd, Readiness> {
    const found = interests.flatMap((interest) => {
      const { fd } = interest;
      const client = clients.find((one) => one.fd === fd);
      const canRead = client === undefined ? this.waiting.length > 0 : client.canRead;
      const error = client?.hangUp === "whole";
      const read = interest.read && (canRead || error);
      const write = interest.write && (client?.canWrite === true || error);
      return read || write || error ? [{ fd, read, write, error }] : [];
    });
    return new Map(found.map((one) => [one.fd, one]));
  }
}

/** The daemon's end of a connection; the test is the client. */
export class FakeLocalStream implements ByteStream {
  /** What the client has been sent. */
  answers = "";
  /** The most bytes that one send or receive moves. */
  chop = Infinity;
  /** The client reads nothing. */
  isStuck = false;
  /** `half`: the client sends no more, but reads. */
  hangUp: "no" | "half" | "whole" = "no";
  isOpen = true;
  #inbox = new Uint8Array(0);
  #isFull = true;
  #given = new Uint8Array(0);

  constructor(readonly fd: Fd) {}

  /** The client sends. */
  say(text: string | Uint8Array): this {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    this.#inbox = Uint8Array.from([...this.#inbox, ...bytes]);
    return this;
  }

  /** Bytes that nobody has read. */
  get unread(): number {
    return this.#inbox.length;
  }

  get canRead(): boolean {
    return this.#inbox.length > 0 || this.hangUp !== "no";
  }

  get canWrite(): boolean {
    return !this.isStuck;
  }

  send(bytes: Uint8Array): number | "closed" {
    this.#use();
    if (this.hangUp === "whole") return "closed";
    this.#isFull = !this.#isFull;
    if (this.isStuck || this.#isFull && this.chop !== Infinity) return 0;
    const length = Math.min(bytes.length, this.chop);
    this.answers += new TextDecoder().decode(bytes.subarray(0, length));
    return length;
  }

  receive(limit: number): Received {
    this.#use();
    this.#given.fill(0xee);
    const length = Math.min(limit, this.chop, this.#inbox.length);
    if (length === 0) return this.hangUp === "no" ? { kind: "empty" } : { kind: "closed", reason: "EOF" };
    this.#given = this.#inbox.slice(0, length);
    this.#inbox = this.#inbox.slice(length);
    return { kind: "data", bytes: this.#given };
  }

  close(): void {
    this.#use();
    this.isOpen = false;
  }

  #use(): void {
    if (!this.isOpen) throw new SyscallError("use closed descriptor", "EBADF", 9);
  }
}
