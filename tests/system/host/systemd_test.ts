/** The program as a service: what it tells a service manager of ours, and what its log looks like in the journal. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FfiKernelSocket } from "../../../ffi/kernel_socket.ts";
import { openLibc } from "../../../ffi/libc.ts";
import { encodeAbstractSockaddr, encodeUnixSockaddr } from "../../../ffi/sockaddr.ts";
import { openSocket } from "../../../ffi/socket.ts";
import { EXECUTABLE } from "./daemon.ts";

const libc = openLibc();
const ignore = Deno.env.get("CI") !== "true" && Deno.uid() !== 0;

/** What listens at NOTIFY_SOCKET. */
class Manager {
  readonly #socket: FfiKernelSocket;
  readonly said: string[] = [];

  constructor(path: string) {
    const fd = openSocket(libc, libc.constants.AF_UNIX, libc.constants.SOCK_DGRAM, 0);
    const address = path.startsWith("@")
      ? encodeAbstractSockaddr(path.slice(1))
      : encodeUnixSockaddr(libc.system, path);
    libc.check(libc.c.bind(fd.use(), address, address.length), "bind");
    this.#socket = new FfiKernelSocket(libc, fd, { portId: 0, isFromKernel: () => true });
  }

  async waitFor(text: string, times = 1): Promise<void> {
    for (const endMs = Date.now() + 20_000; Date.now() < endMs;) {
      for (let one = this.#socket.receive(); one.kind === "data"; one = this.#socket.receive()) {
        this.said.push(new TextDecoder().decode(one.bytes));
      }
      if (this.said.filter((line) => line.startsWith(text)).length >= times) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no ${text} in:\n${this.said.join("\n")}`);
  }

  close(): void {
    this.#socket.close();
  }
}

/** Starts the daemon with its stderr as the journal's, unless `stream` says that it is another's. */
function startService(folder: string, notify: string, stream = "$(stat -L -c %d:%i /proc/self/fd/2)") {
  const port = 10_000 + Deno.pid % 250 * 40 + 39;
  const file = `${folder}/sasyncd.conf`;
  const text = [
    "mode master",
    `listen on 127.0.0.1 port ${port}`,
    "sharedkey 0x000102030405060708090a0b0c0d0e0f",
    "kernel memory",
    "control none",
    `control socket ${folder}/control`,
    "user nobody",
  ];
  Deno.writeTextFileSync(file, text.join("\n"), { mode: 0o600 });
  const script = `JOURNAL_STREAM=${stream}; export JOURNAL_STREAM; exec "$0" -d -v -c "$1"`;
  return new Deno.Command("sh", {
    args: ["-c", script, EXECUTABLE, file],
    env: { NOTIFY_SOCKET: notify, WATCHDOG_USEC: "400000" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

for (const kind of ["path", "abstract"] as const) {
  Deno.test({
    name: `sasyncd tells the service manager at its ${kind} socket how it goes`,
    ignore,
    async fn() {
      const folder = Deno.makeTempDirSync();
      const name = kind === "path" ? `${folder}/notify` : `@sasyncd-test-${Deno.pid}`;
      const manager = new Manager(name);
      Deno.chmodSync(folder, 0o755); // systemd's is open to everybody
      if (kind === "path") Deno.chmodSync(name, 0o777);
      const stream = kind === "path" ? undefined : "1:1";
      const service = startService(folder, name, stream);
      const output = service.output();
      try {
        await manager.waitFor("READY=1");
        await manager.waitFor("STATUS=MASTER in epoch 1, 0 of 0 peers connected");
        await manager.waitFor("WATCHDOG=1", 4);
        service.kill("SIGHUP");
        await manager.waitFor("RELOADING=1");
        await manager.waitFor("READY=1", 2);
        service.kill("SIGTERM");
        await manager.waitFor("STOPPING=1");
      } catch (error) {
        try {
          service.kill("SIGKILL");
        } catch {
          // it has ended by itself; its log says why
        }
        console.log(new TextDecoder().decode((await output).stderr));
        throw error;
      }
      const { code, stderr } = await output;
      const log = new TextDecoder().decode(stderr);
      assertEquals(code, 0, log);
      const lines = log.trimEnd().split("\n");
      const priority = kind === "path" ? /^<[3-7]>[^<]/ : /^[^<]/;
      assert(lines.length > 2);
      for (const line of lines) assertMatch(line, priority);
      manager.close();
      Deno.removeSync(folder, { recursive: true });
    },
  });
}
