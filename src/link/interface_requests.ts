/** ioctl(2) structures of OpenBSD for the state of a carp(4) interface and the demotion of a group. LP64. */

import { DecodeError } from "../errors.ts";
import { bytes, i32, Layout, pad, u32 } from "../layout/layout.ts";
import { Writer } from "../layout/writer.ts";
import type { Role } from "../ports.ts";

/** `struct ifreq` with a pointer to `struct if_data`. */
export const SIOCGIFDATA = 0xc020691b;
/** `struct ifgroupreq`: adds a signed number to the demotion counter of a group. */
export const SIOCSIFGATTR = 0x8028698c;

/** `struct if_data` has between 136 and about 200 bytes: a buffer of this size holds it of every release. */
export const IF_DATA_BYTES = 512;

const IFNAMSIZ = 16;

/** `struct ifreq`, 32 bytes; the pointer is filled in where the structure is handed over. */
const ifreq = new Layout("ifreq", 32, { name: bytes(IFNAMSIZ), data: pad(16) });

/** Where `ifreq` has its pointer. */
export const IFREQ_DATA_OFFSET = 16;

/** `struct ifgroupreq`, 40 bytes; `demotion` is what is added to the counter. */
const ifgroupreq = new Layout("ifgroupreq", 40, {
  name: bytes(IFNAMSIZ),
  len: u32,
  reserved: pad(4),
  demotion: i32,
  rest: pad(12),
});

/** Link states (net/if.h), the same in every release since 2010. */
const LINK_STATES = {
  LINK_STATE_UNKNOWN: 0,
  LINK_STATE_INVALID: 1,
  LINK_STATE_DOWN: 2,
  LINK_STATE_KALIVE_DOWN: 3,
  LINK_STATE_UP: 4,
  LINK_STATE_HALF_DUPLEX: 5,
  LINK_STATE_FULL_DUPLEX: 6,
} as const;

/** The C name of a link state, for the log. */
export function nameOfLinkState(state: number): string {
  return Object.entries(LINK_STATES).find(([, value]) => value === state)?.[0] ?? `unknown(${state})`;
}

/** An `ifreq` for this interface. @throws {RangeError} when the name is too long. */
export function encodeIfreq(name: string): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  ifreq.write(writer, { name: encodeName(name) });
  return writer.finish();
}

/** An `ifgroupreq` that adds `delta` to the group's demotion counter. @throws {RangeError} */
export function encodeIfgroupreq(group: string, delta: number): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  ifgroupreq.write(writer, { name: encodeName(group), len: 0, demotion: delta });
  return writer.finish();
}

/** The link state that SIOCGIFDATA gave, LINK_STATE_*. @throws {DecodeError} */
export function decodeLinkState(ifData: Uint8Array): number {
  const state = ifData[3];
  if (state === undefined) throw new DecodeError("if_data", `${ifData.length} bytes`);
  return state;
}

/**
 * The run state of a carp(4) interface with this link state, as the original maps it. carp's INIT (its parent is down)
 * is LINK_STATE_INVALID, and so FAIL.
 */
export function roleOfLinkState(linkState: number): Role {
  switch (linkState) {
    case LINK_STATES.LINK_STATE_UP:
    case LINK_STATES.LINK_STATE_HALF_DUPLEX:
    case LINK_STATES.LINK_STATE_FULL_DUPLEX:
      return "MASTER";
    case LINK_STATES.LINK_STATE_DOWN:
      return "SLAVE";
    case LINK_STATES.LINK_STATE_UNKNOWN:
      return "INIT";
    default:
      return "FAIL";
  }
}

function encodeName(name: string): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length >= IFNAMSIZ) {
    throw new RangeError(`Cannot write the name "${name}": it has 16 bytes or more`);
  }
  const field = new Uint8Array(IFNAMSIZ);
  field.set(encoded);
  return field;
}
