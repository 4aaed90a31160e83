/**
 * conf/sasyncd.service: what systemd's own tools say of it, and the program within the bounds that it sets. Without
 * systemd as the first process, its bounds are drawn with setpriv(1), unshare(1) and mount(8), as far as they can.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { EXECUTABLE, execute } from "./daemon.ts";

const ignore = Deno.env.get("CI") !== "true" && Deno.uid() !== 0;
const FILE = new URL("../../../conf/sasyncd.service", import.meta.url).pathname;
const UNIT = Deno.readTextFileSync(FILE);

/** What "systemd-analyze security" may give at most: 10 is a service without any bound. */
const MOST_EXPOSED = 4.5;

function setting(name: string): string {
  return new RegExp(`^${name}=(.*)$`, "m").exec(UNIT)![1]!;
}

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
    "sasyncd starts, answers and ends within the unit's capabilities and a file system that it may not write",
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
      const bounds = setting("CapabilityBoundingSet").toLowerCase().replaceAll("cap_", "+").split(" ").join();
      const script = `set -e
        ip link set lo up
        mount --bind / / && mount -o remount,bind,ro / && mount -t tmpfs run /run
        setpriv --no-new-privs --bounding-set=-all,${bounds} --inh-caps=-all sh -c \\
          '! touch /etc/written 2>/dev/null && exec ${EXECUTABLE} -c ${folder}/c.conf'
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
