/** SAs and policies as people read them, and never a key. */

import { assert, assertEquals, assertFalse } from "@std/assert";
import { printPolicy, printSa } from "../../../src/status/print_records.ts";
import { type Standing, viewPolicy, viewSa } from "../../../src/status/record_view.ts";
import { PLAIN } from "../../../src/status/text.ts";
import { AUTH, ENCR, IPCOMP } from "../../../src/record/algorithms.ts";
import { ACTION, DIRECTION, POLICY_FLAG, POLICY_TYPE } from "../../../src/record/policy.ts";
import { MODE, PROTOCOL, type Sa, SA_DIRECTION, SA_FLAG } from "../../../src/record/sa.ts";
import {
  addr,
  sampleCounters,
  samplePolicy,
  sampleSa,
  sampleSelector,
  sampleTemplate,
} from "../../fakes/records.ts";

const HERE: Standing = { local: false, inKernel: true };
const KEY = Uint8Array.from({ length: 32 }, (_, i) => 0xa0 + i);
const LONG_ADDRESS = "2001:db8:1234:5678:9abc:def0:1234:5678";

const PLAIN_SA: Partial<Sa> = {
  counters: sampleCounters({
    oseq: 12n,
    seq: 34n,
    bytes: 5600n,
    packets: 46n,
    ageSeconds: 61,
    usedSeconds: 60,
  }),
  soft: {},
  hard: { addSeconds: 3600n },
  flags: SA_FLAG.ESN | SA_FLAG.AF_UNSPEC,
};

const FULL_SA: Partial<Sa> = {
  src: addr(LONG_ADDRESS),
  dst: addr(LONG_ADDRESS),
  mode: MODE.TRANSPORT,
  reqid: 77,
  aead: undefined,
  encryption: { id: ENCR.AES_CTR, keyBits: 160, key: KEY },
  integrity: { id: AUTH.HMAC_SHA2_256_128, keyBits: 256, key: KEY, icvBits: 96 },
  flags: 0,
  encapsulation: { type: 2, srcPort: 4500, dstPort: 61234, original: new Uint8Array(16) },
  mark: { value: 1, mask: 0xff },
  outputMark: { value: 2, mask: 0xffffffff },
  interfaceId: 9,
  direction: SA_DIRECTION.OUT,
  selector: sampleSelector({ srcPort: 80, srcPortMask: 0xffff, protocol: 6, ifname: "eth0" }),
  soft: { addSeconds: 3000n, useSeconds: 100n },
  hard: { bytes: 1_000_000n, packets: 10_000n },
};

const SAS: readonly (readonly [what: string, sa: Sa, standing: Standing, text: string])[] = [
  [
    "an AEAD",
    sampleSa(PLAIN_SA),
    HERE,
    `\
esp 0xc0000001 tunnel from 192.0.2.1 to 198.51.100.1
    AES_GCM_16 128 bits, reqid 1, window 32, af_unspec, esn
    sent number 12, received 34, 46 packets and 5600 bytes, first used 1 min
    ago, 1 min 1 s old
    hard limit 1 h`,
  ],
  [
    "everything",
    sampleSa(FULL_SA),
    { ...HERE, refused: "no such algorithm", inKernel: false },
    `\
esp 0xc0000001 transport from 2001:db8:1234:5678:9abc:def0:1234:5678 to
2001:db8:1234:5678:9abc:def0:1234:5678
    AES_CTR 128 bits, HMAC_SHA2_256_128 256 bits (ICV 96 bits), reqid 77, window
    32, encapsulation udp 4500 to 61234, mark 0x1/0xff, output mark
    0x2/0xffffffff, interface id 9, direction out, selector 10.1.0.0/16 port 80
    to 10.2.0.0/16 protocol 6 dev eth0
    sent number 0, received 0, 0 packets and 0 bytes, never used, 0 s old
    soft limit 50 min or 1 min 40 s of use, hard limit 1000000 bytes or 10000
    packets
    refused: no such algorithm`,
  ],
  [
    "compression on its way",
    sampleSa({
      protocol: PROTOCOL.IPCOMP,
      aead: undefined,
      compression: { id: IPCOMP.DEFLATE },
      soft: {},
      hard: {},
      flags: 0,
    }),
    { local: false, inKernel: false },
    `\
ipcomp 0xc0000001 tunnel from 192.0.2.1 to 198.51.100.1
    DEFLATE, reqid 1, window 32
    sent number 0, received 0, 0 packets and 0 bytes, never used, 0 s old
    not in the kernel yet`,
  ],
];

for (const [what, sa, standing, text] of SAS) {
  Deno.test(`printSa() prints ${what} in 80 columns and without its key`, () => {
    const view = viewSa(sa, standing, true);
    const lines = printSa(view, PLAIN);
    assertEquals(lines.join("\n"), text);
    assert(lines.every((line) => line.length <= 80));
    const json = JSON.stringify(view);
    for (const { key } of [sa.aead, sa.encryption, sa.integrity].filter((one) => one !== undefined)) {
      for (
        const shown of [key.toHex().slice(0, 8), [...key].slice(0, 4).join(","), key.toBase64().slice(0, 6)]
      ) {
        assertFalse(json.includes(shown), shown);
      }
    }
  });
}

Deno.test("printSa() says nothing of the counters of a local SA", () => {
  const view = viewSa(sampleSa(PLAIN_SA), { local: true, inKernel: true }, false);
  assertEquals(printSa(view, PLAIN).slice(1), [
    "    AES_GCM_16 128 bits, reqid 1, window 32, af_unspec, esn",
    "    hard limit 1 h",
    "    local",
  ]);
});

Deno.test("printPolicy() prints everything of a policy", () => {
  const policy = samplePolicy({
    direction: DIRECTION.FWD,
    action: ACTION.BLOCK,
    priority: 4000,
    type: POLICY_TYPE.SUB,
    mark: { value: 1, mask: 1 },
    interfaceId: 3,
    flags: POLICY_FLAG.LOCAL_OK,
    templates: [
      sampleTemplate({ spi: 0, reqid: 5 }),
      sampleTemplate({ spi: 0x99, reqid: 0, optional: true }),
    ],
    hard: { useSeconds: 5n },
    soft: {},
  });
  assertEquals(
    printPolicy(viewPolicy(policy, HERE), PLAIN).join("\n"),
    `\
fwd block 10.1.0.0/16 to 10.2.0.0/16
    priority 4000, sub, mark 0x1/0x1, interface id 3, local_ok
    esp tunnel from 192.0.2.1 to 198.51.100.1 reqid 5
    esp tunnel from 192.0.2.1 to 198.51.100.1 reqid 0 spi 0x00000099 optional
    hard limit 5 s of use`,
  );
});
