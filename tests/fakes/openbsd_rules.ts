/** What OpenBSD's kernel lets into a PF_KEY request: pfkeyv2_parsemessage.c as the tests know it. */

import { Reader } from "../../src/layout/reader.ts";
import { type Extensions, type Platform, readExtensions, sadbMsg } from "../../src/pfkey/message.ts";
import { sadbIdent, sadbKey, sadbSa } from "../../src/pfkey/extensions.ts";
import { sadbProtocol } from "../../src/pfkey/openbsd_constants.ts";

const [GETSPI, UPDATE, ADD, DELETE, GET, ACQUIRE, REGISTER, EXPIRE, FLUSH, DUMP, PROMISC] = [
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
] as const;
const [ADDFLOW, DELFLOW, GRPSPIS, ASKPOLICY] = [12, 13, 14, 15] as const;
const IDS = [10, 11];
const KEYS = [8, 9];
const LIMITS = [2, 3, 4];
const FLOW_SET = [17, 18, 19, 20, 21, 22];
const [TAG, TAP, UDPENCAP, LASTUSE, COUNTER, RDOMAIN, REPLAY, IFACE] = [
  33,
  34,
  31,
  32,
  36,
  37,
  39,
  40,
] as const;
const OPTIONS = [UDPENCAP, TAG, TAP, RDOMAIN, IFACE, COUNTER, REPLAY];

/** Extensions that a request must and may have, by message type. */
const RULES: ReadonlyMap<
  number,
  { readonly required: readonly number[]; readonly allowed: readonly number[] }
> = new Map([
  [GETSPI, { required: [5, 6, 16], allowed: [] }],
  [UPDATE, { required: [1, 5, 6], allowed: [...LIMITS, 7, ...KEYS, ...IDS, ...FLOW_SET, ...OPTIONS] }],
  [ADD, { required: [1, 6], allowed: [...LIMITS, 5, ...KEYS, ...IDS, ...FLOW_SET, ...OPTIONS, LASTUSE] }],
  [DELETE, { required: [1, 6], allowed: [5, RDOMAIN] }],
  [GET, { required: [1, 6], allowed: [5, RDOMAIN] }],
  [ACQUIRE, { required: [], allowed: [5, 6, ...IDS, 13] }],
  [REGISTER, { required: [], allowed: [] }],
  [EXPIRE, { required: [1, 5, 6], allowed: [] }],
  [FLUSH, { required: [], allowed: [] }],
  [DUMP, { required: [], allowed: [] }],
  [ADDFLOW, { required: [17, 18, 20, 21, 22], allowed: [5, 6, ...IDS, 19, RDOMAIN] }],
  [DELFLOW, { required: [17, 18, 20, 21, 22], allowed: [19, RDOMAIN] }],
  [GRPSPIS, { required: [1, 6, 23, 24, 35], allowed: [RDOMAIN] }],
  [ASKPOLICY, { required: [25], allowed: [] }],
]);

/** Extensions that pass here, but make the kernel fail when it answers. */
export const UNANSWERED: readonly number[] = [LASTUSE, COUNTER, REPLAY];

/** Sizes of extensions that have one, in bytes. */
const SIZES: Readonly<Record<number, number>> = {
  ...{ 1: 16, 2: 32, 3: 32, 4: 32, 16: 16, 19: 8, 20: 8, 23: 16, 25: 8, 31: 8, 32: 32, 34: 8, 35: 8 },
  ...{ 36: 72, 37: 8, 38: 8, 39: 16, 40: 16 },
};
const ADDRESSES = [5, 6, 7, 17, 18, 21, 22, 24];
const WITH_PORT = [17, 18, 21, 22];
const MOST_BYTES = 4096;

/** A request that has passed. */
export interface CheckedRequest {
  readonly type: number;
  readonly satype: number;
  readonly seq: number;
  readonly pid: number;
  readonly extensions: Extensions;
  /** The whole message. */
  readonly bytes: Uint8Array;
}

/** Why write(2) fails. */
export class Refused extends Error {
  constructor(readonly errno: string, readonly code: number, message: string) {
    super(message);
  }
}

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Refused("EINVAL", 22, what);
}

/** @throws {Refused} as write(2) would. */
export function checkRequest(bytes: Uint8Array, writer: number, platform: Platform): CheckedRequest {
  if (bytes.length > MOST_BYTES) throw new Refused("EMSGSIZE", 40, "too long");
  demand(bytes.length >= sadbMsg.size, "no header");
  const { type, errno, satype, lenWords, seq, pid } = sadbMsg.read(
    new Reader(bytes, "request", platform.order),
  );
  demand(lenWords * 8 === bytes.length, "length");
  demand(bytes[6] === 0 && bytes[7] === 0 && errno === 0, "reserved or errno");
  demand(pid === writer, `pid ${pid} of process ${writer}`);
  if (type === PROMISC) return { type, satype, seq, pid, extensions: new Map(), bytes };
  const rule = RULES.get(type);
  demand(rule !== undefined, `type ${type}`);
  const extensions = readAll(bytes.subarray(sadbMsg.size), platform);
  for (const required of rule!.required) demand(extensions.has(required), `extension ${required} missing`);
  for (const [number, extension] of extensions) {
    demand([...rule!.required, ...rule!.allowed].includes(number), `extension ${number} of message ${type}`);
    checkExtension(number, extension, platform);
  }
  if (type === ADD || type === UPDATE) checkSa(satype, extensions, platform);
  return { type, satype, seq, pid, extensions, bytes };
}

function readAll(body: Uint8Array, platform: Platform): Extensions {
  try {
    return readExtensions(body, platform);
  } catch (error) {
    throw new Refused("EINVAL", 22, `${error}`);
  }
}

function checkExtension(number: number, extension: Uint8Array, platform: Platform): void {
  const size = SIZES[number];
  demand(size === undefined || size === extension.length, `extension ${number} of ${extension.length} bytes`);
  if (ADDRESSES.includes(number)) checkAddress(number, extension);
  if (KEYS.includes(number)) checkKey(extension, platform);
  if (IDS.includes(number)) checkIdentity(extension, platform);
}

function checkAddress(number: number, extension: Uint8Array): void {
  const zero = (from: number, to: number) => extension.subarray(from, to).every((byte) => byte === 0);
  const [length, family] = [extension[8], extension[9]];
  demand(zero(4, 8), "reserved of an address");
  demand(family === 2 && length === 16 || family === 24 && length === 28, `address family ${family}`);
  demand(extension.length === (family === 2 ? 24 : 40), "length of an address");
  demand(family === 2 ? zero(16, 24) : zero(12, 16), "sin_zero or flowinfo");
  demand(WITH_PORT.includes(number) || zero(10, 12), "port of an address");
}

function checkKey(extension: Uint8Array, { order }: Platform): void {
  const { bits } = sadbKey.read(new Reader(extension, "key", order));
  demand(bits > 0 && extension.length === 8 + 8 * Math.ceil(bits / 64), `key of ${bits} bits`);
}

function checkIdentity(extension: Uint8Array, { order }: Platform): void {
  const { type } = sadbIdent.read(new Reader(extension, "identity", order));
  const end = extension.indexOf(0, sadbIdent.size);
  demand(type <= 4 && end >= 0, "identity");
  demand(extension.length === 16 + 8 * Math.ceil((end - sadbIdent.size + 1) / 8), "length of an identity");
}

function checkSa(satype: number, extensions: Extensions, { order }: Platform): void {
  const { replay, auth, encrypt, state } = sadbSa.read(new Reader(extensions.get(1)!, "sa", order));
  demand(replay <= 64 && auth <= 12 && encrypt <= 22, "replay window or algorithms");
  demand(state === 1, `state ${state}`);
  demand(!extensions.has(UDPENCAP) || satype === 2, "UDP encapsulation without ESP");
  const flow = FLOW_SET.filter((number) => extensions.has(number)).length;
  demand(flow === 0 || flow === FLOW_SET.length, "a part of a flow set");
}

/** Direction and type of a flow. @throws {Refused} */
export function checkFlow(extensions: Extensions, { order }: Platform): { type: number; flags: number } {
  const { proto, direction, flags } = sadbProtocol.read(new Reader(extensions.get(20)!, "flow type", order));
  demand(direction === 1 || direction === 2, `flow direction ${direction}`);
  demand(proto >= 1 && proto <= 6, `flow type ${proto}`);
  const lengths = [17, 18, 21, 22].map((number) => extensions.get(number)!.length);
  demand(new Set(lengths).size === 1, "flow of two families");
  return { type: proto, flags };
}
