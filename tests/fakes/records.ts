/** Plain SAs and policies for tests; every member can be overridden. */

import { parseAddress } from "../../src/record/address.ts";
import { ENCR } from "../../src/record/algorithms.ts";
import { ACTION, DIRECTION, type Policy, POLICY_TYPE, type Template } from "../../src/record/policy.ts";
import {
  MODE,
  NO_MARK,
  PROTOCOL,
  type Sa,
  SA_DIRECTION,
  SA_FLAG,
  type SaCounters,
  type Selector,
} from "../../src/record/sa.ts";

/** @throws {RangeError} when the text is no address. */
export function addr(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new RangeError(`Not an address: "${text}"`);
  return address;
}

/** A selector for everything between two prefixes of one family. */
export function sampleSelector(overrides: Partial<Selector> = {}): Selector {
  return {
    family: 4,
    src: addr("10.1.0.0"),
    dst: addr("10.2.0.0"),
    srcBits: 16,
    dstBits: 16,
    srcPort: 0,
    srcPortMask: 0,
    dstPort: 0,
    dstPortMask: 0,
    protocol: 0,
    ifname: "",
    user: 0,
    ...overrides,
  };
}

/** Counters of an SA that has not been used. */
export function sampleCounters(overrides: Partial<SaCounters> = {}): SaCounters {
  return {
    oseq: 0n,
    seq: 0n,
    bitmap: [0],
    bytes: 0n,
    packets: 0n,
    ageSeconds: 0,
    usedSeconds: undefined,
    ...overrides,
  };
}

/** An ESP tunnel SA with AES-128-GCM between 192.0.2.1 and 198.51.100.1. */
export function sampleSa(overrides: Partial<Sa> = {}): Sa {
  return {
    dst: addr("198.51.100.1"),
    protocol: PROTOCOL.ESP,
    spi: 0xc0000001,
    mark: NO_MARK,
    rdomain: 0,
    src: addr("192.0.2.1"),
    mode: MODE.TUNNEL,
    reqid: 1,
    selector: sampleSelector({
      family: 0,
      src: addr("0.0.0.0"),
      dst: addr("0.0.0.0"),
      srcBits: 0,
      dstBits: 0,
    }),
    aead: {
      id: ENCR.AES_GCM_16,
      keyBits: 160,
      key: Uint8Array.from({ length: 20 }, (_, i) => i + 1),
      icvBits: 128,
    },
    replayWindow: 32,
    flags: SA_FLAG.AF_UNSPEC,
    interfaceId: 0,
    tfcPadding: 0,
    direction: SA_DIRECTION.NONE,
    soft: {},
    hard: {},
    counters: sampleCounters(),
    opaque: [],
    ...overrides,
  };
}

/** A template for the SA of `sampleSa`. */
export function sampleTemplate(overrides: Partial<Template> = {}): Template {
  return {
    dst: addr("198.51.100.1"),
    src: addr("192.0.2.1"),
    family: 4,
    protocol: PROTOCOL.ESP,
    spi: 0,
    reqid: 1,
    mode: MODE.TUNNEL,
    share: 0,
    optional: false,
    authAlgorithms: 0xffffffff,
    encryptionAlgorithms: 0xffffffff,
    compressionAlgorithms: 0xffffffff,
    ...overrides,
  };
}

/** An outbound policy for the SA of `sampleSa`. */
export function samplePolicy(overrides: Partial<Policy> = {}): Policy {
  return {
    direction: DIRECTION.OUT,
    selector: sampleSelector(),
    type: POLICY_TYPE.MAIN,
    mark: NO_MARK,
    interfaceId: 0,
    action: ACTION.ALLOW,
    priority: 1000,
    flags: 0,
    share: 0,
    templates: [sampleTemplate()],
    soft: {},
    hard: {},
    ageSeconds: 0,
    usedSeconds: undefined,
    opaque: [],
    ...overrides,
  };
}
