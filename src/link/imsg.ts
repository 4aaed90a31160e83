/** The messages between OpenBSD's daemons (imsg_init(3)), as far as iked(8) is told to be active or passive. */

import { Layout, u16, u32, Writer } from "../layout/mod.ts";

/**
 * `struct imsg_hdr`, 16 bytes, host order. Releases of 2024 and later have one 32-bit length in the place of length
 * and flags: the same bytes on a little-endian machine while no flag is set.
 */
export const imsgHdr = new Layout("imsg_hdr", 16, {
  type: u32,
  /** With this header. */
  lenBytes: u16,
  flags: u16,
  peerid: u32,
  pid: u32,
});

/** The same numbers in iked's types.h of 2012, 2015 and 2024. */
export const IMSG_CTL_ACTIVE = 9;
export const IMSG_CTL_PASSIVE = 10;

/** A message without data. */
export function encodeImsg(type: number): Uint8Array {
  const writer = new Writer(undefined, imsgHdr.size);
  imsgHdr.write(writer, { type, lenBytes: imsgHdr.size, flags: 0, peerid: 0, pid: 0 });
  return writer.finish();
}
