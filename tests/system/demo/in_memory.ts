/** The demonstration without root and guest: two gateways in this process, real TCP between them, kernels in memory. */

import { SystemClock, SystemRandom } from "../../../ffi/clock.ts";
import { type Libc, openLibc } from "../../../ffi/libc.ts";
import { FfiPoller } from "../../../ffi/poll.ts";
import { FfiTransport } from "../../../ffi/tcp.ts";
import { parseConfig } from "../../../src/config/parse_config.ts";
import { makeGateway } from "../../../src/daemon/daemon.ts";
import { MemoryKernel } from "../../../src/daemon/memory_kernel.ts";
import { resolveConfig } from "../../../src/daemon/resolve_config.ts";
import type { Gateway } from "../../../src/daemon/gateway.ts";
import { SILENT_LOG } from "../../fakes/log.ts";
import { formatAddress } from "../../../src/record/address.ts";
import { algorithmName, ENCR } from "../../../src/record/algorithms.ts";
import { LockedTracker } from "../../../src/daemon/locked_tracker.ts";
import type { Clock } from "../../../src/ports.ts";
import { encodeContent } from "../../../src/record/encoding.ts";
import { ACTION, DIRECTION, type Policy } from "../../../src/record/policy.ts";
import { identityOf, type IpsecRecord, recordKey } from "../../../src/record/record.ts";
import type { Sa } from "../../../src/record/sa.ts";
import { describe } from "../../../src/core/describe.ts";
import { addr, samplePolicy, sampleSa, sampleTemplate } from "../../fakes/records.ts";
import { eventually } from "../lab/step.ts";
import { heading, type Row, say, shortenKey, showTable } from "./screen.ts";

const MASTER = "gw1, the master";
const SLAVE = "gw2, the slave";
const HOSTS = ["127.0.0.1", "127.0.0.2"] as const;
const [SHARED, CLIENT] = [addr("192.0.2.100"), addr("192.0.2.10")];
const PATIENCE_MS = 20_000;

/** @returns the exit status. */
export async function showInMemory(): Promise<number> {
  say(
    "What follows is the same with two gateways in one process: the decisions, the protocol and TCP are real; the two",
    "kernels are tables in memory, and there are no routing rules that keep the slave from sending.",
  );
  const libc = openLibc();
  const clock = new SystemClock(libc);
  const [master, slave] = [new MemoryKernel(clock), new MemoryKernel(clock)];
  heading("1. Two gateways");
  say(
    "   They share an address; gw1 has it, so gw1 is the master. Its kernel holds a tunnel: security associations",
    "   (SAs: one direction of a tunnel, with its key) and policies (which packets use it).",
    "",
  );
  for (const record of tunnel()) master.disturb({ kind: "put", record });
  show(master, slave);

  heading("2. sasyncd starts on both");
  const log: string[] = [];
  const gateways = startBoth(libc, clock, [master, slave], log);
  const ends = gateways.map((gateway) => gateway.run());
  await waitUntilEqual(master, slave);
  say("   What they log:", ...log.map((line) => `     ${line}`), "");
  show(master, slave);

  heading("3. The tunnel changes while the daemons run");
  say("   On gw1 only: a new outbound SA in the place of the old one, and its policy replaced.");
  say("   (+ new, ~ different, - gone)", "");
  master.disturb({ kind: "put", record: { kind: "sa", sa: outboundSa(0x1003) } });
  master.disturb({ kind: "delete-sa", id: outboundSa(0x1001) });
  master.disturb({ kind: "put", record: { kind: "policy", policy: outboundPolicy(500) } });
  await waitUntilEqual(master, slave);
  show(master, slave);

  heading("4. Compared");
  for (const gateway of gateways) gateway.stop("the demonstration is over");
  await Promise.all(ends);
  say(`   Both hold the same ${slave.records().length} records. Both gateways have stopped.`, "");
  return 0;
}

/** Both gateways, listening on ports that are free; not running yet. */
function startBoth(
  libc: Libc,
  clock: Clock,
  [master, slave]: readonly [MemoryKernel, MemoryKernel],
  log: string[],
): Gateway[] {
  const transport = new FfiTransport(libc);
  const listeners = HOSTS.map((host) => transport.listen({ address: addr(host), port: 0 }));
  const key = new SystemRandom().bytes(32).toHex();
  const at = HOSTS.map((host, i) => `${host} port ${listeners[i]!.at.port}`);
  return ([["gw1", "master", master], ["gw2", "slave", slave]] as const).map(([name, mode, kernel], i) => {
    const text = `mode ${mode}\nlisten on ${at[i]}\npeer ${at[1 - i]}\nsharedkey 0x${key}\nkernel memory\n`;
    const config = parseConfig(text, `${name}.conf`, () => "there is no key file");
    const resolved = resolveConfig(config, { host: () => [], interfaceAddresses: () => [] });
    return makeGateway(config, resolved, {
      clock,
      random: new SystemRandom(),
      poller: new FfiPoller(libc),
      transport,
      listeners: [listeners[i]!],
      kernel,
      guard: { set() {} },
      tracker: new LockedTracker(mode),
      log: { ...SILENT_LOG, state: (message) => log.push(`${name}: ${message}`) },
      os: Deno.build.os,
    });
  });
}

async function waitUntilEqual(master: MemoryKernel, slave: MemoryKernel): Promise<void> {
  await eventually("equality of the two kernels", () => contents(master) === contents(slave), PATIENCE_MS);
}

/** Everything but counters and ages. */
function contents(kernel: MemoryKernel): string {
  return kernel.records().map((record) => `${recordKey(record)} ${encodeContent(record).toHex()}`).toSorted()
    .join("\n");
}

function show(master: MemoryKernel, slave: MemoryKernel): void {
  for (const [title, kernel] of [[MASTER, master], [SLAVE, slave]] as const) {
    showTable(title, kernel.records().map(rowOf).toSorted((a, b) => a.text < b.text ? -1 : 1));
  }
}

function rowOf(record: IpsecRecord): Row {
  const details = record.kind === "sa" ? describeKey(record.sa) : describeAction(record.policy);
  return { id: recordKey(record), text: `${describe(identityOf(record))}  ${details}` };
}

function describeKey({ src, aead }: Sa): string {
  const algorithm = aead && `${algorithmName(ENCR, aead.id)} ${shortenKey(aead.key.toHex())}`;
  return `from ${formatAddress(src)}, ${algorithm ?? "no AEAD"}`;
}

function describeAction({ action, priority }: Policy): string {
  return `${action === ACTION.BLOCK ? "block" : "allow"}, priority ${priority}`;
}

function tunnel(): IpsecRecord[] {
  return [
    { kind: "sa", sa: outboundSa(0x1001) },
    { kind: "sa", sa: freshSa({ src: CLIENT, dst: SHARED, spi: 0x1002 }) },
    { kind: "policy", policy: outboundPolicy(1000) },
    {
      kind: "policy",
      policy: samplePolicy({
        direction: DIRECTION.IN,
        templates: [sampleTemplate({ src: CLIENT, dst: SHARED })],
      }),
    },
  ];
}

function outboundSa(spi: number): Sa {
  return freshSa({ src: SHARED, dst: CLIENT, spi });
}

/** With a key of its own. */
function freshSa(overrides: Pick<Sa, "src" | "dst" | "spi">): Sa {
  const key = crypto.getRandomValues(new Uint8Array(20));
  return sampleSa({ ...overrides, aead: { id: ENCR.AES_GCM_16, keyBits: 160, key, icvBits: 128 } });
}

function outboundPolicy(priority: number): Policy {
  return samplePolicy({ priority, templates: [sampleTemplate({ src: SHARED, dst: CLIENT })] });
}
