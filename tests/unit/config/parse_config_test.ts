/** sasyncd.conf(5) as the manual page says it, row by row. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Config } from "../../../src/config/config.ts";
import { parseConfig } from "../../../src/config/parse_config.ts";
import { STATEMENTS } from "../../../src/config/statements.ts";
import { ConfigError } from "../../../src/errors.ts";
import { ASCII_KEY, HEX_KEY, mistakesOf, parseWith } from "../../fakes/config.ts";

const KEY = { kind: "hex", bytes: Uint8Array.from({ length: 16 }, (_, i) => i) } as const;
const ASCII = { kind: "ascii", bytes: new TextEncoder().encode(ASCII_KEY) } as const;
const peer = (target: string, options: Partial<Config["peers"][number]> = {}) => ({
  target,
  port: 500,
  sharedKey: undefined,
  slaveOnly: false,
  protocol: "native" as const,
  ...options,
});
const listen = (target: string, family: 4 | 6 | undefined = undefined, port = 500) => ({
  target,
  family,
  port,
});

const DEFAULTS: Config = {
  file: "test.conf",
  interface: "carp0",
  virtualAddress: undefined,
  group: "carp",
  flushMode: "startup",
  replay: "lenient",
  listen: [],
  mode: undefined,
  skipSlave: false,
  peers: [],
  sharedKey: KEY,
  nextKey: undefined,
  allowWeakKey: false,
  control: "isakmpd",
  renegotiatePerSecond: undefined,
  controlSocket: undefined,
  user: undefined,
  kernel: "auto",
  pfkey: { truncation: undefined, noEsn: false },
  protocol: "native",
  shared: [],
  exclude: [],
  demoteFile: undefined,
  metrics: undefined,
  checkFiles: [],
};

/** Each text is added to a minimal file, and changes this of its Config. */
const GOOD: readonly (readonly [text: string, change: Partial<Config>])[] = [
  ["", {}],
  ["# only a comment", {}],
  ["group ipsec", { group: "ipsec" }],
  ["user _ipsec", { user: "_ipsec" }],
  ["group carp", { group: "carp" }],
  ["group shared", { group: "shared" }],
  ["flushmode never", { flushMode: "never" }],
  ["replay strict", { replay: "strict" }],
  ["flushmode\nsync", { flushMode: "sync" }],
  ["listen on 10.0.0.1", { listen: [listen("10.0.0.1")] }],
  ["listen on carp0 inet", { listen: [listen("carp0", 4)] }],
  ["listen on ::1 inet6 port 5000", { listen: [listen("::1", 6, 5000)] }],
  ["listen on gw1.example.org port 1", { listen: [listen("gw1.example.org", undefined, 1)] }],
  ["listen on 10.0.0.1 listen on 10.0.0.2", { listen: [listen("10.0.0.1"), listen("10.0.0.2")] }],
  ["listen on 2001:db8::1 listen on 2001:DB8:0::1", { listen: [listen("2001:DB8:0::1")] }],
  ["listen on 0.0.0.0 port 500 peer 1.2.3.4", { listen: [listen("0.0.0.0")], peers: [peer("1.2.3.4")] }],
  ["listen\non\neth0.5\ninet\nport\n7\npeer\nb", { listen: [listen("eth0.5", 4, 7)], peers: [peer("b")] }],
  ["mode master", { mode: "master" }],
  ["mode slave mode skipslave", { mode: "slave", skipSlave: true }],
  ["mode skipslave mode master mode master", { mode: "master", skipSlave: true }],
  ["peer 10.0.0.2 peer 10.0.0.3", { peers: [peer("10.0.0.2"), peer("10.0.0.3")] }],
  ["peer 10.0.0.2\npeer 10.0.0.2", { peers: [peer("10.0.0.2")] }],
  ["peer 2001:db8::2 peer 2001:db8:0:0::2", { peers: [peer("2001:db8::2")] }],
  ["peer GW2 peer gw2", { peers: [peer("GW2")] }],
  ["peer 10.0.0.2 port 501", { peers: [peer("10.0.0.2", { port: 501 })] }],
  ["peer 10.0.0.2 role slave port 501", { peers: [peer("10.0.0.2", { port: 501, slaveOnly: true })] }],
  ["kernel memory openbsd", { kernel: "memory openbsd" }],
  ["kernel memory", { kernel: "memory" }],
  ["kernel pfkey", { kernel: "pfkey" }],
  ["pfkey assume-truncation 96", { pfkey: { truncation: 96, noEsn: false } }],
  ["pfkey assume-no-esn\npfkey assume-truncation 128", { pfkey: { truncation: 128, noEsn: true } }],
  ["protocol classic", { protocol: "classic" }],
  ["protocol native", { protocol: "native" }],
  ["peer b\nprotocol classic", { protocol: "classic", peers: [peer("b", { protocol: "classic" })] }],
  ["protocol classic peer b", { protocol: "classic", peers: [peer("b", { protocol: "classic" })] }],
  ["peer b protocol classic", { protocol: "native", peers: [peer("b", { protocol: "classic" })] }],
  ["peer b protocol classic port 501", { peers: [peer("b", { protocol: "classic", port: 501 })] }],
  [
    "protocol classic peer b protocol native",
    { protocol: "classic", peers: [peer("b", { protocol: "native" })] },
  ],
  [`peer b sharedkey ${ASCII_KEY} role slave`, { peers: [peer("b", { sharedKey: ASCII, slaveOnly: true })] }],
  [`peer b port 5 \\\n sharedkey ${ASCII_KEY}`, { peers: [peer("b", { port: 5, sharedKey: ASCII })] }],
  [`peer b sharedkey ${ASCII_KEY} peer b sharedkey ${ASCII_KEY}`, {
    peers: [peer("b", { sharedKey: ASCII })],
  }],
  ["control iked", { control: "iked" }],
  ["control all", { control: "all" }],
  ["control strongswan", { control: { daemon: "strongswan", socket: "/var/run/charon.vici" } }],
  ["control strongswan socket /run/c", { control: { daemon: "strongswan", socket: "/run/c" } }],
  [
    "control strongswan renegotiate 2.5/s",
    { control: { daemon: "strongswan", socket: "/var/run/charon.vici" }, renegotiatePerSecond: 2.5 },
  ],
  ["renegotiate off", {}],
  ["control socket /run/s", { controlSocket: "/run/s" }],
  ["control none control socket /run/s", { control: "none", controlSocket: "/run/s" }],
  ["control socket /run/s control iked", { control: "iked", controlSocket: "/run/s" }],
  [
    "control strongswan control socket /run/s",
    { control: { daemon: "strongswan", socket: "/var/run/charon.vici" }, controlSocket: "/run/s" },
  ],
  ["control exec /sbin/a group carp", { control: { daemon: "exec", command: ["/sbin/a"] } }],
  ['control exec "/sbin/a"', { control: { daemon: "exec", command: ["/sbin/a"] } }],
  ['control exec "/a -x \\\n peer   b"', { control: { daemon: "exec", command: ["/a", "-x", "peer", "b"] } }],
  ['control exec " /a b " peer c', { control: { daemon: "exec", command: ["/a", "b"] }, peers: [peer("c")] }],
  ["kernel memory", { kernel: "memory" }],
  ["sharedkey weak", { allowWeakKey: true }],
  ["check file /a check file /b", { checkFiles: ["/a", "/b"] }],
  ["metrics listen on 127.0.0.1", { metrics: { address: Uint8Array.of(127, 0, 0, 1), port: 9752 } }],
  ["metrics listen on 0.0.0.0 port 80", { metrics: { address: new Uint8Array(4), port: 80 } }],
  ["demote file /run/d", { demoteFile: { path: "/run/d", weight: 100 } }],
  ["demote file /run/a-b.c weight 253", { demoteFile: { path: "/run/a-b.c", weight: 253 } }],
  [
    "shared 10.0.0.0/8 shared ::/0 exclude 192.0.2.1",
    {
      shared: [
        { address: Uint8Array.of(10, 0, 0, 0), bits: 8 },
        { address: new Uint8Array(16), bits: 0 },
      ],
      exclude: [{ address: Uint8Array.of(192, 0, 2, 1), bits: 32 }],
    },
  ],
];

for (const [text, change] of GOOD) {
  Deno.test(`parseConfig() takes ${JSON.stringify(text)}`, () => {
    const whole = `interface carp0\n${text}\nsharedkey ${HEX_KEY}\n`;
    assertEquals(parseWith(whole), { ...DEFAULTS, ...change });
  });
}

/** Whole files. */
const GOOD_FILES: readonly (readonly [name: string, text: string, change: Partial<Config>])[] = [
  ["one line", `sharedkey ${HEX_KEY} interface carp0 peer b`, { peers: [peer("b")] }],
  ["the form of OpenBSD 3.8", `carp interface carp0 interval 10\nsharedkey ${HEX_KEY}`, {}],
  ["3.8 without interval", `carp interface carp0 sharedkey ${HEX_KEY}`, {}],
  ["a virtual address", `interface eth0 address 192.0.2.100 sharedkey ${HEX_KEY}`, {
    interface: "eth0",
    virtualAddress: Uint8Array.of(192, 0, 2, 100),
  }],
  ["a virtual IPv6 address", `interface eth0.7\naddress ::1\nmode master sharedkey ${HEX_KEY}`, {
    interface: "eth0.7",
    virtualAddress: Uint8Array.from({ length: 16 }, (_, i) => i === 15 ? 1 : 0),
    mode: "master",
  }],
  ["no interface with mode slave", `mode slave sharedkey ${HEX_KEY}`, {
    interface: undefined,
    mode: "slave",
  }],
  ["a global key after a peer", `interface carp0\npeer b\nsharedkey ${HEX_KEY}`, { peers: [peer("b")] }],
  ["an ASCII key", `interface carp0\nsharedkey ${ASCII_KEY}`, { sharedKey: ASCII }],
  [
    "a weak key that is allowed",
    "interface carp0\nsharedkey passwordpassword\nsharedkey weak",
    { sharedKey: { kind: "ascii", bytes: new TextEncoder().encode("passwordpassword") }, allowWeakKey: true },
  ],
  ["a next key", `interface carp0 sharedkey ${HEX_KEY} sharedkey next ${ASCII_KEY}`, { nextKey: ASCII }],
  ["a key file", "interface carp0\nsharedkey file /k", { sharedKey: { kind: "file", bytes: KEY.bytes } }],
];

for (const [name, text, change] of GOOD_FILES) {
  Deno.test(`parseConfig() takes ${name}`, () => {
    assertEquals(parseWith(text, { "/k": HEX_KEY }), { ...DEFAULTS, ...change });
  });
}

/** Each text, put after a minimal file on line 3, and its mistakes. */
const BAD: readonly (readonly [text: string, ...mistakes: string[]])[] = [
  ["pear 10.0.0.2", '3: unknown keyword "pear" (did you mean "peer"?)'],
  ["frobnicate 1", '3: unknown keyword "frobnicate"'],
  ["constructor", '3: unknown keyword "constructor"'],
  ["0123456789abcdef", "3: unknown keyword a word that is not shown (it could be a key)"],
  ["interface", "3: interface: the name of the interface is missing"],
  ["interface eth1", "3: interface: given twice (first on line 1)"],
  ["interface eth1 address", "3: interface: the address is missing"],
  ["check", '3: check: "file" is missing'],
  ["check file", "3: check: the path of the file is missing"],
  ["check file ipsec.conf", '3: check file: the file must have an absolute path, not "ipsec.conf"'],
  ["metrics", '3: metrics: "listen" is missing'],
  ["metrics listen", '3: metrics: "on" is missing'],
  ["metrics listen on", "3: metrics: an address is missing"],
  ["metrics listen on eth0", '3: metrics: "eth0" is not an address'],
  ["metrics listen on ::1 port 0", '3: metrics: the port must be 1 to 65535, not "0"'],
  ["metrics listen on ::1 metrics listen on ::", "3: metrics: given twice (first on line 3)"],
  ["demote", '3: demote: "file" is missing'],
  ["demote file", "3: demote: the path of the file is missing"],
  ["demote file run/d", '3: demote: the file must have an absolute path, not "run/d"'],
  ["demote file /run/", '3: demote: the file must have an absolute path, not "/run/"'],
  [
    "demote file /run/\0d",
    "3: demote: the file must have an absolute path, not a word that is not shown (it could be a key)",
  ],
  ["demote file /d weight", "3: demote: the weight is missing"],
  ["demote file /d weight 0", '3: demote: the weight must be 1 to 253, not "0"'],
  ["demote file /d weight -50", '3: demote: the weight must be 1 to 253, not "-50"'],
  ["demote file /d weight 254", '3: demote: the weight must be 1 to 253, not "254"'],
  ["demote file /d demote file /e", "3: demote: given twice (first on line 3)"],
  ["carp eth1", '3: carp: "interface" is missing'],
  ["carp interface x interval y", "3: carp: the interval must be a number of seconds"],
  [
    "group a-name-that-is-too-long",
    "3: group: a word that is not shown (it could be a key) is not the name of an " +
    "interface or group",
  ],
  ["user 1000", '3: user: "1000" is not the name of a user'],
  ["group a/b", '3: group: "a/b" is not the name of an interface or group'],
  ["group peer b", '3: group: the name of the group is missing before "peer"'],
  ["group a group b", "3: group: given twice (first on line 3)"],
  ["flushmode", "3: flushmode: its value is missing"],
  [
    "flushmode starup",
    '3: flushmode: must be startup, never or sync, not "starup" (did you mean "startup"?)',
  ],
  ["listen 10.0.0.1", '3: listen: "on" is missing'],
  ["listen on port 500", '3: listen: an address or interface is missing before "port"'],
  ["listen on 10.0.0.256", '3: listen on: "10.0.0.256" is not an IPv4 address'],
  ["listen on fe80::1%eth0", '3: listen on: "fe80::1%eth0" is not an IPv6 address'],
  ["listen on 10.0.0.1 inet6", '3: listen on: "10.0.0.1" is not an inet6 address'],
  ["listen on a port 0", '3: listen on: the port must be 1 to 65535, not "0"'],
  ["listen on a port 65536", '3: listen on: the port must be 1 to 65535, not "65536"'],
  ["listen on a port", "3: listen: the port is missing"],
  ["listen on a port 5 inet", '3: listen: "inet" cannot stand here'],
  ["mode mastr", '3: mode: must be master, slave or skipslave, not "mastr" (did you mean "master"?)'],
  ["mode master\nmode slave", "4: mode: slave contradicts master (first on line 3)"],
  ["mode master skipslave", '3: mode: "skipslave" cannot stand here'],
  ["peer", "3: peer: an address is missing"],
  ["peer 0.0.0.0", "3: peer: all zeros is nobody's address"],
  ["peer 1.2.3", '3: peer: "1.2.3" is not an IPv4 address'],
  ["peer a..b!", "3: peer: a word that is not shown (it could be a key) is not an address or host name"],
  ["peer b port x", '3: peer "b": the port must be 1 to 65535, not "x"'],
  ["peer b role master", '3: peer "b": the role must be slave, not "master"'],
  ["peer b prot 501", '3: unknown keyword "prot" (did you mean "port"?)'],
  [
    "peer b protocol classical",
    '3: peer "b": the protocol must be native or classic, not "classical" (did you mean "classic"?)',
  ],
  ["peer b protocol classic protocol native", "3: peer: protocol is given twice"],
  ["protocol", "3: protocol: its value is missing"],
  ["protocol both", '3: protocol: must be native or classic, not "both"'],
  ["peer b port 1 port 2", '3: peer: "port" cannot stand here'],
  ["peer b\npeer b port 501", '4: peer "b": given twice with different options (first on line 3)'],
  [`peer b sharedkey ${HEX_KEY} sharedkey ${HEX_KEY}`, "3: peer: sharedkey is given twice"],
  ["peer b sharedkey weak", '3: peer "b": sharedkey: the key has 4 bytes, must have 16, 24 or 32'],
  [`sharedkey ${HEX_KEY}`, "3: sharedkey: given twice (first on line 2)"],
  ["sharedkey", "3: sharedkey: the key is missing"],
  ["sharedkey next", "3: sharedkey: the key is missing"],
  [`sharedkey next ${HEX_KEY}`, "3: sharedkey next: is the present key"],
  ["sharedkey file", "3: sharedkey: the path of the key file is missing"],
  ["control all control none", "3: control: given twice (first on line 3)"],
  ["control charon", '3: control: must be isakmpd, iked, all, none, strongswan or exec, not "charon"'],
  ["control iked socket /run/c", '3: control: "socket" cannot stand here'],
  ["control strongswan socket", "3: control: the path of the socket is missing"],
  [
    "control strongswan socket charon.vici",
    "3: control strongswan: the socket must have an absolute path of at most 103 characters, not " +
    '"charon.vici"',
  ],
  ["control socket", "3: control: the path of the socket is missing"],
  ["control socket control none", '3: control: the path of the socket is missing before "control"'],
  ["control socket /a control socket /b", "3: control socket: given twice (first on line 3)"],
  [
    "control socket s",
    '3: control socket: the socket must have an absolute path of at most 103 characters, not "s"',
  ],
  ...[`/run/${"é".repeat(60)}`, "/run/\0s"].map((path) =>
    [
      `control socket ${path}`,
      "3: control socket: the socket must have an absolute path of at most 103 characters, not a word that is " +
      "not shown (it could be a key)",
    ] as const
  ),
  ["control exec", "3: control: the command is missing"],
  ["renegotiate 5/s", "3: renegotiate: needs control strongswan"],
  [
    "control strongswan renegotiate 5",
    '3: renegotiate: must be off or a rate from 0.01/s to 100/s, not "5"',
  ],
  [
    "control strongswan renegotiate 0/s",
    '3: renegotiate: must be off or a rate from 0.01/s to 100/s, not "0/s"',
  ],
  [
    "control strongswan renegotiate 100.01/s",
    '3: renegotiate: must be off or a rate from 0.01/s to 100/s, not "100.01/s"',
  ],
  ['control exec ""', "3: control exec: the command must begin with an absolute path"],
  ["control exec a", "3: control exec: the command must begin with an absolute path"],
  ['control exec "/a b\npeer c', "3: control: the closing quote is missing on its line"],
  ['control exec "/a b # c"', "3: control: the closing quote is missing on its line"],
  [
    'control exec "/a \'"\' b"',
    "3: control exec: quotes, hash marks and control characters cannot be in the command",
  ],
  ["pfkey assume-truncation 64", '3: pfkey: the truncation must be 96 or 128, not "64"'],
  ["pfkey assume-truncation", "3: pfkey: the number of bits is missing"],
  ["pfkey assume-no-esn pfkey assume-no-esn", "3: pfkey: assume-no-esn is given twice"],
  [
    "pfkey assume-esn",
    '3: pfkey: must be assume-truncation or assume-no-esn, not "assume-esn"',
  ],
  ["kernel linux", '3: kernel: must be auto, xfrm, pfkey, memory or memory openbsd, not "linux"'],
  ["shared 10.0.0.1/8", '3: shared: "10.0.0.1/8" has a bad prefix length, or bits set after it'],
  ["exclude gw", '3: exclude: "gw" is not an address or prefix'],
  [
    "pear 1\nmode mastr\n\nlisten 10.0.0.1 inet # here\npeer b port 70000\nflushmdoe never",
    '3: unknown keyword "pear" (did you mean "peer"?)',
    '4: mode: must be master, slave or skipslave, not "mastr" (did you mean "master"?)',
    '6: listen: "on" is missing',
    '7: peer "b": the port must be 1 to 65535, not "70000"',
    '8: unknown keyword "flushmdoe" (did you mean "flushmode"?)',
  ],
  [
    "pear 1 group x kernel linux",
    '3: unknown keyword "pear" (did you mean "peer"?)',
    '3: kernel: must be auto, xfrm, pfkey, memory or memory openbsd, not "linux"',
  ],
  ["peer \\\n b port \\\n x", '3: peer "b": the port must be 1 to 65535, not "x"'],
];

for (const [text, ...mistakes] of BAD) {
  Deno.test(`parseConfig() refuses ${JSON.stringify(text)}`, () => {
    const whole = `interface carp0\nsharedkey ${HEX_KEY}\n${text}`;
    assertEquals(mistakesOf(whole), mistakes.map((mistake) => `test.conf:${mistake}`));
  });
}

Deno.test("parseConfig() refuses a virtual address that is none", () => {
  const refused = (address: string) => mistakesOf(`interface eth0 address ${address} sharedkey ${HEX_KEY}`);
  assertEquals(refused("gw"), ['test.conf:1: interface: "gw" is not an address']);
  assertEquals(refused("10.0.0.1/24"), ['test.conf:1: interface: "10.0.0.1/24" is not an address']);
  assertEquals(refused("::"), ["test.conf:1: interface: all zeros is nobody's address"]);
});

Deno.test("parseConfig() refuses a file without sharedkey and interface", () => {
  assertEquals(mistakesOf(""), [
    "test.conf: sharedkey is missing",
    "test.conf: interface is missing (only mode master or mode slave goes without)",
  ]);
});

Deno.test("parseConfig() refuses a file whose only key is a peer's", () => {
  assertEquals(mistakesOf(`interface carp0 peer b sharedkey ${HEX_KEY}`), [
    "test.conf: sharedkey is missing (one that stands after a peer on its line is for that peer only)",
  ]);
});

const SECRETS: readonly string[] = [
  "sharedkey my S3cret words",
  "sharedkey S3cretS3cretS3cret",
  "sharedkey 0xS3cret",
  "sharedkey = S3cret",
  'sharedkey "S3cret phrase"',
  "sharedkey 0123456789abcdef S3cret",
  "sharedkey 0123 \\\n S3cret",
  "sharedky S3cret",
  "shared key S3cret",
  "shared-key: my S3cret phrase",
  "peer b S3cret",
  "peer b sharedkey my S3cret words",
  "peer b port 5 S3cret",
  "mode S3cretS3cretS3cret",
  "S3cretS3cretS3cret",
];

for (const text of SECRETS) {
  Deno.test(`parseConfig() does not show the key of ${JSON.stringify(text)}`, () => {
    const mistakes = mistakesOf(text).join("\n");
    assertEquals(mistakes.includes("S3cret"), false, mistakes);
  });
}

Deno.test("parseConfig() ends with a Config or a ConfigError whatever the words are", () => {
  const words = [
    ...Object.keys(STATEMENTS),
    "on",
    "inet",
    "port",
    "role",
    "file",
    "weak",
    "master",
    "10.0.0.1",
  ];
  const word = fc.oneof(fc.constantFrom(...words, "500", HEX_KEY, "\\\n", "\n", "#"), fc.string());
  fc.assert(fc.property(fc.array(word), (parts) => {
    try {
      parseConfig(parts.join(" "), "f", () => "no");
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
  }));
});
