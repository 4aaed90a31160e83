/** A log that is kept, line by line with its method. */

import type { Log, LogMessage } from "../../src/log/verbosity.ts";

/** A log that says nothing. */
export const SILENT_LOG: Log = { error() {}, notice() {}, state() {}, detail() {}, trace() {} };

export class FakeLog implements Log {
  /** `error: text` and so on. */
  readonly lines: string[] = [];

  error = (message: LogMessage) => this.#keep("error", message);
  notice = (message: LogMessage) => this.#keep("notice", message);
  state = (message: LogMessage) => this.#keep("state", message);
  detail = (message: LogMessage) => this.#keep("detail", message);
  trace = (message: LogMessage) => this.#keep("trace", message);

  /** How many lines match. */
  count(pattern: RegExp): number {
    return this.lines.filter((line) => pattern.test(line)).length;
  }

  #keep(level: string, message: LogMessage): void {
    this.lines.push(`${level}: ${typeof message === "function" ? message() : message}`);
  }
}
