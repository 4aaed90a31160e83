/** What a flood of connections does to two daemons that are connected: nothing. Needs root; in CI it must not be missing. */

import { assert, assertEquals } from "@std/assert";
import { FfiTransport } from "../../../ffi/tcp.ts";
import { parseAddress } from "../../../src/record/address.ts";
import { Daemon } from "./daemon.ts";
import { libc } from "./support.ts";

const ignore = Deno.env.get("CI") !== "true" && Deno.uid() !== 0;
const PORT = 10_000 + Deno.pid % 250 * 40 + 36;
const CONNECTIONS = 2000;

function start(folder: string, mode: "master" | "slave"): Daemon {
  const [own, peer] = mode === "master" ? [1, 2] : [2, 1];
  const file = `${folder}/${mode}.conf`;
  const text = [
    `mode ${mode}`,
    `listen on 127.0.0.${own} port ${PORT}`,
    `peer 127.0.0.${peer} port ${PORT}`,
    "kernel memory",
    "control none",
    "sharedkey 0x000102030405060708090a0b0c0d0e0f",
    `control socket ${folder}/${mode}.control`,
    "user nobody",
  ];
  Deno.writeTextFileSync(file, text.join("\n"), { mode: 0o600 });
  return new Daemon(file);
}

/** `VmRSS` in KiB. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]);
}

/** Opens connections from an address as fast as it goes, a few hundred at a time, and drops them. */
async function flood(from: string): Promise<void> {
  const transport = new FfiTransport(libc);
  const to = { address: parseAddress("127.0.0.1")!, port: PORT };
  for (let sent = 0; sent < CONNECTIONS; sent += 200) {
    const batch = Array.from({ length: 200 }, () => transport.connect(to, parseAddress(from)));
    await new Promise((resolve) => setTimeout(resolve, 20)); // the daemon takes what it wants
    for (const connection of batch) connection.drop();
  }
}

for (const [kind, from] of [["a configured", "127.0.0.2"], ["a foreign", "127.0.0.3"]] as const) {
  Deno.test({
    name: `a flood of ${CONNECTIONS} connections from ${kind} address costs neither session nor memory`,
    ignore,
    async fn() {
      const folder = Deno.makeTempDirSync();
      const [master, slave] = [start(folder, "master"), start(folder, "slave")];
      await slave.waitFor(/synchronised with 127\.0\.0\.1/);
      const said = [master, slave].map(({ log }) => log.length);
      await flood(from); // so that what is needed once is there
      const [memory, files, lines] = [memoryOf(master.pid), filesOf(master.pid), linesOf(master)];
      await flood(from);
      await flood(from);
      const grown = memoryOf(master.pid) - memory;
      assert(grown < 16 * 1024, `${grown} KiB more`);
      assert(filesOf(master.pid) <= files + 8, "no more descriptors than half-open connections may have");
      assert(linesOf(master) - lines <= 4, master.log);
      for (const [i, { log }] of [master, slave].entries()) {
        assert(!log.slice(said[i]).includes("disconnected"), log);
      }
      for (const daemon of [master, slave]) assertEquals((await daemon.end("SIGTERM")).code, 0);
      Deno.removeSync(folder, { recursive: true });
    },
  });
}

function filesOf(pid: number): number {
  return Deno.readDirSync(`/proc/${pid}/fd`).toArray().length;
}

function linesOf({ log }: Daemon): number {
  return log.split("\n").length;
}
