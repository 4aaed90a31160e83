/** The other end of the control socket: asks a running daemon for one command and hands on what it answers. */

import { PeerError } from "../errors.ts";
import type { ByteStream, Poller } from "../ports.ts";

/** A daemon that says nothing for so long does not answer: a handover has come to its end before. */
const PATIENCE_MS = 60_000;

/** No line of an answer is longer. */
const MOST_LINE_BYTES = 64 * 1024;

/**
 * Sends a command and waits for its end. `say` is given each line of progress.
 *
 * @returns undefined when it was done, else why not.
 * @throws {PeerError} when the daemon does not answer, or not like one.
 */
export async function command(
  stream: ByteStream,
  poller: Poller,
  name: string,
  say: (text: string) => void,
): Promise<string | undefined> {
  let request = new TextEncoder().encode(`${JSON.stringify({ command: name })}\n`);
  let input = "";
  const decoder = new TextDecoder();
  while (true) {
    const found = await poller.wait([{ fd: stream.fd, read: true, write: request.length > 0 }], PATIENCE_MS);
    if (found.length === 0) throw new PeerError("the daemon does not answer");
    if (request.length > 0) request = request.slice(sendSome(stream, request));
    input += decoder.decode(receiveSome(stream), { stream: true });
    const lines = input.split("\n");
    input = lines.pop() ?? "";
    for (const line of lines) {
      const { progress, ok, reason } = parseAnswer(line);
      if (progress !== undefined) say(progress);
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

function parseAnswer(line: string): { progress?: string; ok?: boolean; reason?: string } {
  const answer = parseObject(line);
  const progress = typeof answer?.progress === "string" ? answer.progress : undefined;
  const ok = typeof answer?.ok === "boolean" ? answer.ok : undefined;
  const reason = typeof answer?.reason === "string" ? answer.reason : undefined;
  if (progress === undefined && ok === undefined) throw new PeerError("the daemon's answer is no answer");
  return { progress, ok, reason };
}

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
