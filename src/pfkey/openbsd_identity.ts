/** What names an SA in OpenBSD's messages: satype, SPI, destination and routing domain ↔ the portable identity. */

import type { ValuesOf } from "../layout/layout.ts";
import type { Address } from "../record/address.ts";
import { NO_MARK, PROTOCOL, type Protocol, type SaIdentity } from "../record/sa.ts";
import {
  addAddress,
  addSa,
  readStruct,
  requireAddress,
  requireStruct,
  SADB_EXT,
  SADB_SASTATE,
  sadbSa,
} from "./extensions.ts";
import { type Extensions, ExtensionWriter, type PfkeyMessage, type Platform } from "./message.ts";
import { OPENBSD_EXT, OPENBSD_SATYPE, sadbXRdomain } from "./openbsd_constants.ts";
import { Refusal } from "./refusal.ts";

const PROTOCOLS: ReadonlyMap<number, Protocol> = new Map([
  [OPENBSD_SATYPE.SADB_SATYPE_AH, PROTOCOL.AH],
  [OPENBSD_SATYPE.SADB_SATYPE_ESP, PROTOCOL.ESP],
  [OPENBSD_SATYPE.SADB_X_SATYPE_IPCOMP, PROTOCOL.IPCOMP],
]);

/** The protocol of a type of SA; undefined for one that is not synchronised. */
export function protocolOf(satype: number): Protocol | undefined {
  return PROTOCOLS.get(satype);
}

/** @throws {Refusal} for what is no protocol of SAs. */
export function satypeOf(protocol: number): number {
  const found = [...PROTOCOLS].find(([, candidate]) => candidate === protocol);
  if (found === undefined) throw new Refusal(`protocol ${protocol}`);
  return found[0];
}

/** The SA that a message names; undefined for a protocol that is not synchronised. @throws {DecodeError} */
export function readSaIdentity(
  { satype }: PfkeyMessage,
  extensions: Extensions,
  platform: Platform,
): SaIdentity | undefined {
  const protocol = protocolOf(satype);
  if (protocol === undefined) return undefined;
  const { spi } = requireStruct(extensions, SADB_EXT.SADB_EXT_SA, sadbSa, platform);
  const dst = requireAddress(extensions, SADB_EXT.SADB_EXT_ADDRESS_DST, platform).address;
  return { dst, protocol, spi, mark: NO_MARK, rdomain: readRdomain(extensions, platform)?.dom1 ?? 0 };
}

/** X_RDOMAIN. @throws {DecodeError} */
export function readRdomain(
  extensions: Extensions,
  platform: Platform,
): ValuesOf<typeof sadbXRdomain> | undefined {
  return readStruct(extensions, OPENBSD_EXT.SADB_X_EXT_RDOMAIN, sadbXRdomain, platform);
}

/** The extensions that name an SA: of DELETE and GET. @throws {RangeError} */
export function writeSaIdentity(
  { spi, dst, rdomain }: SaIdentity,
  platform: Platform,
): Uint8Array<ArrayBuffer> {
  const writer = new ExtensionWriter(platform);
  const { MATURE: state } = SADB_SASTATE;
  addSa(writer, { spi, replay: 0, state, auth: 0, encrypt: 0, flags: 0 });
  addHost(writer, SADB_EXT.SADB_EXT_ADDRESS_DST, dst);
  addRdomain(writer, rdomain, rdomain);
  return writer.finish();
}

/** An address; OpenBSD has neither protocol nor prefix length beside it. @throws {RangeError} */
export function addHost(writer: ExtensionWriter, type: number, address: Address, port = 0): void {
  addAddress(writer, type, { address, port, proto: 0, prefixlen: 0 });
}

/** Appends X_RDOMAIN, where it says more than its absence. @throws {RangeError} */
export function addRdomain(writer: ExtensionWriter, outer: number, inner: number): void {
  if (outer === 0 && inner === 0) return;
  writer.add(OPENBSD_EXT.SADB_X_EXT_RDOMAIN, (w) => sadbXRdomain.write(w, { dom1: outer, dom2: inner }));
}
