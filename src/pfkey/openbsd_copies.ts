/**
 * OpenBSD tells of an ADD or UPDATE without the keys, and only when it has been carried out. A promiscuous socket has
 * got a copy of the request before, with the keys. This module joins the two.
 */

import type { PfkeyMessage } from "./message.ts";
import { OPENBSD_MESSAGES } from "./openbsd_constants.ts";

/** Requests that may wait for their answer. The kernel answers at once or never, so this is plenty. */
const MOST_WAITING = 64;

const { SADB_ADD, SADB_UPDATE } = OPENBSD_MESSAGES;

export class RequestCopies {
  /** By who asked what, oldest first. The bodies are our own. */
  readonly #waiting = new Map<string, Uint8Array>();

  /** A copy of a request. */
  keep(request: PfkeyMessage): void {
    if (request.type !== SADB_ADD && request.type !== SADB_UPDATE) return;
    for (const oldest of this.#waiting.keys()) {
      if (this.#waiting.size < MOST_WAITING) break;
      this.#waiting.delete(oldest);
    }
    this.#waiting.set(nameOf(request), request.body.slice());
  }

  /** The answer, be it an error, with all that its request said, when there is a copy of that; else as it is. */
  complete(answer: PfkeyMessage): PfkeyMessage {
    const body = this.#waiting.get(nameOf(answer));
    if (body === undefined) return answer;
    this.#waiting.delete(nameOf(answer));
    return { ...answer, body };
  }
}

function nameOf({ type, pid, seq }: PfkeyMessage): string {
  return `${type} ${pid} ${seq}`;
}
