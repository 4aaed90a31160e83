/**
 * One life of a simulated world, decided by a seed: two to five gateways, crash, restart, partition, delay, damage, role
 * changes, failing kernels, handovers; then quiet, a comparison, and in some a handover in a world that is well.
 */

import { assert, assertEquals } from "@std/assert";
import { HANDOVER_MS } from "../../src/core/handover.ts";
import { recordOf } from "../../src/core/mirror.ts";
import { slaveRecord } from "../../src/core/slave_record.ts";
import { type Policy, policyKey } from "../../src/record/policy.ts";
import { type IpsecRecord, recordKey } from "../../src/record/record.ts";
import type { Gateway } from "./gateway.ts";
import type { Trace } from "./trace.ts";
import { contents, isShared, placeLocals, withoutLimits, Workload } from "./workload.ts";
import { World } from "./world.ts";

/** How long a world has to become equal once everything is well again; with dials that take their time. */
const QUIET_MS = 6000;
const HEAL_MS = 30_000;

/** How often something goes wrong. */
const TROUBLES = 40;

/** A world and what happens in it. */
interface Life {
  readonly world: World;
  readonly workload: Workload;
  readonly locals: Map<Gateway, Map<string, string>>;
}

/**
 * One world: most have trouble, quiet and a comparison; every 25th has none but handovers, one after the other.
 *
 * @throws {Error} naming the seed and how to run it again; its cause is what went wrong.
 */
export function simulate(seed: number, trace?: Trace): void {
  try {
    const life = begin(seed, trace);
    if (seed % 25 === 0) handOverAgainAndAgain(life);
    else liveThroughTrouble(life, seed % 4 === 1);
  } catch (error) {
    const again = `.ci/deno run tests/sim/one.ts ${seed}`;
    throw new Error(`seed ${seed} (with a trace: ${again}): ${error}`, { cause: error });
  }
}

/** Of every five worlds one speaks in frames; in every tenth records are great and change often. */
function begin(seed: number, trace?: Trace): Life {
  const isHeavy = seed % 10 === 6;
  const world = new World({
    seed,
    nodes: [2, 3, 3, 4, 3, 5, 3, 2, 4, 3][Math.floor(seed / 10) % 10]!,
    flushMode: seed % 4 === 0 && seed % 25 !== 0 ? "sync" : "startup",
    wire: seed % 5 === 3 ? "frames" : "messages",
    strictReplay: seed % 7 === 0,
    collectBytes: isHeavy ? 64 * 1024 : 2000,
    trace,
  });
  const workload = new Workload(world, isHeavy);
  const locals = new Map(world.gateways.map((gateway) => [gateway, placeLocals(gateway)]));
  return { world, workload, locals };
}

function liveThroughTrouble(life: Life, endsWithHandover: boolean): void {
  const { world, workload } = life;
  world.setRole(world.gateways[0]!, "MASTER");
  workload.fill(world.gateways[0]!, world.random() * 30);
  for (const gateway of world.gateways) world.start(gateway);
  world.run(1000);
  for (let i = 0; i < TROUBLES; i++) {
    trouble(life);
    world.run(Math.floor(world.random() * 400));
  }
  const master = calm(life);
  for (const endMs = world.nowMs + HEAL_MS; world.nowMs < endMs && !isWell(world, master);) world.run(500);
  world.run(1000);
  // what two masters have used at a time may be reached by one of them, if it goes on long enough
  world.hasTraffic = false;
  while (world.gateways.some((gateway) => gateway.node!.handover.withholds(gateway.nowMs))) {
    world.run(QUIET_MS);
  }
  world.run(1000); // deletions that were withheld until now are told
  for (const gateway of world.gateways) check(life, gateway, master);
  if (!endsWithHandover || successors(world, master).length === 0) return;
  const last = handOver(life, master);
  for (const gateway of world.gateways) check(life, gateway, last);
}

function handOverAgainAndAgain(life: Life): void {
  const { world, workload } = life;
  let master = world.gateways[0]!;
  world.setRole(master, "MASTER");
  for (const gateway of world.gateways) world.start(gateway);
  world.run(QUIET_MS);
  for (let i = 0; i < 4; i++) {
    for (let n = world.random() * 20; n > 0; n--) workload.disturb();
    world.run(QUIET_MS);
    master = handOver(life, master);
    for (const gateway of world.gateways) check(life, gateway, master);
    while (master.node!.handover.withholds(master.nowMs)) world.run(QUIET_MS);
  }
}

/** What may go wrong, and how often of a hundred times. */
const TROUBLE: readonly (readonly [number, (life: Life, gateway: Gateway, other: Gateway) => void])[] = [
  [50, ({ world, workload }) => {
    for (let n = world.random() * 6; n > 0; n--) workload.disturb();
  }],
  [5, ({ world }, gateway) => world.crash(gateway)],
  [3, loseMachine],
  [9, ({ world }, gateway) => world.start(gateway)],
  [4, ({ world: { paths } }, gateway, other) => {
    paths.cut(gateway.name, other.name);
    paths.cut(other.name, gateway.name);
  }],
  [3, ({ world: { paths } }, gateway, other) => paths.cut(gateway.name, other.name)],
  [2, isolate],
  [5, ({ world }) => world.heal()],
  [2, ({ world: { wire } }, gateway, other) => wire.reset(gateway, other)],
  [1, ({ world: { wire } }) => void (wire.damage = 0.02)],
  [2, ({ world: { paths } }, gateway, other) => paths.slow(gateway.name, other.name, 800)],
  [1, (_, gateway) => void (gateway.slowness = 0.9)],
  [1, ({ world }, gateway) => void (gateway.frozenUntilMs = world.nowMs + world.random() * 5000)],
  [2, (_, gateway) => gateway.kernel.overrun()],
  [1, (_, gateway) => void (gateway.kernel.isFailing = true)],
  [2, (_, gateway) => void gateway.node?.handOver(gateway.nowMs)],
  [
    2,
    ({ world }, gateway) => world.setRole(gateway, world.pick(["MASTER", "SLAVE", "SLAVE", "INIT", "FAIL"])),
  ],
  [1, flap],
  [4, ({ world }, gateway) => moveMaster(world, gateway)],
];

function trouble(life: Life): void {
  const { world } = life;
  const gateway = world.pick(world.gateways);
  const other = world.pick(world.gateways.filter((one) => one !== gateway));
  let dice = world.random() * 100;
  const [, act] = TROUBLE.find(([weight]) => (dice -= weight) < 0)!;
  act(life, gateway, other);
}

/** The machine is without power, and what its kernel had is gone. */
function loseMachine({ world, locals }: Life, gateway: Gateway): void {
  world.crash(gateway, "off");
  gateway.boot();
  locals.set(gateway, placeLocals(gateway));
}

function isolate({ world: { gateways, paths } }: Life, gateway: Gateway): void {
  for (const other of gateways) {
    paths.cut(gateway.name, other.name);
    paths.cut(other.name, gateway.name);
  }
}

/** The address comes and goes, and for moments two have it. */
function flap({ world }: Life, gateway: Gateway): void {
  for (let i = 0; i < 4; i++) {
    world.setRole(gateway, world.pick(["MASTER", "SLAVE"]));
    world.run(world.random() * 200);
  }
}

/** Exactly one gateway holds the address. */
function moveMaster(world: World, to: Gateway): void {
  for (const gateway of world.gateways) world.setRole(gateway, gateway === to ? "MASTER" : "SLAVE");
}

/** All links whole, all daemons up, one master: from now on nobody disturbs. */
function calm({ world }: Life): Gateway {
  const master = world.pick(world.gateways);
  world.tell("world", "quiet");
  world.hurry();
  world.heal();
  for (const gateway of world.gateways) world.start(gateway);
  moveMaster(world, master);
  return master;
}

/** Whether all follow the master and have taken all that it has, and who holds all of it is not demoted. */
function isWell({ gateways }: World, master: Gateway): boolean {
  const { acting, epoch } = master.node!.membership;
  if (!acting || gateways.some(({ isBehind }) => isBehind)) return false;
  return gateways.every(({ name, node, kernel }) =>
    name === master.name ||
    node!.membership.followed === master.name && node!.membership.epoch === epoch && node!.synced &&
      master.node!.lag(name, master.nowMs)?.changes === 0 && (kernel.refuses || !node!.demotion.demoted)
  );
}

/** Who may become master after this one: those that take everything. */
function successors({ gateways }: World, from: Gateway): Gateway[] {
  return gateways.filter((one) => one !== from && !one.kernel.refuses);
}

/**
 * A planned switch, before or after which the old master's IKE daemon ends and deletes all that is shared: nothing is
 * lost, unless the address does not move. @returns the master then
 */
function handOver({ world, workload }: Life, from: Gateway): Gateway {
  const sharedOf = ({ kernel }: Gateway) => {
    const records = kernel.records().filter((record) => isShared(record) && !from.kernel.isRefused(record));
    return contents(records, withoutLimits);
  };
  const before = sharedOf(from);
  const refusal = from.node!.handOver(from.nowMs);
  if (refusal !== undefined) throw new Error(`${from.name} refuses to hand over: ${refusal}`);
  const to = world.pick(successors(world, from));
  const [endsFirst, moves] = [world.random() < 0.5, world.random() < 0.9];
  if (endsFirst) workload.endIke(from);
  world.run(world.random() * 1000);
  if (moves) {
    world.setRole(from, "SLAVE");
    world.run(world.random() * 300);
    world.setRole(to, "MASTER");
  }
  world.run(moves ? QUIET_MS : HANDOVER_MS);
  const isFree = (one: Gateway) => one !== from && !one.node!.demotion.demoted;
  assert(moves || world.gateways.some(isFree), "nobody is there whose preference is not lowered");
  if (!endsFirst) workload.endIke(from);
  world.run(QUIET_MS);
  assertEquals(from.node!.handover.result.state, moves ? "done" : "failed");
  const [master, wanted] = moves ? [to, before] : [from, new Map<string, string>()];
  // without `flushmode startup` it may have more, which was its own
  const held = [...sharedOf(master)].filter(([key]) => to.options.sweeps || wanted.has(key));
  assertEquals(new Map(held), wanted, `${master.name}: after the handover`);
  return master;
}

/** Local records untouched; shared ones exactly the master's, policies in its order. */
function check({ locals }: Life, gateway: Gateway, master: Gateway): void {
  const records = gateway.kernel.records();
  const refused = (record: IpsecRecord) => [gateway, master].some(({ kernel }) => kernel.isRefused(record));
  const expected = master.kernel.records().filter(isShared).filter((record) => !refused(record));
  assertEquals(
    contents(records.filter((record) => !isShared(record))),
    locals.get(gateway),
    `${gateway.name}: local records`,
  );
  const actual = records.filter(isShared).filter((record) => !refused(record));
  const wanted = contents(expected, withoutLimits);
  // without `flushmode startup` what a slave had of its own stays
  const compared = actual.filter((record) => gateway.options.sweeps || wanted.has(recordKey(record)));
  assertEquals(contents(compared, withoutLimits), wanted, `${gateway.name}: shared records`);
  const known = [...master.node!.mirror.values()].map((entry) => recordOf(entry, master.nowMs));
  const limited = known.filter((record) => !refused(record));
  const form = gateway === master ? undefined : slaveRecord;
  assertEquals(contents(compared), contents(limited, form), `${gateway.name}: limits of shared records`);
  const policies = (list: readonly IpsecRecord[]) =>
    list.flatMap((record) => record.kind === "policy" && isShared(record) ? [record.policy] : []);
  assertOverlapOrder(policies(records), policies(expected), gateway.name);
}

/** Of policies that overlap and have the same priority the same one wins. */
function assertOverlapOrder(actual: Policy[], expected: Policy[], name: string): void {
  const orderOf = (list: readonly Policy[]) => {
    const placed = list.map((policy, place) => ({ policy, place }));
    return placed.flatMap(({ policy: wide, place }) =>
      placed.filter(({ policy }) => isWithin(policy, wide) && policy.priority === wide.priority)
        .map((narrow) =>
          `${policyKey(wide)} ${place < narrow.place ? "before" : "after"} ${policyKey(narrow.policy)}`
        )
    ).toSorted();
  };
  const keys = new Set(expected.map(policyKey));
  assertEquals(
    orderOf(actual.filter((policy) => keys.has(policyKey(policy)))),
    orderOf(expected),
    `${name}: order`,
  );
}

/** 10.2.n.0/24 in the /23 around it. */
function isWithin({ selector: narrow }: Policy, { selector: wide }: Policy): boolean {
  return narrow.dstBits === 24 && wide.dstBits === 23 && (narrow.dst[2]! & ~1) === wide.dst[2];
}
