/** Events that the kernel had no room for: the daemon compares, and nothing is missed. */

import { assertEquals } from "@std/assert";
import {
  ADDRESS,
  compareKernels,
  countKernel,
  fixedConfiguration,
  hasPfkey,
  type Kernels,
  nameOf,
  Network,
  type Node,
  Sasyncd,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";

let kernels: Kernels;
let lab: Network;
let master: Sasyncd;
let slave: Sasyncd;

/** Whatever is with this address stays where it is. */
const LOCAL = "192.0.2.66";

const ends = `src ${ADDRESS.virtual.pub.v4} dst ${ADDRESS.client.pub.v4}`;
const state = (spi: number) => `${ends} proto esp spi 0x${spi.toString(16).padStart(8, "0")}`;
const addState = (spi: number, limits = "", verb = "add") =>
  `xfrm state ${verb} ${state(spi)} mode tunnel ${keys()} ${limits}`;
const keys = () =>
  hasPfkey(kernels)
    ? `replay-window 32 auth-trunc hmac(sha1) 0x${"11".repeat(20)} 96 enc cbc(aes) 0x${"22".repeat(16)}`
    : `replay-window 64 aead rfc4106(gcm(aes)) 0x${"11".repeat(20)} 128`;
const deleteState = (spi: number) => `xfrm state delete ${state(spi)}`;
const net = (n: number) => `10.${n >> 8}.${n & 255}.0/24`;
const policy = (verb: string, n: number, priority = n) =>
  `xfrm policy ${verb} dst ${net(n)} dir out priority ${priority} tmpl ${ends} proto esp mode tunnel`;
const deletePolicy = (n: number) => `xfrm policy delete dst ${net(n)} dir out`;
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

/** A policy of six templates that comes and goes, a local one: 20,000 times is more than any event buffer holds. */
async function flood(node: Node): Promise<void> {
  const template = `tmpl src ${LOCAL} dst ${ADDRESS.client.pub.v4} proto esp mode tunnel`;
  const add = `xfrm policy add dst 10.255.0.0/16 dir out ${Array(6).fill(template).join(" ")}`;
  const script = `for round in $(seq 20000); do echo "$1"; echo "$2"; done | ip -batch -`;
  const startedAt = performance.now();
  await node.run("bash", "-c", script, "bash", add, "xfrm policy delete dst 10.255.0.0/16 dir out");
  step(`${node.name}: 40,000 events in ${Math.round(performance.now() - startedAt)} ms`);
}

/** All of it with these back ends. */
export function overrun(given: Kernels): void {
  const name = nameOf(given);
  /** XFRM tells of it; with PF_KEY the daemon compares now and then. */
  const reason = (mode: keyof Kernels) =>
    given[mode] === "xfrm" ? /comparing with the kernel: events were lost/ : /comparing with the kernel: /;

  test(`${name}: a slave gets what its master has`, async () => {
    kernels = given;
    lab = await Network.build();
    await lab.gw1.ip(
      ...range(1000, 50).map((spi) => addState(spi)),
      ...range(1000, 30).map((n) => policy("add", n)),
    );
    master = await Sasyncd.start(lab.gw1, fixedConfiguration("master", kernels, [`exclude ${LOCAL}`]));
    slave = await Sasyncd.start(lab.gw2, fixedConfiguration("slave", kernels, [`exclude ${LOCAL}`]));
    await slave.waitForLog(/synchronised with .*: 80 records/);
    await waitEqual(lab.gw1, lab.gw2);
  });

  test(`${name}: events lost on the master: it compares with its kernel, and the slave gets what was missed`, async () => {
    const from = master.log.length;
    master.pause();
    await flood(lab.gw1);
    await lab.gw1.ip(
      ...range(1000, 10).map(deleteState),
      ...range(1010, 5).map((spi) => addState(spi, "limit byte-hard 1000000", "update")),
      ...range(2000, 20).map((spi) => addState(spi)),
      ...range(1000, 5).map(deletePolicy),
      ...range(1005, 5).map((n) => policy("update", n, n + 5000)),
      ...range(2000, 5).map((n) => policy("add", n)),
    );
    master.resume();
    await master.waitForLog(reason("master"), 60_000, from);
    await waitEqual(lab.gw1, lab.gw2, 40_000);
    assertEquals(await countKernel(lab.gw2), { states: 60, policies: 30 });
    await lab.gw1.ip(addState(2100), deletePolicy(2000)); // and events are followed as before
    await waitEqual(lab.gw1, lab.gw2);
  });

  test(`${name}: events lost on a slave: it repairs what it could not hear of`, async () => {
    const from = slave.log.length;
    slave.pause();
    await flood(lab.gw2);
    await lab.gw2.ip(
      ...range(1010, 10).map(deleteState),
      ...range(1005, 5).map(deletePolicy),
      policy("update", 1010, 9),
      `xfrm state add src ${LOCAL} dst ${ADDRESS.client.pub.v4} proto esp spi 0x1 enc cipher_null ""`,
    );
    await lab.gw1.ip(...range(2000, 5).map(deleteState), addState(2200));
    slave.resume();
    await slave.waitForLog(reason("slave"), 60_000, from);
    await waitEqual(lab.gw1, lab.gw2, 40_000, { only: ({ id }) => !id.includes(LOCAL) });
    assertEquals((await compareKernels(lab.gw1, lab.gw2)).length, 1); // the local one is still there
    await lab.gw2.ip(`xfrm state delete src ${LOCAL} dst ${ADDRESS.client.pub.v4} proto esp spi 0x1`);
    await lab.gw2.ip(deletePolicy(1015)); // and events are followed as before
    await waitEqual(lab.gw1, lab.gw2);
  });

  test(`${name}: both daemons end as they should`, async () => {
    for (const daemon of [slave, master]) assertEquals(await daemon.stop(), 0);
  });
}
