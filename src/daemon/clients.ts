/** Those who have connected to a server of this daemon: a bounded number, served once a turn, never waited for. */

import { SyscallError } from "../errors.ts";
import type { Clock, Fd, Interest, Readiness } from "../ports.ts";

/** How long to wait when no connection can be accepted. */
const RETRY_MS = 1000;

/** One of them. */
export interface Client {
  readonly interest: Interest;
  /** Whether it may give its place to a new one. */
  readonly isIdle?: boolean;
  /** Does what can be done. @returns when it has to be called again at the latest; undefined: it is over. */
  serve(ready: Readiness | undefined, nowMs: number): number | undefined;
  close(): void;
}

export interface ClientsOptions<S> {
  readonly listener: {
    readonly fd: Fd;
    /** The next one, or undefined when none waits. @throws {SyscallError} */
    accept(): S | undefined;
    close(): void;
  };
  readonly clock: Clock;
  /** The most that are served at a time. */
  readonly most: number;
  readonly welcome: (connection: S, nowMs: number) => Client;
}

export class Clients<S> {
  readonly #all = new Set<Client>();
  #acceptAtMs = 0;

  constructor(private readonly options: ClientsOptions<S>) {}

  /** What to wait for. */
  interests(): Interest[] {
    const { listener, clock, most } = this.options;
    const all = [...this.#all];
    const hasPlace = all.length < most || all.some(({ isIdle }) => isIdle === true);
    const read = hasPlace && clock.bootMs() >= this.#acceptAtMs;
    const accepting = read ? [{ fd: listener.fd, read, write: false }] : [];
    return [...accepting, ...all.map(({ interest }) => interest)];
  }

  /** Serves who is ready. @returns when it has to be called again at the latest. */
  tick(ready: ReadonlyMap<Fd, Readiness>): number {
    const nowMs = this.options.clock.bootMs();
    if (ready.has(this.options.listener.fd)) this.#accept(ready, nowMs);
    let dueMs = this.#acceptAtMs > nowMs ? this.#acceptAtMs : Infinity;
    for (const client of this.#all) {
      const clientMs = client.serve(ready.get(client.interest.fd), nowMs);
      if (clientMs === undefined) this.#drop(client);
      else dueMs = Math.min(dueMs, clientMs);
    }
    return dueMs;
  }

  close(): void {
    for (const client of this.#all) this.#drop(client);
    this.options.listener.close();
  }

  #drop(client: Client): void {
    this.#all.delete(client);
    client.close();
  }

  /** The idle ones give way in the order in which they came, but none that has something to say or has just come. */
  #accept(ready: ReadonlyMap<Fd, Readiness>, nowMs: number): void {
    const { listener, most, welcome } = this.options;
    const idle = [...this.#all].filter(({ isIdle, interest }) => isIdle === true && !ready.has(interest.fd));
    try {
      while (this.#all.size < most || idle.length > 0) {
        const connection = listener.accept();
        if (connection === undefined) return;
        const oldest = this.#all.size < most ? undefined : idle.shift();
        if (oldest !== undefined) this.#drop(oldest);
        this.#all.add(welcome(connection, nowMs));
      }
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#acceptAtMs = nowMs + RETRY_MS; // poll would go on saying that somebody waits
    }
  }
}
