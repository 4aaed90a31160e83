/** The loggers of @std/log and the records that they hand to their handlers. */

import type { BaseHandler } from "./base_handler.ts";
import { getLevelName, type LevelName, type LogLevel, LogLevels } from "./levels.ts";

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

/** A message, or a function that makes it and is called only when it is logged. */
type Message = string | (() => string);

/** Passes messages of its level and above to its handlers. */
export class Logger {
  readonly handlers: BaseHandler[];
  readonly level: LogLevel;

  constructor(
    readonly loggerName: string,
    readonly levelName: LevelName,
    { handlers = [] }: { handlers?: BaseHandler[] } = {},
  ) {
    this.handlers = handlers;
    this.level = LogLevels[levelName];
  }

  debug(msg: Message, ...args: unknown[]): void {
    this.#log(LogLevels.DEBUG, msg, args);
  }

  info(msg: Message, ...args: unknown[]): void {
    this.#log(LogLevels.INFO, msg, args);
  }

  warn(msg: Message, ...args: unknown[]): void {
    this.#log(LogLevels.WARN, msg, args);
  }

  error(msg: Message, ...args: unknown[]): void {
    this.#log(LogLevels.ERROR, msg, args);
  }

  critical(msg: Message, ...args: unknown[]): void {
    this.#log(LogLevels.CRITICAL, msg, args);
  }

  #log(level: LogLevel, msg: Message, args: unknown[]): void {
    if (this.level > level) return;
    const text = typeof msg === "function" ? msg() : msg;
    const record = new LogRecord({ msg: text, args, level, loggerName: this.loggerName });
    for (const handler of this.handlers) handler.handle(record);
  }
}
