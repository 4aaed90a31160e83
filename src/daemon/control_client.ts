/** The other end of the control socket: asks a running daemon for one command and hands on what it answers. */

import { PeerError } from "../errors.ts";
import { escapeControls } from "../log/escape.ts";
import type { ByteStream, Poller } from "../ports.ts";

/** A daemon that says nothing for so long does not answer: a handover has come to its end before. */
export const PATIENCE_MS = 60_000;

/** No line of an answer is longer. */
const MOST_LINE_BYTES = 64 * 1024;

/** What to ask, and who hears the answer. */
export interface Question {
  readonly stream: ByteStream;
  readonly poller: Poller;
  /** As the control socket calls it. */
  readonly command: string;
  /** How long the daemon may be silent; -1: for ever. */
  readonly patienceMs: number;
  /** Is given each line of progress. */
  readonly say: (text: string) => void;
  /** Is given each object that was asked for. */
  readonly take: (data: JsonObject) => void;
}

/** An object as JSON.parse gives it. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Sends a command and waits for its end.
 *
 * @returns undefined when it was done, else why not.
 * @throws {PeerError} when the daemon does not answer, or not like one.
 */
export async function ask(
  { stream, poller, command, patienceMs, say, take }: Question,
): Promise<string | undefined> {
  let request = new TextEncoder().encode(`${JSON.stringify({ command })}\n`);
  let input = "";
  const decoder = new TextDecoder();
  while (true) {
    const found = await poller.wait([{ fd: stream.fd, read: true, write: request.length > 0 }], patienceMs);
    if (found.length === 0) throw new PeerError("the daemon does not answer");
    if (request.length > 0) request = request.slice(sendSome(stream, request));
    input += decoder.decode(receiveSome(stream), { stream: true });
    const lines = input.split("\n");
    input = lines.pop() ?? "";
    for (const line of lines) {
      const { progress, data, ok, reason } = parseAnswer(line);
      if (progress !== undefined) say(progress);
      if (data !== undefined) take(data);
      if (ok !== undefined) return ok ? undefined : reason ?? "no reason is given";
    }
    if (input.length > MOST_LINE_BYTES) throw new PeerError("the daemon's answer has no end");
  }
}

function sendSome(stream: ByteStream, bytes: Uint8Array): number {
  const sent = stream.send(bytes);
  if (sent === "closed") throw new PeerError("the daemon has closed the connection");
  return sent;
}

function receiveSome(stream: ByteStream): Uint8Array {
  const received = stream.receive(MOST_LINE_BYTES);
  if (received.kind === "closed") throw new PeerError("the daemon has ended before it was done");
  return received.kind === "data" ? received.bytes : new Uint8Array(0);
}

interface ParsedAnswer {
  readonly progress?: string;
  readonly data?: JsonObject;
  readonly ok?: boolean;
  readonly reason?: string;
}

function parseAnswer(line: string): ParsedAnswer {
  const answer = parseObject(line);
  const data = isObject(answer?.data) ? answer.data : undefined;
  const progress = typeof answer?.progress === "string" ? answer.progress : undefined;
  const ok = typeof answer?.ok === "boolean" ? answer.ok : undefined;
  const reason = typeof answer?.reason === "string" ? answer.reason : undefined;
  if (progress === undefined && data === undefined && ok === undefined) {
    throw new PeerError("the daemon's answer is no answer");
  }
  return { progress, data, ok, reason };
}

/** What is said may come from a peer or a command, and goes to a terminal of root. */
function parseObject(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(
      line,
      (_name, one) => typeof one === "string" ? escapeControls(one) : one,
    );
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
