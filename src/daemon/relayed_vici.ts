/** The network process's side of a conversation with charon that the helper relays: a stream like any other. */

import type { ByteStream, Fd, Received } from "../ports.ts";
import type { HelperCommand } from "./helper_messages.ts";

export class RelayedVici implements ByteStream {
  #received: Uint8Array[] = [];
  #closed: string | undefined;

  /** `fd`: the helper's, which is readable when something may have come. */
  constructor(
    readonly id: number,
    readonly fd: Fd,
    private readonly tell: (command: HelperCommand) => void,
  ) {}

  send(bytes: Uint8Array): number | "closed" {
    if (this.#closed !== undefined) return "closed";
    this.tell({ command: "vici", id: this.id, bytes: bytes.toHex() });
    return bytes.length;
  }

  receive(): Received {
    const bytes = this.#received.shift();
    if (bytes !== undefined) return { kind: "data", bytes };
    return this.#closed === undefined ? { kind: "empty" } : { kind: "closed", reason: this.#closed };
  }

  close(): void {
    if (this.#closed === undefined) this.tell({ command: "hang up", id: this.id });
    this.#closed = "EBADF";
  }

  /** What charon has sent. */
  take(bytes: Uint8Array): void {
    this.#received.push(bytes);
  }

  /** charon, or the way to it, has ended the conversation. */
  end(reason: string): void {
    this.#closed = reason;
  }
}
