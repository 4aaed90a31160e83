/**
 * What the C compiler makes of PF_KEY's structs, restated here, and of the constants in this host's own headers:
 * layouts and numbers of src/pfkey have to be the same. Without a C compiler there is nothing to compare with.
 */

import { assertEquals } from "@std/assert";
import * as base from "../../../src/pfkey/extensions.ts";
import * as freebsd from "../../../src/pfkey/freebsd_numbers.ts";
import * as kame from "../../../src/pfkey/kame.ts";
import * as linux from "../../../src/pfkey/linux_tables.ts";
import * as message from "../../../src/pfkey/message.ts";
import * as openbsd from "../../../src/pfkey/openbsd_constants.ts";
import { LINUX_NUMBERS } from "../../vectors/pfkey_numbers.ts";

interface Struct {
  readonly name: string;
  readonly size: number;
  offsetOf(key: never): number;
}

/**
 * Members of a C struct as `type name`, and the layout's name for each where it has one: `u32 seq` is `seq`,
 * `u16 len=lenWords` is `lenWords`, `u16 -reserved` is padding.
 */
type Members = string;

const HEAD = "u16 -len, u16 -exttype";
const STRUCTS: readonly (readonly [layout: Struct, members: Members])[] = [
  [
    message.sadbMsg,
    "u8 version, u8 type, u8 errno, u8 satype, u16 len=lenWords, u16 -reserved, u32 seq, u32 pid",
  ],
  [message.sadbExt, "u16 len=lenWords, u16 type"],
  [base.sadbSa, `${HEAD}, u32 spi, u8 replay, u8 state, u8 auth, u8 encrypt, u32 flags`],
  [base.sadbLifetime, `${HEAD}, u32 allocations, u64 bytes, u64 addtime, u64 usetime`],
  [base.sadbAddress, `${HEAD}, u8 proto, u8 prefixlen, u16 -reserved`],
  [base.sadbKey, `${HEAD}, u16 bits, u16 -reserved`],
  [base.sadbIdent, `${HEAD}, u16 type, u16 -reserved, u64 id`],
  [base.sadbSpirange, `${HEAD}, u32 min, u32 max, u32 -reserved`],
  [kame.sadbXPolicy, `${HEAD}, u16 type, u8 dir, u8 scope, u32 id, u32 priority`],
  [kame.sadbXSa2, `${HEAD}, u8 mode, u8 -reserved1, u16 -reserved2, u32 sequence, u32 reqid`],
  [kame.sadbXNatTType, `${HEAD}, u8 type, u8 -reserved1, u8 -reserved2, u8 -reserved3`],
  [kame.sadbXNatTPort, `${HEAD}, u16 port, u16 -reserved`],
  [
    linux.sadbXIpsecrequest,
    "u16 len, u16 proto, u8 mode, u8 level, u16 -reserved1, u32 reqid, u32 -reserved2",
  ],
  [linux.sadbXSecCtx, `${HEAD}, u8 alg, u8 doi, u16 ctx_len=ctxLen`],
  [freebsd.sadbXIpsecrequest, "u16 len, u16 proto, u8 mode, u8 level, u16 reqid"],
  [freebsd.sadbXSaReplay, `${HEAD}, u32 replay`],
  [openbsd.sadbProtocol, `${HEAD}, u8 proto, u8 direction, u8 flags, u8 -reserved2`],
  [openbsd.sadbXUdpencap, `${HEAD}, u16 port, u16 -reserved`],
  [openbsd.sadbXTag, `${HEAD}, u32 taglen`],
  [openbsd.sadbXTap, `${HEAD}, u32 unit`],
  [openbsd.sadbXRdomain, `${HEAD}, u16 dom1, u16 dom2`],
  [openbsd.sadbXReplay, `${HEAD}, u32 -reserved, u64 count`],
  [openbsd.sadbXIface, `${HEAD}, u32 unit, u8 direction, u8 -reserved[7]`],
  [
    openbsd.sadbXCounter,
    `${HEAD}, u32 -pad, u64 ipackets, u64 opackets, u64 ibytes, u64 obytes, u64 idrops, u64 odrops, ` +
    "u64 idecompbytes, u64 ouncompbytes",
  ],
];

interface Member {
  readonly type: string;
  readonly cName: string;
  /** undefined: padding. */
  readonly ours: string | undefined;
}

function parseMembers(members: Members): Member[] {
  return members.split(", ").map((member) => {
    const [type, name] = member.split(" ") as [string, string]; // the table has both
    const [cName, ours] = name.replace("-", "").split("=") as [string, string?];
    return { type, cName, ours: name.startsWith("-") ? undefined : ours ?? cName };
  });
}

function declaration(index: number, members: readonly Member[]): string {
  return `struct s${index} { ${members.map(({ type, cName }) => `${type} m_${cName};`).join(" ")} };`;
}

function printing(index: number, members: readonly Member[]): string {
  const offsets = members.filter(({ ours }) => ours !== undefined).map(({ cName }) =>
    `offsetof(struct s${index}, m_${cName})`
  );
  const values = [`sizeof(struct s${index})`, ...offsets];
  return `printf("${values.map(() => "%zu").join(" ")}\\n", ${values.join(", ")});`;
}

/** What a C program prints, by line. @throws when it does not compile. */
async function linesOf(source: string): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/a.c`, source);
    const compiled = await new Deno.Command("gcc", { args: ["-o", `${folder}/a`, `${folder}/a.c`] }).output();
    if (!compiled.success) throw new Error(new TextDecoder().decode(compiled.stderr));
    const { stdout } = await new Deno.Command(`${folder}/a`).output();
    return new TextDecoder().decode(stdout).trim().split("\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function hasGcc(): boolean {
  try {
    return new Deno.Command("gcc", { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false; // not installed
  }
}

const TYPES = "typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;";

Deno.test({
  name: "PF_KEY's structs are laid out as the C compiler does",
  ignore: !hasGcc(),
  async fn() {
    const parsed = STRUCTS.map(([, members]) => parseMembers(members));
    const lines = await linesOf([
      "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>",
      TYPES,
      ...parsed.map((members, i) => declaration(i, members)),
      "int main(void) {",
      ...parsed.map((members, i) => printing(i, members)),
      "return 0; }",
    ].join("\n"));
    const found = STRUCTS.map(([layout], i) => {
      const keys = parsed[i]!.flatMap(({ ours }) => ours === undefined ? [] : [ours]);
      const offsets = keys.map((key) => layout.offsetOf(key as never)); // the rows name fields of their layout
      return `${layout.name}: ${[layout.size, ...offsets].join(" ")}`;
    });
    assertEquals(found, STRUCTS.map(([layout], i) => `${layout.name}: ${lines[i]}`));
  },
});

Deno.test({
  name: "PF_KEY's numbers of Linux are those of this host's headers",
  ignore: Deno.build.os !== "linux" || !hasGcc() || !isFile("/usr/include/linux/pfkeyv2.h"),
  async fn() {
    const numbers = LINUX_NUMBERS.flatMap(({ numbers }) => Object.entries(numbers));
    const lines = await linesOf([
      "#include <stdio.h>\n#include <stdint.h>\n#include <linux/pfkeyv2.h>\n#include <linux/ipsec.h>",
      "int main(void) {",
      ...numbers.map(([name]) => `printf("%u\\n", (unsigned) ${name});`),
      "return 0; }",
    ].join("\n"));
    assertEquals(lines, numbers.map(([, value]) => String(value)));
  },
});

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // not there
  }
}
