/** How the demonstration shows things: headings, paragraphs, and the tables of a kernel with what has changed in them. */

/** One SA or policy: `id` says which one, `text` is what is shown. */
export interface Row {
  readonly id: string;
  readonly text: string;
}

/** A kernel's table as it was shown last, by the name of the gateway. */
const shown = new Map<string, readonly Row[]>();

export function heading(text: string): void {
  console.log(`\n== ${text}\n`);
}

export function say(...lines: string[]): void {
  for (const line of lines) console.log(line);
}

/** Shows a table; from the second time on with a mark at what is new (+), different (~) or gone (-) since then. */
export function showTable(gateway: string, rows: readonly Row[]): void {
  const before = shown.get(gateway);
  shown.set(gateway, rows);
  console.log(`   ${gateway}:`);
  if (rows.length === 0) console.log("       (no SAs, no policies)");
  for (const row of rows) console.log(`     ${before === undefined ? " " : markOf(row, before)} ${row.text}`);
  const gone = before?.filter(({ id }) => !rows.some((row) => row.id === id)) ?? [];
  for (const { text } of gone) console.log(`     - ${text}`);
}

function markOf(row: Row, before: readonly Row[]): string {
  const old = before.find(({ id }) => id === row.id);
  if (old === undefined) return "+";
  return old.text === row.text ? " " : "~";
}

/** The beginning of a key: enough to compare by eye, of no use to anybody. */
export function shortenKey(hex: string): string {
  return `key 0x${hex.replace(/^0x/, "").slice(0, 4)}...`;
}
