/** The flow set of an SA or a flow: FLOW_TYPE, PROTOCOL, SRC_FLOW, SRC_MASK, DST_FLOW, DST_MASK ↔ selector and direction. */

import { DecodeError } from "../errors.ts";
import {
  type Address,
  anyAddress,
  equalBytes,
  familyOf,
  formatAddress,
  maskAddress,
} from "../record/address.ts";
import type { Selector } from "../record/sa.ts";
import { readStruct, requireAddress, requireStruct } from "./extensions.ts";
import type { Extensions, ExtensionWriter, Platform } from "./message.ts";
import { FLOW_DIRECTION, OPENBSD_EXT, sadbProtocol } from "./openbsd_constants.ts";
import { addHost } from "./openbsd_identity.ts";
import { refuseIf } from "./openbsd_lacks.ts";
import { Refusal } from "./refusal.ts";

/** What the extensions say. */
export interface FlowSet {
  readonly selector: Selector;
  /** One of FLOW_DIRECTION. */
  readonly direction: number;
  /** A number of FLOW_TYPE. */
  readonly type: number;
}

const ALL_OF_PORT = 0xffff;
const TCP = 6;
const UDP = 17;

/** Whether there is a flow set: all of it or nothing. */
export function hasFlowSet(extensions: Extensions): boolean {
  return extensions.has(OPENBSD_EXT.SADB_X_EXT_FLOW_TYPE);
}

/** @throws {DecodeError} @throws {Refusal} for masks that the record has no form for. */
export function readFlowSet(extensions: Extensions, platform: Platform): FlowSet {
  const ext = OPENBSD_EXT;
  const { proto: type, direction } = requireStruct(
    extensions,
    ext.SADB_X_EXT_FLOW_TYPE,
    sadbProtocol,
    platform,
  );
  const protocol = readStruct(extensions, ext.SADB_X_EXT_PROTOCOL, sadbProtocol, platform)?.proto ?? 0;
  const src = readEnd(extensions, ext.SADB_X_EXT_SRC_FLOW, ext.SADB_X_EXT_SRC_MASK, platform);
  const dst = readEnd(extensions, ext.SADB_X_EXT_DST_FLOW, ext.SADB_X_EXT_DST_MASK, platform);
  if (src.address.length !== dst.address.length) throw new DecodeError("flow", "addresses of two families");
  if (!Object.values<number>(FLOW_DIRECTION).includes(direction)) {
    throw new DecodeError("flow", `direction ${direction}`);
  }
  const selector: Selector = {
    family: familyOf(src.address),
    src: src.address,
    dst: dst.address,
    srcBits: src.bits,
    dstBits: dst.bits,
    srcPort: src.port,
    srcPortMask: src.portMask,
    dstPort: dst.port,
    dstPortMask: dst.portMask,
    protocol,
    ifname: "",
    user: 0,
  };
  return { selector, direction, type };
}

/** One end; the kernel cuts what the mask does not cover. */
function readEnd(extensions: Extensions, flow: number, maskType: number, platform: Platform) {
  const { address, port } = requireAddress(extensions, flow, platform);
  const mask = requireAddress(extensions, maskType, platform);
  if (mask.address.length !== address.length) throw new DecodeError("flow", "mask of another family");
  const bits = prefixLength(mask.address);
  if (mask.port !== 0 && mask.port !== ALL_OF_PORT) {
    throw new Refusal(`port mask 0x${mask.port.toString(16)} of a flow`);
  }
  return { address: maskAddress(address, bits), bits, port: port & mask.port, portMask: mask.port };
}

/** @throws {Refusal} when the mask has holes. */
function prefixLength(mask: Address): number {
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const length = bits.indexOf("0") < 0 ? bits.length : bits.indexOf("0");
  if (bits.includes("1", length)) throw new Refusal(`mask ${formatAddress(mask)} of a flow`);
  return length;
}

/** Appends the flow set. @throws {Refusal} for a selector that OpenBSD has no form for. */
export function addFlowSet(
  writer: ExtensionWriter,
  { selector, direction, type }: FlowSet,
  flags: number,
): void {
  checkSelector(selector);
  const ext = OPENBSD_EXT;
  addProtocol(writer, ext.SADB_X_EXT_FLOW_TYPE, { proto: type, direction, flags });
  addProtocol(writer, ext.SADB_X_EXT_PROTOCOL, { proto: selector.protocol, direction: 0, flags: 0 });
  const { src, srcBits, srcPort, srcPortMask, dst, dstBits, dstPort, dstPortMask } = selector;
  addHost(writer, ext.SADB_X_EXT_SRC_FLOW, src, srcPort);
  addHost(writer, ext.SADB_X_EXT_SRC_MASK, maskOf(src, srcBits), srcPortMask);
  addHost(writer, ext.SADB_X_EXT_DST_FLOW, dst, dstPort);
  addHost(writer, ext.SADB_X_EXT_DST_MASK, maskOf(dst, dstBits), dstPortMask);
}

function addProtocol(
  writer: ExtensionWriter,
  type: number,
  values: { readonly proto: number; readonly direction: number; readonly flags: number },
): void {
  writer.add(type, (w) => sadbProtocol.write(w, values));
}

function maskOf(address: Address, bits: number): Address {
  return maskAddress(anyAddress(familyOf(address)).fill(0xff), bits);
}

function checkSelector({ family, ...s }: Selector): void {
  refuseIf(family === 0, "selector without a family");
  refuseIf(familyOf(s.src) !== family || familyOf(s.dst) !== family, "selector of two families");
  refuseIf(s.ifname !== "", `selector with interface ${s.ifname}`);
  refuseIf(s.user !== 0, "selector with a user");
  checkPrefix(s.src, s.srcBits);
  checkPrefix(s.dst, s.dstBits);
  checkPort(s.protocol, s.srcPort, s.srcPortMask);
  checkPort(s.protocol, s.dstPort, s.dstPortMask);
}

function checkPrefix(address: Address, bits: number): void {
  const isCut = equalBytes(maskAddress(address, bits), address);
  refuseIf(!isCut, `selector ${formatAddress(address)}/${bits} with host bits set`);
}

function checkPort(protocol: number, port: number, mask: number): void {
  const isOdd = mask === 0 ? port !== 0 : mask !== ALL_OF_PORT;
  refuseIf(isOdd, `selector with port mask 0x${mask.toString(16)}`);
  refuseIf(mask !== 0 && ![0, TCP, UDP].includes(protocol), `ports of protocol ${protocol}`);
}

/** Whether it selects everything, of whatever family. */
export function isEverything({ srcBits, dstBits, srcPortMask, dstPortMask, ...s }: Selector): boolean {
  return srcBits + dstBits + srcPortMask + dstPortMask + s.protocol + s.user === 0 && s.ifname === "";
}
