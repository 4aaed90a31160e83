/**
 * Every kind of SA and policy that iproute2 can make, on the master before and after the slave connects: the slave's
 * kernel holds the same, keys and counters too; what PF_KEY cannot express on either gateway is refused with its
 * reason, and is not there. A test shows what the guest cannot make.
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  ADDRESS,
  compareTables,
  eventually,
  fixedConfiguration,
  hasPfkey,
  type KernelEntry,
  type KernelOptions,
  type Kernels,
  type KernelTables,
  nameOf,
  Network,
  type Node,
  readKernel,
  Sasyncd,
  test,
  waitEqual,
} from "../lab/mod.ts";

const { client, gw1, virtual } = ADDRESS;

/** What PF_KEY makes of a record that it cannot carry. */
interface Limits {
  /** Why a master refuses it; "unseen": it is not told of what makes the record special; undefined: it can be read. */
  readonly master?: RegExp | "unseen";
  /** Why a slave refuses it. */
  readonly slave: RegExp;
}

/** A master does not know better. */
const unseen = (slave: RegExp): Limits => ({ master: "unseen", slave });

/** A key of so many bits in which every byte is another one: key(3, …) begins with 03. */
function key(first: number, bits: number): string {
  const bytes = Array.from({ length: bits / 8 }, (_, i) => (first + i * 7) & 0xff);
  return `0x${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Of SELinux, which the guest's kernel has. */
const CONTEXT = "system_u:object_r:ipsec_spd_t:s0";
const SHA1 = `auth-trunc hmac(sha1) ${key(0x30, 160)} 96`;
const SHA256 = `auth-trunc hmac(sha256) ${key(0x31, 256)} 128`;
const GCM = `aead rfc4106(gcm(aes)) ${key(0x32, 288)} 128`;
const cbc = (bits: number) => `enc cbc(aes) ${key(0x33, bits)}`;
const PLAIN = `proto esp mode tunnel ${SHA1} ${cbc(128)}`;
const V4 = `src ${virtual.pub.v4} dst ${client.pub.v4}`;
const V6 = `src ${virtual.pub.v6} dst ${client.pub.v6}`;

const AEAD: Limits = {
  master: /AEAD or another|whole of the SA's selector|mode \d/,
  slave: /AEAD|cannot express/,
};
const TRUNCATED: Limits = {
  master: /truncation of HMAC-SHA-256/,
  slave: /an ICV of 128 bits|HMAC-SHA-256 of 96 bits|ESN/,
};

/** All that follows the addresses and the SPI. */
const STATES: readonly (readonly [addresses: string, rest: string, limits?: Limits])[] = [
  // Ciphers and integrity.
  [V4, `proto esp reqid 1 mode tunnel auth-trunc hmac(sha1) ${key(1, 160)} 96 ${cbc(128)}`],
  [V6, `proto esp reqid 2 mode tunnel ${SHA256} ${cbc(192)}`],
  [V4, `proto esp reqid 3 mode transport auth-trunc hmac(sha256) ${key(2, 256)} 96 ${cbc(256)}`],
  [V6, `proto esp reqid 4 mode transport auth-trunc hmac(sha384) ${key(3, 384)} 192 ${cbc(256)}`],
  [V4, `proto esp mode tunnel auth-trunc hmac(sha512) ${key(4, 512)} 256 ${cbc(256)}`],
  [V4, `proto esp mode tunnel auth-trunc hmac(md5) ${key(5, 128)} 96 enc cbc(des3_ede) ${key(6, 192)}`],
  [V6, `proto esp mode tunnel auth-trunc xcbc(aes) ${key(7, 128)} 96 ${cbc(128)}`],
  [V4, `proto esp mode tunnel auth-trunc cmac(aes) ${key(8, 128)} 96 ${cbc(128)}`, {
    master: /integrity algorithm/,
    slave: /AES_CMAC_96 cannot be expressed/,
  }],
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
  [V4, `${PLAIN} ctx ${CONTEXT}`],
  [V6, `proto esp mode tunnel ${GCM} sel src 10.11.0.0/16 dst 10.12.0.0/16 flag af-unspec`],
  // Limits.
  [V4, `proto esp mode tunnel ${GCM} limit byte-soft 1000000 limit byte-hard 20000000000`],
  [V6, `proto esp mode tunnel ${GCM} limit packet-soft 1000 limit packet-hard 5000000000`],
  [
    V4,
    `proto esp mode tunnel ${GCM} limit time-soft 2000 limit time-hard 3000 ` +
    "limit time-use-soft 4000 limit time-use-hard 5000",
  ],
  // The same with algorithms that PF_KEY has.
  [V4, `proto esp mode tunnel ${SHA1} enc rfc3686(ctr(aes)) ${key(24, 160)}`],
  [V6, `proto esp mode tunnel ${SHA1} enc ecb(cipher_null) ""`],
  [V4, `${PLAIN} encap espinudp 4500 4501 0.0.0.0`],
  [V4, `${PLAIN} flag noecn decap-dscp nopmtudisc`],
  [
    V4,
    `${PLAIN} replay-window 32 limit byte-soft 1000 limit byte-hard 20000000000 limit packet-hard 4000000000`,
  ],
  [
    V4,
    `${PLAIN} limit time-soft 2000 limit time-hard 3000 limit time-use-soft 4000 limit time-use-hard 5000`,
  ],
  [V4, `${PLAIN} limit packet-hard 5000000000`, unseen(/packets/)],
  [V4, `${PLAIN} mark 0x10 mask 0xff`, unseen(/a mark/)],
  [V6, `${PLAIN} if_id 0x7`, unseen(/an interface id/)],
  [V4, `${PLAIN} output-mark 0x5 mask 0xf`, unseen(/an output mark/)],
  [V4, `${PLAIN} tfcpad 1400`, unseen(/TFC padding/)],
  [V4, `${PLAIN} encap espinudp 4500 4501 198.18.0.1`, unseen(/an original address/)],
  [V4, `${PLAIN} extra-flag dont-encap-dscp`, unseen(/SA flags/)],
  [V4, `${PLAIN} flag wildrecv icmp`, unseen(/SA flags/)],
  [V4, `${PLAIN} replay-window 64`, unseen(/a replay window of 64/)],
  [V6, `${PLAIN} replay-window 32 flag esn`, unseen(/ESN/)],
  [V4, `${PLAIN} sel src 10.11.0.0/16 dst 10.12.0.0/16`, {
    master: /whole of the SA's selector/,
    slave: /a selector of the SA/,
  }],
  [V4, `proto esp mode beet ${SHA1} ${cbc(128)} sel src 10.10.0.1 dst 10.10.0.2`, {
    master: /mode 3|mode/,
    slave: /mode|selector/,
  }],
];

/** Why PF_KEY cannot carry an SA: as the table says, or because of its algorithms. */
function limitsOf(rest: string, limits: Limits | undefined): Limits | undefined {
  return limits ?? (rest.includes(" aead ") ? AEAD : rest.includes("(sha256)") ? TRUNCATED : undefined);
}

const TUNNEL = `tmpl ${V4} proto esp mode tunnel`;
const TUNNEL6 = `tmpl ${V6} proto esp mode tunnel`;
const INTO = `tmpl src ${client.pub.v4} dst ${virtual.pub.v4} proto esp mode tunnel`;
const NETS = "src 10.10.0.0/16 dst 10.20.0.0/16";
const NETS6 = "src 2001:db8:aa::/48 dst 2001:db8:bb::/48";

/** Two policies have this selector: without a security context, and with one. */
const LABELLED = "src 10.45.0.0/16 dst 10.46.0.0/16 dir out";

const POLICIES: readonly (readonly [line: string, limits?: Limits])[] = [
  [`${NETS} dir out priority 100 ${TUNNEL} reqid 1`],
  [`${NETS} dir out priority 4294967295 ptype sub ${TUNNEL} reqid 2`, unseen(/a sub-policy/)],
  [`${NETS6} dir out priority 100 ${TUNNEL6} reqid 3`],
  [`src 10.20.0.0/16 dst 10.10.0.0/16 dir in priority 100 ${INTO} reqid 1`],
  [`src 10.20.0.0/16 dst 10.10.0.0/16 dir fwd priority 100 ${INTO} reqid 1`],
  [`src 10.21.0.0/16 dst 10.22.0.0/16 dir out action block`],
  [`${NETS6} dir in action block priority 5`],
  [`src 10.21.0.0/16 dst 10.23.0.0/16 dir out action allow priority 6`],
  [
    `src 10.24.0.0/16 dst 10.25.0.0/16 dir out tmpl ${V4} proto comp mode transport reqid 7 level use ` +
    "tmpl proto esp mode transport reqid 8",
    unseen(/ends of a template without a tunnel/),
  ],
  [
    `src 10.24.0.0/16 dst 10.26.0.0/16 dir in tmpl ${V4} proto comp spi 0x99 mode tunnel level use ${INTO} reqid 9`,
    unseen(/an SPI in a template/),
  ],
  [`src 10.24.0.0/16 dst 10.26.1.0/24 dir in tmpl proto ah mode transport level required`],
  [`src 10.27.0.1 dst 10.27.0.2 proto tcp sport 80 dport 1024 dir out ${TUNNEL} reqid 10`],
  [
    `src 10.27.0.1 dst 10.27.0.2 proto icmp type 8 code 0 dir out ${TUNNEL} reqid 11`,
    unseen(/ports with a mask/),
  ],
  [`src 10.27.0.1 dst 10.27.0.2 proto gre key 77 dir out ${TUNNEL} reqid 12`, unseen(/ports with a mask/)],
  [`src 2001:db8:aa::1 dst 2001:db8:bb::1 proto 132 dir fwd ${TUNNEL6} reqid 13`],
  [
    `src 10.28.0.0/16 dst 10.29.0.0/16 dev pub dir out ${TUNNEL} reqid 14`,
    unseen(/an interface in a selector/),
  ],
  [`src 10.30.0.0/16 dst 10.31.0.0/16 dir out flag localok icmp ${TUNNEL} reqid 15`, unseen(/policy flags/)],
  [`src 10.30.0.0/16 dst 10.32.0.0/16 dir out flag icmp ${TUNNEL} reqid 15`, unseen(/policy flags/)],
  [
    `src 10.33.0.0/16 dst 10.34.0.0/16 dir out mark 0x10 mask 0xf0 if_id 0x9 ${TUNNEL} reqid 16`,
    unseen(/a mark/),
  ],
  [`src 10.33.0.0/16 dst 10.34.0.0/16 dir out mark 0x20 mask 0xf0 ${TUNNEL} reqid 17`, unseen(/a mark/)],
  [`src 10.33.0.0/16 dst 10.34.0.0/16 dir out if_id 0xa ${TUNNEL} reqid 18`, unseen(/an interface id/)],
  [
    `src 10.35.0.0/16 dst 10.36.0.0/16 dir out limit byte-soft 10000 limit byte-hard 20000 ` +
    `limit packet-soft 30 limit packet-hard 40 ${TUNNEL} reqid 19`,
  ],
  [
    `src 10.37.0.0/16 dst 10.38.0.0/16 dir out limit time-soft 2000 limit time-hard 3000 ` +
    `limit time-use-soft 4000 limit time-use-hard 5000 ${TUNNEL} reqid 20`,
  ],
  [`src 10.39.0.0/16 dst 10.40.0.0/16 dir out tmpl ${V4} proto esp mode beet reqid 21`, {
    master: /templates of mode/,
    slave: /templates of mode/,
  }],
  [`src 2001:db8:cc::/48 dst 2001:db8:bb::/48 dir out priority 7 ${TUNNEL}`, {
    master: /of another family/,
    slave: /of another family/,
  }],
  [`src 10.41.0.0/16 dst 10.42.0.0/16 dir out ${TUNNEL} reqid 20000`, { slave: /reqid 20000/ }],
  [`src 10.43.0.0/16 dst 10.44.0.0/16 dir in ${INTO} level use`],
  [`${LABELLED} ${TUNNEL} reqid 22`],
  [`${LABELLED} ctx ${CONTEXT} ${TUNNEL} reqid 23`],
];

/** What the guest does not take, and who says why not. None of its devices has offload. */
const IMPOSSIBLE: readonly (readonly [rest: string, reason: string])[] = [
  ["encap espintcp 4500 4500 0.0.0.0", "Error: Unsupported encapsulation type for ESP."],
  ["coa 192.0.2.7", '"coa" is invalid with XFRM-PROTO value "esp"'],
  ["offload dev pub dir out", "Error: Type doesn't support offload."],
];

/** A line of iproute2 that makes a record, and what PF_KEY makes of that. */
interface Made {
  readonly line: string;
  readonly limits: Limits | undefined;
}

const MADE: readonly Made[] = [
  ...STATES.map(([addresses, rest, limits], i) => ({
    line: `xfrm state add ${addresses} spi 0x${(0x2000 + i).toString(16)} ${rest}`,
    limits: limitsOf(rest, limits),
  })),
  ...POLICIES.map(([policy, limits]) => ({ line: `xfrm policy add ${policy}`, limits })),
];

/** What these back ends make of a record: it is carried, refused by a gateway, or better not tried. */
function fateOf({ limits }: Made, { master, slave }: Kernels) {
  if (limits === undefined) return "carried";
  if (master === "pfkey" && limits.master === "unseen") return "unseen";
  if (master === "pfkey" && limits.master !== undefined) return "refused by the master";
  return slave === "pfkey" ? "refused by the slave" : "carried";
}

/** Tunnel mode between client and the master's own address, which packets have gone through: one end. */
function tunnelByHand(end: "client" | "gateway", kernels: Kernels): string[] {
  const [near, far] = [client.pub.v4, gw1.pub.v4];
  const [out, back] = end === "client" ? ["out", "in"] : ["in", "out"];
  const [keys, wide] = hasPfkey(kernels)
    ? [`${SHA1} ${cbc(128)}`, "replay-window 32"]
    : [GCM, "replay-window 128 flag esn"];
  return [
    `xfrm state add src ${near} dst ${far} proto esp spi 0x1000 reqid 90 mode tunnel ${wide} ${keys}`,
    `xfrm state add src ${far} dst ${near} proto esp spi 0x1001 reqid 90 mode tunnel replay-window 32 ${keys}`,
    `xfrm policy add src ${near} dst ${gw1.in.v4} dir ${out} tmpl src ${near} dst ${far} proto esp reqid 90 mode tunnel`,
    `xfrm policy add src ${gw1.in.v4} dst ${near} dir ${back} tmpl src ${far} dst ${near} proto esp reqid 90 mode tunnel`,
  ];
}

const entriesOf = ({ states, policies }: KernelTables): readonly KernelEntry[] => [...states, ...policies];

let lab: Network;
let master: Sasyncd;
let slave: Sasyncd;

/** All of it with these back ends. */
export function records(kernels: Kernels): void {
  const name = nameOf(kernels);
  const withPfkey = hasPfkey(kernels);
  const carried = MADE.filter((made) => fateOf(made, kernels) === "carried");
  const refused = MADE.filter((made) => fateOf(made, kernels).startsWith("refused"));
  /**
   * All that a comparison can look at but limits and ages in seconds, and where the slave would go on sending.
   * PF_KEY has no counters.
   */
  const closely: KernelOptions = { include: withPfkey ? [] : ["counters"], without: [OSEQ] };

  /** Half of what is carried stands on the master before the slave connects, the other half comes after. */
  const linesOf = (half: "before" | "after") =>
    carried.flatMap(({ line }, i) => (i % 2 === 0) === (half === "before") ? line : []);

  async function startDaemons(): Promise<void> {
    master = await Sasyncd.start(lab.gw1, fixedConfiguration("master", kernels));
    await master.waitForLog(/master in epoch/, 60_000);
    slave = await Sasyncd.start(lab.gw2, fixedConfiguration("slave", kernels));
    await slave.waitForLog(/synchronised with/, 60_000);
  }

  test(`${name}: records made before the slave connects stand in its kernel, counters too`, async () => {
    lab = await Network.build();
    await lab.gw1.ip(...tunnelByHand("gateway", kernels));
    await lab.client.ip(
      "xfrm state flush",
      "xfrm policy flush",
      ...tunnelByHand("client", kernels),
      `route replace ${gw1.in.v4}/32 via ${gw1.pub.v4}`,
    );
    assertEquals(await lab.client.ping(gw1.in.v4, { count: 8, from: client.pub.v4 }), 8);
    await lab.gw1.ip(...linesOf("before"));
    await startDaemons();
    await waitEqual(lab.gw1, lab.gw2, 60_000, closely);
    if (withPfkey) return;
    const { states } = await readKernel(lab.gw2, closely);
    assertMatch(textOf(states, "0x00001000"), /seq 0x8,[^]*\b000000ff\b/); // a bitmap of eight packets
    assertEquals((await readSent(lab.gw1)).get("0x00001001"), 8n);
    await assertLeases();
  });

  test(`${name}: records made after it has connected follow`, async () => {
    await lab.gw1.ip(...linesOf("after"));
    await waitEqual(lab.gw1, lab.gw2, 60_000, closely);
    const { states, policies } = await readKernel(lab.gw2);
    assertEquals(states.length + policies.length, carried.length + 4);
    assertEquals(slave.process.countLines(/refused/), 0);
    if (!withPfkey) await assertLeases();
  });

  test(`${name}: a slave has no soft limits, and hard time limits 60 s later`, async () => {
    const [original, mirrored] = [await readLimits(lab.gw1), await readLimits(lab.gw2)];
    for (const [id, limits] of original) {
      const expected = limits.map(({ what, soft, hard }) => {
        if (what === "limit") return { id, what, soft: soft.replace(/^.*\(/, "(INF)("), hard };
        const seconds = Number.parseInt(hard);
        return { id, what, soft: "0(sec)", hard: `${seconds === 0 ? 0 : seconds + 60}(sec)` };
      });
      assertEquals(mirrored.get(id), expected);
    }
    const softOnMaster = [...original.values()].flat().filter(({ soft }) => !/^(\(INF\)|0\()/.test(soft));
    assertEquals(softOnMaster.length, carried.flatMap(({ line }) => line.match(/-soft /g) ?? []).length);
  });

  if (kernels.slave === "xfrm") {
    test(`${name}: bytes and packets so far are the master's`, async () => {
      const [mine, theirs] = await Promise.all([lab.gw1, lab.gw2].map(readUse));
      assertEquals(theirs, mine);
      assert(mine?.some((line) => /0x00001000: \d+\(bytes\), 8\(packets\)/.test(line)), mine?.join("\n"));
    });
  }

  test(`${name}: a policy with a security context goes and comes without the one beside it`, async () => {
    for (const context of [`ctx ${CONTEXT}`, ""]) {
      await lab.gw1.ip(`xfrm policy del ${LABELLED} ${context}`);
      await waitEqual(lab.gw1, lab.gw2, 60_000, closely);
      await lab.gw1.ip(`xfrm policy add ${LABELLED} ${context} priority 9 ${TUNNEL} reqid 24`);
      await waitEqual(lab.gw1, lab.gw2, 60_000, closely);
    }
    const { policies } = await readKernel(lab.gw2);
    assertEquals(policies.filter(({ id }) => id.includes("10.45.0.0/16")).length, 2);
  });

  if (!withPfkey) {
    test("the guest cannot make what is not among the records", async () => {
      for (const [rest, reason] of IMPOSSIBLE) {
        const line = `xfrm state add ${V4} spi 0x1999 proto esp mode tunnel ${GCM} ${rest}`;
        await assertRejects(() => lab.gw1.ip(line), Error, reason);
      }
    });

    test("the comparison would have seen a key, a flag or a counter that differs", async () => {
      const tables = await readKernel(lab.gw1, closely);
      const differences = [[/0x32/, "0x42"], [/esn/, "icmp"], [/seq 0x5,/, "seq 0x7,"]] as const;
      for (const [pattern, other] of differences) {
        const index = tables.states.findIndex(({ fields }) => fields.some((line) => pattern.test(line)));
        const states = tables.states.map((entry, i) =>
          i === index ? { ...entry, fields: entry.fields.map((line) => line.replace(pattern, other)) } : entry
        );
        assertEquals(compareTables("gw1", tables, "changed", { ...tables, states }).length, 1);
      }
    });
  }

  if (withPfkey) {
    test(`${name}: what PF_KEY cannot express is refused with its reason`, async () => {
      const before = await readKernel(lab.gw2);
      await lab.gw1.ip(...refused.map(({ line }) => line), `xfrm policy add ${LAST} action block`);
      await eventually(
        "last record",
        async () => (await readKernel(lab.gw2)).policies.length > before.policies.length,
        30_000,
      );
      for (const made of refused) await waitForReason(made, fateOf(made, kernels));
      await lab.gw1.ip(`xfrm policy del ${LAST}`);
      await eventually("end of the last record", async () => {
        const after = await readKernel(lab.gw2);
        return compareTables("before", before, "after", after).length === 0;
      });
    });
  }

  test(`${name}: daemons that start again change nothing`, async () => {
    const before = await readKernel(lab.gw2);
    for (const daemon of [slave, master]) assertEquals(await daemon.stop(), 0);
    await startDaemons();
    for (const made of refused) await waitForReason(made, fateOf(made, kernels));
    assertEquals(compareTables("before", before, "after", await readKernel(lab.gw2)), []);
  });

  test(`${name}: the daemons end`, async () => {
    for (const daemon of [slave, master]) assertEquals(await daemon.stop(), 0);
  });
}

/** The number of the last packet sent, in either form. */
const OSEQ = /oseq(-hi)? 0x[0-9a-f]+/g;

/** A slave stands above the master, so that it can go on where that one has ended. Never by much. */
async function assertLeases(): Promise<void> {
  const [sent, lease] = [await readSent(lab.gw1), await readSent(lab.gw2)];
  for (const [spi, number] of sent) {
    const ahead = (lease.get(spi) ?? -1n) - number;
    assert(
      ahead >= 0n && ahead < 2n ** 24n,
      `${spi}: ${number} on the master, ${lease.get(spi)} on the slave`,
    );
  }
}

/** Numbers of the last packets sent, by SPI. */
async function readSent(node: Node): Promise<Map<string, bigint>> {
  const { states } = await readKernel(node, { include: ["counters"] });
  return new Map(states.map(({ id, fields }) => {
    const text = fields.join("\n");
    const [, low = "0"] = /\boseq 0x([0-9a-f]+)/.exec(text) ?? [];
    const [, high = "0"] = /\boseq-hi 0x([0-9a-f]+)/.exec(text) ?? [];
    return [/0x[0-9a-f]{8}/.exec(id)?.[0] ?? "", BigInt(`0x${high}`) << 32n | BigInt(`0x${low}`)];
  }));
}

/** What is made when all else has been. */
const LAST = "dst 10.99.0.0/16 dir out";

/** Of the records that are refused for one reason the log names the first one, and counts the others. */
async function waitForReason({ limits }: Made, fate: string): Promise<void> {
  const { master: atMaster, slave: atSlave } = limits!; // it would not have been refused
  if (fate === "refused by the master") {
    assert(atMaster instanceof RegExp);
    await master.waitForLog(new RegExp(`cannot synchronise .*: .*(${atMaster.source})`));
  } else {
    await slave.waitForLog(new RegExp(`^refused .*: .*(${atSlave.source})`));
    await master.waitForLog(new RegExp(`^203\\.0\\.113\\.2 refused .*: .*(${atSlave.source})`));
  }
}

/** Limits by record. */
async function readLimits(node: Node) {
  const lines = entriesOf(await readKernel(node, { include: ["time", "soft"] })).flatMap(({ id, fields }) =>
    fields.flatMap((line) => {
      const [, what = "", soft = "", hard = ""] =
        /^(limit|expire add|expire use): soft ([^,]+), hard (.*)$/.exec(line) ?? [];
      return what === "" ? [] : [{ id, what, soft, hard }];
    })
  );
  return Map.groupBy(lines, ({ id }) => id);
}

/** Bytes and packets so far. */
async function readUse(node: Node): Promise<string[]> {
  const { states } = await readKernel(node, { include: ["current"] });
  return states.map(({ id, fields }) =>
    `${id}: ${fields.find((line) => line.includes("(bytes), ") && !line.startsWith("limit"))}`
  ).toSorted();
}

/** What iproute2 says of the SA with this SPI. */
function textOf(states: readonly KernelEntry[], spi: string): string {
  return states.find(({ id }) => id.endsWith(spi))?.fields.join("\n") ?? "";
}
