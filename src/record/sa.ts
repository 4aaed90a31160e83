/** The portable security association: what travels between nodes and what every kernel back end speaks. */

import { type Address, type Family, formatAddress } from "./address.ts";
import type { AlgorithmId } from "./algorithms.ts";
import type { OpaqueAttribute } from "./opaque.ts";

/** Protocols whose SAs are synchronised (IANA protocol numbers). */
export const PROTOCOL = { ESP: 50, AH: 51, IPCOMP: 108 } as const;
export type Protocol = (typeof PROTOCOL)[keyof typeof PROTOCOL];

/** How packets are wrapped. */
export const MODE = {
  TRANSPORT: 0,
  TUNNEL: 1,
  ROUTE_OPTIMIZATION: 2,
  IN_TRIGGER: 3,
  BEET: 4,
  IPTFS: 5,
} as const;

/** Flags of an SA; the numbers are ours (the wire's), not a kernel's. */
export const SA_FLAG = {
  NO_ECN: 1 << 0,
  DECAP_DSCP: 1 << 1,
  NO_PMTU_DISC: 1 << 2,
  WILD_RECV: 1 << 3,
  ICMP: 1 << 4,
  AF_UNSPEC: 1 << 5,
  ALIGN4: 1 << 6,
  ESN: 1 << 7,
  DONT_ENCAP_DSCP: 1 << 8,
  OSEQ_MAY_WRAP: 1 << 9,
  /** The replay state is kept in the long form (Linux: XFRMA_REPLAY_ESN_VAL), also without ESN. */
  LONG_REPLAY: 1 << 10,
} as const;

/** A packet mark: packets match when `packet & mask == value`. Mask 0: no mark. */
export interface Mark {
  readonly value: number;
  readonly mask: number;
}

export const NO_MARK: Mark = { value: 0, mask: 0 };

/** Which SA: no two of a node share all of this. */
export interface SaIdentity {
  readonly dst: Address;
  readonly protocol: Protocol;
  /** Host order number as written `0x…` (network order on the wire). */
  readonly spi: number;
  readonly mark: Mark;
  readonly rdomain: number;
}

/** Which packets: of an SA or of a policy. */
export interface Selector {
  /** 0: no family stated, the other members then hold zeros. */
  readonly family: Family;
  /** 4 or 16 bytes as `family` says (4 zero bytes where it says nothing). */
  readonly src: Address;
  readonly dst: Address;
  readonly srcBits: number;
  readonly dstBits: number;
  readonly srcPort: number;
  readonly srcPortMask: number;
  readonly dstPort: number;
  readonly dstPortMask: number;
  /** Upper-layer protocol, 0 any. */
  readonly protocol: number;
  /** Interface by name; empty for any. */
  readonly ifname: string;
  readonly user: number;
}

/** `key` is exactly `keyBits / 8` bytes, the salt of CTR, GCM, CCM and ChaCha20 at its end included. */
export interface Cipher {
  readonly id: AlgorithmId;
  readonly keyBits: number;
  readonly key: Uint8Array;
}

/** Integrity with the length of the ICV on the wire in bits; AEAD alike. */
export interface Integrity extends Cipher {
  readonly icvBits: number;
}

export interface Compression {
  readonly id: AlgorithmId;
}

/** UDP or TCP encapsulation. */
export interface Encapsulation {
  /** 1 UDP without IKE marker, 2 ESP in UDP (RFC 3948), 7 ESP in TCP. */
  readonly type: number;
  readonly srcPort: number;
  readonly dstPort: number;
  /** The peer's original address (16 bytes as kernels keep it for either family). */
  readonly original: Uint8Array;
}

/** Limits of an SA or policy; undefined: none. Seconds count from creation (`add`) or first use (`use`). */
export interface Limits {
  readonly addSeconds?: bigint | undefined;
  readonly useSeconds?: bigint | undefined;
  readonly bytes?: bigint | undefined;
  readonly packets?: bigint | undefined;
}

/** Direction that a kernel keeps with an SA; 0 where it keeps none. */
export const SA_DIRECTION = { NONE: 0, IN: 1, OUT: 2 } as const;

/** What changes with traffic and time. Not part of the content digest. */
export interface SaCounters {
  /** Sequence number of the last packet sent, 64 bits (high word 0 without ESN). */
  readonly oseq: bigint;
  /** Greatest sequence number received. */
  readonly seq: bigint;
  /** Replay bitmap in 32-bit words, bit 0 of word 0 as the kernel keeps it. Short form: one word. */
  readonly bitmap: readonly number[];
  readonly bytes: bigint;
  readonly packets: bigint;
  /** Seconds since creation, measured by CLOCK_BOOTTIME. */
  readonly ageSeconds: number;
  /** Seconds since first use; undefined: never used. */
  readonly usedSeconds: number | undefined;
}

/** A security association. */
export interface Sa extends SaIdentity {
  readonly src: Address;
  /** One of MODE; numbers that this version does not know travel unchanged. */
  readonly mode: number;
  readonly reqid: number;
  readonly selector: Selector;
  readonly encryption?: Cipher | undefined;
  readonly integrity?: Integrity | undefined;
  readonly aead?: Integrity | undefined;
  readonly compression?: Compression | undefined;
  /** Replay window in packets. */
  readonly replayWindow: number;
  /** Bits of SA_FLAG. */
  readonly flags: number;
  readonly encapsulation?: Encapsulation | undefined;
  readonly careOf?: Address | undefined;
  readonly outputMark?: Mark | undefined;
  readonly interfaceId: number;
  readonly tfcPadding: number;
  /** One of SA_DIRECTION. */
  readonly direction: number;
  readonly soft: Limits;
  readonly hard: Limits;
  readonly counters: SaCounters;
  /** Attributes that only the system of their space understands, ascending by type. */
  readonly opaque: readonly OpaqueAttribute[];
}

/** The identity as one string, for maps. Two SAs are the same when their keys are equal. */
export function saKey({ dst, protocol, spi, mark, rdomain }: SaIdentity): string {
  return `sa ${formatAddress(dst)} ${protocol} ${spi.toString(16)} ${mark.value.toString(16)}/${
    mark.mask.toString(16)
  } ${rdomain}`;
}

/** What the Linux kernel looks an SA up by before marks decide: destination, protocol and SPI. */
export function saTriple({ dst, protocol, spi }: SaIdentity): string {
  return `${formatAddress(dst)} ${protocol} ${spi.toString(16)}`;
}
