/**
 * A slave must not be able to send on a mirrored SA: one packet of its own makes the client drop the master's.
 * The means is a routing rule for each local tunnel endpoint, which goes with the daemon, however that ends.
 */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  countKernel,
  delay,
  eventually,
  fixedConfiguration,
  hasPfkey,
  type Kernels,
  nameOf,
  Network,
  type Node,
  type Process,
  readKernel,
  Sasyncd,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";

const { client, gw1, gw2, server, virtual } = ADDRESS;
const FAMILIES = ["v4", "v6"] as const;
const GCM = `aead rfc4106(gcm(aes)) 0x${"3c".repeat(20)} 128`;
const CBC = `auth-trunc hmac(sha1) 0x${"3c".repeat(20)} 96 enc cbc(aes) 0x${"4d".repeat(16)}`;

/** From the gateway's virtual address to the client: SPI and reqid by family. */
const OUTBOUND = { v4: "0x2001", v6: "0x2002" };
const INBOUND = { v4: "0x1001", v6: "0x1002" };

let kernels: Kernels;
let lab: Network;
let slave: Sasyncd;

/** SAs and policies of both families for the client's tunnel, made by hand at one of its ends. */
function tunnel(end: "client" | "gateway"): string[] {
  const [out, back] = end === "client" ? ["out", "in"] : ["in", "out"];
  return FAMILIES.flatMap((family, reqid) => {
    const [far, near] = [client.pub[family], virtual.pub[family]];
    const [inner, behind] = [client.inner[family], family === "v4" ? "198.51.100.0/24" : "2001:db8:2::/64"];
    const rest = `proto esp reqid ${reqid + 1} mode tunnel`;
    const state = (spi: string) =>
      `proto esp spi ${spi} reqid ${reqid + 1} mode tunnel replay-window 32 ${hasPfkey(kernels) ? CBC : GCM}`;
    const policy = (direction: string) => [
      ...(direction === "in" ? [direction, ...(end === "gateway" ? ["fwd"] : [])] : [direction]),
    ];
    return [
      `xfrm state add src ${far} dst ${near} ${state(INBOUND[family])}`,
      `xfrm state add src ${near} dst ${far} ${state(OUTBOUND[family])}`,
      ...policy(out!).map((dir) =>
        `xfrm policy add src ${inner} dst ${behind} dir ${dir} tmpl src ${far} dst ${near} ${rest}`
      ),
      ...policy(back!).map((dir) =>
        `xfrm policy add src ${behind} dst ${inner} dir ${dir} tmpl src ${near} dst ${far} ${rest}`
      ),
    ];
  });
}

async function startSlave(records: number): Promise<Sasyncd> {
  const daemon = await Sasyncd.start(lab.gw2, fixedConfiguration("slave", kernels));
  await daemon.waitForLog(new RegExp(`synchronised with \\S+: ${records} records`), 60_000);
  return daemon;
}

/** Waits until there is no such process. */
const gone = (pid: number) =>
  eventually(`end of process ${pid}`, async () => (await lab.gw2.try("test", "-e", `/proc/${pid}`)).code);

/** The guard's rules in a node, as `ip rule` shows them. */
async function rules(node: Node): Promise<string[]> {
  const texts = [await node.run("ip", "-N", "rule"), await node.run("ip", "-N", "-6", "rule")];
  return texts.join("").split("\n").filter((line) => /proto 83\b/.test(line));
}

/** The addresses in them. */
async function guarded(node: Node): Promise<string[]> {
  return (await rules(node)).map((line) => /from (\S+)/.exec(line)?.[1] ?? line).sort();
}

const BOTH = [virtual.pub.v4, virtual.pub.v6].sort();

async function waitForGuard(addresses: readonly string[], timeoutMs = 15_000): Promise<void> {
  await eventually(
    `guard of [${addresses}]`,
    async () => (await guarded(lab.gw2)).join() === addresses.join(),
    timeoutMs,
  );
}

/** The last sequence number of the outbound SA in a node's kernel. */
async function oseq(node: Node, family: "v4" | "v6"): Promise<number> {
  const { states } = await readKernel(node, { include: ["counters"] });
  const state = states.find(({ id }) => id.includes(`esp 0x0000${OUTBOUND[family].slice(2)}`));
  const found = /oseq 0x([0-9a-f]+)/.exec(state?.fields.join("\n") ?? "")?.[1];
  assert(found !== undefined, `${node.name}: no outbound SA ${family}`);
  return parseInt(found, 16);
}

/** How often the client has dropped a packet as a replay. */
async function replaysAtClient(): Promise<number> {
  return Number(/XfrmInStateSeqError\s+(\d+)/.exec(await lab.client.run("cat", "/proc/net/xfrm_stat"))?.[1]);
}

/** ESP that has come out of gw2, as the client's cable carries it. */
class Esp {
  readonly #process: Process;

  private constructor(process: Process) {
    this.#process = process;
  }

  static async watch(): Promise<Esp> {
    const process = lab.gw2.spawn(
      ...["tcpdump", "-lnni", "pub", "-Q", "out", "(ip proto 50) or (ip6 proto 50)"],
    );
    await process.waitForLine(/listening on/);
    return new Esp(process);
  }

  get count(): number {
    return this.#process.countLines(/ESP\(spi=/);
  }

  async stop(): Promise<void> {
    await this.#process.end("SIGINT");
  }
}

/** What a slave's own packet would look like: from inside the gateway, through the tunnel, to the client. */
async function pingFromSlave(family: "v4" | "v6"): Promise<void> {
  assertEquals(await lab.gw2.ping(client.inner[family], { count: 5, from: gw2.in[family] }), 0);
}

/** Of the client, so that it asks again who has the virtual address: gw1, which answers for it. */
async function forgetNeighbours(): Promise<void> {
  const hardware = (await lab.gw1.run("cat", "/sys/class/net/pub/address")).trim();
  await lab.client.ip(
    ...FAMILIES.map((family) =>
      `neigh replace ${virtual.pub[family]} lladdr ${hardware} dev pub nud permanent`
    ),
  );
}

/** One outbound SA and policy per family, to a client of its own. */
function manyTunnels(i: number): string[] {
  return FAMILIES.flatMap((family) => {
    const [near, far] = [
      virtual.pub[family],
      family === "v4" ? `192.0.2.${i % 100 + 101}` : `2001:db8:1::9:${i}`,
    ];
    const inner = family === "v4" ? `10.2.${i}.0/24` : `2001:db8:20:${i}::/64`;
    const spi = 0x10000 + i;
    return [
      `xfrm state add src ${near} dst ${far} proto esp spi ${spi} reqid ${100 + i} mode tunnel ${
        hasPfkey(kernels) ? CBC : GCM
      }`,
      `xfrm policy add dst ${inner} dir out tmpl src ${near} dst ${far} proto esp reqid ${
        100 + i
      } mode tunnel`,
    ];
  });
}

/** All of it with these back ends; with PF_KEY not how a crash ends it. */
export function guard(given: Kernels): void {
  const name = nameOf(given);

  test(`${name}: a slave with the virtual address and no guard sends ESP, and the client drops the master's`, async () => {
    kernels = given;
    lab = await Network.build();
    await lab.virtualUp(lab.gw1);
    await lab.client.ip(...tunnel("client"));
    await lab.gw1.ip(...tunnel("gateway"));
    await lab.gw2.ip(...tunnel("gateway"));
    assertEquals(await guarded(lab.gw2), []);
    const esp = await Esp.watch();
    for (const family of FAMILIES) {
      assertEquals(await lab.client.ping(server.in[family], { from: client.inner[family] }), 3);
      await lab.gw2.ip(`addr add ${virtual.pub[family]} dev pub nodad`);
      await lab.gw2.ping(client.inner[family], { count: 10, from: gw2.in[family] });
      await lab.gw2.ip(`addr del ${virtual.pub[family]} dev pub`);
      assertEquals(await oseq(lab.gw2, family), 10);
    }
    await eventually("ESP of both families from gw2", () => esp.count === 20);
    await esp.stop();
    await forgetNeighbours();
    const before = await replaysAtClient();
    await lab.client.ping(server.in.v4, { from: client.inner.v4 });
    assert(await replaysAtClient() > before, "the client takes the master's packets for replays");
    for (const node of [lab.client, lab.gw1, lab.gw2]) {
      await node.shell("ip xfrm state flush; ip xfrm policy flush");
    }
  });

  test(`${name}: the guard comes with the first tunnel and names its local side only`, async () => {
    await Sasyncd.start(lab.gw1, fixedConfiguration("master", kernels));
    slave = await startSlave(0);
    assertEquals(await guarded(lab.gw2), []);
    await lab.client.ip(...tunnel("client"));
    await lab.gw1.ip(...tunnel("gateway"));
    await waitEqual(lab.gw1, lab.gw2);
    assertEquals(await countKernel(lab.gw2), { states: 4, policies: 6 });
    assertEquals(await guarded(lab.gw2), BOTH);
    assertEquals(await guarded(lab.gw1), []);
  });

  for (const present of [false, true]) {
    const where = present ? "present" : "absent";
    test(`${name}: virtual address ${where} on the slave: no ESP leaves it, the master loses nothing`, async () => {
      if (present) {
        // not announced: the client goes on to send to gw1
        await lab.gw2.ip(...FAMILIES.map((family) => `addr add ${virtual.pub[family]} dev pub nodad`));
      }
      await forgetNeighbours();
      const before = await Promise.all(FAMILIES.map((family) => oseq(lab.gw2, family)));
      const replays = await replaysAtClient();
      const esp = await Esp.watch();
      const traffic = FAMILIES.map((family) =>
        lab.gw1.spawn("ping", "-i", "0.05", "-c", "60", "-I", gw1.in[family], client.inner[family])
      );
      for (const family of FAMILIES) await pingFromSlave(family);
      for (const one of traffic) {
        await one.ended;
        assert(one.countLines(/60 packets transmitted, 60 received/) === 1, one.tail(3));
      }
      assertEquals(await Promise.all(FAMILIES.map((family) => oseq(lab.gw2, family))), before);
      assertEquals(await replaysAtClient(), replays);
      await delay(500); // what tcpdump takes to write
      assertEquals(esp.count, 0);
      await esp.stop();
      step("60 of 60 pings of the master for each family, no ESP from the slave");
      if (present) await lab.gw2.ip(...FAMILIES.map((family) => `addr del ${virtual.pub[family]} dev pub`));
    });
  }

  test(`${name}: the guard goes with the tunnels and comes back with them`, async () => {
    await lab.gw1.shell("ip xfrm state flush; ip xfrm policy flush");
    await waitForGuard([]);
    assertEquals(await countKernel(lab.gw2), { states: 0, policies: 0 });
    await lab.gw1.ip(...tunnel("gateway"));
    await waitEqual(lab.gw1, lab.gw2);
    assertEquals(await guarded(lab.gw2), BOTH);
  });

  test(`${name}: after SIGTERM the guard is gone with the daemon`, async () => {
    assertEquals(await slave.stop(), 0);
    assertEquals(await guarded(lab.gw2), []);
  });

  if (hasPfkey(given)) return; // how a helper ends the guard has nothing to do with the kernel's SAs
  test(`${name}: after SIGKILL the guard is gone within seconds`, async () => {
    slave = await startSlave(10);
    await waitForGuard(BOTH);
    await slave.kill();
    await waitForGuard([]);
  });

  test(`${name}: killed as soon as the guard stands, when its helper has hardly begun: it goes all the same`, async () => {
    slave = await Sasyncd.start(lab.gw2, fixedConfiguration("slave", kernels));
    await waitForGuard(BOTH, 60_000);
    await slave.kill();
    await waitForGuard([]);
  });

  test(`${name}: a daemon started at once after a crash keeps its guard, however late the old one's helper is`, async () => {
    slave = await startSlave(10);
    await waitForGuard(BOTH);
    const helper = Number(await lab.gw2.run("pgrep", "-P", `${slave.process.pid}`, "-f", "helper"));
    Deno.kill(helper, "SIGSTOP"); // it keeps stderr open, too
    const old = await rules(lab.gw2);
    const { process: dying } = slave;
    dying.signal("SIGKILL");
    await gone(dying.pid);
    assertEquals(await rules(lab.gw2), old);
    slave = await startSlave(10);
    const own = await rules(lab.gw2);
    assertEquals(await guarded(lab.gw2), BOTH);
    assert(own.every((rule) => !old.includes(rule)), "nothing of the old daemon's stays");
    Deno.kill(helper, "SIGCONT");
    await gone(helper);
    await dying.ended;
    assertEquals(await rules(lab.gw2), own);
    assertEquals(await slave.stop(), 0);
    assertEquals(await rules(lab.gw2), []);
  });

  test(`${name}: a snapshot of 200 tunnels with one local endpoint has one rule for each family`, async () => {
    await lab.gw1.ip(...Array.from({ length: 200 }, (_, i) => manyTunnels(i)).flat());
    slave = await startSlave(10 + 200 * 2 * 2);
    await waitEqual(lab.gw1, lab.gw2, 60_000);
    assertEquals(await guarded(lab.gw2), BOTH);
    assertEquals((await rules(lab.gw2)).length, 2);
    await slave.kill();
    await waitForGuard([]);
  });
}
