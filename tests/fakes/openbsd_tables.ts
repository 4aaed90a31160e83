/** OpenBSD's SADB and SPD in memory: what requests make of them, and how the kernel shows them. */

import { Reader } from "../../src/layout/reader.ts";
import { Writer } from "../../src/layout/writer.ts";
import { sadbIdent, sadbKey, sadbLifetime, sadbSa } from "../../src/pfkey/extensions.ts";
import { type Extensions, ExtensionWriter, type Platform } from "../../src/pfkey/message.ts";
import {
  sadbProtocol,
  sadbXCounter,
  sadbXRdomain,
  sadbXReplay,
  sadbXUdpencap,
} from "../../src/pfkey/openbsd_constants.ts";
import { encodeHex } from "./hex.ts";

/** Extensions in the order in which the kernel exports an SA. */
const SA_ORDER = [
  1,
  2,
  4,
  3,
  32,
  5,
  6,
  10,
  11,
  8,
  9,
  20,
  19,
  21,
  17,
  22,
  18,
  23,
  24,
  35,
  31,
  39,
  38,
  37,
  33,
  34,
  40,
  36,
];
const FLOW_ORDER = [5, 6, 20, 19, 21, 17, 22, 18, 10, 11];
/** What an import keeps of ADD or UPDATE. */
const IMPORTED = [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 17, 18, 19, 20, 21, 22, 31, 33, 34, 37, 40];
const [AES_GMAC_128, CHACHA20] = [9, 12];
const [GCM16, GMAC, CHACHA20POLY1305] = [20, 21, 22];
const UDPENCAP_FLAG = 0x200;

/** An SA of the kernel (`struct tdb`). */
export interface Tdb {
  readonly satype: number;
  readonly larval: boolean;
  readonly extensions: Map<number, Uint8Array>;
  /** When its hard limit of time is over, in milliseconds of CLOCK_BOOTTIME; Infinity: never. */
  expiresMs: number;
  /** The SA behind it (X_GRPSPIS). */
  next: Tdb | undefined;
}

/** An entry of the SPD. */
export interface Flow {
  readonly satype: number;
  readonly extensions: Map<number, Uint8Array>;
  static: boolean;
}

/** How the kernel looks an SA up. */
export function tdbKey(satype: number, extensions: Extensions, sa = 1, dst = 6): string {
  return [satype, encodeHex(extensions.get(sa)!.subarray(4, 8)), encodeHex(extensions.get(dst)!)].join(" ");
}

/** Flows are alike when addresses, ports, masks, protocol and direction are. */
export function flowKey(extensions: Map<number, Uint8Array>): string {
  const parts = [21, 17, 22, 18].map((number) => encodeHex(extensions.get(number)!));
  return [extensions.get(20)![5], extensions.get(19)?.[4] ?? 0, ...parts].join(" ");
}

/**
 * What the kernel finds when it looks for an entry like this one: the most specific that covers its addresses, which
 * is another one when a narrower flow begins at the same addresses.
 */
export function findFlow(flows: ReadonlyMap<string, Flow>, wanted: Extensions): Flow | undefined {
  const covering = [...flows.values()].filter(({ extensions }) => covers(extensions, wanted));
  return covering.toSorted((a, b) => widthOf(b.extensions) - widthOf(a.extensions))[0];
}

const ENDS = [[21, 17], [22, 18]] as const;

function covers(flow: Extensions, wanted: Extensions): boolean {
  const [type, other] = [flow.get(20)!, wanted.get(20)!];
  const proto = flow.get(19)![4];
  if (type[5] !== other[5] || proto !== 0 && proto !== wanted.get(19)![4]) return false;
  return ENDS.every(([address, mask]) => {
    const [mine, bits, theirs] = [flow.get(address)!, flow.get(mask)!, wanted.get(address)!];
    return mine.length === theirs.length &&
      mine.every((byte, i) => i < 10 || (theirs[i]! & bits[i]!) === byte);
  });
}

/** How many bits a flow looks at. */
function widthOf(flow: Extensions): number {
  const bits = ENDS.flatMap(([, mask]) => [...flow.get(mask)!.subarray(10)].map((byte) => byte.toString(2)));
  return bits.join("").replaceAll("0", "").length + (flow.get(19)![4] === 0 ? 0 : 8);
}

/** Copies of the extensions, the flow's addresses cut by their masks. */
export function importFlow(extensions: Extensions, platform: Platform): Map<number, Uint8Array> {
  const copy = new Map<number, Uint8Array>(
    Array.from(extensions, ([number, bytes]) => [number, bytes.slice()]),
  );
  for (const [address, mask] of ENDS) {
    const [bytes, bits] = [copy.get(address)!, copy.get(mask)!];
    for (let i = 10; i < bytes.length; i++) bytes[i]! &= bits[i]!;
  }
  if (copy.has(19)) return copy;
  const protocol = new ExtensionWriter(platform).add(19, (w) => sadbProtocol.write(w, NO_PROTOCOL));
  return copy.set(19, protocol.finish());
}

const NO_PROTOCOL = { proto: 0, direction: 0, flags: 0 };

/** An SA as ADD makes it, or an UPDATE of a larval one, whose identities are kept the other way round. */
export function importTdb(
  satype: number,
  extensions: Extensions,
  nowSeconds: number,
  nowMs: number,
  platform: Platform,
  swapped: boolean,
): Tdb {
  const kept = new Map<number, Uint8Array>();
  const hasFlow = extensions.has(20);
  const source = hasFlow ? importFlow(extensions, platform) : extensions;
  for (const number of IMPORTED) {
    const from = swapped && (number === 10 || number === 11) ? 21 - number : number;
    const extension = source.get(from);
    if (extension !== undefined) kept.set(number, renumber(extension.slice(), number, platform));
  }
  importSa(kept, platform);
  for (const number of [3, 4]) if (isUnlimited(kept.get(number), platform)) kept.delete(number);
  if (!kept.has(2)) setLifetime(kept, 2, { addtime: BigInt(nowSeconds) }, platform);
  if (hasFlow) kept.get(20)!.set([1, kept.get(20)![5]!, 0], 4); // always "use", without flags
  dropDefaults(kept, platform);
  return {
    satype,
    larval: false,
    extensions: kept,
    expiresMs: expiryOf(kept, nowMs, platform),
    next: undefined,
  };
}

/** A GETSPI's. */
export function larvalTdb(satype: number, extensions: Extensions, spi: number, platform: Platform): Tdb {
  const sa = new ExtensionWriter(platform).add(
    1,
    (w) => sadbSa.write(w, { spi, replay: 0, state: 0, auth: 0, encrypt: 0, flags: 0 }),
  ).finish();
  const kept = new Map([[1, sa], [5, extensions.get(5)!.slice()], [6, extensions.get(6)!.slice()]]);
  setLifetime(kept, 2, {}, platform);
  return { satype, larval: true, extensions: kept, expiresMs: Infinity, next: undefined };
}

/** UPDATE of a mature SA: limits and a few others, never keys. */
export function updateTdb(tdb: Tdb, extensions: Extensions, nowMs: number, platform: Platform): void {
  for (const number of [2, 3, 4, 31, 33, 34, 40]) {
    const extension = extensions.get(number);
    if (extension !== undefined) tdb.extensions.set(number, extension.slice());
  }
  for (const number of [3, 4]) {
    if (isUnlimited(tdb.extensions.get(number), platform)) tdb.extensions.delete(number);
  }
  tdb.expiresMs = expiryOf(tdb.extensions, nowMs, platform);
}

function renumber(extension: Uint8Array, number: number, { order }: Platform): Uint8Array {
  extension[order === "little" ? 2 : 3] = number;
  return extension;
}

/** AEADs show their key a second time; a port of UDP encapsulation sets its flag. */
function importSa(kept: Map<number, Uint8Array>, platform: Platform): void {
  const values = sadbSa.read(new Reader(kept.get(1)!, "sa", platform.order));
  let { auth, flags } = values;
  const key = kept.get(9);
  if ([GCM16, GMAC, CHACHA20POLY1305].includes(values.encrypt) && key !== undefined) {
    const { bits } = sadbKey.read(new Reader(key, "key", platform.order));
    auth = values.encrypt === CHACHA20POLY1305 ? CHACHA20 : AES_GMAC_128 + (bits - 160) / 64;
    kept.set(8, renumber(key.slice(), 8, platform));
  }
  flags = (flags & ~UDPENCAP_FLAG) | (kept.has(31) ? UDPENCAP_FLAG : 0);
  kept.set(
    1,
    new ExtensionWriter(platform).add(1, (w) => sadbSa.write(w, { ...values, auth, flags })).finish(),
  );
}

function isUnlimited(extension: Uint8Array | undefined, { order }: Platform): boolean {
  if (extension === undefined) return false;
  const values = sadbLifetime.read(new Reader(extension, "lifetime", order));
  return values.allocations === 0 && values.bytes + values.addtime + values.usetime === 0n;
}

function setLifetime(
  kept: Map<number, Uint8Array>,
  number: number,
  values: { readonly addtime?: bigint },
  platform: Platform,
): void {
  const lifetime = { allocations: 0, bytes: 0n, addtime: 0n, usetime: 0n, ...values };
  kept.set(
    number,
    new ExtensionWriter(platform).add(number, (w) => sadbLifetime.write(w, lifetime)).finish(),
  );
}

/** Timers start at the request, whatever CURRENT says. */
function expiryOf(kept: Map<number, Uint8Array>, nowMs: number, { order }: Platform): number {
  const hard = kept.get(3);
  const seconds = hard && sadbLifetime.read(new Reader(hard, "lifetime", order)).addtime;
  return seconds === undefined || seconds === 0n ? Infinity : nowMs + Number(seconds) * 1000;
}

/** What is not shown: no port, a routing domain that is the same inside. */
function dropDefaults(kept: Map<number, Uint8Array>, { order }: Platform): void {
  const udp = kept.get(31);
  if (udp && sadbXUdpencap.read(new Reader(udp, "udpencap", order)).port === 0) kept.delete(31);
  const rdomain = kept.get(37) && sadbXRdomain.read(new Reader(kept.get(37)!, "rdomain", order));
  if (rdomain && rdomain.dom1 === rdomain.dom2) kept.delete(37);
  const ids = [10, 11].filter((number) => kept.has(number));
  if (ids.length === 1) kept.delete(ids[0]!);
  for (const number of ids) sadbIdent.read(new Reader(kept.get(number)!, "identity", order));
}

/** The extensions of an SA as the kernel exports them. */
export function exportTdb(tdb: Tdb, platform: Platform): Uint8Array {
  const all = new Map(tdb.extensions);
  const add = (number: number, write: (writer: Writer) => void) =>
    all.set(number, new ExtensionWriter(platform).add(number, write).finish());
  add(39, (w) => sadbXReplay.write(w, { count: 1n }));
  add(36, (w) => sadbXCounter.write(w, NO_COUNTS));
  if (tdb.next !== undefined) {
    all.set(23, renumber(tdb.next.extensions.get(1)!.slice(), 23, platform));
    all.set(24, renumber(tdb.next.extensions.get(6)!.slice(), 24, platform));
    add(35, (w) => sadbProtocol.write(w, { ...NO_PROTOCOL, proto: tdb.next!.satype }));
  }
  return join(SA_ORDER, all);
}

const NO_COUNTS = {
  ...{ ipackets: 0n, opackets: 0n, ibytes: 0n, obytes: 0n, idrops: 0n, odrops: 0n },
  ...{ idecompbytes: 0n, ouncompbytes: 0n },
};

/** The extensions of a flow as a dump shows them: the static flag is not told. */
export function exportFlow({ extensions }: Flow): Uint8Array {
  const shown = new Map(extensions);
  const type = shown.get(20)!.slice();
  type[6] = 0;
  return join(FLOW_ORDER, shown.set(20, type));
}

/** What EXPIRE says of an SA. */
export function exportExpiry({ extensions }: Tdb): Uint8Array {
  return join([1, 2, 3, 5, 6], extensions);
}

function join(order: readonly number[], extensions: Extensions): Uint8Array {
  return order.reduce(
    (writer, number) => writer.bytes(extensions.get(number) ?? new Uint8Array()),
    new Writer(),
  )
    .finish();
}
