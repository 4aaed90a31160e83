/** Whose record is it: each rule of ownership is a row. */

import { assertEquals } from "@std/assert";
import { isShared, type Ownership } from "../../../src/core/ownership.ts";
import { parsePrefix } from "../../../src/record/address.ts";
import { ACTION, type Policy } from "../../../src/record/policy.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import { MODE, type Sa } from "../../../src/record/sa.ts";
import { addr, samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../../fakes/records.ts";

const PEER = "192.0.2.2";
const LISTENING = "192.0.2.3";
const OUTSIDE = "198.51.100.7";
const ANY = "0.0.0.0";

function sa(src: string, dst: string, overrides: Partial<Sa> = {}): IpsecRecord {
  return { kind: "sa", sa: sampleSa({ src: addr(src), dst: addr(dst), ...overrides }) };
}

function policy(overrides: Partial<Policy>): IpsecRecord {
  return { kind: "policy", policy: samplePolicy(overrides) };
}

/** A policy with one template. */
function through(src: string, dst: string, mode: number = MODE.TUNNEL, selector = between()): IpsecRecord {
  return policy({ selector, templates: [sampleTemplate({ src: addr(src), dst: addr(dst), mode })] });
}

/** A selector of two prefixes. */
function between(src = "10.1.0.0/16", dst = "10.2.0.0/16") {
  const from = parsePrefix(src)!;
  const to = parsePrefix(dst)!;
  return sampleSelector({
    family: from.address.length === 4 ? 4 : 6,
    src: from.address,
    srcBits: from.bits,
    dst: to.address,
    dstBits: to.bits,
  });
}

function ownership(local: string[], shared: string[] = []): Ownership {
  return { local: local.map((text) => parsePrefix(text)!), shared: shared.map((text) => parsePrefix(text)!) };
}

const nodes = ownership([PEER, LISTENING]);

const rows: [what: string, record: IpsecRecord, by: Ownership, shared: boolean][] = [
  ["an SA between others", sa("192.0.2.1", OUTSIDE), nodes, true],
  ["an SA to a peer", sa("192.0.2.1", PEER), nodes, false],
  ["an SA from a peer", sa(PEER, OUTSIDE), nodes, false],
  ["an SA from a listening address", sa(LISTENING, OUTSIDE), nodes, false],
  ["an SA to an excluded network", sa("192.0.2.1", OUTSIDE), ownership(["198.51.100.0/24"]), false],
  ["an SA beside an excluded network", sa("192.0.2.1", OUTSIDE), ownership(["198.51.101.0/24"]), true],
  [
    "an SA whose selector names a peer",
    sa("192.0.2.1", OUTSIDE, { selector: between(`${PEER}/32`) }),
    nodes,
    true,
  ],
  ["a transport SA to a peer", sa("192.0.2.1", PEER, { mode: MODE.TRANSPORT }), nodes, false],
  ["an IPv6 SA to a peer", sa("2001:db8::1", "2001:db8::2"), ownership(["2001:db8::2"]), false],
  ["an IPv6 SA between others", sa("2001:db8::1", "2001:db8::3"), ownership(["2001:db8::2"]), true],
  [
    "an IPv6 SA in an excluded network",
    sa("2001:db8::1", "2001:db8:1::2"),
    ownership(["2001:db8:1::/48"]),
    false,
  ],
  ["an IPv6 SA and everything of IPv4 excluded", sa("::1:2", "::3:4"), ownership(["0.0.0.0/0"]), true],

  [
    "with `shared`, an SA with an endpoint in it",
    sa("192.0.2.1", OUTSIDE),
    ownership([], ["192.0.2.1"]),
    true,
  ],
  ["with `shared`, an SA to an endpoint in it", sa(OUTSIDE, "192.0.2.1"), ownership([], ["192.0.2.1"]), true],
  ["with `shared`, an SA with none in it", sa("192.0.2.9", OUTSIDE), ownership([], ["192.0.2.1"]), false],
  [
    "with two `shared`, an SA in the second",
    sa("192.0.2.9", OUTSIDE),
    ownership([], ["192.0.2.1", "192.0.2.8/31"]),
    true,
  ],
  ["excluded goes before shared", sa("192.0.2.1", PEER), ownership([PEER], ["192.0.2.1"]), false],

  ["a tunnel policy between others", through("192.0.2.1", OUTSIDE), nodes, true],
  ["a tunnel policy to a peer", through("192.0.2.1", PEER), nodes, false],
  [
    "a tunnel policy whose selector names a peer",
    through("192.0.2.1", OUTSIDE, MODE.TUNNEL, between(`${PEER}/32`)),
    nodes,
    true,
  ],
  ["a beet policy from a listening address", through(LISTENING, OUTSIDE, MODE.BEET), nodes, false],
  ["a tunnel policy from anywhere to a peer", through(ANY, PEER), nodes, false],
  [
    "a tunnel policy without addresses to a peer's selector",
    through(ANY, ANY, MODE.TUNNEL, between("10.1.0.0/16", `${PEER}/32`)),
    nodes,
    false,
  ],
  ["a tunnel policy without addresses between others", through(ANY, ANY), nodes, true],
  [
    "a tunnel policy with an endpoint in `shared`",
    through("192.0.2.1", OUTSIDE),
    ownership([], ["192.0.2.1"]),
    true,
  ],
  [
    "a tunnel policy with no endpoint in `shared`",
    through("192.0.2.9", OUTSIDE),
    ownership([], ["192.0.2.1"]),
    false,
  ],
  [
    "a policy of two templates, the second to a peer",
    policy({
      templates: [
        sampleTemplate({ src: addr("192.0.2.1"), dst: addr(OUTSIDE) }),
        sampleTemplate({ src: addr("192.0.2.1"), dst: addr(PEER) }),
      ],
    }),
    nodes,
    false,
  ],

  [
    "a transport policy to a peer, by its selector",
    through(ANY, ANY, MODE.TRANSPORT, between("192.0.2.1/32", `${PEER}/32`)),
    nodes,
    false,
  ],
  ["a transport policy, whatever its template says", through("192.0.2.1", PEER, MODE.TRANSPORT), nodes, true],
  [
    "a transport policy in an excluded network",
    through(ANY, ANY, MODE.TRANSPORT),
    ownership(["10.2.0.0/15"]),
    false,
  ],
  [
    "a transport policy of a network wider than a peer",
    through(ANY, ANY, MODE.TRANSPORT, between("192.0.2.0/24")),
    nodes,
    true,
  ],
  [
    "a transport policy wider than what is excluded",
    through(ANY, ANY, MODE.TRANSPORT),
    ownership(["10.2.0.0/17"]),
    true,
  ],
  [
    "a transport policy within `shared`",
    through(ANY, ANY, MODE.TRANSPORT),
    ownership([], ["10.2.0.0/15"]),
    true,
  ],
  [
    "a transport policy wider than `shared`",
    through(ANY, ANY, MODE.TRANSPORT),
    ownership([], ["10.2.0.0/24"]),
    false,
  ],

  ["a policy without templates", policy({ templates: [] }), nodes, true],
  [
    "a block policy of everything",
    policy({ templates: [], action: ACTION.BLOCK, selector: between("0.0.0.0/0", "0.0.0.0/0") }),
    nodes,
    true,
  ],
  [
    "a policy without templates for a peer",
    policy({ templates: [], selector: between("10.1.0.0/16", `${PEER}/32`) }),
    nodes,
    false,
  ],
  [
    "a policy without templates for a listening address",
    policy({ templates: [], selector: between(`${LISTENING}/32`) }),
    nodes,
    false,
  ],
  [
    "a policy without templates in an excluded network",
    policy({ templates: [], selector: between("10.1.2.0/24") }),
    ownership(["10.1.0.0/16"]),
    false,
  ],
  [
    "a policy without templates, `shared` elsewhere",
    policy({ templates: [] }),
    ownership([], ["192.0.2.1"]),
    true,
  ],
  [
    "an IPv6 policy without templates for a peer",
    policy({ templates: [], selector: between("2001:db8::2/128", "::/0") }),
    ownership(["2001:db8::2"]),
    false,
  ],
  [
    "an IPv6 policy without templates, wider than a peer",
    policy({ templates: [], selector: between("2001:db8::/64", "::/0") }),
    ownership(["2001:db8::2"]),
    true,
  ],
];

for (const [what, record, by, shared] of rows) {
  Deno.test(`isShared() calls ${what} ${shared ? "shared" : "local"}`, () => {
    assertEquals(isShared(record, by), shared);
  });
}
