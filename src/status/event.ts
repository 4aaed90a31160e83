/** What `sasyncd monitor` tells, as it happens. The names are documented in sasyncd(8) and stay. */

import type { Role } from "../ports.ts";

export type MonitorEvent =
  /** A line of the log. */
  | { readonly event: "log"; readonly level: "error" | "notice" | "state"; readonly text: string }
  /** This gateway's role or epoch is another than before; also how it is when the monitor begins. */
  | { readonly event: "role"; readonly role: Role; readonly epoch: number; readonly reason: string }
  /** A session with a peer has begun or ended; also how it is when the monitor begins. */
  | { readonly event: "peer"; readonly address: string; readonly connected: boolean; readonly about: string }
  /** sasyncd has changed its kernel. */
  | {
    readonly event: "applied" | "refused";
    readonly change: "put" | "delete";
    /** `SA esp 0xc0ffee01 to 192.0.2.10`. */
    readonly record: string;
    /** Why it was refused. */
    readonly reason?: string;
  }
  /** Somebody else has changed the kernel. */
  | {
    readonly event: "kernel";
    readonly change: "new" | "update" | "delete" | "expire";
    readonly record: string;
  };

/** One event for people; undefined: a line of the log says it, too. */
export function printEvent(event: MonitorEvent): string | undefined {
  switch (event.event) {
    case "log":
      return event.level === "error" ? `error: ${event.text}` : event.text;
    case "applied":
      return `applied: ${event.change} ${event.record}`;
    case "refused":
      return `refused: ${event.change} ${event.record}: ${event.reason}`;
    case "kernel":
      return `kernel: ${event.change} ${event.record}`;
  }
}
