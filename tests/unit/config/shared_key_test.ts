import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatKey, readSharedKey } from "../../../src/config/shared_key.ts";
import { ASCII_KEY, HEX_KEY } from "../../fakes/config.ts";

const bytesOf = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const readText = (text: string, weak = false) => readSharedKey({ kind: "text", text }, () => "unused", weak);
const readFile = (content: string | Uint8Array, weak = false) =>
  readSharedKey(
    { kind: "file", path: "/key" },
    () => typeof content === "string" ? bytesOf(content) : content,
    weak,
  );

const RANDOM = Uint8Array.from({ length: 32 }, (_, i) => i * 37 & 0xff);
const BYTES = Uint8Array.from({ length: 16 }, (_, i) => i);

Deno.test("readSharedKey() takes hexadecimal text", () => {
  assertEquals(readText(HEX_KEY), { kind: "hex", bytes: BYTES });
  assertEquals(readText(HEX_KEY.toUpperCase().replace("0X", "0x")), { kind: "hex", bytes: BYTES });
});

Deno.test("readSharedKey() takes ASCII of 16, 24 and 32 bytes", () => {
  for (const text of [ASCII_KEY, `${ASCII_KEY}h8VdYc3j`, `${ASCII_KEY}h8VdYc3jGf5sXe1q`]) {
    assertEquals(readText(text), { kind: "ascii", bytes: bytesOf(text) });
  }
});

Deno.test("readSharedKey() takes a weak key where it is allowed", () => {
  assertEquals(readText("passwordpassword", true), { kind: "ascii", bytes: bytesOf("passwordpassword") });
});

Deno.test("readSharedKey() takes a file of hexadecimal digits with and without newline", () => {
  for (const end of ["", "\n", "\r\n"]) {
    assertEquals(readFile(HEX_KEY + end), { kind: "file", bytes: BYTES });
  }
});

Deno.test("readSharedKey() takes a file of raw bytes, also a newline among them", () => {
  const raw = RANDOM.slice();
  raw[31] = 10;
  assertEquals(readFile(raw), { kind: "file", bytes: raw });
  assertEquals(readFile(RANDOM.subarray(0, 24)), { kind: "file", bytes: RANDOM.subarray(0, 24) });
});

const WEAK = "; use the output of sasyncd genkey, or allow it with sharedkey weak";
const BAD_TEXTS: readonly (readonly [text: string, problem: string])[] = [
  ["", "the key has 0 bytes, must have 16, 24 or 32"],
  ["0x", "the key has 0 bytes, must have 16, 24 or 32"],
  ["0x012", "the hexadecimal key has an odd number of digits"],
  ["0x0123", "the key has 2 bytes, must have 16, 24 or 32"],
  [
    `${HEX_KEY.slice(0, -1)}g`,
    "the key has 34 bytes, must have 16, 24 or 32 (it begins with 0x but has other characters than hexadecimal digits)",
  ],
  [`"${ASCII_KEY}"`, "the key has 18 bytes, must have 16, 24 or 32 (quotes are part of a key)"],
  ["päßwörtpäßwört", "the key has other characters than printable ASCII; write it in hexadecimal"],
  ["passwordpassword", `the key is weak (about 42 bits, must be 60)${WEAK}`],
];

for (const [text, problem] of BAD_TEXTS) {
  Deno.test(`readSharedKey() refuses the text "${text}"`, () => assertEquals(readText(text), problem));
}

const BAD_FILES: readonly (readonly [content: string, problem: string])[] = [
  ["", "the key has 0 bytes, must have 16, 24 or 32"],
  ["0x00112233", "the key has 4 bytes, must have 16, 24 or 32"],
  [`${ASCII_KEY}\n`, "the key has 17 bytes, must have 16, 24 or 32 (the newline at its end counts)"],
  ["passwordpassword", `the key is weak (about 42 bits, must be 60)${WEAK}`],
];

for (const [content, problem] of BAD_FILES) {
  Deno.test(`readSharedKey() refuses a file with ${JSON.stringify(content)}`, () => {
    assertEquals(readFile(content), `key file "/key": ${problem}`);
  });
}

Deno.test("readSharedKey() refuses a relative path and tells why a file cannot be read", () => {
  assertEquals(
    readSharedKey({ kind: "file", path: "key" }, () => RANDOM, false),
    'key file "key" must be an absolute path',
  );
  assertEquals(
    readSharedKey({ kind: "file", path: "/k\0" }, () => RANDOM, false),
    'key file "/k\\u0000" has control characters in its path',
  );
  assertEquals(
    readSharedKey({ kind: "file", path: "/k" }, () => "is not a regular file", false),
    'key file "/k": is not a regular file',
  );
});

Deno.test("formatKey() prints what readSharedKey() reads", () => {
  assertEquals(formatKey(BYTES), `sharedkey ${HEX_KEY}`);
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
    assertEquals(readText(formatKey(bytes).slice("sharedkey ".length)), { kind: "hex", bytes });
  }));
});
