/** Which words of a configuration file may stand in a message: never one that could be a shared key. */

import { parsePrefix } from "../record/address.ts";

/** Keys have 16 bytes or more. */
const LONGEST_SHOWN = 15;

/**
 * The word in quotes when it cannot be a key: shorter than any key, plain characters, not hexadecimal, or an
 * address; else a text that does not show it.
 */
export function quoteWord(word: string): string {
  const short = word.length <= LONGEST_SHOWN && /^[\w.:/%*-]+$/.test(word) && !word.startsWith("0x");
  return short || parsePrefix(word) !== undefined
    ? `"${word}"`
    : "a word that is not shown (it could be a key)";
}
