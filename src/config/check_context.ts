/** What all checks of settings share: the settings by their kind, and where mistakes go. */

import { parseAddress } from "../record/address.ts";
import { choiceProblem } from "./check_values.ts";
import { DEFAULT_PORT } from "./config.ts";
import type { Setting, SettingOf } from "./settings.ts";
import type { KeyFileReader } from "./shared_key.ts";

/** What every check needs. */
export interface Context {
  readonly settings: readonly Setting[];
  readonly allowWeak: boolean;
  readonly readKeyFile: KeyFileReader;
  /** Keeps a mistake; `line` 0 is the file as a whole. */
  report(line: number, message: string): void;
}

/** All settings of a kind. */
export function settingsOf<K extends Setting["kind"]>(
  { settings }: Context,
  kind: K,
): readonly SettingOf<K>[] {
  return settings.filter((setting): setting is SettingOf<K> => setting.kind === kind);
}

/** The one setting of its kind; every further one is a mistake. */
export function single<K extends Setting["kind"]>(context: Context, kind: K): SettingOf<K> | undefined {
  const [first, ...others] = settingsOf(context, kind);
  for (const { line } of others) context.report(line, `${kind}: given twice${onLine(first?.line)}`);
  return first;
}

/** Where something was given first, for the end of a message. */
export function onLine(line: number | undefined): string {
  return line === undefined || line === 0 ? "" : ` (first on line ${line})`;
}

/** Reports the problems that there are. @returns whether there was none. */
export function accept(
  context: Context,
  line: number,
  where: string,
  ...problems: (string | undefined)[]
): boolean {
  const found = problems.filter((problem) => problem !== undefined);
  for (const problem of found) context.report(line, `${where}: ${problem}`);
  return found.length === 0;
}

/** One of these words, the first of which is the default. */
export function checkWord<T extends string>(
  context: Context,
  kind: "flushmode" | "kernel" | "protocol" | "replay",
  known: readonly [T, ...T[]],
): T {
  const setting = single(context, kind);
  if (setting === undefined) return known[0];
  accept(context, setting.line, kind, choiceProblem(setting.value, known));
  return known.find((word) => word === setting.value) ?? known[0];
}

/** The default port where none is given. */
export function portNumber(port: string | undefined): number {
  return port === undefined ? DEFAULT_PORT : Number(port);
}

/** One text for all spellings of an address; host names do not depend on case. */
export function canonical(target: string): string {
  return parseAddress(target)?.join(" ") ?? target.toLowerCase();
}
