/**
 * Takeovers under load: 200 tunnels, through which the server sends 1,000 datagrams a second, and the client 200 that
 * come back; before one of the takeovers the sync link is cut for 20 s, and the server sends 5,000 a second. The guest
 * has carried 4,200 of them in each second of all ten takeovers, on a busy machine; then its daemons get so little time
 * that they hold each other for dead.
 */

import { assertEquals } from "@std/assert";
import { ADDRESS, Capture, countKernel, delay, guest, repeated, step, waitEqual } from "../lab/mod.ts";
import { allRefused, give } from "./failover.ts";
import { innerOf, tunnels } from "./many_tunnels.ts";
import { Pair, testPair } from "./pair.ts";
import { Flood, Load, Traffic } from "./traffic.ts";

guest({ limitSeconds: 400, memory: "2G" });

const TUNNELS = 200;
/** Datagrams a second: from the client and back, from the server, and from the server while the sync link is cut. */
const RATE = { echo: 200, down: 1000, more: 4000 };

const ROUNDS = [
  "crash",
  "back",
  "crash without the sync link for 20 s",
  "back",
  "moved",
  "back",
  "crash",
  "back",
  "moved",
  "back",
] as const;

testPair("ten takeovers under load: no SA is lost, no sequence number goes out twice", async () => {
  const pair = await Pair.start();
  const { lab, warm, two } = pair;
  await lab.client.ip(...tunnels("client", TUNNELS));
  await lab.gw1.ip(...tunnels("gateway", TUNNELS));
  await waitEqual(lab.gw1, lab.gw2);
  const refused = await allRefused(lab);
  const capture = await Capture.start(lab.client, 64);
  const traffic = await Traffic.start(lab, innerOf(0));
  const addresses = Array.from({ length: TUNNELS }, (_, i) => innerOf(i));
  const loads: (Load | Flood)[] = [
    await Load.start(lab, RATE.echo, addresses),
    await Flood.start(lab, RATE.down, addresses),
  ];
  for (const [i, round] of ROUNDS.entries()) {
    const isCrash = round.startsWith("crash");
    const isStale = isCrash && round !== "crash";
    if (isStale) {
      await warm.do("down s-gw1");
      loads.push(await Flood.start(lab, RATE.more, addresses));
      await delay(20_000);
    }
    const mark = traffic.mark();
    const from = two.log.length;
    if (isCrash) await pair.killFirst(give(lab.gw2));
    else await pair.moveTo(round === "back" ? lab.gw1 : lab.gw2);
    await traffic.more(50);
    const refusedNow = (await allRefused(lab))[0]! - refused[0]!;
    step(
      `takeover ${i + 1}, ${round}: ${
        traffic.tell(mark)
      }; ${refusedNow} packets refused by the client so far`,
    );
    if (isStale) {
      assertEquals(two.process.countLines(/\d+ leases were stale/, from), 1);
      step(`the greater load: ${loads.at(-1)!.said}`);
      await loads.pop()!.stop();
    }
    if (isCrash) await pair.bootFirst();
  }
  for (const load of loads) step(`load: ${load.said}`);
  await Promise.all([...loads, traffic].map((one) => one.stop()));
  const captured = await capture.stop();
  const senders = new Set<string>();
  for (const { src, sender } of captured) if (src !== ADDRESS.client.pub.v4) senders.add(sender);
  const seconds = captured.at(-1)!.at - captured[0]!.at;
  const rate = Math.round(captured.length / seconds);
  step(`${captured.length} packets, ${rate} a second, from ${senders.size} gateways`);
  const refusedNow = await allRefused(lab);
  step(`refused before ${refused}, now ${refusedNow}`);
  const twice = repeated(captured);
  for (const { spi, seq } of twice.slice(0, 10)) {
    const all = captured.filter((one) => one.spi === spi && one.seq === seq);
    const told = all.map(({ sender, at }) => `by ${sender} after ${(at - captured[0]!.at).toFixed(2)} s`);
    step(`SPI ${spi}, number ${seq}: ${told.join(", ")}`);
  }
  assertEquals([twice.length, senders.size], [0, 2]);
  assertEquals(refusedNow[0], refused[0], "the client's replay windows");
  await waitEqual(lab.gw1, lab.gw2);
  assertEquals(await countKernel(lab.gw1), { states: 2 * TUNNELS, policies: 3 * TUNNELS });
  for (const daemon of [pair.one, two]) assertEquals(await daemon.stop(), 0);
});
