/** The way into the configuration: text of either syntax to a checked Config. Touches no file. */

import { checkSettings } from "./check.ts";
import type { Config } from "./config.ts";
import { parseStatements } from "./parser.ts";
import type { KeyFileReader } from "./shared_key.ts";
import { parseToml } from "./toml.ts";

/**
 * Parses and checks a configuration: TOML where the name of the file ends in `.toml`, else sasyncd.conf(5).
 * `readKeyFile` is called for each `sharedkey file PATH`.
 * @throws {ConfigError} with all mistakes, none of which shows any part of a key.
 */
export function parseConfig(text: string, file: string, readKeyFile: KeyFileReader): Config {
  const parsed = file.endsWith(".toml") ? parseToml(text, file) : parseStatements(text, file);
  return checkSettings(file, parsed, readKeyFile);
}
