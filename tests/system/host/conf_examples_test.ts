/** The files in conf/ are what they say they are. Needs to read them, so it is no unit test. */

import { assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../../src/config/config.ts";
import { formatAddress } from "../../../src/record/address.ts";
import { EXECUTABLE, execute } from "./daemon.ts";
import { HEX_KEY, mistakesOf, parseWith } from "../../fakes/config.ts";

const KEY_FILES = { "/etc/sasyncd.key": `${HEX_KEY}\n` };

function readExample(name: string): string {
  return Deno.readTextFileSync(new URL(`../../../conf/${name}`, import.meta.url));
}

function summarize({ mode, skipSlave, interface: name, virtualAddress, peers, shared, control }: Config) {
  const address = virtualAddress && formatAddress(virtualAddress);
  return {
    mode,
    skipSlave,
    name,
    address,
    peers: peers.map(({ target }) => target),
    shared: shared.length,
    control,
  };
}

Deno.test("conf/sasyncd.conf parses", () => {
  assertEquals(summarize(parseWith(readExample("sasyncd.conf"), KEY_FILES)), {
    mode: undefined,
    skipSlave: false,
    name: "eth0",
    address: "203.0.113.1",
    peers: ["192.0.2.2"],
    shared: 1,
    control: "none",
  });
});

Deno.test("conf/sasyncd.toml parses", () => {
  assertEquals(summarize(parseWith(readExample("sasyncd.toml"), KEY_FILES, "sasyncd.toml")), {
    mode: undefined,
    skipSlave: false,
    name: "eth0",
    address: "203.0.113.1",
    peers: ["192.0.2.2", "192.0.2.3"],
    shared: 2,
    control: "none",
  });
});

Deno.test("conf/sasyncd-openbsd.conf parses once it has a key, and not before", () => {
  const text = readExample("sasyncd-openbsd.conf");
  assertEquals(mistakesOf(text, {}, "f"), ["f: sharedkey is missing"]);
  assertEquals(summarize(parseWith(text.replace("#sharedkey 0x...", `sharedkey ${HEX_KEY}`))), {
    mode: undefined,
    skipSlave: true,
    name: "carp0",
    address: undefined,
    peers: ["192.0.2.2"],
    shared: 1,
    control: "isakmpd",
  });
});

for (const name of ["sasyncd.conf", "sasyncd-ucarp.conf", "sasyncd-three.conf", "sasyncd.toml"]) {
  Deno.test(`sasyncd -n accepts conf/${name}, and it shares what it names`, async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const text = readExample(name).replaceAll("/etc/sasyncd.key", `${folder}/key`);
      const mode = 0o600;
      Deno.writeTextFileSync(`${folder}/key`, `${HEX_KEY}\n`, { mode });
      Deno.writeTextFileSync(`${folder}/${name}`, text, { mode });
      const { code, stdout, stderr } = await execute(EXECUTABLE, "-n", "-c", `${folder}/${name}`);
      assertEquals([code, stderr], [0, ""]);
      assertMatch(stdout, /^shared 203\.0\.113\.1/m);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

Deno.test({
  name: "keepalived accepts conf/keepalived.conf",
  ignore: Deno.env.get("CI") !== "true" && Deno.uid() !== 0,
  async fn() {
    const file = new URL("../../../conf/keepalived.conf", import.meta.url).pathname;
    const { code, stderr } = await execute("keepalived", "-t", "-l", "-f", file);
    assertEquals(code, 0, stderr);
  },
});

Deno.test("conf/keepalived.conf names the file and the address of conf/sasyncd.conf, with a weight of 1", () => {
  const [vrrp, sasyncd] = [readExample("keepalived.conf"), readExample("sasyncd.conf")];
  const [, file] = /^demote file (\S+)/m.exec(sasyncd)!;
  const [, address] = /^interface eth0 address (\S+)/m.exec(sasyncd)!;
  assertMatch(vrrp, new RegExp(`^\\tfile ${file}$`, "m"));
  assertMatch(vrrp, new RegExp(`^\\t\\t${address}/24$`, "m"));
  assertMatch(vrrp, /^\t\tsasyncd weight 1$/m);
});

Deno.test("conf/sasyncd.service leaves out what the runtime does not survive", () => {
  const settings = readExample("sasyncd.service").split("\n").filter((line) => !line.startsWith("#"));
  assertEquals(settings.filter((line) => /^(MemoryDenyWriteExecute|LimitAS)=/.test(line)), []);
  assertMatch(settings.join("\n"), /^ExecStopPost=-\/sbin\/ip -6 rule flush protocol 83$/m);
});

/** `ipsec whack --status` of libreswan 4.10, a line for each connection. */
const PLUTO_STATUS = `000 Connection list:
000 "up": 10.1.0.0/24===192.0.2.1...192.0.2.2===10.2.0.0/24; erouted; eroute owner: #2
000 "up":   our auth:secret, their auth:secret; unrouted; decoy
000 "idle": 10.1.0.0/24===192.0.2.1...192.0.2.3===10.3.0.0/24; prospective erouted; eroute owner: #0
000 "off": 10.1.0.0/24===192.0.2.1...192.0.2.4===10.4.0.0/24; unrouted; eroute owner: #0
`;

const LIBRESWAN: readonly (readonly [args: string, code: number, calls: readonly string[]])[] = [
  ["up idle off ACTIVE 5", 0, ["whack --name off --route"]],
  ["up idle off PASSIVE 5", 0, ["whack --name idle --unroute"]],
  ["unknown off ACTIVE 5", 1, ["whack --name off --route"]],
  ["idle PASSIVE-ISH 5", 2, []],
  ["ACTIVE 5", 2, []],
];

for (const [args, code, calls] of LIBRESWAN) {
  Deno.test(`conf/sasyncd-libreswan ${args} does what it says to a libreswan that is made up`, () => {
    const folder = Deno.makeTempDirSync();
    try {
      const ipsec =
        `#!/bin/sh\ncase "$*" in *--status) cat ${folder}/status ;; *) echo "$*" >>${folder}/calls ;; esac\n`;
      Deno.writeTextFileSync(`${folder}/ipsec`, ipsec, { mode: 0o755 });
      Deno.writeTextFileSync(`${folder}/status`, PLUTO_STATUS);
      Deno.writeTextFileSync(`${folder}/calls`, "");
      const script = new URL("../../../conf/sasyncd-libreswan", import.meta.url).pathname;
      const env = { PATH: `${folder}:/usr/bin:/bin` };
      assertEquals(new Deno.Command(script, { args: args.split(" "), env }).outputSync().code, code);
      const called = Deno.readTextFileSync(`${folder}/calls`).split("\n").filter((line) => line !== "");
      assertEquals(called, [...calls]);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}
