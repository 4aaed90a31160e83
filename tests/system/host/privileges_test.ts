/**
 * What the processes of the daemon may do, as the kernel tells it of each of their threads, and as a process finds it
 * that gives up its rights in the same way. Needs root; in CI it must not be missing.
 */

import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { LINUX } from "../../../ffi/constants.ts";
import { findAccount } from "../../../ffi/identity.ts";
import { Daemon, EXECUTABLE, execute } from "./daemon.ts";
import { libc } from "./support.ts";

const KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
const NOBODY = findAccount(libc, "nobody");
const ignore = Deno.env.get("CI") !== "true" && Deno.uid() !== 0;

/** Ports of their own: below 1024 for who needs a right to them, and those above. */
const LOW_PORT = 600 + Deno.pid % 200;
let nextPort = 10_000 + Deno.pid % 250 * 40 + 20;

function test(name: string, body: (folder: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    async fn() {
      const folder = Deno.makeTempDirSync();
      try {
        await body(folder);
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    },
  });
}

function configure(folder: string, port: number, ...more: readonly string[]): string {
  const file = `${folder}/sasyncd.conf`;
  const text = [
    "mode slave",
    `listen on 127.0.0.1 port ${port}`,
    `peer 127.0.0.2 port ${port}`,
    `sharedkey 0x${KEY}`,
    "kernel memory",
    `control socket ${folder}/control`,
    ...more,
  ];
  Deno.writeTextFileSync(file, text.join("\n"), { mode: 0o600 });
  return file;
}

async function helperOf(daemon: Daemon): Promise<number> {
  const { stdout } = await execute("pgrep", "-P", `${daemon.pid}`, "-f", "sasyncd --helper");
  assertMatch(stdout, /^\d+\n$/, "there is one helper");
  return Number(stdout);
}

/** What /proc tells of every thread of a process, for these names. */
function statusOf(pid: number, ...names: readonly string[]): readonly Readonly<Record<string, string>>[] {
  return Deno.readDirSync(`/proc/${pid}/task`).toArray().map(({ name }) => {
    const text = Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`);
    const lines = text.split("\n").map((line) => line.split(/:\s*/)).map((
      [key, value],
    ) => [key, value?.trim()]);
    return Object.fromEntries(lines.filter(([key]) => names.includes(key!)));
  });
}

/** What a descriptor leads to, without its number: `socket`, `/dev/null`. */
function filesOf(pid: number): Set<string> {
  const links = Deno.readDirSync(`/proc/${pid}/fd`).map(({ name }) => `/proc/${pid}/fd/${name}`);
  return new Set(links.map((link) => Deno.readLinkSync(link).replace(/:\[\d+\]$/, "")));
}

function isThere(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

async function eventually(what: string, isDone: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 20_000; Date.now() < endMs;) {
    if (isDone()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} does not come`);
}

const CAPABILITIES = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

for (
  const [kind, port, capabilities] of [
    ["below 1024", LOW_PORT, [LINUX.CAP_NET_ADMIN, LINUX.CAP_NET_BIND_SERVICE]],
    ["above 1024", nextPort++, [LINUX.CAP_NET_ADMIN]],
  ] as const
) {
  test(`every thread of the network process has another user's rights, on a port ${kind}`, async (folder) => {
    const daemon = new Daemon(configure(folder, port, "user nobody"));
    await daemon.waitFor(/sasyncd started/);
    const mask = capabilities.reduce((bits, one) => bits | 1 << one, 0).toString(16).padStart(16, "0");
    const ids = (id: number) => Array(4).fill(id).join("\t");
    const wanted = {
      Uid: ids(NOBODY!.uid),
      Gid: ids(NOBODY!.gid),
      Groups: "",
      NoNewPrivs: "1",
      ...Object.fromEntries(CAPABILITIES.map((name) => [name, mask])),
    };
    const found = statusOf(daemon.pid, ...Object.keys(wanted));
    assert(found.length > 1, "it has several threads");
    for (const thread of found) assertEquals(thread, wanted);
    assertEquals((await daemon.end("SIGTERM")).code, 0);
  });
}

test("the processes leave no core, and have open no more than they need", async (folder) => {
  const daemon = new Daemon(configure(folder, nextPort++, "user nobody"));
  await daemon.waitFor(/sasyncd started/);
  const helper = await helperOf(daemon);
  const kinds = ["/dev/null", "pipe", "socket", "anon_inode:[eventpoll]", "anon_inode:[eventfd]"];
  daemon.signal("SIGHUP"); // it reads files, but does not itself open them
  await daemon.waitFor(/configuration/i);
  for (const pid of [daemon.pid, helper]) {
    assertMatch(Deno.readTextFileSync(`/proc/${pid}/limits`), /^Max core file size +0 +0 /m);
    const wanted = pid === helper ? [] : [`${folder}/control.lock`];
    assertEquals([...filesOf(pid).difference(new Set(kinds))], wanted, `process ${pid}`);
  }
  assertEquals(statusOf(helper, "Uid")[0], { Uid: "0\t0\t0\t0" });
  assertEquals((await daemon.end("SIGTERM")).code, 0);
});

test("no key is in arguments or environment of a process", async (folder) => {
  const daemon = new Daemon(configure(folder, nextPort++, "user nobody"));
  await daemon.waitFor(/sasyncd started/);
  for (const pid of [daemon.pid, await helperOf(daemon)]) {
    for (const file of ["cmdline", "environ"]) {
      assertNotMatch(Deno.readTextFileSync(`/proc/${pid}/${file}`).toLowerCase(), new RegExp(KEY));
    }
  }
  assertEquals((await daemon.end("SIGTERM")).code, 0);
});

/** Tries what an attacker would; prints what comes of each. */
const PROBE = `
import ctypes, os, socket
def attempt(name, act):
    try: act(); print(name, "succeeds")
    except OSError as e: print(name, errno_name(e.errno))
def errno_name(number):
    import errno; return errno.errorcode[number]
def xfrm():
    s = socket.socket(16, socket.SOCK_RAW, 6); s.bind((0, 1))
def port(number):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.3", number))
attempt("read /etc/shadow", lambda: open("/etc/shadow"))
attempt("raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet socket", lambda: socket.socket(17, socket.SOCK_RAW, 3))
attempt("become root", lambda: os.setuid(0))
attempt("kill init", lambda: os.kill(1, 0))
attempt("chroot", lambda: os.chroot("/tmp"))
attempt("port 77", lambda: port(77))
attempt("kernel's IPsec events", xfrm)
`;

for (
  const [capabilities, port] of [
    [[LINUX.CAP_NET_ADMIN], "EACCES"],
    [[LINUX.CAP_NET_ADMIN, LINUX.CAP_NET_BIND_SERVICE], "succeeds"],
  ] as const
) {
  test(`dropPrivileges() to capabilities ${capabilities} leaves nothing else`, async () => {
    const child = new URL("drop_child.ts", import.meta.url).pathname;
    const given = [`${capabilities}`, "python3", "-c", PROBE];
    const { stdout, stderr } = await execute(Deno.execPath(), "run", "-A", "--no-prompt", child, ...given);
    assertEquals(
      stdout.trim().split("\n"),
      [
        "read /etc/shadow EACCES",
        "raw socket EPERM",
        "packet socket EPERM",
        "become root EPERM",
        "kill init EPERM",
        "chroot EPERM",
        `port 77 ${port}`,
        "kernel's IPsec events succeeds",
      ],
      stderr,
    );
  });
}

test("sasyncd without its user says how to make one, or to name another", async (folder) => {
  const file = configure(folder, nextPort++, "user _no_such_user");
  for (const args of [["-d"], []]) {
    const { code, stderr } = await execute(EXECUTABLE, ...args, "-c", file);
    assertEquals(code, 1);
    assertMatch(stderr, /no user _no_such_user to run as: make it \(useradd .*user NAME.*sasyncd.conf/);
  }
});

test("sasyncd where its user cannot read it says so", async (folder) => {
  const program = `${folder}/sasyncd`; // the folder is root's alone
  Deno.copyFileSync(EXECUTABLE, program);
  const { code, stderr } = await execute(program, "-d", "-c", configure(folder, nextPort++, "user nobody"));
  assertEquals(code, 1);
  assertMatch(stderr, /Cannot open ".*\/sasyncd" as its user: EACCES/);
});

test("the network process ends when the helper is killed, and says so", async (folder) => {
  const daemon = new Daemon(configure(folder, nextPort++, "user nobody"));
  await daemon.waitFor(/sasyncd started/);
  Deno.kill(await helperOf(daemon), "SIGKILL");
  const { code } = await daemon.ended();
  assertEquals(code, 1);
  assertMatch(daemon.log, /the helper has ended\n(.*\n)*sasyncd stopped/);
});

test("the helper demotes and ends when the network process is killed", async (folder) => {
  const demote = `${folder}/demote`;
  const daemon = new Daemon(configure(folder, nextPort++, "user nobody", `demote file ${demote}`));
  await daemon.waitFor(/sasyncd started/);
  await eventually("demote file", () => existsWith(demote, /./));
  Deno.writeTextFileSync(demote, "100\n");
  const helper = await helperOf(daemon);
  await daemon.end("SIGKILL");
  await eventually("end of the helper", () => !isThere(helper));
  assertEquals(Deno.readTextFileSync(demote), "0\n");
});

test("the helper logs for itself when the network process has been killed", async (folder) => {
  Deno.mkdirSync(`${folder}/gone`);
  const demote = `${folder}/gone/demote`;
  const daemon = new Daemon(configure(folder, nextPort++, "user nobody", `demote file ${demote}`));
  await eventually("demote file", () => existsWith(demote, /./));
  const helper = await helperOf(daemon);
  Deno.removeSync(`${folder}/gone`, { recursive: true });
  await daemon.end("SIGKILL");
  await eventually("end of the helper", () => !isThere(helper));
  assertMatch(daemon.log, /the network process is gone without a word/);
  assertMatch(daemon.log, /cannot leave the demotion behind: .*ENOENT/);
});

test("nobody is left when the daemon ends in order", async (folder) => {
  const daemon = new Daemon(configure(folder, nextPort++, "user nobody"));
  await daemon.waitFor(/sasyncd started/);
  const helper = await helperOf(daemon);
  const { code, tookMs } = await daemon.end("SIGTERM");
  assertEquals(code, 0);
  assert(tookMs < 1000, `end took ${tookMs} ms`);
  await eventually("end of the helper", () => !isThere(helper));
});

function existsWith(path: string, text: RegExp): boolean {
  try {
    return text.test(Deno.readTextFileSync(path));
  } catch {
    return false;
  }
}
