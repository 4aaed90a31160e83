import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DecodeError } from "../../../src/errors.ts";
import { writeAttribute } from "../../../src/layout/netlink.ts";
import { Writer } from "../../../src/layout/writer.ts";
import { SPACE } from "../../../src/record/opaque.ts";
import {
  ACTION,
  DIRECTION,
  type Policy,
  POLICY_FLAG,
  POLICY_TYPE,
  policyKey,
} from "../../../src/record/policy.ts";
import { MODE, PROTOCOL } from "../../../src/record/sa.ts";
import { XFRMA_OFFLOAD_DEV, XFRMA_SEC_CTX, XFRMA_TMPL } from "../../../src/xfrm/constants.ts";
import { decodePolicy, encodePolicy, encodePolicyId, type PolicyReading } from "../../../src/xfrm/policy.ts";
import { xfrmUserpolicyId } from "../../../src/xfrm/structs.ts";
import { damages } from "../../fakes/damage.ts";
import { decodeHex } from "../../fakes/hex.ts";
import { arbitraryPolicy } from "../../fakes/record_arbitraries.ts";
import { addr, samplePolicy, sampleSelector, sampleTemplate } from "../../fakes/records.ts";
import { comparablePolicy, VECTOR_SURROUNDINGS } from "../../fakes/xfrm_bodies.ts";
import { POLICY_VECTORS } from "../../vectors/xfrm_vectors.ts";

function decode(body: Uint8Array): PolicyReading {
  return decodePolicy(body, VECTOR_SURROUNDINGS);
}

function policyOf(reading: PolicyReading): Policy {
  assert(reading.kind === "policy", `is ${reading.kind}`);
  return reading.policy;
}

function bodyOf(policy: Policy): Uint8Array {
  const encoded = encodePolicy(policy, VECTOR_SURROUNDINGS);
  assert(encoded.ok, encoded.ok ? "" : encoded.reason);
  return encoded.body;
}

function vector(index: number): Uint8Array {
  return decodeHex(POLICY_VECTORS[index]![1]);
}

const ten9 = sampleSelector({ src: addr("10.9.0.0"), dst: addr("10.8.0.0"), srcBits: 24, dstBits: 24 });
const template = sampleTemplate({ dst: addr("198.51.100.7"), src: addr("192.0.2.1") });
const reverse = sampleTemplate({ dst: addr("192.0.2.1"), src: addr("198.51.100.7"), optional: true });

/** By place in POLICY_VECTORS, in whose rows the commands stand. */
const expectations: readonly [index: number, expected: Partial<Policy>][] = [
  [0, {
    direction: DIRECTION.OUT,
    selector: sampleSelector({ srcBits: 24, dstBits: 24 }),
    type: POLICY_TYPE.MAIN,
    action: ACTION.ALLOW,
    priority: 100,
    templates: [template],
    soft: {},
    hard: {},
    usedSeconds: undefined,
    opaque: [],
  }],
  [1, { direction: DIRECTION.IN, templates: [reverse] }],
  [2, {
    direction: DIRECTION.FWD,
    templates: [
      { ...reverse, optional: false },
      sampleTemplate({
        dst: addr("0.0.0.0"),
        src: addr("0.0.0.0"),
        protocol: PROTOCOL.IPCOMP,
        mode: MODE.TRANSPORT,
        reqid: 0,
        optional: true,
      }),
    ],
  }],
  [3, {
    priority: 7,
    flags: POLICY_FLAG.LOCAL_OK | POLICY_FLAG.ICMP,
    templates: [sampleTemplate({
      dst: addr("2001:db8:7::7"),
      src: addr("2001:db8::1"),
      family: 6,
      protocol: PROTOCOL.AH,
      spi: 0x77,
      reqid: 9,
      mode: MODE.TRANSPORT,
    })],
  }],
  [4, {
    action: ACTION.BLOCK,
    templates: [],
    selector: {
      ...ten9,
      protocol: 6,
      srcPort: 1000,
      srcPortMask: 0xffff,
      dstPort: 80,
      dstPortMask: 0xffff,
      ifname: "d0",
    },
  }],
  [5, { mark: { value: 3, mask: 15 }, interfaceId: 0x55, selector: ten9 }],
  [6, { type: POLICY_TYPE.SUB }],
  [7, { soft: { addSeconds: 100n, packets: 55n }, hard: { addSeconds: 200n, bytes: 999n } }],
  [8, {
    templates: [
      sampleTemplate({ dst: addr("2001:db8:7::7"), src: addr("2001:db8::1"), family: 6, reqid: 0 }),
    ],
  }],
];

for (const [index, expected] of expectations) {
  Deno.test(`decodePolicy() reads "${POLICY_VECTORS[index]![0]}"`, () => {
    const policy = policyOf(decode(vector(index)));
    assertEquals({ ...policy, ...expected }, policy);
  });
}

for (const [command, hex] of POLICY_VECTORS) {
  const reading = decode(decodeHex(hex));
  if (reading.kind === "policy") {
    Deno.test(`encodePolicy() gives back "${command}"`, () => {
      assertEquals(comparablePolicy(bodyOf(reading.policy)), comparablePolicy(decodeHex(hex)));
    });
  }
}

Deno.test("decodePolicy() tells the policy of a socket", () => {
  assertEquals(decode(vector(POLICY_VECTORS.length - 1)), { kind: "socket" });
});

Deno.test("decodePolicy() takes a security context for part of the identity and counts offload", () => {
  const context = Uint8Array.of(9, 0, 8, 0, 1, 1, 1, 0, 120);
  const told = Uint8Array.of(11, 0, 8, 0, 1, 1, 3, 0, 120, 0, 0); // one zero of ip's, one more of the kernel's
  const writer = new Writer().bytes(vector(0));
  writeAttribute(writer, XFRMA_SEC_CTX, told);
  writeAttribute(writer, XFRMA_OFFLOAD_DEV, new Uint8Array(8));
  const reading = decode(writer.finish());
  assert(reading.kind === "policy" && reading.offloaded);
  assertEquals(reading.policy.securityContext, context);
  const plain = decode(vector(0));
  assert(plain.kind === "policy" && policyKey(plain.policy) !== policyKey(reading.policy));
  assertEquals(policyOf(decode(bodyOf(reading.policy))).securityContext, context);
});

Deno.test("decodePolicy() refuses an interface that is gone", () => {
  const reading = decode(vector(4).map((byte, i) => i === 48 ? 9 : byte));
  assert(reading.kind === "refused");
  assert(reading.what.includes(" if9 "), reading.what);
});

Deno.test("decodePolicy() reads a template of PF_KEY, which shows no algorithm, as one for all of them", () => {
  const none = { authAlgorithms: 0, encryptionAlgorithms: 0, compressionAlgorithms: 0 };
  const [made, some] = [none, { ...none, authAlgorithms: 1 << 3 }].map((masks) =>
    policyOf(decode(bodyOf(samplePolicy({ templates: [sampleTemplate(masks)] })))).templates
  );
  assertEquals(made, [sampleTemplate()]);
  assertEquals(some, [sampleTemplate({ ...none, authAlgorithms: 1 << 3 })]);
});

const refusals: readonly [name: string, policy: Partial<Policy>, reason: RegExp][] = [
  ["an interface that is not here", { selector: sampleSelector({ ifname: "vio0" }) }, /vio0/],
  ["a template of two families", { templates: [sampleTemplate({ src: addr("::1") })] }, /famil/],
  ["a direction that does not fit", { direction: 256 }, /256/],
  [
    "a critical attribute of FreeBSD",
    { opaque: [{ space: SPACE.FREEBSD, type: 3, critical: true, value: new Uint8Array() }] },
    /attribute 3 of FreeBSD/,
  ],
  [
    "an attribute that would stand in for a member",
    { opaque: [{ space: SPACE.LINUX, type: XFRMA_TMPL, critical: false, value: new Uint8Array() }] },
    /attribute 5 of Linux/,
  ],
];

for (const [name, policy, reason] of refusals) {
  Deno.test(`encodePolicy() refuses ${name}`, () => {
    const encoded = encodePolicy(samplePolicy(policy), VECTOR_SURROUNDINGS);
    assert(!encoded.ok);
    assert(reason.test(encoded.reason), encoded.reason);
  });
}

Deno.test("encodePolicyId() names a policy by its selector, as NEWPOLICY does", () => {
  const policy = policyOf(decode(vector(5)));
  const encoded = encodePolicyId(policy, VECTOR_SURROUNDINGS.interfaces);
  assert(encoded.ok);
  assertEquals(encoded.body.subarray(0, 56), vector(5).subarray(0, 56));
  assertEquals(encoded.body[xfrmUserpolicyId.offsetOf("dir")], DIRECTION.OUT);
  assertEquals(encoded.body.length, xfrmUserpolicyId.size + 12 + 8);
});

/** Bends a policy to what has exactly one form in the kernel. */
function bend(policy: Policy): Policy {
  return {
    ...policy,
    direction: policy.direction % 3,
    flags: policy.flags & 0xff,
    selector: { ...policy.selector, ifname: policy.selector.ifname && "d0" },
    templates: policy.templates.map((template) => {
      const any = template.family === 0 ? addr("::1") : addr(template.family === 4 ? "192.0.2.7" : "::7");
      return { ...template, src: any, dst: any };
    }),
    soft: {},
    hard: {},
    ageSeconds: 0,
    usedSeconds: undefined,
    opaque: [],
  };
}

Deno.test("decodePolicy() gives back what encodePolicy() made of any policy", () => {
  fc.assert(
    fc.property(arbitraryPolicy, (any) => {
      const policy = bend(any);
      const { ageSeconds: _, ...read } = policyOf(decode(bodyOf(policy)));
      const { ageSeconds: __, ...expected } = policy;
      assertEquals(read, expected);
    }),
    { seed: 20261123, numRuns: 1000 },
  );
});

Deno.test("encodePolicy() takes or refuses any policy", () => {
  fc.assert(
    fc.property(arbitraryPolicy, (policy) => {
      const encoded = encodePolicy(policy, VECTOR_SURROUNDINGS);
      assert(encoded.ok || encoded.reason.length > 0);
    }),
    { seed: 20261123, numRuns: 1000 },
  );
});

Deno.test("decodePolicy() survives every damage of every vector", () => {
  for (const [, hex] of POLICY_VECTORS) {
    for (const damaged of damages(decodeHex(hex))) {
      try {
        const reading = decode(damaged);
        if (reading.kind === "policy") encodePolicy(reading.policy, VECTOR_SURROUNDINGS);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  }
});
