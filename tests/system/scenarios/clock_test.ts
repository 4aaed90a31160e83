/** A wall clock that is stepped: nothing expires that should not, and limits stay right. */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  compareKernels,
  countKernel,
  delay,
  fixedConfiguration,
  guest,
  Network,
  type Node,
  readKernel,
  Sasyncd,
  step,
  test,
  waitEqual,
} from "../lab/mod.ts";

guest({ limitSeconds: 400 });

const TWO_HOURS = 7200;

let lab: Network;
let master: Sasyncd;
let slave: Sasyncd;

const startMaster = () => Sasyncd.start(lab.gw1, fixedConfiguration("master"));
const startSlave = () => Sasyncd.start(lab.gw2, fixedConfiguration("slave"));

const ends = `src ${ADDRESS.virtual.pub.v4} dst ${ADDRESS.client.pub.v4}`;
const state = (spi: number) => `${ends} proto esp spi 0x${spi.toString(16).padStart(8, "0")}`;
const addState = (spi: number, limits = "", verb = "add") =>
  `xfrm state ${verb} ${state(spi)} mode tunnel replay-window 64 aead rfc4106(gcm(aes)) 0x${
    "11".repeat(20)
  } 128 ${limits}`;

test("a slave gets what its master has", async () => {
  lab = await Network.build();
  await lab.gw1.ip(
    addState(2200),
    `xfrm policy add dst 10.2.0.0/16 dir out tmpl ${ends} proto esp mode tunnel`,
  );
  master = await startMaster();
  slave = await startSlave();
  await slave.waitForLog(/synchronised with .*: 2 records/);
  await waitEqual(lab.gw1, lab.gw2);
});

/** The guest has one clock for both nodes: it jumps under both daemons at once. */
async function stepClock(seconds: number): Promise<void> {
  const { success } = await new Deno.Command("date", {
    args: ["-s", `@${Math.floor(Date.now() / 1000) + seconds}`],
    stdout: "null",
  }).output();
  assert(success);
  step(`the wall clock goes ${seconds} s on`);
}

/** Seconds from `now` until each SA's hard limit, by its SPI, as the kernel reckons when its timer runs. */
async function secondsLeft(node: Node, now: number): Promise<Map<number, number>> {
  const { states } = await readKernel(node, { include: ["time", "current"] });
  return new Map(states.flatMap(({ id, fields }) => {
    const text = fields.join("\n");
    const hard = Number(/expire add: .*hard (\d+)/.exec(text)?.[1]);
    const added = /add (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)/.exec(text)?.[1];
    const spi = Number(/spi (0x[0-9a-f]+)|(0x[0-9a-f]{8})/.exec(id)?.[0]);
    if (!hard || added === undefined) return [];
    return [[spi, Date.parse(`${added.replace(" ", "T")}Z`) / 1000 + hard - now]];
  }));
}

/** SAs with these hard limits in seconds, from this SPI on; every second one has a soft limit, too. */
const LIMITS = [600, 3600, 9000] as const;
const limited = (from: number) =>
  LIMITS.flatMap((hard, i) => [
    addState(from + 2 * i, `limit time-hard ${hard}`),
    addState(from + 2 * i + 1, `limit time-soft ${hard / 2} limit time-hard ${hard}`),
  ]);

let round = 0;
for (const seconds of [TWO_HOURS, -TWO_HOURS]) {
  test(`the wall clock is stepped by ${seconds} s: nothing expires, and limits stay right`, async () => {
    const [old, fresh] = [0x10000 + 0x100 * round, 0x20000 + 0x100 * round];
    round++;
    await lab.gw1.ip(...limited(old));
    await waitEqual(lab.gw1, lab.gw2);
    const states = (await countKernel(lab.gw1)).states;
    await delay(2000); // kernels look at an SA's age once, one second after they made it: a step before that ends it
    await stepClock(seconds);

    await lab.gw1.ip(...limited(fresh), addState(2200, "limit byte-hard 2000000", "update"));
    await waitEqual(lab.gw1, lab.gw2);
    assertEquals(await countKernel(lab.gw2), { ...(await countKernel(lab.gw1)), states: states + 6 });

    step("an empty kernel gets it all from a snapshot after the step");
    await slave.kill();
    await lab.gw2.ip("xfrm state flush", "xfrm policy flush");
    slave = await startSlave();
    await slave.waitForLog(/synchronised with/);
    await waitEqual(lab.gw1, lab.gw2);
    const now = Math.floor(Date.now() / 1000);
    const [left, real] = [await secondsLeft(lab.gw2, now), await secondsLeft(lab.gw1, now)];
    for (const [i, hard] of LIMITS.entries()) {
      for (const spi of [old + 2 * i, old + 2 * i + 1, fresh + 2 * i, fresh + 2 * i + 1]) {
        const seconds = left.get(spi) ?? NaN;
        const what = `SA 0x${spi.toString(16)}: ${seconds} s left on the slave, ${
          real.get(spi)
        } s on the master`;
        assert(seconds > hard && seconds <= hard + 61, what); // made less than a minute ago, and a minute of grace
        if (spi >= fresh) assert(Math.abs(seconds - 60 - (real.get(spi) ?? NaN)) <= 2, what);
      }
    }

    step("a master started after the step takes no living SA for one that is over");
    const from = slave.log.length;
    await master.kill();
    master = await startMaster();
    await slave.waitForLog(/synchronised with/, 60_000, from);
    await slave.kill();
    await lab.gw2.ip("xfrm state flush", "xfrm policy flush");
    slave = await startSlave();
    await slave.waitForLog(/synchronised with/);
    await waitEqual(lab.gw1, lab.gw2);
    assertEquals((await countKernel(lab.gw2)).states, states + 6);
    for (let second = 0; second < 4; second++) { // a limit that is over strikes after one
      assertEquals((await countKernel(lab.gw2)).states, states + 6);
      await delay(1000);
    }
    assertEquals(await compareKernels(lab.gw1, lab.gw2), []);
  });
}

test("both daemons end as they should", async () => {
  for (const daemon of [slave, master]) assertEquals(await daemon.stop(), 0);
});
