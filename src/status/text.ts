/** Text for a terminal of 80 columns: wrapped lines, times, counts, and a little colour. */

const COLUMNS = 80;

/** How to stress something. */
export interface Paint {
  /** What begins a part. */
  head(text: string): string;
  /** What the operator should not overlook. */
  alarm(text: string): string;
}

/** For files and pipes. */
export const PLAIN: Paint = { head: (text) => text, alarm: (text) => text };

/** For terminals (ECMA-48). */
export const COLOUR: Paint = {
  head: (text) => `\x1b[1m${text}\x1b[0m`,
  alarm: (text) => `\x1b[31m${text}\x1b[0m`,
};

/** Breaks text at spaces so that each line fits, behind `label`; all lines begin in the same column. */
export function wrap(label: string, text: string): string[] {
  const lines: string[] = [];
  let [line, isEmpty] = [label, true];
  for (const word of text.split(" ")) {
    if (!isEmpty && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      [line, isEmpty] = [" ".repeat(label.length), true];
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}

/** `45 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function duration(seconds: number): string {
  const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]] as const;
  const whole = Math.floor(seconds);
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0 s";
  const [[name, size], next] = [units[first]!, units[first + 1]];
  const rest = next === undefined ? 0 : Math.floor((whole % size) / next[1]);
  const more = rest === 0 ? "" : ` ${rest} ${next![0]}`;
  return `${Math.floor(whole / size)} ${name}${more}`;
}

/** `1 SA`, `2 SAs`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** Columns as wide as their widest cell, two spaces apart. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ").trimEnd());
}
