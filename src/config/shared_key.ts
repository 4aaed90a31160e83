/** Shared keys as text: reads what `sharedkey` gives, prints what `sasyncd genkey` makes. No message shows a key. */

import type { SharedKey } from "./config.ts";
import { estimateKeyBits, MIN_KEY_BITS } from "./key_strength.ts";
import type { KeySource } from "./settings.ts";

/** Reads a key file, after the same check of owner and mode as the configuration; or says why it cannot be used. */
export type KeyFileReader = (path: string) => Uint8Array | string;

const LENGTHS: readonly number[] = [16, 24, 32];
const HEX = /^0x[0-9a-fA-F]*$/;
const PRINTABLE = /^[\x20-\x7e]*$/;

/**
 * Makes a key of its source. Text: `0x` and hexadecimal digits, else the ASCII characters themselves. File: `0x` and
 * digits with or without a newline, else exactly the bytes of the key.
 * @returns the key, or what is wrong with it.
 */
export function readSharedKey(
  source: KeySource,
  readKeyFile: KeyFileReader,
  allowWeak: boolean,
): SharedKey | string {
  return source.kind === "text"
    ? readText(source.text, allowWeak)
    : readFile(source.path, readKeyFile, allowWeak);
}

/** The line that `sasyncd genkey` prints: `sharedkey 0x…`. */
export function formatKey(bytes: Uint8Array): string {
  return `sharedkey 0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function readText(text: string, allowWeak: boolean): SharedKey | string {
  if (HEX.test(text)) return readHex(text, "hex");
  if (!PRINTABLE.test(text)) {
    return "the key has other characters than printable ASCII; write it in hexadecimal";
  }
  const bytes = new TextEncoder().encode(text);
  return lengthMistake(bytes, describeShape(text)) ?? weakness(text, allowWeak) ?? { kind: "ascii", bytes };
}

function readHex(text: string, kind: "hex" | "file"): SharedKey | string {
  const digits = text.slice(2);
  if (digits.length % 2 !== 0) return "the hexadecimal key has an odd number of digits";
  const bytes = Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  return lengthMistake(bytes, "") ?? { kind, bytes };
}

function readFile(path: string, readKeyFile: KeyFileReader, allowWeak: boolean): SharedKey | string {
  const name = `key file ${JSON.stringify(path)}`;
  if (!path.startsWith("/")) return `${name} must be an absolute path`;
  if (/\p{Cc}/u.test(path)) return `${name} has control characters in its path`;
  const content = readKeyFile(path);
  if (typeof content === "string") return `${name}: ${content}`;
  const key = readContent(content, allowWeak);
  return typeof key === "string" ? `${name}: ${key}` : key;
}

function readContent(bytes: Uint8Array, allowWeak: boolean): SharedKey | string {
  const text = String.fromCharCode(...bytes.subarray(0, 128));
  const line = text.replace(/\r?\n$/, "");
  if (HEX.test(line)) return readHex(line, "file");
  const hint = bytes.at(-1) === 10 ? " (the newline at its end counts)" : "";
  return lengthMistake(bytes, hint) ?? phraseWeakness(text, allowWeak) ?? { kind: "file", bytes };
}

/** Random bytes are never all printable: these are a pass phrase, and a file's key is not even stretched. */
function phraseWeakness(text: string, allowWeak: boolean): string | undefined {
  return PRINTABLE.test(text) ? weakness(text, allowWeak) : undefined;
}

function lengthMistake(bytes: Uint8Array, hint: string): string | undefined {
  if (LENGTHS.includes(bytes.length)) return undefined;
  return `the key has ${bytes.length} bytes, must have 16, 24 or 32${hint}`;
}

function weakness(text: string, allowWeak: boolean): string | undefined {
  const bits = Math.floor(estimateKeyBits(text));
  if (allowWeak || bits >= MIN_KEY_BITS) return undefined;
  return `the key is weak (about ${bits} bits, must be ${MIN_KEY_BITS}); ` +
    "use the output of sasyncd genkey, or allow it with sharedkey weak";
}

/** What probably happened when the length is wrong. */
function describeShape(text: string): string {
  if (text.startsWith("0x")) return " (it begins with 0x but has other characters than hexadecimal digits)";
  return /^(["']).*\1$/.test(text) ? " (quotes are part of a key)" : "";
}
