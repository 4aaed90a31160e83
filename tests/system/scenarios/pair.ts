/** Two gateways of which gw1 is master at first, a warm process that moves their address, and what happens to them. */

import { Network, type Node, type Sasyncd, step, test } from "../lab/mod.ts";
import { cablesOf, death, forget, give, startDaemon, take, waitForRole, Warm } from "./failover.ts";

let pair: Pair | undefined;

/** A test whose scenario has a pair: the logs of both daemons are shown when it fails. */
export function testPair(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    try {
      await body();
    } catch (error) {
      for (const daemon of pair === undefined ? [] : [pair.one, pair.two]) {
        step(`${daemon.node.name}\n${daemon.process.tail(60)}`);
      }
      throw error;
    }
  });
}

export class Pair {
  private constructor(
    readonly lab: Network,
    readonly warm: Warm,
    /** gw1's daemon: another one after each crash. */
    public one: Sasyncd,
    /** gw2's. */
    readonly two: Sasyncd,
  ) {}

  /** Builds the network and starts both daemons. Returns when gw2 has what gw1 has. */
  static async start(): Promise<Pair> {
    const lab = await Network.build();
    const warm = await Warm.start(lab);
    await warm.do(give(lab.gw1));
    pair = new Pair(lab, warm, await startDaemon(lab.gw1), await startDaemon(lab.gw2));
    await waitForRole(pair.one, "MASTER");
    await pair.two.waitForLog(/synchronised with/);
    return pair;
  }

  /** gw1 is killed; `more` is what happens with it. */
  async killFirst(...more: string[]): Promise<void> {
    const from = this.two.log.length;
    await this.warm.do(...await death(this.lab.gw1), ...more);
    await this.one.process.ended;
    await waitForRole(this.two, "MASTER", from);
  }

  /** gw1, which was killed, is there again with an empty kernel; gw2 is master meanwhile. */
  async bootFirst(): Promise<void> {
    const { gw1 } = this.lab;
    await forget(gw1);
    await this.warm.do(`up ${cablesOf(gw1).join(" ")}`);
    this.one = await startDaemon(gw1);
    await this.one.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000);
  }

  /** Both gateways are alive; the other one had the addresses. */
  async moveTo(node: Node): Promise<void> {
    const { lab, warm, one, two } = this;
    const [heir, other, loser] = node === lab.gw1 ? [one, two, lab.gw2] : [two, one, lab.gw1];
    const from = { heir: heir.log.length, other: other.log.length };
    await warm.do(take(loser), give(node));
    await waitForRole(heir, "MASTER", from.heir);
    await other.waitForLog(/synchronised with .*: [1-9]\d* records/, 60_000, from.other);
  }
}
