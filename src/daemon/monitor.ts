/**
 * `sasyncd monitor`: what happens, for those who listen. Each listener has a bounded queue; one that does not keep up is
 * told so and dropped. Without listeners nothing is made.
 */

import { describe } from "../core/describe.ts";
import type { Node } from "../core/node.ts";
import type { Log, LogMessage } from "../log/verbosity.ts";
import type { KernelChange, KernelEvent, KernelResult } from "../ports.ts";
import { identityOf, identityOfPolicy, identityOfSa } from "../record/record.ts";
import type { MonitorEvent } from "../status/event.ts";
import type { Answer, ControlTask } from "./control_server.ts";
import type { Acquaintance } from "./peer.ts";

/** Events that may wait for one listener. */
const MOST_WAITING = 10_000;

/** Events handed over at once: their lines have less than 16 KB. */
const AT_ONCE = 64;

/** Longer lines of the log are cut. */
const MOST_TEXT = 200;

/** Where to look for what has changed. */
export interface Watched {
  readonly node: Node;
  readonly peers: { acquaintance(name: string): Acquaintance };
}

export class Monitor {
  readonly #listeners = new Set<Listener>();

  /** `wake` has the gateway come round, so that events are sent at once. */
  constructor(private readonly wake: () => void) {}

  /** The command for the control socket. */
  listen(): ControlTask {
    const listener = new Listener((one) => this.#listeners.delete(one));
    this.#listeners.add(listener);
    return listener;
  }

  /** The same log, whose lines of the first two degrees are told, too. */
  overhear(log: Log): Log {
    const tell = (level: "error" | "notice" | "state", message: LogMessage) => {
      log[level](message);
      const textOf = () => (typeof message === "function" ? message() : message).slice(0, MOST_TEXT);
      this.#tell(() => ({ event: "log", level, text: textOf() }));
    };
    return {
      error: (message) => tell("error", message),
      notice: (message) => tell("notice", message),
      state: (message) => tell("state", message),
      detail: (message) => log.detail(message),
      trace: (message) => log.trace(message),
    };
  }

  /** The own kernel was changed, with these results. */
  changed(changes: readonly KernelChange[], results: readonly KernelResult[]): void {
    if (this.#listeners.size === 0) return;
    for (const [i, change] of changes.entries()) {
      const result = results[i]!;
      const what = { change: change.kind === "put" ? "put" : "delete", record: nameOf(change) } as const;
      this.#tell(() =>
        result.ok ? { event: "applied", ...what } : { event: "refused", ...what, reason: result.reason }
      );
    }
  }

  /** Somebody else has changed the kernel. */
  saw(events: readonly KernelEvent[]): void {
    if (this.#listeners.size === 0) return;
    for (const event of events) {
      const told = toldOf(event);
      if (told !== undefined) this.#tell(() => told);
    }
  }

  /** Looks at what has no event of its own. Once a turn. */
  look(watched: Watched): void {
    for (const listener of this.#listeners) if (listener.look(watched)) this.wake();
  }

  #tell(make: () => MonitorEvent): void {
    if (this.#listeners.size === 0) return;
    const event = make();
    for (const listener of this.#listeners) listener.tell(event);
    this.wake();
  }
}

/** One client. */
class Listener implements ControlTask {
  #waiting: MonitorEvent[] = [];
  #isOverrun = false;
  #role = "";
  readonly #sessions = new Map<string, string>();

  constructor(private readonly leave: (listener: Listener) => void) {}

  get hasMore(): boolean {
    return this.#waiting.length > 0 || this.#isOverrun;
  }

  proceed(): Answer[] {
    const answers: Answer[] = this.#waiting.splice(0, AT_ONCE).map((data) => ({ data }));
    if (!this.#isOverrun || this.#waiting.length > 0) return answers;
    return [...answers, { ok: false, reason: "events come faster than they are read" }];
  }

  abandon(): void {
    this.leave(this);
  }

  tell(event: MonitorEvent): void {
    if (this.#waiting.length < MOST_WAITING) this.#waiting.push(event);
    else {
      this.#isOverrun = true;
      this.leave(this);
    }
  }

  /** @returns whether there was something to tell */
  look({ node: { membership, roleSince: { reason } }, peers }: Watched): boolean {
    const before = this.#waiting.length;
    const { role, epoch, peerNames } = membership;
    if (this.#role !== `${role} ${epoch}`) {
      this.#role = `${role} ${epoch}`;
      this.tell({ event: "role", role, epoch, reason });
    }
    for (const address of peerNames) {
      const { isConnected: connected, sinceMs, text: about } = peers.acquaintance(address);
      const session = `${connected} ${sinceMs}`;
      if (this.#sessions.get(address) === session) continue;
      this.#sessions.set(address, session);
      this.tell({ event: "peer", address, connected, about });
    }
    return this.#waiting.length > before;
  }
}

function toldOf(event: KernelEvent): MonitorEvent | undefined {
  switch (event.kind) {
    case "record": {
      const record = describe(identityOf(event.record));
      return { event: "kernel", change: event.created ? "new" : "update", record };
    }
    case "sa-gone":
    case "policy-gone": {
      const identity = event.kind === "sa-gone" ? identityOfSa(event.id) : identityOfPolicy(event.id);
      return { event: "kernel", change: event.expired ? "expire" : "delete", record: describe(identity) };
    }
  }
}

function nameOf(change: KernelChange): string {
  if (change.kind === "put") return describe(identityOf(change.record));
  return describe(change.kind === "delete-sa" ? identityOfSa(change.id) : identityOfPolicy(change.id));
}
