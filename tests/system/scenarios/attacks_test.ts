/** What comes to the port and is no good: refused, said once, and nobody else notices. */

import { assert, assertEquals } from "@std/assert";
import {
  ADDRESS,
  configurationOf,
  countKernel,
  delay,
  guest,
  Network,
  type Node,
  Sasyncd,
  step,
  test,
  THREE,
  waitEqual,
} from "../lab/mod.ts";

guest({ limitSeconds: 400 });

const PORT = `/dev/tcp/${ADDRESS.gw1.sync.v4}/500`;
/** An address on the sync network that is nobody's. */
const UNKNOWN = "203.0.113.77";

let lab: Network;
let gw3: Node;
let master: Sasyncd;
let slave: Sasyncd;
let nextSpi = 0x1000;
let before: { files: number; memory: number };

function configuration(own: string, mode: "master" | "slave", key?: string): string {
  return configurationOf(own, [`mode ${mode}`], { gateways: THREE, key });
}

function addState(spi: number): string {
  return `xfrm state add src ${ADDRESS.virtual.pub.v4} dst ${ADDRESS.client.pub.v4} proto esp spi 0x${
    spi.toString(16)
  } mode tunnel aead rfc4106(gcm(aes)) 0x${"11".repeat(20)} 128`;
}

/** Descriptors that the master has open, and its memory in MiB. */
function usage(): { files: number; memory: number } {
  const { pid } = master.process;
  const memory = Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
  return { files: [...Deno.readDirSync(`/proc/${pid}/fd`)].length, memory };
}

/** A change on the master arrives at the good slave. @returns after how many milliseconds, looking included */
async function follows(): Promise<number> {
  const { states } = await countKernel(lab.gw1);
  await lab.gw1.ip(addState(nextSpi++));
  const changedAt = performance.now();
  while ((await countKernel(lab.gw2)).states !== states + 1) {
    assert(performance.now() - changedAt < 10_000, `gw2 does not follow:\n${master.process.tail()}`);
  }
  return Math.round(performance.now() - changedAt);
}

/** Runs a script in a node; until it has ended, and at least once, the good slave has to follow. */
async function whileFollowing(node: Node, script: string): Promise<void> {
  const attack = node.spawn("bash", "-c", `trap "" PIPE\n${script}`);
  const delays: number[] = [];
  do {
    delays.push(await follows());
    await delay(200);
  } while (attack.running);
  step(`the slave followed ${delays.length} times meanwhile, after at most ${Math.max(...delays)} ms`);
  assertEquals(await attack.ended, 0, attack.tail());
}

/** What the master has said of an address, without the count of repetitions that follows a minute later. */
function said(address: string, from: number): string[] {
  return master.log.slice(from).filter((line) =>
    line.includes(`peer ${address}: `) && !/\(and (once|\d+ times) more\)$/.test(line)
  );
}

/** What every attack must leave as it was. */
function assertUndisturbed(from: number): void {
  assert(master.process.running && slave.process.running);
  assertEquals(master.process.countLines(/203\.0\.113\.2: (dis)?connected/, from), 0, master.process.tail());
  assert(master.process.lines.length - from < 6, `too much was said:\n${master.process.tail()}`);
}

test("a master, a good slave, and another peer that is not there", async () => {
  lab = await Network.build({ gateways: 3 });
  gw3 = lab.gateways[2]!;
  master = await Sasyncd.start(lab.gw1, configuration("gw1", "master"));
  slave = await Sasyncd.start(lab.gw2, configuration("gw2", "slave"));
  await slave.waitForLog(/synchronised with/);
  await follows();
  before = usage();
  step(`the master has ${before.files} descriptors and ${before.memory.toFixed(0)} MiB`);
});

test("a peer with the wrong shared key is refused, and told of once", async () => {
  const from = master.log.length;
  const wrong = await Sasyncd.start(gw3, configuration("gw3", "slave", `0x${"a5".repeat(32)}`));
  await master.waitForLog(/peer 203\.0\.113\.3: /, 60_000, from);
  for (let round = 0; round < 10; round++) {
    await follows();
    await delay(500);
  }
  const lines = said(ADDRESS.gw3.sync.v4, from);
  step(lines.join("\n"));
  assertEquals(lines.length, 1);
  assert(!wrong.log.some((line) => / connected/.test(line)), wrong.process.tail());
  assertEquals(await countKernel(gw3), { states: 0, policies: 0 });
  assertUndisturbed(from);
  await wrong.kill();
});

/** Says nothing, says nonsense in many ways, and a frame of the right length with a wrong content. */
const GARBAGE = `
for round in $(seq 30); do
  for text in '' 'GET / HTTP/1.1\\r\\n\\r\\n' '\\x00\\x00' '\\x00\\x30' '\\xff\\xffabc' '\\x00\\x30${
  "x".repeat(48)
}' \\
    '\\x00\\x30${"\\\\x00".repeat(48)}' '\\x00\\x30${"y".repeat(48)}\\x00\\x20${"z".repeat(32)}'; do
    { printf "$text" >&4; } 4<>${PORT}
  done
done 2>/dev/null
true`;

/** 1 MB of random bytes, three times; the other side may close meanwhile. */
const RANDOM =
  `for round in 1 2 3; do head -c 1000000 /dev/urandom 2>/dev/null >${PORT}; done 2>/dev/null; true`;

/** Half a handshake, 150 times at once, kept open for longer than a handshake may take. */
const HALF = `
for round in $(seq 150); do exec {fd}<>${PORT} && printf '\\x00\\x30half a handshake' >&$fd; done 2>/dev/null
sleep 7; true`;

/** The whole of the first message, which anybody can make up or replay: the other side can only wait. */
const WHOLE = `
for round in $(seq 150); do exec {fd}<>${PORT} && printf '\\x00\\x30%048d' $round >&$fd; done 2>/dev/null
sleep 2; true`;

const ATTACKS = {
  garbage: GARBAGE,
  "1 MB of random bytes": RANDOM,
  "half a handshake": HALF,
  "a made-up handshake": WHOLE,
};

test("an address that is no peer's is refused whatever it sends, and told of once", async () => {
  const from = master.log.length;
  await gw3.ip(
    `addr add ${UNKNOWN}/24 dev sync`,
    `route replace ${ADDRESS.gw1.sync.v4}/32 dev sync src ${UNKNOWN}`,
  );
  await whileFollowing(gw3, Object.values(ATTACKS).join("\n"));
  const lines = said(UNKNOWN, from);
  assertEquals(lines.length, 1, lines.join("\n"));
  assert(lines[0]?.includes("is no configured peer"));
  assertUndisturbed(from);
  await gw3.ip(`route del ${ADDRESS.gw1.sync.v4}/32 dev sync`, `addr del ${UNKNOWN}/24 dev sync`);
});

for (const [name, script] of Object.entries(ATTACKS)) {
  test(`${name} from the addresses of both peers: the good session goes on`, async () => {
    const from = master.log.length;
    await whileFollowing(gw3, script);
    await whileFollowing(lab.gw2, script);
    for (const { sync } of [ADDRESS.gw2, ADDRESS.gw3]) {
      assert(said(sync.v4, from).length <= 1, said(sync.v4, from).join("\n"));
    }
    assertUndisturbed(from);
  });
}

test("nothing of it is left: descriptors, memory, and a peer with the right key is welcome", async () => {
  for (const { sync } of [ADDRESS.gw2, ADDRESS.gw3]) {
    const lines = said(sync.v4, 0);
    step(lines.join("\n"));
    assert(lines.some((line) => !/(dis)?connected/.test(line)), `nothing was said of ${sync.v4}`);
  }
  const after = usage();
  step(`the master has ${after.files} descriptors and ${after.memory.toFixed(0)} MiB`);
  assert(after.files <= before.files + 1, `${after.files} descriptors, ${before.files} before`);
  assert(after.memory < before.memory + 48, `${after.memory} MiB, ${before.memory} before`);
  const third = await Sasyncd.start(gw3, configuration("gw3", "slave"));
  await third.waitForLog(/synchronised with/);
  await waitEqual(lab.gw1, gw3);
  await waitEqual(lab.gw1, lab.gw2);
  for (const daemon of [third, slave, master]) assertEquals(await daemon.stop(), 0);
});
