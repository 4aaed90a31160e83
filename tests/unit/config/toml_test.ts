import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseConfig } from "../../../src/config/parse_config.ts";
import { ConfigError } from "../../../src/errors.ts";
import { ASCII_KEY, HEX_KEY, mistakesOf, parseWith } from "../../fakes/config.ts";
import { FULL_INPUT } from "../../golden/config_print.ts";

const FULL = `interface = "carp1"
group = "ipsec"
flushmode = "never"
listen = ["192.0.2.1", { on = "carp1", family = "inet6", port = 5000 }]
skipslave = true
sharedkey = "${ASCII_KEY}"
allow_weak_key = true
control = "all"
control_socket = "/run/sasyncd/control"
user = "_ipsec"
kernel = "xfrm"
protocol = "classic"
shared = ["198.51.100.0/24", "2001:db8::/32"]
exclude = [
  "198.51.100.7", # one a line is fine too
]
demote = { file = "/run/sasyncd.demote" }
metrics = "::1"
check_files = ["/etc/ipsec.conf", "/etc/swanctl/swanctl.conf"]

[[peer]]
address = "192.0.2.2"

[[peer]]
address = "gw3.example.org"
port = 501
role = "slave"
protocol = "native"
sharedkey = "${HEX_KEY}"
`;

Deno.test("parseConfig() takes the same settings in TOML", () => {
  assertEquals(parseWith(FULL, {}, "x.toml"), { ...parseWith(FULL_INPUT), file: "x.toml" });
});

Deno.test("parseConfig() takes a key file and mode from TOML", () => {
  const text = `mode = "slave"\nskipslave = false\nsharedkey = { file = "/k" }`;
  const same = parseWith("mode slave sharedkey file /k", { "/k": HEX_KEY });
  assertEquals(parseWith(text, { "/k": HEX_KEY }, "x.toml"), { ...same, file: "x.toml" });
});

Deno.test("parseConfig() takes the assumptions of pfkey from TOML", () => {
  const text =
    `mode = "slave"\nsharedkey = "${HEX_KEY}"\n[pfkey]\nassume_truncation = 96\nassume_no_esn = true`;
  assertEquals(parseWith(text, {}, "x.toml").pfkey, { truncation: 96, noEsn: true });
});

Deno.test("parseConfig() takes lists of tables in any form", () => {
  const minimal = `interface = "a"\nsharedkey = "${HEX_KEY}"\n`;
  const inline = parseWith(
    `${minimal}peer = [{ address = "b", port = 7 }]\nlisten = [{ on = "c" }]`,
    {},
    "x.toml",
  );
  const headed = parseWith(`${minimal}[[peer]]\naddress = "b"\nport = 7\n[[listen]]\non = "c"`, {}, "x.toml");
  assertEquals(inline, headed);
});

for (const text of ['metrics = "::1"', '[metrics]\non = "::1"\nport = 9752']) {
  Deno.test(`parseConfig() takes ${JSON.stringify(text)}`, () => {
    const given = parseWith(`mode = "slave"\nsharedkey = "${HEX_KEY}"\n${text}`, {}, "f.toml");
    assertEquals(given.metrics?.port, 9752);
  });
}

Deno.test("parseConfig() takes a virtual address and a demote file from TOML", () => {
  const address = 'interface = { name = "eth0", address = "2001:db8::1" }';
  const text = `${address}\nsharedkey = "${HEX_KEY}"\n[demote]\nfile = "/run/d"\nweight = 20`;
  const same = parseWith(
    `interface eth0 address 2001:db8::1 sharedkey ${HEX_KEY} demote file /run/d weight 20`,
  );
  assertEquals(parseWith(text, {}, "x.toml"), { ...same, file: "x.toml" });
});

const CONTROLS: readonly (readonly [toml: string, conf: string])[] = [
  ['"iked"', "iked"],
  ['{ daemon = "iked" }', "iked"],
  ['"strongswan"', "strongswan"],
  ['{ daemon = "strongswan", socket = "/run/c" }', "strongswan socket /run/c"],
  ['"strongswan"\nrenegotiate = "5/s"', "strongswan renegotiate 5/s"],
  ['{ daemon = "exec", command = "/a b" }', 'exec "/a b"'],
];

for (const [toml, conf] of CONTROLS) {
  Deno.test(`parseConfig() takes control = ${toml.replace("\n", ", ")} from TOML`, () => {
    const start = `interface = "a"\nsharedkey = "${HEX_KEY}"\n`;
    const same = parseWith(`interface a sharedkey ${HEX_KEY} control ${conf}`);
    assertEquals(parseWith(`${start}control = ${toml}`, {}, "x.toml"), { ...same, file: "x.toml" });
  });
}

/** Each text, put after a minimal file on line 3, and its mistakes. */
const BAD: readonly (readonly [text: string, ...mistakes: string[]])[] = [
  ['mod = "slave"', '3: unknown key "mod" (did you mean "mode"?)'],
  ["frobnicate = 1", '3: unknown key "frobnicate"'],
  ["constructor = 1", '3: unknown key "constructor"'],
  ['mode = "mastr"', '3: mode: must be master, slave or skipslave, not "mastr" (did you mean "master"?)'],
  ["mode = 1", "3: mode: must be a string"],
  ["mode = 2020-01-01", "3: mode: must be a string"],
  ['skipslave = "yes"', "3: skipslave: must be true or false"],
  ['group = "a"\ngroup = "b"', "4: group: given twice"],
  [`sharedkey = "${HEX_KEY}"`, "3: sharedkey: given twice"],
  [
    'group = "two words"',
    "3: group: a word that is not shown (it could be a key) is not the name of an interface " +
    "or group",
  ],
  ['group = "peer"', '3: group: "peer" is a keyword and cannot be a name'],
  ['shared = "10.0.0.0/8"', "3: shared: must be a list"],
  ["shared = [5]", "3: shared[1]: must be a string"],
  ['shared = ["10.0.0.1/8"]', '3: shared: "10.0.0.1/8" has a bad prefix length, or bits set after it'],
  ['listen = [{ on = "a", famly = "inet" }]', '3: listen[1]: unknown key "famly" (did you mean "family"?)'],
  ["listen = [{ port = 5 }]", "3: listen[1]: on is missing"],
  ["listen = [5]", "3: listen[1]: must be a table"],
  ['listen = [{ on = "a", port = "5" }]', "3: listen[1].port: must be an integer"],
  ['[[listen]]\non = "a"\nport = 70000', '3: listen on: the port must be 1 to 65535, not "70000"'],
  ["[peer]", "3: peer: must be a list"],
  ["[[peer]]", "3: peer[1]: address is missing"],
  ['[[peer]]\naddress = "b"\n\nport = 5.5', "6: peer[1].port: must be an integer"],
  [
    '[[peer]]\naddress = "b"\n[[peer]]\naddres = "c"',
    "5: peer[2]: address is missing",
    '6: peer[2]: unknown key "addres" (did you mean "address"?)',
  ],
  ['[[peer]]\naddress = "b"\nport = 7\nport = 8', "6: peer[1].port: given twice"],
  [
    '[[peer]]\naddress = "b"\n\n[[peer]]\naddress = "b"\nport = 9',
    '6: peer "b": given twice with different options (first on line 3)',
  ],
  ['[[peer]]\naddress = "b"\nsharedkey = 5', '5: peer[1].sharedkey: must be a string or { file = "/path" }'],
  [
    '[[peer]]\naddress = "b"\nsharedkey = { path = "/k" }',
    '5: peer[1].sharedkey: unknown key "path"',
    "5: peer[1].sharedkey: file is missing",
  ],
  ["control = 5", "3: control: must be a table"],
  ["control_socket = 5", "3: control_socket: must be a string"],
  ['control = { socket = "/run/c" }', "3: control: daemon is missing"],
  ['control = { daemon = "iked", socket = "/run/c" }', "3: control: socket is for strongswan"],
  ['control = { daemon = "all", command = "/a" }', "3: control: command is for exec"],
  ['control = "exec"', "3: control exec: the command must begin with an absolute path"],
  ['demote = "/run/d"', "3: demote: must be a table"],
  ["metrics = { port = 5 }", "3: metrics: on is missing"],
  ['check_files = "/x"', "3: check_files: must be a list"],
  ["metrics = 5", "3: metrics: must be a table"],
  ["demote = { weight = 5 }", "3: demote: file is missing"],
  ['demote = { file = "/d", weight = -1 }', '3: demote: the weight must be 1 to 253, not "-1"'],
  ["a.b = 1", 'test.toml: unknown key "a"'],
  ["pfkey = 96", "3: pfkey: must be a table"],
  ["pfkey = { assume_truncation = 64 }", '3: pfkey: the truncation must be 96 or 128, not "64"'],
  ["pfkey = { assume_no_esn = 1 }", "3: pfkey.assume_no_esn: must be true or false"],
  ["broken", "3: not valid TOML, after column 6"],
];

for (const [text, ...mistakes] of BAD) {
  Deno.test(`parseConfig() refuses the TOML ${JSON.stringify(text)}`, () => {
    const whole = `interface = "carp0"\nsharedkey = "${HEX_KEY}"\n${text}\n`;
    const expected = mistakes.map((mistake) => mistake.startsWith("test") ? mistake : `test.toml:${mistake}`);
    assertEquals(mistakesOf(whole, {}, "test.toml"), expected);
  });
}

const SECRETS = [
  "sharedkey = S3cret phrase",
  'sharedkey = "S3cret',
  'sharedkey = "S3cret"',
  'sharedkey = ["S3cret phrase of mine"]',
  'sharedkey = { S3cretS3cretS3cret = "S3cret" }',
  'sharedkey = "S3cret" phrase',
  'sharedky = "S3cret phrase of mine"',
];

for (const text of SECRETS) {
  Deno.test(`parseConfig() does not show the key of the TOML ${JSON.stringify(text)}`, () => {
    const mistakes = mistakesOf(`mode = "slave"\n${text}`, {}, "test.toml").join("\n");
    assertEquals(mistakes.includes("S3cret"), false, mistakes);
  });
}

Deno.test("parseConfig() refuses an interface of TOML without a name", () => {
  const text = `interface = { address = "10.0.0.1" }\nsharedkey = "${HEX_KEY}"`;
  assertEquals(mistakesOf(text, {}, "test.toml"), [
    "test.toml:1: interface: name is missing",
    "test.toml: interface is missing (only mode master or mode slave goes without)",
  ]);
});

Deno.test("parseConfig() ends with a Config or a ConfigError whatever the TOML is", () => {
  const keys = [
    "mode",
    "peer",
    "listen",
    "sharedkey",
    "shared",
    "skipslave",
    "[[peer]]\naddress",
    "__proto__",
    "a.b",
  ];
  const values = [
    '"slave"',
    "1",
    "true",
    "[]",
    "{}",
    "[[1]]",
    "[{}]",
    '["10.0.0.0/8"]',
    "nan",
    "1979-05-27",
    "x",
  ];
  const line = fc.tuple(fc.constantFrom(...keys), fc.constantFrom(...values));
  fc.assert(fc.property(fc.array(line), (lines) => {
    const text = lines.map(([key, value]) => `${key} = ${value}\n`).join("");
    try {
      parseConfig(text, "f.toml", () => "no");
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
  }));
});
