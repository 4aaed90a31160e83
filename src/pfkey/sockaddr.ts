/** Internet socket addresses as PF_KEY messages hold them: `sockaddr_in` and `sockaddr_in6`, with sa_len on the BSDs. */

import { DecodeError } from "../errors.ts";
import { bytes, type Field, Layout, pad, u16be } from "../layout/layout.ts";
import type { Reader } from "../layout/reader.ts";
import type { Writer } from "../layout/writer.ts";
import { type Address, familyOf, ipv4Of } from "../record/address.ts";
import type { Platform } from "./message.ts";

const AF_INET = 2;
/** What `struct sockaddr` has behind length and family. */
const SA_DATA_BYTES = 14;

const ipv4: Field<Address> = { ...bytes(4), read: (reader) => ipv4Of(reader.u32be()) };

/** `struct sockaddr_in` behind its length and family, 16 bytes in all. */
const sockaddrIn = new Layout("sockaddr_in", 14, { port: u16be, address: ipv4, zero: pad(8) });
/** `struct sockaddr_in6` behind its length and family, 28 bytes in all. The scope is not told: it is a node's own. */
const sockaddrIn6 = new Layout("sockaddr_in6", 26, {
  port: u16be,
  flowinfo: pad(4),
  address: bytes(16),
  scope: pad(4),
});

/** An address, and the port beside it (0: none). */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

/** Reads one, without padding behind it; undefined for family 0. @throws {DecodeError} */
export function readSockaddr(reader: Reader, platform: Platform): Endpoint | undefined {
  const length = platform.saLen ? reader.u8() : undefined;
  const family = platform.saLen ? reader.u8() : reader.u16();
  if (family === 0) return skipUnspecified(reader);
  const layout = family === AF_INET ? sockaddrIn : family === platform.afInet6 ? sockaddrIn6 : undefined;
  if (layout === undefined) throw new DecodeError(reader.struct, `address family ${family}`);
  if (length !== undefined && length !== layout.size + 2) {
    throw new DecodeError(reader.struct, `${layout.name} says that it has ${length} bytes`);
  }
  return layout.read(reader);
}

/** `struct sockaddr` of no family: 16 bytes. */
function skipUnspecified(reader: Reader): undefined {
  reader.skip(Math.min(SA_DATA_BYTES, reader.remaining));
  return undefined;
}

/** Writes one, without padding behind it. @throws {RangeError} */
export function writeSockaddr(writer: Writer, { address, port }: Endpoint, platform: Platform): void {
  const isIpv4 = familyOf(address) === 4;
  const layout = isIpv4 ? sockaddrIn : sockaddrIn6;
  const family = isIpv4 ? AF_INET : platform.afInet6;
  if (platform.saLen) writer.u8(layout.size + 2).u8(family);
  else writer.u16(family);
  layout.write(writer, { address, port });
}
