/**
 * The control socket: one JSON line for each request, `{"command":"NAME"}`, and JSON lines as answers. Whoever can
 * connect is trusted to command, but not to be well: input, output, clients and their time are bounded, and nothing is
 * ever waited for. Used by the gateway, once a turn.
 */

import { concat } from "../layout/concat.ts";
import type { ByteStream, Clock, Fd, Interest, LocalListener, Readiness } from "../ports.ts";
import { type Client, Clients } from "./clients.ts";

/** The longest request. */
const MOST_INPUT_BYTES = 64 * 1024;
/** Answers that wait for a client that does not read; beyond that it is dropped. */
const MOST_OUTPUT_BYTES = 64 * 1024;
const MOST_CLIENTS = 8;
/** A client that neither asks nor is being answered for so long is dropped, and so is one that does not read. */
const PATIENCE_MS = 10_000;

/** Nothing more is asked of a command while so much waits for its client. */
const FULL_BYTES = 32 * 1024;

/** One line of an answer; that with `ok` is the last. `data` is what was asked for, an object of JSON. */
export type Answer =
  | { readonly progress: string }
  | { readonly data: object }
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: string };

/** A command under way. It goes on when its client is gone. */
export interface ControlTask {
  /** What there is to say since the last call; nothing more is asked after an `ok`. */
  proceed(nowMs: number): readonly Answer[];
  /** Whether `proceed` has something to say already: it says 16 KB at a time, for a client that reads them. */
  readonly hasMore?: boolean;
  /** The client is gone. */
  abandon?(): void;
}

/** Begins a command. */
export type ControlCommand = (nowMs: number) => ControlTask;

export interface ControlServerOptions {
  readonly listener: LocalListener;
  readonly clock: Clock;
  /** By the names that clients use. */
  readonly commands: Readonly<Record<string, ControlCommand>>;
}

export class ControlServer {
  readonly #clients: Clients<ByteStream>;

  constructor({ listener, clock, commands }: ControlServerOptions) {
    const welcome = (stream: ByteStream, nowMs: number) => new Commander(stream, commands, nowMs);
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
}

/** One connection. */
class Commander implements Client {
  #input = new Uint8Array(0);
  #output = new Uint8Array(0);
  #task: ControlTask | undefined;
  /** Nothing more is read from it: it has sent its last, or what is no request. */
  #isDeaf = false;
  #isBroken = false;
  /** When it is dropped unless something happens. */
  #untilMs: number;

  constructor(
    private readonly stream: ByteStream,
    private readonly commands: Readonly<Record<string, ControlCommand>>,
    nowMs: number,
  ) {
    this.#untilMs = nowMs + PATIENCE_MS;
  }

  get interest(): Interest {
    const read = !this.#isDeaf && this.#task === undefined;
    return { fd: this.stream.fd, read, write: this.#output.length > 0 };
  }

  serve(ready: Readiness | undefined, nowMs: number): number | undefined {
    if (ready?.error) this.#isBroken = true; // also when it only hung up: nobody is left to be answered
    if (ready?.read && !this.#isBroken) this.#receive(nowMs);
    if (!this.#isBroken) this.#work(nowMs);
    if (!this.#isBroken) this.#send(nowMs);
    if (this.#isOver(nowMs)) return undefined;
    const hasMore = this.#task?.hasMore === true && this.#output.length < FULL_BYTES;
    return hasMore ? nowMs : this.#untilMs;
  }

  close(): void {
    this.#task?.abandon?.();
    this.stream.close();
  }

  #isOver(nowMs: number): boolean {
    const isDone = this.#isDeaf && this.#task === undefined && this.#output.length === 0;
    return this.#isBroken || isDone || nowMs >= this.#untilMs;
  }

  #receive(nowMs: number): void {
    const received = this.stream.receive(MOST_INPUT_BYTES + 1 - this.#input.length);
    if (received.kind === "data") {
      this.#untilMs = nowMs + PATIENCE_MS;
      this.#input = concat(this.#input, received.bytes);
    } else if (received.kind === "closed") {
      this.#isDeaf = true;
      this.#isBroken = received.reason !== "EOF";
    }
  }

  /** Goes on with the command under way, and begins the next one. */
  #work(nowMs: number): void {
    const isFull = this.#output.length >= FULL_BYTES;
    for (const answer of (isFull ? undefined : this.#task?.proceed(nowMs)) ?? []) this.#say(answer);
    if (this.#task !== undefined && this.#output.length === 0) this.#untilMs = nowMs + PATIENCE_MS;
    while (this.#task === undefined && this.#takeLine(nowMs));
  }

  #takeLine(nowMs: number): boolean {
    const end = this.#input.indexOf(0x0a);
    if (end < 0) {
      if (this.#input.length > MOST_INPUT_BYTES) {
        this.#refuse(`a request has at most ${MOST_INPUT_BYTES} bytes`);
      } else if (this.#isDeaf && this.#input.length > 0) this.#refuse("the request has no end");
      return false;
    }
    const line = this.#input.subarray(0, end);
    this.#input = this.#input.slice(end + 1);
    this.#begin(line, nowMs);
    return true;
  }

  #begin(line: Uint8Array, nowMs: number): void {
    const name = commandOf(line);
    if (name === undefined) return this.#refuse('a request is one line like {"command":"NAME"}');
    const command = Object.hasOwn(this.commands, name) ? this.commands[name] : undefined;
    if (command === undefined) return this.#refuse("there is no such command");
    this.#task = command(nowMs);
    for (const answer of this.#task.proceed(nowMs)) this.#say(answer);
  }

  /** Answers what is no request; nothing after it can be trusted to be one. */
  #refuse(reason: string): void {
    this.#say({ ok: false, reason });
    this.#input = new Uint8Array(0);
    this.#isDeaf = true;
  }

  #say(answer: Answer): void {
    if ("ok" in answer) this.#task = undefined;
    this.#output = concat(this.#output, new TextEncoder().encode(`${JSON.stringify(answer)}\n`));
    if (this.#output.length > MOST_OUTPUT_BYTES) this.#isBroken = true;
  }

  #send(nowMs: number): void {
    if (this.#output.length === 0) return;
    const sent = this.stream.send(this.#output);
    if (sent === "closed") this.#isBroken = true;
    else if (sent > 0) {
      this.#output = this.#output.slice(sent);
      this.#untilMs = nowMs + PATIENCE_MS;
    }
  }
}

/** The command that a request names; undefined when it is no request. */
function commandOf(line: Uint8Array): string | undefined {
  try {
    const request: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
    const isObject = typeof request === "object" && request !== null && "command" in request;
    return isObject && typeof request.command === "string" ? request.command : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
