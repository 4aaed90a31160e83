/** What Linux's and FreeBSD's messages about policies have in common: selectors, and what requests stand for. */

import { DecodeError } from "../errors.ts";
import type { Reader } from "../layout/reader.ts";
import type { Writer } from "../layout/writer.ts";
import { type Address, anyAddress, type Family, familyOf } from "../record/address.ts";
import { ACTION, type Policy, type Template } from "../record/policy.ts";
import { MODE, type Selector } from "../record/sa.ts";
import { addAddress, requireAddress, SADB_EXT } from "./extensions.ts";
import { ANY_PROTOCOL, IPSEC_LEVEL, IPSEC_MODE, IPSEC_POLICY, sadbXPolicy } from "./kame.ts";
import { type Extensions, type ExtensionWriter, type Platform, WORD_BYTES } from "./message.ts";
import { Refusal } from "./refusal.ts";
import { readSockaddr, writeSockaddr } from "./sockaddr.ts";

/** Templates that allow every algorithm: requests have no word for others. */
export const ALL_ALGORITHMS = 0xffff_ffff;
const EXACT_PORT = 0xffff;

/** What a `struct sadb_x_ipsecrequest` says, whatever its layout. */
interface RequestValues {
  readonly proto: number;
  readonly mode: number;
  readonly level: number;
  readonly reqid: number;
}

/** The struct of one system, its length in bytes first. */
interface RequestLayout {
  readonly name: string;
  readonly size: number;
  read(reader: Reader): RequestValues & { readonly len: number };
  write(writer: Writer, values: RequestValues & { readonly len: number }): void;
}

/** A request with the addresses behind it, which tunnels have. */
export interface IpsecRequest extends RequestValues {
  readonly ends: { readonly src: Address; readonly dst: Address } | undefined;
}

/** The selector that ADDRESS_SRC and ADDRESS_DST make up; port 0 is any. @throws {DecodeError} */
export function readSelector(extensions: Extensions, platform: Platform): Selector {
  const src = requireAddress(extensions, SADB_EXT.SADB_EXT_ADDRESS_SRC, platform);
  const dst = requireAddress(extensions, SADB_EXT.SADB_EXT_ADDRESS_DST, platform);
  if (src.address.length !== dst.address.length) {
    throw new DecodeError(sadbXPolicy.name, "addresses of different families");
  }
  return {
    family: familyOf(dst.address),
    src: src.address,
    dst: dst.address,
    srcBits: src.prefixlen,
    dstBits: dst.prefixlen,
    srcPort: src.port,
    srcPortMask: src.port === 0 ? 0 : EXACT_PORT,
    dstPort: dst.port,
    dstPortMask: dst.port === 0 ? 0 : EXACT_PORT,
    protocol: dst.proto === ANY_PROTOCOL ? 0 : dst.proto,
    ifname: "",
    user: 0,
  };
}

/** Whether ADDRESS_SRC and ADDRESS_DST can say the ports: one, or every one. */
export function hasPlainPorts({ srcPort, srcPortMask, dstPort, dstPortMask }: Selector): boolean {
  const isPlain = (port: number, mask: number) => mask === (port === 0 ? 0 : EXACT_PORT);
  return isPlain(srcPort, srcPortMask) && isPlain(dstPort, dstPortMask);
}

export function addSelector(writer: ExtensionWriter, s: Selector): void {
  const proto = s.protocol === 0 ? ANY_PROTOCOL : s.protocol;
  const src = { proto, prefixlen: s.srcBits, address: s.src, port: s.srcPort };
  const dst = { proto, prefixlen: s.dstBits, address: s.dst, port: s.dstPort };
  addAddress(writer, SADB_EXT.SADB_EXT_ADDRESS_SRC, src);
  addAddress(writer, SADB_EXT.SADB_EXT_ADDRESS_DST, dst);
}

/** @throws {Refusal} for the types that only sockets have, and others. */
export function actionOf(type: number): number {
  if (type === IPSEC_POLICY.DISCARD) return ACTION.BLOCK;
  if (type === IPSEC_POLICY.NONE || type === IPSEC_POLICY.IPSEC) return ACTION.ALLOW;
  throw new Refusal(`policy type ${type} is not known`);
}

export function typeOf({ action, templates }: Policy): number {
  if (action === ACTION.BLOCK) return IPSEC_POLICY.DISCARD;
  return templates.length === 0 ? IPSEC_POLICY.NONE : IPSEC_POLICY.IPSEC;
}

/** One request. @throws {DecodeError} */
export function readRequest(reader: Reader, layout: RequestLayout, platform: Platform): IpsecRequest {
  const start = reader.offset;
  const { len, ...request } = layout.read(reader);
  if (len === layout.size) return { ...request, ends: undefined };
  const src = readSockaddr(reader, platform)?.address;
  const dst = readSockaddr(reader, platform)?.address;
  reader.align(WORD_BYTES);
  if (reader.offset !== start + len || src === undefined || src.length !== dst?.length) {
    throw new DecodeError(layout.name, "addresses do not fill it");
  }
  return { ...request, ends: { src, dst } };
}

/** Appends the request of a template of transport or tunnel mode; what is before it has whole words. */
export function writeRequest(
  writer: Writer,
  layout: RequestLayout,
  template: Template,
  platform: Platform,
): void {
  const { protocol, mode, reqid, src, dst } = template;
  const isTunnel = mode === MODE.TUNNEL;
  const start = writer.length;
  layout.write(writer, {
    len: 0,
    proto: protocol,
    mode: isTunnel ? IPSEC_MODE.TUNNEL : IPSEC_MODE.TRANSPORT,
    level: levelOf(template),
    reqid,
  });
  if (isTunnel) { for (const address of [src, dst]) writeSockaddr(writer, { address, port: 0 }, platform); }
  writer.align(WORD_BYTES);
  writer.patch(start, "u16", writer.length - start);
}

/**
 * The template for a request of transport or tunnel mode. `family` is the policy's.
 *
 * @throws {DecodeError} for a tunnel without ends.
 */
export function templateOf(request: IpsecRequest, family: Family): Template {
  const { proto, mode, level, reqid } = request;
  const isTunnel = mode === IPSEC_MODE.TUNNEL;
  if (isTunnel && request.ends === undefined) throw new DecodeError(sadbXPolicy.name, "tunnel without ends");
  const any = anyAddress(family === 6 ? 6 : 4);
  const { src, dst } = isTunnel && request.ends !== undefined ? request.ends : { src: any, dst: any };
  return {
    dst,
    src,
    family: familyOf(dst),
    protocol: proto,
    spi: 0,
    reqid,
    mode: isTunnel ? MODE.TUNNEL : MODE.TRANSPORT,
    share: 0,
    optional: level === IPSEC_LEVEL.USE,
    authAlgorithms: ALL_ALGORITHMS,
    encryptionAlgorithms: ALL_ALGORITHMS,
    compressionAlgorithms: ALL_ALGORITHMS,
  };
}

/** How strictly a request of such a template is meant. */
function levelOf({ optional, reqid }: Template): number {
  if (optional) return IPSEC_LEVEL.USE;
  return reqid === 0 ? IPSEC_LEVEL.REQUIRE : IPSEC_LEVEL.UNIQUE;
}

/**
 * Whether a template can do without its SPI: strongSwan on Linux writes the newest SA's into the templates of its
 * outbound policies. The kernel needs it no more than it tells it: the reqid names the SAs of the policy.
 */
export function hasSpareSpi({ reqid }: Template, isOutbound: boolean): boolean {
  return isOutbound && reqid !== 0;
}

export function limitsAlgorithms(template: Template): boolean {
  const { authAlgorithms, encryptionAlgorithms, compressionAlgorithms } = template;
  return [authAlgorithms, encryptionAlgorithms, compressionAlgorithms].some((mask) =>
    mask !== ALL_ALGORITHMS
  );
}
