/**
 * The compiled program as a process, over loopback and with `kernel memory`: command line, exit status, start in the
 * background, signals, peers that come and go. Needs root, as the program does; in CI it must not be missing.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { waitUntil } from "./classic.ts";
import { Daemon, EXECUTABLE, execute, type Place, testsInPlaces } from "./daemon.ts";

const KEY = "000102030405060708090a0b0c0d0e0f";
const ignore = Deno.env.get("CI") !== "true" && Deno.uid() !== 0;

const test = testsInPlaces(10_000, 1, ignore);

/** A configuration file for one of two daemons on 127.0.0.1 and 127.0.0.2. */
function configure({ folder, port }: Place, mode: "master" | "slave", more = `sharedkey 0x${KEY}`): string {
  const [own, peer] = mode === "master" ? [1, 2] : [2, 1];
  const file = `${folder}/${mode}.conf`;
  const text = [
    `mode ${mode}`,
    `listen on 127.0.0.${own} port ${port}`,
    `peer 127.0.0.${peer} port ${port}`,
    "kernel memory",
    more,
    `control socket ${folder}/${mode}.control`,
    "user nobody",
  ];
  Deno.writeTextFileSync(file, text.join("\n"), { mode: 0o600 });
  return file;
}

for (
  const [args, code, stderr] of [
    [["-x"], 1, /usage: sasyncd/],
    [["-c"], 1, /usage: sasyncd/],
    [["-c", "a", "-c", "b"], 1, /usage: sasyncd/],
    [["operand"], 1, /usage: sasyncd/],
    [["-c", "/nonexistent"], 1, /nonexistent.*ENOENT/],
  ] as const
) {
  test(`sasyncd ${args.join(" ")} exits ${code}`, async () => {
    const outcome = await execute(EXECUTABLE, ...args);
    assertEquals(outcome.code, code);
    assertMatch(outcome.stderr, stderr);
  });
}

test("sasyncd -n prints the configuration without the key", async (place) => {
  const { code, stdout } = await execute(EXECUTABLE, "-n", "-c", configure(place, "master"));
  assertEquals(code, 0);
  assertStringIncludes(stdout, "mode master");
  assert(!stdout.includes(KEY));
});

test("sasyncd -n needs no root", async (place) => {
  Deno.chmodSync(place.folder, 0o755);
  const file = configure(place, "master");
  Deno.chownSync(file, 65534, 65534);
  const program = `${place.folder}/sasyncd`;
  Deno.copyFileSync(EXECUTABLE, program);
  const nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", program];
  assertEquals((await execute("setpriv", ...nobody, "-n", "-c", file)).code, 0);
  const refused = await execute("setpriv", ...nobody, "-d", "-c", file);
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /need root privileges/);
});

test("sasyncd tells all mistakes of a configuration", async (place) => {
  const file = configure(place, "master", "sharedkye 0x11\nflushmode sometimes");
  const { code, stderr } = await execute(EXECUTABLE, "-n", "-c", file);
  assertEquals(code, 1);
  assertMatch(stderr, /:5: .*sharedkye.*sharedkey/);
  assertMatch(stderr, /:6: .*flushmode/);
});

test("sasyncd refuses a configuration that others may read", async (place) => {
  const file = configure(place, "master");
  Deno.chmodSync(file, 0o640);
  const { code, stderr } = await execute(EXECUTABLE, "-d", "-c", file);
  assertEquals(code, 1);
  assertMatch(stderr, /mode 0640/);
});

test("sasyncd with a carp interface says that this system has none", async (place) => {
  const file = configure(place, "master");
  Deno.writeTextFileSync(file, Deno.readTextFileSync(file).replace("mode master", "interface carp0"));
  for (const args of [["-d"], []]) {
    const { code, stderr } = await execute(EXECUTABLE, ...args, "-c", file);
    assertEquals(code, 1);
    assertMatch(stderr, /interface carp0: this system has no carp\(4\)/);
  }
});

test("sasyncd follows an address of this host, and demotes in a file until it is synchronised", async (place) => {
  const demote = `${place.folder}/demote`;
  const master = configure(place, "master");
  const text = Deno.readTextFileSync(master).replace("mode master", "interface lo address 127.0.0.1");
  Deno.writeTextFileSync(master, text);
  const slave = configure(place, "slave", `sharedkey 0x${KEY}\ndemote file ${demote} weight 20`);
  const first = new Daemon(master);
  await first.waitFor(/INIT -> MASTER: 127\.0\.0\.1 is on lo/);
  const second = new Daemon(slave);
  await second.waitFor(/demoted: no session with 127\.0\.0\.1 yet/);
  await second.waitFor(/not demoted any more: synchronised/);
  const said = () => Deno.readTextFileSync(demote);
  await waitUntil(() => said() === "20\n", said); // the helper writes it, after the line
  for (const daemon of [second, first]) assertEquals((await daemon.end("SIGTERM")).code, 0);
  assertEquals(Deno.readTextFileSync(demote), "0\n");
});

test("sasyncd genkey prints a line that is a configuration's", async (place) => {
  const { code, stdout } = await execute(EXECUTABLE, "genkey");
  assertEquals(code, 0);
  assertMatch(stdout, /^sharedkey 0x[0-9a-f]{64}\n$/);
  assertEquals((await execute(EXECUTABLE, "-n", "-c", configure(place, "master", stdout))).code, 0);
});

test("sasyncd synchronises over TCP, shows no key and ends in order", async (place) => {
  const [master, slave] = [
    new Daemon(configure(place, "master")),
    new Daemon(configure(place, "slave")),
  ];
  await slave.waitFor(/synchronised with 127\.0\.0\.1: 0 records/);
  const ended = [await master.end("SIGTERM")];
  await slave.waitFor(/disconnected, said goodbye: received SIGTERM/);
  ended.push(await slave.end("SIGINT"));
  for (const { code, tookMs } of ended) {
    assertEquals(code, 0);
    assert(tookMs < 1000, `end took ${tookMs} ms`);
  }
  for (const { log } of [master, slave]) assert(!log.toLowerCase().includes(KEY.slice(0, 12)));
});

test("sasyncd reads its configuration again on SIGHUP and on command, and stays connected", async (place) => {
  const file = configure(place, "slave");
  const [master, slave] = [new Daemon(configure(place, "master")), new Daemon(file)];
  await slave.waitFor(/synchronised with 127\.0\.0\.1: 0 records/);
  const text = Deno.readTextFileSync(file);
  Deno.writeTextFileSync(file, `${text}\nflushmode sometimes\n`);
  slave.signal("SIGHUP");
  await slave.waitFor(/the configuration stays as it was:[^]*flushmode: /);
  const refused = await execute(EXECUTABLE, "reload", "-c", file);
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /flushmode: /);
  Deno.writeTextFileSync(file, `${text}\nsharedkey next 0x${"42".repeat(16)}\n`);
  const done = await execute(EXECUTABLE, "reload", "-c", file);
  assertEquals([done.code, done.stdout], [0, "reload: done\n"]);
  await slave.waitFor(/configuration read again/);
  const since = slave.log.slice(slave.log.indexOf("the configuration stays"));
  assert(!since.includes("disconnected"), since);
  for (const daemon of [master, slave]) assertEquals((await daemon.end("SIGTERM")).code, 0);
});

for (const victim of ["master", "slave"] as const) {
  test(`sasyncd finds its peer again after kill -9 of the ${victim}`, async (place) => {
    const files = { master: configure(place, "master"), slave: configure(place, "slave") };
    const daemons = { master: new Daemon(files.master), slave: new Daemon(files.slave) };
    await daemons.slave.waitFor(/synchronised with/);
    const survivor = daemons[victim === "master" ? "slave" : "master"];
    await daemons[victim].end("SIGKILL");
    await survivor.waitFor(/: disconnected/);
    daemons[victim] = new Daemon(files[victim]);
    await survivor.waitFor(/: connected/, 2);
    await daemons.slave.waitFor(/synchronised with/, victim === "master" ? 2 : 1);
    for (const daemon of Object.values(daemons)) assertEquals((await daemon.end("SIGTERM")).code, 0);
  });
}

test("sasyncd with another key is refused, and says so once", async (place) => {
  const master = new Daemon(configure(place, "master"));
  const slave = new Daemon(configure(place, "slave", `sharedkey 0x${KEY.replaceAll("0", "f")}`));
  await master.waitFor(/peer 127\.0\.0\.2: .*/);
  await slave.waitFor(/peer 127\.0\.0\.1: .*/);
  await new Promise((resolve) => setTimeout(resolve, 3000)); // several tries of both sides
  for (const daemon of [master, slave]) {
    assertEquals((await daemon.end("SIGTERM")).code, 0);
    assert(!daemon.log.includes("connected, linux"));
    assert(daemon.log.split("\n").filter((line) => line.startsWith("peer ")).length <= 2, daemon.log);
  }
});

test("sasyncd on a port that is taken exits 1 and says which", async (place) => {
  const file = configure(place, "master");
  const first = new Daemon(file);
  await first.waitFor(/started/);
  Deno.writeTextFileSync(file, Deno.readTextFileSync(file).replace("master.control", "other.control"));
  const demote = `${place.folder}/demote`;
  Deno.writeTextFileSync(file, `\ndemote file ${demote}\n`, { append: true });
  Deno.writeTextFileSync(demote, "100\n");
  for (const args of [["-d"], []]) {
    const { code, stderr } = await execute(EXECUTABLE, ...args, "-c", file);
    assertEquals(code, 1);
    assertEquals(Deno.readTextFileSync(demote), "100\n", "it is that of the daemon that runs");
    assertMatch(stderr, new RegExp(`listen on 127\\.0\\.0\\.1.*${place.port}.*EADDRINUSE`));
  }
  assertEquals((await first.end("SIGTERM")).code, 0);
});

test("sasyncd listens for its own user on the control socket, and takes it away at the end", async (place) => {
  const file = configure(place, "master");
  const path = `${place.folder}/master.control`;
  const modeOf = () => Deno.lstatSync(path).mode! & 0o7777;
  const daemon = new Daemon(file);
  await daemon.waitFor(/started/);
  assertEquals(modeOf(), 0o600);
  const nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
  Deno.chmodSync(place.folder, 0o755);
  const knock = `import socket; socket.socket(socket.AF_UNIX).connect("${path}")`;
  assertMatch((await execute("setpriv", ...nobody, "python3", "-c", knock)).stderr, /Permission denied/);
  assertEquals((await execute("python3", "-c", knock)).code, 0);

  const text = Deno.readTextFileSync(file).replace("127.0.0.1", "127.0.0.3");
  Deno.writeTextFileSync(file, text);
  const refused = new RegExp(
    `a second daemon, as process ${daemon.pid} has locked ".*master.control.lock": EAGAIN`,
  );
  for (const isThere of [true, false]) {
    if (!isThere) Deno.removeSync(path);
    const second = await execute(EXECUTABLE, "-d", "-c", file);
    assertEquals(second.code, 1);
    assertMatch(second.stderr, refused);
  }

  await daemon.end("SIGKILL");
  const third = new Daemon(file);
  await third.waitFor(/started/);
  assertEquals(modeOf(), 0o600);
  assertEquals((await third.end("SIGTERM")).code, 0);
  assertThrows(modeOf, Deno.errors.NotFound);
});

test("sasyncd leaves alone what is no socket in the place of its control socket", async (place) => {
  const path = `${place.folder}/master.control`;
  Deno.writeTextFileSync(path, "precious");
  const { code, stderr } = await execute(EXECUTABLE, "-d", "-c", configure(place, "master"));
  assertEquals(code, 1);
  assertMatch(stderr, /in the place of what is no socket: EEXIST/);
  assertEquals(Deno.readTextFileSync(path), "precious");
});

test("sasyncd handover is refused by name, and by nobody", async (place) => {
  const master = configure(place, "master");
  const absent = await execute(EXECUTABLE, "handover", "-c", master);
  assertEquals(absent.code, 2);
  assertMatch(absent.stderr, /handover: no daemon answers: .*connect to ".*master.control": ENOENT/);
  const daemons = [new Daemon(master), new Daemon(configure(place, "slave"))];
  for (const daemon of daemons) await daemon.waitFor(/started/);
  const locked = await execute(EXECUTABLE, "handover", "-c", master);
  assertEquals(locked, {
    code: 1,
    stdout: "",
    stderr: "sasyncd: handover: mode master is configured: this node cannot become slave\n",
  });
  const slave = await execute(EXECUTABLE, "handover", "-c", `${place.folder}/slave.conf`);
  assertEquals(slave.stderr, "sasyncd: handover: this node is not master but SLAVE\n");
  for (const daemon of daemons) assertEquals((await daemon.end("SIGTERM")).code, 0);
});

test("sasyncd status, show, log and monitor tell of the daemon that runs", async (place) => {
  const files = { master: configure(place, "master"), slave: configure(place, "slave") };
  const daemons = { master: new Daemon(files.master), slave: new Daemon(files.slave) };
  await daemons.slave.waitFor(/synchronised with/);
  const ask = (role: "master" | "slave", ...words: string[]) =>
    execute(EXECUTABLE, ...words, "-c", files[role]);
  const { code, stdout, stderr } = await ask("slave", "status");
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^role +SLAVE for .*: mode slave\nepoch +1\nfollowing +127.0.0.1, synchronised\n/);
  assert(stdout.split("\n").every((line) => line.length <= 80));
  const view = JSON.parse((await ask("master", "status", "--json")).stdout);
  assertEquals([view.role, view.peers[0].role, view.peers[0].lagChanges], ["MASTER", "SLAVE", 0]);
  assertMatch((await ask("master", "show", "peers")).stdout, /^PEER .*\n127\.0\.0\.2 +up .* SLAVE +0 +0\n$/);
  assertEquals(await ask("slave", "show", "sa"), { code: 0, stdout: "", stderr: "" });
  const script = 'set -o pipefail; "$0" monitor --json -c "$1" | head -1';
  let isCut = false;
  const cut = execute("bash", "-c", script, EXECUTABLE, files.slave).finally(() => isCut = true);
  while (!isCut) { // until an event comes that nobody reads
    daemons.slave.signal("SIGHUP");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assertMatch((await cut).stdout, /^\{"event":"role".*\}\n$/);
  assertEquals((await cut).code, 1, "ends when nobody reads");
  assertEquals((await ask("slave", "log", "brief")).stdout, "log brief: done\n");
  const monitor = new Deno.Command(EXECUTABLE, {
    args: ["monitor", "--json", "-c", files.slave],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = monitor.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const begin = await reader.read();
  assertMatch(`${begin.value}`, /"event":"role","role":"SLAVE"/);
  assertEquals((await daemons.slave.end("SIGTERM")).code, 0);
  await reader.cancel();
  assertEquals((await monitor.status).code, 2);
  await monitor.stderr.cancel();
  assertEquals((await ask("slave", "status")).code, 2);
  assertEquals((await daemons.master.end("SIGTERM")).code, 0);
});

test("sasyncd verify tells by its exit status whether all is equal", async (place) => {
  const files = [`${place.folder}/same`, `${place.folder}/other`];
  for (const file of files) Deno.writeTextFileSync(file, "a");
  const more = (file: string) => `sharedkey 0x${KEY}\ncheck file ${files[0]}\ncheck file ${file}`;
  const master = configure(place, "master", more(files[0]!));
  const slave = configure(place, "slave", more(files[0]!));
  const daemons = { master: new Daemon(master), slave: new Daemon(slave) };
  await daemons.slave.waitFor(/synchronised with/);
  for (const file of [master, slave]) {
    const { code, stdout } = await execute(EXECUTABLE, "verify", "-c", file);
    assertEquals([code, stdout.trimEnd().split("\n").at(-1)], [0, "equal"], stdout);
  }
  const { stdout: json } = await execute(EXECUTABLE, "resync", "--json", "-c", slave);
  assertEquals(JSON.parse(json).result, "equal");

  await daemons.slave.end("SIGTERM");
  daemons.slave = new Daemon(configure(place, "slave", more(files[1]!)));
  await daemons.slave.waitFor(/synchronised with/);
  const differing = await execute(EXECUTABLE, "verify", "-c", master);
  assertEquals(differing.code, 1);
  assertMatch(differing.stdout, /^ {2}there +file .*\/other: sha256\n +ca978112/m); // of "a"

  await daemons.slave.end("SIGTERM");
  const alone = await execute(EXECUTABLE, "verify", "-c", master);
  assertEquals(alone.code, 2);
  assertMatch(alone.stdout, /^records +unknown: /m);
  assertEquals((await daemons.master.end("SIGTERM")).code, 0);
});

test("sasyncd goes to the background when it is ready", async (place) => {
  const file = configure(place, "master");
  const { code } = await execute(EXECUTABLE, "-v", "-c", file); // reads to the end: nothing of ours is kept open
  assertEquals(code, 0);
  const found = (await execute("pgrep", "-f", `sasyncd --network .*${file}`)).stdout.trim();
  const pid = Number(found);
  assert(pid > 0, `one daemon runs: "${found}"`);
  try {
    const { stdout: sockets } = await execute("ss", "-Hltn", `sport = :${place.port}`);
    assertStringIncludes(sockets, `127.0.0.1:${place.port}`);
    assertEquals(Deno.readLinkSync(`/proc/${pid}/cwd`), "/");
    for (const fd of [0, 1, 2]) assertEquals(Deno.readLinkSync(`/proc/${pid}/fd/${fd}`), "/dev/null");
    const { stdout } = await execute("ps", "-o", "sid=", "-p", found);
    assertEquals(Number(stdout), pid, "leads a session of its own");
  } finally {
    Deno.kill(pid, "SIGTERM");
  }
  for (let i = 0; i < 50 && (await execute("kill", "-0", found)).code === 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert(
    (await execute("pgrep", "-f", `sasyncd --network .*${file}`)).code === 1,
    "ended within a second",
  );
});

test("sasyncd runs the command of control exec on each side, until it succeeds", async (place) => {
  const { folder } = place;
  const program = `${folder}/ike`;
  const script = `#!/bin/sh
echo "told: $*"
[ -e ${folder}/$2 ] && exit 0
touch ${folder}/$2
exit 7
`;
  Deno.writeTextFileSync(program, script, { mode: 0o700 });
  const more = `sharedkey 0x${KEY}\ncontrol exec "${program} -x"`;
  const [master, slave] = [
    new Daemon(configure(place, "master", more)),
    new Daemon(configure(place, "slave", more)),
  ];
  for (
    const [daemon, duty, word] of [[master, "ACTIVE 1", "active"], [slave, "PASSIVE \\d", "passive"]] as const
  ) {
    await daemon.waitFor(new RegExp(`ike is not ${word} yet, trying again: exit status 7`));
    await daemon.waitFor(new RegExp(`ike is ${word}`));
    await daemon.waitFor(new RegExp(`ike: told: -x ${duty}`), 2);
    assertEquals((await daemon.end("SIGTERM")).code, 0);
  }
});

test("sasyncd ends in time though the command of control exec hangs", async (place) => {
  const program = `${place.folder}/ike`;
  Deno.writeTextFileSync(program, "#!/bin/sh\necho begins\nexec sleep 5\n", { mode: 0o700 });
  const daemon = new Daemon(configure(place, "slave", `sharedkey 0x${KEY}\ncontrol exec ${program}`));
  await daemon.waitFor(/ike: begins/);
  const { code, tookMs } = await daemon.end("SIGTERM");
  assertEquals(code, 0);
  assert(tookMs < 1000, `end took ${tookMs} ms`);
});

test("sasyncd goes on without the IKE daemon that it is to tell", async (place) => {
  const more = `sharedkey 0x${KEY}\ncontrol strongswan socket ${place.folder}/none`;
  const daemon = new Daemon(configure(place, "slave", more));
  await daemon.waitFor(/strongswan is not passive yet, trying again: Cannot connect to ".*none": ENOENT/);
  const { code, tookMs } = await daemon.end("SIGTERM");
  assertEquals(code, 0);
  assert(tookMs < 1000, `end took ${tookMs} ms`);
});
