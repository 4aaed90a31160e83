/** Makes any text safe to be one line of a log: names and reasons in it may come from a peer. */

/** Control characters of ASCII and Latin-1, and the line separators of Unicode. */
const UNSAFE = /[\p{Cc}\u2028\u2029]/gu;

/** Writes newline, tab and carriage return as `\n`, `\t` and `\r`, other control characters as `\x1b`. */
export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    if (code > 0xff) return `\\u${code.toString(16)}`;
    return { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character] ?? `\\x${code.toString(16).padStart(2, "0")}`;
  });
}
