/**
 * Three daemons that speak classic, or two of them native, in a world of chance: latency, frames in pieces, changes, flushes, restarts, roles
 * that move, with two masters or none meanwhile. After quiet all have what the master has.
 */

import { assertEquals } from "@std/assert";
import type { KernelChange } from "../../../src/ports.ts";
import type { IpsecRecord } from "../../../src/record/record.ts";
import { rawRecord } from "../../fakes/classic.ts";
import { FakeDaemon } from "../../fakes/gateways.ts";
import { MovedTracker } from "../../fakes/roles.ts";
import { World } from "../../fakes/world.ts";
import { randomOf } from "../../sim/world.ts";

const SEEDS = 60;
const STEPS = 25;
const ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const MORE = "protocol classic\nkernel memory openbsd";
const NAMES = [
  ...["ESP with AES-128", "ESP with AES-192", "ESP with AES-256", "ESP with AES-CTR", "AH transport"],
  ...["flow out, use", "flow in, use", "flow out, acquire"],
];

class Group {
  readonly world = new World();
  readonly #trackers: ReadonlyMap<string, MovedTracker>;
  readonly #daemons = new Map<string, FakeDaemon>();
  #master = ADDRESSES[0]!;

  /** `isMixed`: the first two speak native with each other. */
  constructor(private readonly random: () => number, private readonly isMixed: boolean) {
    const { clock, network } = this.world;
    clock.wallSeconds = () => 1_700_000_000 + Math.floor(clock.nowMs / 1000);
    this.#trackers = new Map(
      ADDRESSES.map((one) => [one, new MovedTracker(network, one === this.#master ? "MASTER" : "SLAVE")]),
    );
    network.latencyMs = () => Math.floor(random() * 200);
    network.chop = () => 1 + Math.floor(random() * (random() < 0.5 ? 10 : 3000));
    for (const address of ADDRESSES) this.#start(address);
  }

  get master(): FakeDaemon {
    return this.#daemons.get(this.#master)!;
  }

  get all(): FakeDaemon[] {
    return [...this.#daemons.values()];
  }

  async step(): Promise<void> {
    const chance = this.random();
    const record = rawRecord(this.#pick(NAMES));
    if (chance < 0.4) this.master.disturb({ kind: "put", record });
    else if (chance < 0.7) this.master.disturb(goneOf(record));
    else if (chance < 0.8) await this.#restart(this.#pick(ADDRESSES));
    else if (chance < 0.85) this.#flush();
    else if (chance < 0.95) await this.#move(this.#pick(ADDRESSES));
    await this.world.run(this.random() * 4000);
  }

  #pick(from: readonly string[]): string {
    return from[Math.floor(this.random() * from.length)]!;
  }

  #start(address: string, held: readonly IpsecRecord[] = []): void {
    const third = ADDRESSES[2]!;
    const isClassic = (other: string) => !this.isMixed || address === third || other === third;
    const peers = ADDRESSES.filter((other) => other !== address)
      .map((other) => isClassic(other) ? other : `${other} protocol native`);
    const tracker = this.#trackers.get(address)!;
    const daemon = new FakeDaemon(this.world, { address, peers, mode: "slave", more: MORE, tracker });
    daemon.kernel.apply(held.map((record) => ({ kind: "put", record })));
    this.#daemons.set(address, daemon);
  }

  /** Its kernel keeps what it has, or the machine was started again. */
  async #restart(address: string): Promise<void> {
    const { gateway, kernel } = this.#daemons.get(address)!;
    gateway.stop("restart");
    await this.world.run(1000 + this.random() * 3000);
    const keeps = address === this.#master || this.random() < 0.5;
    this.#start(address, keeps ? kernel.records() : []);
  }

  #flush(): void {
    this.master.kernel.flushSas(50);
    this.master.poller.wake();
  }

  async #move(to: string): Promise<void> {
    const moves = [() => this.#trackers.get(to)!.move("MASTER")];
    if (to !== this.#master) moves.push(() => this.#trackers.get(this.#master)!.move("SLAVE"));
    if (this.random() < 0.5) moves.reverse();
    for (const move of moves) {
      move();
      await this.world.run(this.random() * 3000);
    }
    this.#master = to;
  }
}

function goneOf(record: IpsecRecord): KernelChange {
  return record.kind === "sa"
    ? { kind: "delete-sa", id: record.sa }
    : { kind: "delete-policy", id: record.policy };
}

for (let seed = 1; seed <= SEEDS; seed++) {
  Deno.test(`three daemons, ${seed % 2 === 0 ? "one" : "all"} classic, in a world of chance, seed ${seed}`, async () => {
    const group = new Group(randomOf(seed), seed % 2 === 0);
    for (let step = 0; step < STEPS; step++) await group.step();
    await group.world.run(30_000);
    for (const { contents, log } of group.all.map((one) => ({ contents: one.contents(), log: one.log }))) {
      assertEquals(contents, group.master.contents(), log.lines.slice(-10).join("\n"));
    }
  });
}
