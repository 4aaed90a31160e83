/** The laboratory itself: what the other scenarios stand on. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  ADDRESS,
  Charon,
  CLIENT_TUNNEL,
  compareKernels,
  countKernel,
  dumpKeys,
  eventually,
  GATEWAY_TUNNEL,
  Network,
  readKernel,
  setkey,
  test,
  trySetkey,
  waitEqual,
} from "../lab/mod.ts";

let lab: Network;
const { client, server, gw1, gw2, gw3, virtual } = ADDRESS;

test("the network connects who shall be connected, IPv4 and IPv6", async () => {
  lab = await Network.build({ gateways: 3 });
  for (const family of ["v4", "v6"] as const) {
    for (const address of [gw1.pub, gw2.pub, gw3.pub]) {
      assertEquals(await lab.client.ping(address[family]), 3);
    }
    for (const address of [gw1.in, gw2.in, gw3.in]) assertEquals(await lab.server.ping(address[family]), 3);
    for (const address of [gw2.sync, gw3.sync]) assertEquals(await lab.gw1.ping(address[family]), 3);
    assertEquals(await lab.client.ping(virtual.pub[family]), 0);
  }
});

test("Network.cut() pulls one cable and join() puts it back", async () => {
  await lab.cut("s-gw2");
  assertEquals(await lab.gw1.ping(gw2.sync.v4), 0);
  assertEquals(await lab.gw1.ping(gw3.sync.v4), 3);
  await lab.join("s-gw2");
  await eventually("answer over the cable", async () => await lab.gw1.ping(gw2.sync.v4) === 3);
});

test("Network.virtualUp() moves the way between client and server", async () => {
  for (const gateway of [lab.gw1, lab.gw2]) {
    await lab.virtualUp(gateway);
    for (const family of ["v4", "v6"] as const) {
      assertEquals(await lab.client.ping(server.in[family], { from: client.inner[family] }), 3);
      const neighbour = await lab.client.run("ip", "neigh", "show", virtual.pub[family]);
      assert(neighbour.includes((await gateway.run("cat", "/sys/class/net/pub/address")).trim()));
    }
    await lab.virtualDown(gateway);
  }
});

const KEYS = "auth-trunc hmac(sha256) 0x" + "11".repeat(32) + " 128 enc cbc(aes) 0x" + "22".repeat(32);

/** A tunnel made by hand, for either end alike: SAs of both directions, and the policies that send by them. */
function tunnelByHand(end: "client" | "gateway"): string[] {
  const [near, far] = [client.pub.v4, gw1.pub.v4];
  const out = end === "client" ? "out" : "in";
  const back = end === "client" ? "in" : "out";
  return [
    `xfrm state add src ${near} dst ${far} proto esp spi 0x1000 reqid 1 mode tunnel replay-window 32 ${KEYS}`,
    `xfrm state add src ${far} dst ${near} proto esp spi 0x1001 reqid 1 mode tunnel replay-window 32 ${KEYS}`,
    `xfrm policy add src ${near} dst ${gw1.in.v4} dir ${out} tmpl src ${near} dst ${far} proto esp reqid 1 mode tunnel`,
    `xfrm policy add src ${gw1.in.v4} dst ${near} dir ${back} tmpl src ${far} dst ${near} proto esp reqid 1 mode tunnel`,
  ];
}

test("a tunnel made by hand carries packets", async () => {
  await lab.client.ip(...tunnelByHand("client"), `route add ${gw1.in.v4}/32 via ${gw1.pub.v4}`);
  await lab.gw1.ip(...tunnelByHand("gateway"));
  assertEquals(await lab.client.ping(gw1.in.v4, { count: 5, from: client.pub.v4 }), 5);
  const { states } = await readKernel(lab.gw1, { include: ["current", "counters"] });
  assertEquals(states.length, 2);
  for (const { fields } of states) assertMatch(fields.join("\n"), /\b5\(packets\)/);
});

test("compareKernels() finds what differs, and nothing in equal kernels", async () => {
  await lab.gw2.ip(...tunnelByHand("gateway"));
  assertEquals(await compareKernels(lab.gw1, lab.gw2), []);
  assertEquals((await compareKernels(lab.gw1, lab.gw2, { include: ["counters"] })).length, 2);

  const [there, back] = ["0x1000", "0x1001"].map((spi) => `proto esp spi ${spi}`);
  await lab.gw2.ip(
    `xfrm state del src ${client.pub.v4} dst ${gw1.pub.v4} ${there}`,
    `xfrm state del src ${gw1.pub.v4} dst ${client.pub.v4} ${back}`,
    `xfrm state add src ${gw1.pub.v4} dst ${client.pub.v4} ${back} reqid 1 mode tunnel replay-window 32 ${
      KEYS.replace(/22$/, "23")
    }`,
    `xfrm policy del src ${client.pub.v4} dst ${gw1.in.v4} dir in`,
    "xfrm policy add dst 10.9.0.0/16 dir out action block",
  );
  const differences = await compareKernels(lab.gw1, lab.gw2);
  assertEquals(differences.length, 4, differences.join("\n"));
  assertMatch(
    differences[0] ?? "",
    /^state 192\.0\.2\.1 > .*: gw1 has \[enc .*22 .*\], gw2 has \[enc .*23 /,
  );
  assertMatch(differences[1] ?? "", /^only in gw1: state 192\.0\.2\.10 > 192\.0\.2\.1 esp 0x00001000$/);
  assertMatch(differences[2] ?? "", /^only in gw1: policy in /);
  assertMatch(differences[3] ?? "", /^only in gw2: policy out 0\.0\.0\.0\/0 > 10\.9\.0\.0\/16/);
  assertEquals(
    await compareKernels(lab.gw1, lab.gw2, { only: ({ id }) => /policy out .* > 192/.test(id) }),
    [],
  );
  assertEquals(await countKernel(lab.gw2), { states: 1, policies: 2 });
});

test("compareKernels() sees the order of policies with equal priority", async () => {
  const policies = ["10.8.0.0/16", "10.8.1.0/24"].map((net) =>
    `xfrm policy add dst ${net} dir out action block`
  );
  for (const gateway of [lab.gw1, lab.gw2]) await gateway.ip("xfrm state flush", "xfrm policy flush");
  await lab.gw1.ip(...policies);
  await lab.gw2.ip(...policies.toReversed());
  assertMatch(
    (await compareKernels(lab.gw1, lab.gw2)).join("\n"),
    /^order of policies \(dir out priority 0\), newest first: /,
  );
  await lab.gw2.ip("xfrm policy flush", ...policies);
  await waitEqual(lab.gw1, lab.gw2);
  await lab.client.ip("xfrm state flush", "xfrm policy flush");
  for (const gateway of [lab.gw1, lab.gw2]) await gateway.ip("xfrm policy flush");
});

test("setkey() makes by PF_KEY what ip makes by netlink, and dumpKeys() reads it", async () => {
  const [v4, v6] = [[virtual.pub.v4, client.pub.v4], [virtual.pub.v6, client.pub.v6]].map((pair) => ({
    key: pair.join(" "),
    ip: `src ${pair[0]} dst ${pair[1]}`,
    tunnel: pair.join("-"),
  }));
  assert(v4 && v6);
  const [sha1, aes] = [`0x${"1a".repeat(20)}`, `0x${"2b".repeat(16)}`];
  setkey(
    lab.gw1,
    `add ${v4.key} esp 0x300 -m tunnel -u 7 -r 32 -E aes-cbc ${aes} -A hmac-sha1 ${sha1} -bh 5000 -n 2 4500 4501`,
    `add ${v6.key} ah 0x301 -m transport -A hmac-sha1 ${sha1}`,
    `add ${v4.key} ipcomp 0x302 -m tunnel -C deflate`,
    `add ${v4.key} esp 0x303 -m tunnel -E aes-cbc ${aes} -A hmac-sha1 ${sha1}`,
    `delete ${v4.key} esp 0x303`,
    `spdadd 10.1.0.0/16 10.2.0.0/16 any -P out prio 9 ipsec esp/tunnel/${v4.tunnel}/unique:7`,
    `spdadd 2001:db8:a::/48 2001:db8:b::1[53] udp -P in ipsec esp/tunnel/${v6.tunnel}/require ah/transport//use`,
    "spdadd 10.1.0.0/16 10.3.0.0/16 any -P fwd discard",
    "spdadd 10.1.0.0/16 10.4.0.0/16 any -P fwd none",
    "spddelete 10.1.0.0/16 10.4.0.0/16 any -P fwd",
  );
  await lab.gw2.ip(
    `xfrm state add ${v4.ip} proto esp spi 0x300 reqid 7 mode tunnel replay-window 32 auth-trunc hmac(sha1) ${sha1} 96 ` +
      `enc cbc(aes) ${aes} limit byte-hard 5000 encap espinudp 4500 4501 0.0.0.0`,
    `xfrm state add ${v6.ip} proto ah spi 0x301 mode transport auth-trunc hmac(sha1) ${sha1} 96`,
    `xfrm state add ${v4.ip} proto comp spi 0x302 mode tunnel comp deflate`,
    `xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out priority 9 tmpl ${v4.ip} proto esp reqid 7 mode tunnel`,
    "xfrm policy add src 2001:db8:a::/48 dst 2001:db8:b::1 proto udp dport 53 dir in " +
      `tmpl ${v6.ip} proto esp mode tunnel tmpl proto ah mode transport level use`,
    "xfrm policy add src 10.1.0.0/16 dst 10.3.0.0/16 dir fwd action block",
  );
  assertEquals(await compareKernels(lab.gw1, lab.gw2), []);
  for (const gateway of [lab.gw1, lab.gw2]) {
    const { states, policies } = dumpKeys(gateway);
    assertEquals([states.length, policies.length], [3, 3]);
    assertEquals(
      states.flatMap(({ extensions }) => extensions.get(9)?.subarray(4).toHex() ?? []),
      ["2b".repeat(16)],
    );
  }
  assertEquals(trySetkey(lab.gw1, `delete ${v4.key} esp 0x999`).map(({ errno }) => errno), [3]);
  setkey(lab.gw1, "flush any", "spdflush");
  assertEquals(await countKernel(lab.gw1), { states: 0, policies: 0 });
  await lab.gw2.ip("xfrm state flush", "xfrm policy flush");
});

test("strongSwan makes a tunnel from client to gw1, rekeys it and takes it down", async () => {
  await lab.virtualUp(lab.gw1);
  const gateway = await Charon.start(lab.gw1, GATEWAY_TUNNEL);
  const peer = await Charon.start(lab.client, CLIENT_TUNNEL);
  await peer.initiate();
  for (const family of ["v4", "v6"] as const) {
    assertEquals(await lab.client.ping(server.in[family], { from: client.inner[family] }), 3);
  }
  const before = await readKernel(lab.gw1, { include: ["current"] });
  assertEquals([before.states.length, before.policies.length], [2, 6]);
  assertMatch(before.states[0]?.fields.join("\n") ?? "", /\b6\(packets\)/);

  await peer.rekey();
  const after = await eventually("two SAs after the rekeying", async () => {
    const tables = await readKernel(lab.gw1);
    return tables.states.length === 2 && tables;
  });
  assert(after.states.every(({ id }) => !before.states.some((old) => old.id === id)));
  assertEquals(await lab.client.ping(server.in.v4, { from: client.inner.v4 }), 3);

  await peer.terminate();
  assertEquals(await countKernel(lab.gw1), { states: 0, policies: 0 });
  await gateway.stop();
  await peer.kill();
});
