/**
 * Cuts sasyncd.conf into words, as the original does: white space separates them, a newline is white space too,
 * `#` starts a comment wherever it stands, and there are no quotes (a quote character is part of its word).
 */

/** A word of the file. */
export interface Token {
  readonly text: string;
  /** The line it stands on, from 1. */
  readonly line: number;
  /** Whether it begins a line; a line that follows a backslash counts as part of the line before. */
  readonly first: boolean;
}

/**
 * One alternative each: a comment, a backslash at the end of a line, a newline, other white space, a word (which ends
 * before any of them).
 */
const PIECES =
  /#[^\n]*|\\[ \t\r]*(?:\n|$)|\n|[ \t\r\v\f]+|(?<word>(?:(?!\\[ \t\r]*(?:\n|$))[^ \t\r\n\v\f#])+)/g;

/**
 * All words of the file in their order. A comment ends with its line, also after a backslash, as in the original's
 * code (its manual says otherwise). A backslash at the end of a line makes the next line part of it.
 */
export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let first = true;
  for (const { 0: piece, groups } of text.matchAll(PIECES)) {
    if (groups?.word !== undefined) {
      tokens.push({ text: piece, line, first });
      first = false;
    } else if (piece.endsWith("\n")) {
      line++;
      if (piece === "\n") first = true;
    }
  }
  return tokens;
}
