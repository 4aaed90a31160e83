/**
 * One life of a simulated world, decided by a seed: three gateways, memory kernels, crash, restart, partition, delay,
 * role changes, overruns, handovers; then quiet, a comparison, and a handover in a world that is well.
 */

import { assertEquals } from "@std/assert";
import { HANDOVER_MS } from "../../src/core/handover.ts";
import { slaveRecord } from "../../src/core/slave_record.ts";
import { encodeContent } from "../../src/record/encoding.ts";
import { type IpsecRecord, recordKey } from "../../src/record/record.ts";
import { POLICY_TYPE } from "../../src/record/policy.ts";
import { samplePolicy, sampleSa, sampleSelector, sampleTemplate } from "../fakes/records.ts";
import { addr } from "../fakes/records.ts";
import type { Trace } from "./trace.ts";
import { type Gateway, LOCAL_ENDPOINT, REFUSED_REQID, World } from "./world.ts";

/** How long a world has to become equal once everything is well again: reconnecting takes it up to a second. */
const QUIET_MS = 6000;

/**
 * Trouble, quiet, comparison.
 *
 * @throws {Error} naming the seed and how to run it again; its cause is what went wrong.
 */
export function simulate(seed: number, trace?: Trace): void {
  try {
    const world = new World(seed, 3, seed % 4 === 0 ? "sync" : "startup", trace);
    const locals = world.gateways.map((gateway) => placeLocals(gateway));
    world.setRole(world.gateways[0]!, "MASTER");
    for (const gateway of world.gateways) world.start(gateway);
    world.run(1000);
    for (let i = 0; i < 40; i++) {
      trouble(world);
      world.run(Math.floor(world.random() * 400));
    }
    const master = calm(world);
    world.run(QUIET_MS);
    // what two masters have used at a time may be reached by one of them, if it goes on long enough
    world.hasTraffic = false;
    while (world.gateways.some((gateway) => gateway.node!.handover.withholds(world.nowMs))) {
      world.run(QUIET_MS);
    }
    world.run(1000); // deletions that were withheld until now are told
    for (const [i, gateway] of world.gateways.entries()) check(gateway, master, locals[i]!);
    const last = handOver(world, master);
    for (const [i, gateway] of world.gateways.entries()) check(gateway, last, locals[i]!);
  } catch (error) {
    const again = `.ci/deno run tests/sim/one.ts ${seed}`;
    throw new Error(`seed ${seed} (with a trace: ${again}): ${error}`, { cause: error });
  }
}

/**
 * A world without trouble, but for handovers one after the other under traffic.
 *
 * @throws {Error} naming the seed; its cause is what went wrong.
 */
export function simulateHandovers(seed: number, trace?: Trace): void {
  try {
    const world = new World(seed, 3, "startup", trace);
    const locals = world.gateways.map((gateway) => placeLocals(gateway));
    let master = world.gateways[0]!;
    world.setRole(master, "MASTER");
    for (const gateway of world.gateways) world.start(gateway);
    world.run(QUIET_MS);
    for (let i = 0; i < 4; i++) {
      for (let n = world.random() * 20; n > 0; n--) disturb(world);
      world.run(QUIET_MS);
      master = handOver(world, master);
      for (const [i, gateway] of world.gateways.entries()) check(gateway, master, locals[i]!);
      while (master.node!.handover.withholds(world.nowMs)) world.run(QUIET_MS);
    }
  } catch (error) {
    const again = `.ci/deno run tests/sim/one.ts ${seed} handovers`;
    throw new Error(`seed ${seed} (with a trace: ${again}): ${error}`, { cause: error });
  }
}

/** A local SA and a local policy that nothing may touch. */
function placeLocals({ kernel }: Gateway): Map<string, string> {
  const records: IpsecRecord[] = [
    { kind: "sa", sa: sampleSa({ dst: LOCAL_ENDPOINT, spi: 0x77 }) },
    { kind: "policy", policy: samplePolicy({ templates: [sampleTemplate({ dst: LOCAL_ENDPOINT })] }) },
  ];
  for (const record of records) kernel.apply([{ kind: "put", record }]);
  return contents(records);
}

function trouble(world: World): void {
  const gateway = world.pick(world.gateways);
  const other = world.pick(world.gateways.filter((one) => one !== gateway));
  const dice = world.random();
  if (dice < 0.6) { for (let n = world.random() * 6; n > 0; n--) disturb(world); }
  else if (dice < 0.67) world.crash(gateway);
  else if (dice < 0.76) world.start(gateway);
  else if (dice < 0.83) world.cut(gateway, other);
  else if (dice < 0.88) world.healAll();
  else if (dice < 0.92) gateway.kernel.overrun();
  else if (dice < 0.94) gateway.node?.handOver(world.nowMs);
  else if (dice < 0.97) world.setRole(gateway, world.pick(["MASTER", "SLAVE", "SLAVE", "INIT", "FAIL"]));
  else moveMaster(world, gateway);
}

/** Somebody changes a kernel: on masters an IKE daemon, on a slave somebody who should not. */
function disturb(world: World): void {
  const masters = world.gateways.filter(({ role }) => role === "MASTER");
  const gateway = masters.length > 0 && world.random() < 0.9
    ? world.pick(masters)
    : world.pick(world.gateways);
  const { kernel } = gateway;
  const shared = kernel.records().filter(isShared);
  const dice = world.random();
  if (dice < 0.03) return flush(gateway, () => kernel.flushSas(world.pick([0, 50])));
  if (dice < 0.05) return flush(gateway, () => kernel.flushPolicies(POLICY_TYPE.MAIN));
  if (shared.length > 0 && dice < 0.35) {
    const record = world.pick(shared);
    if (record.kind === "policy") kernel.disturb({ kind: "delete-policy", id: record.policy });
    else if (dice < 0.1) kernel.expire(record.sa);
    else kernel.disturb({ kind: "delete-sa", id: record.sa });
  } else if (gateway.role === "MASTER") kernel.disturb({ kind: "put", record: anyRecord(world) });
}

/** A flush takes the local records too; their owner puts them back. */
function flush({ kernel }: Gateway, act: () => void): void {
  const before = kernel.records().filter((record) => !isShared(record));
  act();
  const left = contents(kernel.records());
  for (const record of before) if (!left.has(recordKey(record))) kernel.disturb({ kind: "put", record });
}

function anyRecord(world: World): IpsecRecord {
  const n = Math.floor(world.random() * 12);
  const reqid = world.pick([1, 2, REFUSED_REQID]);
  if (world.random() < 0.6) {
    const mark = n < 9 ? { value: 0, mask: 0 } : { value: n, mask: 0xff };
    const spi = 0x1000 + (n < 9 ? n : 0x100);
    return { kind: "sa", sa: sampleSa({ spi, reqid, mark, aead: world.freshKey() }) };
  }
  const selector = sampleSelector({
    dst: addr(`10.2.${n}.0`),
    dstBits: world.pick([16, 24]) === 16 ? 24 : 23,
  });
  const even = { ...selector, dst: addr(`10.2.${selector.dstBits === 23 ? n & ~1 : n}.0`) };
  return { kind: "policy", policy: samplePolicy({ selector: even, templates: [sampleTemplate({ reqid })] }) };
}

/**
 * A planned switch, before or after which the old master's IKE daemon ends and deletes all that is shared: nothing is
 * lost, unless the address does not move. @returns the master then
 */
function handOver(world: World, from: Gateway): Gateway {
  const sharedOf = ({ kernel }: Gateway) =>
    contents(kernel.records().filter((record) => isShared(record) && !isRefused(record, from)));
  const before = sharedOf(from);
  const refusal = from.node!.handOver(world.nowMs);
  if (refusal !== undefined) throw new Error(`${from.name} refuses to hand over: ${refusal}`);
  const to = world.pick(world.gateways.slice(0, -1).filter((one) => one !== from));
  const [endsFirst, moves] = [world.random() < 0.5, world.random() < 0.9];
  if (endsFirst) endIke(from);
  world.run(world.random() * 1000);
  if (moves) {
    world.setRole(from, "SLAVE");
    world.run(world.random() * 300);
    world.setRole(to, "MASTER");
  }
  world.run(moves ? QUIET_MS : HANDOVER_MS);
  if (!endsFirst) endIke(from);
  world.run(QUIET_MS);
  assertEquals(from.node!.handover.result.state, moves ? "done" : "failed");
  const [master, wanted] = moves ? [to, before] : [from, new Map<string, string>()];
  // without `flushmode startup` it may have more, which was its own
  const held = [...sharedOf(master)].filter(([key]) => to.sweeps || wanted.has(key));
  assertEquals(new Map(held), wanted, `${master.name}: after the handover`);
  return master;
}

/** An IKE daemon deletes what it has made, and what it thinks that it has. */
function endIke({ kernel }: Gateway): void {
  for (const record of kernel.records().filter(isShared)) {
    kernel.disturb(
      record.kind === "sa"
        ? { kind: "delete-sa", id: record.sa }
        : { kind: "delete-policy", id: record.policy },
    );
  }
}

/** Exactly one gateway holds the address. */
function moveMaster(world: World, to: Gateway): void {
  for (const gateway of world.gateways) world.setRole(gateway, gateway === to ? "MASTER" : "SLAVE");
}

/** All links whole, all daemons up, one master: from now on nobody disturbs. */
function calm(world: World): Gateway {
  const master = world.pick(world.gateways);
  world.tell("world", "quiet");
  world.healAll();
  for (const gateway of world.gateways) world.start(gateway);
  moveMaster(world, master);
  return master;
}

function isShared(record: IpsecRecord): boolean {
  const endpoint = record.kind === "sa" ? record.sa.dst : record.policy.templates[0]?.dst;
  return endpoint?.join() !== LOCAL_ENDPOINT.join();
}

/** Whether one of these gateways has a kernel that does not take it. */
function isRefused(record: IpsecRecord, ...gateways: readonly Gateway[]): boolean {
  const refuses = gateways.some(({ name }) => name === "gw2");
  return refuses && record.kind === "sa" && record.sa.reqid === REFUSED_REQID;
}

/** Key to content; time limits in a slave's form, as those are not the same on purpose. */
function contents(records: readonly IpsecRecord[]): Map<string, string> {
  return new Map(
    records.map((record) => [recordKey(record), encodeContent(slaveRecord(record)).toHex()] as const)
      .toSorted(),
  );
}

/** Local records untouched; shared ones exactly the master's, policies in its order. */
function check(gateway: Gateway, master: Gateway, locals: Map<string, string>): void {
  const records = gateway.kernel.records();
  const refused = (record: IpsecRecord) => isRefused(record, gateway, master);
  const expected = master.kernel.records().filter(isShared).filter((record) => !refused(record));
  assertEquals(
    contents(records.filter((record) => !isShared(record))),
    locals,
    `${gateway.name}: local records`,
  );
  const actual = contents(records.filter(isShared).filter((record) => !refused(record)));
  const wanted = contents(expected);
  // without `flushmode startup` what a slave had of its own stays
  const compared = gateway.sweeps ? actual : new Map([...actual].filter(([key]) => wanted.has(key)));
  assertEquals(compared, wanted, `${gateway.name}: shared records`);
  const policies = (list: readonly IpsecRecord[]) =>
    list.filter((record) => record.kind === "policy" && isShared(record)).map(recordKey);
  assertOverlapOrder(policies(records), policies(expected), gateway.name);
}

/** Policies of 10.2.n.0/24 and the /23 around it stand in the same order. */
function assertOverlapOrder(actual: string[], expected: string[], name: string): void {
  for (const wide of actual.filter((key) => key.includes("/23"))) {
    const net = Number(/10\.2\.(\d+)\.0\/23/.exec(wide)![1]);
    for (const n of [net, net + 1]) {
      const narrow = wide.replace(`10.2.${net}.0/23`, `10.2.${n}.0/24`);
      if (![wide, narrow].every((key) => actual.includes(key) && expected.includes(key))) continue;
      const order = (list: string[]) => list.indexOf(wide) < list.indexOf(narrow);
      assertEquals(order(actual), order(expected), `${name}: order of ${wide} and ${narrow}`);
    }
  }
}
