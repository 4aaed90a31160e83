/** SAs and policies that are set by PF_KEY, as setkey(8) and IKE daemons of the BSDs do it, whatever the daemon speaks. */

import { assertEquals, assertMatch } from "@std/assert";
import {
  ADDRESS,
  compareTables,
  countKernel,
  eventually,
  fixedConfiguration,
  type Kernels,
  nameOf,
  Network,
  readKernel,
  Sasyncd,
  setkey,
  test,
  trySetkey,
  waitEqual,
  WITH_PFKEY,
  XFRM,
} from "../lab/mod.ts";

const { client, virtual } = ADDRESS;
const V4 = `${virtual.pub.v4} ${client.pub.v4}`;
const V6 = `${virtual.pub.v6} ${client.pub.v6}`;
const KEYS = `-E aes-cbc 0x${"6a".repeat(16)} -A hmac-sha1 0x${"7b".repeat(20)}`;
const OTHER = `-E aes-cbc 0x${"8c".repeat(16)} -A hmac-sha1 0x${"7b".repeat(20)}`;
const TUNNEL = `esp/tunnel/${virtual.pub.v4}-${client.pub.v4}/unique:7`;

let lab: Network;

/** What the text of an SA or policy on the slave says, all of them together. */
async function slaveText(): Promise<string> {
  const { states, policies } = await readKernel(lab.gw2);
  return [...states, ...policies].flatMap(({ id, fields }) => [id, ...fields]).join("\n");
}

for (const pair of [...WITH_PFKEY, XFRM]) {
  const kernels: Kernels = { ...pair, assume: "truncation 96" }; // PF_KEY makes no other SAs with HMAC-SHA-256
  const name = nameOf(kernels);
  let daemons: Sasyncd[];
  const settled = () => waitEqual(lab.gw1, lab.gw2, 20_000);

  test(`${name}: SAs and policies of setkey, before and after the slave connects`, async () => {
    lab = await Network.build();
    setkey(
      lab.gw1,
      `add ${V4} esp 0x100 -m tunnel -u 7 -r 32 ${KEYS}`,
      `spdadd 10.1.0.0/16 10.2.0.0/16 any -P out prio 9 ipsec ${TUNNEL}`,
    );
    const master = await Sasyncd.start(lab.gw1, fixedConfiguration("master", kernels));
    await master.waitForLog(/master in epoch/, 60_000);
    const slave = await Sasyncd.start(lab.gw2, fixedConfiguration("slave", kernels));
    await slave.waitForLog(/synchronised with \S+: 2 records/, 60_000);
    daemons = [slave, master];
    setkey(
      lab.gw1,
      `add ${V4} esp 0x101 -m tunnel -r 16 -E 3des-cbc 0x${"9d".repeat(24)} -A hmac-md5 0x${
        "ae".repeat(16)
      } ` +
        "-n 2 4500 4501 -bh 5000000 -lh 3000",
      `add ${V6} ah 0x102 -m transport -r 32 -A hmac-sha512 0x${"bf".repeat(64)}`,
      `add ${V4} ipcomp 0x103 -m tunnel -C deflate`,
      `add ${V6} esp 0x104 -m transport -r 32 -E null 0x -A hmac-sha384 0x${"c0".repeat(48)}`,
      `add ${V4} esp 0x105 -m any -r 32 ${KEYS}`,
      `add ${V4} esp 0x106 -m tunnel -r 32 -E aes-ctr 0x${"6a".repeat(20)} -A hmac-sha256 0x${
        "7b".repeat(32)
      }`,
      `spdadd 2001:db8:a::/48 2001:db8:b::1[53] udp -P in ipsec esp/transport//require ah/transport//use`,
      "spdadd 10.1.0.0/16 10.3.0.0/16 any -P fwd discard",
      "spdadd 10.1.0.0/16 10.4.0.0/16[80] tcp -P out prio 3 none",
    );
    await settled();
    const { states, policies } = await readKernel(lab.gw2);
    assertEquals([states.length, policies.length], [7, 4]);
    assertMatch(await slaveText(), /hmac\(sha256\) 0x(7b){32} \(256 bits\) 96/);
  });

  test(`${name}: a larval SA gets its keys; the keys of another one cannot be changed, and are not`, async () => {
    setkey(lab.gw1, `getspi ${V4} esp 0x200`);
    setkey(lab.gw1, `update ${V4} esp 0x200 -m tunnel -u 7 -r 32 ${KEYS}`);
    await eventually("new SA", async () => (await slaveText()).includes("esp 0x00000200"));
    await settled();
    setkey(lab.gw1, `update ${V4} esp 0x200 -m tunnel -u 7 -r 32 ${OTHER} -bh 7000`);
    await eventually("new limit", async () => (await slaveText()).includes("hard 7000(bytes)"));
    await settled();
    assertEquals((await slaveText()).includes("8c8c"), false);
    setkey(lab.gw1, `delete ${V4} esp 0x200`, `add ${V4} esp 0x200 -m tunnel -u 7 -r 32 ${OTHER}`);
    await eventually("other keys", async () => (await slaveText()).includes("8c8c"));
    await settled();
  });

  test(`${name}: policies are changed and deleted`, async () => {
    setkey(
      lab.gw1,
      "spdupdate 10.1.0.0/16 10.2.0.0/16 any -P out prio 11 discard",
      "spddelete 10.1.0.0/16 10.3.0.0/16 any -P fwd",
      "spdupdate 10.1.0.0/16 10.5.0.0/16 any -P out prio 12 none",
    );
    await eventually("new policy", async () => (await slaveText()).includes("priority 12"));
    await settled();
    assertEquals((await countKernel(lab.gw2)).policies, 4);
  });

  test(`${name}: what has expired is gone`, async () => {
    setkey(lab.gw1, `add ${V4} esp 0x300 -m tunnel -r 32 ${KEYS} -lh 3`);
    await eventually("SA on the slave", async () => (await slaveText()).includes("esp 0x00000300"));
    await eventually("its end", async () => !(await slaveText()).includes("esp 0x00000300"), 20_000);
    await settled();
  });

  test(`${name}: AES-GCM and what is there already the kernel itself refuses`, () => {
    const answers = trySetkey(
      lab.gw1,
      `add ${V4} esp 0x400 -m tunnel -E aes-gcm-16 0x${"1d".repeat(20)}`,
      `add ${V4} esp 0x100 -m tunnel ${KEYS}`,
    );
    assertEquals(answers.map(({ errno }) => errno), [38, 17]); // ENOSYS, EEXIST
  });

  test(`${name}: what somebody takes from the slave is put back`, async () => {
    const before = await readKernel(lab.gw2);
    setkey(lab.gw2, `delete ${V4} esp 0x100`, "spddelete 10.1.0.0/16 10.2.0.0/16 any -P out");
    await settled();
    setkey(lab.gw2, "flush any", "spdflush");
    await settled();
    assertEquals(compareTables("before", before, "after", await readKernel(lab.gw2)), []);
  });

  test(`${name}: flushed`, async () => {
    setkey(lab.gw1, "flush ah", "flush ipcomp");
    await settled();
    assertEquals((await countKernel(lab.gw2)).states, 6);
    setkey(lab.gw1, "flush any", "spdflush");
    await settled();
    assertEquals(await countKernel(lab.gw2), { states: 0, policies: 0 });
    for (const daemon of daemons) assertEquals(await daemon.stop(), 0);
  });
}
