/** The demonstration in the laboratory: two daemons, two network namespaces of a Linux kernel, shown by iproute2. */

import { compareKernels, type KernelEntry, readKernel } from "../lab/kernel.ts";
import { ADDRESS, Network, PREFIX } from "../lab/network.ts";
import type { Node } from "../lab/node.ts";
import { Sasyncd } from "../lab/sasyncd.ts";
import { eventually } from "../lab/step.ts";
import { heading, type Row, say, shortenKey, showTable } from "./screen.ts";

const { client, virtual, gw1, gw2 } = ADDRESS;
const MASTER = "gw1, the master";
const SLAVE = "gw2, the slave";
const PATIENCE_MS = 30_000;

/** @returns the exit status. */
export async function showOnLinux(): Promise<number> {
  const network = await Network.build();
  const { gw1: master, gw2: slave } = network;
  heading("1. Two gateways");
  say(
    "   client 192.0.2.10 ----+---- gw1 ----+---- server",
    "                         +---- gw2 ----+",
    "",
    `   gw1 and gw2 share the address ${virtual.pub.v4} (and ${virtual.pub.v6}). gw1 has it now, so gw1 is the`,
    "   master: the tunnels of the client end at gw1. gw2 waits. Each has tables of its own in its kernel:",
    "   security associations (SAs: one direction of a tunnel, with its key) and policies (which packets use it).",
    "   Two tunnels are made on gw1 with ip(8), as an IKE daemon would make them.",
    "",
  );
  await master.ip(...tunnels());
  await show(master, slave);

  heading("2. sasyncd starts on both");
  const daemons = [
    await Sasyncd.start(slave, configuration("slave", gw2.sync.v4, gw1.sync.v4)),
    await Sasyncd.start(master, configuration("master", gw1.sync.v4, gw2.sync.v4)),
  ];
  await daemons[0]!.waitForLog(/synchronised with/, PATIENCE_MS);
  await waitUntilEqual(master, slave);
  say("   What they log:", ...daemons.flatMap(logLines), "");
  say("   The slave's kernel has it all now, keys included (+ new):", "");
  await showKernel(SLAVE, slave);

  heading("3. The tunnels change while the daemons run");
  say(
    "   On gw1 only: the IPv4 tunnel gets a new outbound SA (0x1003) in the place of the old one (0x1001),",
    "   and the outbound IPv4 policy is replaced by one with priority 500. (+ new, ~ different, - gone)",
    "",
  );
  await master.ip(...changes());
  await waitUntilEqual(master, slave);
  await show(master, slave);

  heading("4. The slave must not use them yet");
  const rules = await guardRules(slave);
  say(
    "   Two senders with the same key and the same sequence numbers would break the tunnel. So the slave holds",
    "   rules that keep packets of the shared addresses in; they go when the daemon goes:",
    "",
    ...rules.map((line) => `     gw2: ip rule: ${line}`),
  );

  heading("5. Compared");
  const differences = await compareKernels(master, slave);
  if (rules.length !== 2) differences.push(`the slave has ${rules.length} such rules, not 2`);
  const { states, policies } = await readKernel(slave);
  for (const daemon of daemons) {
    const code = await daemon.stop();
    if (code !== 0) differences.push(`${daemon.node.name}: exit status ${code}`, daemon.process.tail());
  }
  if (differences.length > 0) say("   Something is wrong:", ...differences);
  else {say(
      `   Both kernels hold the same ${states.length} SAs and ${policies.length} policies.`,
      "   Both daemons have stopped.",
    );}
  say("");
  return differences.length > 0 ? 1 : 0;
}

/** Time limits and counters aside, as those differ on purpose. @throws {Error} with the differences that are left. */
async function waitUntilEqual(master: Node, slave: Node): Promise<void> {
  let differences: readonly string[] = [];
  await eventually("equality of the two kernels", async () => {
    differences = await compareKernels(master, slave);
    return differences.length === 0;
  }, PATIENCE_MS).catch((error) => {
    throw new Error(`${error.message}:\n${differences.join("\n")}`);
  });
}

async function show(master: Node, slave: Node): Promise<void> {
  await showKernel(MASTER, master);
  await showKernel(SLAVE, slave);
}

async function showKernel(title: string, node: Node): Promise<void> {
  const { states, policies } = await readKernel(node);
  const rows = [states.map(stateRow), policies.map(policyRow)];
  showTable(title, rows.flatMap((some) => some.toSorted((a, b) => a.text < b.text ? -1 : 1)));
}

function stateRow({ id, fields }: KernelEntry): Row {
  const algorithms = fields.flatMap((field) => {
    const [, name = "", key = ""] = /^(?:aead|enc|auth-trunc) (\S+) (0x[0-9a-f]+)/.exec(field) ?? [];
    return name === "" ? [] : `${name} ${shortenKey(key)}`;
  });
  return { id, text: `${id.replace(/^state/, "SA    ")}  ${algorithms.join(", ")}` };
}

function policyRow({ id, fields }: KernelEntry): Row {
  const text = fields.join(" ");
  const [, action = "?"] = /\baction (\S+)/.exec(text) ?? [null, "allow"];
  const [, priority = "0"] = /\bpriority (\d+)/.exec(text) ?? [];
  const [, src, dst] = /\btmpl src (\S+) dst (\S+)/.exec(text) ?? [];
  const by = src === undefined ? "" : `, by ${src} > ${dst}`;
  return { id, text: `${id.replace(/ main$/, "")}  ${action}, priority ${priority}${by}` };
}

async function guardRules(node: Node): Promise<string[]> {
  const rules = await node.shell("ip rule; ip -6 rule");
  return rules.split("\n").filter((line) => line.includes("unreachable")).map((line) =>
    line.replaceAll(/\s+/g, " ").trim()
  );
}

function logLines({ node, log }: Sasyncd): string[] {
  return log.filter((line) => /epoch|connected|synchronised/.test(line)).map((line) =>
    `     ${node.name}: ${line}`
  );
}

/** The shared key of the two, made for this run. */
const SHARED_KEY = randomHex(32);

function configuration(mode: "master" | "slave", own: string, peer: string): string {
  return `mode ${mode}\nlisten on ${own}\npeer ${peer}\nsharedkey ${SHARED_KEY}\n`;
}

function randomHex(length: number): string {
  return `0x${crypto.getRandomValues(new Uint8Array(length)).toHex()}`;
}

/** An SA that an IPv4 and one that an IPv6 tunnel might have. */
const gcm = () => `mode tunnel replay-window 64 aead rfc4106(gcm(aes)) ${randomHex(20)} 128`;
const cbc = () =>
  `mode tunnel replay-window 32 auth-trunc hmac(sha256) ${randomHex(32)} 128 enc cbc(aes) ${randomHex(32)}`;

const outV4 = `src ${virtual.pub.v4} dst ${client.pub.v4} proto esp`;
const inV4 = `src ${client.pub.v4} dst ${virtual.pub.v4} proto esp`;
const outV6 = `src ${virtual.pub.v6} dst ${client.pub.v6} proto esp`;
const inV6 = `src ${client.pub.v6} dst ${virtual.pub.v6} proto esp`;

function tunnels(): string[] {
  const [v4, v6] = (["v4", "v6"] as const).map((family) => ({
    out: `src ${PREFIX.in[family]} dst ${PREFIX.inner[family]}`,
    back: `src ${PREFIX.inner[family]} dst ${PREFIX.in[family]}`,
  })) as [Record<"out" | "back", string>, Record<"out" | "back", string>]; // of two families
  return [
    `xfrm state add ${outV4} spi 0x1001 reqid 1 ${gcm()}`,
    `xfrm state add ${inV4} spi 0x1002 reqid 1 ${gcm()}`,
    `xfrm state add ${outV6} spi 0x2001 reqid 2 ${cbc()}`,
    `xfrm state add ${inV6} spi 0x2002 reqid 2 ${cbc()}`,
    outboundPolicy(1000),
    ...["in", "fwd"].map((dir) =>
      `xfrm policy add ${v4.back} dir ${dir} priority 1000 tmpl ${inV4} reqid 1 mode tunnel`
    ),
    `xfrm policy add ${v6.out} dir out priority 1000 tmpl ${outV6} reqid 2 mode tunnel`,
    ...["in", "fwd"].map((dir) =>
      `xfrm policy add ${v6.back} dir ${dir} priority 1000 tmpl ${inV6} reqid 2 mode tunnel`
    ),
    "xfrm policy add dst 10.66.0.0/16 dir out action block priority 100",
  ];
}

function outboundPolicy(priority: number): string {
  const selector = `src ${PREFIX.in.v4} dst ${PREFIX.inner.v4}`;
  return `xfrm policy update ${selector} dir out priority ${priority} tmpl ${outV4} reqid 1 mode tunnel`;
}

function changes(): string[] {
  return [
    `xfrm state add ${outV4} spi 0x1003 reqid 1 ${gcm()}`,
    `xfrm state del ${outV4} spi 0x1001`,
    outboundPolicy(500),
  ];
}
