/**
 * Every kind of SA and policy that iproute2 can make, on the master before and after the slave connects: the slave's
 * kernel holds the same, keys and counters too. Not among them, as the guest cannot make them: UDP encapsulation
 * `espintcp` ("Unsupported encapsulation type for ESP"), a security context (the kernel has no SELinux), a care-of
 * address and the mode `ro` ("invalid with XFRM-PROTO value esp", iproute2), hardware offload.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  ADDRESS,
  compareTables,
  type KernelEntry,
  type KernelTables,
  Network,
  type Node,
  readKernel,
  Sasyncd,
  test,
  waitEqual,
} from "../lab/mod.ts";

const SECRET = `0x${"5c".repeat(32)}`;
const { client, gw1, gw2, virtual } = ADDRESS;

function configuration(mode: "master" | "slave"): string {
  const [own, peer] = mode === "master" ? [gw1, gw2] : [gw2, gw1];
  return `mode ${mode}\nlisten on ${own.sync.v4}\npeer ${peer.sync.v4}\nsharedkey ${SECRET}\n`;
}

/** A key of so many bits in which every byte is another one: key(3, …) begins with 03. */
function key(first: number, bits: number): string {
  const bytes = Array.from({ length: bits / 8 }, (_, i) => (first + i * 7) & 0xff);
  return `0x${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

const SHA256 = `auth-trunc hmac(sha256) ${key(0x31, 256)} 128`;
const GCM = `aead rfc4106(gcm(aes)) ${key(0x32, 288)} 128`;
const cbc = (bits: number) => `enc cbc(aes) ${key(0x33, bits)}`;
const V4 = `src ${virtual.pub.v4} dst ${client.pub.v4}`;
const V6 = `src ${virtual.pub.v6} dst ${client.pub.v6}`;

/** All that follows the addresses and the SPI. */
const STATES: readonly (readonly [addresses: string, rest: string])[] = [
  // Ciphers and integrity.
  [V4, `proto esp reqid 1 mode tunnel auth-trunc hmac(sha1) ${key(1, 160)} 96 ${cbc(128)}`],
  [V6, `proto esp reqid 2 mode tunnel ${SHA256} ${cbc(192)}`],
  [V4, `proto esp reqid 3 mode transport auth-trunc hmac(sha256) ${key(2, 256)} 96 ${cbc(256)}`],
  [V6, `proto esp reqid 4 mode transport auth-trunc hmac(sha384) ${key(3, 384)} 192 ${cbc(256)}`],
  [V4, `proto esp mode tunnel auth-trunc hmac(sha512) ${key(4, 512)} 256 ${cbc(256)}`],
  [V4, `proto esp mode tunnel auth-trunc hmac(md5) ${key(5, 128)} 96 enc cbc(des3_ede) ${key(6, 192)}`],
  [V6, `proto esp mode tunnel auth-trunc xcbc(aes) ${key(7, 128)} 96 ${cbc(128)}`],
  [V4, `proto esp mode tunnel auth-trunc cmac(aes) ${key(8, 128)} 96 ${cbc(128)}`],
  [V4, `proto esp mode tunnel auth-trunc hmac(rmd160) ${key(9, 160)} 96 enc cbc(camellia) ${key(10, 256)}`],
  [V6, `proto esp mode tunnel auth hmac(sha1) ${key(11, 160)} ${cbc(128)}`],
  [V4, `proto esp mode tunnel ${SHA256} enc rfc3686(ctr(aes)) ${key(12, 160)}`],
  [V6, `proto esp mode tunnel ${SHA256} enc rfc3686(ctr(aes)) ${key(13, 288)}`],
  [V4, `proto esp mode tunnel ${SHA256} enc ecb(cipher_null) ""`],
  // Both in one.
  [V4, `proto esp mode tunnel aead rfc4106(gcm(aes)) ${key(14, 160)} 64`],
  [V6, `proto esp mode tunnel aead rfc4106(gcm(aes)) ${key(15, 224)} 96`],
  [V4, `proto esp mode transport aead rfc4106(gcm(aes)) ${key(16, 288)} 128`],
  [V4, `proto esp mode tunnel aead rfc4309(ccm(aes)) ${key(17, 152)} 64`],
  [V6, `proto esp mode tunnel aead rfc4309(ccm(aes)) ${key(18, 216)} 96`],
  [V4, `proto esp mode tunnel aead rfc4309(ccm(aes)) ${key(19, 280)} 128`],
  [V4, `proto esp mode tunnel aead rfc4543(gcm(aes)) ${key(20, 160)} 128`],
  [V6, `proto esp mode tunnel aead rfc4543(gcm(aes)) ${key(21, 288)} 128`],
  [V4, `proto esp mode tunnel aead rfc7539esp(chacha20,poly1305) ${key(22, 288)} 128`],
  // Other protocols and modes.
  [V4, `proto ah mode transport replay-window 32 auth-trunc hmac(sha1) ${key(23, 160)} 96`],
  [V6, `proto ah mode tunnel replay-window 64 flag esn ${SHA256}`],
  [V4, "proto comp mode tunnel comp deflate"],
  [V6, "proto comp mode transport comp deflate"],
  [V4, `proto esp mode beet ${GCM} sel src 10.10.0.1 dst 10.10.0.2`],
  [V6, `proto esp mode beet ${GCM} sel src 2001:db8:aa::1 dst 2001:db8:aa::2`],
  [V4, `proto esp mode transport ${GCM} sel ${V4} proto tcp sport 80 dport 443 dev pub`],
  // Replay windows and counters.
  [V4, `proto esp mode tunnel ${GCM} replay-window 32 replay-seq 5 replay-oseq 6`],
  [V6, `proto esp mode tunnel ${GCM} replay-window 64 flag esn replay-seq 0x9 replay-seq-hi 1 replay-oseq 7`],
  [V4, `proto esp mode tunnel ${GCM} replay-window 128 replay-seq 4000000000 replay-oseq 4000000001`],
  [
    V6,
    `proto esp mode tunnel ${GCM} replay-window 1024 flag esn replay-oseq 0xfffffff0 replay-oseq-hi 0xfffffffe`,
  ],
  [V4, `proto esp mode tunnel ${GCM} replay-window 4096 flag esn replay-seq-hi 2 replay-oseq-hi 3`],
  [V4, `proto esp mode tunnel ${GCM} replay-window 1 replay-oseq 0xffffffff`],
  // Marks, interfaces, encapsulation, flags, padding.
  [V4, `proto esp mode tunnel ${GCM} mark 0x10 mask 0xff`],
  [V6, `proto esp mode tunnel ${GCM} mark 0xffffffff mask 0xffffffff if_id 0x7`],
  [V4, `proto esp mode tunnel ${GCM} output-mark 0x5 mask 0xf if_id 0xffffffff`],
  [V4, `proto esp mode tunnel ${GCM} output-mark 0x12345678`],
  [V4, `proto esp mode tunnel ${GCM} encap espinudp 4500 4501 198.18.0.1`],
  [V6, `proto esp mode tunnel ${GCM} encap espinudp 4500 65535 ::`],
  [V4, `proto esp mode tunnel ${SHA256} ${cbc(128)} encap espinudp-nonike 500 501 0.0.0.0`],
  [V4, `proto esp mode tunnel ${GCM} extra-flag dont-encap-dscp oseq-may-wrap`],
  [V6, `proto esp mode tunnel ${GCM} flag noecn decap-dscp nopmtudisc wildrecv icmp`],
  [V4, `proto esp mode tunnel ${GCM} flag af-unspec align4`],
  [V4, `proto esp mode tunnel ${GCM} tfcpad 1400`],
  [V6, `proto esp mode tunnel ${GCM} sel src 10.11.0.0/16 dst 10.12.0.0/16 flag af-unspec`],
  // Limits.
  [V4, `proto esp mode tunnel ${GCM} limit byte-soft 1000000 limit byte-hard 20000000000`],
  [V6, `proto esp mode tunnel ${GCM} limit packet-soft 1000 limit packet-hard 5000000000`],
  [
    V4,
    `proto esp mode tunnel ${GCM} limit time-soft 2000 limit time-hard 3000 ` +
    "limit time-use-soft 4000 limit time-use-hard 5000",
  ],
].map(([addresses = "", rest = ""]) => [addresses, rest] as const);

const TUNNEL = `tmpl ${V4} proto esp mode tunnel`;
const TUNNEL6 = `tmpl ${V6} proto esp mode tunnel`;
const INTO = `tmpl src ${client.pub.v4} dst ${virtual.pub.v4} proto esp mode tunnel`;
const NETS = "src 10.10.0.0/16 dst 10.20.0.0/16";
const NETS6 = "src 2001:db8:aa::/48 dst 2001:db8:bb::/48";

const POLICIES: readonly string[] = [
  `${NETS} dir out priority 100 ${TUNNEL} reqid 1`,
  `${NETS} dir out priority 4294967295 ptype sub ${TUNNEL} reqid 2`,
  `${NETS6} dir out priority 100 ${TUNNEL6} reqid 3`,
  `src 10.20.0.0/16 dst 10.10.0.0/16 dir in priority 100 ${INTO} reqid 1`,
  `src 10.20.0.0/16 dst 10.10.0.0/16 dir fwd priority 100 ${INTO} reqid 1`,
  `src 10.21.0.0/16 dst 10.22.0.0/16 dir out action block`,
  `${NETS6} dir in action block priority 5`,
  `src 10.21.0.0/16 dst 10.23.0.0/16 dir out action allow priority 6`,
  `src 10.24.0.0/16 dst 10.25.0.0/16 dir out tmpl ${V4} proto comp mode transport reqid 7 level use ` +
  "tmpl proto esp mode transport reqid 8",
  `src 10.24.0.0/16 dst 10.26.0.0/16 dir in tmpl ${V4} proto comp spi 0x99 mode tunnel level use ${INTO} reqid 9`,
  `src 10.24.0.0/16 dst 10.26.1.0/24 dir in tmpl proto ah mode transport level required`,
  `src 10.27.0.1 dst 10.27.0.2 proto tcp sport 80 dport 1024 dir out ${TUNNEL} reqid 10`,
  `src 10.27.0.1 dst 10.27.0.2 proto icmp type 8 code 0 dir out ${TUNNEL} reqid 11`,
  `src 10.27.0.1 dst 10.27.0.2 proto gre key 77 dir out ${TUNNEL} reqid 12`,
  `src 2001:db8:aa::1 dst 2001:db8:bb::1 proto 132 dir fwd ${TUNNEL6} reqid 13`,
  `src 10.28.0.0/16 dst 10.29.0.0/16 dev pub dir out ${TUNNEL} reqid 14`,
  `src 10.30.0.0/16 dst 10.31.0.0/16 dir out flag localok icmp ${TUNNEL} reqid 15`,
  `src 10.30.0.0/16 dst 10.32.0.0/16 dir out flag icmp ${TUNNEL} reqid 15`,
  `src 10.33.0.0/16 dst 10.34.0.0/16 dir out mark 0x10 mask 0xf0 if_id 0x9 ${TUNNEL} reqid 16`,
  `src 10.33.0.0/16 dst 10.34.0.0/16 dir out mark 0x20 mask 0xf0 ${TUNNEL} reqid 17`,
  `src 10.33.0.0/16 dst 10.34.0.0/16 dir out if_id 0xa ${TUNNEL} reqid 18`,
  `src 10.35.0.0/16 dst 10.36.0.0/16 dir out limit byte-soft 10000 limit byte-hard 20000 ` +
  `limit packet-soft 30 limit packet-hard 40 ${TUNNEL} reqid 19`,
  `src 10.37.0.0/16 dst 10.38.0.0/16 dir out limit time-soft 2000 limit time-hard 3000 ` +
  `limit time-use-soft 4000 limit time-use-hard 5000 ${TUNNEL} reqid 20`,
  `src 10.39.0.0/16 dst 10.40.0.0/16 dir out tmpl ${V4} proto esp mode beet reqid 21`,
];

/** Half of each table stands on the master before the slave connects, the other half comes after. */
function* linesOf(half: "before" | "after"): Generator<string> {
  for (const [i, [addresses, rest]] of STATES.entries()) {
    if (isIn(i, half)) yield `xfrm state add ${addresses} spi ${0x2000 + i} ${rest}`;
  }
  for (const [i, policy] of POLICIES.entries()) {
    if (isIn(i, half)) yield `xfrm policy add ${policy}`;
  }
}

function isIn(index: number, half: "before" | "after"): boolean {
  return (index % 2 === 0) === (half === "before");
}

/** Tunnel mode between client and the master's own address, which packets have gone through: one end. */
function tunnelByHand(end: "client" | "gateway"): string[] {
  const [near, far] = [client.pub.v4, gw1.pub.v4];
  const [out, back] = end === "client" ? ["out", "in"] : ["in", "out"];
  const wide = "replay-window 128 flag esn";
  return [
    `xfrm state add src ${near} dst ${far} proto esp spi 0x1000 reqid 90 mode tunnel ${wide} ${GCM}`,
    `xfrm state add src ${far} dst ${near} proto esp spi 0x1001 reqid 90 mode tunnel replay-window 32 ${GCM}`,
    `xfrm policy add src ${near} dst ${gw1.in.v4} dir ${out} tmpl src ${near} dst ${far} proto esp reqid 90 mode tunnel`,
    `xfrm policy add src ${gw1.in.v4} dst ${near} dir ${back} tmpl src ${far} dst ${near} proto esp reqid 90 mode tunnel`,
  ];
}

const entriesOf = ({ states, policies }: KernelTables): readonly KernelEntry[] => [...states, ...policies];

let lab: Network;
let slave: Sasyncd;
/** All that a comparison can look at but limits and ages in seconds. */
const CLOSELY = { include: ["counters"] } as const;

test("records made before the slave connects stand in its kernel, counters too", async () => {
  lab = await Network.build();
  await lab.gw1.ip(...tunnelByHand("gateway"));
  await lab.client.ip(...tunnelByHand("client"), `route add ${gw1.in.v4}/32 via ${gw1.pub.v4}`);
  assertEquals(await lab.client.ping(gw1.in.v4, { count: 8, from: client.pub.v4 }), 8);
  await lab.gw1.ip(...linesOf("before"));

  const master = await Sasyncd.start(lab.gw1, configuration("master"));
  await master.waitForLog(/master in epoch/, 60_000);
  slave = await Sasyncd.start(lab.gw2, configuration("slave"));
  await slave.waitForLog(/synchronised with/, 60_000);
  await waitEqual(lab.gw1, lab.gw2, 30_000, CLOSELY);
  const { states } = await readKernel(lab.gw2, CLOSELY);
  assertMatch(textOf(states, "0x00001000"), /seq 0x8,[^]*\b000000ff\b/); // a bitmap of eight packets
  assertMatch(textOf(states, "0x00001001"), /oseq 0x8,/);
});

test("records made after it has connected follow", async () => {
  await lab.gw1.ip(...linesOf("after"));
  await waitEqual(lab.gw1, lab.gw2, 30_000, CLOSELY);
  const { states, policies } = await readKernel(lab.gw2);
  assertEquals([states.length, policies.length], [STATES.length + 2, POLICIES.length + 2]);
  assertEquals(slave.process.countLines(/refused/), 0);
});

test("bytes and packets so far are the master's", async () => {
  const [mine, theirs] = await Promise.all(
    [lab.gw1, lab.gw2].map(async (node) =>
      (await readKernel(node, { include: ["current"] })).states.map(({ id, fields }) =>
        `${id}: ${fields.find((line) => line.includes("(bytes), ") && !line.startsWith("limit"))}`
      ).toSorted()
    ),
  );
  assertEquals(theirs, mine);
  assert(mine?.some((line) => /0x00001000: \d+\(bytes\), 8\(packets\)/.test(line)), mine?.join("\n"));
});

test("a slave has no soft limits, and hard time limits 60 s later", async () => {
  const read = async (node: Node) =>
    Map.groupBy(
      entriesOf(await readKernel(node, { include: ["time", "soft"] })).flatMap(({ id, fields }) =>
        fields.flatMap((line) => {
          const [, what = "", soft = "", hard = ""] =
            /^(limit|expire add|expire use): soft ([^,]+), hard (.*)$/.exec(line) ?? [];
          return what === "" ? [] : [{ id, what, soft, hard }];
        })
      ),
      ({ id }) => id,
    );
  const [master, mirrored] = [await read(lab.gw1), await read(lab.gw2)];
  for (const [id, limits] of master) {
    const expected = limits.map(({ what, soft, hard }) => {
      if (what === "limit") return { id, what, soft: soft.replace(/^.*\(/, "(INF)("), hard };
      const seconds = Number.parseInt(hard);
      return { id, what, soft: "0(sec)", hard: `${seconds === 0 ? 0 : seconds + 60}(sec)` };
    });
    assertEquals(mirrored.get(id), expected);
  }
  const softOnMaster = [...master.values()].flat().filter(({ soft }) => !/^(\(INF\)|0\()/.test(soft));
  assertEquals(softOnMaster.length, 8); // one of bytes, one of packets, two of seconds for SAs; for policies as well
});

test("the comparison would have seen a key, a flag or a counter that differs", async () => {
  const tables = await readKernel(lab.gw1, CLOSELY);
  for (const [pattern, other] of [[/0x32/, "0x42"], [/esn/, "icmp"], [/oseq 0x6,/, "oseq 0x7,"]] as const) {
    const index = tables.states.findIndex(({ fields }) => fields.some((line) => pattern.test(line)));
    const states = tables.states.map((entry, i) =>
      i === index ? { ...entry, fields: entry.fields.map((line) => line.replace(pattern, other)) } : entry
    );
    assertEquals(compareTables("gw1", tables, "changed", { ...tables, states }).length, 1);
  }
});

/** What iproute2 says of the SA with this SPI. */
function textOf(states: readonly KernelEntry[], spi: string): string {
  return states.find(({ id }) => id.endsWith(spi))?.fields.join("\n") ?? "";
}
