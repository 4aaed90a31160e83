/** A place in the words of sasyncd.conf, with the questions that statements ask of it. */

import type { Token } from "./lexer.ts";

/** The original's keywords that begin a statement: none of them can be a name, an address or a value. */
const STATEMENT_WORDS: readonly string[] = [
  "control",
  "flushmode",
  "group",
  "interface",
  "listen",
  "mode",
  "peer",
  "sharedkey",
];

/** These and the original's other keywords: none of them can be a name or an address. */
export const RESERVED_WORDS: readonly string[] = [
  ...STATEMENT_WORDS,
  ..."inet inet6 master never on port skipslave slave startup sync".split(" "),
];

/** A statement lacks something. Thrown by Cursor and handled by the parser, which goes on at the next statement. */
export class StatementError extends Error {
  override readonly name = "StatementError";
}

/** Walks over the words once, forward. */
export class Cursor {
  #position = 0;

  constructor(readonly tokens: readonly Token[]) {}

  /** The next word; undefined after the last one. */
  peek(): Token | undefined {
    return this.tokens[this.#position];
  }

  take(): Token | undefined {
    return this.tokens[this.#position++];
  }

  /** The next word, as a name or an address. @throws {StatementError} when there is none. */
  operand(what: string): string {
    return this.#operand(what, RESERVED_WORDS);
  }

  /** The next word, as one of a few values. @throws {StatementError} when there is none. */
  value(): string {
    return this.#operand("its value", STATEMENT_WORDS);
  }

  /** Takes the next word if it is one of these. */
  option(...words: readonly string[]): string | undefined {
    const next = this.peek();
    if (next === undefined || !words.includes(next.text)) return undefined;
    this.#position++;
    return next.text;
  }

  /** Whether one of the words taken so far from this line (backslashes joined) is this one. */
  lineHas(text: string): boolean {
    for (let i = this.#position - 1; i >= 0; i--) {
      const token = this.tokens[i]!;
      if (token.text === text) return true;
      if (token.first) return false;
    }
    return false;
  }

  #operand(what: string, reserved: readonly string[]): string {
    const next = this.peek();
    if (next === undefined) throw new StatementError(`${what} is missing`);
    if (reserved.includes(next.text)) throw new StatementError(`${what} is missing before "${next.text}"`);
    this.#position++;
    return next.text;
  }
}
