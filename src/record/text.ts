/** Text within binary forms: UTF-8 without control characters, so that it can be logged as it is. */

import { DecodeError } from "../errors.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws {RangeError} when the text has control characters or unpaired surrogates. */
export function encodeText(text: string): Uint8Array {
  const bytes = encoder.encode(text);
  if (!text.isWellFormed() || !isPrintable(bytes)) {
    throw new RangeError(`Cannot encode ${JSON.stringify(text)}: not printable text`);
  }
  return bytes;
}

/** @throws {DecodeError} naming `struct` when the bytes are not UTF-8 or have control characters. */
export function decodeText(bytes: Uint8Array, struct: string): string {
  if (!isPrintable(bytes)) throw new DecodeError(struct, "text has control characters");
  try {
    return decoder.decode(bytes);
  } catch {
    throw new DecodeError(struct, "text is not UTF-8");
  }
}

function isPrintable(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte >= 0x20 && byte !== 0x7f);
}
