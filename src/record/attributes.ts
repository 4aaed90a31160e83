/** The attribute numbers of the common space and what each is: the one table of the records' binary form. */

import { advisory, AttributeTable, defaulting, optional, required } from "./attribute_table.ts";
import * as codec from "./codecs.ts";
import type { Policy, PolicyIdentity } from "./policy.ts";
import { NO_MARK, type Sa, type SaCounters, type SaIdentity } from "./sa.ts";

const mark = defaulting(4, codec.mark, NO_MARK, ({ value, mask }) => value === 0 && mask === 0);
const selector = 7;
const interfaceId = defaulting(9, codec.u32be, 0);
const flags = defaulting(18, codec.u32be, 0);
const soft = advisory(defaulting(25, codec.limits, {}, codec.hasNoLimits));
const hard = defaulting(26, codec.limits, {}, codec.hasNoLimits);
const age = { ageSeconds: defaulting(69, codec.u32be, 0), usedSeconds: optional(70, codec.u32be) };

const saIdentity = {
  dst: required(1, codec.address),
  protocol: required(2, codec.protocol),
  spi: required(3, codec.u32be),
  mark,
  rdomain: defaulting(5, codec.u32be, 0),
};

const policyIdentity = {
  mark,
  direction: required(6, codec.u8),
  selector: required(selector, codec.selector),
  type: defaulting(8, codec.u8, 0),
  interfaceId,
  securityContext: optional(36, codec.blob),
};

/** An SA's identity. */
export const saIdentityTable = new AttributeTable<SaIdentity>("SA identity", saIdentity);

/** A policy's identity. */
export const policyIdentityTable = new AttributeTable<PolicyIdentity>("policy identity", policyIdentity);

/** What of an SA does not change with traffic and time. */
export type SaContent = Omit<Sa, "counters" | "opaque">;

/** An SA's content. */
export const saTable = new AttributeTable<SaContent>("SA", {
  ...saIdentity,
  selector: defaulting(selector, codec.selector, codec.NO_SELECTOR, codec.isNoSelector),
  interfaceId,
  src: required(10, codec.address),
  mode: required(11, codec.u8),
  reqid: defaulting(12, codec.u32be, 0),
  encryption: optional(13, codec.cipher),
  integrity: optional(14, codec.integrity),
  aead: optional(15, codec.integrity),
  compression: optional(16, codec.compression),
  replayWindow: defaulting(17, codec.u32be, 0),
  flags,
  encapsulation: optional(19, codec.encapsulation),
  careOf: optional(20, codec.address),
  outputMark: optional(21, codec.mark),
  tfcPadding: defaulting(22, codec.u32be, 0),
  direction: advisory(defaulting(23, codec.u8, 0)),
  soft,
  hard,
});

/** What of a policy does not change with traffic and time. */
export type PolicyContent = Omit<Policy, "ageSeconds" | "usedSeconds" | "opaque">;

/** A policy's content. */
export const policyTable = new AttributeTable<PolicyContent>("policy", {
  ...policyIdentity,
  flags,
  soft,
  hard,
  action: required(32, codec.u8),
  priority: defaulting(33, codec.u32be, 0),
  share: defaulting(34, codec.u8, 0),
  templates: defaulting(35, codec.templates, [], (list) => list.length === 0),
});

/** Counters and ages of an SA. */
export const saCountersTable = new AttributeTable<SaCounters>("SA counters", {
  oseq: defaulting(64, codec.u64be, 0n),
  seq: defaulting(65, codec.u64be, 0n),
  bitmap: defaulting(66, codec.words, [], (list) => list.length === 0),
  bytes: defaulting(67, codec.u64be, 0n),
  packets: defaulting(68, codec.u64be, 0n),
  ...age,
});

/** Ages of a policy. */
export const policyAgeTable = new AttributeTable<Pick<Policy, "ageSeconds" | "usedSeconds">>(
  "policy age",
  age,
);
