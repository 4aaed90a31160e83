/**
 * conf/sasyncd.service: what systemd's own tools say of it, and the program within the bounds that it sets. Without
 * systemd as the first process, its bounds are drawn with setpriv(1), unshare(1), mount(8) and libseccomp, as far as
 * they can.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { EXECUTABLE, execute } from "./daemon.ts";

const ignore = Deno.env.get("CI") !== "true" && Deno.uid() !== 0;
const FILE = new URL("../../../conf/sasyncd.service", import.meta.url).pathname;
const UNIT = Deno.readTextFileSync(FILE);

/** What "systemd-analyze security" may give at most: 10 is a service without any bound. */
const MOST_EXPOSED = 3;

function setting(name: string): string {
  return new RegExp(`^${name}=(.*)$`, "m").exec(UNIT)![1]!;
}

/** The system calls of sets as SystemCallFilter= names them. */
async function callsOf(names: readonly string[]): Promise<string[]> {
  const { stdout } = await execute("systemd-analyze", "syscall-filter", "--no-pager", ...names);
  const lines = stdout.split("\n").map((line) => line.match(/^ +([@a-z_0-9-]+)$/)?.[1] ?? "");
  const sets = lines.filter((line) => line.startsWith("@"));
  const calls = lines.filter((line) => /^[a-z_]/.test(line));
  return sets.length === 0 ? calls : [...calls, ...await callsOf(sets)];
}

/** Ends a program that makes a system call that is not in the file; what it runs is in the arguments after that. */
const FILTER = `
import ctypes, os, sys
library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
KILL_PROCESS, ALLOW, UNKNOWN = 0x80000000, 0x7fff0000, -1
filter = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(KILL_PROCESS)))
for name in open(sys.argv[1]).read().split():
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number != UNKNOWN: library.seccomp_rule_add(filter, ctypes.c_uint32(ALLOW), number, 0)
assert library.seccomp_load(filter) == 0
os.execv(sys.argv[2], sys.argv[2:])
`;

/** A copy that names the executable of these tests. */
function withUnit<T>(body: (file: string) => Promise<T>): Promise<T> {
  const folder = Deno.makeTempDirSync();
  const file = `${folder}/sasyncd.service`;
  Deno.writeTextFileSync(
    file,
    UNIT.replace("/usr/local/sbin/sasyncd", EXECUTABLE).replace(/^Documentation=.*\n/m, ""),
  );
  return body(file).finally(() => Deno.removeSync(folder, { recursive: true }));
}

Deno.test({
  name: "systemd-analyze finds nothing wrong with the unit, and little exposure",
  ignore,
  fn: () =>
    withUnit(async (file) => {
      const verified = await execute("systemd-analyze", "verify", file);
      assertEquals(verified.stderr.split("\n").filter((line) => line.includes("sasyncd.service")), []);
      const { stdout } = await execute("systemd-analyze", "security", "--offline=true", "--no-pager", file);
      const [, level] = /exposure level for sasyncd\.service: ([\d.]+)/.exec(stdout) ?? [];
      assert(Number(level) < MOST_EXPOSED, `exposure ${level}`);
    }),
});

Deno.test({
  name:
    "sasyncd starts, answers and ends within the unit's capabilities, system calls and a file system that it may not write",
  ignore,
  async fn() {
    assertEquals([setting("ProtectSystem"), setting("ReadWritePaths")], ["strict", "/run"]);
    const folder = Deno.makeTempDirSync();
    try {
      const port = 10_000 + Deno.pid % 250 * 40 + 38;
      const text = [
        "mode slave",
        `listen on 127.0.0.1 port ${port}`,
        "kernel memory",
        "control none",
        "user nobody",
      ];
      text.push("control socket /run/s.sock", "demote file /run/demote", `sharedkey 0x${"ab".repeat(16)}`);
      Deno.writeTextFileSync(`${folder}/c.conf`, text.join("\n"), { mode: 0o600 });
      const calls = await callsOf(setting("SystemCallFilter").split(" "));
      assert(calls.includes("read") && !calls.includes("mount"), "the sets can be read");
      Deno.writeTextFileSync(`${folder}/calls`, calls.join(" "));
      Deno.writeTextFileSync(`${folder}/filter.py`, FILTER);
      const bounds = setting("CapabilityBoundingSet").toLowerCase().replaceAll("cap_", "+").split(" ").join();
      const script = `set -e
        ip link set lo up
        mount --bind / / && mount -o remount,bind,ro / && mount -t tmpfs run /run
        setpriv --no-new-privs --bounding-set=-all,${bounds} --inh-caps=-all sh -c \\
          '! touch /etc/written 2>/dev/null &&
           exec python3 ${folder}/filter.py ${folder}/calls ${EXECUTABLE} -c ${folder}/c.conf'
        ${EXECUTABLE} status -c ${folder}/c.conf
        cat /run/demote
        kill $(pgrep -f "[-]-network")
        for i in 1 2 3 4 5 6 7 8 9 10; do pgrep -f "[-]-network|[-]-helper" >/dev/null || break; sleep 1; done
        pgrep -af "[-]-network|[-]-helper" || echo ended`;
      const namespaces = ["-m", "-n", "-p", "-f", "--mount-proc"];
      const { code, stdout, stderr } = await execute("unshare", ...namespaces, "sh", "-c", script);
      assertEquals(code, 0, `${stdout}${stderr}`);
      assertMatch(stdout, /SLAVE[^]*\n(0|100)\nended\n$/);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});
