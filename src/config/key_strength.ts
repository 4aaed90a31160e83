/** How hard an ASCII key is to guess; read by the check of `sharedkey`. */

/** An ASCII key of fewer estimated bits is refused unless `sharedkey weak` allows it. */
export const MIN_KEY_BITS = 60;

/** The character classes of printable ASCII and how many characters each has. */
const CLASSES: readonly (readonly [RegExp, number])[] = [[/[a-z]/, 26], [/[A-Z]/, 26], [/[0-9]/, 10], [
  /[^a-zA-Z0-9]/,
  33,
]];

/** A part that stood before in the key counts as one character from this length on. */
const REPEAT_LENGTH = 3;

/**
 * Estimates the bits of an ASCII key: the number of characters that count, times log2 of the size of the classes that
 * occur. Not counted: from the third character of a run or sequence on (`aaaa`, `3456`, `dcba`), and of a part that
 * stood before in the key all but one. Knows no words, so it is an upper bound: good for refusing, not for praising.
 */
export function estimateKeyBits(key: string): number {
  const alphabet = CLASSES.reduce((sum, [pattern, size]) => sum + (pattern.test(key) ? size : 0), 0);
  return alphabet === 0 ? 0 : countCharacters(key) * Math.log2(alphabet);
}

function countCharacters(key: string): number {
  let counted = 0;
  for (let i = 0; i < key.length;) {
    const repeated = longestRepeat(key, i);
    if (repeated >= REPEAT_LENGTH || !continuesSequence(key, i)) counted++;
    i += repeated >= REPEAT_LENGTH ? repeated : 1;
  }
  return counted;
}

/** How many characters from `at` on stand, in the same order, somewhere before `at`. */
function longestRepeat(key: string, at: number): number {
  let length = 0;
  while (at + length < key.length && key.slice(0, at).includes(key.slice(at, at + length + 1))) length++;
  return length;
}

function continuesSequence(key: string, at: number): boolean {
  if (at < 2) return false;
  const step = key.charCodeAt(at) - key.charCodeAt(at - 1);
  return Math.abs(step) <= 1 && step === key.charCodeAt(at - 1) - key.charCodeAt(at - 2);
}
