/**
 * Takeovers under load: 200 tunnels. The server sends 5,000 datagrams a second through them, and a client in each of
 * them 200 more that come back: about 5,400 ESP packets a second, which the guest reaches with both of the machine's
 * processors busy elsewhere.
 */

import { assertEquals } from "@std/assert";
import { ADDRESS, Capture, countKernel, delay, guest, repeated, step, waitEqual } from "../lab/mod.ts";
import { allRefused, give } from "./failover.ts";
import { innerOf, tunnels } from "./many_tunnels.ts";
import { Pair, testPair } from "./pair.ts";
import { Flood, Load, Traffic } from "./traffic.ts";

guest({ limitSeconds: 400, memory: "2G" });

const TUNNELS = 200;
/** Datagrams a second: from the server, and from the client and back. */
const RATE = { down: 5000, echo: 200 };

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
  const loads = [await Load.start(lab, RATE.echo, addresses), await Flood.start(lab, RATE.down, addresses)];
  for (const [i, round] of ROUNDS.entries()) {
    const isCrash = round.startsWith("crash");
    const isStale = isCrash && round !== "crash";
    if (isStale) {
      await warm.do("down s-gw1");
      await delay(20_000);
    }
    const mark = traffic.mark();
    const from = two.log.length;
    if (isCrash) await pair.killFirst(give(lab.gw2));
    else await pair.moveTo(round === "back" ? lab.gw1 : lab.gw2);
    await traffic.more(50);
    step(`takeover ${i + 1}, ${round}: ${traffic.tell(mark)}`);
    assertEquals(two.process.countLines(/\d+ leases were stale/, from), isStale ? 1 : 0);
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
  assertEquals([repeated(captured).length, senders.size], [0, 2]);
  step(`refused before ${refused}, now ${await allRefused(lab)}`);
  await waitEqual(lab.gw1, lab.gw2);
  assertEquals(await countKernel(lab.gw1), { states: 2 * TUNNELS, policies: 3 * TUNNELS });
  for (const daemon of [pair.one, two]) assertEquals(await daemon.stop(), 0);
});
