/**
 * Figures over HTTP: answers `GET /metrics` and closes. On the one poll as everything else, so that no permission for
 * the network is needed; input, clients and their time are bounded, and who says nothing makes room for the next.
 * Used by the gateway, once a turn.
 */

import type { Clock, Connection, Fd, Interest, Listener, Readiness } from "../ports.ts";
import { type Client, Clients } from "./clients.ts";

/** The longest request. */
const MOST_INPUT_BYTES = 8 * 1024;
const MOST_CLIENTS = 8;
/** A client is dropped after this, whatever it does. */
const PATIENCE_MS = 10_000;

/** A page is this old at most. Each looks at every record, and anybody may ask. */
const PAGE_MS = 1000;

/** What an answer says. */
export interface MetricsPage {
  readonly contentType: string;
  print(): string;
}

export interface MetricsServerOptions {
  readonly listener: Listener;
  readonly clock: Clock;
  readonly page: MetricsPage;
}

export class MetricsServer {
  readonly #clients: Clients<Connection>;
  #printed = "";
  #printedMs = -Infinity;

  constructor(private readonly options: MetricsServerOptions) {
    const { listener, clock, page: { contentType } } = options;
    const page = { contentType, print: () => this.#print() };
    const welcome = (connection: Connection, nowMs: number) =>
      new Asker(connection, page, nowMs + PATIENCE_MS);
    this.#clients = new Clients({ listener, clock, most: MOST_CLIENTS, welcome });
  }

  /** What to wait for. */
  interests(): Interest[] {
    return this.#clients.interests();
  }

  /** Serves who is ready. @returns when it has to be called again at the latest. */
  tick(ready: ReadonlyMap<Fd, Readiness>): number {
    return this.#clients.tick(ready);
  }

  close(): void {
    this.#clients.close();
  }

  #print(): string {
    const nowMs = this.options.clock.bootMs();
    if (nowMs - this.#printedMs >= PAGE_MS) {
      [this.#printed, this.#printedMs] = [this.options.page.print(), nowMs];
    }
    return this.#printed;
  }
}

/** One connection: a request, its answer, and the end. */
class Asker implements Client {
  #input = "";
  #output: Uint8Array = new Uint8Array(0);
  #phase: "asking" | "answering" | "leaving" | "over" = "asking";

  constructor(
    private readonly connection: Connection,
    private readonly page: MetricsPage,
    /** When it is dropped. */
    private readonly untilMs: number,
  ) {}

  get interest(): Interest {
    const isAnswered = this.#phase === "answering";
    return { fd: this.connection.fd, read: !isAnswered, write: isAnswered };
  }

  get isIdle(): boolean {
    return this.#phase !== "answering";
  }

  close(): void {
    this.connection.drop(); // what a client does not read is not kept for it
  }

  serve(ready: Readiness | undefined, nowMs: number): number | undefined {
    if (ready?.error) this.#phase = "over";
    if (ready?.read && (this.#phase === "asking" || this.#phase === "leaving")) this.#receive();
    if (this.#phase === "answering") this.#send();
    return this.#phase === "over" || nowMs >= this.untilMs ? undefined : this.untilMs;
  }

  #receive(): void {
    const received = this.connection.receive(MOST_INPUT_BYTES);
    if (received.kind === "closed") this.#phase = "over";
    if (received.kind !== "data" || this.#phase !== "asking") return;
    this.#input += new TextDecoder("latin1").decode(received.bytes);
    if (/\r?\n\r?\n/.test(this.#input)) this.#answer();
    else if (this.#input.length > MOST_INPUT_BYTES) this.#say("431 Request Header Fields Too Large", "");
  }

  #answer(): void {
    const [, method, path] = /^([A-Z]+) (\S+) HTTP\/1\.\d\r?\n/.exec(this.#input) ?? [];
    if (method === undefined || path === undefined) return this.#say("400 Bad Request", "");
    if (method !== "GET" && method !== "HEAD") {
      return this.#say("405 Method Not Allowed", "", "Allow: GET, HEAD");
    }
    if (path.replace(/\?.*$/, "") !== "/metrics") return this.#say("404 Not Found", "");
    this.#say("200 OK", this.page.print(), `Content-Type: ${this.page.contentType}`, method === "HEAD");
  }

  #say(status: string, body: string, header = "Content-Type: text/plain", isHead = false): void {
    const bytes = new TextEncoder().encode(body);
    const head =
      `HTTP/1.1 ${status}\r\n${header}\r\nContent-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`;
    this.#output = new TextEncoder().encode(isHead ? head : head + body);
    this.#phase = "answering";
  }

  /** When all is said the client closes: who closed first might take the end of the answer away. */
  #send(): void {
    const sent = this.connection.send(this.#output);
    if (sent === "closed") this.#phase = "over";
    else this.#output = this.#output.subarray(sent);
    if (this.#phase !== "answering" || this.#output.length > 0) return;
    this.connection.finish();
    this.#phase = "leaving";
  }
}
