/**
 * Finds the lines of the keys of a TOML file, which @std/toml does not tell, and the keys given twice, which it takes
 * in silence (the last one wins). Knows as much of TOML as the configuration needs: keys at the beginning of a line.
 */

/** Where the keys are, by path: `mode`, `peer[1]` (the first `[[peer]]`), `peer[1].port`. */
export interface TomlLines {
  readonly lines: ReadonlyMap<string, number>;
  /** Keys that are given again, each where it is. */
  readonly duplicates: readonly { readonly path: string; readonly line: number }[];
}

const HEADER = /^\s*\[(?<list>\[)?\s*["']?(?<name>[\w-]+)["']?\s*\]/;
const KEY = /^\s*["']?(?<name>[\w-]+)["']?\s*=/;

export function findTomlLines(text: string): TomlLines {
  const lines = new Map<string, number>();
  const duplicates: { path: string; line: number }[] = [];
  const counts = new Map<string, number>();
  let table = "";
  for (const [index, content] of text.split("\n").entries()) {
    const path = pathOf(content, table, counts);
    if (path === undefined) continue;
    if (HEADER.test(content)) table = `${path}.`;
    if (lines.has(path)) duplicates.push({ path, line: index + 1 });
    else lines.set(path, index + 1);
  }
  return { lines, duplicates };
}

/** The path of the table or key that a line begins; `counts` numbers the tables of each list. */
function pathOf(content: string, table: string, counts: Map<string, number>): string | undefined {
  const header = HEADER.exec(content)?.groups;
  const name = header?.name ?? KEY.exec(content)?.groups?.name;
  if (name === undefined) return undefined;
  if (header === undefined) return `${table}${name}`;
  if (header.list === undefined) return name;
  const count = (counts.get(name) ?? 0) + 1;
  counts.set(name, count);
  return `${name}[${count}]`;
}
