/** IP addresses and prefixes. The length of an address tells its family: 4 bytes IPv4, 16 bytes IPv6. */

/** An address in network order, 4 or 16 bytes. */
export type Address = Uint8Array;

/** An address and the number of its leading bits that count. */
export interface Prefix {
  readonly address: Address;
  readonly bits: number;
}

/** Address family, as a version number; 0 where none is stated. */
export type Family = 0 | 4 | 6;

export function familyOf(address: Address): 4 | 6 {
  return address.length === 4 ? 4 : 6;
}

/** The number of bits of an address of that family. */
export function addressBits(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** All zero: "any address". */
export function anyAddress(family: 4 | 6): Address {
  return new Uint8Array(family === 4 ? 4 : 16);
}

/** Addresses that were read lately, by a hash: thousands of SAs share a few, in memory too. */
const lately = new Array<{ readonly number: number; readonly address: Address } | undefined>(4096);

/** The IPv4 address of that number. Decoders of records use it: never write to what it gives. */
export function ipv4Of(number: number): Address {
  const slot = Math.imul(number, 0x9e3779b1) >>> 20;
  const known = lately[slot];
  if (known?.number === number) return known.address;
  const address = Uint8Array.of(number >>> 24, number >> 16 & 0xff, number >> 8 & 0xff, number & 0xff);
  lately[slot] = { number, address };
  return address;
}

export function isAnyAddress(address: Address): boolean {
  return address.every((byte) => byte === 0);
}

/** Called for every record of a snapshot: without closures. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Parses `192.0.2.1` or `2001:db8::1` (also `::ffff:192.0.2.1`); undefined for anything else. */
export function parseAddress(text: string): Address | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Parses `ADDRESS` or `ADDRESS/BITS`; undefined for anything else, also when host bits are set. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const width = address.length * 8;
  if (slash < 0) return { address, bits: width };
  const length = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length) || Number(length) > width) return undefined;
  const bits = Number(length);
  return equalBytes(maskAddress(address, bits), address) ? { address, bits } : undefined;
}

/** The address with all but its first `bits` bits cleared. */
export function maskAddress(address: Address, bits: number): Address {
  return address.map((byte, i) => {
    const kept = Math.min(8, Math.max(0, bits - i * 8));
    return byte & (0xff00 >> kept) & 0xff;
  });
}

/** Whether `inner` lies wholly within `outer`; prefixes of different families never do. */
export function prefixContains(outer: Prefix, inner: Prefix): boolean {
  return outer.address.length === inner.address.length && inner.bits >= outer.bits &&
    prefixesMeet(inner.address, outer.address, outer.bits);
}

/** Whether the first `bits` bits of two addresses of one family are equal. Called a million times, so without copies. */
export function prefixesMeet(a: Address, b: Address, bits: number): boolean {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = bits & 7;
  return rest === 0 || (a[whole]! ^ b[whole]!) >> (8 - rest) === 0;
}

/** Prints an address; IPv6 as RFC 5952 recommends. */
export function formatAddress(address: Address): string {
  if (address.length === 4) return `${address[0]}.${address[1]}.${address[2]}.${address[3]}`;
  const groups = Array.from({ length: 8 }, (_, i) => (address[i * 2]! << 8) | address[i * 2 + 1]!);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${address.subarray(12).join(".")}`;
  }
  const zeros = longestZeroRun(groups);
  const text = groups.map((group) => group.toString(16));
  if (zeros.length < 2) return text.join(":");
  return `${text.slice(0, zeros.start).join(":")}::${text.slice(zeros.start + zeros.length).join(":")}`;
}

export function formatPrefix({ address, bits }: Prefix): string {
  return `${formatAddress(address)}/${bits}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
}

function parseIpv4(text: string): Address | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Address | undefined {
  const tail = text.slice(text.lastIndexOf(":") + 1);
  if (tail.includes(".")) {
    const v4 = parseIpv4(tail);
    if (v4 === undefined) return undefined;
    const hex = `${((v4[0]! << 8) | v4[1]!).toString(16)}:${((v4[2]! << 8) | v4[3]!).toString(16)}`;
    return parseIpv6(text.slice(0, text.length - tail.length) + hex);
  }
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, rest] = halves.map((half) => half === "" ? [] : half.split(":"));
  const given = [...head!, ...(rest ?? [])];
  if (!given.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  if (rest === undefined ? given.length !== 8 : given.length > 7) return undefined;
  const groups = [...head!, ...Array<string>(8 - given.length).fill("0"), ...(rest ?? [])];
  return Uint8Array.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
}
