/** Help for the tests of the configuration: keys, and the mistakes of a text as lines. */

import type { Config } from "../../src/config/config.ts";
import { parseConfig } from "../../src/config/parse_config.ts";
import { ConfigError } from "../../src/errors.ts";

/** 16 bytes, 00 to 0f. */
export const HEX_KEY = "0x000102030405060708090a0b0c0d0e0f";

/** 16 characters of about 95 bits. */
export const ASCII_KEY = "pQ7xLm2Zr9Tb4KwN";

/** Files that a test's `sharedkey file` can name: text is its bytes. */
export type KeyFiles = Readonly<Record<string, string>>;

/** Parses with key files that are not there but for these. */
export function parseWith(text: string, files: KeyFiles = {}, file = "test.conf"): Config {
  return parseConfig(text, file, (path) => {
    const content = files[path];
    return content === undefined ? "no such file" : Uint8Array.from(content, (c) => c.charCodeAt(0));
  });
}

/** The mistakes of a text, one `file:line: message` each; empty when it is right. */
export function mistakesOf(text: string, files: KeyFiles = {}, file = "test.conf"): readonly string[] {
  try {
    parseWith(text, files, file);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
}
