/** The handlers of @std/log: where log records go. */

import { type LevelName, type LogLevel, LogLevels } from "./levels.ts";
import type { LogRecord } from "./log_record.ts";

/** Makes a line of a record. */
export type FormatterFunction = (logRecord: LogRecord) => string;

/** Options of every handler. */
export interface BaseHandlerOptions {
  formatter?: FormatterFunction;
}

/** Formats the records of its level and above and logs them. */
export abstract class BaseHandler {
  readonly level: LogLevel;
  readonly formatter: FormatterFunction;

  constructor(readonly levelName: LevelName, { formatter = formatDefault }: BaseHandlerOptions = {}) {
    this.level = LogLevels[levelName];
    this.formatter = formatter;
  }

  /** Logs a record if its level is high enough. */
  handle(logRecord: LogRecord): void {
    if (this.level <= logRecord.level) this.log(this.format(logRecord));
  }

  format(logRecord: LogRecord): string {
    return this.formatter(logRecord);
  }

  /** Puts out a line. */
  abstract log(msg: string): void;

  /** Called when `setup` takes the handler into use. */
  setup(): void {}

  /** Called when a later `setup` takes it out of use. */
  destroy(): void {}
}

function formatDefault({ levelName, msg }: LogRecord): string {
  return `${levelName} ${msg}`;
}
