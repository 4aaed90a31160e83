/** The portable security policy (OpenBSD: flow). */

import { type Address, type Family, formatAddress } from "./address.ts";
import type { OpaqueAttribute } from "./opaque.ts";
import type { Limits, Mark, Selector } from "./sa.ts";

export const DIRECTION = { IN: 0, OUT: 1, FWD: 2 } as const;
export const ACTION = { ALLOW: 0, BLOCK: 1 } as const;
export const POLICY_TYPE = { MAIN: 0, SUB: 1 } as const;
export const POLICY_FLAG = { LOCAL_OK: 1, ICMP: 2, CPU_ACQUIRE: 4 } as const;

/** Which policy: no two of a node share all of this. */
export interface PolicyIdentity {
  /** One of DIRECTION. */
  readonly direction: number;
  readonly selector: Selector;
  /** One of POLICY_TYPE. */
  readonly type: number;
  readonly mark: Mark;
  readonly interfaceId: number;
  /** Linux with labelled IPsec: `struct xfrm_user_sec_ctx` and the context, as the kernel has them. */
  readonly securityContext?: Uint8Array;
}

/** What an SA must be like for packets of a policy. */
export interface Template {
  readonly dst: Address;
  readonly src: Address;
  readonly family: Family;
  readonly protocol: number;
  readonly spi: number;
  readonly reqid: number;
  readonly mode: number;
  readonly share: number;
  readonly optional: boolean;
  /** Bit masks of allowed algorithms, all ones: any. */
  readonly authAlgorithms: number;
  readonly encryptionAlgorithms: number;
  readonly compressionAlgorithms: number;
}

/** A security policy. */
export interface Policy extends PolicyIdentity {
  /** One of ACTION. */
  readonly action: number;
  readonly priority: number;
  /** Bits of POLICY_FLAG. */
  readonly flags: number;
  readonly share: number;
  readonly templates: readonly Template[];
  readonly soft: Limits;
  readonly hard: Limits;
  readonly ageSeconds: number;
  readonly usedSeconds: number | undefined;
  readonly opaque: readonly OpaqueAttribute[];
}

/** The identity as one string, for maps. */
export function policyKey(
  { direction, selector: s, type, mark, interfaceId, securityContext }: PolicyIdentity,
): string {
  return [
    `policy ${direction}`,
    s.family,
    `${formatAddress(s.src)}/${s.srcBits}`,
    `${formatAddress(s.dst)}/${s.dstBits}`,
    `${s.srcPort}/${s.srcPortMask}`,
    `${s.dstPort}/${s.dstPortMask}`,
    s.protocol,
    s.ifname,
    s.user,
    type,
    `${mark.value.toString(16)}/${mark.mask.toString(16)}`,
    interfaceId,
    ...(securityContext === undefined ? [] : [securityContext.toHex()]),
  ].join(" ");
}
