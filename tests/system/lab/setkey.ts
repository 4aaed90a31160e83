/** A small setkey(8): SAs and policies of a node by PF_KEY, from lines in setkey's own words. */

import type { Node } from "./node.ts";
import { concat, EXTENSION, extension, type KeyMessage, KeySocket, MESSAGE, pack } from "./pfkey_socket.ts";

const SATYPE: Readonly<Record<string, number>> = { any: 0, ah: 2, esp: 3, ipcomp: 9 };
const PROTOCOL: Readonly<Record<string, number>> = { ah: 51, esp: 50, ipcomp: 108 };
const MODE: Readonly<Record<string, number>> = { any: 0, transport: 1, tunnel: 2, beet: 3 };
const LEVEL: Readonly<Record<string, number>> = { default: 0, use: 1, require: 2, unique: 3 };
const DIRECTION: Readonly<Record<string, number>> = { in: 1, out: 2, fwd: 3 };
const ACTION: Readonly<Record<string, number>> = { discard: 0, none: 1, ipsec: 2 };
const UPPER: Readonly<Record<string, number>> = { any: 255, icmp: 1, tcp: 6, udp: 17 };
const AUTH: Readonly<Record<string, number>> = {
  "hmac-md5": 2,
  "hmac-sha1": 3,
  "hmac-sha256": 5,
  "hmac-sha384": 6,
  "hmac-sha512": 7,
  "hmac-ripemd160": 8,
  "aes-xcbc-mac": 9,
  null: 251,
};
const ENCRYPT: Readonly<Record<string, number>> = {
  "des-cbc": 2,
  "3des-cbc": 3,
  null: 11,
  "aes-cbc": 12,
  "aes-ctr": 13,
  "aes-gcm-16": 20,
  "camellia-cbc": 22,
};
const COMPRESS: Readonly<Record<string, number>> = { deflate: 2 };
const AF_INET = 2;
const AF_INET6 = 10;
const MATURE = 1;

/**
 * Carries the lines out:
 *
 *     add|update SRC DST esp|ah|ipcomp SPI [-m MODE] [-u REQID] [-r WINDOW] [-E ALGORITHM KEY] [-A ALGORITHM KEY]
 *         [-C deflate] [-lh|-ls|-bh|-bs NUMBER] [-n ESPINUDP-TYPE SPORT DPORT]
 *     getspi SRC DST esp|ah SPI
 *     delete SRC DST PROTOCOL SPI
 *     flush PROTOCOL|any
 *     spdadd|spdupdate SRC/BITS[PORT] DST/BITS[PORT] UPPER -P DIRECTION [prio N] discard|none|ipsec REQUEST...
 *     spddelete SRC/BITS[PORT] DST/BITS[PORT] UPPER -P DIRECTION
 *     spdflush
 *
 * REQUEST is PROTOCOL/MODE/SRC-DST/LEVEL[:REQID], without addresses for transport mode.
 *
 * @throws {Error} naming the line and the kernel's errno
 */
export function setkey(node: Node, ...lines: readonly string[]): void {
  for (const { line, errno } of trySetkey(node, ...lines)) {
    if (errno !== 0) throw new Error(`${node.name}: setkey ${line}: errno ${errno}`);
  }
}

/** The same for lines that may fail. @returns the kernel's answer to each */
export function trySetkey(node: Node, ...lines: readonly string[]): (KeyMessage & { line: string })[] {
  const socket = KeySocket.open(node);
  const answers = lines.map((line) => ({ line, ...carryOut(socket, line.trim().split(/\s+/)) }));
  socket.close();
  return answers;
}

/** All SAs and policies, as the kernel tells them by PF_KEY. */
export function dumpKeys(node: Node): { states: KeyMessage[]; policies: KeyMessage[] } {
  const socket = KeySocket.open(node);
  const tables = { states: socket.dump(MESSAGE.dump), policies: socket.dump(MESSAGE.spddump) };
  socket.close();
  return tables;
}

function carryOut(socket: KeySocket, words: readonly string[]): KeyMessage {
  const [command = "", ...rest] = words;
  const type = find(MESSAGE, command);
  if (command === "flush") return socket.ask(type, find(SATYPE, rest[0] ?? "any"));
  if (command === "spdflush") return socket.ask(type, 0);
  if (command.startsWith("spd")) return socket.ask(type, 0, ...policyExtensions(rest));
  return socket.ask(type, find(SATYPE, rest[2] ?? ""), ...saExtensions(command, rest));
}

function saExtensions(command: string, words: readonly string[]): Uint8Array[] {
  const [src = "", dst = "", , spi = "", ...rest] = words;
  const options = optionsOf(rest);
  const number = (name: string) => Number(options.get(name)?.[0] ?? 0);
  const ends = [address(EXTENSION.src, src), address(EXTENSION.dst, dst)];
  const sa2 = extension(
    EXTENSION.sa2,
    pack("BxxxII", find(MODE, options.get("-m")?.[0] ?? "any"), 0, number("-u")),
  );
  if (command === "getspi") {
    return [...ends, extension(EXTENSION.spiRange, pack("III", Number(spi), Number(spi), 0)), sa2];
  }
  const [auth, authKey = "0x"] = options.get("-A") ?? [];
  const compress = options.get("-C")?.[0];
  const [encrypt, encryptKey = "0x"] = options.get("-E") ?? [];
  const encryptId = compress === undefined ? idOf(ENCRYPT, encrypt) : find(COMPRESS, compress);
  const sa = pack("NBBBBI", Number(spi), number("-r"), MATURE, idOf(AUTH, auth), encryptId, 0);
  if (command === "delete") return [extension(EXTENSION.sa, sa), ...ends];
  return [
    extension(EXTENSION.sa, sa),
    ...ends,
    lifetime(EXTENSION.hard, number("-bh"), number("-lh")),
    lifetime(EXTENSION.soft, number("-bs"), number("-ls")),
    ...(auth === undefined ? [] : [key(EXTENSION.authKey, authKey)]),
    ...(encrypt === undefined ? [] : [key(EXTENSION.encryptKey, encryptKey)]),
    sa2,
    ...encapsulation(options.get("-n")),
  ];
}

function encapsulation(words: readonly string[] | undefined): Uint8Array[] {
  if (words === undefined) return [];
  const [type = "", source = "", destination = ""] = words;
  return [
    extension(EXTENSION.natType, pack("Bxxx", Number(type))),
    extension(EXTENSION.natSourcePort, pack("nxx", Number(source))),
    extension(EXTENSION.natDestinationPort, pack("nxx", Number(destination))),
  ];
}

function policyExtensions(words: readonly string[]): Uint8Array[] {
  const [src = "", dst = "", upper = "", , direction = "", ...rest] = words;
  const priority = rest[0] === "prio" ? Number(rest.splice(0, 2)[1]) : 0;
  const [action = "none", ...requests] = rest;
  const protocol = find(UPPER, upper);
  return [
    address(EXTENSION.src, src, protocol),
    address(EXTENSION.dst, dst, protocol),
    extension(
      EXTENSION.policy,
      pack("HBxII", find(ACTION, action), find(DIRECTION, direction), 0, priority),
      ...requests.map(ipsecRequest),
    ),
  ];
}

/** `struct sadb_x_ipsecrequest`; its addresses, for tunnels only, follow each other without padding. */
function ipsecRequest(text: string): Uint8Array {
  const [protocol = "", mode = "", ends = "", level = ""] = text.split("/");
  const [levelName = "", reqid = "0"] = level.split(":");
  const addresses = ends === "" ? new Uint8Array() : concat(ends.split("-").map((end) => sockaddr(end, 0)));
  const length = Math.ceil((16 + addresses.length) / 8) * 8;
  return concat([
    pack("HHBBHII", length, find(PROTOCOL, protocol), find(MODE, mode), find(LEVEL, levelName), 0, +reqid, 0),
    addresses,
    new Uint8Array(length - 16 - addresses.length),
  ]);
}

/** Words by the option before them. */
function optionsOf(words: readonly string[]): Map<string, string[]> {
  const options = new Map<string, string[]>();
  let last: string[] = [];
  for (const word of words) {
    if (word.startsWith("-")) options.set(word, last = []);
    else last.push(word);
  }
  return options;
}

function address(type: number, text: string, protocol = 0): Uint8Array {
  const [, host = "", bits, port] = /^([^/[]+)(?:\/(\d+))?(?:\[(\d+)\])?$/.exec(text) ?? [];
  const width = Number(bits ?? (host.includes(":") ? 128 : 32));
  return extension(type, pack("BBxx", protocol, width), sockaddr(host, Number(port ?? 0)));
}

function sockaddr(text: string, port: number): Uint8Array {
  if (!text.includes(":")) {
    return concat([pack("HnBBBBQ", AF_INET, port, ...text.split(".").map(Number))]);
  }
  const [head = [], tail = []] = text.split("::").map((part) => part === "" ? [] : part.split(":"));
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill("0"), ...tail];
  return concat([
    pack("HnI", AF_INET6, port, 0),
    ...groups.map((group) => pack("n", parseInt(group, 16))),
    pack("I", 0),
  ]);
}

function lifetime(type: number, bytes: number, seconds: number): Uint8Array {
  return extension(type, pack("IQQQ", 0, bytes, seconds, 0));
}

function key(type: number, text: string): Uint8Array {
  const bytes = Uint8Array.fromHex(text.slice(2));
  return extension(type, pack("HH", bytes.length * 8, 0), bytes);
}

function idOf(table: Readonly<Record<string, number>>, name: string | undefined): number {
  return name === undefined ? 0 : find(table, name);
}

function find(table: Readonly<Record<string, number>>, name: string): number {
  const found = table[name];
  if (found === undefined) throw new RangeError(`setkey: "${name}" is not one of ${Object.keys(table)}`);
  return found;
}
