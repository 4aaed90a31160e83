/** What the service manager is told, and when. */

import { assertEquals } from "@std/assert";
import { type Standing, Supervisor } from "../../../src/daemon/supervisor.ts";

const STANDING: Standing = { role: "SLAVE", epoch: 3, connected: 1, peers: 2, isReloading: false };

/** A supervisor, and what it has said since it was asked last. */
function bench(watchdogMs?: number) {
  const said: string[] = [];
  const supervisor = new Supervisor({ notify: (text) => void said.push(text), watchdogMs });
  return { supervisor, said: () => said.splice(0) };
}

Deno.test("Supervisor says once that it is ready, and how it stands", () => {
  const { supervisor, said } = bench();
  assertEquals(supervisor.tick(STANDING, 0), Infinity);
  assertEquals(said(), ["READY=1", "STATUS=SLAVE in epoch 3, 1 of 2 peers connected"]);
  supervisor.tick(STANDING, 5000);
  assertEquals(said(), []);
});

Deno.test("Supervisor says another status once a second at most, and the last one", () => {
  const { supervisor, said } = bench();
  supervisor.tick(STANDING, 0);
  said();
  for (const epoch of [4, 5, 6]) supervisor.tick({ ...STANDING, epoch }, 500);
  assertEquals(said(), []);
  supervisor.tick({ ...STANDING, epoch: 6 }, 1000);
  assertEquals(said(), ["STATUS=SLAVE in epoch 6, 1 of 2 peers connected"]);
});

Deno.test("Supervisor tells the watchdog twice in its time, and when it has to be called", () => {
  const { supervisor, said } = bench(3000);
  assertEquals(supervisor.tick(STANDING, 10), 1510);
  assertEquals(said().at(-1), "WATCHDOG=1");
  assertEquals(supervisor.tick(STANDING, 1000), 1510);
  assertEquals(said(), []);
  assertEquals(supervisor.tick(STANDING, 1510), 3010);
  assertEquals(said(), ["WATCHDOG=1"]);
});

Deno.test("Supervisor says that it reloads, that it is ready again, and that it stops", () => {
  const { supervisor, said } = bench();
  supervisor.tick(STANDING, 0);
  said();
  supervisor.reloading();
  for (const isReloading of [true, true, false]) supervisor.tick({ ...STANDING, isReloading }, 10);
  supervisor.stopping();
  assertEquals(said(), ["RELOADING=1", "READY=1", "STOPPING=1"]);
});
