/**
 * The log without `-d`: datagrams as syslog(3) sends them, to the daemon facility. syslog(3) itself blocks when its
 * reader stalls; here such messages are dropped and counted.
 */

import { BaseHandler, LogLevels, type LogRecord } from "@std/log";
import { escapeControls } from "./escape.ts";

/** LOG_DAEMON. */
const FACILITY = 24;

/** Severities of syslog: LOG_CRIT, LOG_ERR, LOG_NOTICE, LOG_INFO, LOG_DEBUG. */
const SEVERITIES: readonly (readonly [level: number, severity: number])[] = [
  [LogLevels.CRITICAL, 2],
  [LogLevels.ERROR, 3],
  [LogLevels.WARN, 5],
  [LogLevels.INFO, 6],
  [LogLevels.NOTSET, 7],
];

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** What common readers take in one datagram; the rest of a longer message is cut off. */
const MAX_BYTES = 8192;

/** Sends each message as one datagram. */
export class SyslogHandler extends BaseHandler {
  #untold = 0;

  /** `send` never waits; it returns false when the datagram was not taken. */
  constructor(private readonly pid: number, private readonly send: (datagram: Uint8Array) => boolean) {
    super("NOTSET", { formatter: (record) => formatSyslog(record, pid) });
  }

  override log(msg: string): void {
    if (!this.send(encode(msg))) {
      this.#untold++;
    } else if (this.#untold > 0) {
      this.#tellDrops();
    }
  }

  /** After the first message that is taken again, so that a full socket is not tried twice. */
  #tellDrops(): void {
    const text = `${this.#untold} of the log messages before this were lost: syslog did not take them`;
    const line = formatSyslog({ level: LogLevels.WARN, datetime: new Date(), msg: text }, this.pid);
    if (this.send(encode(line))) this.#untold = 0;
  }
}

/** `<29>Nov  3 08:42:30 sasyncd[123]: text`, in local time, without a newline. */
export function formatSyslog(
  { level, datetime, msg }: Pick<LogRecord, "level" | "datetime" | "msg">,
  pid: number,
) {
  const severity = severityOf(level);
  const day = String(datetime.getDate()).padStart(2);
  const time = [datetime.getHours(), datetime.getMinutes(), datetime.getSeconds()]
    .map((part) => String(part).padStart(2, "0")).join(":");
  const header = `<${FACILITY + severity}>${MONTHS[datetime.getMonth()]} ${day} ${time} sasyncd[${pid}]: `;
  return header + escapeControls(msg);
}

/** The severity of syslog for a level of @std/log. */
export function severityOf(level: number): number {
  return SEVERITIES.find(([least]) => level >= least)?.[1] ?? 7;
}

function encode(line: string): Uint8Array {
  const bytes = new Uint8Array(MAX_BYTES);
  // encodeInto stops at the last whole character that fits.
  return bytes.subarray(0, new TextEncoder().encodeInto(line, bytes).written);
}
