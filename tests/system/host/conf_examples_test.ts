/** The files in conf/ are what they say they are. Needs to read them, so it is no unit test. */

import { assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../../src/config/config.ts";
import { HEX_KEY, mistakesOf, parseWith } from "../../fakes/config.ts";

const KEY_FILES = { "/etc/sasyncd.key": `${HEX_KEY}\n` };

function readExample(name: string): string {
  return Deno.readTextFileSync(new URL(`../../../conf/${name}`, import.meta.url));
}

function summarize({ mode, skipSlave, interface: carp, peers, shared, control }: Config) {
  return { mode, skipSlave, carp, peers: peers.map(({ target }) => target), shared: shared.length, control };
}

Deno.test("conf/sasyncd.conf parses", () => {
  assertEquals(summarize(parseWith(readExample("sasyncd.conf"), KEY_FILES)), {
    mode: "master",
    skipSlave: false,
    carp: undefined,
    peers: ["192.0.2.2"],
    shared: 1,
    control: "none",
  });
});

Deno.test("conf/sasyncd.toml parses", () => {
  assertEquals(summarize(parseWith(readExample("sasyncd.toml"), KEY_FILES, "sasyncd.toml")), {
    mode: "master",
    skipSlave: false,
    carp: undefined,
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
    carp: "carp0",
    peers: ["192.0.2.2"],
    shared: 0,
    control: "isakmpd",
  });
});

Deno.test("conf/sasyncd.service leaves out what the runtime does not survive", () => {
  const settings = readExample("sasyncd.service").split("\n").filter((line) => !line.startsWith("#"));
  assertEquals(settings.filter((line) => /^(MemoryDenyWriteExecute|LimitAS)=/.test(line)), []);
  assertMatch(settings.join("\n"), /^ExecStopPost=-\/sbin\/ip -6 rule flush protocol 83$/m);
});
