/** `make install`, `make uninstall` and the Debian package, on this machine; the package in a copy of its root. */

import { assertEquals } from "@std/assert";
import { execute } from "./daemon.ts";

const REPOSITORY = new URL("../../..", import.meta.url).pathname;
const SCRIPT = new URL("package.sh", import.meta.url).pathname;

const isDebian = canRun("dpkg-deb", "--version") && Deno.uid() === 0;
const ignore = Deno.env.get("CI") !== "true" && !isDebian;

function canRun(command: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false; // not installed
  }
}

function filesIn(folder: string): string[] {
  return Deno.readDirSync(folder).toArray().flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${folder}/${name}`) : [`${folder}/${name}`]
  );
}

Deno.test({
  name: "make install puts everything where it belongs, and make uninstall takes it away",
  ignore,
  async fn() {
    const root = Deno.makeTempDirSync();
    try {
      const make = (target: string) =>
        execute("make", "-s", "-C", REPOSITORY, target, `DESTDIR=${root}`, "PREFIX=/usr");
      assertEquals((await make("install")).code, 0);
      const files = filesIn(root).map((file) => file.slice(root.length)).filter((file) =>
        !file.includes("/doc/")
      );
      const pages = filesIn(`${REPOSITORY}/man`).map((page) => page.split("/").at(-1)!);
      assertEquals(
        files.toSorted(),
        [
          "/usr/lib/systemd/system/sasyncd.service",
          "/usr/lib/sysusers.d/sasyncd.conf",
          "/usr/sbin/sasyncd",
          ...pages.map((page) => `/usr/share/man/man${page.at(-1)}/${page}`),
        ].toSorted(),
      );
      const unit = Deno.readTextFileSync(`${root}/usr/lib/systemd/system/sasyncd.service`);
      assertEquals(/^ExecStart=(\S+)/m.exec(unit)?.[1], "/usr/sbin/sasyncd");
      assertEquals((await make("uninstall")).code, 0);
      assertEquals(filesIn(root), []);
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  },
});

Deno.test({
  name: "make deb makes a package that installs, starts, upgrades, and leaves nothing behind",
  ignore,
  async fn() {
    assertEquals((await execute("make", "-s", "-C", REPOSITORY, "deb")).code, 0);
    const version = /"version": "(.*)"/.exec(Deno.readTextFileSync(`${REPOSITORY}/deno.json`))![1];
    const [file] = filesIn(`${REPOSITORY}/dist`).filter((name) => name.endsWith(".deb"));
    const { code, stdout, stderr } = await execute("unshare", "-m", "-n", "-p", "-f", SCRIPT, file!);
    assertEquals([code, ...stdout.trim().split("\n")], [
      0,
      `installed ${version}`,
      "user made",
      "started",
      `upgraded ${version}+1`,
      "configuration kept, the old daemon runs on",
      "started again",
      "removed, configuration kept",
      "purged",
    ], stderr);
  },
});
