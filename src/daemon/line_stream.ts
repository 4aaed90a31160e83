/** JSON values, one a line, over a stream that is never waited for. Used by both ends of the helper's socket. */

import { DecodeError } from "../errors.ts";
import { concat } from "../layout/concat.ts";
import type { ByteStream, Interest } from "../ports.ts";

/** Bytes read in one turn. */
const READ_BYTES = 64 * 1024;

export class LineStream {
  #input = new Uint8Array(0);
  #output = new Uint8Array(0);
  #isClosed = false;

  /** `mostBytes`: the longest line that is taken. `mostWaiting`: who lets more bytes wait for it is taken for dead. */
  constructor(
    private readonly stream: ByteStream,
    private readonly mostBytes: number,
    private readonly mostWaiting: number,
  ) {}

  get interest(): Interest {
    return { fd: this.stream.fd, read: !this.#isClosed, write: this.#output.length > 0 };
  }

  /** Nobody is at the other end any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends what the stream takes, and keeps the rest for `flush`. */
  send(value: unknown): void {
    if (this.#isClosed) return;
    this.#output = concat(this.#output, new TextEncoder().encode(`${JSON.stringify(value)}\n`));
    this.flush();
    if (this.#output.length <= this.mostWaiting) return;
    this.#isClosed = true;
    this.#output = new Uint8Array(0);
  }

  flush(): void {
    if (this.#output.length === 0 || this.#isClosed) return;
    const sent = this.stream.send(this.#output);
    if (sent === "closed") this.#isClosed = true;
    else this.#output = this.#output.slice(sent);
  }

  /** The values that are complete by now. @throws {DecodeError} for what is no JSON, or too long. */
  receive(): unknown[] {
    const received = this.stream.receive(READ_BYTES);
    if (received.kind === "closed") this.#isClosed = true;
    if (received.kind !== "data") return [];
    const isWhole = received.bytes.includes(0x0a);
    this.#input = concat(this.#input, received.bytes);
    if (!isWhole && this.#input.length <= this.mostBytes) return [];
    const end = this.#input.lastIndexOf(0x0a);
    const lines = new TextDecoder().decode(this.#input.subarray(0, end + 1)).split("\n").slice(0, -1);
    this.#input = this.#input.slice(end + 1);
    const longest = Math.max(this.#input.length, ...lines.map(({ length }) => length));
    if (longest > this.mostBytes) throw new DecodeError("line", `of more than ${this.mostBytes} bytes`);
    return lines.map(parseLine);
  }

  close(): void {
    this.#isClosed = true;
    this.stream.close();
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) throw new DecodeError("line", "is no JSON");
    throw error;
  }
}
