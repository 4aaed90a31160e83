import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Config } from "../../../src/config/config.ts";
import { printConfig } from "../../../src/config/print.ts";
import { maskAddress, type Prefix } from "../../../src/record/address.ts";
import { HEX_KEY, parseWith } from "../../fakes/config.ts";
import { FULL_INPUT, FULL_OUTPUT, SMALL_INPUT, SMALL_OUTPUT } from "../../golden/config_print.ts";

const FILE = "/etc/sasyncd.conf";

for (
  const [name, input, output] of [["full", FULL_INPUT, FULL_OUTPUT], ["small", SMALL_INPUT, SMALL_OUTPUT]]
) {
  Deno.test(`printConfig() prints the ${name} configuration`, () => {
    assertEquals(printConfig(parseWith(input!, {}, FILE)), output);
  });
}

const key = fc.record({
  kind: fc.constant("hex" as const),
  bytes: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});
const name = fc.stringMatching(/^[a-z]{1,6}[0-9.]{1,5}$/);
const port = fc.integer({ min: 1, max: 65535 });
const prefix: fc.Arbitrary<Prefix> = fc.tuple(fc.constantFrom(4, 16), fc.nat(32)).chain(([length, bits]) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => ({
    address: maskAddress(bytes, bits),
    bits,
  }))
);
const protocol = fc.constantFrom("native" as const, "classic" as const);
const peer = fc.record({
  target: name,
  port,
  sharedKey: fc.constant(undefined),
  slaveOnly: fc.boolean(),
  protocol,
});
const listen = fc.record({
  target: name,
  family: fc.constantFrom(4 as const, 6 as const, undefined),
  port,
});

const config: fc.Arbitrary<Config> = fc.record({
  file: fc.string(),
  interface: name,
  virtualAddress: fc.option(fc.uint8Array({ minLength: 4, maxLength: 4, min: 1 }), { nil: undefined }),
  group: name,
  replay: fc.constantFrom("lenient" as const, "strict" as const),
  flushMode: fc.constantFrom("startup" as const, "never" as const, "sync" as const),
  listen: fc.uniqueArray(listen, { selector: ({ target }) => target }),
  mode: fc.constantFrom("master" as const, "slave" as const, undefined),
  skipSlave: fc.boolean(),
  peers: fc.uniqueArray(peer, { selector: ({ target }) => target }),
  sharedKey: key,
  nextKey: fc.option(key, { nil: undefined }),
  allowWeakKey: fc.boolean(),
  control: fc.oneof(
    fc.constantFrom("isakmpd" as const, "iked" as const, "all" as const, "none" as const),
    fc.record({ daemon: fc.constant("strongswan" as const), socket: name.map((word) => `/run/${word}`) }),
    fc.record({
      daemon: fc.constant("exec" as const),
      command: fc.array(name).map((words) => ["/sbin/a", ...words]),
    }),
  ),
  controlSocket: fc.option(name.map((word) => `/run/${word}`), { nil: undefined }),
  renegotiatePerSecond: fc.option(fc.integer({ min: 1, max: 10_000 }).map((n) => n / 100), {
    nil: undefined,
  }),
  user: fc.constantFrom("root", "_sasyncd", undefined),
  protocol,
  kernel: fc.constantFrom(
    ...(["auto", "xfrm", "pfkey", "memory", "memory openbsd"] as const),
  ),
  pfkey: fc.record({
    truncation: fc.constantFrom(96 as const, 128 as const, undefined),
    noEsn: fc.boolean(),
  }),
  shared: fc.array(prefix),
  exclude: fc.array(prefix),
  checkFiles: fc.array(fc.constantFrom("/etc/a", "/etc/b.conf")),
  metrics: fc.option(
    fc.record({
      address: fc.uint8Array({ minLength: 4, maxLength: 4 }),
      port: fc.integer({ min: 1, max: 65535 }),
    }),
    { nil: undefined },
  ),
  demoteFile: fc.option(
    fc.record({ path: name.map((word) => `/run/${word}`), weight: fc.integer({ min: 1, max: 253 }) }),
    { nil: undefined },
  ),
}).map((one) => {
  const isStrongswan = typeof one.control === "object" && one.control.daemon === "strongswan";
  return isStrongswan ? one : { ...one, renegotiatePerSecond: undefined };
});

Deno.test("printConfig() prints what parses to the same Config, but for the keys", () => {
  fc.assert(fc.property(config, (config) => {
    const again = parseWith(`${printConfig(config)}sharedkey ${HEX_KEY}\n`);
    assertEquals(
      { ...again, file: config.file, sharedKey: config.sharedKey, nextKey: config.nextKey },
      config,
    );
  }));
});

Deno.test("printConfig() shows no key", () => {
  const secret = "S3cretS3cretS3cret-phrase-Xy.qwZ";
  const text = `interface a\npeer b sharedkey ${secret}\nsharedkey ${secret}`;
  const printed = printConfig(parseWith(text));
  assertEquals(printed.includes("S3cret"), false, printed);
});
