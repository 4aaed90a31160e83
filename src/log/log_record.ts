/** What the loggers of @std/log hand to their handlers. */

import { getLevelName, type LogLevel } from "./levels.ts";

/** What makes a log record. */
export interface LogRecordOptions {
  msg: string;
  args: unknown[];
  level: LogLevel;
  loggerName: string;
}

/** One message, with the time when it was logged. */
export class LogRecord {
  readonly msg: string;
  readonly args: unknown[];
  readonly datetime = new Date();
  readonly level: number;
  readonly levelName: string;
  readonly loggerName: string;

  constructor({ msg, args, level, loggerName }: LogRecordOptions) {
    this.msg = msg;
    this.args = args;
    this.level = level;
    this.levelName = getLevelName(level);
    this.loggerName = loggerName;
  }
}
