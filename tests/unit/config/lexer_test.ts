import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { tokenize } from "../../../src/config/lexer.ts";

/** Words with their line; `^` before those that begin one. */
const ROWS: readonly (readonly [name: string, text: string, words: string])[] = [
  ["gives nothing for an empty file", "", ""],
  ["gives nothing for white space", " \t\n\v\f\r\n ", ""],
  ["counts lines", "a b\n\nc", "^a:1 b:1 ^c:3"],
  ["takes CRLF", "a\r\nb\r\n", "^a:1 ^b:2"],
  ["ends a comment with its line", "a # b\nc", "^a:1 ^c:2"],
  ["starts a comment within a word", "a#b\nc", "^a:1 ^c:2"],
  ["ends a comment with its line after a backslash too", "# a \\\nb", "^b:2"],
  ["takes a comment at the end of the file", "a #", "^a:1"],
  ["joins lines at a backslash", "a \\\n b\nc", "^a:1 b:2 ^c:3"],
  ["joins lines at a backslash that touches a word", "a\\\nb", "^a:1 b:2"],
  ["joins lines at a backslash before trailing spaces", "a \\ \t\r\nb", "^a:1 b:2"],
  ["drops a backslash at the end of the file", "a \\", "^a:1"],
  ["keeps a backslash within a word", "a\\b \\c", "^a\\b:1 \\c:1"],
  ["keeps quotes", "'a b' \"c\"", "^'a:1 b':1 \"c\":1"],
  ["keeps white space that isspace(3) does not know", "a\u00a0b", "^a\u00a0b:1"],
];

for (const [name, text, words] of ROWS) {
  Deno.test(`tokenize() ${name}`, () => {
    const found = tokenize(text).map(({ text, line, first }) => `${first ? "^" : ""}${text}:${line}`);
    assertEquals(found.join(" "), words);
  });
}

Deno.test("tokenize() keeps every character but white space, comments and line joints", () => {
  const word = fc.stringMatching(/^[!-"$-\[\]-~]{1,8}$/);
  const gap = fc.constantFrom(" ", "\n", "\t", "\r\n", " \\\n", " # comment\n");
  fc.assert(fc.property(fc.array(fc.tuple(word, gap)), (parts) => {
    const text = parts.map(([word, gap]) => word + gap).join("");
    assertEquals(tokenize(text).map(({ text }) => text), parts.map(([word]) => word));
  }));
});
