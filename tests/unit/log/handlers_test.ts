import { assertEquals } from "@std/assert";
import { type LogLevel, LogLevels } from "@std/log";
import { escapeControls } from "../../../src/log/escape.ts";
import { JournalHandler } from "../../../src/log/journal_handler.ts";
import { StderrHandler } from "../../../src/log/stderr_handler.ts";
import { formatSyslog, SyslogHandler } from "../../../src/log/syslog_handler.ts";
import { openLog } from "../../../src/log/verbosity.ts";

const ESCAPE_ROWS: readonly (readonly [text: string, escaped: string])[] = [
  ["plain täxt ✓ \\ %s", "plain täxt ✓ \\ %s"],
  ["a\nb\r\tc", "a\\nb\\r\\tc"],
  ["\x1b[31m\x00\x7f\x9b", "\\x1b[31m\\x00\\x7f\\x9b"],
  ["\u2028\u2029", "\\u2028\\u2029"],
];

for (const [text, escaped] of ESCAPE_ROWS) {
  Deno.test(`escapeControls() of ${JSON.stringify(text)}`, () => assertEquals(escapeControls(text), escaped));
}

Deno.test("JournalHandler writes the priority before each line", () => {
  const lines: string[] = [];
  const log = openLog(new JournalHandler((line) => lines.push(line)), 2);
  for (const method of ["error", "notice", "state", "detail"] as const) log[method](`${method}\n`);
  assertEquals(lines, ["<3>error\\n\n", "<5>notice\\n\n", "<6>state\\n\n", "<7>detail\\n\n"]);
});

const SYSLOG_ROWS:
  readonly (readonly [level: LogLevel, month: number, day: number, text: string, line: string])[] = [
    [LogLevels.CRITICAL, 0, 1, "x", "<26>Jan  1 08:02:03 sasyncd[7]: x"],
    [LogLevels.ERROR, 10, 23, "x", "<27>Nov 23 08:02:03 sasyncd[7]: x"],
    [LogLevels.WARN, 11, 31, "a\nb", "<29>Dec 31 08:02:03 sasyncd[7]: a\\nb"],
    [LogLevels.INFO, 4, 9, "<0>%n", "<30>May  9 08:02:03 sasyncd[7]: <0>%n"],
    [LogLevels.DEBUG, 8, 10, "", "<31>Sep 10 08:02:03 sasyncd[7]: "],
  ];

for (const [level, month, day, msg, line] of SYSLOG_ROWS) {
  Deno.test(`formatSyslog() makes ${JSON.stringify(line)}`, () => {
    assertEquals(formatSyslog({ level, datetime: new Date(2026, month, day, 8, 2, 3), msg }, 7), line);
  });
}

Deno.test("StderrHandler writes a line for each message", () => {
  const lines: string[] = [];
  const log = openLog(new StderrHandler((line) => lines.push(line)), 0);
  log.error("peer said\nbye");
  log.notice("x");
  assertEquals(lines, ["peer said\\nbye\n", "x\n"]);
});

/** A syslog socket that takes what `takes` says, in turn; then everything. */
function openSyslog(...takes: readonly boolean[]) {
  const answers = [...takes];
  const sent: string[] = [];
  const handler = new SyslogHandler(7, (datagram) => {
    const taken = answers.shift() ?? true;
    if (taken) sent.push(new TextDecoder().decode(datagram).replace(/^.* sasyncd/, "sasyncd"));
    return taken;
  });
  return { sent, log: openLog(handler, 0) };
}

Deno.test("SyslogHandler counts the messages that were not taken and tells of them once", () => {
  const { sent, log } = openSyslog(true, false, false, true, true);
  for (const text of ["a", "b", "c", "d", "e"]) log.notice(text);
  assertEquals(sent, [
    "sasyncd[7]: a",
    "sasyncd[7]: d",
    "sasyncd[7]: 2 of the log messages before this were lost: syslog did not take them",
    "sasyncd[7]: e",
  ]);
});

Deno.test("SyslogHandler tells of the lost messages later when even that is not taken", () => {
  const { sent, log } = openSyslog(false, true, false, true, true);
  for (const text of ["a", "b", "c"]) log.notice(text);
  assertEquals(sent.map((line) => line.slice(12)), [
    "b",
    "c",
    "1 of the log messages before this were lost: syslog did not take them",
  ]);
});

Deno.test("SyslogHandler cuts a long message at a whole character", () => {
  const datagrams: Uint8Array[] = [];
  const log = openLog(new SyslogHandler(7, (datagram) => datagrams.push(datagram) > 0), 0);
  log.notice("ä".repeat(10_000));
  const text = new TextDecoder("utf-8", { fatal: true }).decode(datagrams[0]);
  assertEquals([datagrams.length, datagrams[0]!.length > 8189, datagrams[0]!.length <= 8192], [
    1,
    true,
    true,
  ]);
  assertEquals(text.endsWith("ä"), true);
});
