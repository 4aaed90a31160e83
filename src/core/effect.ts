/** What the core asks the daemon to do. The daemon does it at once and has no say in it. */

import type { Message } from "../wire/native/message.ts";

/** One thing to do. Effects are done in their order. */
export type Effect =
  /** Goes before all data that waits for this peer. */
  | { readonly kind: "send"; readonly peer: string; readonly message: Message }
  | { readonly kind: "close"; readonly peer: string; readonly reason: string }
  /** Start a dump of the kernel; its end is told by `dumped`. */
  | { readonly kind: "dump" }
  /** `once`: lines of the same topic are rate limited. Never holds a key. */
  | {
    readonly kind: "log";
    readonly level: "error" | "state" | "detail";
    readonly text: string;
    readonly once?: string;
  };

/** Collects effects in their order. */
export class Effects {
  #list: Effect[] = [];

  send(peer: string, message: Message): void {
    this.#list.push({ kind: "send", peer, message });
  }

  close(peer: string, reason: string): void {
    this.#list.push({ kind: "close", peer, reason });
  }

  dump(): void {
    this.#list.push({ kind: "dump" });
  }

  log(level: "error" | "state" | "detail", text: string, once?: string): void {
    this.#list.push(once === undefined ? { kind: "log", level, text } : { kind: "log", level, text, once });
  }

  take(): readonly Effect[] {
    const list = this.#list;
    this.#list = [];
    return list;
  }
}
