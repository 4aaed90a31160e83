/** What a vector of PF_KEY says, in the words of the portable record. Byte strings are hexadecimal text. */

interface AlgorithmText {
  readonly id: number;
  readonly key: string;
}

interface IntegrityText extends AlgorithmText {
  readonly icvBits: number;
}

interface LimitsNumbers {
  readonly addSeconds?: number;
  readonly useSeconds?: number;
  readonly bytes?: number;
  readonly packets?: number;
}

/** An SA; what is left out is zero, absent or none. */
export interface SaMeaning {
  readonly kind: "sa";
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly spi: number;
  readonly mode: number;
  readonly reqid: number;
  readonly encryption?: AlgorithmText;
  readonly integrity?: IntegrityText;
  readonly aead?: IntegrityText;
  readonly compression?: { readonly id: number };
  readonly replayWindow?: number;
  /** Names of SA_FLAG. */
  readonly flags?: readonly string[];
  readonly encapsulation?: {
    readonly type: number;
    readonly srcPort: number;
    readonly dstPort: number;
    readonly original: string;
  };
  readonly soft?: LimitsNumbers;
  readonly hard?: LimitsNumbers;
  readonly ageSeconds?: number;
  readonly usedSeconds?: number;
  readonly bytes?: number;
  readonly packets?: number;
  readonly oseq?: number;
  readonly opaque?: readonly { readonly type: number; readonly critical: boolean; readonly value: string }[];
}

/** A policy; `src` and `dst` are prefixes, a port of 0 is any. */
export interface PolicyMeaning {
  readonly kind: "policy";
  readonly direction: number;
  readonly src: string;
  readonly dst: string;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly protocol: number;
  readonly action: number;
  readonly priority: number;
  readonly templates: readonly {
    readonly protocol: number;
    readonly mode: number;
    readonly src?: string;
    readonly dst?: string;
    readonly reqid: number;
    readonly optional: boolean;
  }[];
  readonly hard?: LimitsNumbers;
  readonly ageSeconds?: number;
  readonly usedSeconds?: number;
}

/** One message. */
export interface PfkeyVector {
  readonly name: string;
  readonly order: string;
  readonly head: {
    readonly type: number;
    readonly errno: number;
    readonly satype: number;
    readonly reserved: number;
    readonly seq: number;
    readonly pid: number;
  };
  /** What the message is read as, where that is a record. */
  readonly record?: SaMeaning | PolicyMeaning;
  /** What it is read as when the operator says how SHA2-256 is truncated: to 96 bits. */
  readonly assumed?: SaMeaning;
  /** A part of the reason for which the record cannot be expressed. */
  readonly refused?: string;
  /** What else it is read as. */
  readonly reading?: string;
  readonly takeover?: string;
  readonly hex: string;
}
