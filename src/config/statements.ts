/**
 * The statements of sasyncd.conf, one row each: its words in their order. Values are only taken here; check.ts says
 * what is wrong with them.
 */

import { type Cursor, StatementError } from "./cursor.ts";
import type { KeySource, Setting, WordKind } from "./settings.ts";

/** How to read a statement after its keyword, and the words that may follow in it (for "did you mean"). */
export interface StatementRule {
  readonly options: readonly string[];
  /** @throws {StatementError} */
  parse(cursor: Cursor, line: number): Setting;
}

/** The statements by their first word. */
export const STATEMENTS: Readonly<Record<string, StatementRule>> = {
  interface: { options: ["address"], parse: parseInterface },
  carp: { options: ["interval"], parse: parseCarpInterface },
  group: named("group", "the name of the group"),
  flushmode: valued("flushmode"),
  listen: { options: ["inet", "inet6", "port"], parse: parseListen },
  mode: valued("mode", ["master", "slave", "skipslave"]),
  peer: { options: ["port", "sharedkey", "role", "protocol"], parse: parsePeer },
  protocol: valued("protocol"),
  renegotiate: valued("renegotiate"),
  replay: valued("replay"),
  sharedkey: { options: ["next"], parse: parseSharedKey },
  control: { options: ["strongswan", "socket", "exec"], parse: parseControl },
  kernel: { options: ["openbsd"], parse: parseKernel },
  pfkey: { options: ["assume-truncation", "assume-no-esn"], parse: parsePfkey },
  shared: named("shared", "an address"),
  exclude: named("exclude", "an address"),
  check: { options: ["file"], parse: parseCheck },
  metrics: { options: ["listen", "port"], parse: parseMetrics },
  user: named("user", "the name of the user"),
  demote: { options: ["file", "weight"], parse: parseDemote },
};

function named(kind: WordKind, what: string): StatementRule {
  return { options: [], parse: (cursor, line) => ({ kind, line, value: cursor.operand(what) }) };
}

function valued(kind: WordKind, options: readonly string[] = []): StatementRule {
  return { options, parse: (cursor, line) => ({ kind, line, value: cursor.value() }) };
}

function parseInterface(cursor: Cursor, line: number): Setting {
  const name = cursor.operand("the name of the interface");
  const address = cursor.option("address") === undefined ? undefined : cursor.operand("the address");
  return { kind: "interface", line, name, address };
}

/** OpenBSD 3.8 wrote `carp interface NAME [interval SECONDS]`; the interval has no meaning since 3.9. */
function parseCarpInterface(cursor: Cursor, line: number): Setting {
  if (cursor.option("interface") === undefined) throw new StatementError('"interface" is missing');
  const name = cursor.operand("the name of the interface");
  if (cursor.option("interval") !== undefined && !/^\d+$/.test(cursor.operand("the interval"))) {
    throw new StatementError("the interval must be a number of seconds");
  }
  return { kind: "interface", line, name, address: undefined };
}

function parseDemote(cursor: Cursor, line: number): Setting {
  if (cursor.option("file") === undefined) throw new StatementError('"file" is missing');
  const path = cursor.operand("the path of the file");
  const weight = cursor.option("weight") === undefined ? undefined : cursor.operand("the weight");
  return { kind: "demote", line, path, weight };
}

function parseCheck(cursor: Cursor, line: number): Setting {
  if (cursor.option("file") === undefined) throw new StatementError('"file" is missing');
  return { kind: "check file", line, value: cursor.operand("the path of the file") };
}

function parseMetrics(cursor: Cursor, line: number): Setting {
  for (const word of ["listen", "on"]) {
    if (cursor.option(word) === undefined) throw new StatementError(`"${word}" is missing`);
  }
  return { kind: "metrics", line, address: cursor.operand("an address"), port: parsePort(cursor) };
}

function parseListen(cursor: Cursor, line: number): Setting {
  if (cursor.option("on") === undefined) throw new StatementError('"on" is missing');
  const target = cursor.operand("an address or interface");
  return { kind: "listen", line, target, family: cursor.option("inet", "inet6"), port: parsePort(cursor) };
}

function parsePort(cursor: Cursor): string | undefined {
  return cursor.option("port") === undefined ? undefined : cursor.operand("the port");
}

/** `control socket` is the daemon's own, every other word is an IKE daemon, which may have a socket too. */
function parseControl(cursor: Cursor, line: number): Setting {
  if (cursor.option("socket") !== undefined) {
    return { kind: "control socket", line, value: cursor.operand("the path of the socket") };
  }
  const daemon = cursor.value();
  const hasSocket = daemon === "strongswan" && cursor.option("socket") !== undefined;
  const socket = hasSocket ? cursor.operand("the path of the socket") : undefined;
  const command = daemon === "exec" ? parseCommand(cursor) : undefined;
  return { kind: "control", line, daemon, socket, command };
}

/** One word, or several on one line in double quotes: the only place where a quote is not part of a word. */
function parseCommand(cursor: Cursor): string {
  let text = cursor.operand("the command");
  if (!text.startsWith('"')) return text;
  while (text === '"' || !text.endsWith('"')) {
    const next = cursor.peek();
    if (next === undefined || next.first) {
      throw new StatementError("the closing quote is missing on its line");
    }
    text += ` ${next.text}`;
    cursor.take();
  }
  return text.slice(1, -1);
}

/** `memory` may be told whose messages the classic protocol is to carry. */
function parseKernel(cursor: Cursor, line: number): Setting {
  const kernel = cursor.value();
  const dialect = kernel === "memory" ? cursor.option("openbsd") : undefined;
  return { kind: "kernel", line, value: dialect === undefined ? kernel : `${kernel} ${dialect}` };
}

function parsePfkey(cursor: Cursor, line: number): Setting {
  const assumption = cursor.value();
  const value = assumption === "assume-truncation" ? cursor.operand("the number of bits") : undefined;
  return { kind: "pfkey", line, assumption, value };
}

/** The options come in any order, each at most once. */
function parsePeer(cursor: Cursor, line: number): Setting {
  const target = cursor.operand("an address");
  let port: string | undefined;
  let key: KeySource | undefined;
  let role: string | undefined;
  let protocol: string | undefined;
  while (true) {
    if (port === undefined && isNext(cursor, "port")) port = parsePort(cursor);
    else if (isOnLine(cursor, "sharedkey")) key = parsePeerKey(cursor, key);
    else if (role === undefined && cursor.option("role")) role = cursor.value();
    else if (isOnLine(cursor, "protocol")) protocol = parsePeerProtocol(cursor, protocol);
    else return { kind: "peer", line, target, port, key, role, protocol };
  }
}

function isNext(cursor: Cursor, text: string): boolean {
  return cursor.peek()?.text === text;
}

/**
 * `sharedkey` and `protocol` are statements too, and a newline is only white space: so they belong to the peer unless
 * they begin a line, which keeps every file of the original (one statement a line) what it was.
 */
function isOnLine(cursor: Cursor, text: string): boolean {
  return isNext(cursor, text) && cursor.peek()?.first === false;
}

function parsePeerKey(cursor: Cursor, earlier: KeySource | undefined): KeySource {
  if (earlier !== undefined) throw new StatementError("sharedkey is given twice");
  cursor.take();
  return parseKey(cursor);
}

function parsePeerProtocol(cursor: Cursor, earlier: string | undefined): string {
  if (earlier !== undefined) throw new StatementError("protocol is given twice");
  cursor.take();
  return cursor.value();
}

function parseSharedKey(cursor: Cursor, line: number): Setting {
  if (cursor.option("weak") !== undefined) return { kind: "weak", line };
  const kind = cursor.option("next") === undefined ? "sharedkey" : "sharedkey next";
  return { kind, line, key: parseKey(cursor) };
}

function parseKey(cursor: Cursor): KeySource {
  if (cursor.option("file") !== undefined) {
    return { kind: "file", path: cursor.operand("the path of the key file") };
  }
  return { kind: "text", text: cursor.operand("the key") };
}
