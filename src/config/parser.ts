/**
 * Parses sasyncd.conf(5). Nothing stops at a mistake: after one, it goes on at the next statement, so that one run
 * shows all of them.
 */

import type { Mistake } from "../errors.ts";
import { Cursor, StatementError } from "./cursor.ts";
import { type Token, tokenize } from "./lexer.ts";
import { didYouMean, nearestWord } from "./nearest.ts";
import { quoteWord } from "./quote_word.ts";
import type { ParsedSettings, Setting } from "./settings.ts";
import { type StatementRule, STATEMENTS } from "./statements.ts";

/** Parses the text of sasyncd.conf. Never throws: what is wrong is among the mistakes, without any part of a key. */
export function parseStatements(text: string, file: string): ParsedSettings {
  const settings: Setting[] = [];
  const mistakes: Mistake[] = [];
  const cursor = new Cursor(tokenize(text));
  let before: Token | undefined;
  for (let word = cursor.take(); word !== undefined; word = cursor.take()) {
    try {
      settings.push(parseStatement(cursor, word, before));
      before = word;
    } catch (error) {
      if (!(error instanceof StatementError)) throw error;
      mistakes.push({ file, line: word.line, message: error.message });
      skipToStatement(cursor);
      before = undefined;
    }
  }
  return { settings, mistakes };
}

function parseStatement(cursor: Cursor, word: Token, before: Token | undefined): Setting {
  const rule = ruleOf(word.text);
  if (rule === undefined) throw new StatementError(describeUnknown(cursor, word, before));
  try {
    return rule.parse(cursor, word.line);
  } catch (error) {
    if (error instanceof StatementError) throw new StatementError(`${word.text}: ${error.message}`);
    throw error;
  }
}

function ruleOf(text: string): StatementRule | undefined {
  return Object.hasOwn(STATEMENTS, text) ? STATEMENTS[text] : undefined;
}

/** `before` is the keyword of the statement that ended here. What follows a key could be the rest of the key. */
function describeUnknown(cursor: Cursor, word: Token, before: Token | undefined): string {
  if (cursor.lineHas("sharedkey")) return "sharedkey: more words follow (there is no white space in a key)";
  const options = before === undefined ? [] : ruleOf(before.text)?.options ?? [];
  if (options.includes(word.text)) return `${before?.text}: "${word.text}" cannot stand here`;
  const hint = didYouMean(word.text, [...Object.keys(STATEMENTS), ...options]);
  // Within a line, a word that resembles nothing could be a key whose keyword was forgotten.
  if (before !== undefined && !word.first && hint === "") return `${before.text}: unknown words follow`;
  return `unknown keyword ${quoteWord(word.text)}${hint}`;
}

/** Goes to the next word that begins a statement, also a mistyped one where it begins a line. */
function skipToStatement(cursor: Cursor): void {
  for (let next = cursor.peek(); next !== undefined && !beginsStatement(next); next = cursor.peek()) {
    cursor.take();
  }
}

/** Within a line, `sharedkey` could be the option of a broken peer statement. */
function beginsStatement({ text, first }: Token): boolean {
  if (ruleOf(text) !== undefined) return first || text !== "sharedkey";
  return first && nearestWord(text, Object.keys(STATEMENTS)) !== undefined;
}
