import * as asserts from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import * as toml from "@std/toml";

const { assertEquals } = asserts;

/** A type that only `any`, and what stands for a module without types, can be given to. */
interface Nothing {
  readonly nothing: unique symbol;
}

// Each line is an error as long as the value is typed; were it `any`, the missing error would be the error.
// @ts-expect-error typed
export const assertsTyped: Nothing = asserts;
// @ts-expect-error typed
export const assertEqualsTyped: Nothing = assertEquals;
// @ts-expect-error typed
export const thrownTyped: Nothing = asserts.assertThrows(() => asserts.fail());
// @ts-expect-error typed
export const parseArgsTyped: Nothing = parseArgs;
// @ts-expect-error typed
export const parsedTyped: Nothing = parseArgs([], { string: ["c"] }).c;
// @ts-expect-error typed
export const timingSafeEqualTyped: Nothing = timingSafeEqual;
// @ts-expect-error typed
export const tomlTyped: Nothing = toml.parse("")["key"];

Deno.test("parseArgs() gives flags as booleans, repeated ones and values as their types say", () => {
  const args = parseArgs(["-dvv", "-c", "a.conf", "genkey"], {
    boolean: ["d", "n", "v"],
    string: ["c"],
    collect: ["v"],
  });
  const typed: { d: boolean; n: boolean; v: boolean[]; c?: string; _: (string | number)[] } = args;
  assertEquals(typed.d, true);
  assertEquals(typed.n, false);
  assertEquals(typed.v.length, 2);
  assertEquals(typed.c, "a.conf");
  assertEquals(typed._, ["genkey"]);
});

Deno.test("timingSafeEqual() and toml.parse() are what the types say", () => {
  assertEquals(timingSafeEqual(new Uint8Array([1, 2]), new Uint8Array([1, 2])), true);
  assertEquals(timingSafeEqual(new Uint8Array([1, 2]), new Uint8Array([1, 3])), false);
  assertEquals(toml.parse('port = 500\n[peer]\nname = "gw2"'), { port: 500, peer: { name: "gw2" } });
});

Deno.test("every function that @std/assert is said to have is there", () => {
  const declared: readonly (keyof typeof asserts)[] = [
    "assert",
    "assertAlmostEquals",
    "assertArrayIncludes",
    "assertEquals",
    "assertExists",
    "assertFalse",
    "assertGreater",
    "assertGreaterOrEqual",
    "assertInstanceOf",
    "assertIsError",
    "assertLess",
    "assertLessOrEqual",
    "assertMatch",
    "assertNotEquals",
    "assertNotInstanceOf",
    "assertNotMatch",
    "assertNotStrictEquals",
    "assertObjectMatch",
    "assertRejects",
    "assertStrictEquals",
    "assertStringIncludes",
    "assertThrows",
    "AssertionError",
    "equal",
    "fail",
    "unimplemented",
    "unreachable",
  ];
  assertEquals(declared.filter((name) => typeof asserts[name] !== "function"), []);
});
