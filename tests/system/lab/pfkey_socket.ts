/**
 * PF_KEY (RFC 2367, Linux) as the tests speak it: a socket in a node, and messages as bytes. Written from the headers,
 * without the product's own codec, so that it can be a witness.
 */

import type { Node } from "./node.ts";

/** `SADB_*` message types, by the names that setkey(8) has for them. */
export const MESSAGE = {
  getspi: 1,
  update: 2,
  add: 3,
  delete: 4,
  flush: 9,
  dump: 10,
  spdupdate: 13,
  spdadd: 14,
  spddelete: 15,
  spddump: 18,
  spdflush: 19,
} as const;

/** `SADB_EXT_*` and `SADB_X_EXT_*`. */
export const EXTENSION = {
  sa: 1,
  hard: 3,
  soft: 4,
  src: 5,
  dst: 6,
  authKey: 8,
  encryptKey: 9,
  spiRange: 16,
  policy: 18,
  sa2: 19,
  natType: 20,
  natSourcePort: 21,
  natDestinationPort: 22,
} as const;

/** A message of the kernel's. */
export interface KeyMessage {
  readonly type: number;
  readonly errno: number;
  readonly satype: number;
  readonly seq: number;
  /** What follows the length and the type of each extension, by type. */
  readonly extensions: ReadonlyMap<number, Uint8Array>;
}

const AF_KEY = 15;
const SOCK_RAW = 3;
const PF_KEY_V2 = 2;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;
const HEADER_BYTES = 16;

function openLibc() {
  return Deno.dlopen("libc.so.6", {
    open: { parameters: ["buffer", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    setns: { parameters: ["i32", "i32"], result: "i32" },
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  }).symbols;
}

let opened: ReturnType<typeof openLibc> | undefined;
/** The C library, opened on first use: this module is read on machines that have no PF_KEY, too. */
const libc = () => opened ??= openLibc();

/**
 * Numbers one after the other in the order of the format's letters, little-endian: B, H, I, Q of 1, 2, 4 and 8 bytes;
 * `n` and `N` are H and I in network order; x is a zero byte.
 */
export function pack(format: string, ...values: number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(format.length * 8));
  let at = 0;
  let next = 0;
  for (const letter of format) {
    if (letter === "x") at += 1;
    else at += put(view, at, letter, values[next++] ?? 0);
  }
  return new Uint8Array(view.buffer, 0, at).slice();
}

function put(view: DataView, at: number, letter: string, value: number): number {
  if (letter === "B") return view.setUint8(at, value), 1;
  if (letter === "H") return view.setUint16(at, value, true), 2;
  if (letter === "n") return view.setUint16(at, value), 2;
  if (letter === "I") return view.setUint32(at, value, true), 4;
  if (letter === "N") return view.setUint32(at, value), 4;
  if (letter === "Q") return view.setBigUint64(at, BigInt(value), true), 8;
  throw new RangeError(`no such letter: ${letter}`);
}

/** An extension: its length in words of 64 bits and its type before the body, zeros after it. */
export function extension(type: number, ...body: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = body.reduce((sum, part) => sum + part.length, 4);
  const words = Math.ceil(length / 8);
  return concat([pack("HH", words, type), ...body, new Uint8Array(words * 8 - length)]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** A PF_KEY socket in a node. The kernel has answered by the time that a request is sent. */
export class KeySocket {
  #seq = 0;
  readonly #buffer = new Uint8Array(1 << 16);

  private constructor(private readonly fd: number) {}

  /** A socket in the node's network namespace: this thread is there while it is made. */
  static open(node: Node): KeySocket {
    const home = openFile("/proc/thread-self/ns/net");
    const there = openFile(`/run/netns/${node.name}`);
    check(libc().setns(there, 0), "setns");
    const fd = libc().socket(AF_KEY, SOCK_RAW, PF_KEY_V2);
    check(libc().setns(home, 0), "setns");
    for (const one of [home, there]) libc().close(one);
    check(fd, "socket");
    check(libc().setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, pack("I", 1 << 26), 4), "setsockopt");
    return new KeySocket(fd);
  }

  /** Sends a request. @returns the kernel's answer, which may be an error */
  ask(type: number, satype: number, ...extensions: readonly Uint8Array[]): KeyMessage {
    const seq = this.#send(type, satype, extensions);
    for (const message of this.receive()) if (message.seq === seq && message.type === type) return message;
    throw new Error(`PF_KEY message ${type}: no answer`);
  }

  /** All entries of a dump: numbered from 1, the last one has number 0. */
  dump(type: number): KeyMessage[] {
    this.#send(type, 0, []);
    const entries: KeyMessage[] = [];
    for (const message of this.receive()) {
      if (message.type !== type) continue;
      if (message.extensions.size > 0) entries.push(message);
      if (message.seq === 0 || message.errno !== 0) return entries;
    }
    throw new Error(`PF_KEY dump ${type}: no end after ${entries.length} entries`);
  }

  /** What has arrived and waits to be read. */
  *receive(): Generator<KeyMessage> {
    while (true) {
      const length = Number(libc().recv(this.fd, this.#buffer, BigInt(this.#buffer.length), MSG_DONTWAIT));
      if (length < 0) return;
      yield parse(this.#buffer.slice(0, length));
    }
  }

  close(): void {
    libc().close(this.fd);
  }

  #send(type: number, satype: number, extensions: readonly Uint8Array[]): number {
    const body = concat(extensions);
    const seq = ++this.#seq;
    const words = (HEADER_BYTES + body.length) / 8;
    const message = concat([pack("BBBBHHII", PF_KEY_V2, type, 0, satype, words, 0, seq, Deno.pid), body]);
    check(Number(libc().send(this.fd, message, BigInt(message.length), 0)), `send of PF_KEY message ${type}`);
    return seq;
  }
}

function parse(bytes: Uint8Array): KeyMessage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const extensions = new Map<number, Uint8Array>();
  for (let at = HEADER_BYTES; at < bytes.length;) {
    const end = at + 8 * view.getUint16(at, true);
    extensions.set(view.getUint16(at + 2, true), bytes.subarray(at + 4, end));
    if (end <= at) throw new Error("PF_KEY: an extension without a length");
    at = end;
  }
  return {
    type: view.getUint8(1),
    errno: view.getUint8(2),
    satype: view.getUint8(3),
    seq: view.getUint32(8, true),
    extensions,
  };
}

function openFile(path: string): number {
  const fd = libc().open(new TextEncoder().encode(`${path}\0`), 0);
  check(fd, path);
  return fd;
}

function check(result: number, what: string): void {
  if (result < 0) throw new Error(`${what} failed`);
}
