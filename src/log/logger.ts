/** The loggers of @std/log. */

import type { BaseHandler } from "./base_handler.ts";
import { type LevelName, type LogLevel, LogLevels } from "./levels.ts";
import { LogRecord } from "./log_record.ts";

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
